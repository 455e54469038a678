"""conv_general_dilated: the primitive behind every convolution and its gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops.elementwise import convert_element_type, convert_ndarray
from anejax.ops.families import (
    NUMBER,
    bilinear_jvp,
    check_domain,
    is_linear,
    joint_dtype,
    move_axis,
    primitive,
    zeros,
)
from anejax.ops.precision import check_precision
from anejax.ops.shape import inverse_permutation, reshape, rev
from anejax.ops.windows import (
    backward_padding,
    checked_ints,
    checked_pads,
    dilated,
    pad_ndarray,
    padtype_to_pads,
    window_counts,
    window_view,
)

Dims = tuple[int, ...]


class ConvDimensionNumbers(NamedTuple):
    """The meaning of each axis: (batch, feature, *spatial) for lhs and out, (out, in, *spatial) for rhs."""

    lhs_spec: Dims
    rhs_spec: Dims
    out_spec: Dims


# --- shapes -----------------------------------------------------------------------------------------------------------


def _spatial(shape: Dims, spec: Dims) -> Dims:
    return tuple(shape[a] for a in spec[2:])


def _counts(lhs: Dims, rhs: Dims, p: dict[str, Any]) -> Dims:
    """The spatial shape of the result."""
    numbers = p["dimension_numbers"]
    sizes = [dilated(n, d) for n, d in zip(_spatial(lhs, numbers.lhs_spec), p["lhs_dilation"])]
    kernel = [dilated(k, d) for k, d in zip(_spatial(rhs, numbers.rhs_spec), p["rhs_dilation"])]
    return window_counts(sizes, kernel, p["window_strides"], p["padding"])


def _abstract(lhs: Aval, rhs: Aval, **p: Any) -> Aval:
    dtype = joint_dtype("conv_general_dilated", (lhs, rhs))
    check_domain("conv_general_dilated", lhs, NUMBER)
    numbers, groups, batch_groups = p["dimension_numbers"], p["feature_group_count"], p["batch_group_count"]
    _check_ranks(lhs, rhs, p)
    batch, features = (lhs.shape[a] for a in numbers.lhs_spec[:2])
    out_features, in_features = (rhs.shape[a] for a in numbers.rhs_spec[:2])
    if groups < 1 or batch_groups < 1 or (groups > 1 and batch_groups > 1):
        _fail(f"one positive group count and the other 1, got feature {groups} and batch {batch_groups}")
    if features != in_features * groups:
        _fail(
            f"lhs features to be {groups} groups of rhs input features: {lhs} has {features} on axis"
            f" {numbers.lhs_spec[1]}, {rhs} has {in_features} on axis {numbers.rhs_spec[1]}"
        )
    if out_features % (groups * batch_groups):
        _fail(f"output features that divide by {groups * batch_groups} groups, got {out_features} in {rhs}")
    if batch % batch_groups:
        _fail(f"a batch that divides by {batch_groups} groups, got {batch} in {lhs}")
    shape = (batch // batch_groups, out_features, *_counts(lhs.shape, rhs.shape, p))
    weak = lhs.weak_type and rhs.weak_type and p["preferred_element_type"] is None
    out = tuple(shape[i] for i in inverse_permutation(numbers.out_spec))
    return Aval(out, p["preferred_element_type"] or dtype, weak)


def _fail(expected: str) -> None:
    raise ShapeError(f"[conv_general_dilated] expected {expected}.")


def _check_ranks(lhs: Aval, rhs: Aval, p: dict[str, Any]) -> None:
    rank = lhs.ndim
    if rank != rhs.ndim or rank < 2:
        _fail(f"operands of one rank, 2 or more, got {lhs} and {rhs}")
    for name, spec in p["dimension_numbers"]._asdict().items():
        if sorted(spec) != list(range(rank)):
            _fail(f"{name} to name each of {rank} axes once, got {spec}")
    for name in ("window_strides", "padding", "lhs_dilation", "rhs_dilation"):
        if len(p[name]) != rank - 2:
            _fail(f"{rank - 2} {name}, one per spatial axis of {lhs}, got {p[name]}")


# --- NumPy ------------------------------------------------------------------------------------------------------------


def _impl(lhs: np.ndarray, rhs: np.ndarray, **p: Any) -> np.ndarray:
    """Every window as a row, times the kernel as a matrix, group by group."""
    numbers, groups, batch_groups = p["dimension_numbers"], p["feature_group_count"], p["batch_group_count"]
    out_dtype = np.dtype(p["preferred_element_type"] or lhs.dtype)
    small = (dtypes.float16, dtypes.bfloat16)
    wide, wide_out = (np.dtype(np.float32) if d in small else d for d in (lhs.dtype, out_dtype))
    compute = np.promote_types(wide, wide_out)
    x = lhs.transpose(numbers.lhs_spec).astype(compute, copy=False)
    w = rhs.transpose(numbers.rhs_spec).astype(compute, copy=False)
    counts = _counts(lhs.shape, rhs.shape, p)
    n, (out_features, in_features, *kernel) = len(counts), w.shape
    x = pad_ndarray(x, 0, ((0, 0), (0, 0), *p["padding"]), (1, 1, *p["lhs_dilation"]))
    view = window_view(x, tuple(kernel), p["window_strides"], p["rhs_dilation"], counts)
    # (batch groups, batch, feature groups, features, *counts, *kernel) -> (groups, batch * counts, features * kernel)
    batch = x.shape[0] // batch_groups
    view = view.reshape(batch_groups, batch, groups, in_features, *counts, *kernel)
    rows = view.transpose(0, 2, 1, *range(4, 4 + n), 3, *range(4 + n, 4 + 2 * n))
    total, k = groups * batch_groups, in_features * math.prod(kernel)
    rows = rows.reshape(total, batch * math.prod(counts), k)
    columns = w.reshape(total, out_features // total, k).transpose(0, 2, 1)
    out = np.matmul(rows, columns).reshape(total, batch, *counts, out_features // total)
    out = out.transpose(1, 0, n + 2, *range(2, n + 2)).reshape(batch, out_features, *counts)
    return convert_ndarray(out.transpose(inverse_permutation(numbers.out_spec)), out_dtype)


# --- derivatives ------------------------------------------------------------------------------------------------------


def _transpose(ct: Any, lhs: Any, rhs: Any, **p: Any) -> Any:
    target = (lhs if is_linear(lhs) else rhs).aval
    other = rhs if is_linear(lhs) else lhs
    if 0 in target.shape or aval_of(other).size == 0 or aval_of(ct).size == 0:
        out = zeros(target)
    else:
        dtype = aval_of(ct).dtype
        other = convert_element_type(other, dtype) if aval_of(other).dtype != dtype else other
        p = {**p, "preferred_element_type": target.dtype if target.dtype != dtype else None}
        out = (_transpose_lhs if is_linear(lhs) else _transpose_rhs)(ct, target, other, **p)
    return [out, None] if is_linear(lhs) else [None, out]


def _axes(lhs: Any, rhs: Any, ct: Any, p: dict[str, Any]) -> list[tuple[int, ...]]:
    """Per spatial axis: lengths of lhs, rhs and ct, stride, low padding, lhs dilation, rhs dilation."""
    shapes = [a.shape if isinstance(a, Aval) else aval_of(a).shape for a in (lhs, rhs, ct)]
    sizes = [_spatial(shape, spec) for shape, spec in zip(shapes, p["dimension_numbers"])]
    lows = [low for low, _ in p["padding"]]
    return list(zip(*sizes, p["window_strides"], lows, p["lhs_dilation"], p["rhs_dilation"]))


def _transpose_lhs(ct: Any, lhs: Aval, rhs: Any, **p: Any) -> Any:
    """ct convolved with the flipped kernel, in and out features exchanged; strides and lhs dilation trade places."""
    numbers = p["dimension_numbers"]
    lhs_spec, rhs_spec, out_spec = numbers
    groups, batch_groups = p["feature_group_count"], p["batch_group_count"]
    total = groups * batch_groups
    if total > 1:  # each group's kernel has its own in features: (g*o, i) -> (o, g*i)
        rhs = _split_axis(rhs, rhs_spec[0], total)
        rhs = _merge_front(rhs, rhs_spec[1])
    rhs = rev(rhs, rhs_spec[2:])
    pads = tuple(
        backward_padding(dilated(n, ld), dilated(k, rd), count, stride, low)
        for n, k, count, stride, low, ld, rd in _axes(lhs, rhs, ct, p)
    )
    out = conv_general_dilated_p.bind(ct, rhs, **{
        **p, "window_strides": p["lhs_dilation"], "lhs_dilation": p["window_strides"], "padding": pads,
        "dimension_numbers": ConvDimensionNumbers(out_spec, (rhs_spec[1], rhs_spec[0], *rhs_spec[2:]), lhs_spec),
        "feature_group_count": total, "batch_group_count": 1,
    })  # fmt: skip
    if batch_groups > 1:  # the groups came out among the features; they belong to the batch
        out = _split_axis(out, lhs_spec[1], batch_groups)
        out = _merge_front(out, lhs_spec[0])
    return out


def _transpose_rhs(ct: Any, rhs: Aval, lhs: Any, **p: Any) -> Any:
    """lhs convolved with ct as the kernel, the batch as in features; strides and rhs dilation trade places."""
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    pads = tuple(
        (low, dilated(count, stride) + dilated(k, rd) - 1 - dilated(n, ld) - low)
        for n, k, count, stride, low, ld, rd in _axes(lhs, rhs, ct, p)
    )
    swap = lambda spec: (spec[1], spec[0], *spec[2:])  # noqa: E731
    return conv_general_dilated_p.bind(lhs, ct, **{
        **p, "window_strides": p["rhs_dilation"], "rhs_dilation": p["window_strides"], "padding": pads,
        "dimension_numbers": ConvDimensionNumbers(swap(lhs_spec), swap(out_spec), swap(rhs_spec)),
        "feature_group_count": p["batch_group_count"], "batch_group_count": p["feature_group_count"],
    })  # fmt: skip


# --- batching ---------------------------------------------------------------------------------------------------------


def _split_axis(x: Any, axis: int, count: int) -> Any:
    """Axis ``axis`` as (count, rest), with the new axis moved to the front."""
    shape = aval_of(x).shape
    return move_axis(reshape(x, (*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :])), axis, 0)


def _merge_front(x: Any, axis: int) -> Any:
    """The front axis folded into ``axis`` (counted without it) as its slow part."""
    size, *shape = aval_of(x).shape
    return reshape(move_axis(x, 0, axis), (*shape[:axis], size * shape[axis], *shape[axis + 1 :]))


def _fold(x: Any, dim: int, axis: int, groups: int = 1) -> Any:
    """The mapped axis folded into ``axis`` (counted without it), inside each of ``groups`` groups."""
    x = move_axis(x, dim, 0)
    if groups == 1:
        return _merge_front(x, axis)
    size, *shape = aval_of(x).shape
    x = reshape(x, (size, *shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))
    x = move_axis(x, 0, axis + 1)
    return reshape(x, (*shape[:axis], size * shape[axis], *shape[axis + 1 :]))


def _unfold(x: Any, axis: int, size: int, groups: int = 1) -> tuple[Any, int]:
    """The inverse of _fold: (x with the mapped axis, where it is)."""
    shape = aval_of(x).shape
    inner = shape[axis] // size
    if groups == 1:
        return reshape(x, (*shape[:axis], size, inner, *shape[axis + 1 :])), axis
    x = reshape(x, (*shape[:axis], groups, size, inner // groups, *shape[axis + 1 :]))
    x = move_axis(x, axis + 1, 0)
    return reshape(x, (size, *shape[:axis], inner, *shape[axis + 1 :])), 0


def _batch(size: int, args: Any, dims: Any, **p: Any) -> Any:
    (lhs, rhs), (dl, dr) = args, dims
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    groups, batch_groups = p["feature_group_count"], p["batch_group_count"]
    if size == 0:
        shapes = [aval_of(a).update(shape=_without(aval_of(a).shape, d)) for a, d in zip(args, dims)]
        aval = _abstract(*shapes, **p)
        return zeros(aval.update(shape=(0, *aval.shape))), 0
    if dr is None:  # more batch
        lhs = _fold(lhs, dl, lhs_spec[0], batch_groups)
        return _unfold(conv_general_dilated_p.bind(lhs, rhs, **p), out_spec[0], size)
    if dl is None:  # more output features in each group
        rhs = _fold(rhs, dr, rhs_spec[0], groups * batch_groups)
        return _unfold(conv_general_dilated_p.bind(lhs, rhs, **p), out_spec[1], size, groups * batch_groups)
    count = "batch_group_count" if batch_groups > 1 else "feature_group_count"  # more groups
    lhs = _fold(lhs, dl, lhs_spec[0] if batch_groups > 1 else lhs_spec[1])
    rhs = _fold(rhs, dr, rhs_spec[0])
    return _unfold(conv_general_dilated_p.bind(lhs, rhs, **{**p, count: size * p[count]}), out_spec[1], size)


def _without(shape: Dims, dim: int | None) -> Dims:
    return shape if dim is None else shape[:dim] + shape[dim + 1 :]


# --- MIL --------------------------------------------------------------------------------------------------------------


def _mil(ctx: Any, x: Any, weight: Any, **p: Any) -> Any:
    numbers, pads = p["dimension_numbers"], [v for pair in p["padding"] for v in pair]
    rank = len(numbers.lhs_spec)
    plain = all(spec == tuple(range(rank)) for spec in numbers) and 3 <= rank <= 5
    forward = all(d == 1 for d in p["lhs_dilation"]) and p["batch_group_count"] == 1 and all(v >= 0 for v in pads)
    same = ctx.out_avals[0].dtype == ctx.in_avals[0].dtype
    if plain and forward and same and ctx.takes("conv", {"x": x, "weight": weight}):
        return ctx.emit(
            "conv", x=x, weight=weight, strides=list(p["window_strides"]), pad_type="custom", pad=pads,
            dilations=list(p["rhs_dilation"]), groups=p["feature_group_count"],
        )  # fmt: skip
    if plain and same and ctx.legalized and isinstance(weight.const, np.ndarray):
        return _mil_transposed(ctx, x, weight.const, **p)
    return ctx.emit_aj(
        x=x, weight=weight, strides=list(p["window_strides"]), padding=pads, lhs_dilation=list(p["lhs_dilation"]),
        rhs_dilation=list(p["rhs_dilation"]), lhs_spec=list(numbers.lhs_spec), rhs_spec=list(numbers.rhs_spec),
        out_spec=list(numbers.out_spec), feature_group_count=p["feature_group_count"],
        batch_group_count=p["batch_group_count"],
    )  # fmt: skip


def _mil_transposed(ctx: Any, x: Any, weight: np.ndarray, **p: Any) -> Any:
    """A convolution of an array with holes, by a constant weight, as MIL's conv_transpose: it goes the other way, so
    the kernel is flipped, and in and out features are exchanged."""
    groups, count = p["feature_group_count"], weight.ndim - 2
    features, inner, *kernel = weight.shape
    flipped = weight[(slice(None), slice(None), *[slice(None, None, -1)] * count)]
    flipped = flipped.reshape(groups, features // groups, inner, *kernel).swapaxes(1, 2)
    reach = [dilated(k, d) - 1 for k, d in zip(kernel, p["rhs_dilation"])]
    pads = [r - v for r, pair in zip(reach, p["padding"]) for v in pair]
    return ctx.emit(
        "conv_transpose", x=x, weight=flipped.reshape(groups * inner, features // groups, *kernel), groups=groups,
        strides=list(p["lhs_dilation"]), pad_type="custom", pad=pads, dilations=list(p["rhs_dilation"]),
    )  # fmt: skip


conv_general_dilated_p: Primitive = primitive("conv_general_dilated")
conv_general_dilated_p.fill(
    abstract=_abstract,
    impl=_impl,
    jvp=bilinear_jvp(conv_general_dilated_p),
    transpose=_transpose,
    batch=_batch,
    mil=_mil,
    native_eager=True,
)

# --- faces ------------------------------------------------------------------------------------------------------------


def conv_dimension_numbers(lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any = None) -> Any:
    """``dimension_numbers`` (None, three strings such as ("NHWC", "HWIO", "NHWC"), or done) as ConvDimensionNumbers.

    None means ("NCHW", "OIHW", "NCHW") and its like in other ranks. Spatial letters pair axes up, in rhs's order.
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    rank = len(lhs_shape)
    if rank != len(rhs_shape):
        _fail(f"lhs and rhs of one rank, got shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}")
    if dimension_numbers is None:
        return ConvDimensionNumbers(*[tuple(range(rank))] * 3)
    specs = tuple(dimension_numbers) if isinstance(dimension_numbers, (list, tuple)) else ()
    if len(specs) != 3 or not all(isinstance(s, (str, tuple, list)) and len(s) == rank for s in specs):
        _fail(f"dimension_numbers of three strings of {rank} letters, got {dimension_numbers!r}")
    if not all(isinstance(s, str) for s in specs):
        return ConvDimensionNumbers(*(tuple(map(int, s)) for s in specs))
    return ConvDimensionNumbers(*conv_general_permutations(specs))


def conv_general_permutations(dimension_numbers: Sequence[str]) -> tuple[Dims, ...]:
    """Three strings such as ("NHWC", "HWIO", "NHWC") as the axes of (batch, feature, spatial...) in lhs and out, and of
    (out, in, spatial...) in rhs.

    Spatial letters pair axes up, in rhs's order. Raises ShapeError unless each string has its letters once.
    """
    specs = tuple(dimension_numbers)
    leads = ("NC", "OI", "NC")
    spatial = [set(s) - set(lead) for s, lead in zip(specs, leads)]
    good = all(len(set(s)) == len(s) and set(lead) <= set(s) for s, lead in zip(specs, leads))
    if not good or not spatial[0] == spatial[1] == spatial[2]:
        _fail(f"N, C (O, I for rhs) and the same spatial letters once in each of the dimension_numbers, got {specs}")
    order = [letter for letter in specs[1] if letter not in "OI"]
    return tuple(tuple(s.index(letter) for letter in (*lead, *order)) for s, lead in zip(specs, leads))


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The convolution (correlation: the kernel is not flipped) of ``lhs`` with the kernel ``rhs``.

    Args:
        lhs, rhs: arrays of one dtype and rank n + 2, with n spatial axes.
        window_strides: n integers.
        padding: "SAME", "SAME_LOWER", "VALID" or n (low, high) pairs, which may be negative.
        lhs_dilation, rhs_dilation: n integers each: zeros put between elements. Ones when None.
        dimension_numbers: see ``conv_dimension_numbers``.
        feature_group_count: features fall into so many groups, each with its own kernel.
        batch_group_count: the batch falls into so many groups, each with its own output features.
        precision: accepted for compatibility; float32 is always computed in float32.
        preferred_element_type: the dtype of the result; the operands' when None.

    Raises:
        ShapeError: shapes, groups or dimension numbers do not fit. DtypeError: dtypes differ.
    """
    op = "conv_general_dilated"
    check_precision(op, precision)
    numbers = conv_dimension_numbers(aval_of(lhs).shape, aval_of(rhs).shape, dimension_numbers)
    n = aval_of(lhs).ndim - 2
    strides = checked_ints(op, "window_strides", window_strides, n)
    ld, rd = checked_ints(op, "lhs_dilation", lhs_dilation, n), checked_ints(op, "rhs_dilation", rhs_dilation, n)
    if isinstance(padding, str):
        if any(d != 1 for d in ld):
            _fail("explicit (low, high) pairs as padding beside lhs_dilation; conv_transpose takes names")
        kernel = [dilated(k, d) for k, d in zip(_spatial(aval_of(rhs).shape, numbers.rhs_spec), rd)]
        padding = padtype_to_pads(_spatial(aval_of(lhs).shape, numbers.lhs_spec), kernel, strides, padding)
    preferred = dtypes.canonical(preferred_element_type) if preferred_element_type is not None else None
    if preferred is not None:
        _check_preferred(op, aval_of(lhs), preferred)
    if preferred is not None and aval_of(lhs).dtype not in dtypes.INEXACT:  # sums of integers that are exact in it
        lhs, rhs = (convert_element_type(v, preferred) for v in (lhs, rhs))
    return conv_general_dilated_p.bind(
        lhs,
        rhs,
        window_strides=strides,
        padding=checked_pads(op, padding, n),
        lhs_dilation=ld,
        rhs_dilation=rd,
        dimension_numbers=numbers,
        feature_group_count=int(feature_group_count),
        batch_group_count=int(batch_group_count),
        preferred_element_type=preferred if preferred != aval_of(lhs).dtype else None,
    )


def _check_preferred(op: str, x: Aval, preferred: np.dtype) -> None:
    """Checks XLA's rule: a dtype of x's kind that is not narrower, or floats for integers; signed for signed ones."""
    kinds = (dtypes.FLOATS, dtypes.COMPLEX, (*dtypes.SIGNED, *dtypes.FLOATS), (*dtypes.INTS, *dtypes.FLOATS))
    domains = (dtypes.FLOATS, dtypes.COMPLEX, dtypes.SIGNED, dtypes.UNSIGNED)
    taken = next((kind for kind, domain in zip(kinds, domains) if x.dtype in domain), dtypes.ALL)
    if preferred not in taken or preferred.itemsize < x.dtype.itemsize:
        raise DtypeError(
            f"[{op}] expected a preferred_element_type of the kind of {x} and no narrower, got {preferred.name}."
            " Convert the result with .astype(...)."
        )


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """A convolution in NCHW and OIHW layout."""
    types = {"precision": precision, "preferred_element_type": preferred_element_type}
    return conv_general_dilated(lhs, rhs, window_strides, padding, **types)


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """A convolution in NCHW and OIHW layout with dilations."""
    types = {"precision": precision, "preferred_element_type": preferred_element_type}
    return conv_general_dilated(lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, **types)


_CHANNELS_LAST = {2: ("NC", "IO", "NC"), 3: ("NHC", "HIO", "NHC"), 4: ("NHWC", "HWIO", "NHWC"),
                  5: ("NHWDC", "HWDIO", "NHWDC")}  # fmt: skip


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """A fractionally strided convolution, which enlarges by ``strides``. By default the last axis holds the channels.

    "SAME" and "VALID" name the padding of the convolution that this one reverses; pairs pad the dilated ``lhs``
    directly, or are read as the names are with ``use_consistent_padding``. ``transpose_kernel`` flips the kernel and
    exchanges its features, which makes this the gradient of that convolution.
    """
    rank = aval_of(lhs).ndim
    if dimension_numbers is None and rank not in _CHANNELS_LAST:
        _fail(f"dimension_numbers for operands of rank {rank}")
    numbers = conv_dimension_numbers(
        aval_of(lhs).shape, aval_of(rhs).shape, _CHANNELS_LAST[rank] if dimension_numbers is None else dimension_numbers
    )
    n = rank - 2
    dilation = checked_ints("conv_transpose", "rhs_dilation", rhs_dilation, n)
    steps = checked_ints("conv_transpose", "strides", strides, n)
    if isinstance(padding, str) or use_consistent_padding:
        kernel = [dilated(k, d) for k, d in zip(_spatial(aval_of(rhs).shape, numbers.rhs_spec), dilation)]
        forward = [padding] * n if isinstance(padding, str) else checked_pads("conv_transpose", padding, n)
        padding = [_transposed_pads(k, s, p) for k, s, p in zip(kernel, steps, forward)]
    if transpose_kernel:
        out_axis, in_axis, *spatial = numbers.rhs_spec
        rhs = rev(rhs, spatial)
        numbers = numbers._replace(rhs_spec=(in_axis, out_axis, *spatial))
    types = {"precision": precision, "preferred_element_type": preferred_element_type}
    return conv_general_dilated(lhs, rhs, (1,) * n, padding, steps, dilation, numbers, **types)


def _transposed_pads(k: int, s: int, forward: Any) -> tuple[int, int]:
    """The padding of a transposed convolution with kernel ``k`` and stride ``s`` from that of the forward one."""
    if forward == "SAME":
        total = k + s - 2
        low = k - 1 if s > k - 1 else -(-total // 2)
    elif forward == "VALID":
        total, low = k + s - 2 + max(k - s, 0), k - 1
    elif isinstance(forward, tuple):
        low = k - 1 - forward[0]
        total = low + k - 1 - forward[1]
    else:
        raise ShapeError(f'[conv_transpose] expected "SAME", "VALID" or (low, high) pairs as padding, got {forward!r}.')
    return low, total - low
