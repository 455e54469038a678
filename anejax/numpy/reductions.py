"""Reductions: over axes, over elements that a mask chooses, ignoring NaN, and cumulative.

Integers narrower than 32 bits are summed and multiplied in 32 bits; 16-bit floats in float32, rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy.creation import asarray
from anejax.numpy.operands import (
    Axis,
    as_array,
    astype,
    axes_of,
    broadcast,
    inexact,
    one_axis,
    operand,
    refuse,
    strong,
)
from anejax.ops import arithmetic, reduce, shape

# --- the common frame ---------------------------------------------------------------------------------------------


def _reduce(
    op: str, fn: Callable[..., Any], a: Any, axis: Axis, keepdims: bool, identity: Any, initial: Any, where: Any,
    combine: Callable[..., Any],
) -> Array:  # fmt: skip
    """``fn`` over ``axis`` of an array of the right dtype already."""
    axes = axes_of(op, axis, aval_of(a).ndim)
    dtype = aval_of(a).dtype
    if where is not None:
        a = ew._select(op, _mask(op, where), a, np.asarray(identity, dtype))
    out = fn(a, axes)
    if initial is not None:
        start = as_array(op, initial)
        if start.ndim:
            raise ShapeError(f"[{op}] expected a scalar initial value, got {start.aval}.")
        out = combine(*broadcast(op, out, astype(start, dtype)))
    return _keep(strong(out), aval_of(a).shape, axes, keepdims)


def _mask(op: str, where: Any) -> Any:
    """``where``, which says by True and False which elements count."""
    mask = operand(op, where)
    if aval_of(mask).dtype != dtypes.bool_:
        raise DtypeError(f"[{op}] expected where to be an array of bools, got {aval_of(mask)}. Compare it with 0.")
    return mask


def _keep(x: Any, shape_in: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Any:
    if not keepdims:
        return x
    return shape.reshape(x, tuple(1 if i in axes else n for i, n in enumerate(shape_in)))


def _accumulator(op: str, dtype: np.dtype, asked: Any, promote_integers: bool) -> np.dtype:
    """The dtype in which ``sum`` and ``prod`` of ``dtype`` give their result."""
    if asked is not None:
        return dtypes.canonical(asked)
    if dtype == dtypes.bool_ or (promote_integers and dtype in dtypes.SIGNED):
        wide = dtypes.canonical(dtypes.int64)
    elif promote_integers and dtype in dtypes.UNSIGNED:
        wide = dtypes.canonical(dtypes.uint64)
    else:
        return dtype
    return wide if wide.itemsize > dtype.itemsize or dtype == dtypes.bool_ else dtype


def _no_bound(op: str, a: Any, axes: tuple[int, ...], initial: Any) -> None:
    if initial is None and 0 in [aval_of(a).shape[i] for i in axes]:
        raise ShapeError(f"[{op}] {aval_of(a)} has no elements along axis {axes}, and no `initial` was given.")


# --- sums and products --------------------------------------------------------------------------------------------


def sum(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """The sum over ``axis`` (all axes when None).

    Args:
        a: array of any shape.
        axis: an axis or several; negative ones count from the end.
        dtype: the dtype to sum in; int32 at least for integers when None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a scalar added to the sum.
        where: a bool array that broadcasts with ``a``: elements where it is False count as 0.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.sum(jnp.ones((2, 3)), axis=0)
        Array([2., 2., 2.], dtype=float32)
    """
    refuse("sum", out=out)
    x = as_array("sum", a)
    x = astype(x, _accumulator("sum", x.dtype, dtype, promote_integers))
    if x.dtype == dtypes.bool_:
        return any(x, axis, keepdims=keepdims, where=where)
    return _reduce("sum", reduce.reduce_sum, x, axis, keepdims, 0, initial, where, arithmetic.add)


def prod(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """The product over ``axis``; arguments as in ``sum``."""
    refuse("prod", out=out)
    x = as_array("prod", a)
    x = astype(x, _accumulator("prod", x.dtype, dtype, promote_integers))
    if x.dtype == dtypes.bool_:
        return all(x, axis, keepdims=keepdims, where=where)
    return _reduce("prod", reduce.reduce_prod, x, axis, keepdims, 1, initial, where, arithmetic.mul)


def _extremum(name: str, fn: Any, identity: Any, combine: Any, what: str) -> Callable[..., Array]:
    def function(
        a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
    ) -> Array:
        refuse(name, out=out)
        x = as_array(name, a)
        if where is not None and initial is None:
            raise ValueError(f"[{name}] `where` needs an `initial` value, the result where nothing is chosen.")
        _no_bound(name, x, axes_of(name, axis, x.ndim), initial)
        return _reduce(name, fn, x, axis, keepdims, identity(x.dtype), initial, where, combine)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {what} over ``axis`` (all axes when None). NaN wins.

    With ``where``, a bool array, only chosen elements count, and ``initial`` is needed.
    """
    return function


max = amax = _extremum("max", reduce.reduce_max, reduce.lowest, arithmetic.max, "maximum")
min = amin = _extremum("min", reduce.reduce_min, reduce.highest, arithmetic.min, "minimum")


def all(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Array:
    """Whether all elements over ``axis`` are true (not 0), as bool."""
    refuse("all", out=out)
    x = ew.to_bool(operand("all", a))
    return _reduce("all", reduce.reduce_and, x, axis, keepdims, True, None, where, arithmetic.and_)


def any(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Array:
    """Whether any element over ``axis`` is true (not 0), as bool."""
    refuse("any", out=out)
    x = ew.to_bool(operand("any", a))
    return _reduce("any", reduce.reduce_or, x, axis, keepdims, False, None, where, arithmetic.or_)


def count_nonzero(a: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """The number of elements that are not 0 over ``axis``, as int32."""
    return sum(ew.to_bool(operand("count_nonzero", a)), axis, dtypes.canonical(dtypes.int64), keepdims=keepdims)


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """Maximum minus minimum over ``axis``."""
    return ew.subtract(max(a, axis, out, keepdims), min(a, axis, keepdims=keepdims))


# --- means and spreads --------------------------------------------------------------------------------------------


def _compute_dtype(dtype: np.dtype) -> np.dtype:
    return dtypes.float32 if dtype in (dtypes.float16, dtypes.bfloat16) else dtype


def _count(x: Any, axis: Axis, keepdims: bool, where: Any, dtype: np.dtype) -> Any:
    axes = axes_of("mean", axis, x.ndim)
    if where is None:
        return np.asarray(math.prod(x.shape[i] for i in axes), dtype)
    chosen = shape.broadcast_to(_mask("mean", where), x.shape)
    return sum(chosen, axes, dtype, keepdims=keepdims)


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Array:
    """The arithmetic mean over ``axis`` (all axes when None); integers give floats.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.mean(jnp.arange(4))
        Array(1.5, dtype=float32)
    """
    refuse("mean", out=out)
    x = as_array("mean", a)
    result = dtypes.canonical(dtype) if dtype is not None else inexact(x.dtype)
    if result == dtypes.bool_:
        raise DtypeError(f"[mean] expected a dtype of numbers, got bool for {x.aval}.")
    compute = _compute_dtype(result)
    total = sum(x, axis, compute, keepdims=keepdims, where=where)
    return strong(astype(ew.true_divide(total, _count(x, axis, keepdims, where, compute)), result))


def var(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The variance over ``axis``: the mean square distance from the mean, with ``n - ddof`` in the denominator."""
    refuse("var", out=out)
    if correction is not None:
        if ddof:
            raise ValueError("[var] ddof and correction cannot both be given.")
        ddof = correction
    x = as_array("var", a)
    result = dtypes.canonical(dtype) if dtype is not None else dtypes.real_part(inexact(x.dtype))
    if result not in dtypes.INEXACT or (
        dtype is not None and x.dtype in dtypes.COMPLEX and result not in dtypes.COMPLEX
    ):
        raise DtypeError(f"[var] expected a float dtype (complex for complex arrays), got {result.name} for {x.aval}.")
    compute = _compute_dtype(inexact(x.dtype) if dtype is None else result)
    x = astype(x, compute)
    centre = (
        _mean(x, axis, dtype=compute, keepdims=True, where=where)
        if mean is None
        else astype(as_array("var", mean), compute)
    )
    squares = ew.squared_size(ew.subtract(x, centre))
    total = sum(squares, axis, keepdims=keepdims, where=where)
    part = dtypes.real_part(compute)
    count = ew.subtract(_count(x, axis, keepdims, where, part), np.asarray(ddof, part))
    return strong(astype(_divide_positive(total, count), result))


_mean = mean


def _divide_positive(total: Any, count: Any) -> Any:
    """``total / count``, NaN where the count is not positive."""
    zero = np.zeros((), aval_of(count).dtype)
    count = ew._select("var", arithmetic.gt(count, zero), count, np.asarray(np.nan, zero.dtype))
    return ew.true_divide(total, count)


def std(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The standard deviation over ``axis``: the square root of ``var``."""
    refuse("std", out=out)
    return ew.sqrt(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The mean over ``axis`` with ``weights``, of a's shape or of the lengths of the axes, in their order."""
    x = as_array("average", a)
    if weights is None:
        out = mean(x, axis, keepdims=keepdims)
        total = _count(x, axis, keepdims, None, out.dtype)
        return (out, shape.broadcast_to(as_array("average", total), out.shape)) if returned else out
    x, w = (as_array("average", v) for v in ew.promote_inexact("average", x, weights))
    w = weights_like("average", w, x, axis)
    total = sum(w, axis, keepdims=keepdims)
    out = ew.true_divide(sum(ew.multiply(x, w), axis, keepdims=keepdims), total)
    return (out, shape.broadcast_to(total, out.shape)) if returned else out


def weights_like(op: str, weights: Any, x: Any, axis: Axis) -> Any:
    """``weights``, of x's shape or of the lengths of the axes ``axis`` in their order, in x's shape."""
    if x.shape == weights.shape:
        return weights
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = () if axis is None else tuple(one_axis(op, i, x.ndim) for i in axes)
    if not axes or weights.shape != tuple(x.shape[i] for i in axes):
        raise ShapeError(f"[{op}] expected weights of the shape of {x.aval} or of its axes {axis}, got {weights.aval}.")
    ordered = shape.transpose(weights, tuple(np.argsort(axes)))
    return shape.broadcast_in_dim(ordered, x.shape, tuple(sorted(axes)))


# --- positions ----------------------------------------------------------------------------------------------------


def _position(name: str, fn: Any, what: str) -> Callable[..., Array]:
    def function(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Array:
        refuse(name, out=out)
        x = as_array(name, a)
        index_dtype = dtypes.canonical(dtypes.int64)
        if axis is None:
            found = fn(shape.reshape(x, (x.size,)), 0, index_dtype)
            return shape.reshape(found, (1,) * x.ndim) if keepdims else found
        i = one_axis(name, axis, x.ndim)
        return _keep(fn(x, i, index_dtype), x.shape, (i,), bool(keepdims))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The position of the first {what} along ``axis``, or in the flattened array. NaN wins. int32."
    return function


argmax = _position("argmax", reduce.argmax, "maximum")
argmin = _position("argmin", reduce.argmin, "minimum")


# --- ignoring NaN -------------------------------------------------------------------------------------------------


def _without_nan(op: str, a: Any, instead: Any) -> tuple[Any, Any]:
    """(``a`` with NaN replaced, where it was not NaN)."""
    x = as_array(op, a)
    present = ew.logical_not(ew.isnan(x))
    if x.dtype not in dtypes.INEXACT:
        return x, present
    return ew._select(op, present, x, np.asarray(instead, x.dtype)), present


def _nan_frame(name: str, plain: Any, instead: float) -> Callable[..., Array]:
    def function(
        a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
        where: Any = None,
    ) -> Array:  # fmt: skip
        return plain(_without_nan(name, a, instead)[0], axis, dtype, out, keepdims, initial, where)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{plain.__name__}`` of the elements that are not NaN."
    return function


nansum = _nan_frame("nansum", sum, 0)
nanprod = _nan_frame("nanprod", prod, 1)


def _nan_extremum(name: str, plain: Any, instead: float) -> Callable[..., Array]:
    def function(
        a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
    ) -> Array:
        x, present = _without_nan(name, a, instead)
        result = plain(x, axis, out, keepdims, initial, where)
        if x.dtype not in dtypes.FLOATS or initial is not None:
            return result
        none = ew.logical_not(any(present, axis, keepdims=keepdims, where=where))
        return ew._select(name, none, np.asarray(np.nan, x.dtype), result)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{plain.__name__}`` of the elements that are not NaN; NaN where there are none."
    return function


nanmax = _nan_extremum("nanmax", max, -np.inf)
nanmin = _nan_extremum("nanmin", min, np.inf)


def _nan_position(name: str, plain: Any, instead: float) -> Callable[..., Array]:
    def function(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Array:
        x, present = _without_nan(name, a, instead)
        found = plain(x, axis, out, keepdims)
        none = ew.logical_not(any(present, axis, keepdims=bool(keepdims)))
        return ew._select(name, none, np.asarray(-1, found.dtype), found)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{plain.__name__}`` of the elements that are not NaN; -1 where there are none."
    return function


nanargmax = _nan_position("nanargmax", argmax, -np.inf)
nanargmin = _nan_position("nanargmin", argmin, np.inf)


def _chosen(present: Any, where: Any) -> Any:
    return present if where is None else ew.logical_and(present, _mask("nanmean", where))


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, where: Any = None
) -> Array:
    """The mean of the elements that are not NaN."""
    x, present = _without_nan("nanmean", a, 0)
    return mean(x, axis, dtype, out, keepdims, where=_chosen(present, where))


def nanvar(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """The variance of the elements that are not NaN."""
    x, present = _without_nan("nanvar", a, 0)
    return var(x, axis, dtype, out, ddof, keepdims, where=_chosen(present, where), mean=mean)


def nanstd(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """The standard deviation of the elements that are not NaN."""
    return ew.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, where, mean))


# --- cumulative ---------------------------------------------------------------------------------------------------


def _cumulative(name: str, fn: Any, what: str, fill: float | None) -> Callable[..., Array]:
    def function(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
        refuse(name, out=out)
        x = as_array(name, a)
        if axis is None:
            x = shape.reshape(x, (x.size,))
        i = one_axis(name, 0 if axis is None else axis, x.ndim)
        if fill is not None:
            x = _without_nan(name, x, fill)[0]
        wide = dtypes.canonical(dtypes.int64)
        if dtype is not None and dtypes.canonical(dtype) == dtypes.bool_:  # counted, since -1 and 1 would cancel
            return ew.to_bool(fn(astype(strong(ew.to_bool(x)), wide), i))
        result = dtypes.canonical(dtype) if dtype is not None else x.dtype
        return fn(strong(astype(x, wide if result == dtypes.bool_ else result)), i)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The running {what} along ``axis``, or of the flattened array when None."
    return function


cumsum = _cumulative("cumsum", reduce.cumsum, "sum", None)
cumprod = _cumulative("cumprod", reduce.cumprod, "product", None)
nancumsum = _cumulative("nancumsum", reduce.cumsum, "sum, NaN counting as 0,", 0)
nancumprod = _cumulative("nancumprod", reduce.cumprod, "product, NaN counting as 1,", 1)


def _cumulative_api(name: str, plain: Any, identity: int) -> Callable[..., Array]:
    def function(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
        x = as_array(name, x)
        if axis is None and x.ndim != 1:
            raise ValueError(f"[{name}] expected an axis for an array of rank {x.ndim}.")
        i = one_axis(name, 0 if axis is None else axis, x.ndim)
        dtype = _accumulator(name, x.dtype, dtype, True)
        out = plain(x, i, dtype)
        if not include_initial:
            return out
        config = [(int(j == i), 0, 0) for j in range(x.ndim)]
        return shape.pad(out, np.asarray(identity, out.dtype), config)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""``{plain.__name__}`` along ``axis``, starting with {identity} when ``include_initial``.

    Integers below 32 bits (64 with x64) are widened, as the Array API standard asks.
    """
    return function


cumulative_sum = _cumulative_api("cumulative_sum", cumsum, 0)
cumulative_prod = _cumulative_api("cumulative_prod", cumprod, 1)


# --- comparisons of whole arrays ----------------------------------------------------------------------------------


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether ``|a - b| <= atol + rtol * |b|``, element by element; equal infinities are close."""
    x, y = ew.promote("isclose", a, b)
    if aval_of(x).dtype not in dtypes.INEXACT:
        x, y = ew.promote_inexact("isclose", x, y)
    x, y = broadcast("isclose", x, y)
    dtype = dtypes.real_part(aval_of(x).dtype)
    limit = ew.add(
        astype(operand("isclose", atol), dtype), ew.multiply(astype(operand("isclose", rtol), dtype), arithmetic.abs(y))
    )
    close = ew.less_equal(arithmetic.abs(arithmetic.sub(x, y)), limit)
    close = ew.logical_and(close, ew.logical_and(ew.isfinite(x), ew.isfinite(y)))
    close = ew.logical_or(close, ew.equal(x, y))
    return ew.logical_or(close, ew.logical_and(ew.isnan(x), ew.isnan(y))) if equal_nan else close


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether all elements are close; see ``isclose``."""
    return all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Array:
    """Whether two arrays have the same shape and elements."""
    x, y = asarray(a1), asarray(a2)
    if x.shape != y.shape:
        return as_array("array_equal", np.asarray(False))
    same = ew.equal(x, y)
    return all(ew.logical_or(same, ew.logical_and(ew.isnan(x), ew.isnan(y))) if equal_nan else same)


def array_equiv(a1: Any, a2: Any) -> Array:
    """Whether two arrays broadcast to equal elements."""
    x, y = asarray(a1), asarray(a2)
    try:
        return all(ew.equal(x, y))
    except ShapeError:
        return as_array("array_equiv", np.asarray(False))


# --- integrals and differences ------------------------------------------------------------------------------------


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """The ``n``-th differences of neighbours along ``axis``."""
    x = as_array("diff", a)
    if n < 0:
        raise ValueError(f"[diff] expected n >= 0, got {n}.")
    if n == 0:
        return x
    if x.ndim == 0:
        raise ShapeError("[diff] expected an array with an axis, got rank 0.")
    i = one_axis("diff", axis, x.ndim)
    parts = [_edge(x, prepend, i), x, _edge(x, append, i)]
    parts = [p for p in parts if p is not None]
    if len(parts) > 1:
        x = shape.concatenate([as_array("diff", p) for p in ew.promote("diff", *parts)], i)
    for _ in range(n):
        length = x.shape[i]
        if length == 0:
            break
        later = shape.slice_in_dim(x, 1, length, axis=i)
        earlier = shape.slice_in_dim(x, 0, length - 1, axis=i)
        x = arithmetic.ne(later, earlier) if x.dtype == dtypes.bool_ else arithmetic.sub(later, earlier)
    return x


def _edge(x: Any, value: Any, axis: int) -> Any:
    if value is None:
        return None
    value = as_array("diff", value)
    if value.ndim:
        return value
    return shape.broadcast_to(value, tuple(1 if i == axis else n for i, n in enumerate(x.shape)))


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """The differences of neighbours in the flattened array."""
    x = as_array("ediff1d", ary)
    if x.dtype == dtypes.bool_:
        raise DtypeError(f"[ediff1d] expected numbers, got {x.aval}. Convert with x.astype(int), or use logical_xor.")
    out = diff(shape.reshape(x, (x.size,)))
    flat = lambda v: shape.reshape(astype(as_array("ediff1d", v), out.dtype), (aval_of(as_array("ediff1d", v)).size,))  # noqa: E731
    parts = ([flat(to_begin)] if to_begin is not None else []) + [out] + ([flat(to_end)] if to_end is not None else [])
    return shape.concatenate(parts if len(parts) == 1 else list(map(strong, parts)), 0)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """The integral of samples ``y`` at positions ``x``, or ``dx`` apart, by the trapezoidal rule."""
    if x is None:
        (values,) = ew.promote_inexact("trapezoid", y)
        widths = astype(operand("trapezoid", dx), aval_of(values).dtype)
    else:
        values, positions = ew.promote_inexact("trapezoid", y, x)
        positions = as_array("trapezoid", positions)
        widths = diff(positions) if positions.ndim == 1 else _last(diff(positions, axis=axis), axis)
    values = _last(as_array("trapezoid", values), axis)
    n = values.shape[-1]
    later = shape.slice_in_dim(values, 1, n, axis=values.ndim - 1)
    earlier = shape.slice_in_dim(values, 0, n - 1, axis=values.ndim - 1)
    return ew.multiply(0.5, sum(ew.multiply(widths, ew.add(later, earlier)), -1))


def _last(x: Any, axis: int) -> Any:
    i = one_axis("trapezoid", axis, x.ndim)
    return shape.transpose(x, [j for j in range(x.ndim) if j != i] + [i])
