"""Convolutions of [N, C, H, W] for the engine, without a transpose.

A convolution with a constant weight is the engine's own ``conv``. With a computed weight the engine's ``conv`` is
unreliable (docs/sources.md, "Convolutions with computed weights"), so the convolution becomes a product of matrices, in
one of two ways:

* The weight times *patches*. The patches hold, for each position of the result, the elements that its window reads.
* The weight times the array first. Then the result at each position is the sum of the elements that its window reads.

A convolution with a constant kernel of zeros and ones makes the patches, or the sums, one group for each feature. That
convolution also does padding, strides and dilation, so no slice along the last axis is needed (docs/sources.md,
"Slices"). The way that is taken decides the order of the weight's axes, so that the weight is not transposed either.

Patches have as many times the elements of the array as the kernel has taps. Where those of one image do not fit into
the SRAM, they are made for a band of rows at a time: each band reads the rows that its windows cover, and its patches
stay inside.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.mil.chips import CHIPS
from anejax.mil.cost import padded_bytes
from anejax.mil.hazards import STRIDES
from anejax.mil.limits import FAMILIES, LIMITS
from anejax.mil.program import Type
from anejax.ops import arithmetic as A
from anejax.ops import shape as S
from anejax.ops.conv import ConvDimensionNumbers, conv_general_dilated_p
from anejax.ops.linear import dot_general
from anejax.ops.windows import dilated
from anejax.passes.legalize.rules import as_it_is, families

Dims = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
SHARE = 0.5  # so the patches of a gradient are not those of the forward pass, which would be kept for it
PLAIN = ConvDimensionNumbers((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3))


@dataclass(frozen=True)
class Window:
    """The way of a kernel over the two spatial axes of an array, as in lax.conv_general_dilated."""

    kernel: Dims
    strides: Dims
    padding: Pads
    holes: Dims  # lhs_dilation
    dilation: Dims

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)

    def part(self, first: Dims, kernel: Dims) -> Window:
        """The window of a rectangle of the kernel's taps, over the same places."""
        rest = [k - f - n for k, f, n in zip(self.kernel, first, kernel)]
        moved = zip(self.padding, first, rest, self.dilation)
        return replace(self, kernel=kernel, padding=tuple((lo - f * d, hi - r * d) for (lo, hi), f, r, d in moved))


# --- a constant kernel ------------------------------------------------------------------------------------------------


def fits(kernel: Sequence[int], holes: Sequence[int]) -> bool:
    """Whether the engine's conv takes a kernel of this size."""
    figures = [LIMITS[f] for f in families() or FAMILIES]
    width = min(f.kernel_width if max(holes) == 1 else f.kernel_width_strided for f in figures)
    return kernel[0] <= min(f.kernel_height for f in figures) and kernel[1] <= width


def by_constant(x: Any, kernel: Any, window: Window, groups: int = 1) -> Any:
    """``x`` [N, C, H, W] convolved with a constant [O, C / groups, ...] that ``fits``."""
    zero = np.zeros((), aval_of(x).dtype)
    pads, holes, behind = window.padding, window.holes, ((0, 0),) * 2
    if max(holes) > 1 and (max(window.strides) > 1 or any(h not in STRIDES for h in holes)):
        x, holes = S.pad(x, zero, [(0, 0, 0)] * 2 + [(0, 0, h - 1) for h in holes]), (1, 1)
    if max(holes) > 1:  # conv_transpose pads no further than the kernel reaches
        reach = [dilated(k, d) - 1 for k, d in zip(window.kernel, window.dilation)]
        behind = tuple((max(lo - r, 0), max(hi - r, 0)) for (lo, hi), r in zip(pads, reach))
        pads = tuple((min(lo, r), min(hi, r)) for (lo, hi), r in zip(pads, reach))
    else:
        x = S.pad(x, zero, [(0, 0, 0)] * 2 + [(min(lo, 0), min(hi, 0), 0) for lo, hi in pads])
        pads = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pads)
    able = all(s in STRIDES for s in window.strides)
    out = as_it_is(
        conv_general_dilated_p, x, _like(x, kernel), window_strides=window.strides if able else (1, 1), padding=pads,
        lhs_dilation=holes, rhs_dilation=window.dilation, dimension_numbers=PLAIN, feature_group_count=groups,
        batch_group_count=1, preferred_element_type=None,
    )  # fmt: skip
    if not able:
        shape = aval_of(out).shape
        out = S.slice_(out, (0,) * 4, shape, (1, 1, *window.strides))
    return S.pad(out, zero, [(0, 0, 0)] * 2 + [(lo, hi, 0) for lo, hi in behind])


def _like(x: Any, kernel: Any) -> np.ndarray:
    """A constant in the dtype of ``x``, infinities as its largest number."""
    dtype = aval_of(x).dtype
    limit = float(dtypes.finfo(dtype).max)
    return np.clip(np.asarray(getattr(kernel, "value", kernel), np.float64), -limit, limit).astype(dtype)


# --- patches ----------------------------------------------------------------------------------------------------------


def patches(x: Any, window: Window, factor: float = 1.0) -> Any:
    """[N, C, H, W] -> [N, C * taps, ...]: what each window sees times ``factor``, a feature's taps side by side."""
    if window == Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)) and factor == 1:
        return x
    features, taps = aval_of(x).shape[1], window.taps
    kernel = factor * np.eye(taps, dtype=np.float16).reshape(taps, 1, *window.kernel)
    return by_constant(x, np.tile(kernel, (features, 1, 1, 1)), window, features)


def counts(x: Any, window: Window) -> Dims:
    """The number of positions of the window."""
    sizes = [dilated(n, h) + lo + hi for n, h, (lo, hi) in zip(aval_of(x).shape[2:], window.holes, window.padding)]
    reach = [dilated(k, d) for k, d in zip(window.kernel, window.dilation)]
    return tuple((n - r) // s + 1 for n, r, s in zip(sizes, reach, window.strides))


def rectangles(kernel: Dims, holes: Dims) -> Iterator[tuple[Dims, Dims]]:
    """(first tap, size) of the parts of a kernel that the engine's conv takes, whole rows where a row fits."""
    height, width = kernel
    while not fits((1, width), holes):
        width = -(-width // 2)
    rows = height if width == kernel[1] else 1
    while not fits((rows, width), holes):
        rows = -(-rows // 2)
    rows = -(-height // -(-height // rows))  # parts of about equal size
    for i, j in itertools.product(range(0, height, rows), range(0, kernel[1], width)):
        yield (i, j), (min(rows, height - i), min(width, kernel[1] - j))


@dataclass(frozen=True)
class Band:
    """Rows ``first`` to ``last`` of the places of a window, the rows of the array that they see, and the window on
    those."""

    first: int
    last: int
    seen: Any
    window: Window


def bands(x: Any, window: Window, row_bytes: int, halo: int = 0) -> list[Band]:
    """The places of ``window`` on ``x`` [N, C, H, W], as many rows at a time as the SRAM has room for.

    ``row_bytes`` is what is made of an image for each row, and for ``halo`` more. All places are one band if they fit,
    and if not even one row does: then nothing is gained.
    """
    height = counts(x, window)[0]
    rows = fitting(row_bytes) - halo
    rows = height if rows < 1 else -(-height // -(-height // min(rows, height)))  # parts of about equal size
    found = [_band(x, window, first, min(first + rows, height)) for first in range(0, height, rows)]
    if len(found) == 1 or None in found:
        return [Band(0, height, x, window)]
    return [band for band in found if band is not None]


def fitting(nbytes: int) -> int:
    """The number of arrays of ``nbytes`` that fit the SRAM; without bound if the target is not an engine."""
    room = (chip.resident_bytes for chip in CHIPS.values() if chip.family in families())
    return int(min(room) // nbytes) if families() else 1 << 62


def _band(x: Any, window: Window, first: int, last: int) -> Band | None:
    """None where nothing but padding is seen."""
    (low, _), hole, stride = window.padding[0], window.holes[0], window.strides[0]
    begin, end = first * stride - low, (last - 1) * stride - low + dilated(window.kernel[0], window.dilation[0]) - 1
    top, bottom = max(-(-begin // hole), 0), min(end // hole, aval_of(x).shape[2] - 1)
    if top > bottom:
        return None
    inside = replace(window, padding=((top * hole - begin, end - bottom * hole), window.padding[1]))
    return Band(first, last, S.slice_in_dim(x, top, bottom + 1, axis=2), inside)


def _row_bytes(features: int, width: int) -> int:
    return padded_bytes(Type("fp16", (features, 1, width)))


def by_weight(x: Any, w: Any, window: Window, groups: int) -> Any:
    """``x`` [N, C, H, W] convolved with a computed ``w`` [O, C / groups, ...]: the weight times patches."""
    outs, features, width = aval_of(w).shape[0], aval_of(x).shape[1], counts(x, window)[1]
    found = []
    for first, size in rectangles(window.kernel, window.holes):
        last, taps = [f + n for f, n in zip(first, size)], math.prod(size)
        part = S.slice_(w, (0, 0, *first), (*aval_of(w).shape[:2], *last))
        matrices = S.reshape(part, (groups, outs // groups, aval_of(w).shape[1] * taps))
        own = bands(x, window.part(first, size), _row_bytes(features * taps, width))
        rows = [_times(matrices, patches(band.seen, band.window), groups) for band in own]
        found.append(S.concatenate(rows, 2))
    return functools.reduce(A.add, found)


def by_weight_first(x: Any, w: Any, window: Window, flipped: bool) -> Any:
    """``x`` [N, C, H, W] convolved with a computed ``w`` [C, O, ...], whose taps are in reverse order if ``flipped``:
    the weight times ``x``, then sums along the taps. Strides are 1."""
    features, outs = aval_of(w).shape[:2]
    found = []
    for first, size in rectangles(window.kernel, window.holes):
        last, taps = [f + n for f, n in zip(first, size)], math.prod(size)
        part = S.reshape(S.slice_(w, (0, 0, *first), (features, outs, *last)), (1, features, outs * taps))
        place = np.arange(taps)[::-1] if flipped else np.arange(taps)
        kernel = np.tile(np.eye(taps, dtype=np.float16)[place].reshape(1, taps, *size), (outs, 1, 1, 1))
        begin = tuple(k - n for k, n in zip(window.kernel, last)) if flipped else first
        halo = dilated(size[0], window.dilation[0]) - 1
        own = bands(x, window.part(begin, size), _row_bytes(outs * taps, aval_of(x).shape[3]), halo)
        rows = [by_constant(_times(part, b.seen, 1, turned=True), kernel, b.window, outs) for b in own]
        found.append(S.concatenate(rows, 2))
    return functools.reduce(A.add, found)


def _times(w: Any, seen: Any, groups: int, turned: bool = False) -> Any:
    """The matrices [G, O / G, K] times [N, G * K, H, W], as many rows of places at a time as the engine takes. If they
    are ``turned``, they are [G, K, O / G]."""
    n, _, height, width = aval_of(seen).shape
    lead, matrix = (n,) if groups == 1 else (n, groups), aval_of(w).shape[1:]
    inner, outs = matrix if turned else matrix[::-1]
    w = S.reshape(w, (*lead[1:], *matrix))
    w = (
        S.reshape(w, (1, *aval_of(w).shape))
        if n == 1
        else S.broadcast_in_dim(w, (*lead, *matrix), tuple(range(1, len(lead) + 2)))
    )
    axes, batch = (len(lead) if turned else len(lead) + 1, len(lead)), tuple(range(len(lead)))
    found = []
    for first, last in _rows(height, width):
        part = S.slice_in_dim(seen, first, last, axis=2)
        columns = S.reshape(part, (*lead, inner, (last - first) * width))
        out = dot_general(w, columns, (((axes[0],), (axes[1],)), (batch, batch)))
        found.append(S.reshape(out, (n, groups * outs, last - first, width)))
    return S.concatenate(found, 2)


def _rows(height: int, width: int) -> Iterator[tuple[int, int]]:
    """(first, last) of the rows of places that one product takes."""
    step = max(1, min(height, _extent() // width))
    return ((i, min(i + step, height)) for i in range(0, height, step))


def _extent() -> int:
    """The number of places that the engine takes as one axis, to multiply or add them up."""
    return min(min(LIMITS[f].max_extent, LIMITS[f].max_contraction) for f in families())


# --- gradients of weights ---------------------------------------------------------------------------------------------


def by_places(x: Any, w: Any, window: Window, groups: int) -> Any:
    """A convolution whose kernel has more taps than its result has places, as gradients of weights are.

    Patches and kernel change parts: places of the result are the taps of patches, whose places are the kernel's taps.

    Args:
        x: [C, N, H, W], features first.
        w: [C, O, ...], ``groups`` of O each for a part of N.

    Returns:
        [O, N / groups, ...].
    """
    outs, places = aval_of(w).shape[1], counts(x, window)
    turned = Window(places, window.dilation, window.padding, window.holes, window.strides)
    left = [n - k for n, k in zip(counts(x, turned), window.kernel)]  # windows may end before the array does
    pads = tuple((lo, hi - n * d) for (lo, hi), n, d in zip(window.padding, left, window.dilation))
    turned = replace(turned, padding=pads)
    features, width = aval_of(x).shape[1], window.kernel[1]
    factor = 1.0 if aval_of(x).shape[0] == 1 else SHARE
    rows = []
    for first, size in rectangles(places, window.holes):
        own = bands(x, turned.part(first, size), _row_bytes(features * math.prod(size), width))
        pairs = ((S.slice_in_dim(w, b.first, b.last, axis=2), patches(b.seen, b.window, factor)) for b in own)
        rows.append((first, S.reshape(_summed_products(pairs, groups), (outs, features // groups, *size))))
    lines = [S.concatenate([r for _, r in line], 3) for _, line in itertools.groupby(rows, lambda r: r[0][0])]
    return S.concatenate(lines, 2)


def _summed_products(pairs: Iterable[tuple[Any, Any]], groups: int) -> Any:
    """The sum over the first axis, and over places, of [C, G * O, places] times [C, G * K, places]: [G, O, K]. Each of
    ``pairs`` has some of the places."""
    total, joined = None, None  # the first of pairs decides for all
    for w, seen in pairs:
        images, _, height, width = aval_of(seen).shape
        if joined is None:
            joined = groups == 1 and images > 1 and _joining_pays(aval_of(w).shape, aval_of(seen).shape)
        for first, last in _rows(height, width * images if joined else width):
            ws, xs = (S.slice_in_dim(a, first, last, axis=2) for a in (w, seen))
            product = _over_images(ws, xs) if joined else _by_image(ws, xs, groups)
            total = product if total is None else A.add(total, product)
    images, *shape = aval_of(total).shape
    if joined:
        total = A.mul(total, np.asarray(1 / SHARE, np.float16))
    elif images > 1:  # a sum over features adds wide
        ones = np.full((1, images, 1, 1), 1 / SHARE, np.float16)
        columns = S.reshape(total, (1, images, math.prod(shape[:-1]), shape[-1]))
        total = by_constant(columns, ones, Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)))
    return S.reshape(total, shape)


def _by_image(w: Any, seen: Any, groups: int) -> Any:
    """The products over places, one for each image: [C, G, O, K], without G where it is 1."""
    lead = aval_of(w).shape[:1] if groups == 1 else (aval_of(w).shape[0], groups)
    left, right = (
        S.reshape(a, (*lead, aval_of(a).shape[1] // groups, math.prod(aval_of(a).shape[2:]))) for a in (w, seen)
    )
    inner = len(lead) + 1
    return dot_general(left, right, (((inner,), (inner,)), (tuple(range(len(lead))),) * 2))


def _over_images(w: Any, seen: Any) -> Any:
    """The product over images and places: [1, O, K]."""
    left, right = (
        S.reshape(S.transpose(a, (1, 0, 2, 3)), (1, shape[1], shape[0] * math.prod(shape[2:])))
        for a, shape in ((w, aval_of(w).shape), (seen, aval_of(seen).shape))
    )
    return dot_general(left, right, (((2,), (2,)), ((0,), (0,))))


def _joining_pays(w: Dims, seen: Dims) -> bool:
    """Whether fewer bytes move if features come first in both operands, so that one product is over all images, than if
    each image has a product of its own. The operands are written and read again for it, and before that as well, since
    they are not made image by image any more."""
    images, outs, features = seen[0], w[1], seen[1]
    if images * min(seen[3], _extent()) > _extent():
        return False
    products = padded_bytes(Type("fp16", (images, outs, features)))
    if fitting(products):
        return False
    return 2 * (padded_bytes(Type("fp16", w)) + padded_bytes(Type("fp16", seen))) < products
