"""Factorizations, and solvers that use them.

``overwrite_*`` and ``check_finite`` are accepted for compatibility: arrays never change, and nothing is checked.
"""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import dtypes
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.lax.linalg import qr as pivoted_qr
from anejax.numpy.linalg.spectral import matrices
from anejax.numpy.operands import promote_inexact
from anejax.ops import linalg
from anejax.ops.complex import PARTS
from anejax.ops.matrix import mH

# --- cholesky ---------------------------------------------------------------------------------------------------------


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The upper triangular U with U^H U = ``a``, or the lower L with L L^H = ``a``, of matrices [..., n, n].

    Only that triangle of ``a`` is read. NaN where a matrix is not positive definite.
    """
    x = matrices("cholesky", a, True)
    factor = linalg.cholesky(x if lower else mH(x), symmetrize_input=False)
    return factor if lower else mH(factor)


def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, bool]:
    """(``cholesky(a, lower)``, ``lower``), as ``cho_solve`` takes them."""
    return cholesky(a, lower), lower


def cho_solve(c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """The x with a x = ``b``, given ``cho_factor(a)``."""
    factor, lower = c_and_lower
    x = solve_triangular(factor, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(factor, x, trans=2 if lower else 0, lower=lower)


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
    """The x with ``a`` x = ``b``, for triangular ``a`` [..., n, n].

    For ``trans`` 1 or "T" it is a^T x = b, for 2 or "C" a^H x = b.

    ``b`` is [n], [..., n] or [..., n, k]; its leading axes and those of ``a`` broadcast.
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"[solve_triangular] expected trans to be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}.")
    a, b = promote_inexact("solve_triangular", a, b)
    x, y, vectors = _system(matrices("solve_triangular", a, True), jnp.asarray(b))
    out = linalg.triangular_solve(
        x, y, left_side=True, lower=lower, transpose_a=trans not in (0, "N"),
        conjugate_a=trans in (2, "C"), unit_diagonal=unit_diagonal,
    )  # fmt: skip
    return out[..., 0] if vectors else out


def _system(a: Any, b: Any) -> tuple[Any, Any, bool]:
    """Matrices [..., n, n] and right sides [..., n, k] of the leading axes to which both broadcast; whether ``b`` was
    vectors."""
    vectors = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    y = b[..., None] if vectors else b
    if y.ndim < 2 or y.shape[-2] != a.shape[-1]:
        raise ShapeError(f"[solve] expected right sides with {a.shape[-1]} rows for {a.aval}, got {b.aval}.")
    leading = jnp.broadcast_shapes(a.shape[:-2], y.shape[:-2])
    return *(jnp.broadcast_to(v, (*leading, *v.shape[-2:])) for v in (a, y)), vectors  # type: ignore[return-value]


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
    """The x with a x = ``b`` (a^T x = b for ``trans`` 1, a^H x = b for 2), given ``lu_factor(a)``.

    ``b`` is [..., n] or [..., n, k].
    """
    if trans not in (0, 1, 2):
        raise ValueError(f"[lu_solve] expected trans to be 0, 1 or 2, got {trans!r}.")
    a, b = promote_inexact("lu_solve", lu_and_piv[0], b)
    factors = matrices("lu_solve", a, True)
    permutation = linalg.lu_pivots_to_permutation(jnp.asarray(lu_and_piv[1]), factors.shape[-1])
    factors, y, vectors = _system(factors, jnp.asarray(b))
    permutation = jnp.broadcast_to(permutation, factors.shape[:-1])
    out = linalg.solve_factored(factors, permutation, y, trans)
    return out[..., 0] if vectors else out


def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, ...]:
    """(P, L, U) with P L U = ``a``, or (P L, U) with ``permute_l``, of matrices [..., m, n]."""
    x = matrices("lu", a)
    factors, _, permutation = linalg.lu(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    places = permutation[..., None, :] == jnp.arange(m, dtype=permutation.dtype)[:, None]
    p = places.astype(dtypes.real_part(x.dtype))
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
    """(Q, R) with Q R = ``a``: "full" (Q [..., m, m]) or "economic"; (R,) for the mode "r".

    With ``pivoting`` the columns P, int32 [..., n], follow: Q R = a[..., P], where the diagonal of R falls in size.
    """
    if mode not in ("full", "economic", "r"):
        raise ValueError(f"[qr] expected the mode 'full', 'economic' or 'r', got {mode!r}.")
    q, *rest = pivoted_qr(matrices("qr", a), pivoting=pivoting, full_matrices=mode != "economic")
    return tuple(rest) if mode == "r" else (q, *rest)


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


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: tuple[int, int] | None = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """(eigenvalues, eigenvectors as columns) of the symmetric matrix with the diagonal ``d`` [n], ``e`` [n - 1] beside.

    Of complex ones that of the Hermitian matrix with the real part of ``d``, ``e`` below it and conj(``e``) above.

    Args:
        eigvals_only: whether to return the eigenvalues alone.
        select: "a" for all, "i" for those from ``select_range[0]`` to ``select_range[1]``, both included, ascending.
        tol, key: accepted for compatibility: the whole matrix is factorized, to full precision.
    """
    a, b = (jnp.asarray(v) for v in (d, e))
    if a.dtype != b.dtype or a.dtype not in PARTS + dtypes.COMPLEX:
        raise DtypeError(
            f"[eigh_tridiagonal] expected float32, float64 or complex arrays of one dtype, got {a.aval}, {b.aval}."
        )
    if a.ndim != 1 or not a.size or b.shape != (a.size - 1,):
        raise ShapeError(f"[eigh_tridiagonal] expected d [n] and e [n - 1], got {a.aval} and {b.aval}.")
    first, last = 0, a.size - 1
    if select == "i":
        if select_range is None or select_range[0] > select_range[1]:
            raise ValueError(f"[eigh_tridiagonal] expected a range of indices for select='i', got {select_range}.")
        first, last = max(select_range[0], 0), min(select_range[1], last)
    elif select == "v":
        raise RefusedError("[eigh_tridiagonal] select='v' is not supported: its number of results depends on values.")
    elif select != "a":
        raise ValueError(f"[eigh_tridiagonal] expected select to be 'a' or 'i', got {select!r}.")
    vectors, values = linalg.eigh(jnp.diag(a) + jnp.diag(b, -1), symmetrize_input=False)
    values, vectors = values[first : last + 1], vectors[:, first : last + 1]
    return values if eigvals_only else (values, vectors)


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Array, ...]:
    """(``c`` Q, R), or (Q ``c``, R) for the mode "left", of the economic factorization Q R = ``a`` [..., m, n].

    ``c`` has m columns (k = min(m, n) rows for "left"), or is a vector of as many elements. ``conjugate``: with
    conj(Q) instead. With ``pivoting`` the columns follow, as of ``qr``.
    """
    if mode not in ("right", "left"):
        raise ValueError(f"[qr_multiply] expected the mode 'right' or 'left', got {mode!r}.")
    a, c = promote_inexact("qr_multiply", a, c)
    x, y = matrices("qr_multiply", a), jnp.asarray(c)
    vector = y.ndim == 1
    if vector:
        y = y[:, None] if mode == "left" else y[None]
    m, k = x.shape[-2], min(x.shape[-2:])
    if y.ndim < 2 or (y.shape[-2] != k if mode == "left" else y.shape[-1] != m):
        wanted = f"{k} rows" if mode == "left" else f"{m} columns"
        raise ShapeError(f"[qr_multiply] expected c with {wanted}, got {y.aval} for {x.aval}.")
    q, *rest = pivoted_qr(x, pivoting=pivoting, full_matrices=False)
    q = q.conj() if conjugate else q
    out = q @ y if mode == "left" else y @ q
    return (out.ravel() if vector else out), *rest  # type: ignore[return-value]


def polar(
    a: Any, side: str = "right", *, method: str = "qdwh", eps: float | None = None, max_iterations: int | None = None
) -> tuple[Array, Array]:
    """(U, P) with U P = ``a`` (P U = a for the side "left"), U's columns (rows) orthonormal, P symmetric, P >= 0.

    Args:
        a: matrices [..., m, n] with m >= n for the side "right", m <= n for "left"; U has their shape.
        method, eps, max_iterations: accepted for compatibility: singular values give it.

    The derivative is finite unless two singular values are 0.
    """
    if side not in ("right", "left"):
        raise ValueError(f"[polar] expected the side 'right' or 'left', got {side!r}.")
    if method not in ("qdwh", "svd"):
        raise ValueError(f"[polar] expected the method 'qdwh' or 'svd', got {method!r}.")
    x = matrices("polar", a)
    tall = x if side == "right" else mH(x)
    if tall.shape[-2] < tall.shape[-1]:
        raise ShapeError(
            f"[polar] expected {'m >= n' if side == 'right' else 'm <= n'} for the side {side!r}, got {x.aval}."
        )
    unitary = _polar_unitary(tall)
    product = mH(unitary) @ tall
    positive = (product + mH(product)) / 2
    return (unitary if side == "right" else mH(unitary)), positive


@custom_jvp
def _polar_unitary(x: Any) -> Any:
    u, _, vh = linalg.svd(x, full_matrices=False)
    return u @ vh


@_polar_unitary.defjvp
def _polar_jvp(primals: Any, tangents: Any) -> Any:
    """For A = W S V^H and U = W V^H: U' = W (F o (Z - Z^H)) V^H + (1 - U U^H) A' V inv(S) V^H with Z = W^H A' V.

    F has 1 / (s_i + s_j). It follows from A' = U' P + U P', where U^H U' is skew and P' symmetric.
    """
    (x,), (dx,) = primals, tangents
    w, s, vh = linalg.svd(x, full_matrices=False)
    inner = mH(w) @ dx @ mH(vh)
    turn = (inner - mH(inner)) / (s[..., :, None] + s[..., None, :])
    out = w @ turn
    if x.shape[-2] > x.shape[-1]:
        moved = dx @ mH(vh)
        out = out + (moved - w @ (mH(w) @ moved)) / s[..., None, :]
    return w @ vh, out @ vh
