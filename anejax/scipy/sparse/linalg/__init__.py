"""jax.scipy.sparse.linalg on anejax: linear systems solved by iteration, from products with the matrix alone."""

from anejax.absent import getattr_of
from anejax.scipy.sparse.linalg.conjugate import bicgstab, cg
from anejax.scipy.sparse.linalg.krylov import gmres

__all__ = ["bicgstab", "cg", "gmres"]

__getattr__ = getattr_of(__name__)
