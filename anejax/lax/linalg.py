"""jax.lax.linalg on anejax: factorizations and triangular systems of matrices [..., m, n].

They run on the CPU device, by LAPACK, in float32 and float64, real and complex. ``linalg.<name>_p`` is the primitive.
"""

from __future__ import annotations

from anejax.absent import getattr_of
from anejax.lax.factors import (
    qr as qr,
)
from anejax.lax.factors import (
    triangular_solve as triangular_solve,
)
from anejax.ops.eigen import (
    eig as eig,
)
from anejax.ops.eigen import (
    eig_p as eig_p,
)
from anejax.ops.eigen import (
    schur as schur,
)
from anejax.ops.eigen import (
    schur_p as schur_p,
)
from anejax.ops.linalg import (
    cholesky as cholesky,
)
from anejax.ops.linalg import (
    cholesky_p as cholesky_p,
)
from anejax.ops.linalg import (
    eigh as eigh,
)
from anejax.ops.linalg import (
    eigh_p as eigh_p,
)
from anejax.ops.linalg import (
    lu as lu,
)
from anejax.ops.linalg import (
    lu_p as lu_p,
)
from anejax.ops.linalg import (
    lu_pivots_to_permutation as lu_pivots_to_permutation,
)
from anejax.ops.linalg import (
    qr_p as qr_p,
)
from anejax.ops.linalg import (
    svd as svd,
)
from anejax.ops.linalg import (
    svd_p as svd_p,
)
from anejax.ops.linalg import (
    triangular_solve_p as triangular_solve_p,
)

__all__ = [
    "cholesky", "cholesky_p", "eig", "eig_p", "eigh", "eigh_p", "lu", "lu_p", "lu_pivots_to_permutation", "qr",
    "qr_p", "schur", "schur_p", "svd", "svd_p", "triangular_solve", "triangular_solve_p"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
