"""Rules for windows: MIL's pooling where it is that very pooling, shifted taps elsewhere."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.windows import window_slices, winners_by_slices
from anejax.passes.legalize.rules import rule


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
rule("reduce_window_sum")(_by_taps(A.add, lambda d: np.zeros((), d)))


@rule("reduce_window_max")
def _max(x: Any, **window: Any) -> Any:
    return NotImplemented if is_pooling(window) else _max_taps(x, **window)


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
    windowed = tuple(i for i, w in enumerate(window_dimensions) if w > 1)
    side_by_side = all(window_strides[i] == window_dimensions[i] and padding[i] == (0, 0)
                       and shape[i] % window_dimensions[i] == 0 for i in windowed)  # fmt: skip
    if side_by_side and windowed in ((2, 3), (2,)) and len(shape) == windowed[-1] + 1:
        return _scatter_side_by_side(source, operand, select, window_dimensions[2:])
    rank = len(shape)
    window = {"window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding,
              "base_dilation": (1,) * rank, "window_dilation": (1,) * rank}  # fmt: skip
    fill = _finite(aval_of(operand).dtype, -1 if select == "ge" else 1)
    shares = _shares(source, list(window_slices(operand, fill, window)), select)
    places = itertools.product(*map(range, window_dimensions))
    spread = [_spread(share, place, shape, window_strides, padding) for place, share in zip(places, shares)]
    return functools.reduce(A.add, spread)


def _shares(source: Any, taps: list[Any], select: str) -> Iterator[Any]:
    """What each tap gets of the source: all of it where it is the first to equal the winner."""
    best = functools.reduce(A.max if select == "ge" else A.min, taps)
    dtype = aval_of(source).dtype
    free = E.convert_element_type(A.eq(best, best), dtype)  # 1 until a window's winner is found
    for tap in taps:
        hit = A.mul(E.convert_element_type(A.eq(tap, best), dtype), free)
        free = A.sub(free, hit)
        yield A.mul(source, hit)


def _scatter_side_by_side(source: Any, operand: Any, select: str, window: tuple[int, ...]) -> Any:
    """Windows that tile [N, C, ...]: with features last each spatial axis is (windows, places in one), so that taps are
    slices, and shares are joined instead of spread and added."""
    spatial = tuple(range(2, 2 + len(window)))
    last, first = (0, *spatial, 1), (0, 1 + len(window), *range(1, 1 + len(window)))
    x, source = S.transpose(operand, last), S.transpose(source, last)
    n, *counts, features = aval_of(source).shape
    pairs = [size for pair in zip(counts, window) for size in pair]
    x = S.reshape(x, (n * pairs[0], *pairs[1:], features))
    flat = (n * counts[0], *counts[1:], features)
    places = list(itertools.product(*map(range, window)))
    taps = []
    for place in places:
        tap = x
        for axis, at in zip(itertools.count(1, 2), place):
            tap = S.slice_in_dim(tap, at, at + 1, axis=axis)
        taps.append(S.reshape(tap, flat))
    blocks = dict(zip(places, _shares(S.reshape(source, flat), taps, select)))
    ones = [size for count in flat[:-1] for size in (count, 1)]
    blocks = {place: S.reshape(share, (*ones, features)) for place, share in blocks.items()}
    for axis in range(2 * len(window) - 1, 0, -2):  # the last axis of the window first
        rows = itertools.groupby(sorted(blocks), lambda place: place[:-1])
        blocks = {row: S.concatenate([blocks[place] for place in members], axis) for row, members in rows}
    whole = (n, *(count * size for count, size in zip(counts, window)), features)
    return S.transpose(S.reshape(blocks[()], whole), first)


def _spread(share: Any, place: Any, shape: Any, strides: Any, padding: Any) -> Any:
    config = []
    for p, n, count, stride, (low, _) in zip(place, shape, aval_of(share).shape, strides, padding):
        before = p - low
        covered = before + (count - 1) * stride + 1
        config.append((before, n - covered, stride - 1))
    return S.pad(share, np.zeros((), aval_of(share).dtype), config)
