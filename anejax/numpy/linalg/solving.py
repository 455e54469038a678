"""Linear systems, inverses and determinants, by LU factorization."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import arange, eye, ones, zeros_like
from anejax.numpy.linalg.spectral import matrices
from anejax.numpy.linear import diagonal, matmul, trace
from anejax.numpy.operands import as_array, as_int, joint_shape, promote_inexact
from anejax.numpy.selection import where
from anejax.numpy.shaping import concatenate, ravel
from anejax.numpy.taking import take_along_axis
from anejax.numpy.types import iscomplexobj
from anejax.ops import linalg, shape


class SlogdetResult(NamedTuple):
    """The result of ``slogdet``: the determinant is sign * exp(logabsdet)."""

    sign: Array
    logabsdet: Array


# --- systems ----------------------------------------------------------------------------------------------------------


@custom_jvp
def _solve(a: Any, b: Any) -> Any:
    return linalg.solve(a, b)


@_solve.defjvp
def _solve_jvp(primals: Any, tangents: Any) -> Any:
    """x' = inv(A) (b' - A' x), with the factors of A."""
    (a, b), (da, db) = primals, tangents
    lu, _, permutation = linalg.lu(a)
    x = linalg.solve_factored(lu, permutation, b)
    return x, linalg.solve_factored(lu, permutation, ew.subtract(db, matmul(da, x)))


def solve(a: Any, b: Any) -> Array:
    """The x with ``a`` x = ``b``, for square matrices ``a`` [..., n, n] and ``b`` [n] or [..., n, k].

    The leading axes broadcast. Infinite or NaN where a matrix is singular.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.linalg.solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0]))
        Array([1. , 0.5], dtype=float32)
    """
    a, b = promote_inexact("solve", a, b)
    x, y = matrices("solve", a, True), as_array("solve", b)
    if y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ShapeError(
            f"[solve] expected b [n] or [..., n, k] for a {x.aval}, got {y.aval}."
            " Vectors in a batch need an axis: b[..., None]."
        )
    columns = y if y.ndim > 1 else shape.expand_dims(y, (1,))
    lead = joint_shape("solve", [x.shape[:-2], columns.shape[:-2]])
    x, columns = (shape.broadcast_to(o, lead + o.shape[-2:]) for o in (x, columns))
    out = _solve(x, columns)
    return out if y.ndim > 1 else shape.squeeze(out, (out.ndim - 1,))


def inv(a: Any) -> Array:
    """The inverses of square matrices [..., n, n]; infinite or NaN if a matrix is singular."""
    x = matrices("inv", a, True)
    return solve(x, shape.broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape))


def tensorsolve(a: Any, b: Any, axes: tuple[int, ...] | None = None) -> Array:
    """The x with tensordot(``a``, x, x.ndim) = ``b``; ``axes`` of ``a`` are moved to its end first."""
    x, y = as_array("tensorsolve", a), as_array("tensorsolve", b)
    if axes is not None:
        x = _to_the_end(x, axes)
    out = x.shape[y.ndim :]
    if x.shape[: y.ndim] != y.shape or y.size != math.prod(out):
        raise ShapeError(f"[tensorsolve] expected a that maps to b and back, got {x.aval} and {y.aval}.")
    return shape.reshape(solve(shape.reshape(x, (y.size, y.size)), ravel(y)), out)


def _to_the_end(x: Any, axes: tuple[int, ...]) -> Any:
    gone = [a % x.ndim for a in axes]
    return shape.transpose(x, [i for i in range(x.ndim) if i not in gone] + gone)


def tensorinv(a: Any, ind: int = 2) -> Array:
    """The inverse of ``a`` as a map from its last axes to its first ``ind``."""
    x, ind = as_array("tensorinv", a), as_int("tensorinv", ind, "ind")
    rows, columns = x.shape[: max(ind, 0)], x.shape[max(ind, 0) :]
    if ind <= 0 or math.prod(rows) != math.prod(columns):
        raise ShapeError(f"[tensorinv] expected as many elements before as after axis {ind}, got {x.aval}.")
    return shape.reshape(inv(shape.reshape(x, (math.prod(rows), math.prod(columns)))), columns + rows)


# --- determinants -----------------------------------------------------------------------------------------------------


def _swaps(pivots: Any) -> Any:
    """The number of exchanged rows."""
    return red.sum(ew.not_equal(pivots, arange(pivots.shape[-1], dtype=pivots.dtype)), -1)


def _even(count: Any, dtype: Any) -> Any:
    """1 for an even count, -1 for an odd one."""
    return ew.astype_(ew.subtract(1, ew.multiply(2, ew.remainder(count, 2))), dtype)


@custom_jvp
def _slogdet(x: Any) -> Any:
    lu, pivots, _ = linalg.lu(x)
    diag = diagonal(lu, 0, -2, -1)
    singular = red.any(ew.equal(diag, 0), -1)
    if iscomplexobj(x):
        sign = ew.multiply(_even(_swaps(pivots), x.dtype), red.prod(ew.sign(diag), -1))
    else:
        sign = _even(ew.add(_swaps(pivots), red.sum(ew.less(diag, 0), -1)), x.dtype)
    logdet = where(singular, -np.inf, red.sum(ew.log(ew.absolute(diag)), -1))
    return ew.astype_(where(singular, 0.0, sign), x.dtype), ew.astype_(logdet, dtypes.real_part(x.dtype))


@_slogdet.defjvp
def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    sign, logdet = _slogdet(x)
    turn = trace(solve(x, dx), 0, -2, -1)
    if not iscomplexobj(x):
        return (sign, logdet), (zeros_like(sign), turn)
    return (sign, logdet), (ew.multiply(sign, ew.subtract(turn, ew.real(turn))), ew.real(turn))


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """Sign and logarithm of the absolute determinant of square matrices [..., n, n]; 0 and -inf for singular ones.

    For complex matrices the sign is a number of absolute value 1.

    ``method``: None or "lu", the only one here.
    """
    if method not in (None, "lu"):
        raise ValueError(f"[slogdet] expected the method 'lu', got {method!r}.")
    return SlogdetResult(*_slogdet(matrices("slogdet", a, True)))


@custom_jvp
def _det(x: Any) -> Any:
    lu, pivots, _ = linalg.lu(x)
    return ew.multiply(red.prod(diagonal(lu, 0, -2, -1), -1), _even(_swaps(pivots), x.dtype))


@_det.defjvp
def _det_jvp(primals: Any, tangents: Any) -> Any:
    """det' = trace(adj(A) A'). Also where A has rank n - 1: there det is 0 and its derivative is not.

    With P A = L U, adj(U) y solves U z = det(U) y, in whose last row u_nn is in both det(U) and U: without it there,
    nothing is divided by 0. A matrix of lower rank has adjugate 0.
    """
    (x,), (dx,) = primals, tangents
    if x.shape[-1] < 2:
        return _det(x), trace(dx, 0, -2, -1) if x.shape[-1] else red.sum(dx, (-2, -1))
    lu, pivots, permutation = linalg.lu(x)
    partial = ew.multiply(red.cumprod(diagonal(lu, 0, -2, -1), -1), _even(_swaps(pivots), x.dtype)[..., None])
    upper = lu.at[..., -1, -1].set(ew.divide(1.0, partial[..., -2]))
    rank = linalg.triangular_solve(upper, ones((*x.shape[:-1], 1), x.dtype), left_side=True)
    lost = ew.logical_not(red.all(ew.isfinite(rank), (-2, -1), keepdims=True))
    y = take_along_axis(where(lost, 0.0, dx), shape.broadcast_to(permutation[..., None], x.shape), -2)
    y = linalg.triangular_solve(upper, y, left_side=True, lower=True, unit_diagonal=True)
    y = concatenate([ew.multiply(y[..., :-1, :], partial[..., -1, None, None]), y[..., -1:, :]], -2)
    z = where(lost, 0.0, linalg.triangular_solve(upper, y, left_side=True))
    return partial[..., -1], trace(z, 0, -2, -1)


def det(a: Any) -> Array:
    """The determinants of square matrices [..., n, n]; differentiable even if a matrix is singular."""
    x = matrices("det", a, True)
    at = lambda i, j: x[..., i, j]  # noqa: E731
    if x.shape[-1] == 2:
        return at(0, 0) * at(1, 1) - at(0, 1) * at(1, 0)
    if x.shape[-1] == 3:
        minors = (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1), at(1, 2) * at(2, 0) - at(1, 0) * at(2, 2),
                  at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0))  # fmt: skip
        return at(0, 0) * minors[0] + at(0, 1) * minors[1] + at(0, 2) * minors[2]
    return _det(x)
