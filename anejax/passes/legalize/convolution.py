"""Rules for convolutions: MIL's conv in NCHW for Core ML, and patches (patches.py) for the engine.

Patches have two spatial axes. So a convolution with three, and one whose kernel is larger than its result and whose
features are in groups, becomes products of shifted slices with features last.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from anejax.core.graph import Var
from anejax.core.trace import Tracer, aval_of
from anejax.errors import RefusedError
from anejax.mil.chips import CHIPS
from anejax.mil.cost import padded_bytes
from anejax.mil.program import Type
from anejax.ops import arithmetic as A
from anejax.ops import shape as S
from anejax.ops.conv import ConvDimensionNumbers, conv_general_dilated, conv_general_dilated_p
from anejax.ops.linear import dot_general
from anejax.ops.shape import inverse_permutation
from anejax.passes.legalize import patches
from anejax.passes.legalize.constants import is_float
from anejax.passes.legalize.patches import Window
from anejax.passes.legalize.rules import families, maker, rule, traced

Dims = tuple[int, ...]
FEWER = 8  # times fewer features than before: then sums of products are smaller by far than patches


def _is_plain(p: dict[str, Any], rank: int) -> bool:
    standard = all(tuple(spec) == tuple(range(rank)) for spec in p["dimension_numbers"])
    flat = all(d == 1 for d in (*p["lhs_dilation"], *p["rhs_dilation"]))
    return standard and flat and p["batch_group_count"] == 1 and all(v >= 0 for pair in p["padding"] for v in pair)


@rule("conv_general_dilated", targets=("coreml",))
def _conv(lhs: Any, rhs: Any, **p: Any) -> Any:
    """To NCHW by transposes; dilations by zero-stuffing, since MIL refuses dynamic weights with dilation."""
    rank = aval_of(lhs).ndim
    if not is_float(lhs):
        raise RefusedError("[legalize] conv_general_dilated cannot be had on coreml: MIL convolves floats only.")
    if _is_plain(p, rank):
        return NotImplemented

    def conv(x: Any, w: Any, strides: Any, pads: Any, groups: int) -> Any:
        wide = p["preferred_element_type"]
        return conv_general_dilated(x, w, strides, pads, feature_group_count=groups, preferred_element_type=wide)

    return _standard(lhs, rhs, p, conv)


@rule("conv_general_dilated", targets=("ane",))
def _conv_on_engine(lhs: Any, rhs: Any, **p: Any) -> Any:
    if aval_of(lhs).ndim == 3:
        return _with_two_axes(lhs, rhs, p)
    numbers: ConvDimensionNumbers = p["dimension_numbers"]
    if aval_of(lhs).ndim != 4 or not is_float(lhs):
        return _standard(lhs, rhs, p, _by_products)
    (batch, feature, *spatial), (outs, ins, *taps) = numbers.lhs_spec, numbers.rhs_spec
    groups, batch_groups = p["feature_group_count"], p["batch_group_count"]
    kernel = tuple(aval_of(rhs).shape[a] for a in taps)
    window = Window(kernel, p["window_strides"], p["padding"], p["lhs_dilation"], p["rhs_dilation"])
    (out,) = conv_general_dilated_p.out_avals([aval_of(lhs), aval_of(rhs)], p)
    if 0 in out.shape:
        return _standard(lhs, rhs, p, _by_products)
    few_taps = window.taps <= math.prod(out.shape[a] for a in numbers.out_spec[2:])
    constant = not isinstance(rhs, Tracer) and patches.fits(kernel, window.holes)
    to_few = aval_of(rhs).shape[outs] * FEWER <= aval_of(rhs).shape[ins]
    plain = not constant and few_taps and max(groups, batch_groups, *window.strides) == 1
    if plain and (ins < outs or to_few):
        source, flipped = _unflipped(rhs, taps)
        x, w = S.transpose(lhs, numbers.lhs_spec), S.transpose(source, (ins, outs, *taps))
        return S.transpose(patches.by_weight_first(x, w, window, flipped), inverse_permutation(numbers.out_spec))
    if (constant or few_taps) and batch_groups == 1:
        x, w = S.transpose(lhs, numbers.lhs_spec), S.transpose(rhs, numbers.rhs_spec)
        made = (patches.by_constant if constant else patches.by_weight)(x, w, window, groups)
        return S.transpose(made, inverse_permutation(numbers.out_spec))
    if not few_taps and groups == 1:
        x, w = S.transpose(lhs, (feature, batch, *spatial)), S.transpose(rhs, (ins, outs, *taps))
        to_batch, to_feature, *places = numbers.out_spec
        made = patches.by_places(x, w, window, batch_groups)
        return S.transpose(made, inverse_permutation((to_feature, to_batch, *places)))
    return _standard(lhs, rhs, p, _by_products)


def _unflipped(w: Any, taps: list[int]) -> tuple[Any, bool]:
    """(the operand that ``w`` reverses along all of ``taps``, True), or (``w``, False) if it reverses none."""
    made = maker(w)
    if made is None or made.primitive.name != "rev" or {*made.params["dimensions"]} != {*taps}:
        return w, False
    (source,) = made.inputs
    return (traced(source), True) if isinstance(source, Var) else (w, False)


def _with_two_axes(lhs: Any, rhs: Any, p: dict[str, Any]) -> Any:
    """A convolution of sequences as one of images of height 1."""
    specs = [(*(a + (a >= spec[2]) for a in spec[:2]), spec[2], spec[2] + 1) for spec in p["dimension_numbers"]]
    source, flipped = _unflipped(rhs, [p["dimension_numbers"].rhs_spec[2]])
    x, w = (_with_axis(a, spec[2]) for a, spec in zip((lhs, source), specs))
    w = S.rev(w, specs[1][2:]) if flipped else w
    one = {name: (1, *p[name]) for name in ("window_strides", "lhs_dilation", "rhs_dilation")}
    changed = {**p, **one, "padding": ((0, 0), *p["padding"]), "dimension_numbers": ConvDimensionNumbers(*specs)}
    out = conv_general_dilated_p.bind(x, w, **changed)
    shape, at = aval_of(out).shape, specs[2][2]
    return S.reshape(out, shape[:at] + shape[at + 1 :])


def _with_axis(x: Any, axis: int) -> Any:
    shape = aval_of(x).shape
    return S.reshape(x, (*shape[:axis], 1, *shape[axis:]))


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


# The functions below keep features last, so that no slice is along the last axis: up to A15 such slices give wrong
# numbers (docs/sources.md, "Slices").


def _by_products(x: Any, w: Any, strides: Dims, pads: Any, groups: int) -> Any:
    """NCHW and OIHW operands to NCHW; groups are a batch."""
    count, kernel = aval_of(x).ndim - 2, aval_of(w).shape[2:]
    sizes = [n + lo + hi for n, (lo, hi) in zip(aval_of(x).shape[2:], pads)]
    counts = tuple((n - k) // t + 1 for n, k, t in zip(sizes, kernel, strides))
    lead = 1 if groups > 1 else 0
    x, w = _split(x, 1, groups), _split(w, 0, groups)  # [N, G, C, ...] and [G, O, I, ...]
    places = tuple(range(2 + lead, 2 + lead + count))
    first, batch, features = (1,) * lead, 0, 1 + lead
    # as many slices as the kernel has taps, or as the result has places: gradients of weights have large kernels
    few_taps = math.prod(kernel) <= math.prod(counts)
    outer, last = (batch, features) if few_taps else (features, batch)
    margin = [(0, 0, 0)]
    x = S.pad(S.transpose(x, (*first, outer, *places, last)), np.zeros((), aval_of(x).dtype),
              [*margin * (lead + 1), *((lo, hi, 0) for lo, hi in pads), *margin])  # fmt: skip
    if few_taps:
        w = S.transpose(w, (*range(lead), *places, 1 + lead, lead))  # [G, ..., I, O]
        out = _by_taps(x, w, lead, strides, counts)  # [G, N, ..., O]
        out = S.transpose(out, (lead, *range(lead), aval_of(out).ndim - 1, *range(1 + lead, 1 + lead + count)))
    else:
        w = S.transpose(w, (*range(lead), 1 + lead, *places, lead))  # [G, I, ..., O]
        out = _by_places(x, w, lead, strides, counts)  # [places, G, N, O]
        out = S.transpose(out, (1 + lead, *range(1, 1 + lead), 2 + lead, 0))
    features_out = math.prod(aval_of(out).shape[1 : 2 + lead])
    return S.reshape(out, (aval_of(out).shape[0], features_out, *counts))


def _split(x: Any, axis: int, parts: int) -> Any:
    shape = aval_of(x).shape
    return S.reshape(x, (*shape[:axis], parts, shape[axis] // parts, *shape[axis + 1 :])) if parts > 1 else x


def _by_taps(x: Any, w: Any, lead: int, strides: Dims, counts: Dims) -> Any:
    """Each tap's slice times its weights: side by side in one product, or in products that are added."""
    *_, features_in, features_out = aval_of(w).shape
    kernel = aval_of(w).shape[lead:-2]
    taps = [_slice(x, lead + 1, place, [(c - 1) * t + 1 for c, t in zip(counts, strides)], strides)
            for place in itertools.product(*map(range, kernel))]  # fmt: skip
    batch = (tuple(range(lead)),) * 2
    inner = aval_of(x).ndim - 1
    if features_in > 1 and _joined_pays(aval_of(taps[0]).shape, len(taps), features_out):
        matrix = S.reshape(w, (*aval_of(w).shape[:lead], len(taps) * features_in, features_out))
        return dot_general(S.concatenate(taps, inner), matrix, (((inner,), (lead,)), batch))
    total = None
    for tap, place in zip(taps, itertools.product(*map(range, kernel))):
        one = _slice(w, lead, place, (1,) * len(kernel), (1,) * len(kernel))
        matrix = S.reshape(one, (*aval_of(w).shape[:lead], features_in, features_out))
        product = (_by_column(tap, matrix, lead) if features_in == 1
                   else dot_general(tap, matrix, (((inner,), (lead,)), batch)))  # fmt: skip
        total = product if total is None else A.add(total, product)
    return total


def _by_column(x: Any, row: Any, lead: int) -> Any:
    """[G, ..., 1] times [G, 1, O], without a product of matrices that would be all edge."""
    shape = (*aval_of(x).shape[:-1], aval_of(row).shape[-1])
    rank = len(shape)
    return A.mul(
        S.broadcast_in_dim(x, shape, range(rank)), S.broadcast_in_dim(row, shape, (*range(lead), rank - 2, rank - 1))
    )


def _joined_pays(tap: Dims, taps: int, features_out: int) -> bool:
    """Whether one product of the slices side by side moves fewer bytes than one for each and their sums: of values that
    do not fit the SRAM, written once and read once (mil/cost.py)."""
    room = min(c.resident_bytes for c in CHIPS.values() if c.family in families())

    def moved(*shape: int) -> int:
        size = padded_bytes(Type("fp16", shape))
        return size if size > room else 0

    joined = moved(*tap[:-1], taps * tap[-1]) + moved(*tap[:-1], features_out)
    return joined <= (2 * taps - 1) * moved(*tap[:-1], features_out)


def _by_places(x: Any, w: Any, lead: int, strides: Dims, counts: Dims) -> Any:
    """The window of each place of the result times all weights: [places, G, N, O]."""
    kernel = aval_of(w).shape[lead + 1 : -1]
    inner = tuple(range(lead, aval_of(x).ndim - 1))
    outs = []
    for place in itertools.product(*map(range, counts)):
        window = _slice(x, lead + 1, [p * t for p, t in zip(place, strides)], kernel, (1,) * len(kernel))
        product = dot_general(window, w, ((inner, inner), (tuple(range(lead)),) * 2))
        outs.append(S.expand_dims(product, (0,)))
    return S.concatenate(outs, 0)


def _slice(x: Any, axis: int, starts: Any, extents: Any, strides: Any) -> Any:
    """A slice along the axes from ``axis`` on, one for each of the starts."""
    shape = aval_of(x).shape
    before, after = shape[:axis], shape[axis + len(starts) :]
    fill = lambda inside, one, other: (*one, *inside, *other)  # noqa: E731
    return S.slice_(
        x,
        fill(starts, (0,) * len(before), (0,) * len(after)),
        fill([a + n for a, n in zip(starts, extents)], before, after),
        fill(strides, (1,) * len(before), (1,) * len(after)),
    )
