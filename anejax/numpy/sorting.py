"""Sorting and searching: sort, argsort, partition, searchsorted, and counts of elements in bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.at import IndexUpdateRef
from anejax.numpy.creation import asarray, linspace, zeros
from anejax.numpy.operands import as_array, astype, finish, one_axis, promote, refuse, strong
from anejax.numpy.shaping import concatenate, ravel
from anejax.numpy.taking import take
from anejax.ops import arithmetic, reduce, shape
from anejax.ops.sort import sort as sort_arrays


def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Array:
    """``a`` in ascending order along ``axis`` (of the flattened array when None); NaN comes last.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.sort(jnp.array([3, 1, 2]))
        Array([1, 2, 3], dtype=int32)
    """
    refuse("sort", kind=kind, order=order)
    x = ravel(a) if axis is None else as_array("sort", a)
    i = one_axis("sort", -1 if axis is None else axis, x.ndim)
    out = sort_arrays(x, i)
    return shape.rev(out, (i,)) if descending else out


def argsort(
    a: Any, axis: int | None = -1, *, kind: None = None, order: None = None, stable: bool = True,
    descending: bool = False, dtype: Any = None,
) -> Array:  # fmt: skip
    """The indices that sort ``a`` along ``axis``; equal elements keep their order. int32."""
    refuse("argsort", kind=kind, order=order)
    x = ravel(a) if axis is None else as_array("argsort", a)
    i = one_axis("argsort", -1 if axis is None else axis, x.ndim)
    index_dtype = dtypes.canonical(dtype if dtype is not None else dtypes.int64)
    places = shape.broadcasted_iota(index_dtype, x.shape, i)
    if descending:
        x, places = shape.rev(x, (i,)), shape.rev(places, (i,))
    _, found = sort_arrays((x, places), i, num_keys=1)
    return shape.rev(found, (i,)) if descending else found


def partition(a: Any, kth: int, axis: int = -1) -> Array:
    """``a`` with the ``kth`` smallest element in its sorted place along ``axis``, smaller ones before it."""
    _check_kth("partition", a, kth, axis)
    return sort(a, axis)


def argpartition(a: Any, kth: int, axis: int = -1) -> Array:
    """The indices that partition ``a``; see ``partition``."""
    _check_kth("argpartition", a, kth, axis)
    return argsort(a, axis, dtype=dtypes.int32)


def _check_kth(op: str, a: Any, kth: int, axis: int) -> None:
    x = as_array(op, a)
    shape.check_axis(op, kth, x.shape[one_axis(op, axis, x.ndim)])


def lexsort(keys: Any, axis: int = -1) -> Array:
    """The indices that sort by the last of ``keys``, then by the one before it, and so on."""
    xs = [as_array("lexsort", k) for k in keys]
    if len({x.shape for x in xs}) != 1:
        raise ShapeError(f"[lexsort] expected keys of one shape, got {', '.join(str(x.aval) for x in xs) or 'none'}.")
    if xs[0].ndim == 0:
        return zeros((), dtypes.int64)
    i = one_axis("lexsort", axis, xs[0].ndim)
    places = shape.broadcasted_iota(dtypes.int64, xs[0].shape, i)
    return sort_arrays((*reversed(xs), places), i, num_keys=len(xs))[-1]


def sort_complex(a: Any) -> Array:
    """The elements as complex numbers in ascending order along the last axis: by real, then by imaginary part."""
    x = sort(a)
    return strong(astype(x, dtypes.complex_of(x.dtype)))


# --- searching ----------------------------------------------------------------------------------------------------

_COMPARE_ALL = 1 << 14  # up to so many pairs are compared at once; beyond, by bisection


_METHODS = ("compare_all", "scan", "scan_unrolled", "sort")


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Array:
    """The index at which each ``v`` would be inserted in the sorted rank-1 ``a``, before equal elements ("left") or
    after.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.searchsorted(jnp.array([1, 2, 2, 3]), 2, side="right")
        Array(3, dtype=int32)
    """
    if side not in ("left", "right"):
        raise ValueError(f"[searchsorted] expected side 'left' or 'right', got {side!r}.")
    if method not in _METHODS:
        raise ValueError(f"[searchsorted] expected a method among {', '.join(_METHODS)}, got {method!r}.")
    x, values = (as_array("searchsorted", o) for o in promote("searchsorted", a, v))
    if x.ndim != 1:
        raise ShapeError(f"[searchsorted] expected a sorted rank-1 array, got {x.aval}.")
    if sorter is not None:
        x = take(x, sorter)
    n = x.shape[0]
    kind = dtypes.int32
    if n == 0:
        return zeros(values.shape, kind)
    below = _before if side == "left" else _not_after
    if n * values.size <= _COMPARE_ALL:
        pairs = (*values.shape, n)
        wide = shape.broadcast_in_dim(values, pairs, range(values.ndim))
        count = below(shape.broadcast_to(x, pairs), wide)
        return reduce.reduce_sum(astype(count, kind), (values.ndim,))
    return _bisect(x, values, below, kind)


def _before(a: Any, v: Any) -> Any:
    """``a`` sorts before ``v``; NaN after all else."""
    if a.dtype in dtypes.COMPLEX:  # by real part, then by imaginary part
        less, more = _before(a.real, v.real), _before(v.real, a.real)
        return arithmetic.or_(less, arithmetic.and_(ew.logical_not(more), _before(a.imag, v.imag)))
    less = arithmetic.lt(a, v)
    if a.dtype not in dtypes.FLOATS:
        return less
    return arithmetic.or_(less, arithmetic.and_(arithmetic.ne(v, v), arithmetic.eq(a, a)))


def _not_after(a: Any, v: Any) -> Any:
    return ew.logical_not(_before(v, a))


def _bisect(x: Any, values: Any, below: Any, kind: np.dtype) -> Any:
    """The count of elements below each value, bit by bit from the highest."""
    n = x.shape[0]
    found = shape.full(values.shape, np.zeros((), kind))
    for bit in reversed(range(n.bit_length())):
        step = np.asarray(1 << bit, kind)
        trial = arithmetic.add(found, step)
        last = arithmetic.sub(trial, np.ones((), kind))
        inside = arithmetic.le(trial, np.asarray(n, kind))
        element = take(x, last, mode="clip")
        found = ew._select("searchsorted", arithmetic.and_(inside, below(element, values)), trial, found)
    return finish(found)


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Array:
    """The number of the bin of each ``x``: i where ``bins[i-1] <= x < bins[i]``, of descending bins where
    ``bins[i-1] > x >= bins[i]``; with ``right`` the other edge of each bin belongs to it."""
    edges = as_array("digitize", bins)
    if edges.ndim != 1:
        raise ShapeError(f"[digitize] expected rank-1 bins, got {edges.aval}.")
    n = edges.shape[0]
    side = "left" if right else "right"
    if n == 0:
        return zeros(aval_of(x).shape, dtypes.int32)
    up = searchsorted(edges, x, side)
    down = ew.subtract(np.asarray(n, up.dtype), searchsorted(shape.rev(edges, (0,)), x, side))
    descending = arithmetic.lt(edges[n - 1], edges[0])  # False where the last bin is NaN, which sorts last
    return ew._select("digitize", descending, down, up)


# --- counting -----------------------------------------------------------------------------------------------------


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None, out_sharding: Any = None
) -> Array:
    """Counts each integer from 0 on in ``x``, or sums its ``weights``. Under jit, ``length`` is required."""
    values = as_array("bincount", x)
    values = astype(values, dtypes.int32) if values.dtype == dtypes.bool_ else values
    if values.dtype not in dtypes.INTS:
        raise DtypeError(f"[bincount] expected integers, got {values.aval}.")
    if values.ndim != 1:
        raise ShapeError(f"[bincount] expected rank 1, got {values.aval}.")
    if length is None:
        host = np.asarray(values)
        length = max(minlength, int(host.max()) + 1 if host.size else 0)
    if weights is None:
        amounts: Any = np.ones((), dtypes.canonical(dtypes.int64))
    else:
        amounts = as_array("bincount", weights)
        if amounts.shape != values.shape:
            raise ShapeError(f"[bincount] expected weights of the shape of {values.aval}, got {amounts.aval}.")
    kind = aval_of(amounts).dtype
    empty = shape.full((length,), np.zeros((), kind))
    return IndexUpdateRef(finish(empty), ew.maximum(values, 0)).add(amounts) if length else zeros((0,), kind)


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:
    """The edges of ``bins`` equal bins over ``range``, the least and greatest element by default."""
    if isinstance(bins, str):
        raise RefusedError("[histogram_bin_edges] bins given as text are not supported.")
    (x,) = ew.promote_inexact("histogram", a)
    x = as_array("histogram", x)
    if np.ndim(bins) == 1:
        return as_array("histogram", astype(asarray(bins), x.dtype))
    if range is not None:
        low, high = (astype(asarray(r), x.dtype) for r in range)
    elif x.size:
        low, high = red.min(x), red.max(x)
    else:
        low, high = asarray(0.0, x.dtype), asarray(1.0, x.dtype)
    flat = arithmetic.eq(low, high)
    half = np.asarray(0.5, x.dtype)
    low = ew._select("histogram", flat, arithmetic.sub(low, half), low)
    high = ew._select("histogram", flat, arithmetic.add(high, half), high)
    return linspace(low, high, int(bins) + 1, dtype=x.dtype)


def histogram(a: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None) -> Any:
    """(counts, edges): the number of elements, or the sum of their weights, in each bin. The last bin has both
    edges."""
    edges = histogram_bin_edges(a, bins, range, weights)
    if weights is not None and aval_of(weights).shape != aval_of(a).shape:
        raise ShapeError(f"[histogram] expected weights of the shape of {aval_of(a)}, got {aval_of(weights)}.")
    return _counted("histogram", [ravel(a)], [edges], weights, density, edges.dtype), edges


def _counted(
    op: str, columns: Sequence[Any], edges: Sequence[Any], weights: Any, density: bool | None, kind: np.dtype
) -> Array:
    """Counts over the grid of bins that ``edges`` span, of points whose coordinates are ``columns``."""
    columns = [as_array(op, astype(c, e.dtype)) for c, e in zip(columns, edges)]
    lengths = [e.shape[0] - 1 for e in edges]
    flat: Any = np.zeros((), np.int32)
    inside: Any = np.asarray(True)
    for c, e, n in zip(columns, edges, lengths):
        place = ew.subtract(searchsorted(e, c, "right"), 1)
        place = ew._select(
            op, arithmetic.eq(c, shape.broadcast_to(e[n], c.shape)), np.asarray(n - 1, place.dtype), place
        )
        inside = ew.logical_and(inside, ew.logical_and(ew.greater_equal(place, 0), ew.less(place, n)))
        flat = ew.add(ew.multiply(flat, n), place)
    total = int(np.prod(lengths))
    amounts = np.ones((), kind) if weights is None else astype(ravel(weights), kind)
    target = ew._select(op, inside, flat, np.asarray(total, np.int32))
    counts = IndexUpdateRef(zeros((total,), kind), target).add(amounts)
    counts = shape.reshape(counts, lengths)
    if density:
        volume: Any = np.ones((), kind)
        for i, e in enumerate(edges):
            width = red.diff(e)
            volume = ew.multiply(
                volume, shape.reshape(width, [lengths[i] if j == i else 1 for j in range_(len(lengths))])
            )
        counts = ew.true_divide(ew.true_divide(counts, volume), red.sum(counts))
    return counts


range_ = range


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Array, list[Array]]:
    """(counts, edges of each axis) of the points that are the rows of ``sample`` [n, d]."""
    (points,) = ew.promote_inexact("histogramdd", sample)
    points = as_array("histogramdd", points)
    if points.ndim != 2:
        raise ShapeError(f"[histogramdd] expected points [n, d], got {points.aval}.")
    d = points.shape[1]
    bins = list(bins) if isinstance(bins, (list, tuple)) else [bins] * d
    ranges = [None] * d if range is None else list(range)
    if len(bins) != d or len(ranges) != d:
        raise ShapeError(f"[histogramdd] expected bins and ranges for {d} axes, got {len(bins)} and {len(ranges)}.")
    if weights is not None and aval_of(weights).shape != points.shape[:1]:
        raise ShapeError(f"[histogramdd] expected a weight for each point of {points.aval}, got {aval_of(weights)}.")
    columns = [points[:, i] for i in range_(d)]
    edges = [histogram_bin_edges(c, b, r) for c, b, r in zip(columns, bins, ranges)]
    kind = dtypes.canonical(dtypes.int64) if weights is None and not density else points.dtype
    return _counted("histogramdd", columns, edges, weights, density, kind), edges


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Array, Array, Array]:
    """(counts, edges of x, edges of y) of the points (x, y)."""
    points = concatenate([shape.expand_dims(ravel(v), (1,)) for v in (x, y)], 1)
    if isinstance(bins, (list, tuple)) and len(bins) != 2:
        bins = [bins, bins]
    counts, (first, second) = histogramdd(points, bins, range, weights, density)
    return counts, first, second
