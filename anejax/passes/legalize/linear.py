"""Rules for matrix products and convolutions: everything becomes MIL's matmul, or its conv in NCHW."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from anejax.core.trace import aval_of
from anejax.ops import shape as S
from anejax.ops.conv import ConvDimensionNumbers, conv_general_dilated
from anejax.ops.linear import dot_general, free_dims, matmul_flags
from anejax.ops.shape import inverse_permutation
from anejax.passes.legalize.rules import rule


@rule("dot_general")
def _dot_general(x: Any, y: Any, *, dimension_numbers: Any, preferred_element_type: Any) -> Any:
    """[batch, free, contracting] @ [batch, contracting, free], by transposes and reshapes around one matmul."""
    ax, ay = aval_of(x), aval_of(y)
    if matmul_flags(ax, ay, dimension_numbers) is not None:
        return NotImplemented
    (xc, yc), (xb, yb) = dimension_numbers
    xf, yf = free_dims(ax.ndim, xc, xb), free_dims(ay.ndim, yc, yb)
    sizes = lambda a, axes: tuple(a.shape[i] for i in axes)  # noqa: E731
    batch, k = sizes(ax, xb), math.prod(sizes(ax, xc))
    lead = (math.prod(batch),) if batch else ()
    left = S.reshape(S.transpose(x, xb + xf + xc), (*lead, math.prod(sizes(ax, xf)), k))
    right = S.reshape(S.transpose(y, yb + yc + yf), (*lead, k, math.prod(sizes(ay, yf))))
    n = len(lead)
    out = dot_general(left, right, (((n + 1,), (n,)), (tuple(range(n)),) * 2),
                      preferred_element_type=preferred_element_type)  # fmt: skip
    return S.reshape(out, batch + sizes(ax, xf) + sizes(ay, yf))


def _is_plain(p: dict[str, Any], rank: int) -> bool:
    standard = all(tuple(spec) == tuple(range(rank)) for spec in p["dimension_numbers"])
    flat = all(d == 1 for d in (*p["lhs_dilation"], *p["rhs_dilation"]))
    return standard and flat and p["batch_group_count"] == 1 and all(v >= 0 for pair in p["padding"] for v in pair)


@rule("conv_general_dilated", targets=("coreml",))
def _conv(lhs: Any, rhs: Any, **p: Any) -> Any:
    """To NCHW by transposes; dilations by zero-stuffing, since MIL refuses dynamic weights with dilation."""
    rank = aval_of(lhs).ndim
    if _is_plain(p, rank):
        return NotImplemented

    def conv(x: Any, w: Any, strides: Any, pads: Any, groups: int) -> Any:
        wide = p["preferred_element_type"]
        return conv_general_dilated(x, w, strides, pads, feature_group_count=groups, preferred_element_type=wide)

    return _standard(lhs, rhs, p, conv)


def _standard(lhs: Any, rhs: Any, p: dict[str, Any], conv: Any) -> Any:
    """``conv(x, w, strides, pads, groups)`` on NCHW and OIHW operands without dilation, around it what that takes."""
    numbers: ConvDimensionNumbers = p["dimension_numbers"]
    x, w = S.transpose(lhs, numbers.lhs_spec), S.transpose(rhs, numbers.rhs_spec)
    groups = p["feature_group_count"]
    if p["batch_group_count"] > 1:
        groups = p["batch_group_count"]
        n, c, *spatial = aval_of(x).shape
        x = S.transpose(S.reshape(x, (groups, n // groups, c, *spatial)), (1, 0, *range(2, len(spatial) + 3)))
        x = S.reshape(x, (n // groups, groups * c, *spatial))
    zero = np.zeros((), aval_of(x).dtype)
    inner = [(0, 0, 0), (0, 0, 0)]
    cut = [(min(lo, 0), min(hi, 0), d - 1) for (lo, hi), d in zip(p["padding"], p["lhs_dilation"])]
    x = S.pad(x, zero, [*inner, *cut])
    w = S.pad(w, zero, [*inner, *((0, 0, d - 1) for d in p["rhs_dilation"])])
    pads = [(max(lo, 0), max(hi, 0)) for lo, hi in p["padding"]]
    out = conv(x, w, p["window_strides"], pads, groups)
    return S.transpose(out, inverse_permutation(numbers.out_spec))


@rule("conv_general_dilated", targets=("ane",))
def _conv_as_matmul(lhs: Any, rhs: Any, **p: Any) -> Any:
    """Slices side by side, times the kernel as a matrix: the engine takes convolutions with weights at run time at
    batch 1 only, and not reliably (research: ane-facts 6.4)."""
    return _standard(lhs, rhs, p, _by_matmul)


def _by_matmul(x: Any, w: Any, strides: Any, pads: Any, groups: int) -> Any:
    out_features, in_features, *kernel = aval_of(w).shape
    x = S.pad(x, np.zeros((), aval_of(x).dtype), [(0, 0, 0), (0, 0, 0), *((lo, hi, 0) for lo, hi in pads)])
    n, _, *sizes = aval_of(x).shape
    counts = [(s - k) // t + 1 for s, k, t in zip(sizes, kernel, strides)]
    # as many slices as the kernel has taps, or as the result has places: gradients of weights have big kernels
    product = _by_taps if math.prod(kernel) <= math.prod(counts) else _by_places
    per_group = out_features // groups
    outs = [
        product(S.slice_in_dim(x, g * in_features, (g + 1) * in_features, axis=1),
                S.slice_in_dim(w, g * per_group, (g + 1) * per_group, axis=0), strides, counts)
        for g in range(groups)
    ]  # fmt: skip
    return S.reshape(S.concatenate(outs, 1), (n, out_features, *counts))


def _by_taps(x: Any, w: Any, strides: Any, counts: Any) -> Any:
    """[1, out, taps * in] @ [n, taps * in, places]"""
    (n, features, *_), (out_features, _, *kernel) = aval_of(x).shape, aval_of(w).shape
    taps = []
    for place in itertools.product(*map(range, kernel)):
        limits = [a + (c - 1) * t + 1 for a, c, t in zip(place, counts, strides)]
        tap = S.slice_(x, (0, 0, *place), (n, features, *limits), (1, 1, *strides))
        taps.append(S.reshape(tap, (n, features, math.prod(counts))))
    columns = S.concatenate(taps, 1)
    matrix = S.reshape(S.transpose(w, (0, *range(2, len(kernel) + 2), 1)), (out_features, aval_of(columns).shape[1]))
    matrix = S.broadcast_in_dim(matrix, (n, *aval_of(matrix).shape), (1, 2))
    return dot_general(matrix, columns, (((2,), (1,)), ((0,), (0,))))


def _by_places(x: Any, w: Any, strides: Any, counts: Any) -> Any:
    """[n, in * kernel] @ [in * kernel, out] for each place"""
    (n, features, *_), (out_features, _, *kernel) = aval_of(x).shape, aval_of(w).shape
    matrix = S.reshape(w, (out_features, features * math.prod(kernel)))
    outs = []
    for place in itertools.product(*map(range, counts)):
        starts = [p * t for p, t in zip(place, strides)]
        window = S.slice_(x, (0, 0, *starts), (n, features, *(a + k for a, k in zip(starts, kernel))))
        product = dot_general(S.reshape(window, (n, aval_of(matrix).shape[1])), matrix, (((1,), (1,)), ((), ())))
        outs.append(S.reshape(product, (n, out_features, 1)))
    return S.concatenate(outs, 2)
