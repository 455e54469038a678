"""Rules for windows: MIL's pooling where it is that very pooling, shifted taps elsewhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.families import zeros
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
    """Each tap of a window takes the source where it is the first to equal the winner; the taps' shares, spread out by
    zero-stuffing to where they came from, are summed."""
    rank = aval_of(operand).ndim
    window = {"window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding,
              "base_dilation": (1,) * rank, "window_dilation": (1,) * rank}  # fmt: skip
    fill = _finite(aval_of(operand).dtype, -1 if select == "ge" else 1)
    taps = list(window_slices(operand, fill, window))
    best = taps[0]
    for tap in taps[1:]:
        best = (A.max if select == "ge" else A.min)(best, tap)
    free = E.convert_element_type(A.eq(best, best), aval_of(source).dtype)  # 1 until a window's winner is found
    total = None
    places = itertools.product(*map(range, window_dimensions))
    for place, tap in zip(places, taps):
        hit = A.mul(E.convert_element_type(A.eq(tap, best), aval_of(source).dtype), free)
        free = A.sub(free, hit)
        share = _spread(A.mul(source, hit), place, aval_of(operand).shape, window_strides, padding)
        total = share if total is None else A.add(total, share)
    return total if total is not None else zeros(aval_of(operand))


def _spread(share: Any, place: Any, shape: Any, strides: Any, padding: Any) -> Any:
    config = []
    for p, n, count, stride, (low, _) in zip(place, shape, aval_of(share).shape, strides, padding):
        before = p - low
        covered = before + (count - 1) * stride + 1
        config.append((before, n - covered, stride - 1))
    return S.pad(share, np.zeros((), aval_of(share).dtype), config)
