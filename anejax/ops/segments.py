"""jax.ops on anejax: reductions over segments of an array's first axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops import index, products, reduce
from anejax.ops.arithmetic import gt
from anejax.ops.elementwise import convert_element_type
from anejax.ops.shape import broadcast_to, concatenate, reshape

Identity = Callable[[np.dtype], Any]


def _least(dtype: np.dtype) -> Any:
    return np.asarray(reduce.lowest(dtype), dtype)


def _greatest(dtype: np.dtype) -> Any:
    return np.asarray(reduce.highest(dtype), dtype)


def _segment(
    name: str, scatter: Callable[..., Any], identity: Identity, reduction: Callable[..., Any], what: str
) -> Any:
    def segment(
        data: Any,
        segment_ids: Any,
        num_segments: int | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        bucket_size: int | None = None,
        mode: Any = None,
    ) -> Any:
        x, ids = aval_of(data), aval_of(segment_ids)
        if not dtypes.is_int(ids.dtype):
            raise DtypeError(f"[{name}] expected integer segment_ids, got {ids}.")
        if x.shape[: ids.ndim] != ids.shape:
            raise ShapeError(f"[{name}] expected segment_ids of the shape of the leading axes of {x}, got {ids}.")
        if bucket_size is not None and bucket_size < 1:
            raise ShapeError(f"[{name}] expected a bucket_size of 1 or more, got {bucket_size}.")
        if num_segments is None:
            known = np.asarray(segment_ids)
            num_segments = int(known.max()) + 1 if known.size else 0
        if x.dtype == dtypes.bool_:
            return _of_bools(name)(data, segment_ids, num_segments, bucket_size=bucket_size, mode=mode)
        counts, rest = (int(num_segments),), x.shape[ids.ndim :]
        places, updates = reshape(segment_ids, (ids.size, 1)), reshape(data, (ids.size, *rest))
        if bucket_size is not None:
            bucket = np.asarray(np.arange(ids.size) // bucket_size, np.int32)[:, None]
            places = concatenate([bucket, convert_element_type(places, np.int32)], 1)
            counts = (-(-ids.size // bucket_size), *counts)
        start = broadcast_to(identity(x.dtype), (*counts, *rest))
        axes = tuple(range(len(counts)))
        numbers = index.ScatterDimensionNumbers(tuple(range(1, 1 + len(rest))), axes, axes)
        out = scatter(start, places, updates, numbers, mode=mode)
        return out if bucket_size is None else reduction(out, (0,))

    segment.__name__ = segment.__qualname__ = name
    segment.__doc__ = f"""{what} of ``data`` over the elements whose ``segment_ids`` are equal.

    Args:
        data: an array whose leading axes have the shape of ``segment_ids``.
        segment_ids: integers; those outside ``range(num_segments)`` are dropped.
        num_segments: the length of the result, which must be known under ``jit``; by default the greatest id + 1.
        indices_are_sorted, unique_indices: accepted for compatibility.
        bucket_size: of how many elements partial results are made, which are combined at the end; by default of all.
        mode: the treatment of ids out of range, as in ``lax.scatter``.

    Returns:
        An array [num_segments, ...]; empty segments hold the identity of the reduction.
    """
    return segment


def _of_bools(name: str) -> Callable[..., Any]:
    """The same of bools, of which a sum is True where one is, and a product where all are."""
    of_numbers = segment_max if name in ("segment_sum", "segment_max") else segment_min

    def segment(data: Any, *args: Any, **options: Any) -> Any:
        signed = convert_element_type(data, dtypes.int8)  # those of empty segments are the least or the greatest int8
        return gt(of_numbers(signed, *args, **options), np.zeros((), dtypes.int8))

    return segment


segment_sum = _segment(
    "segment_sum", index.scatter_add, lambda dtype: np.zeros((), dtype), reduce.reduce_sum, "The sum"
)
segment_prod = _segment(
    "segment_prod", products.scatter_mul, lambda dtype: np.ones((), dtype), reduce.reduce_prod, "The product"
)
segment_max = _segment("segment_max", index.scatter_max, _least, reduce.reduce_max, "The greatest")
segment_min = _segment("segment_min", index.scatter_min, _greatest, reduce.reduce_min, "The least")
