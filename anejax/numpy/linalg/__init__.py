"""jax.numpy.linalg on anejax: factorizations, systems, norms and products of matrices [..., m, n].

Factorizations run on the CPU device, by LAPACK, in float32 and float64, real and complex, and are differentiable.
"""

from __future__ import annotations

from anejax.numpy.linalg.norms import cond as cond
from anejax.numpy.linalg.norms import matrix_norm as matrix_norm
from anejax.numpy.linalg.norms import norm as norm
from anejax.numpy.linalg.norms import vector_norm as vector_norm
from anejax.numpy.linalg.products import diagonal as diagonal
from anejax.numpy.linalg.products import matrix_power as matrix_power
from anejax.numpy.linalg.products import multi_dot as multi_dot
from anejax.numpy.linalg.products import outer as outer
from anejax.numpy.linalg.products import trace as trace
from anejax.numpy.linalg.solving import det as det
from anejax.numpy.linalg.solving import inv as inv
from anejax.numpy.linalg.solving import slogdet as slogdet
from anejax.numpy.linalg.solving import solve as solve
from anejax.numpy.linalg.solving import tensorinv as tensorinv
from anejax.numpy.linalg.solving import tensorsolve as tensorsolve
from anejax.numpy.linalg.spectral import cholesky as cholesky
from anejax.numpy.linalg.spectral import eig as eig
from anejax.numpy.linalg.spectral import eigh as eigh
from anejax.numpy.linalg.spectral import eigvals as eigvals
from anejax.numpy.linalg.spectral import eigvalsh as eigvalsh
from anejax.numpy.linalg.spectral import lstsq as lstsq
from anejax.numpy.linalg.spectral import matrix_rank as matrix_rank
from anejax.numpy.linalg.spectral import pinv as pinv
from anejax.numpy.linalg.spectral import qr as qr
from anejax.numpy.linalg.spectral import svd as svd
from anejax.numpy.linalg.spectral import svdvals as svdvals
from anejax.numpy.linear import cross as cross
from anejax.numpy.linear import matmul as matmul
from anejax.numpy.linear import tensordot as tensordot
from anejax.numpy.linear import vecdot as vecdot
from anejax.numpy.shaping import matrix_transpose as matrix_transpose

__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr",
    "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm"
]  # fmt: skip
