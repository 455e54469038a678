"""Quantiles, percentiles and medians."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.operands import Axis, as_array, astype, axes_of, promote_inexact, refuse
from anejax.numpy.sorting import argsort, sort
from anejax.numpy.taking import take_along_axis
from anejax.ops import arithmetic, shape

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """The ``q``-quantiles (q a number or an array in [0, 1]) over ``axis``; NaN where there is a NaN.

    If ``q`` is beyond 0 or 1, the result is the least or the greatest element.

    Args:
        method: between two elements: "linear", "lower", "higher", "midpoint", "nearest".

    Returns:
        The axes of ``q``, then those that are left of ``a``.
    """
    return _quantile("quantile", a, q, axis, out, overwrite_input, method, keepdims, weights, False)


def nanquantile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """``quantile`` of the elements that are not NaN."""
    return _quantile("nanquantile", a, q, axis, out, overwrite_input, method, keepdims, weights, True)


def percentile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """``quantile`` with ``q`` in percent."""
    return quantile(a, _from_percent(a, q), axis, out, overwrite_input, method, keepdims, weights=weights)


def nanpercentile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """``nanquantile`` with ``q`` in percent."""
    return nanquantile(a, _from_percent(a, q), axis, out, overwrite_input, method, keepdims, weights=weights)


def median(a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """The middle element over ``axis``, or the mean of the middle two; NaN where there is a NaN."""
    return quantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def nanmedian(
    a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    """``median`` of the elements that are not NaN."""
    return nanquantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def _from_percent(a: Any, q: Any) -> Any:
    _, q = promote_inexact("percentile", a, q, checked=False)
    return ew.true_divide(q, 100)


def _quantile(
    op: str,
    a: Any,
    q: Any,
    axis: Axis,
    out: Any,
    overwrite: bool,
    method: str,
    keepdims: bool,
    weights: Any,
    skip: bool,
) -> Array:
    refuse(op, out=out, overwrite_input=overwrite)
    if weights is not None and method != "inverted_cdf":
        raise ValueError(f"[{op}] expected the method 'inverted_cdf' with weights, got {method!r}.")
    if method not in (*_METHODS, "inverted_cdf"):
        raise RefusedError(f"[{op}] expected method {', '.join(_METHODS)}, got {method!r}.")
    (x,) = promote_inexact(op, a)
    dtype = aval_of(x).dtype
    x, q = promote_inexact(op, x, q)
    x, q = as_array(op, x), as_array(op, q)
    if q.ndim > 1:
        raise ValueError(f"[{op}] expected a number or rank-1 q, got {q.aval}.")
    axes = axes_of(op, axis, x.ndim)
    lengths = x.shape
    if method == "inverted_cdf":
        w = shape.full(lengths, np.ones((), x.dtype)) if weights is None else as_array(op, weights)
        w = astype(red.weights_like(op, w, x, axis), x.dtype)
        x, w = _axes_last(x, axes), _axes_last(w, axes)
        values = _reached(x, w, q, skip)
    else:
        x = _axes_last(x, axes)
        values = _between(_sorted_for(x, skip), q, _present(x, skip), method)
    kept = tuple(1 if i in axes else n for i, n in enumerate(lengths)) if keepdims else x.shape[:-1]
    return astype(shape.reshape(values, q.shape + kept), dtype)


def _axes_last(x: Any, axes: tuple[int, ...]) -> Any:
    rest = [i for i in range(x.ndim) if i not in axes]
    count = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    return shape.reshape(shape.transpose(x, (*rest, *axes)), (*(x.shape[i] for i in rest), count))


def _sorted_for(x: Any, skip: bool) -> Any:
    """Sorted rows; unless NaN are skipped, a row with a NaN is all NaN."""
    if not skip:
        bad = red.any(ew.isnan(x), -1, keepdims=True)
        x = ew._select("quantile", bad, np.asarray(np.nan, x.dtype), x)
    return sort(x, -1)


def _present(x: Any, skip: bool) -> Any:
    """The number of elements of each row that count, as float, [..., 1]."""
    if not skip:
        return shape.full((*x.shape[:-1], 1), np.asarray(x.shape[-1], x.dtype))
    return red.sum(ew.logical_not(ew.isnan(x)), -1, x.dtype, keepdims=True)


def _reached(x: Any, weights: Any, q: Any, skip: bool) -> Any:
    """The least elements of rows up to which the weights are ``q`` of all or more: [*q.shape, *rows]."""
    missing = ew.isnan(x)
    if skip:
        weights = ew._select("quantile", missing, np.zeros((), x.dtype), weights)
    order = argsort(x, -1)
    x, weights = (take_along_axis(v, order, -1) for v in (x, weights))
    part = red.cumsum(weights, -1)
    part = ew.true_divide(part, part[..., -1:])
    part = ew._select("quantile", arithmetic.eq(part, np.zeros((), x.dtype)), np.asarray(-1, x.dtype), part)
    flat = shape.reshape(q, (q.size,))
    before = ew.less(part[..., None, :], shape.expand_dims(flat, (1,)))
    place = ew.minimum(red.sum(before, -1), max(x.shape[-1] - 1, 0))
    out = take_along_axis(x, place, -1, mode="clip")
    bad = ew.logical_or(ew.logical_or(ew.less(flat, 0), ew.greater(flat, 1)), ew.isnan(flat))
    if not skip:
        bad = ew.logical_or(red.any(missing, -1, keepdims=True), bad)
    out = ew._select("quantile", bad, np.asarray(np.nan, x.dtype), out)
    rank = aval_of(out).ndim
    return shape.transpose(out, (rank - 1, *range(rank - 1)))


def _between(x: Any, q: Any, count: Any, method: str) -> Any:
    """The elements of sorted rows at ``q`` of their ``count``, interpolated: [*q.shape, *rows]."""
    flat = shape.reshape(q, (q.size,))
    place = ew.multiply(flat, ew.subtract(count, 1))  # [..., number of q]
    low, high = ew.floor(place), ew.ceil(place)
    weight = ew.subtract(place, low)
    last = ew.maximum(ew.subtract(count, 1), 0)
    at = lambda p: take_along_axis(x, astype(ew.minimum(ew.maximum(p, 0), last), dtypes.int32), -1, mode="clip")  # noqa: E731
    lower, upper = at(low), at(high)
    if method == "linear":
        out = ew.add(ew.multiply(lower, ew.subtract(1, weight)), ew.multiply(upper, weight))
    elif method == "lower":
        out = lower
    elif method == "higher":
        out = upper
    elif method == "midpoint":
        out = ew.multiply(ew.add(lower, upper), np.asarray(0.5, x.dtype))
    else:
        out = ew._select("quantile", arithmetic.le(weight, np.asarray(0.5, x.dtype)), lower, upper)
    out = ew._select("quantile", ew.isnan(flat), np.asarray(np.nan, x.dtype), out)
    rank = aval_of(out).ndim
    return shape.transpose(out, (rank - 1, *range(rank - 1)))
