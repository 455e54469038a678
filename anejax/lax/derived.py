"""Functions of jax.lax that are made of others: shapes, patches, top k by other names, ragged products, bits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.staging import eval_shape
from anejax.core.array import Array
from anejax.core.aval import ShapeDtypeStruct
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import as_array
from anejax.ops import arithmetic, elementwise, linear, reduce
from anejax.ops import shape as shapes
from anejax.ops.conv import conv_dimension_numbers, conv_general_dilated, conv_transpose
from anejax.ops.sort import top_k
from anejax.ops.windows import reduce_window

# --- shapes of results, and windows as features -----------------------------------------------------------------------


def _shape_of(function: Callable[..., Any], *shapes_: Sequence[int], **options: Any) -> tuple[int, ...]:
    """The shape that ``function`` makes of float32 arrays of the given shapes."""
    structs = [ShapeDtypeStruct(tuple(s), dtypes.float32) for s in shapes_]
    return eval_shape(functools.partial(function, **options), *structs).shape


def conv_general_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Any, padding: Any, dimension_numbers: Any
) -> tuple[int, ...]:
    """The shape of ``conv_general_dilated`` of operands of these shapes."""
    options = {"window_strides": window_strides, "padding": padding, "dimension_numbers": dimension_numbers}
    return _shape_of(conv_general_dilated, lhs_shape, rhs_shape, **options)


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Any, padding: Any, dimension_numbers: Any
) -> tuple[int, ...]:
    """The shape of ``conv_transpose`` of operands of these shapes."""
    options = {"strides": window_strides, "padding": padding, "dimension_numbers": dimension_numbers}
    return _shape_of(conv_transpose, lhs_shape, rhs_shape, **options)


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """The shape of ``reduce_window`` of an operand of this shape."""

    def windowed(x: Any) -> Any:
        return reduce_window(
            x, 0.0, arithmetic.add, window_dimensions, window_strides, padding, base_dilation=base_dilation,
            window_dilation=window_dilation,
        )  # fmt: skip

    return _shape_of(windowed, operand_shape)


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The windows of ``lhs`` that a convolution with kernels of ``filter_shape`` would see, as its features.

    The result has channels * prod(filter_shape) features: those of the input, each at every place of the window.
    """
    x = as_array("conv_general_dilated_patches", lhs)
    numbers = conv_dimension_numbers(x.shape, (1, 1, *filter_shape), dimension_numbers)
    channels, places = x.shape[numbers.lhs_spec[1]], math.prod(filter_shape)
    kernel = shapes.reshape(np.eye(places, dtype=x.dtype), (places, 1, *filter_shape))
    kernel = shapes.concatenate([kernel] * channels, 0)  # (out, in, spatial...)
    kernel = shapes.transpose(kernel, np.argsort(numbers.rhs_spec).tolist())
    return conv_general_dilated(
        x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers, feature_group_count=channels,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


# --- by other names or for other platforms ----------------------------------------------------------------------------


def dtype(x: Any) -> np.dtype:
    """The dtype of an array or a number."""
    return aval_of(x).dtype


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The ``k`` greatest elements along an axis, and their positions: all of them, whatever ``recall_target``."""
    values, positions = top_k(operand, k, axis=reduction_dimension)
    return values, positions


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The ``k`` least elements along an axis, and their positions: all of them, whatever ``recall_target``."""
    values, positions = top_k(arithmetic.neg(operand), k, axis=reduction_dimension)
    return arithmetic.neg(values), positions


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """The function given for platform ``cpu``, or ``default``, applied to ``args``."""
    chosen = per_platform.get("cpu", default)
    if chosen is None:
        raise NotImplementedError(
            f"[platform_dependent] expected a function for 'cpu' or a default, got {', '.join(per_platform) or 'none'}."
        )
    return chosen(*args)


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
) -> Array:
    """Row i of ``lhs`` [m, k] times the matrix of its group in ``rhs`` [g, k, n]: [m, n].

    ``group_sizes`` [g] says how many rows belong to each group, in order; rows past the last group give zeros.
    """
    if group_offset is not None:
        raise RefusedError("[ragged_dot] group_offset is not supported; slice rhs and group_sizes.")
    x, y, sizes = (as_array("ragged_dot", v) for v in (lhs, rhs, group_sizes))
    if x.ndim != 2 or y.ndim != 3 or sizes.shape != y.shape[:1] or x.shape[1] != y.shape[1]:
        raise ShapeError(f"[ragged_dot] expected [m,k], [g,k,n] and [g], got {x.aval}, {y.aval} and {sizes.aval}.")
    ends = reduce.cumsum(sizes, 0)
    grid = (y.shape[0], x.shape[0])
    rows = shapes.broadcasted_iota(sizes.dtype, grid, 1)
    starts, ends = (shapes.broadcast_in_dim(v, grid, (0,)) for v in (ends - sizes, ends))
    inside = arithmetic.and_(arithmetic.ge(rows, starts), arithmetic.lt(rows, ends))
    member = shapes.broadcast_in_dim(inside, (*grid, x.shape[1]), (0, 1))
    spread = shapes.broadcast_in_dim(x, (*grid, x.shape[1]), (1, 2))
    mine = arithmetic.select_n(member, shapes.broadcast_to(np.zeros((), x.dtype), member.shape), spread)
    numbers = ((2,), (1,)), ((0,), (0,))
    products = linear.dot_general(mine, y, numbers, precision, preferred_element_type)
    return reduce.reduce_sum(products, (0,))


# --- bits -------------------------------------------------------------------------------------------------------------


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Array:
    """The bits of ``operand`` read as ``new_dtype``; a narrower one adds a last axis, a wider one takes it away.

    The lowest bits come first along that axis.

    Example:
        >>> import numpy as np
        >>> from anejax import lax
        >>> lax.bitcast_convert_type(np.float32(1), np.uint16)
        Array([    0, 16256], dtype=uint16)
    """
    x, target = as_array("bitcast_convert_type", operand), dtypes.canonical(new_dtype)
    old, new = dtypes.itemsize_bits(x.dtype), dtypes.itemsize_bits(target)
    if old == new:
        return elementwise.bitcast_convert_type(x, target)
    bits = elementwise.bitcast_convert_type(x, np.dtype(f"uint{old}"))
    whole = np.dtype(f"uint{new}")
    if new < old:
        parts = [arithmetic.shift_right_logical(bits, np.asarray(k, bits.dtype)) for k in range(0, old, new)]
        parts = [elementwise.convert_element_type(p, whole) for p in parts]
        joined = shapes.concatenate([shapes.expand_dims(p, (x.ndim,)) for p in parts], x.ndim)
    else:
        joined = _joined_bits(bits, whole, old, new)
    return elementwise.bitcast_convert_type(joined, target)


def _joined_bits(bits: Any, whole: np.dtype, old: int, new: int) -> Any:
    last = bits.ndim - 1
    if not bits.ndim or bits.shape[-1] != new // old:
        raise ShapeError(
            f"[bitcast_convert_type] expected a last axis of {new // old} elements of {old} bits to make one of {new},"
            f" got {bits.aval}."
        )
    wide = elementwise.convert_element_type(bits, whole)
    parts = [shapes.squeeze(shapes.slice_in_dim(wide, i, i + 1, axis=last), (last,)) for i in range(new // old)]
    moved = [arithmetic.shift_left(p, np.asarray(i * old, whole)) for i, p in enumerate(parts)]
    return functools.reduce(arithmetic.or_, moved)
