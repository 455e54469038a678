"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.linalg.solving import inv
from anejax.numpy.linalg.spectral import matrices, svdvals
from anejax.numpy.operands import Axis, as_array, axes_of, promote_inexact
from anejax.numpy.selection import where
from anejax.numpy.shaping import moveaxis
from anejax.ops import shape
from anejax.ops.matrix import conjugate


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Array:
    """The norm of a vector (one axis), of matrices (two), or of all elements when ``axis`` and ``ord`` are None.

    Args:
        ord: for vectors a number, inf, -inf (None: 2); for matrices "fro", 1, -1, inf, -inf, and of their
            singular values the greatest (2), the least (-2) or the sum ("nuc"). None: "fro".

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.linalg.norm(jnp.array([3.0, 4.0]))
        Array(5., dtype=float32)
    """
    (x,) = promote_inexact("norm", x)
    x = as_array("norm", x)
    if axis is None:
        if ord is None:
            return _keepdims(_euclidean(shape.reshape(x, (x.size,)), (0,), False), x.ndim, keepdims)
        if x.ndim not in (1, 2):
            raise ValueError(f"[norm] expected rank 1 or 2 when axis is None and ord is given, got {x.aval}.")
        axis = tuple(range(x.ndim))
    axes = axes_of("norm", axis, x.ndim)
    if len(axes) == 1:
        return _vector(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix(x, "fro" if ord is None else ord, axes, keepdims)
    raise ValueError(f"[norm] expected one axis or two, got {axes}.")


def _keepdims(x: Any, rank: int, keepdims: bool) -> Any:
    return shape.reshape(x, (1,) * rank) if keepdims else x


def _euclidean(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return ew.sqrt(red.sum(ew.real(ew.multiply(x, conjugate(x))), axes, keepdims=keepdims))


def _vector(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    size = ew.absolute(x)
    if ord == 2:
        return _euclidean(x, axes, keepdims)
    if ord == np.inf:
        return red.max(size, axes, keepdims=keepdims, initial=0)
    if ord == -np.inf:
        return red.min(size, axes, keepdims=keepdims, initial=np.inf)
    if ord == 0:
        return red.sum(ew.not_equal(x, 0), axes, size.dtype, keepdims=keepdims)
    if ord == 1:
        return red.sum(size, axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"[norm] expected a number as order of a vector norm, got {ord!r}.")
    return ew.power(red.sum(ew.power(size, ord), axes, keepdims=keepdims), ew.true_divide(1.0, ord))


def _matrix(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    rows, columns = axes
    size = ew.absolute(x)
    if ord in ("fro", "f"):
        return _euclidean(x, axes, keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        summed, over = (rows, columns) if ord in (1, -1) else (columns, rows)
        totals = red.sum(size, summed, keepdims=True)
        extreme = red.max if ord > 0 else red.min
        out = extreme(totals, over, keepdims=True)
        return out if keepdims else shape.squeeze(out, axes)
    if ord in (2, -2, "nuc"):
        values = svdvals(moveaxis(x, axes, (-2, -1)))
        out = {2: red.max, -2: red.min, "nuc": red.sum}[ord](values, -1)
        return shape.expand_dims(out, sorted(axes)) if keepdims else out
    raise ValueError(f"[norm] expected the order of a matrix norm, got {ord!r}.")


def vector_norm(x: Any, /, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The vector norm over ``axis``, one or several (all when None)."""
    (x,) = promote_inexact("vector_norm", x)
    x = as_array("vector_norm", x)
    return _vector(x, ord, axes_of("vector_norm", axis, x.ndim), keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norm of matrices [..., n, m]."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: Any, p: Any = None) -> Array:
    """The condition numbers of matrices [..., m, n]: by singular values (``p`` None, 2, -2), else |x| |inv(x)|.

    Infinite for singular matrices, NaN for those with NaN.
    """
    a = matrices("cond", x)
    if 0 in a.shape[-2:]:
        raise ShapeError(f"[cond] expected matrices with elements, got {a.aval}.")
    if p in (None, 2):
        s = svdvals(a)
        return ew.divide(s[..., 0], s[..., -1])
    if p == -2:
        s = svdvals(a)
        out = ew.divide(s[..., -1], s[..., 0])
    else:
        a = matrices("cond", a, True)
        out = ew.multiply(matrix_norm(a, ord=p), matrix_norm(inv(a), ord=p))
    lost = ew.logical_and(ew.isnan(out), ew.logical_not(red.any(ew.isnan(a), (-2, -1))))
    return where(lost, np.inf, out)
