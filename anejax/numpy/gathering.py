"""Gathers and scatters along axes. Only this module of anejax.numpy writes their dimension numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax.core.trace import aval_of
from anejax.ops import index as ops
from anejax.ops import shape


def _vectors(arrays: Sequence[Any]) -> Any:
    """Integer arrays of one shape as index vectors along a new last axis."""
    columns = [shape.expand_dims(a, (aval_of(a).ndim,)) for a in arrays]
    return shape.concatenate(columns, aval_of(columns[0]).ndim - 1)


def gather_axes(x: Any, axes: Sequence[int], arrays: Sequence[Any], position: int, mode: str, fill: Any = None) -> Any:
    """``x`` indexed by integer arrays of one shape along ``axes``; their axes stand at ``position`` of the result."""
    lengths, rank = aval_of(x).shape, aval_of(arrays[0]).ndim
    kept = [i for i in range(len(lengths)) if i not in axes]
    numbers = ops.GatherDimensionNumbers(
        offset_dims=tuple(j if j < position else j + rank for j in range(len(kept))),
        collapsed_slice_dims=tuple(sorted(axes)),
        start_index_map=tuple(axes),
    )
    sizes = tuple(1 if i in axes else n for i, n in enumerate(lengths))
    return ops.gather(x, _vectors(arrays), numbers, sizes, mode=mode, fill_value=fill)


def take_rows(x: Any, positions: Any, axis: int) -> Any:
    """``x`` at the in-bounds ``positions``, a rank-1 integer array, along ``axis``."""
    return gather_axes(x, (axis,), (positions,), axis, "clip")


def scatter_axes(
    op: Any, x: Any, axes: Sequence[int], arrays: Sequence[Any], position: int, updates: Any, mode: str
) -> Any:
    """``x`` with ``updates`` (of the shape that ``gather_axes`` gives) combined by ``op``, a scatter of ops."""
    rank = aval_of(arrays[0]).ndim
    kept = aval_of(x).ndim - len(axes)
    numbers = ops.ScatterDimensionNumbers(
        update_window_dims=tuple(j if j < position else j + rank for j in range(kept)),
        inserted_window_dims=tuple(sorted(axes)),
        scatter_dims_to_operand_dims=tuple(axes),
    )
    return op(x, _vectors(arrays), updates, numbers, mode=mode)


def batched_gather(x: Any, positions: Any, axis: int, mode: str, fill: Any = None) -> Any:
    """``x`` at ``positions`` along ``axis``; the other axes of both have the same lengths and go together."""
    rank, result = aval_of(x).ndim, aval_of(positions).shape
    if 0 in result:  # no slice fits into nothing
        return shape.full(result, 0, aval_of(x).dtype)
    others = tuple(i for i in range(rank) if i != axis)
    numbers = ops.GatherDimensionNumbers(
        offset_dims=(),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        operand_batching_dims=others,
        start_indices_batching_dims=others,
    )
    vectors = shape.expand_dims(positions, (rank,))
    return ops.gather(x, vectors, numbers, (1,) * rank, mode=mode, fill_value=fill)
