"""Reductions over segments of an array's first axis: jax.ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.ops import index, products
from anejax.ops.shape import broadcast_to, reshape


def _least(dtype: np.dtype) -> Any:
    return np.asarray(-np.inf, dtype) if dtypes.is_float(dtype) else np.asarray(np.iinfo(dtype).min, dtype)


def _greatest(dtype: np.dtype) -> Any:
    return np.asarray(np.inf, dtype) if dtypes.is_float(dtype) else np.asarray(np.iinfo(dtype).max, dtype)


def _segment(name: str, scatter: Callable[..., Any], identity: Callable[[np.dtype], Any], what: str) -> Any:
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
        if bucket_size is not None:
            raise RefusedError(f"[{name}] bucket_size is not supported: sums are not split here; leave it out.")
        if num_segments is None:
            num_segments = int(np.asarray(segment_ids).max(initial=-1)) + 1
        count, rest = int(num_segments), x.shape[ids.ndim :]
        start = broadcast_to(identity(x.dtype), (count, *rest))
        numbers = index.ScatterDimensionNumbers(tuple(range(1, 1 + len(rest))), (0,), (0,))
        places, updates = reshape(segment_ids, (ids.size, 1)), reshape(data, (ids.size, *rest))
        return scatter(start, places, updates, numbers, mode=mode)

    segment.__name__ = segment.__qualname__ = name
    segment.__doc__ = f"""{what} of ``data`` over the elements whose ``segment_ids`` are equal.

    Args:
        data: an array whose leading axes have the shape of ``segment_ids``.
        segment_ids: integers; those outside ``range(num_segments)`` are dropped.
        num_segments: the length of the result, which must be known under ``jit``; by default the greatest id + 1.
        indices_are_sorted, unique_indices: accepted for compatibility.
        mode: what becomes of ids out of range, as in ``lax.scatter``.

    Returns:
        An array [num_segments, ...]; empty segments hold the identity of the reduction.
    """
    return segment


segment_sum = _segment("segment_sum", index.scatter_add, lambda dtype: np.zeros((), dtype), "The sum")
segment_prod = _segment("segment_prod", products.scatter_mul, lambda dtype: np.ones((), dtype), "The product")
segment_max = _segment("segment_max", index.scatter_max, _least, "The greatest")
segment_min = _segment("segment_min", index.scatter_min, _greatest, "The least")
