"""Factorizations and triangular systems of matrices [..., m, n], one per index of the leading axes.

LAPACK's routines behind jax.lax.linalg's names and conventions: float32 and float64, real and complex, NaN where a
factorization does not exist. A^H is the conjugate transpose, of real matrices the transpose. The derivatives are
compositions of the same primitives, so they have derivatives themselves:

* cholesky: Murray 2016, "Differentiation of the Cholesky decomposition";
* eigh, svd: Giles 2008, "An extended collection of matrix derivative results"; Townsend 2016, "Differentiating the
  singular value decomposition". Infinite where eigenvalues or singular values coincide, except for the values
  themselves;
* qr: Seeger et al. 2017, "Auto-differentiating linear algebra"; all of Q by the form of products of reflections;
* lu: de Hoog, Anderssen and Lukas 2011, "Differentiation of matrix functionals using triangular factorization".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive, Zero
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.ops.arithmetic import add, div, eq, ge, integer_pow, mul, neg, select_n, sub
from anejax.ops.complex import PARTS
from anejax.ops.families import NOT_LINEAR, batch_to, check_domain, is_linear, joint_dtype, primitive, zeros
from anejax.ops.matrix import (
    along_columns,
    along_rows,
    conjugate,
    diagonal,
    eye_like,
    from_lower,
    mH,
    mm,
    mT,
    places,
    real_of,
    symmetrize,
    tril,
    triu,
)
from anejax.ops.shape import as_dtype, broadcast_in_dim, broadcasted_iota, concatenate, pad, reshape, slice_in_dim
from anejax.ops.sort import argsort, take_along

DOMAIN = (*PARTS, *dtypes.COMPLEX)
Result = tuple[np.ndarray, ...]


# --- what the primitives share ----------------------------------------------------------------------------------------


def check_matrix(op: str, x: Aval) -> None:
    """Raises unless ``x`` is matrices [..., m, n] of a dtype that LAPACK has."""
    check_domain(op, x, DOMAIN)
    if x.ndim < 2:
        raise ShapeError(f"[{op}] expected matrices [..., m, n], got {x}.")


def check_square(op: str, x: Aval) -> None:
    """Raises unless ``x`` is square matrices [..., n, n] of a dtype that LAPACK has."""
    check_matrix(op, x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"[{op}] expected square matrices [..., n, n], got {x}.")


def by_lapack(name: str, *operands: str) -> Callable[..., Any]:
    """The lowering to ``aj_<name>``."""
    return lambda ctx, *xs, **params: ctx.emit_aj_named(name, **dict(zip(operands, xs)), **params)


def over_leading_axes(prim: Primitive) -> Callable[..., Any]:
    """The batching rule of primitives that take leading axes: the mapped one comes first."""

    def batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
        out = prim.bind(*(batch_to(a, d, size) for a, d in zip(args, dims)), **params)
        return (out, [0] * len(out)) if prim.multiple_results else (out, 0)

    return batch


def nan_where_it_fails(factorize: Callable[..., Any]) -> Callable[..., list[np.ndarray]]:
    """Calls numpy.linalg, which raises for a whole stack if one matrix has no factorization. That one becomes NaN."""

    @functools.wraps(factorize)
    def impl(x: np.ndarray, **params: Any) -> list[np.ndarray]:
        try:
            return [np.asarray(o) for o in factorize(x, **params)]
        except np.linalg.LinAlgError:
            if x.ndim == 2:
                return [np.full_like(o, np.nan) for o in factorize(np.eye(*x.shape, dtype=x.dtype), **params)]
            each = [impl(one, **params) for one in x.reshape(-1, *x.shape[-2:])]
            return [np.stack(outs).reshape(*x.shape[:-2], *outs[0].shape) for outs in zip(*each)]

    return impl


def finite_only(x: np.ndarray) -> np.ndarray:
    """``x`` with each matrix that has a non-finite element replaced by NaN, so that LAPACK fails on it."""
    bad = ~np.isfinite(x).all((-2, -1), keepdims=True)
    return np.where(bad, x.dtype.type(np.nan), x) if bad.any() else x


def _np_symmetric(x: np.ndarray, symmetrize_input: bool) -> np.ndarray:
    return (x + x.swapaxes(-1, -2).conj()) * x.dtype.type(0.5) if symmetrize_input else x


# --- cholesky ---------------------------------------------------------------------------------------------------------

cholesky_p = primitive("cholesky")


def _cholesky_abstract(x: Aval, *, symmetrize_input: bool) -> Aval:
    check_square("cholesky", x)
    return x.strong()


@nan_where_it_fails
def _np_cholesky(x: np.ndarray) -> Result:
    return (np.linalg.cholesky(x),)


def _cholesky_jvp(primals: Any, tangents: Any, *, symmetrize_input: bool) -> Any:
    """L' = L low(inv(L) S' inv(L)^H), where low takes the lower triangle and halves its diagonal."""
    (x,), (dx,) = primals, tangents
    factor = cholesky_p.bind(x, symmetrize_input=symmetrize_input)
    if isinstance(dx, Zero):
        return factor, Zero(aval_of(factor).tangent())
    dx = symmetrize(dx) if symmetrize_input else from_lower(dx)  # the upper triangle is not read
    right = triangular_solve(factor, dx, lower=True, transpose_a=True, conjugate_a=True)
    both = triangular_solve(factor, right, left_side=True, lower=True)
    halved = div(tril(both), add(eye_like(both), 1.0))
    return factor, mm(factor, halved)


cholesky_p.fill(
    abstract=_cholesky_abstract,
    impl=lambda x, symmetrize_input: np.tril(_np_cholesky(_np_symmetric(x, symmetrize_input))[0]),
    jvp=_cholesky_jvp,
    transpose=NOT_LINEAR,
    batch=over_leading_axes(cholesky_p),
    mil=by_lapack("cholesky", "x"),
)


# --- triangular_solve -------------------------------------------------------------------------------------------------

triangular_solve_p = primitive("triangular_solve")


def _solve_abstract(a: Aval, b: Aval, *, left_side: bool, lower: bool, transpose_a: bool, unit_diagonal: bool) -> Aval:
    dtype = joint_dtype("triangular_solve", (a, b))
    check_square("triangular_solve", a)
    if b.ndim != a.ndim or b.shape[:-2] != a.shape[:-2] or b.shape[-2 if left_side else -1] != a.shape[-1]:
        side = "rows" if left_side else "columns"
        raise ShapeError(f"[triangular_solve] expected b with {a.shape[-1]} {side} and a's leading axes, got {a}, {b}.")
    return Aval(b.shape, dtype)


def _np_solve(
    a: np.ndarray, b: np.ndarray, *, left_side: bool, lower: bool, transpose_a: bool, unit_diagonal: bool
) -> np.ndarray:
    """Substitution, row by row."""
    if transpose_a == left_side:  # solved is a^T x = b, or x a = b, which is a^T x^T = b^T
        a, lower = a.swapaxes(-1, -2), not lower
    x = np.array(b if left_side else b.swapaxes(-1, -2))
    n = a.shape[-1]
    with np.errstate(all="ignore"):
        for i in range(n) if lower else reversed(range(n)):
            known = slice(0, i) if lower else slice(i + 1, n)
            x[..., i, :] -= (a[..., i : i + 1, known] @ x[..., known, :])[..., 0, :]
            if not unit_diagonal:
                x[..., i, :] /= a[..., i, i, None]
    return np.ascontiguousarray(x if left_side else x.swapaxes(-1, -2))


def _solve_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    """X = inv(A) B: X' = inv(A) (B' - A' X), each product taken in the cheaper order."""
    (a, b), (da, db) = primals, tangents
    x = triangular_solve_p.bind(a, b, **params)
    total: Any = Zero(aval_of(x).tangent())
    if not isinstance(db, Zero):
        total = triangular_solve_p.bind(a, db, **params)
    if not isinstance(da, Zero):
        part = _solve_jvp_a(da, a, x, **params)
        total = part if isinstance(total, Zero) else add(total, part)
    return x, total


def _solve_jvp_a(da: Any, a: Any, x: Any, **params: Any) -> Any:
    left, (m, n) = params["left_side"], aval_of(x).shape[-2:]
    k = int(params["unit_diagonal"])
    da = neg(tril(da, -k) if params["lower"] else triu(da, k))
    da = mT(da) if params["transpose_a"] else da
    times = lambda p, q: mm(p, q) if left else mm(q, p)  # noqa: E731
    if (m > n) if left else (m < n):
        return triangular_solve_p.bind(a, times(da, x), **params)
    return times(triangular_solve_p.bind(a, da, **params), x)


def _solve_transpose(ct: Any, a: Any, b: Any, *, transpose_a: bool, **params: Any) -> Any:
    if is_linear(a):
        raise RefusedError("[triangular_solve] is not linear in a.")
    return [None, triangular_solve_p.bind(a, ct, transpose_a=not transpose_a, **params)]


def _solve_batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
    (a, b), (da, db) = args, dims
    if da is not None or aval_of(a).ndim > 2:
        return over_leading_axes(triangular_solve_p)(size, args, dims, **params)
    # one matrix for every b: they are solved for side by side
    target = 1 if params["left_side"] else 0
    b = batch_to(b, db, size, target)
    shape = aval_of(b).shape
    flat = (shape[0], size * shape[2]) if target else (size * shape[1], shape[2])
    return reshape(triangular_solve_p.bind(a, reshape(b, flat), **params), shape), target


triangular_solve_p.fill(
    abstract=_solve_abstract,
    impl=_np_solve,
    jvp=_solve_jvp,
    transpose=_solve_transpose,
    batch=_solve_batch,
    mil=by_lapack("triangular_solve", "a", "b"),
    native_eager=True,
)


# --- lu ---------------------------------------------------------------------------------------------------------------

lu_p = primitive("lu", multiple_results=True)


def _lu_abstract(x: Aval) -> list[Aval]:
    check_matrix("lu", x)
    *lead, m, n = x.shape
    return [x.strong(), Aval((*lead, min(m, n)), dtypes.int32), Aval((*lead, m), dtypes.int32)]


def _np_lu(x: np.ndarray) -> list[np.ndarray]:
    """Gaussian elimination, all matrices at once. Pivots are greatest by |re| + |im|, as BLAS finds them."""
    *lead, m, n = x.shape
    a = np.array(x).reshape(math.prod(lead), m, n)
    which = np.arange(len(a))
    permutation = np.tile(np.arange(m, dtype=np.int32), (len(a), 1))
    pivots = np.zeros((len(a), min(m, n)), np.int32)
    with np.errstate(all="ignore"):
        for j in range(min(m, n)):
            size = np.abs(np.real(a[:, j:, j])) + np.abs(np.imag(a[:, j:, j]))
            pivots[:, j] = chosen = j + np.argmax(size, axis=1)
            for moved in (a, permutation):
                moved[which, j], moved[which, chosen] = moved[which, chosen], moved[which, j]
            pivot = a[:, j, j, None]
            a[:, j + 1 :, j] /= np.where(pivot == 0, x.dtype.type(1), pivot)
            a[:, j + 1 :, j + 1 :] -= a[:, j + 1 :, j, None] * a[:, j, None, j + 1 :]
    return [a.reshape(x.shape), pivots.reshape(*lead, min(m, n)), permutation.reshape(*lead, m)]


def _lu_jvp(primals: Any, tangents: Any) -> Any:
    """L' = L low(Z), U' = up(Z) U for Z = inv(L) P A' inv(U), both completed to square matrices by identities."""
    (x,), (dx,) = primals, tangents
    outs = lu, pivots, permutation = lu_p.bind(x)
    *lead, m, n = aval_of(lu).shape
    fixed = [Zero(aval_of(o).tangent()) for o in (pivots, permutation)]
    if isinstance(dx, Zero):
        return outs, [Zero(aval_of(lu).tangent()), *fixed]
    k = min(m, n)
    zero, same = np.zeros((), aval_of(lu).dtype), ((0, 0, 0),) * len(lead)
    columns = slice_in_dim(lu, 0, k, axis=len(lead) + 1)
    lower = pad(tril(columns, -1), zero, (*same, (0, 0, 0), (0, m - k, 0)))
    rows = slice_in_dim(lu, 0, k, axis=len(lead))
    upper = pad(triu(rows), zero, (*same, (0, n - k, 0), (0, 0, 0)))
    beyond = ge(places(upper)[0], k)
    lower, upper = add(lower, eye_like(lower)), select_n(beyond, upper, eye_like(upper))
    order = broadcast_in_dim(permutation, (*lead, m, n), range(len(lead) + 1))
    solved = triangular_solve(lower, take_along(dx, order, len(lead)), left_side=True, lower=True, unit_diagonal=True)
    both = triangular_solve(upper, solved)
    return outs, [add(mm(lower, tril(both, -1)), mm(triu(both), upper)), *fixed]


lu_p.fill(
    abstract=_lu_abstract,
    impl=_np_lu,
    jvp=_lu_jvp,
    transpose=NOT_LINEAR,
    batch=over_leading_axes(lu_p),
    mil=by_lapack("lu", "x"),
    native_eager=True,
)


# --- qr ---------------------------------------------------------------------------------------------------------------

qr_p = primitive("qr", multiple_results=True)


def _qr_abstract(x: Aval, *, full_matrices: bool) -> list[Aval]:
    check_matrix("qr", x)
    *lead, m, n = x.shape
    k = m if full_matrices else min(m, n)
    return [Aval((*lead, m, k), x.dtype), Aval((*lead, k, n), x.dtype)]


def _qr_jvp(primals: Any, tangents: Any, *, full_matrices: bool) -> Any:
    (x,), (dx,) = primals, tangents
    outs = q, r = qr_p.bind(x, full_matrices=full_matrices)
    if isinstance(dx, Zero):
        return outs, [Zero(aval_of(o).tangent()) for o in outs]
    m, n = aval_of(x).shape[-2:]
    if m == n or (m > n and not full_matrices):
        return outs, _thin_qr_jvp(q, r, dx)
    axis, k = aval_of(x).ndim - 1, min(m, n)
    first = lambda a: slice_in_dim(a, 0, k, axis=axis)  # noqa: E731
    rest = lambda a: slice_in_dim(a, k, max(m, n), axis=axis)  # noqa: E731
    if m > n:
        dq, dr = _thin_qr_jvp(first(q), slice_in_dim(r, 0, k, axis=axis - 1), dx)
        low = zeros(Aval((*aval_of(r).shape[:-2], m - n, n), aval_of(r).dtype))
        return outs, [concatenate([dq, _other_columns_jvp(first(q), dq)], axis), concatenate([dr, low], axis - 1)]
    # the first m columns have the same q; the others are q r2
    dq, dr = _thin_qr_jvp(q, first(r), first(dx))
    more = add(mm(mH(dq), rest(x)), mm(mH(q), rest(dx)))
    return outs, [dq, concatenate([dr, more], axis)]


def _thin_qr_jvp(q: Any, r: Any, dx: Any) -> list[Any]:
    """With Z = Q^H X' inv(R) and the skew S of its lower triangle: Q' = X' inv(R) - Q (Z - S), R' = (Z - S) R.

    R's diagonal is real and stays so: the imaginary part of Z's belongs to S.
    """
    dx_rinv = triangular_solve(r, dx)
    both = mm(mH(q), dx_rinv)
    low = tril(both, -1)
    skew = sub(low, mH(low))
    if aval_of(both).dtype in dtypes.COMPLEX:
        skew = add(skew, mul(eye_like(both), sub(both, as_dtype(real_of(both), aval_of(both).dtype))))
    upper = sub(both, skew)
    return [sub(dx_rinv, mm(q, upper)), mm(upper, r)]


def _other_columns_jvp(q: Any, dq: Any) -> Any:
    """The derivative of the columns of a square Q that follow ``q`` [..., m, n], its first ones, in terms of these.

    Q - 1 is made of n reflections V, so Q - 1 = V S V^H: with E the first columns of 1, the others of Q - 1 are
    (q - E) Z^H, where Z = V_2 inv(V_1) = q_2 inv(q_1 - 1) and 1, 2 are the first n rows and the rest.
    """
    (m, n), axis = aval_of(q).shape[-2:], aval_of(q).ndim - 2
    top, low = (lambda a: slice_in_dim(a, 0, n, axis=axis)), (lambda a: slice_in_dim(a, n, m, axis=axis))
    moved = sub(q, eye_like(q))
    lu, _, permutation = lu_p.bind(top(moved))
    over = lambda a: solve_factored(lu, permutation, mH(a), 2)  # noqa: E731
    zh = over(low(q))
    return add(mm(dq, zh), mm(moved, over(sub(low(dq), mm(mH(zh), top(dq))))))


qr_p.fill(
    abstract=_qr_abstract,
    impl=lambda x, full_matrices: list(np.linalg.qr(x, "complete" if full_matrices else "reduced")),
    jvp=_qr_jvp,
    transpose=NOT_LINEAR,
    batch=over_leading_axes(qr_p),
    mil=by_lapack("qr", "x"),
    native_eager=True,  # one LAPACK for eager and compiled calls, so that the signs of vectors agree
)


# --- eigh -------------------------------------------------------------------------------------------------------------

eigh_p = primitive("eigh", multiple_results=True)


def _eigh_abstract(x: Aval, *, lower: bool, symmetrize_input: bool) -> list[Aval]:
    check_square("eigh", x)
    return [x.strong(), Aval(x.shape[:-1], dtypes.real_part(x.dtype))]


@nan_where_it_fails
def _np_eigh(x: np.ndarray, lower: bool) -> Result:
    values, vectors = np.linalg.eigh(finite_only(x), "L" if lower else "U")
    return vectors, values


def inverse_differences(x: Any, y: Any) -> Any:
    """1 / (x - y) off the diagonal, and 0 on it."""
    eye = eye_like(x)
    return sub(integer_pow(add(eye, sub(x, y)), -1), eye)


def _eigh_jvp(primals: Any, tangents: Any, *, lower: bool, symmetrize_input: bool) -> Any:
    """V' = V (F o V^H A' V), w' = diag(V^H A' V), where F has 1 / (w_j - w_i) off the diagonal."""
    (x,), (dx,) = primals, tangents
    outs = v, w = eigh_p.bind(x, lower=lower, symmetrize_input=symmetrize_input)
    if isinstance(dx, Zero):
        return outs, [Zero(aval_of(o).tangent()) for o in outs]
    dx = symmetrize(dx) if symmetrize_input else dx
    shape = aval_of(v).shape
    turned = mm(mm(mH(v), dx), v)
    inverse = inverse_differences(along_rows(w, shape), along_columns(w, shape))
    return outs, [mm(v, mul(as_dtype(inverse, aval_of(v).dtype), turned)), real_of(diagonal(turned))]


eigh_p.fill(
    abstract=_eigh_abstract,
    impl=lambda x, lower, symmetrize_input: _np_eigh(_np_symmetric(x, symmetrize_input), lower=lower),
    jvp=_eigh_jvp,
    transpose=NOT_LINEAR,
    batch=over_leading_axes(eigh_p),
    mil=by_lapack("eigh", "x"),
    native_eager=True,  # one LAPACK for eager and compiled calls, so that the signs of vectors agree
)


# --- svd --------------------------------------------------------------------------------------------------------------

svd_p = primitive("svd", multiple_results=True)


def _svd_abstract(x: Aval, *, full_matrices: bool, compute_uv: bool) -> list[Aval]:
    check_matrix("svd", x)
    *lead, m, n = x.shape
    k = min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)
    values = Aval((*lead, k), dtypes.real_part(x.dtype))
    vectors = [Aval((*lead, *s), x.dtype) for s in ((m, rows), (columns, n))]
    return [values, *vectors] if compute_uv else [values]


@nan_where_it_fails
def _np_svd(x: np.ndarray, full_matrices: bool, compute_uv: bool) -> Result:
    if not compute_uv:
        return (np.linalg.svd(finite_only(x), compute_uv=False),)
    u, s, vt = np.linalg.svd(finite_only(x), full_matrices)
    return s, u, vt


def _svd_jvp(primals: Any, tangents: Any, *, full_matrices: bool, compute_uv: bool) -> Any:
    (x,), (dx,) = primals, tangents
    m, n = aval_of(x).shape[-2:]
    if isinstance(dx, Zero):
        outs = svd_p.bind(x, full_matrices=full_matrices, compute_uv=compute_uv)
        return outs, [Zero(aval_of(o).tangent()) for o in outs]
    if compute_uv and full_matrices and m != n:
        raise RefusedError(f"[svd] has no derivative with full_matrices=True for {aval_of(x)}: use False.")
    outs = s, u, vt = svd_p.bind(x, full_matrices=False, compute_uv=True)
    turned = mm(mm(mH(u), dx), mH(vt))
    values = real_of(diagonal(turned))
    if not compute_uv:
        return [s], [values]
    return outs, [values, *_svd_jvp_vectors(as_dtype(s, aval_of(u).dtype), u, vt, dx, turned)]


def _svd_jvp_vectors(s: Any, u: Any, vt: Any, dx: Any, turned: Any) -> list[Any]:
    """U' = U (F o (Z S + S Z^H)) and V' = V (F o (S Z + Z^H S)), plus the parts outside the spans of U and V.

    Z is U^H A' V, and F has 1 / (s_j^2 - s_i^2) off the diagonal. Vectors are free up to a common phase: where Z's
    diagonal has an imaginary part, U's turn alone.
    """
    m, n = aval_of(dx).shape[-2:]
    shape = aval_of(turned).shape
    in_row, in_column = along_rows(s, shape), along_columns(s, shape)
    eye, v = eye_like(turned), mH(vt)
    gaps = mul(add(in_row, in_column), sub(in_row, in_column))
    inverse = sub(integer_pow(add(gaps, eye), -1), eye)
    scaled, other = mul(in_row, turned), mul(in_column, turned)
    turn = mul(inverse, add(scaled, mH(scaled)))
    if aval_of(turned).dtype in dtypes.COMPLEX:
        nonzero = add(in_row, as_dtype(eq(in_row, 0.0), aval_of(in_row).dtype))
        turn = add(turn, mul(eye, div(mul(sub(turned, mH(turned)), 0.5), nonzero)))
    du = mm(u, turn)
    dv = mm(v, mul(inverse, add(other, mH(other))))
    if m > n:
        du = add(du, _outside(u, mm(dx, v), s))
    if n > m:
        dv = add(dv, _outside(v, mm(mH(dx), u), s))
    return [du, mH(dv)]


def _outside(basis: Any, x: Any, s: Any) -> Any:
    """The part of ``x`` orthogonal to ``basis``, its columns divided by ``s``."""
    rest = sub(x, mm(basis, mm(mH(basis), x)))
    return div(rest, along_rows(s, aval_of(rest).shape))


svd_p.fill(
    abstract=_svd_abstract,
    impl=_np_svd,
    jvp=_svd_jvp,
    transpose=NOT_LINEAR,
    batch=over_leading_axes(svd_p),
    mil=by_lapack("svd", "x"),
    native_eager=True,  # one LAPACK for eager and compiled calls, so that the signs of vectors agree
)

# --- faces ------------------------------------------------------------------------------------------------------------


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower triangular L with L L^H = ``x``, of symmetric (Hermitian) positive definite matrices [..., n, n].

    Args:
        symmetrize_input: whether (x + x^H) / 2 is factorized; else only the lower triangle of ``x`` is read, and the
            gradient is lower triangular.

    Returns:
        [..., n, n], NaN where a matrix is not positive definite.
    """
    return cholesky_p.bind(x, symmetrize_input=bool(symmetrize_input))


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """The solution X of op(a) X = ``b`` (``left_side``) or X op(a) = ``b``, for triangular ``a``.

    Args:
        a: [..., n, n]; only its ``lower`` or upper triangle is read, without the diagonal when ``unit_diagonal``.
        b: [..., n, k] with ``left_side``, else [..., k, n], of a's leading axes and dtype.
        transpose_a: op(a) is the transpose.
        conjugate_a: ``a`` is conjugated too.
    """
    return triangular_solve_p.bind(
        conjugate(a) if conjugate_a else a,
        b,
        left_side=bool(left_side),
        lower=bool(lower),
        transpose_a=bool(transpose_a),
        unit_diagonal=bool(unit_diagonal),
    )


def lu(x: Any) -> tuple[Any, Any, Any]:
    """(lu, pivots, permutation) with ``x[..., permutation, :]`` = L U, by partial pivoting, of matrices [..., m, n].

    L has ones on its diagonal and lies below that of ``lu``, U on and above it. Row j was exchanged with row
    ``pivots[..., j]`` (int32, [..., min(m, n)]) in step j; ``permutation`` (int32, [..., m]) is their product.
    """
    return tuple(lu_p.bind(x))


def qr(x: Any, *, full_matrices: bool = True) -> tuple[Any, Any]:
    """(q, r) with q r = ``x``, q orthogonal (unitary) and r upper triangular, of matrices [..., m, n].

    Returns:
        q [..., m, m] and r [..., m, n]; without ``full_matrices`` [..., m, k] and [..., k, n], k = min(m, n).
    """
    return tuple(qr_p.bind(x, full_matrices=bool(full_matrices)))


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: Any = None,
) -> tuple[Any, Any]:
    """(v, w): eigenvectors of symmetric (Hermitian) matrices [..., n, n] as columns, real eigenvalues, ascending.

    Args:
        lower: which triangle is read when the input is not symmetrized.
        sort_eigenvalues: accepted for compatibility; they are always sorted.
        subset_by_index: None, or all of them.

    NaN where a matrix has elements that are not finite.
    """
    _check_subset("eigh", subset_by_index, aval_of(x).shape[-1:])
    v, w = eigh_p.bind(x, lower=bool(lower), symmetrize_input=bool(symmetrize_input))
    return v, w


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: Any = None,
) -> Any:
    """(u, s, vt) with u diag(s) vt = ``x``, singular values in descending order, of matrices [..., m, n].

    Returns:
        u [..., m, m], s [..., k] and vt [..., n, n] for k = min(m, n); without ``full_matrices`` u is [..., m, k] and
        vt [..., k, n]; s alone without ``compute_uv``. NaN where a matrix has elements that are not finite.
    """
    _check_subset("svd", subset_by_index, (min(aval_of(x).shape[-2:], default=0),))
    outs = svd_p.bind(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    return (outs[1], outs[0], outs[2]) if compute_uv else outs[0]


def _check_subset(op: str, subset: Any, size: tuple[int, ...]) -> None:
    if subset is not None and tuple(subset) != (0, *size):
        raise RefusedError(f"[{op}] a subset of the values is not supported, got {subset}. Slice the results.")


def solve(a: Any, b: Any) -> Any:
    """The x with ``a`` x = ``b`` [..., n, k], by LU."""
    lu, _, permutation = lu_p.bind(a)
    return solve_factored(lu, permutation, b)


def solve_factored(lu: Any, permutation: Any, b: Any, trans: int = 0) -> Any:
    """x with A x = ``b``, or A^T x = b for ``trans`` 1 and A^H x = b for 2, given A's factors and permutation.

    All have the same leading axes; ``b`` is [..., n, k].
    """
    if 0 in aval_of(b).shape:
        return b
    spread = lambda order: broadcast_in_dim(order, aval_of(b).shape, range(aval_of(b).ndim - 1))  # noqa: E731
    flip, axis = {"transpose_a": trans > 0, "conjugate_a": trans == 2}, aval_of(b).ndim - 2
    if not trans:
        b = take_along(b, spread(permutation), axis)
        b = triangular_solve(lu, b, left_side=True, lower=True, unit_diagonal=True)
        return triangular_solve(lu, b, left_side=True)
    x = triangular_solve(lu, b, left_side=True, **flip)
    x = triangular_solve(lu, x, left_side=True, lower=True, unit_diagonal=True, **flip)
    return take_along(x, spread(argsort(permutation)), axis)


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation int32[..., ``permutation_size``] that exchanging row j with row ``pivots[..., j]`` makes."""
    lead, k = aval_of(pivots).shape[:-1], aval_of(pivots).shape[-1]
    if k > permutation_size:
        raise ShapeError(f"[lu_pivots_to_permutation] expected at most {permutation_size} pivots, got {k}.")
    axis = len(lead)
    out = broadcasted_iota(np.int32, (*lead, permutation_size), axis)
    places = broadcasted_iota(np.int32, (*lead, permutation_size), axis)
    for j in range(k):
        spread = lambda x: broadcast_in_dim(x, (*lead, permutation_size), range(axis + 1))  # noqa: E731
        there = spread(as_dtype(slice_in_dim(pivots, j, j + 1, axis=axis), np.dtype(np.int32)))
        here = spread(slice_in_dim(out, j, j + 1, axis=axis))
        moved = take_along(out, there, axis)
        out = select_n(eq(places, there), out, here)
        out = select_n(eq(places, np.int32(j)), out, moved)
    return out
