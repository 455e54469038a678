"""jax.scipy.sparse on anejax: linear systems of which only products with the matrix are known."""

from anejax.absent import getattr_of
from anejax.scipy.sparse import linalg as linalg

__all__ = [
    "linalg"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
