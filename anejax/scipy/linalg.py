"""jax.scipy.linalg on anejax: what SciPy has beyond anejax.numpy.linalg.

``overwrite_*`` and ``check_finite`` are accepted for compatibility: arrays never change, and nothing is checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.absent import getattr_of
from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.linalg.solving import solve_factored
from anejax.numpy.linalg.spectral import matrices
from anejax.numpy.operands import promote_inexact
from anejax.ops import linalg

__getattr__ = getattr_of(__name__)


# --- cholesky ---------------------------------------------------------------------------------------------------------


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The upper triangular U with U^T U = ``a``, or the lower L with L L^T = ``a``, of matrices [..., n, n].

    Only that triangle of ``a`` is read. NaN where a matrix is not positive definite.
    """
    x = matrices("cholesky", a, True)
    factor = linalg.cholesky(x if lower else x.mT, symmetrize_input=False)
    return factor if lower else factor.mT


def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, bool]:
    """(``cholesky(a, lower)``, ``lower``), as ``cho_solve`` takes them."""
    return cholesky(a, lower), lower


def cho_solve(c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """The x with a x = ``b``, given ``cho_factor(a)``."""
    factor, lower = c_and_lower
    x = solve_triangular(factor, b, trans=0 if lower else 1, lower=lower)
    return solve_triangular(factor, x, trans=1 if lower else 0, lower=lower)


# --- systems ----------------------------------------------------------------------------------------------------------


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Array:
    """The x with ``a`` x = ``b`` (a^T x = b for ``trans`` 1, "T", 2 or "C"), for triangular ``a`` [..., n, n].

    ``b`` is [n], [..., n] or [..., n, k], with leading axes of ``a``.
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"[solve_triangular] expected trans to be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}.")
    a, b = promote_inexact("solve_triangular", a, b)
    x, y = matrices("solve_triangular", a, True), jnp.asarray(b)
    vectors = y.ndim == x.ndim - 1
    out = linalg.triangular_solve(
        x, y[..., None] if vectors else y, left_side=True, lower=lower, transpose_a=trans not in (0, "N"),
        unit_diagonal=unit_diagonal,
    )  # fmt: skip
    return out[..., 0] if vectors else out


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Array:
    """The x with ``a`` x = ``b``; ``assume_a``: "gen", "sym", "her", or "pos" (by Cholesky, of one triangle)."""
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ValueError(f"[solve] expected assume_a to be 'gen', 'sym', 'her' or 'pos', got {assume_a!r}.")
    if assume_a == "pos":
        a, b = promote_inexact("solve", a, b)
        return cho_solve(cho_factor(a, lower), b)
    return jnp.linalg.solve(a, b)


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverses of matrices [..., n, n]."""
    return jnp.linalg.inv(a)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinants of matrices [..., n, n]."""
    return jnp.linalg.det(a)


# --- lu ---------------------------------------------------------------------------------------------------------------


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """(both factors in one, int32 pivots) of matrices [..., m, n], as ``lu_solve`` takes them."""
    factors, pivots, _ = linalg.lu(matrices("lu_factor", a))
    return factors, pivots


def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """The x with a x = ``b`` (a^T x = b for ``trans`` 1 or 2), given ``lu_factor(a)``.

    ``b`` is [..., n] or [..., n, k].
    """
    if trans not in (0, 1, 2):
        raise ValueError(f"[lu_solve] expected trans to be 0, 1 or 2, got {trans!r}.")
    a, b = promote_inexact("lu_solve", lu_and_piv[0], b)
    factors, y = matrices("lu_solve", a, True), jnp.asarray(b)
    permutation = linalg.lu_pivots_to_permutation(jnp.asarray(lu_and_piv[1]), factors.shape[-1])
    vectors = y.ndim == factors.ndim - 1
    out = solve_factored(factors, permutation, y[..., None] if vectors else y, trans)
    return out[..., 0] if vectors else out


def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, ...]:
    """(P, L, U) with P L U = ``a``, or (P L, U) with ``permute_l``, of matrices [..., m, n]."""
    x = matrices("lu", a)
    factors, _, permutation = linalg.lu(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    places = permutation[..., None, :] == jnp.arange(m, dtype=permutation.dtype)[:, None]
    p = places.astype(x.dtype)
    lower = jnp.tril(factors[..., :k], -1) + jnp.eye(m, k, dtype=x.dtype)
    upper = jnp.triu(factors[..., :k, :])
    return (p @ lower, upper) if permute_l else (p, lower, upper)


# --- orthogonal factorizations ----------------------------------------------------------------------------------------


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Array, ...]:
    """(Q, R) with Q R = ``a``: "full" (Q [..., m, m]) or "economic"; (R,) for the mode "r"."""
    if pivoting:
        raise RefusedError("[qr] column pivoting is not supported. svd reveals ranks.")
    if mode not in ("full", "economic", "r"):
        raise ValueError(f"[qr] expected the mode 'full', 'economic' or 'r', got {mode!r}.")
    q, r = linalg.qr(matrices("qr", a), full_matrices=mode != "economic")
    return (r,) if mode == "r" else (q, r)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """As anejax.numpy.linalg.svd; ``lapack_driver`` is accepted for compatibility."""
    return jnp.linalg.svd(a, full_matrices, compute_uv)


def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: None = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """(eigenvalues, eigenvectors) of symmetric matrices [..., n, n]; eigenvalues alone with ``eigvals_only``."""
    if b is not None or eigvals is not None or type != 1:
        raise RefusedError("[eigh] generalized problems and subsets of eigenvalues are not supported.")
    v, w = linalg.eigh(matrices("eigh", a, True), lower=lower)
    return w if eigvals_only else (w, v)


# --- functions and structures -----------------------------------------------------------------------------------------

# Higham 2005, "The scaling and squaring method for the matrix exponential revisited": by bytes of an element, the
# degree of the diagonal Pade approximant and the greatest 1-norm for which it is exact to rounding.
_PADE = {8: (13, 5.371920351148152), 4: (7, 3.925724783138660)}


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponentials of square matrices [..., n, n], by scaling, a Pade approximant and squaring (Higham 2005).

    NaN where more than ``max_squarings`` squarings are needed. ``upper_triangular`` is accepted for compatibility.
    """
    x = matrices("expm", A, True)
    degree, theta = _PADE[8 if x.dtype == dtypes.float64 else 4]
    size = jnp.linalg.norm(x, 1, axis=(-2, -1)) if x.size else jnp.zeros(x.shape[:-2], x.dtype)
    wanted = jnp.ceil(jnp.log2(jnp.maximum(size / theta, 1e-30)))
    squarings = jnp.where(jnp.isfinite(size), jnp.clip(wanted, 0, max_squarings), 0)
    out = _pade(x / jnp.exp2(squarings)[..., None, None].astype(x.dtype), degree)
    for i in range(max_squarings):
        out = jnp.where((squarings > i)[..., None, None], out @ out, out)
    return jnp.where((wanted > max_squarings)[..., None, None], np.nan, out)


def _pade(x: Any, degree: int) -> Any:
    """The diagonal approximant (V - U)^-1 (V + U) of odd degree: V has the even powers, U the odd ones."""
    c = [1.0]
    for j in range(1, degree + 1):
        c.append(c[-1] * (degree + 1 - j) / (j * (2 * degree + 1 - j)))
    square, eye = x @ x, jnp.eye(x.shape[-1], dtype=x.dtype)
    even, odd = c[-2] * eye, c[-1] * eye
    for j in range(degree - 2, 0, -2):
        even, odd = even @ square + c[j - 1] * eye, odd @ square + c[j] * eye
    u = x @ odd
    return jnp.linalg.solve(even - u, even + u)


def block_diag(*arrs: Any) -> Array:
    """Matrices along the diagonal of a greater one; vectors count as rows."""
    blocks = [jnp.atleast_2d(jnp.asarray(a)) for a in (arrs or (jnp.zeros((1, 0)),))]
    if any(b.ndim != 2 for b in blocks):
        raise ShapeError(f"[block_diag] expected matrices, got {', '.join(str(b.aval) for b in blocks)}.")
    width, left, rows = sum(b.shape[1] for b in blocks), 0, []
    dtype = jnp.result_type(*blocks)
    for b in blocks:
        rows.append(jnp.pad(b.astype(dtype), ((0, 0), (left, width - left - b.shape[1]))))
        left += b.shape[1]
    return jnp.concatenate(rows, 0)


def toeplitz(c: Any, r: Any = None) -> Array:
    """The matrix [..., m, n] that is constant along diagonals, with first column ``c`` [..., m] and first row ``r``."""
    column = jnp.atleast_1d(jnp.asarray(c))
    row = column if r is None else jnp.atleast_1d(jnp.asarray(r))
    m, n = column.shape[-1], row.shape[-1]
    lead = jnp.broadcast_shapes(column.shape[:-1], row.shape[:-1])
    dtype = jnp.result_type(column, row)
    column, row = (jnp.broadcast_to(o, (*lead, o.shape[-1])).astype(dtype) for o in (column, row))
    if m == 0 or n == 0:
        return jnp.zeros((*lead, m, n), dtype)
    line = jnp.concatenate([jnp.flip(column, -1), row[..., 1:]], -1)
    places = np.arange(m - 1, -1, -1)[:, None] + np.arange(n)
    return jnp.take(line, places, axis=-1)
