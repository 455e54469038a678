"""Rules for Core ML: primitives that read, write or sort at computed positions.

Core ML's gather takes whole rows along one axis, and its scatter_nd writes whole rows. Neither is known to check
bounds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.primitive import Primitive
from anejax.core.trace import Tracer, aval_of
from anejax.errors import RefusedError
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.families import expand
from anejax.ops.index import (
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    dynamic_slice_p,
    dynamic_update_slice_p,
    gather_fill,
    gather_p,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_p,
    scatter_sizes,
)
from anejax.ops.products import scatter_mul_p
from anejax.ops.reduce import reduce_sum
from anejax.ops.sort import sort_p
from anejax.passes.legalize.constants import is_float
from anejax.passes.legalize.rules import as_it_is, as_they_are, rule

Dims = tuple[int, ...]
CORE_ML = ("coreml",)
RANKED = 1024  # the longest axis that is ordered by comparing every two elements


def _int32(x: Any) -> Any:
    return E.convert_element_type(x, np.int32)


# ---- gather and scatter


class _Rows:
    """Windows of ``x`` of ``sizes`` as rows of a matrix: ``perm`` brings the axes that windows do not fill,
    ``cut``, to the front; their positions in one another are the row's number."""

    def __init__(self, x: Dims, indices: Any, dn: GatherDimensionNumbers, sizes: Dims) -> None:
        self.cut = [d for d, (n, size) in enumerate(zip(x, sizes)) if size != n or d in dn.operand_batching_dims]
        self.whole = [d for d in range(len(x)) if d not in self.cut]
        self.perm = [*self.cut, *self.whole]
        self.count = math.prod(x[d] for d in self.cut)
        window = [d for d in range(len(x)) if d not in dn.collapsed_slice_dims and d not in dn.operand_batching_dims]
        self.window, self.offsets = window, dict(zip(window, dn.offset_dims))
        self.batch = aval_of(indices).shape[:-1]
        self.partial = [d for d in window if d in self.cut]  # windows have several rows along these
        self.inside: Any = None
        self.at = self._numbers(x, _int32(indices), dn, sizes)

    def _numbers(self, x: Dims, indices: Any, dn: GatherDimensionNumbers, sizes: Dims) -> Any:
        """The row of each window and place in ``partial``: int32 [*batch, *lengths of partial]."""
        shape = (*self.batch, *(sizes[d] for d in self.partial))
        terms: list[Any] = []
        for d in self.cut:
            stride = math.prod(x[e] for e in self.cut if e > d)
            places: list[Any] = []
            if d in dn.operand_batching_dims:
                axis = dn.start_indices_batching_dims[dn.operand_batching_dims.index(d)]
                places.append(S.broadcasted_iota(np.int32, shape, axis))
            if d in dn.start_index_map:
                start = self._start(indices, dn.start_index_map.index(d), x[d] - sizes[d])
                places.append(S.broadcast_in_dim(start, shape, tuple(range(len(self.batch)))))
            if d in self.partial:
                places.append(S.broadcasted_iota(np.int32, shape, len(self.batch) + self.partial.index(d)))
            terms += places if stride == 1 else [A.mul(p, expand(np.int32(stride), shape)) for p in places]
        for d in self.whole:  # a window that fills its axis is outside when it begins anywhere but at 0
            if d in dn.start_index_map:
                self._start(indices, dn.start_index_map.index(d), 0)
        return functools.reduce(A.add, terms) if terms else expand(np.int32(0), shape)

    def _start(self, indices: Any, component: int, last: int) -> Any:
        """The starts of windows, clamped."""
        start = S.slice_in_dim(indices, component, component + 1, axis=len(self.batch))
        start = S.reshape(start, self.batch)
        low, high = (expand(np.int32(n), self.batch) for n in (0, last))
        fits = A.and_p.bind(A.ge(start, low), A.le(start, high))
        self.inside = fits if self.inside is None else A.and_p.bind(self.inside, fits)
        return A.min(A.max(start, low), high)

    def matrix(self, x: Any) -> Any:
        """``x`` as rows."""
        shape = aval_of(x).shape
        return S.reshape(S.transpose(x, self.perm), (self.count, *(shape[d] for d in self.whole)))

    def order(self, rank: int) -> list[int]:
        """The axes of an array of windows in the order of the rows': batch, partial, whole."""
        batch = [a for a in range(rank) if a not in self.offsets.values()]
        inner = [*self.partial, *(d for d in self.window if d in self.whole)]
        return [*batch, *(self.offsets[d] for d in inner)]


def _take_rows(matrix: Any, at: Any) -> Any:
    """The rows of ``matrix`` at ``at``: [*at's axes, *a row's]."""
    shape, n = aval_of(matrix).shape, aval_of(at).ndim
    numbers = GatherDimensionNumbers(tuple(range(n, n + len(shape) - 1)), (0,), (0,))
    return as_it_is(gather_p, matrix, S.reshape(at, (*aval_of(at).shape, 1)), dimension_numbers=numbers,
                    slice_sizes=(1, *shape[1:]), mode="clip", fill_value=None, unique_indices=False)  # fmt: skip


def _numeric(x: Any) -> Any:
    """``x`` in a dtype that MIL's gather takes: bools become numbers."""
    return _int32(x) if aval_of(x).dtype == dtypes.bool_ else x


@rule("gather", targets=CORE_ML)
def _gather(x: Any, indices: Any, *, dimension_numbers: GatherDimensionNumbers, slice_sizes: Dims, mode: str,
            fill_value: Any, unique_indices: bool) -> Any:  # fmt: skip
    aval, dn = aval_of(x), dimension_numbers
    if aval.ndim == 0:
        return S.broadcast_in_dim(x, aval_of(indices).shape[:-1], ())
    rows = _Rows(aval.shape, indices, dn, slice_sizes)
    rank = len(dn.offset_dims) + len(rows.batch)
    taken = _take_rows(rows.matrix(_numeric(x)), rows.at)
    collapsed = [d for d in rows.whole if d not in rows.window]  # axes of length 1 that the result does not have
    if collapsed:
        kept = [
            a for a in range(aval_of(taken).ndim) if a - aval_of(rows.at).ndim not in map(rows.whole.index, collapsed)
        ]
        taken = S.reshape(taken, [aval_of(taken).shape[a] for a in kept])
    order = rows.order(rank)
    out = S.transpose(taken, np.argsort(order).tolist())
    out = E.convert_element_type(out, aval.dtype)
    if mode != "fill" or rows.inside is None:
        return out
    shape = aval_of(out).shape
    outer = tuple(a for a in range(rank) if a not in dn.offset_dims)
    fill = gather_fill(aval.dtype, mode, fill_value)
    return A.select_n(S.broadcast_in_dim(rows.inside, shape, outer), expand(fill, shape), out)


def _scatter(prim: Primitive) -> None:
    name = prim.name

    @rule(name, targets=CORE_ML)
    def scatter(x: Any, indices: Any, updates: Any, *, dimension_numbers: ScatterDimensionNumbers, mode: str,
                unique_indices: bool) -> Any:  # fmt: skip
        """Rows that fall outside go to one more row, which is cut off."""
        aval, dn = aval_of(x), GatherDimensionNumbers(*dimension_numbers)
        if aval.ndim == 0:
            raise RefusedError(f"[legalize] {name} cannot be had on coreml: MIL writes into arrays with axes only.")
        if aval.dtype == dtypes.bool_:
            params = {"dimension_numbers": dimension_numbers, "mode": mode, "unique_indices": unique_indices}
            out = prim.bind(_int32(x), indices, _int32(updates), **params)
            return E.convert_element_type(out, dtypes.bool_)
        sizes = scatter_sizes(aval.shape, aval_of(updates).shape, dimension_numbers)
        rows = _Rows(aval.shape, indices, dn, sizes)
        matrix, at = rows.matrix(x), rows.at
        if mode != "clip" and rows.inside is not None:
            row = expand(np.zeros((), aval.dtype), (1, *aval_of(matrix).shape[1:]))
            matrix = S.concatenate([matrix, row], 0)
            inside = S.broadcast_in_dim(rows.inside, aval_of(at).shape, tuple(range(len(rows.batch))))
            at = A.select_n(inside, expand(np.int32(rows.count), aval_of(at).shape), at)
        given = S.transpose(updates, rows.order(aval_of(updates).ndim))
        count = math.prod(aval_of(at).shape)
        given = S.reshape(given, (count, *(aval.shape[d] for d in rows.whole)))
        whole = tuple(range(1, aval_of(matrix).ndim))
        numbers = ScatterDimensionNumbers(whole, (0,), (0,))
        written = as_it_is(prim, matrix, S.reshape(at, (count, 1)), given, dimension_numbers=numbers, mode="clip",
                           unique_indices=False)  # fmt: skip
        written = S.slice_in_dim(written, 0, rows.count)
        shape = [aval.shape[d] for d in rows.perm]
        return S.transpose(S.reshape(written, shape), np.argsort(rows.perm).tolist())


for _prim in (scatter_p, scatter_add_p, scatter_mul_p, scatter_min_p, scatter_max_p):
    _scatter(_prim)


# ---- slices


def _starts(shape: Dims, starts: Sequence[Any], sizes: Sequence[int]) -> list[Any]:
    """The starts of a slice, clamped."""
    moved = []
    for start, n, size in zip(starts, shape, sizes):
        if isinstance(start, Tracer):
            moved.append(A.min(A.max(_int32(start), np.int32(0)), np.int32(n - size)))
        else:
            moved.append(np.int32(np.clip(int(np.asarray(start)), 0, n - size)))
    return moved


@rule("dynamic_slice", targets=CORE_ML)
def _dynamic_slice(x: Any, *starts: Any, slice_sizes: Dims) -> Any:
    moved = _starts(aval_of(x).shape, starts, slice_sizes)
    return as_it_is(dynamic_slice_p, x, *moved, slice_sizes=slice_sizes) if starts else x


@rule("dynamic_update_slice", targets=CORE_ML)
def _dynamic_update_slice(x: Any, update: Any, *starts: Any) -> Any:
    moved = _starts(aval_of(x).shape, starts, aval_of(update).shape)
    return as_it_is(dynamic_update_slice_p, x, update, *moved) if starts else update


# ---- order


@rule("sort", targets=CORE_ML)
def _sort(*xs: Any, dimension: int, num_keys: int) -> list[Any]:
    """MIL orders one array by one key, with equal elements and NaN in an order that it does not state. One array alone
    has no such order to keep; others are ordered by comparing every two elements, where that is not too much."""
    if any(aval_of(x).dtype == dtypes.bool_ for x in xs):
        was = [aval_of(x).dtype for x in xs]
        outs = sort_p.bind(*map(_numeric, xs), dimension=dimension, num_keys=num_keys)
        return [E.convert_element_type(o, d) for o, d in zip(outs, was)]
    n = aval_of(xs[0]).shape[dimension]
    if len(xs) > 1 and n <= RANKED:
        return _ranked(xs, dimension, num_keys)
    if num_keys > 1:
        raise RefusedError(f"[legalize] sort cannot be had on coreml: MIL orders by one key, and comparing every two of"
                           f" {n} elements is too much; sort by one key, or axes of at most {RANKED}.")  # fmt: skip
    return as_they_are(sort_p, *xs, dimension=dimension, num_keys=num_keys)


def _ranked(xs: Sequence[Any], axis: int, num_keys: int) -> list[Any]:
    """Each element goes to the place of its rank: how many come before it."""
    last = aval_of(xs[0]).ndim - 1
    swapped = [*range(axis), *range(axis + 1, last + 1), axis]
    rows = [S.transpose(x, swapped) for x in xs]
    shape = aval_of(rows[0]).shape
    square = (*shape, shape[-1])
    mine = lambda x: S.broadcast_in_dim(x, square, tuple(range(last + 1)))  # noqa: E731
    other = lambda x: S.broadcast_in_dim(x, square, (*range(last), last + 1))  # noqa: E731
    before = A.lt(*(f(S.broadcasted_iota(np.int32, shape, last)) for f in (other, mine)))  # among equals
    for key in reversed(rows[:num_keys]):
        less, same = _compared(other(key), mine(key))
        before = A.or_p.bind(less, A.and_p.bind(same, before))
    rank = reduce_sum(_int32(before), (last + 1,))
    place = S.broadcasted_iota(np.int32, square, last + 1)
    hit = A.eq(mine(rank), place)
    zero = lambda x: expand(np.zeros((), aval_of(x).dtype), square)  # noqa: E731
    outs = [reduce_sum(A.select_n(hit, zero(x), mine(x)), (last,)) for x in rows]
    return [S.transpose(o, np.argsort(swapped).tolist()) for o in outs]


def _compared(x: Any, y: Any) -> tuple[Any, Any]:
    """Whether x comes before y, and whether they are equal; NaN comes last and equals itself."""
    less, same = A.lt(x, y), A.eq(x, y)
    if not is_float(x):
        return less, same
    x_nan, y_nan = A.ne(x, x), A.ne(y, y)
    less = A.or_p.bind(less, A.and_p.bind(A.eq(x, x), y_nan))
    return less, A.or_p.bind(same, A.and_p.bind(x_nan, y_nan))
