"""jax.scipy.cluster on anejax: vector quantization."""

from anejax.absent import getattr_of
from anejax.scipy.cluster import vq as vq

__all__ = [
    "vq"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
