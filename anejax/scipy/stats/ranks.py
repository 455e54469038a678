"""Statistics of samples: ranks, modes and standard errors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import as_array, one_axis, promote_inexact

RANKS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """The most frequent values, and how often they are there."""

    mode: Array
    count: Array


def _check_policy(op: str, nan_policy: str) -> None:
    if nan_policy in ("omit", "raise"):
        raise RefusedError(f"[{op}] nan_policy {nan_policy!r} is not supported: look for NaN outside, by jnp.isnan.")
    if nan_policy != "propagate":
        raise ShapeError(f"[{op}] expected nan_policy 'propagate', 'omit' or 'raise', got {nan_policy!r}.")


def _ties(ordered: Array) -> tuple[Array, Array, Array]:
    """(whether a value begins, place of the first equal one, of the last) for every place along the last axis."""
    n = ordered.shape[-1]
    nan = jnp.not_equal(ordered, ordered)
    change = ~((ordered[..., 1:] == ordered[..., :-1]) | (nan[..., 1:] & nan[..., :-1]))
    edge = jnp.ones((*ordered.shape[:-1], 1), bool)
    begins, ends = jnp.concatenate([edge, change], -1), jnp.concatenate([change, edge], -1)
    places = jnp.broadcast_to(jnp.arange(n), ordered.shape)
    first = lax.cummax(jnp.where(begins, places, 0), axis=ordered.ndim - 1)
    last = lax.cummin(jnp.where(ends, places, n - 1), axis=ordered.ndim - 1, reverse=True)
    return begins, first, last


def mode(a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False) -> ModeResult:
    """The most frequent value along ``axis``, of several the least, and its count. NaN count as equal.

    If there are no values, NaN and 0.0. Only ``nan_policy="propagate"`` is supported.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.scipy import stats
        >>> stats.mode(jnp.array([3, 1, 3, 2]))
        ModeResult(mode=Array(3, dtype=int32), count=Array(2, dtype=int32))
    """
    _check_policy("mode", nan_policy)
    x = jnp.atleast_1d(as_array("mode", a))
    kept = (1,) * x.ndim if axis is None else None
    if axis is None:
        x, axis = x.ravel(), 0
    axis = one_axis("mode", axis, x.ndim)
    shape = kept or (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    if x.size == 0 and x.shape[axis] == 0:
        empty = jnp.zeros((*x.shape[:axis], *x.shape[axis + 1 :]), float)
        values, counts = empty + math.nan, empty
    else:
        ordered = jnp.sort(jnp.moveaxis(x, axis, -1), axis=-1)
        _, first, last = _ties(ordered)
        counts = last - first + 1
        best = jnp.argmax(counts, -1, keepdims=True)
        values, counts = (jnp.take_along_axis(v, best, -1)[..., 0] for v in (ordered, counts))
    return ModeResult(values.reshape(shape), counts.reshape(shape)) if keepdims else ModeResult(values, counts)


def rankdata(a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate") -> Array:
    """Ranks from 1, as floats, of the elements of ``a`` flattened, or along ``axis``; NaN where there is a NaN.

    Equal elements share their "average", "min" or "max" rank; "dense" ranks have no gaps, "ordinal" ones are those of
    a stable sort. Only ``nan_policy="propagate"`` is supported.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.scipy import stats
        >>> stats.rankdata(jnp.array([3.0, 1.0, 3.0]))
        Array([2.5, 1. , 2.5], dtype=float32)
    """
    _check_policy("rankdata", nan_policy)
    if method not in RANKS:
        raise ShapeError(f"[rankdata] expected a method of {', '.join(RANKS)}, got {method!r}.")
    x = as_array("rankdata", a)
    x, axis = (x.ravel(), 0) if axis is None else (x, one_axis("rankdata", axis, x.ndim))
    x = jnp.moveaxis(x, axis, -1)
    dtype = dtypes.canonical(np.dtype(float))
    order = jnp.argsort(x, axis=-1, stable=True)
    begins, first, last = _ties(jnp.take_along_axis(x, order, -1))
    ranks = {
        "average": lambda: 0.5 * (first + last).astype(dtype) + 1,
        "min": lambda: first + 1,
        "max": lambda: last + 1,
        "dense": lambda: jnp.cumsum(begins, -1),
        "ordinal": lambda: jnp.broadcast_to(jnp.arange(1, x.shape[-1] + 1), x.shape),
    }[method]().astype(dtype)  # fmt: skip
    ranks = jnp.take_along_axis(ranks, jnp.argsort(order, axis=-1), -1)
    ranks = jnp.where(jnp.any(jnp.not_equal(x, x), -1, keepdims=True), math.nan, ranks)
    return jnp.moveaxis(ranks, -1, axis)


def sem(a: Any, axis: int | None = 0, ddof: int = 1, nan_policy: str = "propagate", *, keepdims: bool = False) -> Array:
    """The standard error of the mean along ``axis``, with ``ddof`` degrees of freedom lost; "omit" leaves out NaN.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.scipy import stats
        >>> stats.sem(jnp.array([1.0, 3.0]))
        Array(1., dtype=float32)
    """
    (x,) = (jnp.asarray(v) for v in promote_inexact("sem", a))
    if nan_policy == "propagate":
        size = x.size if axis is None else x.shape[one_axis("sem", axis, x.ndim)]
        return jnp.std(x, axis, ddof=ddof, keepdims=keepdims) / np.sqrt(size).astype(x.dtype)
    if nan_policy == "omit":
        count = jnp.sum(~jnp.isnan(x), axis, keepdims=keepdims)
        return jnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims) / jnp.sqrt(count).astype(x.dtype)
    raise ShapeError(f"[sem] expected nan_policy 'propagate' or 'omit', got {nan_policy!r}.")
