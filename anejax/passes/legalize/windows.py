"""Rules for windows.

A reduction becomes MIL's pooling if that computes exactly the same. Otherwise it becomes convolutions with constant
kernels of zeros and ones if windows have two axes, and shifted slices if not.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.mil.cost import padded_bytes
from anejax.mil.program import Type
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.reduce import reduce_max
from anejax.ops.shape import inverse_permutation
from anejax.ops.windows import backward_padding, reduce_window_max_p, window_slices, winners_by_slices
from anejax.passes.legalize.constants import const, is_float
from anejax.passes.legalize.patches import Window, by_constant, fits, fitting, patches
from anejax.passes.legalize.rules import rule

Dims = tuple[int, ...]
MOST_PARTS = 32  # each of which is fourteen operations


def is_pooling(window: dict[str, Any]) -> bool:
    """Whether MIL's max_pool can be this window: over the spatial axes of NCHW only, padding less than the window."""
    kernel, strides, pads = window["window_dimensions"], window["window_strides"], window["padding"]
    return (
        3 <= len(kernel) <= 5
        and kernel[:2] == strides[:2] == (1, 1)
        and pads[:2] == ((0, 0), (0, 0))
        and all(d == 1 for d in (*window["base_dilation"], *window["window_dilation"]))
        and all(0 <= p < k for pair, k in zip(pads, kernel) for p in pair)
    )


def _finite(dtype: np.dtype, sign: int) -> Any:
    """The extreme finite value, in place of an infinity: MIL texts for Core ML and the engine have none."""
    limit = dtypes.finfo(dtype).max if dtype in dtypes.FLOATS else np.iinfo(dtype).max
    return np.asarray(sign * float(limit) if dtype in dtypes.FLOATS else sign * int(limit), dtype)


def _by_taps(combine: Any, fill: Any) -> Any:
    def reduce_window(x: Any, **window: Any) -> Any:
        out = None
        for tap in window_slices(x, fill(aval_of(x).dtype), window):
            out = tap if out is None else combine(out, tap)
        return out

    return reduce_window


_max_taps = _by_taps(A.max, lambda d: _finite(d, -1))
rule("reduce_window_min")(_by_taps(A.min, lambda d: _finite(d, 1)))
_sum_taps = _by_taps(A.add, lambda d: np.zeros((), d))


@rule("reduce_window_sum")
def _sum(x: Any, **window: Any) -> Any:
    """A convolution with ones, each feature by itself, where two axes have windows."""
    found = _on_two_axes(window, x)
    if found is None:
        return _sum_taps(x, **window)
    order, over = found
    images = S.transpose(x, order)
    shape = aval_of(images).shape
    images = S.reshape(images, (math.prod(shape[:-3]), *shape[-3:]))
    ones = np.ones((shape[-3], 1, *over.kernel), np.float16)
    out = by_constant(images, ones, over, shape[-3])
    return S.transpose(S.reshape(out, (*shape[:-2], *aval_of(out).shape[2:])), inverse_permutation(order))


def _on_two_axes(window: dict[str, Any], x: Any) -> tuple[Dims, Window] | None:
    """The axes of ``x`` with those that have windows last, and the window over these; None if they are not two, of an
    array of floats with others before, or if the engine's conv takes no such kernel."""
    keys = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
    rank, idle = aval_of(x).ndim, (1, 1, (0, 0), 1, 1)
    axes = [a for a in range(rank) if tuple(window[k][a] for k in keys) != idle]
    if len(axes) == 1 and rank > 2:
        axes = sorted({*axes, axes[0] - 1 if axes[0] > rank - 2 else rank - 1})
    if len(axes) != 2 or rank < 3 or not is_float(x):
        return None
    kernel, strides, padding, holes, dilation = (tuple(window[k][a] for a in axes) for k in keys)
    over = Window(kernel, strides, padding, holes, dilation)
    order = (*(a for a in range(rank) if a not in axes), *axes)
    return (order, over) if fits(kernel, holes) else None


@rule("reduce_window_max")
def _max(x: Any, **window: Any) -> Any:
    if is_pooling(window):
        return NotImplemented
    found = _on_two_axes(window, x)
    if found is None:
        return _max_taps(x, **window)
    order, _ = found
    turned = {k: tuple(v[a] for a in order) for k, v in window.items()}
    if order == tuple(range(len(order))) or not is_pooling(turned):
        return _max_taps(x, **window)
    out = reduce_window_max_p.bind(S.transpose(x, order), **turned)
    return S.transpose(out, inverse_permutation(order))


@rule("select_and_gather_add", targets=("cpu", "coreml", "ane"))
def _gather(values: Any, operand: Any, **params: Any) -> Any:
    return winners_by_slices(values, operand, **params)


@rule("select_and_scatter_add")
def _scatter(
    source: Any, operand: Any, *, select: str, window_dimensions: Any, window_strides: Any, padding: Any
) -> Any:
    """Each tap of a window takes the source where it is the first to equal the winner; the taps' shares go back to
    where they came from."""
    shape = aval_of(operand).shape
    rank = len(shape)
    window = {"window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding,
              "base_dilation": (1,) * rank, "window_dilation": (1,) * rank}  # fmt: skip
    found = _on_two_axes(window, operand)
    inside = all(low < n and high < n for n, (low, high) in zip(window_dimensions, padding) if n > 1)
    if found is not None and inside:
        return _scatter_images(source, operand, select, *found)
    fill = _finite(aval_of(operand).dtype, -1 if select == "ge" else 1)
    shares = _shares(source, list(window_slices(operand, fill, window)), select)
    places = itertools.product(*map(range, window_dimensions))
    spread = [_spread(share, place, shape, window_strides, padding) for place, share in zip(places, shares)]
    return functools.reduce(A.add, spread)


def _scatter_images(source: Any, operand: Any, select: str, order: Dims, over: Window) -> Any:
    """Windows over the last two axes of the operands, transposed by ``order``. If the patches of one image do not fit
    the SRAM, takes as many features at a time as fit, unless that makes too many parts."""
    x, source = S.transpose(operand, order), S.transpose(source, order)
    *lead, height, width = aval_of(x).shape
    n, (rows, columns) = math.prod(lead), aval_of(source).shape[-2:]
    x, source = S.reshape(x, (1, n, height, width)), S.reshape(source, (1, n, rows, columns))
    most = fitting(padded_bytes(Type("fp16", (over.taps, rows, columns))))
    count = -(-n // most) if 0 < most < lead[-1] else 1
    if not 1 < count <= MOST_PARTS:
        x, source = (S.reshape(a, (n // lead[-1], lead[-1], *aval_of(a).shape[2:])) for a in (x, source))
        out = _scattered(x, source, select, over)
    else:
        step = -(-n // count)  # parts of about equal size
        part = lambda a, i: S.slice_in_dim(a, i, min(i + step, n), axis=1)  # noqa: E731
        found = [_scattered(part(x, i), part(source, i), select, over) for i in range(0, n, step)]
        out = S.concatenate(found, 1)
    return S.transpose(S.reshape(out, (*lead, height, width)), inverse_permutation(order))


def _scattered(x: Any, source: Any, select: str, over: Window) -> Any:
    """Scatters in [N, C, H, W]: one convolution makes the taps as patches, and another one brings their shares back.
    The first tap that equals the winner is the one for which the count of such taps, up to and with it, is 1."""
    n, c, height, width = aval_of(x).shape
    taps, (rows, columns) = over.taps, aval_of(source).shape[-2:]
    x = A.mul(x, const(x, 0.5 if select == "ge" else -0.5))  # products overflow at 32768, other values at 65504
    fill = np.asarray(np.float32(_finite(aval_of(x).dtype, -1)) / 2, aval_of(x).dtype)
    x = S.pad(x, fill, [(0, 0, 0)] * 2 + [(*pair, 0) for pair in over.padding])
    seen = patches(x, replace(over, padding=((0, 0),) * 2))
    by_tap = S.reshape(seen, (n, c, taps, rows, columns))
    one_of = lambda a: S.broadcast_in_dim(a, (n, c, taps, rows, columns), (0, 1, 3, 4))  # noqa: E731
    hit = E.convert_element_type(A.eq(by_tap, one_of(reduce_max(by_tap, (2,)))), aval_of(source).dtype)
    up_to = np.tile(np.tril(np.ones((taps, taps), np.float16))[:, :, None, None], (c, 1, 1, 1))
    single = Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1))
    count = by_constant(S.reshape(hit, (n, c * taps, rows, columns)), up_to, single, c)
    is_first = A.eq(A.mul(S.reshape(count, aval_of(hit).shape), hit), const(hit, 1))
    share = A.mul(E.convert_element_type(is_first, aval_of(source).dtype), one_of(source))
    back = zip((height, width), over.kernel, (rows, columns), over.strides, over.padding)
    pads = tuple(backward_padding(size, k, count, stride, low) for size, k, count, stride, (low, _) in back)
    kernel = np.tile(np.eye(taps, dtype=np.float16)[::-1].reshape(1, taps, *over.kernel), (c, 1, 1, 1))
    around = Window(over.kernel, (1, 1), pads, over.strides, (1, 1))
    return by_constant(S.reshape(share, (n, c * taps, rows, columns)), kernel, around, c)


def _shares(source: Any, taps: list[Any], select: str) -> Iterator[Any]:
    """The share of the source that each tap gets: all of it where the tap is the first to equal the winner."""
    best = functools.reduce(A.max if select == "ge" else A.min, taps)
    dtype = aval_of(source).dtype
    free = E.convert_element_type(A.eq(best, best), dtype)  # 1 until a window's winner is found
    for tap in taps:
        hit = A.mul(E.convert_element_type(A.eq(tap, best), dtype), free)
        free = A.sub(free, hit)
        yield A.mul(source, hit)


def _spread(share: Any, place: Any, shape: Any, strides: Any, padding: Any) -> Any:
    config = []
    for p, n, count, stride, (low, _) in zip(place, shape, aval_of(share).shape, strides, padding):
        before = p - low
        covered = before + (count - 1) * stride + 1
        config.append((before, n - covered, stride - 1))
    return S.pad(share, np.zeros((), aval_of(share).dtype), config)
