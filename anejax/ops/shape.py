"""Primitives that move elements: reshape, transpose, broadcast, slice, concatenate, pad, rev, and iota."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.callers import user_called_lax
from anejax.core.aval import Aval, checked_shape
from anejax.core.primitive import REGISTRY, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops.families import (
    INTEGER_OUTPUT,
    batch_to,
    broadcast_in_dim_p,
    instantiate,
    is_linear,
    is_python_scalar,
    joint_dtype,
    linear_jvp,
    primitive,
    reduce_sum_p,
    zero_jvp,
)

Dims = tuple[int, ...]


def _whole(op: str, axis: Any) -> int:
    try:
        return operator.index(axis)
    except TypeError:
        raise ShapeError(f"[{op}] expected an integer as axis, got {axis!r}.") from None


def _listed(op: str, axes: Any) -> list[int]:
    if not isinstance(axes, Iterable):
        raise ShapeError(f"[{op}] expected a sequence of axes, got {axes!r}.")
    return [_whole(op, a) for a in axes]


def check_axis(op: str, axis: int, rank: int) -> int:
    """``axis`` in [0, rank), counting negative ones from the end."""
    axis = _whole(op, axis)
    if not rank:
        raise ShapeError(f"[{op}] expected an array with axes, got one of rank 0 and the axis {axis}.")
    if not -rank <= axis < rank:
        raise ShapeError(f"[{op}] expected an axis between {-rank} and {rank - 1}, got {axis}.")
    return axis % rank


def check_lax_axis(op: str, axis: int, rank: int) -> int:
    """``axis`` in [0, rank), as ``check_axis``; of users only those that count from the front, as in jax.lax."""
    if _whole(op, axis) < 0 and user_called_lax():
        raise ShapeError(
            f"[{op}] expected an axis between 0 and {rank - 1}, got {axis}. anejax.numpy counts from the end."
        )
    return check_axis(op, axis, rank)


def check_lax_axes(op: str, axes: Sequence[int], rank: int) -> Dims:
    """Distinct axes in [0, rank), which users count from the front."""
    return check_axes(op, [check_lax_axis(op, a, rank) for a in _listed(op, axes)], rank)


def check_axes(op: str, axes: Sequence[int], rank: int) -> Dims:
    """Distinct axes in [0, rank)."""
    out = tuple(check_axis(op, a, rank) for a in _listed(op, axes))
    if len(set(out)) != len(out):
        raise ShapeError(f"[{op}] expected distinct axes, got {tuple(axes)}.")
    return out


# --- reshape ----------------------------------------------------------------------------------------------------------

reshape_p = primitive("reshape")


def _reshape_abstract(x: Aval, *, new_sizes: Dims) -> Aval:
    if math.prod(new_sizes) != x.size:
        raise ShapeError(
            f"[reshape] expected a shape of {x.size} elements for {x}, got {new_sizes} with {math.prod(new_sizes)}."
        )
    return x.update(shape=new_sizes)


def _reshape_batch(size: int, args: Any, dims: Any, *, new_sizes: Dims) -> Any:
    return reshape_p.bind(batch_to(args[0], dims[0], size), new_sizes=(size, *new_sizes)), 0


def _reshape_mil(ctx: Any, x: Any, *, new_sizes: Dims) -> Any:
    if ctx.legalized and 0 in (len(new_sizes), ctx.in_avals[0].ndim):  # a shape without elements is no MIL tensor
        name, rank = ("squeeze", ctx.in_avals[0].ndim) if not new_sizes else ("expand_dims", len(new_sizes))
        return ctx.emit(name, x=x, axes=list(range(rank))) if rank else ctx.emit("identity", x=x)
    return (
        ctx.emit("reshape", x=x, shape=list(new_sizes))
        if ctx.takes("reshape", {"x": x})
        else ctx.emit_aj(x=x, shape=list(new_sizes))
    )


reshape_p.fill(
    abstract=_reshape_abstract,
    impl=lambda x, *, new_sizes: x.reshape(new_sizes),
    jvp=linear_jvp(reshape_p),
    transpose=lambda ct, x, *, new_sizes: [reshape(ct, x.aval.shape)],
    batch=_reshape_batch,
    mil=_reshape_mil,
)


def reshape(x: Any, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None) -> Any:
    """``x`` with another shape that has the same number of elements, in row-major order."""
    shape = checked_shape(new_sizes, "reshape")
    if dimensions is not None and tuple(dimensions) != tuple(range(aval_of(x).ndim)):
        x = transpose(x, dimensions)
    return x if aval_of(x).shape == shape else reshape_p.bind(x, new_sizes=shape)


def expand_dims(x: Any, dimensions: Sequence[int]) -> Any:
    """``x`` with axes of length 1 at ``dimensions`` of the result."""
    rank = aval_of(x).ndim + len(dimensions)
    new = set(check_axes("expand_dims", dimensions, rank))
    sizes = iter(aval_of(x).shape)
    return reshape(x, tuple(1 if i in new else next(sizes) for i in range(rank)))


def squeeze(x: Any, dimensions: Sequence[int]) -> Any:
    """``x`` without the axes ``dimensions``. They must have length 1."""
    aval = aval_of(x)
    gone = check_axes("squeeze", dimensions, aval.ndim)
    if any(aval.shape[d] != 1 for d in gone):
        raise ShapeError(f"[squeeze] expected axes of length 1, got axes {gone} of {aval}.")
    return reshape(x, tuple(s for i, s in enumerate(aval.shape) if i not in gone))


# --- transpose --------------------------------------------------------------------------------------------------------

transpose_p = primitive("transpose")


def _transpose_abstract(x: Aval, *, permutation: Dims) -> Aval:
    if sorted(permutation) != list(range(x.ndim)):
        raise ShapeError(f"[transpose] expected a permutation of {x.ndim} axes for {x}, got {permutation}.")
    return x.update(shape=tuple(x.shape[p] for p in permutation))


def inverse_permutation(permutation: Sequence[int]) -> Dims:
    return tuple(int(i) for i in np.argsort(permutation))


def _transpose_batch(size: int, args: Any, dims: Any, *, permutation: Dims) -> Any:
    d = dims[0]
    perm = (d, *(p + (p >= d) for p in permutation))
    return transpose_p.bind(args[0], permutation=perm), 0


def _transpose_mil(ctx: Any, x: Any, *, permutation: Dims) -> Any:
    emit = ctx.emit if ctx.takes("transpose", {"x": x}) else ctx.emit_aj_named
    return emit("transpose", x=x, perm=list(permutation))


transpose_p.fill(
    abstract=_transpose_abstract,
    impl=lambda x, *, permutation: x.transpose(permutation),
    jvp=linear_jvp(transpose_p),
    transpose=lambda ct, x, *, permutation: [transpose(ct, inverse_permutation(permutation))],
    batch=_transpose_batch,
    mil=_transpose_mil,
)


def transpose(x: Any, permutation: Sequence[int]) -> Any:
    """``x`` with its axes in the order ``permutation``."""
    perm = tuple(int(p) for p in permutation)
    return x if perm == tuple(range(aval_of(x).ndim)) else transpose_p.bind(x, permutation=perm)


# --- broadcast --------------------------------------------------------------------------------------------------------

primitive("broadcast_in_dim")


def _broadcast_abstract(x: Aval, *, shape: Dims, broadcast_dimensions: Dims) -> Aval:
    good = (
        len(broadcast_dimensions) == x.ndim
        and all(0 <= d < len(shape) for d in broadcast_dimensions)
        and all(a < b for a, b in itertools.pairwise(broadcast_dimensions))
        and all(x.shape[i] in (1, shape[d]) for i, d in enumerate(broadcast_dimensions))
    )
    if not good:
        raise ShapeError(
            f"[broadcast_in_dim] expected increasing axes of {shape} whose lengths are those of {x} or 1,"
            f" got {broadcast_dimensions}."
        )
    return x.update(shape=shape)


def _broadcast_impl(x: np.ndarray, *, shape: Dims, broadcast_dimensions: Dims) -> np.ndarray:
    middle = [1] * len(shape)
    for i, d in enumerate(broadcast_dimensions):
        middle[d] = x.shape[i]
    return np.broadcast_to(x.reshape(middle), shape).copy()


def _broadcast_transpose(ct: Any, x: Any, *, shape: Dims, broadcast_dimensions: Dims) -> Any:
    stretched = [d for i, d in enumerate(broadcast_dimensions) if x.aval.shape[i] == 1 and shape[d] != 1]
    new = [d for d in range(len(shape)) if d not in broadcast_dimensions]
    out = reduce_sum_p.bind(ct, axes=tuple(sorted(stretched + new)))
    return [reshape(out, x.aval.shape)]


def _broadcast_batch(size: int, args: Any, dims: Any, *, shape: Dims, broadcast_dimensions: Dims) -> Any:
    x = batch_to(args[0], dims[0], size)
    inner = (0, *(d + 1 for d in broadcast_dimensions))
    return broadcast_in_dim_p.bind(x, shape=(size, *shape), broadcast_dimensions=inner), 0


broadcast_in_dim_p.fill(
    abstract=_broadcast_abstract,
    impl=_broadcast_impl,
    jvp=linear_jvp(broadcast_in_dim_p),
    transpose=_broadcast_transpose,
    batch=_broadcast_batch,
    mil=lambda ctx, x, *, shape, broadcast_dimensions: ctx.emit_aj(
        x=x, shape=list(shape), broadcast_dimensions=list(broadcast_dimensions)
    ),
)


def broadcast_in_dim(x: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> Any:
    """``x`` repeated to ``shape``; axis i of ``x`` becomes axis ``broadcast_dimensions[i]`` of the result."""
    target = checked_shape(shape, "broadcast_in_dim")
    dims = tuple(int(d) for d in broadcast_dimensions)
    if aval_of(x).shape == target and dims == tuple(range(len(target))):
        return x
    return broadcast_in_dim_p.bind(x, shape=target, broadcast_dimensions=dims)


def broadcast(x: Any, sizes: Sequence[int]) -> Any:
    """``x`` with new leading axes of the given lengths."""
    sizes = checked_shape(sizes, "broadcast")
    aval = aval_of(x)
    return broadcast_in_dim(x, sizes + aval.shape, range(len(sizes), len(sizes) + aval.ndim))


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """``x`` broadcast to ``shape`` by NumPy's rules."""
    target = checked_shape(shape, "broadcast_to")
    aval = aval_of(x)
    lead = len(target) - aval.ndim
    if lead < 0 or any(s not in (1, t) for s, t in zip(aval.shape, target[lead:])):
        raise ShapeError(f"[broadcast_to] {aval} does not broadcast to shape {target}.")
    return broadcast_in_dim(x, target, range(lead, len(target)))


def full(shape: Sequence[int], fill: Any, dtype: Any = None) -> Any:
    """An array of ``shape`` whose every element is the scalar ``fill``."""
    target = checked_shape(shape, "full")
    scalar = fill
    if dtype is not None or not hasattr(fill, "aval"):
        dtype = dtypes.canonical(dtype) if dtype is not None else aval_of(fill).dtype
        scalar = np.asarray(fill, dtype) if not hasattr(fill, "aval") else as_dtype(fill, dtype)
    return broadcast_in_dim(scalar, target, ()) if target else scalar


def as_dtype(x: Any, dtype: np.dtype) -> Any:
    """``x`` with elements of ``dtype``, for rooms that conversions are built on."""
    if aval_of(x).dtype == dtype:
        return x
    return REGISTRY["convert_element_type"].bind(x, dtype=dtype, weak_type=False)


# --- slice ------------------------------------------------------------------------------------------------------------

slice_p = primitive("slice")


def _slice_abstract(x: Aval, *, start_indices: Dims, limit_indices: Dims, strides: Dims) -> Aval:
    lengths = {len(start_indices), len(limit_indices), len(strides), x.ndim}
    good = len(lengths) == 1 and all(
        0 <= a <= b <= n and s > 0 for a, b, s, n in zip(start_indices, limit_indices, strides, x.shape)
    )
    if not good:
        raise ShapeError(
            f"[slice] expected 0 <= start <= limit <= length and positive strides for each axis of {x},"
            f" got start {start_indices}, limit {limit_indices}, strides {strides}."
        )
    return x.update(shape=tuple(-(-(b - a) // s) for a, b, s in zip(start_indices, limit_indices, strides)))


def _slices(start: Dims, limit: Dims, strides: Dims) -> tuple[slice, ...]:
    return tuple(slice(a, b, s) for a, b, s in zip(start, limit, strides))


def _slice_transpose(ct: Any, x: Any, *, start_indices: Dims, limit_indices: Dims, strides: Dims) -> Any:
    config = []
    for a, s, n, size in zip(start_indices, strides, aval_of(ct).shape, x.aval.shape):
        covered = a + (n - 1) * s + 1 if n else a
        config.append((a, size - covered, s - 1))
    return [pad(ct, np.zeros((), aval_of(ct).dtype), config)]


def _slice_batch(size: int, args: Any, dims: Any, *, start_indices: Dims, limit_indices: Dims, strides: Dims) -> Any:
    insert = lambda values, v: (*values[:d], v, *values[d:])  # noqa: E731
    d = dims[0]
    out = slice_p.bind(
        args[0],
        start_indices=insert(start_indices, 0),
        limit_indices=insert(limit_indices, size),
        strides=insert(strides, 1),
    )
    return out, d


def _slice_mil(ctx: Any, x: Any, *, start_indices: Dims, limit_indices: Dims, strides: Dims) -> Any:
    if start_indices and ctx.takes("slice_by_index", {"x": x}):
        begin, end, stride = list(start_indices), list(limit_indices), list(strides)
        if all(s == 1 for s in strides):
            size = [b - a for a, b in zip(begin, end)]
            return ctx.emit("slice_by_size", x=x, begin=begin, size=size)
        names = ("begin_mask", "end_mask", "squeeze_mask") if ctx.spells_out else ()
        masks = dict.fromkeys(names, [False] * len(begin))
        return ctx.emit("slice_by_index", x=x, begin=begin, end=end, stride=stride, **masks)
    return ctx.emit_aj(x=x, start_indices=list(start_indices), limit_indices=list(limit_indices), strides=list(strides))


slice_p.fill(
    abstract=_slice_abstract,
    impl=lambda x, *, start_indices, limit_indices, strides: x[_slices(start_indices, limit_indices, strides)],
    jvp=linear_jvp(slice_p),
    transpose=_slice_transpose,
    batch=_slice_batch,
    mil=_slice_mil,
)


def slice_(x: Any, start_indices: Sequence[int], limit_indices: Sequence[int], strides: Any = None) -> Any:
    """``x[start:limit:stride]`` on every axis, with limits inside the array."""
    start, limit = tuple(map(int, start_indices)), tuple(map(int, limit_indices))
    steps = tuple(map(int, strides)) if strides is not None else (1,) * len(start)
    aval = aval_of(x)
    if start == (0,) * aval.ndim and limit == aval.shape and steps == (1,) * aval.ndim:
        return x
    return slice_p.bind(x, start_indices=start, limit_indices=limit, strides=steps)


def slice_in_dim(x: Any, start_index: Any, limit_index: Any, stride: int = 1, axis: int = 0) -> Any:
    """``x[start:limit:stride]`` along one axis; None and negative positions as in Python."""
    aval = aval_of(x)
    axis = check_axis("slice_in_dim", axis, aval.ndim)
    start, limit, _ = slice(start_index, limit_index).indices(aval.shape[axis])
    starts, limits, strides = [0] * aval.ndim, list(aval.shape), [1] * aval.ndim
    starts[axis], limits[axis], strides[axis] = start, max(start, limit), stride
    return slice_(x, starts, limits, strides)


# --- concatenate ------------------------------------------------------------------------------------------------------

concatenate_p = primitive("concatenate")


def _concatenate_abstract(*xs: Aval, dimension: int) -> Aval:
    if not xs:
        raise ShapeError("[concatenate] expected at least one array.")
    dtype = joint_dtype("concatenate", xs)
    rests = {(a.shape[:dimension], a.shape[dimension + 1 :]) for a in xs}
    if len(rests) > 1 or not 0 <= dimension < xs[0].ndim:
        raise ShapeError(
            f"[concatenate] expected shapes equal but for axis {dimension}, got {', '.join(map(str, xs))}."
        )
    shape = list(xs[0].shape)
    shape[dimension] = sum(a.shape[dimension] for a in xs)
    return Aval(tuple(shape), dtype, all(a.weak_type for a in xs))


def _concatenate_jvp(primals: Any, tangents: Any, *, dimension: int) -> Any:
    out = concatenate_p.bind(*primals, dimension=dimension)
    aval = aval_of(out).tangent()
    if aval.dtype == dtypes.float0 or all(isinstance(t, Zero) for t in tangents):
        return out, Zero(aval)
    return out, concatenate_p.bind(*map(instantiate, tangents), dimension=dimension)


def _concatenate_transpose(ct: Any, *xs: Any, dimension: int) -> Any:
    out, start = [], 0
    for x in xs:
        length = aval_of(x).shape[dimension] if not is_linear(x) else x.aval.shape[dimension]
        out.append(slice_in_dim(ct, start, start + length, axis=dimension) if is_linear(x) else None)
        start += length
    return out


def _concatenate_batch(size: int, args: Any, dims: Any, *, dimension: int) -> Any:
    return concatenate_p.bind(*(batch_to(a, d, size) for a, d in zip(args, dims)), dimension=dimension + 1), 0


def _concatenate_mil(ctx: Any, *xs: Any, dimension: int) -> Any:
    if ctx.takes("concat", {"values": xs}):
        return ctx.emit("concat", values=xs, axis=dimension, interleave=False)
    return ctx.emit_aj(values=xs, dimension=dimension)


concatenate_p.fill(
    abstract=_concatenate_abstract,
    impl=lambda *xs, dimension: np.concatenate(xs, axis=dimension),
    jvp=_concatenate_jvp,
    transpose=_concatenate_transpose,
    batch=_concatenate_batch,
    mil=_concatenate_mil,
)


def concatenate(xs: Sequence[Any], dimension: int) -> Any:
    """The arrays ``xs``, of one dtype, joined along an axis they have."""
    xs = list(xs)
    if not xs:
        raise ShapeError("[concatenate] expected at least one array.")
    dimension = check_lax_axis("concatenate", dimension, aval_of(xs[0]).ndim)
    return xs[0] if len(xs) == 1 else concatenate_p.bind(*xs, dimension=dimension)


# --- pad --------------------------------------------------------------------------------------------------------------

pad_p = primitive("pad")
PadConfig = tuple[tuple[int, int, int], ...]


def _pad_abstract(x: Aval, value: Aval, *, padding_config: PadConfig) -> Aval:
    dtype = joint_dtype("pad", (x, value))
    if value.shape or len(padding_config) != x.ndim or any(i < 0 for _, _, i in padding_config):
        raise ShapeError(
            f"[pad] expected a rank-0 value and (low, high, interior >= 0) for each axis of {x},"
            f" got {value} and {padding_config}."
        )
    shape = tuple(lo + hi + n + max(n - 1, 0) * i for n, (lo, hi, i) in zip(x.shape, padding_config))
    if any(n < 0 for n in shape):
        raise ShapeError(f"[pad] {padding_config} cuts more than there is from {x}.")
    return Aval(shape, dtype, x.weak_type and value.weak_type)


def _pad_impl(x: np.ndarray, value: np.ndarray, *, padding_config: PadConfig) -> np.ndarray:
    spread = [n + max(n - 1, 0) * i for n, (_, _, i) in zip(x.shape, padding_config)]
    wide = np.full(
        [n + max(lo, 0) + max(hi, 0) for n, (lo, hi, _) in zip(spread, padding_config)], value, dtype=x.dtype
    )
    wide[tuple(slice(max(lo, 0), max(lo, 0) + n, i + 1) for n, (lo, _, i) in zip(spread, padding_config))] = x
    return wide[tuple(slice(max(-lo, 0), n - max(-hi, 0)) for n, (lo, hi, _) in zip(wide.shape, padding_config))]


def _pad_jvp(primals: Any, tangents: Any, *, padding_config: PadConfig) -> Any:
    out = pad_p.bind(*primals, padding_config=padding_config)
    aval = aval_of(out).tangent()
    if aval.dtype == dtypes.float0 or all(isinstance(t, Zero) for t in tangents):
        return out, Zero(aval)
    return out, pad_p.bind(*map(instantiate, tangents), padding_config=padding_config)


def _pad_transpose(ct: Any, x: Any, value: Any, *, padding_config: PadConfig) -> Any:
    inside = None
    zero = np.zeros((), aval_of(ct).dtype)
    undone = pad(ct, zero, [(-lo, -hi, 0) for lo, hi, _ in padding_config])
    steps = [i + 1 for _, _, i in padding_config]
    inside = slice_(undone, [0] * len(steps), aval_of(undone).shape, steps)
    ct_value = None
    if is_linear(value):
        everything = reduce_sum_p.bind(ct, axes=tuple(range(len(steps))))
        within = reduce_sum_p.bind(inside, axes=tuple(range(len(steps))))
        ct_value = REGISTRY["sub"].bind(everything, within)
    return [inside if is_linear(x) else None, ct_value]


def _pad_batch(size: int, args: Any, dims: Any, *, padding_config: PadConfig) -> Any:
    x, value = args
    if dims[1] is None:
        d = dims[0]
        return pad_p.bind(x, value, padding_config=(*padding_config[:d], (0, 0, 0), *padding_config[d:])), d
    # a padding value per example: pad with zeros, and put the values where a padded mask is false
    x = batch_to(x, dims[0], size)
    config = ((0, 0, 0), *padding_config)
    padded = pad_p.bind(x, np.zeros((), aval_of(x).dtype), padding_config=config)
    mask = pad_p.bind(full(aval_of(x).shape, True), np.asarray(False), padding_config=config)
    values = broadcast_in_dim(value, aval_of(padded).shape, (0,))
    return REGISTRY["select_n"].bind(mask, values, padded), 0


def _pad_mil(ctx: Any, x: Any, value: Any, *, padding_config: PadConfig) -> Any:
    lows, highs, interiors = ([c[i] for c in padding_config] for i in range(3))
    grows = padding_config and min(lows + highs) >= 0 and max(interiors) == 0
    if grows and value.const is not None and ctx.takes("pad", {"x": x}):
        pad = [v for pair in zip(lows, highs) for v in pair]
        return ctx.emit("pad", x=x, pad=pad, mode="constant", constant_val=value)
    return ctx.emit_aj(x=x, padding_value=value, low=lows, high=highs, interior=interiors)


pad_p.fill(abstract=_pad_abstract, impl=_pad_impl, jvp=_pad_jvp, transpose=_pad_transpose, batch=_pad_batch,
           mil=_pad_mil)  # fmt: skip


def pad(x: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """``x`` with (low, high, interior) elements of ``padding_value`` added per axis; negative ones cut."""
    config = tuple((int(lo), int(hi), int(i)) for lo, hi, i in padding_config)
    if all(c == (0, 0, 0) for c in config):
        return x
    if is_python_scalar(padding_value):
        padding_value = np.asarray(padding_value, aval_of(x).dtype)
    return pad_p.bind(x, padding_value, padding_config=config)


# --- rev, iota --------------------------------------------------------------------------------------------------------

rev_p = primitive("rev")


def _rev_abstract(x: Aval, *, dimensions: Dims) -> Aval:
    check_axes("rev", dimensions, x.ndim)
    return x


def _rev_mil(ctx: Any, x: Any, *, dimensions: Dims) -> Any:
    if dimensions and ctx.takes("reverse", {"x": x}):
        return ctx.emit("reverse", x=x, axes=list(dimensions))
    return ctx.emit_aj(x=x, dimensions=list(dimensions))


rev_p.fill(
    abstract=_rev_abstract,
    impl=lambda x, *, dimensions: np.flip(x, dimensions),
    jvp=linear_jvp(rev_p),
    transpose=lambda ct, x, *, dimensions: [rev(ct, dimensions)],
    batch=lambda size, args, dims, *, dimensions: (
        rev_p.bind(args[0], dimensions=tuple(d + (d >= dims[0]) for d in dimensions)),
        dims[0],
    ),
    mil=_rev_mil,
)


def rev(x: Any, dimensions: Sequence[int]) -> Any:
    """``x`` with the order along ``dimensions`` reversed."""
    dims = check_lax_axes("rev", dimensions, aval_of(x).ndim)
    return rev_p.bind(x, dimensions=dims) if dims else x


iota_p = primitive("iota")


def _iota_impl(*, dtype: np.dtype, shape: Dims, dimension: int) -> np.ndarray:
    line = np.arange(shape[dimension]).astype(dtype)
    return np.ascontiguousarray(
        np.broadcast_to(line.reshape([-1 if i == dimension else 1 for i in range(len(shape))]), shape)
    )


iota_p.fill(
    abstract=lambda *, dtype, shape, dimension: Aval(shape, dtype),
    impl=_iota_impl,
    jvp=zero_jvp(iota_p),
    transpose=INTEGER_OUTPUT,
    batch=lambda size, args, dims, **params: (iota_p.bind(**params), None),
    mil=lambda ctx, *, dtype, shape, dimension: ctx.emit_aj(shape=list(shape), dimension=dimension),
)


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int) -> Any:
    """0, 1, 2, ... along ``dimension``, repeated along the other axes."""
    target = checked_shape(shape, "iota")
    if dtype is None:
        raise ValueError("[iota] expected a dtype, got None.")
    if dtypes.canonical(dtype) == dtypes.bool_:
        raise DtypeError("[iota] expected a dtype of numbers, got bool.")
    return iota_p.bind(
        dtype=dtypes.canonical(dtype), shape=target, dimension=check_lax_axis("iota", dimension, len(target))
    )


def iota(dtype: Any, size: int) -> Any:
    """0, 1, ..., size - 1."""
    return broadcasted_iota(dtype, (size,), 0)
