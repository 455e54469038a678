"""Primitives that read and write at computed positions: gather, the scatters, dynamic slices."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval, checked_shape
from anejax.core.primitive import Primitive, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.ops.arithmetic import add, div, eq, lt, max, mul, neg, select_n
from anejax.ops.elementwise import convert_element_type
from anejax.ops.families import (
    ANY,
    INT,
    NOT_LINEAR,
    NUMBER,
    batch_to,
    check_domain,
    instantiate,
    is_linear,
    is_python_scalar,
    joint_dtype,
    primitive,
    zeros,
)
from anejax.ops.reduce import wide
from anejax.ops.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    check_axes,
    check_axis,
    concatenate,
    expand_dims,
    reshape,
    slice_in_dim,
    squeeze,
)

Dims = tuple[int, ...]


class GatherDimensionNumbers(NamedTuple):
    """The relation of gather's axes. The index vector is always the last axis of the indices.

    offset_dims: axes of the result that run inside a slice; the others are those of the indices.
    collapsed_slice_dims: axes of the operand, of slice size 1, that the result does not have.
    start_index_map: the axis of the operand that each component of an index vector is for.
    operand_batching_dims, start_indices_batching_dims: axes of both that go together.
    """

    offset_dims: Dims
    collapsed_slice_dims: Dims
    start_index_map: Dims
    operand_batching_dims: Dims = ()
    start_indices_batching_dims: Dims = ()


class ScatterDimensionNumbers(NamedTuple):
    """The relation of scatter's axes: GatherDimensionNumbers from the updates' point of view."""

    update_window_dims: Dims
    inserted_window_dims: Dims
    scatter_dims_to_operand_dims: Dims
    operand_batching_dims: Dims = ()
    scatter_indices_batching_dims: Dims = ()


class GatherScatterMode(enum.Enum):
    """The treatment of windows out of bounds: move them in, fill or drop them, or trust the caller."""

    CLIP = "clip"
    FILL_OR_DROP = "fill"
    PROMISE_IN_BOUNDS = "promise_in_bounds"

    @staticmethod
    def from_any(mode: str | GatherScatterMode | None) -> GatherScatterMode:
        """The mode of a name; "drop" is "fill", and so is None."""
        if isinstance(mode, GatherScatterMode):
            return mode
        try:
            return GatherScatterMode("fill" if mode in (None, "drop") else mode)
        except ValueError:
            raise ValueError(
                f'[gather] expected a mode of "clip", "fill", "drop" or "promise_in_bounds", got {mode!r}.'
            ) from None


def _gather_numbers(dn: ScatterDimensionNumbers) -> GatherDimensionNumbers:
    return GatherDimensionNumbers(*dn)


def _scatter_numbers(dn: GatherDimensionNumbers) -> ScatterDimensionNumbers:
    return ScatterDimensionNumbers(*dn)


# --- positions --------------------------------------------------------------------------------------------------------


def _check_numbers(op: str, x: Aval, indices: Aval, dn: GatherDimensionNumbers, window_rank: int, rank: int) -> None:
    """Checks the dimension numbers of gather and scatter; ``rank`` is that of the array that holds the windows."""
    check_domain(op, indices, INT)
    if indices.ndim == 0 or indices.shape[-1] != len(dn.start_index_map):
        raise ShapeError(
            f"[{op}] expected index vectors of {len(dn.start_index_map)} components along the last axis, got {indices}."
        )
    for axes, n in zip(dn, (rank, x.ndim, x.ndim, x.ndim, indices.ndim - 1)):
        if check_axes(op, axes, n) != tuple(axes):
            raise ShapeError(f"[{op}] expected axes that count from 0, got {dn}.")
    if len(dn.offset_dims) != window_rank or rank != window_rank + indices.ndim - 1:
        raise ShapeError(f"[{op}] expected {window_rank} window axes for {x} with {dn}, in an array of rank {rank}.")
    mine = [x.shape[a] for a in dn.operand_batching_dims]
    theirs = [indices.shape[a] for a in dn.start_indices_batching_dims]
    if mine != theirs:
        raise ShapeError(
            f"[{op}] expected batching axes of equal lengths, got {mine} of {x} and {theirs} of {indices}."
        )


def _window_axes(rank: int, dn: GatherDimensionNumbers) -> Dims:
    """The axes of the operand that windows extend along."""
    return tuple(d for d in range(rank) if d not in dn.collapsed_slice_dims and d not in dn.operand_batching_dims)


def _on_axes(values: np.ndarray, axes: Sequence[int], rank: int) -> np.ndarray:
    """``values`` with its axes at ``axes`` of an array of ``rank`` axes."""
    shape = [1] * rank
    for n, a in zip(values.shape, axes):
        shape[a] = n
    return values.reshape(shape)


def _positions(
    shape: Dims, indices: np.ndarray, dn: GatherDimensionNumbers, sizes: Dims, rank: int
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """(coordinates in the operand of each element of the windows' array, clamped; which windows are in bounds)."""
    batch_axes = [a for a in range(rank) if a not in dn.offset_dims]
    batch = indices.shape[:-1]
    if indices.dtype == dtypes.uint64:  # no axis is that long
        indices = np.minimum(indices, np.uint64(2**62))
    starts = [np.zeros((1,) * len(batch), np.int64) for _ in shape]
    for i, d in enumerate(dn.start_index_map):
        starts[d] = indices[..., i].astype(np.int64)
    for d, a in zip(dn.operand_batching_dims, dn.start_indices_batching_dims):
        starts[d] = _on_axes(np.arange(batch[a]), [a], len(batch))
    inside = np.ones(batch, bool)
    for d, (n, size) in enumerate(zip(shape, sizes)):
        inside = inside & (starts[d] >= 0) & (starts[d] <= n - size)
        starts[d] = np.clip(starts[d], 0, n - size)
    coordinates = [_on_axes(s, batch_axes, rank) for s in starts]
    for d, a in zip(_window_axes(len(shape), dn), dn.offset_dims):
        coordinates[d] = coordinates[d] + _on_axes(np.arange(sizes[d]), [a], rank)
    return tuple(coordinates), _on_axes(inside, batch_axes, rank)


# --- gather -----------------------------------------------------------------------------------------------------------

gather_p = primitive("gather")


def _gather_abstract(x: Aval, indices: Aval, *, dimension_numbers: GatherDimensionNumbers, slice_sizes: Dims,
                     mode: str, fill_value: Any, unique_indices: bool) -> Aval:  # fmt: skip
    dn = dimension_numbers
    check_domain("gather", x, ANY)
    if len(slice_sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(slice_sizes, x.shape)):
        raise ShapeError(f"[gather] expected slice sizes inside {x}, got {slice_sizes}.")
    window = _window_axes(x.ndim, dn)
    rank = len(window) + indices.ndim - 1
    _check_numbers("gather", x, indices, dn, len(window), rank)
    if any(slice_sizes[d] > 1 for d in range(x.ndim) if d not in window):
        raise ShapeError(
            f"[gather] expected slice sizes of 1 on collapsed and batching axes, got {slice_sizes} with {dn}."
        )
    inner, outer = iter(slice_sizes[d] for d in window), iter(indices.shape[:-1])
    return x.update(shape=tuple(next(inner) if a in dn.offset_dims else next(outer) for a in range(rank)))


def gather_fill(dtype: np.dtype, mode: str, fill_value: Any) -> np.ndarray:
    """The value that windows out of bounds read. As in JAX: NaN, the least signed or greatest unsigned integer, or
    True."""
    if mode != "fill":
        fill_value = 0
    elif fill_value is None:
        if dtype in dtypes.INEXACT:
            fill_value = np.nan
        else:
            fill_value = True if dtype == dtypes.bool_ else np.iinfo(dtype).min or np.iinfo(dtype).max
    return np.asarray(fill_value, dtype)


def _gather_impl(x: np.ndarray, indices: np.ndarray, *, dimension_numbers: GatherDimensionNumbers, slice_sizes: Dims,
                 mode: str, fill_value: Any, unique_indices: bool) -> np.ndarray:  # fmt: skip
    dn = dimension_numbers
    rank = len(dn.offset_dims) + indices.ndim - 1
    coordinates, inside = _positions(x.shape, indices, dn, slice_sizes, rank)
    aval = _gather_abstract(Aval(x.shape, x.dtype), Aval(indices.shape, indices.dtype), dimension_numbers=dn,
                            slice_sizes=slice_sizes, mode=mode, fill_value=None, unique_indices=False)  # fmt: skip
    if aval.size == 0:
        return np.zeros(aval.shape, x.dtype)
    if x.ndim == 0:
        return np.broadcast_to(x, aval.shape)
    out = np.broadcast_to(x[coordinates], aval.shape)
    return np.where(inside, out, gather_fill(x.dtype, mode, fill_value)) if mode == "fill" else out


def _gather_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    out = gather_p.bind(*primals, **params)
    if isinstance(tangents[0], Zero):
        return out, Zero(aval_of(out).tangent())
    return out, gather_p.bind(tangents[0], primals[1], **{**params, "fill_value": 0})


def _gather_transpose(ct: Any, x: Any, indices: Any, *, dimension_numbers: GatherDimensionNumbers, slice_sizes: Dims,
                      mode: str, fill_value: Any, unique_indices: bool) -> Any:  # fmt: skip
    numbers = _scatter_numbers(dimension_numbers)
    into = scatter_add_p.bind(zeros(x.aval.strong()), indices, ct, dimension_numbers=numbers, mode=mode,
                              unique_indices=unique_indices)  # fmt: skip
    return [into, None]


def _up(axes: Dims) -> Dims:
    return tuple(a + 1 for a in axes)


def _batched_numbers(dn: GatherDimensionNumbers, operand: bool, indices: bool) -> GatherDimensionNumbers:
    """The numbers with a mapped axis in front of the operand, the indices, or both."""
    offset, collapsed, index_map, mine, theirs = dn
    if operand:
        collapsed, index_map, mine = _up(collapsed), _up(index_map), _up(mine)
    if indices:
        theirs = _up(theirs)
    if operand and indices:
        mine, theirs = (0, *mine), (0, *theirs)
    offset = _up(offset) if indices else (0, *_up(offset))
    return GatherDimensionNumbers(offset, collapsed, index_map, mine, theirs)


def _gather_batch(size: int, args: Any, dims: Any, *, dimension_numbers: GatherDimensionNumbers, slice_sizes: Dims,
                  **params: Any) -> Any:  # fmt: skip
    (x, indices), (dx, di) = args, dims
    x = batch_to(x, dx, size) if dx is not None else x
    indices = batch_to(indices, di, size) if di is not None else indices
    if dx is not None:
        slice_sizes = (size if di is None else int(size > 0), *slice_sizes)
    numbers = _batched_numbers(dimension_numbers, dx is not None, di is not None)
    return gather_p.bind(x, indices, dimension_numbers=numbers, slice_sizes=slice_sizes, **params), 0


def _gather_mil(ctx: Any, x: Any, indices: Any, *, dimension_numbers: GatherDimensionNumbers, slice_sizes: Dims,
                mode: str, fill_value: Any, unique_indices: bool) -> Any:  # fmt: skip
    if ctx.legalized:
        return _rows_mil(ctx, x, indices, dimension_numbers, slice_sizes)
    lists = {k: list(v) for k, v in dimension_numbers._asdict().items()}
    fill = gather_fill(ctx.in_avals[0].dtype, mode, fill_value)
    return ctx.emit_aj(x=x, indices=indices, slice_sizes=list(slice_sizes), mode=mode, fill=fill, **lists)


def _rows_mil(ctx: Any, x: Any, indices: Any, dn: GatherDimensionNumbers, sizes: Dims) -> Any:
    """MIL's gather along one axis, which legalization leaves: one component of indices, whole slices otherwise."""
    (axis,), batch = dn.start_index_map, ctx.in_avals[1].shape[:-1]
    inside = (*range(axis), *range(axis + len(batch), len(batch) + len(sizes) - 1))
    whole = tuple(1 if a == axis else n for a, n in enumerate(ctx.in_avals[0].shape))
    if dn != GatherDimensionNumbers(inside, (axis,), (axis,)) or sizes != whole:
        raise RefusedError(f"[gather] expected whole rows along one axis for MIL, got {dn} with slices {sizes}.")
    return ctx.emit("gather", x=x, indices=ctx.reshaped(indices, batch), axis=axis)


gather_p.fill(abstract=_gather_abstract, impl=_gather_impl, jvp=_gather_jvp, transpose=_gather_transpose,
              batch=_gather_batch, mil=_gather_mil)  # fmt: skip

# --- the scatters -----------------------------------------------------------------------------------------------------


def scatter_sizes(x: Dims, updates: Dims, dn: ScatterDimensionNumbers) -> Dims:
    """The window's length along each axis of the operand."""
    sizes = [1] * len(x)
    for d, a in zip(_window_axes(len(x), _gather_numbers(dn)), dn.update_window_dims):
        sizes[d] = updates[a]
    return tuple(sizes)


def read_updates(values: Any, indices: Any, updates: Aval, *, dimension_numbers: ScatterDimensionNumbers, mode: str,
                  unique_indices: bool) -> Any:  # fmt: skip
    """Reads ``values``, of the operand's shape, at the positions of the updates; 0 for dropped updates."""
    sizes = scatter_sizes(aval_of(values).shape, updates.shape, dimension_numbers)
    sizes = tuple(min(s, n) for s, n in zip(sizes, aval_of(values).shape))
    return gather_p.bind(
        values, indices, dimension_numbers=_gather_numbers(dimension_numbers), slice_sizes=sizes,
        mode="clip" if mode == "clip" else "fill", fill_value=0, unique_indices=unique_indices,
    )  # fmt: skip


def scatter_primitive(name: str, combine: Any, *, domain: Any, jvp: Any, transpose: Any) -> Primitive:
    prim = primitive(name)

    def abstract(x: Aval, indices: Aval, updates: Aval, *, dimension_numbers: ScatterDimensionNumbers, mode: str,
                 unique_indices: bool) -> Aval:  # fmt: skip
        dn = _gather_numbers(dimension_numbers)
        joint_dtype(name, (x, updates))
        check_domain(name, x, domain)
        window = _window_axes(x.ndim, dn)
        _check_numbers(name, x, indices, dn, len(window), updates.ndim)
        batch = tuple(n for a, n in enumerate(updates.shape) if a not in dn.offset_dims)
        fits = all(updates.shape[a] <= x.shape[d] for d, a in zip(window, dn.offset_dims))
        if batch != indices.shape[:-1] or not fits:
            raise ShapeError(
                f"[{name}] expected updates with the axes of indices {indices} and windows inside {x}, got {updates}"
                f" with {dimension_numbers}."
            )
        return x.update(weak_type=x.weak_type and updates.weak_type)

    def impl(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, *, dimension_numbers: ScatterDimensionNumbers,
             mode: str, unique_indices: bool) -> np.ndarray:  # fmt: skip
        out = np.array(wide(x), order="C")  # its flat view is written to
        if out.size and updates.size:
            sizes = scatter_sizes(x.shape, updates.shape, dimension_numbers)
            numbers = _gather_numbers(dimension_numbers)
            coordinates, inside = _positions(x.shape, indices, numbers, sizes, updates.ndim)
            flat = np.ravel_multi_index(coordinates, x.shape) if x.ndim else np.zeros((), np.int64)
            order = [*(a for a in range(updates.ndim) if a not in numbers.offset_dims), *numbers.offset_dims]
            kept = inside | (mode == "clip")  # below: window by window, since the last of several stores stays
            flat, kept = (np.broadcast_to(a, updates.shape).transpose(order) for a in (flat, kept))
            combine(out.reshape(-1), flat[kept], wide(updates).transpose(order)[kept])
        return out.astype(x.dtype)

    def lower(ctx: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: ScatterDimensionNumbers, mode: str,
              unique_indices: bool) -> Any:  # fmt: skip
        if ctx.legalized:
            how = name.removeprefix("scatter").removeprefix("_") or "update"
            return ctx.emit("scatter_nd", data=x, indices=indices, updates=updates, mode=how)
        lists = {k: list(v) for k, v in dimension_numbers._asdict().items()}
        return ctx.emit_aj(x=x, indices=indices, updates=updates, mode=mode, **lists)

    return prim.fill(abstract=abstract, impl=impl, jvp=jvp(prim), transpose=transpose, batch=_scatter_batch(prim),
                     mil=lower, native_eager=True)  # fmt: skip


def _scatter_batch(prim: Primitive) -> Any:
    def batch(size: int, args: Any, dims: Any, *, dimension_numbers: ScatterDimensionNumbers, **params: Any) -> Any:
        x, indices, updates = args
        each = dims[1] is not None
        x, updates = batch_to(x, dims[0], size), batch_to(updates, dims[2], size)
        indices = batch_to(indices, dims[1], size) if each else indices
        numbers = _scatter_numbers(_batched_numbers(_gather_numbers(dimension_numbers), True, each))
        return prim.bind(x, indices, updates, dimension_numbers=numbers, **params), 0

    return batch


def _store(out: np.ndarray, at: np.ndarray, values: np.ndarray) -> None:
    out[at] = values  # if several updates have the same element, the last one stays


def _scatter_bilinear(prim: Primitive) -> Any:
    """The rule of scatter and scatter_add, which are linear in operand and updates together."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        out = prim.bind(*primals, **params)
        dx, _, du = tangents
        if isinstance(dx, Zero) and isinstance(du, Zero):
            return out, Zero(aval_of(out).tangent())
        return out, prim.bind(instantiate(dx), primals[1], instantiate(du), **params)

    return jvp


def _scatter_add_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    read = read_updates(ct, indices, updates.aval, **params) if is_linear(updates) else None
    return [ct if is_linear(x) else None, None, read]


def _scatter_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    """The operand's elements that stay, and of the updates those that were not overwritten."""
    aval = updates.aval if is_linear(updates) else aval_of(updates)
    out: list[Any] = [None, None, None]
    if is_linear(x):
        out[0] = scatter_p.bind(ct, indices, zeros(aval.strong()), **params)
    if is_linear(updates):
        read = read_updates(ct, indices, aval, **params)
        if not params["unique_indices"]:
            names = reshape(broadcasted_iota(np.int32, (aval.size,), 0), aval.shape)
            nobody = broadcast_in_dim(np.asarray(-1, np.int32), aval_of(ct).shape, ())
            last = read_updates(scatter_p.bind(nobody, indices, names, **params), indices, aval, **params)
            read = select_n(eq(last, names), zeros(aval_of(read).strong()), read)
        out[2] = read
    return out


def _scatter_extremum_jvp(prim: Primitive) -> Any:
    """The tangents of whatever equals the result, shared equally among ties."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        (x, indices, updates), (dx, _, du) = primals, tangents
        out = prim.bind(*primals, **params)
        target = aval_of(out).tangent()
        if isinstance(dx, Zero) and isinstance(du, Zero):
            return out, Zero(target)
        stayed = convert_element_type(eq(x, out), target.dtype)
        read = read_updates(out, indices, aval_of(updates), **params)
        won = convert_element_type(eq(updates, read), target.dtype)
        count = scatter_add_p.bind(stayed, indices, won, **params)
        total = scatter_add_p.bind(mul(instantiate(dx), stayed), indices, mul(instantiate(du), won), **params)
        return out, div(total, max(count, np.ones((), target.dtype)))

    return jvp


scatter_p = scatter_primitive("scatter", _store, domain=ANY, jvp=_scatter_bilinear, transpose=_scatter_transpose)
scatter_add_p = scatter_primitive("scatter_add", np.add.at, domain=NUMBER, jvp=_scatter_bilinear,
                         transpose=_scatter_add_transpose)  # fmt: skip
scatter_min_p = scatter_primitive(
    "scatter_min", np.minimum.at, domain=ANY, jvp=_scatter_extremum_jvp, transpose=NOT_LINEAR
)
scatter_max_p = scatter_primitive(
    "scatter_max", np.maximum.at, domain=ANY, jvp=_scatter_extremum_jvp, transpose=NOT_LINEAR
)

# --- dynamic slices ---------------------------------------------------------------------------------------------------

dynamic_slice_p, dynamic_update_slice_p = primitive("dynamic_slice"), primitive("dynamic_update_slice")


def _check_starts(op: str, x: Aval, starts: Sequence[Aval], sizes: Dims) -> None:
    if any(s.shape or s.dtype not in INT for s in starts) or len(starts) != x.ndim:
        raise ShapeError(
            f"[{op}] expected a rank-0 integer start for each axis of {x}, got {', '.join(map(str, starts))}."
        )
    if len(sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(sizes, x.shape)):
        raise ShapeError(f"[{op}] expected a slice inside {x}, got sizes {sizes}.")


def _dynamic_slice_abstract(x: Aval, *starts: Aval, slice_sizes: Dims) -> Aval:
    _check_starts("dynamic_slice", x, starts, slice_sizes)
    return x.update(shape=slice_sizes)


def _place(x: Dims, starts: Sequence[np.ndarray], sizes: Dims) -> tuple[slice, ...]:
    clamped = [int(np.clip(int(a), 0, n - s)) for a, n, s in zip(starts, x, sizes)]
    return tuple(slice(a, a + s) for a, s in zip(clamped, sizes))


def _dynamic_slice_jvp(primals: Any, tangents: Any, *, slice_sizes: Dims) -> Any:
    out = dynamic_slice_p.bind(*primals, slice_sizes=slice_sizes)
    if isinstance(tangents[0], Zero):
        return out, Zero(aval_of(out).tangent())
    return out, dynamic_slice_p.bind(tangents[0], *primals[1:], slice_sizes=slice_sizes)


def _dynamic_slice_transpose(ct: Any, x: Any, *starts: Any, slice_sizes: Dims) -> Any:
    return [dynamic_update_slice_p.bind(zeros(x.aval.strong()), ct, *starts), *([None] * len(starts))]


def _index_vectors(starts: Sequence[Any], dims: Sequence[int | None], size: int) -> Any:
    """Starts, some of them mapped, as an array of index vectors [size, len(starts)]."""
    dtype, _ = dtypes.promote([(aval_of(s).dtype, False) for s in starts])
    columns = [convert_element_type(s, dtype if dtype in INT else dtypes.int32) for s in starts]
    columns = [c if d is not None else broadcast_in_dim(c, (size,), ()) for c, d in zip(columns, dims)]
    return concatenate([reshape(c, (size, 1)) for c in columns], 1)


def _first_start(starts: Sequence[Any]) -> np.ndarray:
    return np.zeros((), aval_of(starts[0]).dtype if starts else np.int32)


def _dynamic_slice_batch(size: int, args: Any, dims: Any, *, slice_sizes: Dims) -> Any:
    x, *starts = args
    if all(d is None for d in dims[1:]):
        x = batch_to(x, dims[0], size)
        return dynamic_slice_p.bind(x, _first_start(starts), *starts, slice_sizes=(size, *slice_sizes)), 0
    every = tuple(range(len(starts)))
    return _gather_batch(size, (x, _index_vectors(starts, dims[1:], size)), (dims[0], 0),
                         dimension_numbers=GatherDimensionNumbers(every, (), every), slice_sizes=slice_sizes,
                         mode="clip", fill_value=None, unique_indices=True)  # fmt: skip


def _starts_mil(ctx: Any, whole: Any, starts: Sequence[Any], **operands: Any) -> Any:
    """A slice of rank 0 is all there is; ``whole`` is the array it is of."""
    return ctx.emit_aj(start_indices=starts, **operands) if starts else ctx.emit("aj_copy", x=whole)


dynamic_slice_p.fill(
    abstract=_dynamic_slice_abstract,
    impl=lambda x, *starts, slice_sizes: x[_place(x.shape, starts, slice_sizes)],
    jvp=_dynamic_slice_jvp,
    transpose=_dynamic_slice_transpose,
    batch=_dynamic_slice_batch,
    mil=lambda ctx, x, *starts, slice_sizes: _starts_mil(ctx, x, starts, x=x, slice_sizes=list(slice_sizes)),
)


def _update_abstract(x: Aval, update: Aval, *starts: Aval) -> Aval:
    joint_dtype("dynamic_update_slice", (x, update))
    _check_starts("dynamic_update_slice", x, starts, update.shape)
    return x.update(weak_type=x.weak_type and update.weak_type)


def _update_impl(x: np.ndarray, update: np.ndarray, *starts: np.ndarray) -> np.ndarray:
    out = x.copy()
    out[_place(x.shape, starts, update.shape)] = update
    return out


def _update_jvp(primals: Any, tangents: Any) -> Any:
    out = dynamic_update_slice_p.bind(*primals)
    dx, du, *_ = tangents
    if isinstance(dx, Zero) and isinstance(du, Zero):
        return out, Zero(aval_of(out).tangent())
    return out, dynamic_update_slice_p.bind(instantiate(dx), instantiate(du), *primals[2:])


def _update_transpose(ct: Any, x: Any, update: Any, *starts: Any) -> Any:
    aval = update.aval if is_linear(update) else aval_of(update)
    return [
        dynamic_update_slice_p.bind(ct, zeros(aval.strong()), *starts) if is_linear(x) else None,
        dynamic_slice_p.bind(ct, *starts, slice_sizes=aval.shape) if is_linear(update) else None,
        *([None] * len(starts)),
    ]


def _update_batch(size: int, args: Any, dims: Any) -> Any:
    x, update, *starts = args
    x, update = batch_to(x, dims[0], size), batch_to(update, dims[1], size)
    if all(d is None for d in dims[2:]):
        return dynamic_update_slice_p.bind(x, update, _first_start(starts), *starts), 0
    every = tuple(range(1, len(starts) + 1))
    numbers = ScatterDimensionNumbers(every, (), every, (0,), (0,))
    indices = _index_vectors(starts, dims[2:], size)
    return scatter_p.bind(x, indices, update, dimension_numbers=numbers, mode="clip", unique_indices=True), 0


dynamic_update_slice_p.fill(
    abstract=_update_abstract,
    impl=_update_impl,
    jvp=_update_jvp,
    transpose=_update_transpose,
    batch=_update_batch,
    mil=lambda ctx, x, update, *starts: _starts_mil(ctx, update, starts, x=x, update=update),
)

# --- faces: gather and scatter ----------------------------------------------------------------------------------------


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Any:
    """Slices of ``operand`` of ``slice_sizes``, one for each index vector in ``start_indices``.

    Args:
        operand: the array to read.
        start_indices: integers; the last axis holds where a slice starts.
        dimension_numbers: see GatherDimensionNumbers.
        slice_sizes: the lengths of a slice, one per axis of ``operand``.
        unique_indices: a promise that slices do not overlap.
        indices_are_sorted: accepted for compatibility.
        mode: what to do out of bounds; "promise_in_bounds" when None.
        fill_value: what "fill" reads out of bounds: NaN, an extreme integer or True when None.
    """
    kind = GatherScatterMode.from_any("promise_in_bounds" if mode is None else mode).value
    if fill_value is not None and not is_python_scalar(fill_value):
        fill_value = np.asarray(fill_value).item()
    if kind != "fill" or fill_value != fill_value:  # a NaN is what None means, and compares equal to itself
        fill_value = None
    return gather_p.bind(
        operand, start_indices, dimension_numbers=_tuples(GatherDimensionNumbers, dimension_numbers),
        slice_sizes=checked_shape(slice_sizes, "gather"), mode=kind, fill_value=fill_value,
        unique_indices=bool(unique_indices),
    )  # fmt: skip


def _tuples(kind: Any, numbers: Any) -> Any:
    return kind(*(tuple(map(int, axes)) for axes in numbers))


def scatter_face(prim: Primitive, what: str) -> Any:
    def function(
        operand: Any,
        scatter_indices: Any,
        updates: Any,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: str | GatherScatterMode | None = None,
    ) -> Any:
        return prim.bind(
            operand, scatter_indices, updates, dimension_numbers=_tuples(ScatterDimensionNumbers, dimension_numbers),
            mode=GatherScatterMode.from_any(mode).value, unique_indices=bool(unique_indices),
        )  # fmt: skip

    function.__name__ = function.__qualname__ = prim.name
    function.__doc__ = (
        f"``operand`` with windows at ``scatter_indices`` {what} ``updates``. Windows out of bounds are dropped, unless"
        ' mode is "clip". See ScatterDimensionNumbers.'
    )
    return function


scatter = scatter_face(scatter_p, "replaced by")
scatter_add = scatter_face(scatter_add_p, "plus")
scatter_min = scatter_face(scatter_min_p, "replaced by their minimum with")
scatter_max = scatter_face(scatter_max_p, "replaced by their maximum with")


def scatter_sub(operand: Any, scatter_indices: Any, updates: Any, dimension_numbers: Any, **options: Any) -> Any:
    """``operand`` with windows at ``scatter_indices`` minus ``updates``."""
    return scatter_add(operand, scatter_indices, neg(updates), dimension_numbers, **options)


# --- faces: dynamic slices --------------------------------------------------------------------------------------------


def _starts(op: str, shape: Dims, start_indices: Any) -> list[Any]:
    """A rank-0 start for each axis; negative ones count from the end."""
    if hasattr(start_indices, "aval") or isinstance(start_indices, np.ndarray):
        if aval_of(start_indices).shape != (len(shape),):
            raise ShapeError(f"[{op}] expected {len(shape)} start indices, got {aval_of(start_indices)}.")
        start_indices = [squeeze(slice_in_dim(start_indices, i, i + 1), (0,)) for i in range(len(shape))]
    starts = list(start_indices)
    if len(starts) != len(shape):
        raise ShapeError(f"[{op}] expected {len(shape)} start indices, got {len(starts)}.")
    return [_start(op, start, n) for start, n in zip(starts, shape)]


def _start(op: str, start: Any, n: int) -> Any:
    if type(start) is int or isinstance(start, np.integer):
        place = sorted((-1, int(start) + (n if start < 0 else 0), n))[1]  # all starts beyond an end are clamped alike
        return np.asarray(place, np.int32 if n < 2**31 else dtypes.canonical(np.int64))
    aval = aval_of(start)
    if aval.shape or aval.dtype not in INT:
        raise DtypeError(f"[{op}] expected rank-0 integer start indices, got {aval}.")
    if aval.dtype in dtypes.UNSIGNED:
        return start
    if aval.dtype.itemsize < 4:
        start = convert_element_type(start, np.int32)
    dtype = aval_of(start).dtype
    return select_n(lt(start, np.zeros((), dtype)), start, add(start, np.asarray(n, dtype)))


def dynamic_slice(operand: Any, start_indices: Any, slice_sizes: Sequence[int]) -> Any:
    """A slice of ``slice_sizes`` at computed starts. Starts are clamped so that the slice lies inside.

    Args:
        operand: the array.
        start_indices: an integer per axis, or a rank-1 array of them; negative ones count from the end.
        slice_sizes: a Python integer per axis.
    """
    starts = _starts("dynamic_slice", aval_of(operand).shape, start_indices)
    return dynamic_slice_p.bind(operand, *starts, slice_sizes=checked_shape(slice_sizes, "dynamic_slice"))


def dynamic_update_slice(operand: Any, update: Any, start_indices: Any) -> Any:
    """``operand`` with ``update`` written at computed starts. Starts are clamped so that the update lies inside."""
    starts = _starts("dynamic_update_slice", aval_of(operand).shape, start_indices)
    return dynamic_update_slice_p.bind(operand, update, *starts)


def _along(axis: int, start: Any, rank: int) -> list[Any]:
    return [start if i == axis else 0 for i in range(rank)]


def dynamic_slice_in_dim(operand: Any, start_index: Any, slice_size: int, axis: int = 0) -> Any:
    """``slice_size`` elements along ``axis`` from a computed start; everything along the others."""
    aval = aval_of(operand)
    axis = check_axis("dynamic_slice_in_dim", axis, aval.ndim)
    sizes = [int(slice_size) if i == axis else n for i, n in enumerate(aval.shape)]
    return dynamic_slice(operand, _along(axis, start_index, aval.ndim), sizes)


def dynamic_index_in_dim(operand: Any, index: Any, axis: int = 0, keepdims: bool = True) -> Any:
    """``operand`` at a computed position of ``axis``. The axis keeps length 1 with ``keepdims``, else it is dropped."""
    out = dynamic_slice_in_dim(operand, index, 1, axis)
    return out if keepdims else squeeze(out, (axis,))


def dynamic_update_slice_in_dim(operand: Any, update: Any, start_index: Any, axis: int) -> Any:
    """``operand`` with ``update`` written along ``axis`` from a computed start."""
    rank = aval_of(operand).ndim
    axis = check_axis("dynamic_update_slice_in_dim", axis, rank)
    return dynamic_update_slice(operand, update, _along(axis, start_index, rank))


def dynamic_update_index_in_dim(operand: Any, update: Any, index: Any, axis: int) -> Any:
    """``operand`` with ``update``, with or without the axis, written at a computed position of ``axis``."""
    rank = aval_of(operand).ndim
    axis = check_axis("dynamic_update_index_in_dim", axis, rank)
    if aval_of(update).ndim != rank:
        update = expand_dims(update, (axis,))
    return dynamic_update_slice_in_dim(operand, update, index, axis)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """``operand`` at a position of ``axis`` known when tracing."""
    aval = aval_of(operand)
    axis = check_axis("index_in_dim", axis, aval.ndim)
    at = check_axis("index_in_dim", index, aval.shape[axis])
    out = slice_in_dim(operand, at, at + 1, axis=axis)
    return out if keepdims else squeeze(out, (axis,))
