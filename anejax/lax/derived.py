"""Functions of jax.lax that combine others: shapes, windows as features, top-k functions, bits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.custom import custom_jvp
from anejax.api.staging import eval_shape
from anejax.core.array import Array
from anejax.core.aval import ShapeDtypeStruct
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.numpy.operands import as_array
from anejax.ops import arithmetic, elementwise, linear
from anejax.ops import shape as shapes
from anejax.ops.conv import conv_dimension_numbers, conv_general_dilated, conv_transpose
from anejax.ops.families import check_domain
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


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Array:
    """A convolution with a different kernel for each position of the result: a locally connected layer.

    Args:
        lhs: the input, of ``n`` spatial axes, in the order of ``dimension_numbers``.
        rhs: the kernels, in rhs's order: their spatial axes are those of the result, and their input features are the
            channels times the elements of ``filter_shape``, as ``conv_general_dilated_patches`` orders them.
        filter_shape: the ``n`` lengths of a window.
        window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision: as of
            ``conv_general_dilated``.
    """
    x, y = (as_array("conv_general_dilated_local", v) for v in (lhs, rhs))
    patches = conv_general_dilated_patches(
        x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
    )
    numbers = conv_dimension_numbers(x.shape, (1, 1, *filter_shape), dimension_numbers)
    (batch, feature, *places), (_, inputs, *kernels) = numbers.out_spec, numbers.rhs_spec
    mapped, of_kernels = zip(*sorted(zip(places, kernels))) if places else ((), ())
    out = linear.dot_general(patches, y, (((feature,), (inputs,)), (mapped, of_kernels)), precision)
    order = np.argsort([*mapped, batch, feature]).tolist()  # the product's axes: mapped axes, the batch, features
    return shapes.transpose(out, order)


# --- by other names or for other platforms ----------------------------------------------------------------------------


def dtype(x: Any) -> np.dtype:
    """The dtype of an array or a number, or that which a class or a string names."""
    return dtypes.dtype_and_weak(x)[0]


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The ``k`` greatest elements along an axis, and their positions: all of them, whatever ``recall_target``.

    Args:
        operand: an array of floats.
        k: a positive number, at most the length of the axis.
        recall_target: which part of them XLA would have to find, between 0 and 1.
        reduction_input_size_override: the length of the whole axis, of which this is a part; -1: this is all.
        aggregate_to_topk: False: the candidates that XLA keeps, in order, of which the first ``k`` are those asked for.
    """
    options = recall_target, reduction_input_size_override, aggregate_to_topk
    count = _kept("approx_max_k", operand, k, reduction_dimension, *options)
    return top_k(operand, count, axis=reduction_dimension)


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The ``k`` least elements along an axis, and their positions. Arguments as of ``approx_max_k``."""
    options = recall_target, reduction_input_size_override, aggregate_to_topk
    count = _kept("approx_min_k", operand, k, reduction_dimension, *options)
    values, positions = top_k(arithmetic.neg(operand), count, axis=reduction_dimension)
    return arithmetic.neg(values), positions


def _kept(op: str, operand: Any, k: int, dimension: int, recall: float, whole: int, aggregate: bool) -> int:
    """The number of results: ``k``, or that of XLA's ApproxTopKReductionOutputSize (approx_topk_shape.cc)."""
    aval = aval_of(operand)
    check_domain(op, aval, dtypes.FLOATS)
    size = aval.shape[shapes.check_axis(op, dimension, aval.ndim)]
    if k <= 0:
        raise ValueError(f"[{op}] expected a positive k, got {k}.")
    if not 0 < recall <= 1 or (whole != -1 and whole < size):
        raise ValueError(
            f"[{op}] expected a recall_target above 0 and at most 1, and a reduction_input_size_override of -1 or at"
            f" least {size}, got {recall} and {whole}."
        )
    tile = 1024 if aval.ndim == 1 else 128
    if aggregate or size <= tile:
        return k if aggregate else size
    if k == 1:
        return tile
    bins = max(math.ceil((1 - k) / math.log(recall)), tile) if recall < 1 else size
    shift = max((size if whole == -1 else whole) // bins, 1).bit_length() - 1
    return math.ceil(math.ceil(size / tile) / (1 << shift)) * tile if shift else size


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


def slice_in_dim(
    operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Array:
    """The elements from ``start_index`` to before ``limit_index`` along ``axis``; negative ones count from the end."""
    x = as_array("slice_in_dim", operand)
    axis = shapes.check_axis("slice_in_dim", axis, x.ndim)
    if limit_index is not None and limit_index > x.shape[axis]:
        raise ShapeError(f"[slice_in_dim] expected a limit of at most {x.shape[axis]} for {x.aval}, got {limit_index}.")
    first, last, _ = slice(start_index, limit_index).indices(x.shape[axis])
    if first > last:
        raise ShapeError(f"[slice_in_dim] expected a limit of at least the start, got {start_index} to {limit_index}.")
    return shapes.slice_in_dim(x, start_index, limit_index, stride, axis)


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


_FORMATS = {dtypes.float16: (5, 10), dtypes.bfloat16: (8, 7), dtypes.float32: (8, 23), dtypes.float64: (11, 52)}


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Array:
    """``operand`` rounded to a float format of so many bits, halves to even; its dtype stays.

    Numbers that are too large become infinite, and numbers below the format's least normal number become 0, as in XLA.

    Example:
        >>> import numpy as np
        >>> from anejax import lax
        >>> lax.reduce_precision(np.float32([1.3, 300, 1e-5]), 4, 3)
        Array([1.25,  inf, 0.  ], dtype=float32)
    """
    x = as_array("reduce_precision", operand)
    if x.dtype not in dtypes.FLOATS:
        raise DtypeError(f"[reduce_precision] expected an array of floats, got {x.aval}.")
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ValueError(
            f"[reduce_precision] expected exponent_bits of 1 or more and mantissa_bits of 0 or more, got"
            f" {exponent_bits} and {mantissa_bits}."
        )
    return _rounded(int(exponent_bits), int(mantissa_bits))(x)


@functools.cache
def _rounded(exponent_bits: int, mantissa_bits: int) -> Any:
    rounded = custom_jvp(lambda x: _round_bits(x, exponent_bits, mantissa_bits))
    rounded.defjvp(lambda primals, tangents: (rounded(*primals), *tangents))  # rounding a tangent is not linear
    return rounded


def _round_bits(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Rounds by the bits of the elements, as XLA's ReducePrecision does."""
    exponents, mantissas = _FORMATS[x.dtype]
    word = np.dtype(f"uint{x.dtype.itemsize * 8}")
    constant = lambda v: np.asarray(v, word)  # noqa: E731
    bits = elementwise.bitcast_convert_type(x, word)
    sign = arithmetic.and_(bits, constant(1 << (exponents + mantissas)))
    less = mantissas - mantissa_bits
    if less > 0:
        last = arithmetic.and_(arithmetic.shift_right_logical(bits, constant(less)), constant(1))
        bits = arithmetic.add(bits, arithmetic.add(last, constant((1 << (less - 1)) - 1)))
        bits = arithmetic.and_(bits, constant(~((1 << less) - 1) & ((1 << (x.dtype.itemsize * 8)) - 1)))
    if exponent_bits < exponents:
        own, narrow = (1 << (exponents - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        exponent = arithmetic.and_(bits, constant(((1 << exponents) - 1) << mantissas))
        infinite = arithmetic.or_(sign, constant(((1 << exponents) - 1) << mantissas))
        too_large = arithmetic.gt(exponent, constant((own + narrow) << mantissas))
        too_small = arithmetic.le(exponent, constant((own - narrow) << mantissas))
        bits = arithmetic.select_n(too_large, bits, infinite)
        bits = arithmetic.select_n(too_small, bits, sign)
    out = elementwise.bitcast_convert_type(bits, x.dtype)
    out = arithmetic.select_n(arithmetic.ne(x, x), out, x)
    return elementwise.convert_element_type(out, x.dtype, aval_of(x).weak_type)


def mulhi(x: Any, y: Any, /) -> Array:
    """The upper half of the bits of the products of integers of one dtype: floor(``x`` ``y`` / 2^bits).

    Example:
        >>> import numpy as np
        >>> from anejax import lax
        >>> lax.mulhi(np.int8([100, -100]), np.int8(100))
        Array([ 39, -40], dtype=int8)
    """
    x, y = (as_array("mulhi", v) for v in (x, y))
    for v in (x, y):
        check_domain("mulhi", v.aval, dtypes.INTS)
    if x.dtype != y.dtype:
        raise DtypeError(f"[mulhi] expected integers of one dtype, got {x.aval}, {y.aval}. Convert with x.astype(...).")
    type_ = x.dtype
    bits = dtypes.itemsize_bits(type_)
    if bits < 32:
        wide = dtypes.int32 if type_ in dtypes.SIGNED else dtypes.uint32
        product = arithmetic.mul(elementwise.convert_element_type(x, wide), elementwise.convert_element_type(y, wide))
        return elementwise.convert_element_type(_shifted(product, bits), type_)
    whole = np.dtype(f"uint{bits}")
    first, second = (elementwise.convert_element_type(v, whole) for v in (x, y))
    high = elementwise.convert_element_type(_upper_half(first, second, bits // 2), type_)
    if type_ in dtypes.UNSIGNED:
        return high
    # a negative number stands for itself + 2^bits there, which adds the other factor to the upper half
    extra = (arithmetic.mul(_shifted(v, bits - 1), w) for v, w in ((x, y), (y, x)))
    return functools.reduce(arithmetic.add, extra, high)


def _shifted(x: Any, count: int) -> Any:
    """``x`` / 2^count, rounded down."""
    kind = "logical" if aval_of(x).dtype in dtypes.UNSIGNED else "arithmetic"
    return getattr(arithmetic, f"shift_right_{kind}")(x, np.asarray(count, aval_of(x).dtype))


def _upper_half(x: Any, y: Any, half: int) -> Any:
    """The upper half of unsigned products, by digits of ``half`` bits: their products and the sum of carries fit."""
    ones = np.asarray((1 << half) - 1, aval_of(x).dtype)
    low = lambda v: arithmetic.and_(v, ones)  # noqa: E731
    high = lambda v: _shifted(v, half)  # noqa: E731
    total = functools.partial(functools.reduce, arithmetic.add)
    first, second = arithmetic.mul(low(x), high(y)), arithmetic.mul(high(x), low(y))
    carry = total([low(first), low(second), high(arithmetic.mul(low(x), low(y)))])
    return total([arithmetic.mul(high(x), high(y)), high(first), high(second), high(carry)])
