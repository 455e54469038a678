"""Translates operations that move elements, and those that read and write at computed positions, to Core AI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.coreai.operands import Operation, writes
from anejax.coreai.text import Dims, Tensor, absent
from anejax.coreai.words import I32, Writer


@writes("reshape", "aj_reshape", "expand_dims", "squeeze")
def _reshape(w: Writer, op: Operation) -> Tensor:
    return w.reshape(op.tensor(), op.shape)


@writes("transpose", "aj_transpose")
def _transpose(w: Writer, op: Operation) -> Tensor:
    return w.transpose(op.tensor(), op.const("perm"))


@writes("reverse")
def _reverse(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.reverse(x, op.const("axes", list(range(x.rank))))


@writes("aj_rev")
def _rev(w: Writer, op: Operation) -> Tensor:
    return w.reverse(op.tensor(), op.const("dimensions"))


@writes("tile")
def _tile(w: Writer, op: Operation) -> Tensor:
    return w.op("tile", op.tensor(), w.sizes(op.const("reps")), out=(op.shape, op.dtype))


@writes("fill")
def _fill(w: Writer, op: Operation) -> Tensor:
    return w.broadcast(w.constant(np.asarray(op.const("value")).astype(op.dtype)), op.shape)


@writes("aj_broadcast_in_dim")
def _broadcast(w: Writer, op: Operation) -> Tensor:
    x, narrow = op.tensor(), [1] * len(op.shape)
    for n, d in zip(x.shape, op.const("broadcast_dimensions")):
        narrow[d] = n
    return w.broadcast(w.reshape(x, narrow), op.shape)


@writes("pad")
def _pad(w: Writer, op: Operation) -> Tensor:
    x, amounts = op.tensor(), op.const("pad")
    before = [0] * (x.rank - len(amounts) // 2)
    return w.pad(x, before + amounts[::2], before + amounts[1::2], op.const("constant_val"), op.const("mode"))


@writes("aj_pad")
def _aj_pad(w: Writer, op: Operation) -> Tensor:
    value = op.tensor("padding_value")
    return w.pad(w.stuffed(op.tensor(), value, op.const("interior")), op.const("low"), op.const("high"), value)


@writes("concat")
def _concat(w: Writer, op: Operation) -> Tensor:
    return w.concat(op.tensors("values"), op.const("axis") % len(op.shape))


@writes("aj_concatenate")
def _concatenate(w: Writer, op: Operation) -> Tensor:
    return w.concat(op.tensors("values"), op.const("dimension"))


@writes("stack")
def _stack(w: Writer, op: Operation) -> Tensor:
    axis = op.const("axis") % len(op.shape)
    row = [1 if a == axis else n for a, n in enumerate(op.shape)]
    return w.concat([w.reshape(x, row) for x in op.tensors("values")], axis)


@writes("split")
def _split(w: Writer, op: Operation) -> list[Tensor]:
    x = op.tensor()
    axis, at, parts = op.const("axis") % x.rank, 0, []
    for shape in op.shapes:
        parts.append(w.along(x, axis, at, at + shape[axis]))
        at += shape[axis]
    return parts


@writes("slice_by_size")
def _slice_by_size(w: Writer, op: Operation) -> Tensor:
    begin = op.const("begin")
    return w.slice(op.tensor(), begin, [b + n for b, n in zip(begin, op.shape)])


@writes("slice_by_index")
def _slice_by_index(w: Writer, op: Operation) -> Tensor:
    """Downward axes are sliced upwards and reversed (hazard 13)."""
    x = op.tensor()
    nothing, ones = [False] * x.rank, [1] * x.rank
    open_begin, open_end, single = (op.const(f"{n}_mask", nothing) for n in ("begin", "end", "squeeze"))
    begins, ends, strides, down = [], [], [], []
    for a, n in enumerate(x.shape):
        by = 1 if single[a] else op.const("stride", ones)[a]
        begin, end = (v + n if v < 0 else v for v in (op.const("begin")[a], op.const("end")[a]))
        if by > 0:
            begin = 0 if open_begin[a] else begin
            end = begin + 1 if single[a] else n if open_end[a] else end
        else:
            top, bottom = n - 1 if open_begin[a] else begin, -1 if open_end[a] else end
            count = max(0, -((top - bottom) // by))
            begin, end, by = top + by * (count - 1), top + 1, -by
            down.append(a)
        begins.append(begin)
        ends.append(end)
        strides.append(by)
    return w.reshape(w.reverse(w.slice(x, begins, ends, strides), down), op.shape)


@writes("aj_slice")
def _slice(w: Writer, op: Operation) -> Tensor:
    return w.slice(op.tensor(), *(op.const(n) for n in ("start_indices", "limit_indices", "strides")))


@writes("aj_iota")
def _iota(w: Writer, op: Operation) -> Tensor:
    return w.iota(op.shape, op.const("dimension"), op.dtype)


@writes("band_part")
def _band_part(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    below = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])
    lower, upper = op.const("lower"), op.const("upper")
    kept = ((lower < 0) | (below <= lower)) & ((upper < 0) | (-below <= upper))
    return w.where(w.constant(kept), x, w.like(0, x))


# ---- slices at computed places


def _starts(w: Writer, op: Operation, whole: Dims, sizes: Sequence[int]) -> Tensor:
    """The start of the slice, clamped, since Core AI reads foreign memory past the end (hazard 6)."""
    parts = [w.reshape(w.cast(v, I32), (1,)) for v in op.tensors("start_indices")]
    last = w.index([n - m for n, m in zip(whole, sizes)])
    return w.binary("minimum", w.binary("maximum", w.concat(parts, 0), w.index([0] * len(parts))), last)


def _place(w: Writer, begin: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    return begin, w.add(begin, w.index(sizes)), w.index([1] * len(sizes))


@writes("aj_dynamic_slice")
def _dynamic_slice(w: Writer, op: Operation) -> Tensor:
    x, sizes = op.tensor(), op.const("slice_sizes")
    return w.op("slice", x, *_place(w, _starts(w, op, x.shape, sizes), sizes), out=(sizes, x.dtype))


@writes("aj_dynamic_update_slice")
def _dynamic_update_slice(w: Writer, op: Operation) -> Tensor:
    x, update = op.tensor(), op.tensor("update")
    if 0 in update.shape:
        return x
    place = _place(w, _starts(w, op, x.shape, update.shape), update.shape)
    return w.op("slice_update", x, *place, update, out=(x.shape, x.dtype))


# ---- gather and scatter


@writes("gather")
def _mil_gather(w: Writer, op: Operation) -> Tensor:
    x, at = op.tensor(), w.cast(op.tensor("indices"), I32)
    axis, n = op.const("axis") % x.rank, at.rank
    if op.const("batch_dims"):
        absent("gather with batch_dims")
    rows = w.taken(w.transpose(x, [axis, *(a for a in range(x.rank) if a != axis)]), at)
    return w.transpose(rows, [*range(n, n + axis), *range(n), *range(n + axis, rows.rank)])


@writes("gather_nd")
def _gather_nd(w: Writer, op: Operation) -> Tensor:
    if op.const("batch_dims"):
        absent("gather_nd with batch_dims")
    return w.op("gather_nd", op.tensor(), w.cast(op.tensor("indices"), I32), out=(op.shape, op.dtype))


class _Windows:
    """The position in the flat operand of each element of a gather's or scatter's windows, and whether it is inside."""

    def __init__(
        self, w: Writer, op: Operation, x: Dims, sizes: Sequence[int], shape: Dims, names: Sequence[str]
    ) -> None:
        offsets, collapsed, index_map, mine, theirs = (op.const(n) for n in names)
        indices = w.cast(op.tensor("indices"), I32)
        batch = indices.shape[:-1]
        outer = [a for a in range(len(shape)) if a not in offsets]  # axes of the result that are those of the indices
        strides = [math.prod(x[d + 1 :]) for d in range(len(x))]
        self.w, self.shape, self.inside = w, shape, None
        self.at = w.constant(np.int32(0))
        self.order = [*outer, *offsets]  # window by window
        for k, d in enumerate(index_map):
            start = w.reshape(w.along(indices, len(batch), k, k + 1), self._spread(zip(outer, batch)))
            self._start(start, x[d] - sizes[d], strides[d])
        window = [d for d in range(len(x)) if d not in collapsed and d not in mine]
        for d, a, n in [*((d, outer[q], batch[q]) for d, q in zip(mine, theirs)),
                        *((d, a, sizes[d]) for a, d in zip(offsets, window))]:  # fmt: skip
            steps = (np.arange(n) * strides[d]).astype(I32)
            self.at = w.add(self.at, w.constant(steps.reshape(self._spread([(a, n)]))))

    def _spread(self, lengths: Any) -> Dims:
        """A shape of ones except for these axes."""
        given = dict(lengths)
        return tuple(given.get(a, 1) for a in range(len(self.shape)))

    def _start(self, start: Tensor, last: int, stride: int) -> None:
        w, zero, top = self.w, self.w.index(0), self.w.index(last)
        fits = w.opposite(w.either(w.greater(zero, start), w.greater(start, top)))
        self.inside = fits if self.inside is None else w.both(self.inside, fits)
        moved = w.binary("minimum", w.binary("maximum", start, zero), top)
        self.at = w.add(self.at, w.mul(moved, w.index(stride)))

    def everywhere(self, x: Tensor) -> Tensor:
        return self.w.broadcast(x, self.shape)

    def in_order(self, x: Tensor) -> Tensor:
        """One element of the updates after the other, window by window: the last of several stores stays."""
        return self.w.reshape(self.w.transpose(self.everywhere(x), self.order), (math.prod(self.shape),))


@writes("aj_gather")
def _gather(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    names = ("offset_dims", "collapsed_slice_dims", "start_index_map", "operand_batching_dims",
             "start_indices_batching_dims")  # fmt: skip
    windows = _Windows(w, op, x.shape, op.const("slice_sizes"), op.shape, names)
    found = w.taken(w.reshape(x, (math.prod(x.shape),)), windows.everywhere(windows.at))
    if op.const("mode") != "fill" or windows.inside is None:
        return found
    return w.where(windows.inside, found, w.constant(np.asarray(op.const("fill")).astype(x.dtype)))


@writes("aj_scatter", "aj_scatter_add", "aj_scatter_mul", "aj_scatter_min", "aj_scatter_max")
def _scatter(w: Writer, op: Operation) -> Tensor:
    """Element by element into the flat operand; what falls outside goes to one more element, which is cut off: Core AI
    writes anywhere (hazard 6)."""
    x, updates = op.tensor(), op.tensor("updates")
    if 0 in updates.shape:  # hazard 7
        return x
    names = ("update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims", "operand_batching_dims",
             "scatter_indices_batching_dims")  # fmt: skip
    kept = [d for d in range(x.rank) if d not in op.const(names[1]) and d not in op.const(names[3])]
    sizes = [1] * x.rank
    for a, d in zip(op.const(names[0]), kept):
        sizes[d] = updates.shape[a]
    windows = _Windows(w, op, x.shape, sizes, updates.shape, names)
    count = math.prod(x.shape)
    flat, at = w.reshape(x, (count,)), windows.in_order(windows.at)
    if op.const("mode") != "clip" and windows.inside is not None:
        flat = w.concat([flat, w.broadcast(w.like(0, x), (1,))], 0)
        at = w.where(windows.in_order(windows.inside), at, w.index(count))
    how = op.name.removeprefix("aj_scatter").strip("_") or "update"
    written = _scattered(w, flat, at, windows.in_order(updates), how)
    return w.reshape(w.slice(written, [0], [count]), x.shape)


def _scattered(w: Writer, flat: Tensor, at: Tensor, updates: Tensor, how: str) -> Tensor:
    return w.op("scatter_along_axis", flat, at, updates, w.index(0), out=(flat.shape, flat.dtype),
                attributes=f"scatter_mode = #coreai.scatter_mode<{how}>")  # fmt: skip


@writes("scatter_nd")
def _scatter_nd(w: Writer, op: Operation) -> Tensor:
    x, indices, updates = op.tensor("data"), w.cast(op.tensor("indices"), I32), op.tensor("updates")
    depth = indices.shape[-1]
    row = math.prod(x.shape[depth:])
    strides = [math.prod(x.shape[d + 1 : depth]) * row for d in range(depth)]
    first = w.reduce("reduce_sum", w.mul(indices, w.index(strides)), [indices.rank - 1])
    count = math.prod(first.shape)
    at = w.add(w.reshape(first, (count, 1)), w.index(np.arange(row)))
    written = _scattered(w, w.reshape(x, (math.prod(x.shape),)), w.reshape(at, (count * row,)),
                         w.reshape(updates, (count * row,)), op.const("mode"))  # fmt: skip
    return w.reshape(written, x.shape)
