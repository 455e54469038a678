"""jax.lax on anejax: the primitives as functions.

They do not promote dtypes, and they broadcast rank-0 operands only. Names and argument orders are jax.lax's.
``lax.<name>_p`` is the primitive itself.
"""

# ruff: noqa: I001
from __future__ import annotations

import builtins
import enum
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.absent import getattr_of
from anejax.api.control import associative_scan, cond, fori_loop, map_ as map, scan, switch, while_loop
from anejax.api.collectives import (
    all_gather, all_to_all, axis_index, axis_size, pbroadcast, pmax, pmean, pmin, ppermute, pshuffle, psum,
    psum_scatter, pswapaxes,
)  # fmt: skip
from anejax.api.composites import composite
from anejax.api.custom import stop_gradient as stop_gradient
from anejax.api.implicit import custom_linear_solve, custom_root
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.core.primitive import REGISTRY
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.lax import linalg
from anejax.lax.derived import (
    approx_max_k, approx_min_k, bitcast_convert_type, conv_general_dilated_local, conv_general_dilated_patches,
    conv_general_shape_tuple, conv_transpose_shape_tuple, dtype, mulhi, platform_dependent, reduce_precision,
    reduce_window_shape_tuple, slice_in_dim,
)  # fmt: skip
from anejax.lax.ragged import RaggedDotDimensionNumbers, ragged_dot, ragged_dot_general
from anejax.lax.special import (
    bessel_i0e,
    bessel_i1e,
    betainc,
    igamma,
    igamma_grad_a,
    igammac,
    polygamma,
    random_gamma_grad,
    zeta,
)
from anejax.numpy import shaping
from anejax.numpy.keyed import with_keys_lax
from anejax.numpy.operands import as_array, finish, joint_shape
from anejax.ops import arithmetic, elementwise, linear, windows
from anejax.ops import reduce as reductions
from anejax.ops import shape as shapes

# fmt: off
from anejax.ops.arithmetic import (
    add, and_ as bitwise_and, atan2, ceil, clamp, div, eq, floor, ge, gt, integer_pow, is_finite, le, lt, max,
    min, mul, ne, neg, nextafter, or_ as bitwise_or, pow, rem, round, select_n, shift_left, shift_right_arithmetic,
    shift_right_logical, sign, square, sub, xor as bitwise_xor,
)
from anejax.ops.complex import complex, conj, imag, real
from anejax.ops.conv import (
    conv, conv_dimension_numbers, conv_general_dilated, conv_general_permutations, conv_transpose,
    conv_with_general_padding,
    ConvDimensionNumbers,
)
from anejax.ops.elementwise import (
    acos, acosh, asin, asinh, atan, atanh, bitwise_not, cbrt, clz, cos, cosh, digamma, erf, erf_inv, erfc, exp, exp2,
    expm1, lgamma, log, log1p, log2, logistic, population_count, rsqrt, sin, sinh, sqrt, tan, tanh,
)
from anejax.ops.families import check_domain as _check_domain
from anejax.ops.fft import fft, FftType
from anejax.ops.index import (
    dynamic_index_in_dim, dynamic_slice, dynamic_slice_in_dim, dynamic_update_index_in_dim, dynamic_update_slice,
    dynamic_update_slice_in_dim, gather, GatherDimensionNumbers, GatherScatterMode, scatter, scatter_add, scatter_max,
    scatter_min, scatter_sub, ScatterDimensionNumbers,
)
from anejax.ops.linear import dot, dot_general
from anejax.ops.misc import barrier
from anejax.ops.precision import Precision
from anejax.ops.products import scatter_mul
from anejax.ops.reduce import (
    argmax, argmin, cumlogsumexp, cummax, cummin, cumprod, cumsum, reduce_and, reduce_max, reduce_min, reduce_or,
    reduce_prod, reduce_sum, reduce_xor,
)
from anejax.ops.shape import broadcasted_iota, iota
from anejax.ops.sort import sort, sort_key_val, top_k
from anejax.ops.windows import padtype_to_pads, reduce_window

__all__ = [
    "ConvDimensionNumbers", "ConvGeneralDilatedDimensionNumbers", "DotDimensionNumbers", "FftType",
    "GatherDimensionNumbers", "GatherScatterMode", "Precision", "PrecisionLike", "RaggedDotDimensionNumbers",
    "RoundingMethod", "ScatterDimensionNumbers", "abs", "acos", "acosh", "add", "all_gather", "all_to_all",
    "approx_max_k", "approx_min_k", "argmax", "argmin", "asin", "asinh", "associative_scan", "atan", "atan2",
    "atanh", "axis_index", "axis_size", "batch_matmul", "bessel_i0e", "bessel_i1e", "betainc",
    "bitcast_convert_type", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast",
    "broadcast_in_dim", "broadcast_like", "broadcast_shapes", "broadcast_to_rank", "broadcasted_iota", "cbrt",
    "ceil", "clamp", "clz", "collapse", "complex", "composite", "concatenate", "cond", "conj", "conv",
    "conv_dimension_numbers", "conv_general_dilated", "conv_general_dilated_local", "conv_general_dilated_patches",
    "conv_general_permutations", "conv_general_shape_tuple", "conv_shape_tuple", "conv_transpose",
    "conv_transpose_shape_tuple", "conv_with_general_padding", "convert_element_type", "cos", "cosh",
    "cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "custom_linear_solve", "custom_root", "digamma", "div",
    "dot", "dot_general", "dtype", "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim",
    "dynamic_update_index_in_dim", "dynamic_update_slice", "dynamic_update_slice_in_dim", "empty", "eq", "erf",
    "erf_inv", "erfc", "exp", "exp2", "expand_dims", "expm1", "fft", "floor", "fori_loop", "full", "full_like",
    "gather", "ge", "gt", "igamma", "igamma_grad_a", "igammac", "imag", "index_in_dim", "integer_pow", "iota",
    "is_finite", "le", "lgamma", "linalg", "log", "log1p", "log2", "logistic", "lt", "map", "max", "min", "mul",
    "mulhi", "ne", "neg", "nextafter", "optimization_barrier", "pad", "padtype_to_pads", "pbroadcast",
    "platform_dependent", "pmax", "pmean", "pmin", "polygamma", "population_count", "pow", "ppermute", "pshuffle",
    "psum", "psum_scatter", "pswapaxes", "ragged_dot", "ragged_dot_general", "random_gamma_grad", "real",
    "reciprocal", "reduce", "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_precision",
    "reduce_prod", "reduce_sum", "reduce_window", "reduce_window_shape_tuple", "reduce_xor", "rem", "reshape",
    "rev", "round", "rsqrt", "scan", "scatter", "scatter_add", "scatter_max", "scatter_min", "scatter_mul",
    "scatter_sub", "select", "select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign",
    "sin", "sinh", "slice", "slice_in_dim", "sort", "sort_key_val", "split", "sqrt", "square", "squeeze", "stack",
    "stop_gradient", "sub", "switch", "tan", "tanh", "tile", "top_k", "transpose", "unstack", "while_loop", "zeta"
]  # fmt: skip
# fmt: on

ConvGeneralDilatedDimensionNumbers = Any
DotDimensionNumbers = Any
PrecisionLike = Any


class RoundingMethod(enum.IntEnum):
    """The direction in which ``round`` rounds halves."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


_absent = getattr_of(__name__)


def __getattr__(name: str) -> Any:
    if name.endswith("_p") and name[:-2] in REGISTRY:
        return REGISTRY[name[:-2]]
    return _absent(name)


# --- rearranging: functions of ops that may return their operand as it is ------------------------------------------


_MISSING: Any = object()


def _of_array(fn: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """``fn`` with its first argument made an Array, so that the result is one, and called as jax.lax calls it."""
    name = name or fn.__name__
    called = "array" if name in ("expand_dims", "squeeze") else "operand"

    @functools.wraps(fn)
    def function(*args: Any, **kwargs: Any) -> Array:
        first, args = (args[0], args[1:]) if args else (kwargs.pop(called, _MISSING), ())
        if first is _MISSING:
            raise TypeError(f"[{name}] expected the argument {called!r}.")
        return fn(as_array(name, first), *args, **kwargs)

    signature = inspect.signature(fn)
    first, *rest = signature.parameters.values()
    function.__signature__ = signature.replace(parameters=[first.replace(name=called), *rest])  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = name
    return function


reshape, transpose, rev, pad = builtins.map(_of_array, (shapes.reshape, shapes.transpose, shapes.rev, shapes.pad))
broadcast, broadcast_in_dim = builtins.map(_of_array, (shapes.broadcast, shapes.broadcast_in_dim))
expand_dims, squeeze = builtins.map(_of_array, (shapes.expand_dims, shapes.squeeze))
slice = _of_array(shapes.slice_, "slice")


def convert_element_type(operand: Any, new_dtype: Any) -> Array:
    """``operand`` with elements of ``new_dtype``. NaN becomes 0 and out-of-range floats saturate as integers."""
    return finish(elementwise.convert_element_type(as_array("convert_element_type", operand), _dtype(new_dtype)))


def _dtype(dtype: Any) -> np.dtype:
    return dtypes.canonical(dtype)


def concatenate(operands: Any, dimension: int) -> Array:
    """Arrays of one dtype joined along an axis they have."""
    xs = shaping.unstack(operands) if isinstance(operands, (Array, np.ndarray)) else operands
    return shapes.concatenate([as_array("concatenate", x) for x in xs], dimension)


def stack(operands: Sequence[Any], axis: int = 0) -> Array:
    """Arrays of one shape and dtype joined along a new axis."""
    xs = [as_array("stack", x) for x in operands]
    axis = shapes.check_axis("stack", axis, xs[0].ndim + 1) if xs else axis
    return shapes.concatenate([shapes.expand_dims(x, (axis,)) for x in xs], axis)


def unstack(x: Any, axis: int = 0) -> tuple[Array, ...]:
    """The slices of ``x`` along ``axis``, without it."""
    return shaping.unstack(x, axis=axis)


def tile(operand: Any, reps: Sequence[int]) -> Array:
    """``operand`` repeated ``reps[i]`` times along axis i."""
    if not isinstance(reps, Sequence) or len(reps) != aval_of(operand).ndim:
        raise ShapeError(f"[tile] expected one repetition per axis of {aval_of(operand)}, got {reps!r}.")
    return shaping.tile(operand, tuple(reps))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Array]:
    """``operand`` cut along ``axis`` into pieces of the given lengths, which add up to its length."""
    x = as_array("split", operand)
    axis = shapes.check_axis("split", axis, x.ndim)
    ends = [0, *np.cumsum(sizes).tolist()]
    if ends[-1] != x.shape[axis]:
        raise ShapeError(f"[split] expected lengths that add up to {x.shape[axis]}, got {tuple(sizes)} for {x.aval}.")
    return [shapes.slice_in_dim(x, a, b, axis=axis) for a, b in itertools.pairwise(ends)]


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Array:
    """``operand`` with the axes from ``start_dimension`` to before ``stop_dimension`` made one."""
    x = as_array("collapse", operand)
    start, stop, _ = builtins.slice(start_dimension, stop_dimension).indices(x.ndim)
    merged = math.prod(x.shape[start:stop])
    return shapes.reshape(x, (*x.shape[:start], merged, *x.shape[stop:]))


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of the given shapes broadcast to."""
    return joint_shape("broadcast_shapes", [tuple(s) for s in shapes])


def broadcast_to_rank(x: Any, rank: int) -> Array:
    """``x`` with axes of length 1 in front until it has ``rank`` axes."""
    x = as_array("broadcast_to_rank", x)
    return shapes.expand_dims(x, range(rank - x.ndim))


def broadcast_like(arr: Any, like_arr: Any) -> Array:
    """``arr`` broadcast to the shape of ``like_arr``."""
    return finish(shapes.broadcast_to(as_array("broadcast_like", arr), aval_of(like_arr).shape))


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Array:
    """The element at ``index`` along ``axis``. The axis keeps length 1 with ``keepdims``, else it is dropped."""
    x = as_array("index_in_dim", operand)
    axis = shapes.check_axis("index_in_dim", axis, x.ndim)
    place = shapes.check_axis("index_in_dim", index, x.shape[axis])
    out = shapes.slice_in_dim(x, place, place + 1, axis=axis)
    return out if keepdims else shapes.squeeze(out, (axis,))


# --- making -------------------------------------------------------------------------------------------------------


def full(shape: Sequence[int], fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Array:
    """An array of ``shape`` whose every element is the scalar ``fill_value``."""
    fill = as_array("full", fill_value)
    if fill.ndim:
        raise ShapeError(f"[full] expected a scalar, got {fill.aval}. Use anejax.numpy.full for arrays.")
    if dtype is not None:
        fill = elementwise.convert_element_type(fill, _dtype(dtype))
    return finish(shapes.broadcast_to(fill, checked_shape(shape, "full")))


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None) -> Array:
    """An array of the shape and dtype of ``x``, unless given, filled with a scalar."""
    known = x if hasattr(x, "shape") and hasattr(x, "dtype") else aval_of(x)
    made = full(known.shape if shape is None else shape, fill_value, known.dtype if dtype is None else dtype)
    weak = dtype is None and getattr(known, "weak_type", False)
    return finish(elementwise.convert_element_type(made, made.dtype, weak_type=True)) if weak else made


def empty(shape: Sequence[int], dtype: Any, *, out_sharding: Any = None) -> Array:
    """An array of ``shape``; its elements are zeros."""
    return full(shape, 0, dtype)


# --- choosing and computing ---------------------------------------------------------------------------------------


def select(pred: Any, on_true: Any, on_false: Any) -> Array:
    """``on_true`` where ``pred`` holds, else ``on_false``: arrays of one shape; ``pred`` may have rank 0."""
    return arithmetic.select_n(pred, on_false, on_true)


def abs(x: Any) -> Array:
    """Elementwise absolute value of floats, complex numbers (whose parts' dtype it has) and signed integers."""
    _check_domain("abs", aval_of(x), (*dtypes.SIGNED, *dtypes.INEXACT))
    return arithmetic.abs(x)


def reciprocal(x: Any) -> Array:
    """``1 / x``, element by element."""
    return arithmetic.integer_pow(x, -1)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Array:
    """The matrix products of two stacks of matrices with equal leading axes."""
    rank = aval_of(lhs).ndim
    if rank < 2 or rank != aval_of(rhs).ndim:
        raise ShapeError(f"[batch_matmul] expected equal ranks of 2 or more, got {aval_of(lhs)} and {aval_of(rhs)}.")
    batch = tuple(range(rank - 2))
    return linear.dot_general(lhs, rhs, (((rank - 1,), (rank - 2,)), (batch, batch)), precision)


def optimization_barrier(operand: Any, /) -> Any:
    """Returns ``operand`` (a tree). No pass looks through it, merges it or moves it."""
    flat, treedef = tree.flatten(operand)
    return tree.unflatten(treedef, barrier(*flat)) if flat else operand


_MONOIDS: dict[Any, Any] = {
    add: reductions.reduce_sum, mul: reductions.reduce_prod, max: reductions.reduce_max, min: reductions.reduce_min,
    bitwise_and: reductions.reduce_and, bitwise_or: reductions.reduce_or, bitwise_xor: reductions.reduce_xor,
}  # fmt: skip


def reduce(operands: Any, init_values: Any, computation: Callable[[Any, Any], Any], dimensions: Sequence[int]) -> Any:
    """``computation``, associative, over all elements along ``dimensions``, beginning with ``init_values``.

    Args:
        operands: an array, or a tree of arrays of one shape.
        init_values: the identity of ``computation``: a scalar, or a tree of them of the operands' structure.
        computation: takes two arrays (or trees) and combines them element by element.
        dimensions: the axes, which vanish.
    """
    flat, treedef = tree.flatten(operands)
    xs = [as_array("reduce", x) for x in flat]
    inits = [as_array("reduce", v) for v in tree.flatten_up_to(treedef, init_values, "init_values")]
    for x, v in zip(xs, inits):
        if v.ndim or (x.dtype != v.dtype and not v.weak_type):
            raise DtypeError(f"[reduce] expected an initial scalar of the dtype of {x.aval}, got {v.aval}.")
    inits = [finish(elementwise.convert_element_type(v, x.dtype)) for v, x in zip(inits, xs)]
    axes = shapes.check_lax_axes("reduce", dimensions, xs[0].ndim)
    known = _MONOIDS.get(computation) if len(xs) == 1 else None
    if known is not None:
        return tree.unflatten(treedef, [computation(known(xs[0], axes), inits[0])])
    xs = [_axes_last(x, axes) for x in xs]
    xs = [shapes.concatenate([x, shapes.broadcast_to(v, (*x.shape[:-1], 1))], x.ndim - 1) for x, v in zip(xs, inits)]
    while xs[0].shape[-1] > 1:
        xs = _halved(xs, computation, treedef)
    return tree.unflatten(treedef, [shapes.squeeze(x, (x.ndim - 1,)) for x in xs])


def _axes_last(x: Any, axes: Sequence[int]) -> Any:
    rest = [i for i in range(x.ndim) if i not in axes]
    moved = shapes.transpose(x, (*rest, *axes))
    return shapes.reshape(moved, (*(x.shape[i] for i in rest), math.prod(x.shape[i] for i in axes)))


def _halved(xs: list[Any], computation: Any, treedef: Any) -> list[Any]:
    """Neighbours along the last axis combined; an odd one out stays."""
    n, last = xs[0].shape[-1], xs[0].ndim - 1
    cut = lambda x, a, b, s=1: shapes.slice_in_dim(x, a, b, s, axis=last)  # noqa: E731
    left = tree.unflatten(treedef, [cut(x, 0, n - n % 2, 2) for x in xs])
    right = tree.unflatten(treedef, [cut(x, 1, n, 2) for x in xs])
    out = tree.leaves(computation(left, right))
    if n % 2:
        out = [shapes.concatenate([y, cut(x, n - 1, n)], last) for x, y in zip(xs, out)]
    return out


def conv_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], strides: Sequence[int], pads: Any, batch_group_count: int = 1
) -> tuple[int, ...]:
    """The shape of a convolution of NC... and OI... operands."""
    if isinstance(pads, str):
        pads = padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
    counts = windows.window_counts(lhs_shape[2:], rhs_shape[2:], strides, tuple(tuple(p) for p in pads))
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *counts)


with_keys_lax(globals())
