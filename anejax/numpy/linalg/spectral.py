"""Factorizations of matrices [..., m, n], and functions of singular values: rank, pseudoinverse, least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import zeros
from anejax.numpy.linalg.householder import reflections
from anejax.numpy.linear import matmul
from anejax.numpy.operands import as_array, promote_inexact
from anejax.numpy.selection import where
from anejax.numpy.sorting import argsort
from anejax.numpy.taking import take_along_axis
from anejax.ops import eigen, linalg, shape
from anejax.ops.matrix import mH


class EigResult(NamedTuple):
    """The result of ``eig``: complex eigenvalues [..., n], and eigenvectors as the columns of [..., n, n]."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """The result of ``eigh``: ascending eigenvalues [..., n], and eigenvectors as the columns of [..., n, n]."""

    eigenvalues: Array
    eigenvectors: Array


class SVDResult(NamedTuple):
    """The result of ``svd``: a = U diag(S) Vh."""

    U: Array
    S: Array
    Vh: Array


class QRResult(NamedTuple):
    """The result of ``qr``: a = Q R."""

    Q: Array
    R: Array


def matrices(op: str, a: Any, square: bool = False) -> Any:
    """``a`` as an array [..., m, n] of floats or complex numbers; raises ShapeError for anything else."""
    (x,) = promote_inexact(op, a)
    x = as_array(op, x)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        wanted = "square matrices [..., n, n]" if square else "matrices [..., m, n]"
        raise ShapeError(f"[{op}] expected {wanted}, got {x.aval}.")
    return x


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The lower triangular L with L L^H = ``a``, or L^H, of positive definite matrices [..., n, n].

    NaN where a matrix is not positive definite. ``symmetrize_input``: whether (a + a^H) / 2 is factorized; else
    only the lower triangle is read.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]]))
        Array([[2., 0.],
               [1., 2.]], dtype=float32)
    """
    factor = linalg.cholesky(matrices("cholesky", a, True), symmetrize_input=symmetrize_input)
    return mH(factor) if upper else factor


def qr(a: Any, mode: str = "reduced") -> Any:
    """Q (orthonormal columns) and R (upper triangular) with Q R = ``a``, of matrices [..., m, n].

    ``mode``: "reduced" (Q [..., m, k], k = min(m, n)), "complete" (Q [..., m, m]), "r" (R alone), or "raw": LAPACK's
    reflections, as (h [..., n, m], tau [..., k]), with R in the lower triangle of h.
    """
    if mode == "raw":
        return QRResult(*reflections(matrices("qr", a)))
    if mode not in ("reduced", "r", "full", "complete"):
        raise ValueError(f"[qr] expected the mode 'reduced', 'complete' or 'r', got {mode!r}.")
    q, r = linalg.qr(matrices("qr", a), full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Eigenvalues in ascending order, and eigenvectors as columns, of symmetric or Hermitian matrices [..., n, n].

    ``UPLO`` ("L" or "U") is the triangle that is read when the input is not symmetrized. The signs of the vectors are
    any; their derivatives are infinite where eigenvalues coincide.
    """
    if UPLO not in (None, "L", "U"):
        raise ValueError(f"[eigh] expected UPLO to be 'L', 'U' or None, got {UPLO!r}.")
    v, w = linalg.eigh(matrices("eigh", a, True), lower=UPLO != "U", symmetrize_input=symmetrize_input)
    return EighResult(w, v)


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Array:
    """The real eigenvalues of symmetric or Hermitian matrices [..., n, n], in ascending order."""
    return eigh(a, UPLO, symmetrize_input).eigenvalues


def eig(a: Any) -> EigResult:
    """Eigenvalues in no order, and eigenvectors as columns, of square matrices [..., n, n]. Both are complex.

    The vectors have length 1 and no derivatives; anejax.lax.linalg.eig has them where they make sense.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.linalg.eig(jnp.array([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
        Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    w, v = eigen.eig(matrices("eig", a, True), compute_left_eigenvectors=False)
    return EigResult(w, v)


def eigvals(a: Any) -> Array:
    """The eigenvalues of square matrices [..., n, n], complex and in no order."""
    x = matrices("eigvals", a, True)
    return eigen.eig(x, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0]


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """(U, S, Vh) with U diag(S) Vh = ``a`` and S descending, of matrices [..., m, n]; S alone without ``compute_uv``.

    Without ``full_matrices``, U is [..., m, k] and Vh [..., k, n], k = min(m, n). ``hermitian``: ``a`` is symmetric
    or Hermitian, and its eigenvectors serve.
    """
    x = matrices("svd", a, square=hermitian)
    if hermitian:
        return _svd_of_symmetric(x, compute_uv)
    outs = linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv, subset_by_index=subset_by_index)
    return SVDResult(*outs) if compute_uv else outs


def _svd_of_symmetric(x: Any, compute_uv: bool) -> Any:
    v, w = linalg.eigh(x)
    order = argsort(ew.negative(ew.absolute(w)), axis=-1)
    w = take_along_axis(w, order, -1)
    if not compute_uv:
        return ew.absolute(w)
    u = take_along_axis(v, order[..., None, :], -1)
    return SVDResult(u, ew.absolute(w), mH(ew.multiply(u, ew.sign(w)[..., None, :])))


def svdvals(x: Any, /) -> Array:
    """The singular values of matrices [..., m, n], in descending order."""
    return svd(x, compute_uv=False)


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Array:
    """The number of singular values above ``rtol``, an absolute bound in spite of its name.

    When None, it is max(m, n) eps times the greatest.
    """
    if rtol is not None and tol is not None:
        raise ValueError("[matrix_rank] expected one of rtol and tol, got both.")
    rtol = tol if rtol is None else rtol
    (x,) = promote_inexact("matrix_rank", M)
    x = as_array("matrix_rank", x)
    if x.ndim < 2:
        return ew.astype_(red.any(ew.not_equal(x, 0)), np.int32)
    s = svd(x, full_matrices=False, compute_uv=False, hermitian=hermitian)
    if rtol is None:
        bound = red.max(s, -1) * (max(x.shape[-2:]) * float(dtypes.finfo(x.dtype).eps))
    else:
        bound = as_array("matrix_rank", rtol)
    return red.sum(ew.greater(s, bound[..., None]), -1)


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Array:
    """The Moore-Penrose inverse [..., n, m] of matrices [..., m, n].

    Singular values up to ``rtol`` (10 max(m, n) eps when None) times the greatest count as 0. The derivative assumes
    constant rank: Golub and Pereyra 1973, "The differentiation of pseudo-inverses".
    """
    if rtol is not None and rcond is not None:
        raise ValueError("[pinv] expected one of rtol and rcond, got both.")
    x = matrices("pinv", a, square=hermitian)
    cut = rcond if rtol is None else rtol
    cut = 10.0 * max(x.shape[-2:]) * float(dtypes.finfo(x.dtype).eps) if cut is None else cut
    if 0 in x.shape[-2:]:
        return zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    if hermitian:
        x = ew.multiply(ew.add(x, mH(x)), 0.5)
    return _pinv(x, as_array("pinv", cut), hermitian)


def _pinv(x: Any, cut: Any, hermitian: bool) -> Any:
    @custom_jvp
    def inverse(x: Any) -> Any:
        u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)
        kept = where(ew.greater(s, ew.multiply(cut[..., None], s[..., :1])), s, np.inf)
        return ew.astype_(matmul(mH(vh), ew.divide(mH(u), kept[..., :, None])), x.dtype)

    @inverse.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        p, xt = inverse(x), mH(dx)
        inside = matmul(matmul(p, dx), p)
        row = matmul(matmul(p, mH(p)), xt)
        column = matmul(xt, matmul(mH(p), p))
        outside = row - matmul(matmul(row, x), p) + column - matmul(p, matmul(x, column))
        return p, outside - inside

    return inverse(x)


def lstsq(a: Any, b: Any, rcond: Any = None, *, numpy_resid: bool = False) -> tuple[Array, Array, Array, Array]:
    """The x of least norm that minimizes |a x - b|, for a matrix ``a`` [m, n] and ``b`` [m] or [m, k].

    Singular values below ``rcond`` (eps max(m, n) when None) times the greatest count as 0.

    Returns:
        (x, the squared residuals of each column, the rank, the singular values). ``numpy_resid``: as in NumPy, no
        residuals where the rank is below n or m <= n; not under ``jit``.
    """
    x, y = (as_array("lstsq", o) for o in promote_inexact("lstsq", a, b))
    if x.ndim != 2 or y.ndim not in (1, 2) or y.shape[0] != x.shape[0]:
        raise ShapeError(f"[lstsq] expected a [m, n] and b [m] or [m, k], got {x.aval} and {y.aval}.")
    (m, n), columns = x.shape, y if y.ndim == 2 else shape.reshape(y, (y.size, 1))
    if x.size == 0:
        s, rank = zeros((0,), x.dtype), zeros((), int)
        out = zeros((n, columns.shape[1]), x.dtype)
    else:
        eps = float(dtypes.finfo(x.dtype).eps)
        cut = eps * max(m, n) if rcond is None else where(ew.less(rcond, 0), eps, rcond)
        u, s, vh = svd(x, full_matrices=False)
        kept = ew.logical_and(ew.greater(s, 0), ew.greater_equal(s, ew.astype_(as_array("lstsq", cut), s.dtype) * s[0]))
        rank = red.sum(kept)
        inverse = where(kept, ew.divide(1, where(kept, s, 1)), 0)
        out = matmul(mH(vh), ew.multiply(inverse[:, None], matmul(mH(u), columns)))
    if numpy_resid and (int(rank) < n or m <= n):
        residuals = zeros((0,), x.dtype)
    else:
        residuals = red.sum(ew.square(ew.absolute(ew.subtract(columns, matmul(x, out)))), 0)
    return (out if y.ndim == 2 else shape.reshape(out, (n,))), residuals, rank, s
