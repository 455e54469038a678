"""Sets: unique elements, unions, intersections and differences. Under ``jit`` the size of results must be given."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import full, zeros
from anejax.numpy.operands import (
    as_array,
    as_int,
    astype,
    axes_of,
    counted,
    finish,
    is_scalar,
    one_axis,
    promote,
    strong,
)  # fmt: skip
from anejax.numpy.shaping import concatenate, moveaxis, ravel
from anejax.numpy.sorting import lexsort, searchsorted, sort
from anejax.numpy.taking import nonzero, put_along_axis, take
from anejax.ops import arithmetic, reduce, shape


class UniqueAll(NamedTuple):
    """The result of ``unique_all``."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """The result of ``unique_counts``."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """The result of ``unique_inverse``."""

    values: Array
    inverse_indices: Array


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, size: int | None = None, fill_value: Any = None,
    sorted: bool = True,
) -> Any:  # fmt: skip
    """The different elements of ``ar`` (slices along ``axis``), sorted; also first indices, inverse and counts.

    Under ``jit`` give ``size``: further elements are cut, and missing ones are ``fill_value`` (the first element by
    default).

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.unique(jnp.array([3, 1, 3]))
        Array([1, 3], dtype=int32)
    """
    x = _settled(as_array("unique", ar))
    i = None if axis is None else one_axis("unique", axis, x.ndim)
    rows = shape.reshape(x, (x.size, 1)) if i is None else _rows(x, i)
    found = _unique_rows(rows, equal_nan, size, fill_value)
    values = ravel(found.values) if i is None else _unrows(found.values, x, i)
    inverse = shape.reshape(found.inverse_indices, x.shape) if i is None else found.inverse_indices
    out = [values] + [found.indices] * return_index + [inverse] * return_inverse + [found.counts] * return_counts
    return out[0] if len(out) == 1 else tuple(out)


def _rows(x: Any, axis: int) -> Any:
    moved = moveaxis(x, axis, 0)
    n = moved.shape[0]
    return shape.reshape(moved, (n, moved.size // n if n else 0))


def _unrows(rows: Any, x: Any, axis: int) -> Any:
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    return moveaxis(shape.reshape(rows, (rows.shape[0], *rest)), 0, axis)


def _unique_rows(rows: Any, equal_nan: bool, size: int | None, fill_value: Any) -> UniqueAll:
    n, m = rows.shape
    kind = dtypes.canonical(dtypes.int64)
    if n == 0:
        empty = zeros((0,), kind)
        return _filled(UniqueAll(rows, empty, empty, empty), size, fill_value)
    columns = [shape.squeeze(shape.slice_in_dim(rows, j, j + 1, axis=1), (1,)) for j in range(m)]
    order = lexsort(columns[::-1]) if columns else shape.iota(kind, n)
    ordered = take(rows, order, 0, mode="clip")
    first = _begins_run(ordered, equal_nan)
    size = int(counted("unique", red.sum(first))) if size is None else as_int("unique", size, "size")
    bounds = nonzero(first, size=size + 1, fill_value=n)[0]  # the starts of runs, and the end of the last one
    starts, ends = shape.slice_in_dim(bounds, 0, size), shape.slice_in_dim(bounds, 1, size + 1)
    count = red.sum(first)
    group = ew.subtract(reduce.cumsum(astype(first, kind), 0), 1)
    inverse = put_along_axis(zeros((n,), kind), order, group, 0, inplace=False)
    found = UniqueAll(
        take(ordered, ew.minimum(starts, n - 1), 0, mode="clip"),
        take(order, ew.minimum(starts, n - 1), mode="clip"),
        inverse,
        ew.subtract(ends, starts),
    )
    return _padded(found, count, size, fill_value)


def _begins_run(ordered: Any, equal_nan: bool) -> Any:
    """A mask of the sorted rows that differ from the row before."""
    n = ordered.shape[0]
    before, after = shape.slice_in_dim(ordered, 0, n - 1), shape.slice_in_dim(ordered, 1, n)
    differ = ew.not_equal(before, after)
    if equal_nan and ordered.dtype in dtypes.INEXACT:
        differ = ew.logical_and(differ, ew.logical_not(ew.logical_and(ew.isnan(before), ew.isnan(after))))
    return concatenate([shape.full((1,), np.asarray(True)), red.any(differ, 1)])


def _filled(found: UniqueAll, size: int | None, fill_value: Any) -> UniqueAll:
    """The result with ``size`` for an array without elements: only fill values."""
    if not size:
        return found
    if fill_value is None:
        raise ShapeError(f"[unique] expected a fill_value, since there is no first element to repeat {size} times.")
    shape_out = (as_int("unique", size, "size"), *aval_of(found.values).shape[1:])
    fill = astype(fill_value if is_scalar(fill_value) else as_array("unique", fill_value), found.values.dtype)
    empty = zeros(shape_out[:1], found.counts.dtype)
    return UniqueAll(full(shape_out, fill), empty, found.inverse_indices, empty)


def _padded(found: UniqueAll, count: Any, size: int | None, fill_value: Any) -> UniqueAll:
    """Entries from ``count`` on are the fill value, the first index, and no count."""
    if size is None or size == 0:
        return found
    there = ew.less(shape.iota(np.int32, size), count)
    first = shape.slice_in_dim(found.values, 0, 1)
    fill = (
        first
        if fill_value is None
        else astype(fill_value if is_scalar(fill_value) else as_array("unique", fill_value), found.values.dtype)
    )
    values = ew._select("unique", shape.expand_dims(there, (1,)), found.values, fill)
    indices = ew._select("unique", there, found.indices, shape.slice_in_dim(found.indices, 0, 1))
    counts = ew._select("unique", there, found.counts, np.zeros((), found.counts.dtype))
    return UniqueAll(values, indices, found.inverse_indices, counts)


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """(values, indices, inverse_indices, counts) of the different elements; NaN are all different."""
    return UniqueAll(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def unique_counts(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueCounts:
    """(values, counts) of the different elements; NaN are all different."""
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_inverse(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueInverse:
    """(values, inverse_indices) of the different elements; NaN are all different."""
    return UniqueInverse(*unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The different elements; NaN are all different."""
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


# --- membership and set operations --------------------------------------------------------------------------------


_METHODS = ("auto", "binary_search", "compare_all", "sort")


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, method: str = "auto"
) -> Array:
    """Whether each ``element`` is among ``test_elements``, as bool."""
    if method not in _METHODS:
        raise ValueError(f"[isin] expected a method among {', '.join(_METHODS)}, got {method!r}.")
    x, tests = (as_array("isin", v) for v in promote("isin", element, test_elements))
    tests = ravel(tests)
    if tests.size == 0:
        found = shape.full(x.shape, np.asarray(False))
    else:
        ordered = sort(tests)
        place = ew.minimum(searchsorted(ordered, x), tests.size - 1)
        found = arithmetic.eq(take(ordered, place, mode="clip"), x)
    return finish(ew.logical_not(found) if invert else found)


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The different elements of both arrays, sorted."""
    return unique(concatenate([ravel(ar1), ravel(ar2)]), size=size, fill_value=fill_value)


def setdiff1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The different elements of ``ar1`` that ``ar2`` does not have; in their order when ``assume_unique``."""
    x = _settled(ravel(ar1))
    if assume_unique:
        return _chosen(x, ew.logical_not(isin(x, ar2)), size, fill_value)
    ordered = sort(x)
    keep = ew.logical_not(isin(ordered, ar2))
    return _chosen(ordered, ew.logical_and(keep, _first(ordered)), size, fill_value)


def setxor1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The elements that exactly one of the arrays has, sorted; beyond them, up to ``size``, the least one."""
    x, y = (_settled(ravel(v)) for v in promote("setxor1d", ar1, ar2))
    both = sort(concatenate([x, y]))
    other = ew.logical_xor(isin(both, x), isin(both, y))
    keep = ew.logical_and(other, _first(both))
    return _chosen_or_least(both, keep, size, fill_value)


def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False, *, size: int | None = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """The elements that both arrays have, sorted; with the index of each in both when ``return_indices``.

    Beyond them, up to ``size``, the least one is repeated.
    """
    x, y = (ravel(_settled(v)) for v in promote("intersect1d", ar1, ar2))
    order = lexsort((x,))
    ordered = take(x, order, mode="clip")
    keep = ew.logical_and(isin(ordered, y), _first(ordered))
    values = _chosen_or_least(ordered, keep, size, fill_value)
    if not return_indices:
        return values
    first = _chosen(order, keep, size, x.size)
    if not y.size:
        return values, first, zeros(values.shape, first.dtype)
    y_order = lexsort((y,))
    place = searchsorted(take(y, y_order, mode="clip"), values)
    second = take(y_order, ew.minimum(place, y.size - 1), mode="clip")
    second = ew._select("intersect1d", ew.less(first, x.size), second, np.asarray(y.size, second.dtype))
    return values, first, second


def _settled(x: Any) -> Any:
    """``x``; complex numbers without a weak type, as jax sorts them by parts that have none."""
    return strong(x) if aval_of(x).dtype in dtypes.COMPLEX else x


def _first(ordered: Any) -> Any:
    return _begins_run(shape.reshape(ordered, (ordered.size, 1)), False) if ordered.size else zeros((0,), bool)


def _chosen(x: Any, mask: Any, size: int | None, fill_value: Any) -> Any:
    places = nonzero(mask, size=size, fill_value=x.size)[0]
    fill = 0 if fill_value is None else fill_value
    if not x.size:
        return full(places.shape, fill, x.dtype)
    return take(x, places, mode="fill", fill_value=fill)


def _chosen_or_least(ordered: Any, mask: Any, size: int | None, fill_value: Any) -> Any:
    """``_chosen`` of sorted elements, filled with the first one unless ``fill_value`` is given."""
    found = _chosen(ordered, mask, size, fill_value)
    if not size or fill_value is not None:
        return found
    there = arithmetic.lt(shape.iota(np.int32, size), red.sum(mask, dtype=dtypes.int32))
    return ew._select("unique", there, found, shape.reshape(shape.slice_in_dim(found, 0, 1), ()))


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Array:
    """``filt`` without the zeros in front ("f") and at the back ("b") of ``axis`` (an axis or several, all when None).

    The values must be concrete.
    """
    x = as_array("trim_zeros", filt)
    host = np.asarray(x) != 0
    for i in axes_of("trim_zeros", axis, x.ndim):
        line = np.flatnonzero(host.any(axis=tuple(j for j in range(x.ndim) if j != i)))
        start, stop = (int(line[0]), int(line[-1]) + 1) if line.size else (x.shape[i], x.shape[i])
        start, stop = start if "f" in trim.lower() else 0, stop if "b" in trim.lower() else x.shape[i]
        x = shape.slice_in_dim(x, start, max(start, stop), axis=i)
        host = np.asarray(x) != 0
    return x
