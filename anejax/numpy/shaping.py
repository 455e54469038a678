"""Functions that rearrange: reshape, transpose, broadcast, join, split, repeat, roll, flip."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.creation import asarray
from anejax.numpy.gathering import take_rows
from anejax.numpy.operands import (
    as_array,
    as_int,
    astype,
    axes_of,
    concrete,
    finish,
    joint_shape,
    one_axis,
    operand,
    promote,
    refuse,
)
from anejax.ops import arithmetic
from anejax.ops import shape as ops
from anejax.ops.index import dynamic_slice_p

# --- questions ----------------------------------------------------------------------------------------------------


def shape(a: Any) -> tuple[int, ...]:
    """The lengths of the axes of ``a``."""
    if hasattr(a, "shape"):
        return tuple(a.shape)
    return np.shape(a) if isinstance(a, (list, tuple)) else aval_of(operand("shape", a)).shape


def ndim(a: Any) -> int:
    """The number of axes of ``a``."""
    return len(shape(a))


def size(a: Any, axis: int | Sequence[int] | None = None) -> int:
    """The number of elements of ``a``, or the length of one axis."""
    lengths = shape(a)
    return math.prod(lengths[i] for i in axes_of("size", axis, len(lengths)))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of the given shapes broadcast to."""
    return joint_shape("broadcast_shapes", [(int(s),) if isinstance(s, int | np.integer) else tuple(s) for s in shapes])


# --- one array, another shape -------------------------------------------------------------------------------------


def reshape(a: Any, shape: Any, order: str = "C", *, copy: bool | None = None, out_sharding: Any = None) -> Array:
    """``a`` with another shape that has the same number of elements; one length may be -1.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.reshape(jnp.arange(4), (2, -1))
        Array([[0, 1],
               [2, 3]], dtype=int32)
    """
    x = as_array("reshape", a)
    target = _resolved(x, shape)
    if order == "C":
        return ops.reshape(x, target)
    if order != "F":
        raise RefusedError(f"[reshape] expected order 'C' or 'F', got {order!r}.")
    x = ops.reshape(ops.transpose(x, range(x.ndim)[::-1]), target[::-1])
    return ops.transpose(x, range(len(target))[::-1])


def _resolved(x: Array, shape: Any) -> tuple[int, ...]:
    lengths = [
        as_int("reshape", n, "each length") for n in (shape if isinstance(shape, (tuple, list)) else _sequence(shape))
    ]
    if lengths.count(-1) > 1:
        raise ShapeError(f"[reshape] expected at most one length -1, got {tuple(lengths)}.")
    if -1 in lengths:
        known = math.prod(n for n in lengths if n != -1)
        if known == 0 or x.size % known:
            raise ShapeError(f"[reshape] {x.aval} has {x.size} elements, which {tuple(lengths)} cannot hold.")
        lengths[lengths.index(-1)] = x.size // known
    return tuple(lengths)


def _sequence(shape: Any) -> Sequence[Any]:
    try:
        return tuple(shape) if not isinstance(shape, Array) or shape.ndim else (shape,)
    except TypeError:
        return (shape,)


def ravel(a: Any, order: str = "C", *, out_sharding: Any = None) -> Array:
    """``a`` as one axis."""
    return reshape(a, (-1,), order) if np.size(shape(a)) and 0 not in shape(a) else reshape(a, (size(a),), order)


def squeeze(a: Any, axis: int | Sequence[int] | None = None) -> Array:
    """``a`` without its axes of length 1, or without those given."""
    x = as_array("squeeze", a)
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else axes_of("squeeze", axis, x.ndim)
    return ops.squeeze(x, axes)


def expand_dims(a: Any, axis: int | Sequence[int]) -> Array:
    """``a`` with new axes of length 1 at the positions ``axis`` of the result."""
    return ops.expand_dims(
        as_array("expand_dims", a),
        tuple(axis) if isinstance(axis, (tuple, list)) else (as_int("expand_dims", axis, "axis"),),
    )


def transpose(a: Any, axes: Sequence[int] | None = None) -> Array:
    """``a`` with its axes reversed, or in the order ``axes``."""
    x = as_array("transpose", a)
    return ops.transpose(x, range(x.ndim)[::-1] if axes is None else axes_of("transpose", tuple(axes), x.ndim))


def permute_dims(a: Any, /, axes: Sequence[int]) -> Array:
    """``a`` with its axes in the order ``axes``."""
    if axes is None:
        raise TypeError("[permute_dims] expected the axes in their new order, got None. Use transpose(a).")
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Array:
    """``x`` with its last two axes exchanged."""
    if ndim(x) < 2:
        raise ShapeError(f"[matrix_transpose] expected rank 2 or more, got {aval_of(x)}.")
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """``a`` with two axes exchanged."""
    x = as_array("swapaxes", a)
    i, j = one_axis("swapaxes", axis1, x.ndim), one_axis("swapaxes", axis2, x.ndim)
    order = list(range(x.ndim))
    order[i], order[j] = j, i
    return ops.transpose(x, order)


def moveaxis(a: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """``a`` with the axes ``source`` at the positions ``destination``; the others keep their order."""
    x = as_array("moveaxis", a)
    here, there = axes_of("moveaxis", source, x.ndim), axes_of("moveaxis", destination, x.ndim)
    if len(here) != len(there):
        raise ShapeError(f"[moveaxis] expected as many sources as destinations, got {source} and {destination}.")
    order = [i for i in range(x.ndim) if i not in here]
    for target, origin in sorted(zip(there, here)):
        order.insert(target, origin)
    return ops.transpose(x, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """``a`` with ``axis`` moved until it lies before position ``start``."""
    rank = ndim(a)
    axis = one_axis("rollaxis", axis, rank)
    if not -rank <= start <= rank:
        raise ShapeError(f"[rollaxis] expected start from {-rank} to {rank}, got {start}.")
    start += rank * (start < 0)
    return moveaxis(a, axis, start - (start > axis))


def atleast_1d(*arys: Any) -> Any:
    """The arrays with rank 1 or more."""
    out = [x if x.ndim else ops.reshape(x, (1,)) for x in (as_array("atleast_1d", a) for a in arys)]
    return out[0] if len(arys) == 1 else out


def atleast_2d(*arys: Any) -> Any:
    """The arrays with rank 2 or more, new axes in front."""
    out = [
        x if x.ndim > 1 else ops.expand_dims(x, range(2 - x.ndim)) for x in (as_array("atleast_2d", a) for a in arys)
    ]
    return out[0] if len(arys) == 1 else out


_THREE = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}


def atleast_3d(*arys: Any) -> Any:
    """The arrays with rank 3 or more."""
    out = [ops.expand_dims(x, _THREE[x.ndim]) if x.ndim < 3 else x for x in (as_array("atleast_3d", a) for a in arys)]
    return out[0] if len(arys) == 1 else out


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Array:
    """``array`` repeated to ``shape`` by NumPy's rules."""
    return finish(ops.broadcast_to(as_array("broadcast_to", array), shape))


def broadcast_arrays(*args: Any) -> list[Array]:
    """The arrays repeated to one shape; dtypes stay."""
    xs = [as_array("broadcast_arrays", a) for a in args]
    target = joint_shape("broadcast_arrays", [x.shape for x in xs], [x.aval for x in xs])
    return [ops.broadcast_to(x, target) for x in xs]


# --- joining ------------------------------------------------------------------------------------------------------


def _arrays(op: str, arrays: Any, dtype: Any = None) -> list[Any]:
    """The arrays of a sequence, promoted to one dtype. An array counts as the sequence of its rows."""
    if isinstance(arrays, (Array, np.ndarray)):
        arrays = unstack(arrays)
    elif not isinstance(arrays, (list, tuple)):
        raise ShapeError(f"[{op}] expected a list or tuple of arrays, got {type(arrays).__name__}.")
    if not arrays:
        raise ShapeError(f"[{op}] expected at least one array.")
    xs = [operand(op, a) for a in arrays]
    if dtype is not None:
        return [as_array(op, astype(x, dtypes.canonical(dtype))) for x in xs]
    return [as_array(op, x) for x in promote(op, *xs)]


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Array:
    """The arrays joined along an axis they have; with ``axis=None`` they are flattened first.

    Args:
        arrays: a list or tuple of arrays whose shapes differ along ``axis`` only; they promote to one dtype.
        axis: where to join.
        dtype: the dtype of the result, the promoted one when None.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.concatenate([jnp.zeros(2), jnp.ones(1)])
        Array([0., 0., 1.], dtype=float32)
    """
    xs = _arrays("concatenate", arrays, dtype)
    if axis is None:
        xs, axis = [ravel(x) for x in xs], 0
    if xs[0].ndim == 0:
        raise ShapeError("[concatenate] arrays of rank 0 cannot be concatenated; use anejax.numpy.stack.")
    return ops.concatenate(xs, as_int("concatenate", axis, "axis"))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    """The arrays joined along an axis they have."""
    return concatenate(arrays, axis)


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Array:
    """Arrays of one shape joined along a new axis.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.stack([jnp.zeros(2), jnp.ones(2)]).shape
        (2, 2)
    """
    refuse("stack", out=out)
    xs = _arrays("stack", arrays, dtype)
    if len({x.shape for x in xs}) > 1:
        raise ShapeError(f"[stack] expected arrays of one shape, got {', '.join(str(x.aval) for x in xs)}.")
    axis = one_axis("stack", axis, xs[0].ndim + 1)
    return ops.concatenate([ops.expand_dims(x, (axis,)) for x in xs], axis)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices of ``x`` along ``axis``, without it."""
    x = as_array("unstack", x)
    if x.ndim == 0:
        raise ShapeError("[unstack] expected an array with an axis, got rank 0.")
    axis = one_axis("unstack", axis, x.ndim)
    return tuple(ops.squeeze(ops.slice_in_dim(x, i, i + 1, axis=axis), (axis,)) for i in range(x.shape[axis]))


def vstack(tup: Any, dtype: Any = None) -> Array:
    """The arrays joined along the first axis; rank-1 arrays are rows."""
    return concatenate([atleast_2d(x) for x in _each(tup)], 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Array:
    """The arrays joined along the second axis, or the first for rank 1."""
    xs = [atleast_1d(x) for x in _each(tup)]
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Array:
    """The arrays joined along the third axis."""
    return concatenate([atleast_3d(x) for x in _each(tup)], 2, dtype)


def column_stack(tup: Any) -> Array:
    """The arrays joined along the second axis; rank-1 arrays are columns."""
    xs = [as_array("column_stack", x) for x in _each(tup)]
    return concatenate([ops.reshape(x, (x.size, 1)) if x.ndim < 2 else x for x in xs], 1)


def _each(tup: Any) -> Sequence[Any]:
    return unstack(tup) if isinstance(tup, (Array, np.ndarray)) else tup


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """``values`` joined to the end of ``arr``; both flattened when ``axis`` is None."""
    return concatenate([arr, values], axis)


def block(arrays: Any) -> Array:
    """An array assembled from nested lists of blocks: the innermost along the last axis."""
    depth = _depth(arrays)
    return _joined_blocks(arrays, depth, max(depth, _max_rank(arrays)))


def _depth(x: Any) -> int:
    return 1 + _depth(x[0]) if isinstance(x, (list, tuple)) else 0


def _max_rank(x: Any) -> int:
    return max(map(_max_rank, x)) if isinstance(x, (list, tuple)) else ndim(x)


def _joined_blocks(x: Any, depth: int, rank: int) -> Any:
    if depth == 0:
        leaf = as_array("block", x)
        return ops.expand_dims(leaf, range(rank - leaf.ndim))
    return concatenate([_joined_blocks(item, depth - 1, rank) for item in x], -depth)


# --- splitting ----------------------------------------------------------------------------------------------------


def _split(op: str, ary: Any, indices_or_sections: Any, axis: int, equal: bool) -> list[Array]:
    x = as_array(op, ary)
    axis = one_axis(op, axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, (tuple, list)) or ndim(indices_or_sections) > 0:
        points = [0, *(as_int(op, i, "each index") for i in indices_or_sections), n]
        points = [slice(p, None).indices(n)[0] for p in points]
    else:
        parts = as_int(op, indices_or_sections, "the number of sections")
        if parts < 1 or (equal and n % parts):
            raise ShapeError(f"[{op}] axis {axis} of {x.aval} does not divide into {parts} equal sections.")
        small, more = divmod(n, parts)
        points = [i * small + min(i, more) for i in range(parts + 1)]
    return [ops.slice_in_dim(x, a, max(a, b), axis=axis) for a, b in itertools.pairwise(points)]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """``ary`` cut along ``axis`` into equal sections, or at the given indices."""
    return _split("split", ary, indices_or_sections, axis, True)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """``ary`` cut along ``axis`` into sections of nearly equal length, or at the given indices."""
    return _split("array_split", ary, indices_or_sections, axis, False)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """``split`` along the first axis."""
    return _split("vsplit", ary, indices_or_sections, 0, True)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """``split`` along the second axis, or the first for rank 1."""
    return _split("hsplit", ary, indices_or_sections, 0 if ndim(ary) == 1 else 1, True)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """``split`` along the third axis."""
    return _split("dsplit", ary, indices_or_sections, 2, True)


# --- repeating and reordering -------------------------------------------------------------------------------------


def tile(A: Any, reps: Any) -> Array:
    """``A`` repeated ``reps`` times along each axis."""
    x = as_array("tile", A)
    counts = [
        as_int("tile", r, "each repetition") for r in (reps if isinstance(reps, (tuple, list)) else _sequence(reps))
    ]
    rank = max(x.ndim, len(counts))
    counts = [1] * (rank - len(counts)) + counts
    lengths = (1,) * (rank - x.ndim) + x.shape
    spread = ops.reshape(x, tuple(n for length in lengths for n in (1, length)))
    spread = ops.broadcast_to(spread, tuple(n for pair in zip(counts, lengths) for n in pair))
    return ops.reshape(spread, tuple(c * n for c, n in zip(counts, lengths)))


def roll(a: Any, shift: Any, axis: int | Sequence[int] | None = None) -> Array:
    """``a`` with its elements moved ``shift`` places along ``axis``, those that leave coming back at the start.

    A traced shift is allowed.
    """
    x = as_array("roll", a)
    if axis is None:
        return ops.reshape(roll(ravel(x), shift, 0), x.shape)
    axes = [one_axis("roll", i, x.ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    shifts = list(shift) if isinstance(shift, (tuple, list)) or ndim(shift) > 0 else [shift] * len(axes)
    if len(axes) == 1 and len(shifts) > 1:
        axes = axes * len(shifts)
    if len(shifts) == 1:
        shifts = shifts * len(axes)
    if len(shifts) != len(axes):
        raise ShapeError(f"[roll] expected as many shifts as axes, got {len(shifts)} and {len(axes)}.")
    for s, i in zip(shifts, axes):
        x = _roll_one(x, s, i)
    return x


def _roll_one(x: Any, shift: Any, axis: int) -> Any:
    n = x.shape[axis]
    if n == 0:
        return x
    known = shift.concrete() if hasattr(shift, "concrete") else shift
    if known is None:
        return _roll_traced(x, shift, axis)
    s = as_int("roll", known, "shift") % n
    if s == 0:
        return x
    return ops.concatenate([ops.slice_in_dim(x, n - s, n, axis=axis), ops.slice_in_dim(x, 0, n - s, axis=axis)], axis)


def _roll_traced(x: Any, shift: Any, axis: int) -> Any:
    """A slice, at a start known only at run time, of two copies side by side."""
    n = x.shape[axis]
    twice = ops.concatenate([x, x], axis)
    s = astype(shift, dtypes.int32)
    count = np.asarray(n, np.int32)
    start = arithmetic.sub(count, arithmetic.rem(arithmetic.add(arithmetic.rem(s, count), count), count))
    starts = [np.zeros((), np.int32)] * x.ndim
    starts[axis] = start
    return dynamic_slice_p.bind(twice, *starts, slice_sizes=x.shape)


def flip(m: Any, axis: int | Sequence[int] | None = None) -> Array:
    """``m`` in reverse order along all axes, or those given."""
    x = as_array("flip", m)
    return ops.rev(x, axes_of("flip", axis, x.ndim))


def flipud(m: Any) -> Array:
    """``m`` in reverse order along the first axis."""
    return flip(m, 0)


def fliplr(m: Any) -> Array:
    """``m`` in reverse order along the second axis."""
    return flip(m, 1)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """``m`` turned by 90 degrees ``k`` times, from the first of ``axes`` towards the second."""
    x = as_array("rot90", m)
    first, second = (one_axis("rot90", a, x.ndim) for a in axes)
    if first == second:
        raise ShapeError(f"[rot90] expected two different axes, got {tuple(axes)}.")
    k = k % 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if k == 1 else flip(swapaxes(x, first, second), second)


def resize(a: Any, new_shape: Any) -> Array:
    """``a`` with another shape, its elements repeated or cut to fill it."""
    target = (int(new_shape),) if isinstance(new_shape, int | np.integer) else tuple(new_shape)
    flat = ravel(a)
    count = math.prod(target)
    if any(n < 0 for n in target):
        raise ShapeError(f"[resize] expected non-negative lengths, got {target}.")
    if flat.size == 0 or count == 0:
        return finish(ops.full(target, np.zeros((), flat.dtype)))
    repeated = tile(flat, -(-count // flat.size))
    return ops.reshape(ops.slice_in_dim(repeated, 0, count), target)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Array]:
    """The coordinate arrays of the grid spanned by rank-1 arrays."""
    if indexing not in ("xy", "ij"):
        raise ShapeError(f"[meshgrid] expected indexing 'xy' or 'ij', got {indexing!r}.")
    xs = [as_array("meshgrid", x) for x in xi]
    if any(x.ndim != 1 for x in xs):
        raise ShapeError(f"[meshgrid] expected rank-1 arrays, got {', '.join(str(x.aval) for x in xs)}.")
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = 1, 0
    lengths = [1 if sparse else xs[i].shape[0] for i in order]
    out = []
    for i, x in enumerate(xs):
        axis = order.index(i)
        lengths_i = [*lengths]
        lengths_i[axis] = x.shape[0]
        out.append(ops.broadcast_in_dim(x, lengths_i, (axis,)))
    return out


def repeat(
    a: Any, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None, out_sharding: Any = None
) -> Array:
    """Each element along ``axis`` repeated ``repeats`` times, a number or one per element.

    Traced ``repeats`` need ``total_repeat_length``; missing elements are copies of the last one, and further ones are
    cut.
    """
    x = ravel(a) if axis is None else as_array("repeat", a)
    axis = one_axis("repeat", 0 if axis is None else axis, x.ndim)
    n = x.shape[axis]
    if isinstance(repeats, int) and total_repeat_length is None:
        if repeats < 0:
            raise ShapeError(f"[repeat] expected non-negative repeats, got {repeats}.")
        x = ops.expand_dims(x, (axis + 1,))
        spread = ops.broadcast_to(x, (*x.shape[: axis + 1], repeats, *x.shape[axis + 2 :]))
        return ops.reshape(spread, (*x.shape[:axis], n * repeats, *x.shape[axis + 2 :]))
    counts = as_array("repeat", repeats)
    known = counts.concrete() if hasattr(counts, "concrete") else counts
    if known is None:
        if total_repeat_length is None:
            concrete("repeat", counts, "repeats")  # raises, naming the user's line
        return _repeat_traced(x, counts, axis, int(total_repeat_length or 0))
    host = np.asarray(known)
    host = np.broadcast_to(np.ravel(host), (n,)) if host.size == 1 else host
    positions = np.repeat(np.arange(n), host)
    if total_repeat_length is not None:
        missing = max(total_repeat_length - len(positions), 0)
        positions = np.concatenate([positions[:total_repeat_length], np.full(missing, max(n - 1, 0))])
    return take_static(x, positions, axis)


def _repeat_traced(x: Any, counts: Any, axis: int, total: int) -> Any:
    """Position i holds the element whose cumulative count first exceeds i."""
    ends = ops.REGISTRY["cumsum"].bind(ops.broadcast_to(counts, (x.shape[axis],)), axis=0, reverse=False)
    ends = astype(ends, dtypes.int32)
    place = ops.broadcast_in_dim(ops.iota(np.int32, total), (total, x.shape[axis]), (0,))
    passed = arithmetic.ge(place, ops.broadcast_to(ends, place.shape))
    positions = ops.REGISTRY["reduce_sum"].bind(astype(passed, dtypes.int32), axes=(1,))
    positions = arithmetic.min(positions, np.asarray(x.shape[axis] - 1, np.int32))
    return take_rows(x, positions, axis)


_MOST_RUNS = 8  # more pieces than this are gathered rather than sliced and joined


def take_static(x: Any, positions: np.ndarray, axis: int) -> Any:
    """``x`` along ``axis`` at positions known when tracing: slices where they run evenly, one gather where they do not.

    Reflections, repeated edges and cut-outs are a few runs, so they cost no gather.
    """
    runs = _runs(positions)
    if len(runs) > _MOST_RUNS:
        return take_rows(x, asarray(positions.astype(np.int32)), axis)
    if not runs:
        return ops.slice_in_dim(x, 0, 0, axis=axis)
    return ops.concatenate([_run(x, *run, axis) for run in runs], axis)


def _runs(positions: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, step, count) of the longest evenly spaced pieces from the left."""
    out: list[tuple[int, int, int]] = []
    for p in positions.tolist():
        if out:
            start, step, count = out[-1]
            if count == 1 or p == start + count * step:
                out[-1] = (start, p - start if count == 1 else step, count + 1)
                continue
        out.append((p, 1, 1))
    return out


def _run(x: Any, start: int, step: int, count: int, axis: int) -> Any:
    if step == 0:
        one = ops.slice_in_dim(x, start, start + 1, axis=axis)
        return ops.broadcast_to(one, tuple(count if i == axis else n for i, n in enumerate(x.shape)))
    last = start + (count - 1) * step
    if step > 0:
        return ops.slice_in_dim(x, start, last + 1, step, axis)
    return ops.rev(ops.slice_in_dim(x, last, start + 1, -step, axis), (axis,))
