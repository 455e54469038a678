"""Eigenvalues, eigenvectors and the Schur form of general square matrices [..., n, n], by LAPACK.

The derivative of eig is from Giles 2008, "An extended collection of matrix derivative results", section 3.1. Where
eigenvalues coincide, it is infinite, except for that of the eigenvalues themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Refused, Zero
from anejax.core.trace import aval_of
from anejax.errors import RefusedError
from anejax.ops.arithmetic import abs, add, div, eq, mul, neg
from anejax.ops.complex import PARTS, complex, imag, real
from anejax.ops.families import NOT_LINEAR, primitive
from anejax.ops.linalg import (
    by_lapack,
    check_square,
    finite_only,
    inverse_differences,
    nan_where_it_fails,
    over_leading_axes,
    solve,
)
from anejax.ops.matrix import along_columns, along_rows, conjugate, diagonal, mH, mm, places
from anejax.ops.reduce import argmax, reduce_sum
from anejax.ops.shape import as_dtype

# --- eig --------------------------------------------------------------------------------------------------------------

eig_p = primitive("eig", multiple_results=True)


def _eig_abstract(x: Aval, *, left: bool, right: bool, enable_eigvec_derivs: bool) -> list[Aval]:
    check_square("eig", x)
    dtype = dtypes.complex_of(x.dtype)
    return [Aval(x.shape[:-1], dtype), *[Aval(x.shape, dtype)] * (left + right)]


@nan_where_it_fails
def _np_eig(x: np.ndarray, left: bool, right: bool, enable_eigvec_derivs: bool) -> tuple[np.ndarray, ...]:
    dtype, bounded = dtypes.complex_of(x.dtype), finite_only(x)
    if not (left or right):
        return (np.linalg.eigvals(bounded).astype(dtype),)
    values, vectors = (o.astype(dtype) for o in np.linalg.eig(bounded))
    # rows of the inverse are left eigenvectors, of another length and phase
    others = [_settled(np.linalg.inv(vectors).swapaxes(-1, -2).conj())] if left else []
    return values, *others, *([_settled(vectors)] if right else [])


def _settled(vectors: np.ndarray) -> np.ndarray:
    """Columns of length 1 whose greatest element is real, as LAPACK's are."""
    if not vectors.size:
        return vectors
    out = vectors / np.linalg.norm(vectors, axis=-2, keepdims=True)
    greatest = np.take_along_axis(out, np.abs(out).argmax(-2)[..., None, :], -2)
    real = np.all(np.imag(vectors) == 0, -2, keepdims=True)
    return np.where(real, out, out * (np.conj(greatest) / np.abs(greatest))).astype(vectors.dtype)


def _eig_jvp(primals: Any, tangents: Any, *, left: bool, right: bool, enable_eigvec_derivs: bool) -> Any:
    (x,), (dx,) = primals, tangents
    if isinstance(dx, Zero):
        outs = eig_p.bind(x, left=left, right=right, enable_eigvec_derivs=enable_eigvec_derivs)
        return outs, [Zero(aval_of(o).tangent()) for o in outs]
    if (left or right) and not enable_eigvec_derivs:
        raise RefusedError(
            "[eig] eigenvectors have derivatives only where eigenvalues differ. Differentiate eigvals, or ask for them"
            " by anejax.lax.linalg.eig(x, enable_eigvec_derivs=True)."
        )
    values, *others = eig_p.bind(x, left=left, right=True, enable_eigvec_derivs=enable_eigvec_derivs)
    v, dx = others[-1], as_dtype(dx, aval_of(values).dtype)
    moved = mm(solve(v, dx), v)
    outs, derivatives = [values], [diagonal(moved)]
    if left:  # the matrix is A^H, whose eigenvalues are the conjugates
        u, dxh = others[0], mH(dx)
        outs.append(u)
        derivatives.append(_vectors_jvp(conjugate(values), u, mm(solve(u, dxh), u)))
    if right:
        outs.append(v)
        derivatives.append(_vectors_jvp(values, v, moved))
    return outs, derivatives


def _vectors_jvp(w: Any, v: Any, moved: Any) -> Any:
    """V (F o inv(V) A' V + C), where F has 1 / (w_j - w_i) off the diagonal, and the diagonal C keeps LAPACK's choice.

    That is columns of length 1 whose greatest element is real.
    """
    shape, rows = aval_of(v).shape, aval_of(v).ndim - 2
    if not math.prod(shape):
        return v
    dv = mm(v, mul(inverse_differences(along_rows(w, shape), along_columns(w, shape)), moved))
    greatest = eq(along_rows(argmax(abs(v), rows, np.int32), shape), places(v)[0])
    chosen = lambda a: reduce_sum(mul(as_dtype(greatest, aval_of(a).dtype), a), (rows,))  # noqa: E731
    longer = neg(real(reduce_sum(mul(conjugate(v), dv), (rows,))))
    turned = neg(div(imag(chosen(dv)), real(chosen(v))))
    return add(dv, mul(v, along_rows(complex(longer, turned), shape)))


eig_p.fill(
    abstract=_eig_abstract,
    impl=_np_eig,
    jvp=_eig_jvp,
    transpose=NOT_LINEAR,
    batch=over_leading_axes(eig_p),
    mil=lambda ctx, x, enable_eigvec_derivs, **params: by_lapack("eig", "x")(ctx, x, **params),
    native_eager=True,  # one LAPACK for eager and compiled calls, so that the phases of vectors agree
)

# --- schur ------------------------------------------------------------------------------------------------------------

schur_p = primitive("schur", multiple_results=True)


def _schur_abstract(x: Aval, *, vectors: bool) -> list[Aval]:
    check_square("schur", x)
    return [x.strong()] * (2 if vectors else 1)


def _np_schur(x: np.ndarray, vectors: bool) -> list[np.ndarray]:
    """The Schur form of matrices with a basis of eigenvectors, by making these orthonormal from the first to the last.

    The vectors of a conjugate pair of a real matrix span its plane by their real and imaginary parts.
    """
    bad = ~np.isfinite(x).all((-2, -1), keepdims=True)
    w, v = np.linalg.eig(np.where(bad, x.dtype.type(0), x))
    if x.dtype in PARTS and np.iscomplexobj(v):
        v = np.where((np.imag(w) < 0)[..., None, :], np.imag(v), np.real(v))
    q = np.linalg.qr(v)[0].astype(x.dtype)
    t = np.where(bad, np.nan, q.conj().swapaxes(-1, -2) @ x @ q)
    low = np.tril(np.ones(x.shape[-2:], bool), -2 if x.dtype in PARTS else -1)
    outs = [np.where(low & ~bad, 0, t), np.where(bad, np.nan, q)]
    return [o.astype(x.dtype) for o in (outs if vectors else outs[:1])]


schur_p.fill(
    abstract=_schur_abstract,
    impl=_np_schur,
    jvp=Refused("nobody has a rule; differentiate sqrtm's equation, or eig, instead"),
    transpose=NOT_LINEAR,
    batch=over_leading_axes(schur_p),
    mil=by_lapack("schur", "x"),
    native_eager=True,
)

# --- faces ------------------------------------------------------------------------------------------------------------


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: Any = None,
    use_magma: bool | None = None,
) -> list[Any]:
    """[w, vl, vr] of square matrices [..., n, n]: ``x`` vr = vr diag(w) and vl^H ``x`` = diag(w) vl^H.

    Args:
        x: float32, float64, or complex of either.
        compute_left_eigenvectors, compute_right_eigenvectors: whether vl and vr are among the results.
        enable_eigvec_derivs: whether eigenvectors have derivatives. They hold where eigenvalues differ and the
            greatest element of each vector is one alone, which nothing checks.
        implementation, use_magma: accepted for compatibility.

    Returns:
        Complex eigenvalues [..., n] in no order, and eigenvectors [..., n, n] as columns of length 1 whose greatest
        element is real. NaN where a matrix has elements that are not finite.
    """
    left, right = bool(compute_left_eigenvectors), bool(compute_right_eigenvectors)
    return eig_p.bind(x, left=left, right=right, enable_eigvec_derivs=bool(enable_eigvec_derivs))


def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Any = None,
) -> list[Any]:
    """[T, Q] with Q T Q^H = ``x`` and Q unitary, of square matrices [..., n, n]; [T] without the vectors.

    T is upper triangular for complex ``x``; for real ones T and Q are real, and conjugate pairs of eigenvalues are
    blocks of 2 x 2 on T's diagonal. NaN where a matrix has elements that are not finite.
    """
    if sort_eig_vals or select_callable is not None:
        raise RefusedError("[schur] eigenvalues cannot be sorted: a native program cannot call Python.")
    return schur_p.bind(x, vectors=bool(compute_schur_vectors))
