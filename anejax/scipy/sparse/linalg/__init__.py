"""jax.scipy.sparse.linalg on anejax: iterative solvers that need only products with the matrix."""

from anejax.absent import getattr_of
from anejax.scipy.sparse.linalg.conjugate import bicgstab, cg
from anejax.scipy.sparse.linalg.krylov import gmres

__all__ = [
    "bicgstab", "cg", "gmres"
]  # fmt: skip

__all__ = ["bicgstab", "cg", "gmres"]

__getattr__ = getattr_of(__name__)
