"""jax.scipy.spatial on anejax: rotations in three dimensions."""

from anejax.absent import getattr_of
from anejax.scipy.spatial import transform as transform

__all__ = [
    "transform"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
