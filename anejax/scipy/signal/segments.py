"""Segments of a signal: cutting, windowing, transforming and adding them up again."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, as_int, one_axis
from anejax.scipy.signal.trends import detrend as remove_trend
from anejax.scipy.signal.windows import window as named_window

_EXTENSIONS: dict[str | None, dict[str, Any]] = {
    "even": {"mode": "reflect"},
    "odd": {"mode": "reflect", "reflect_type": "odd"},
    "constant": {"mode": "edge"},
    "zeros": {"mode": "constant"},
}

Detrend = str | bool | Callable[[Any], Any]


class Segments(NamedTuple):
    """The parameters of segments: a window [length], every ``step`` samples, transformed at ``points`` points."""

    window: Any  # float64 of NumPy where a name says it
    length: int
    step: int
    points: int


def checked_segments(op: str, window: Any, length: int, noverlap: Any, nfft: Any) -> Segments:
    """Segments of ``length`` samples, or a ValueError if the user's arguments do not fit."""
    if length < 1:
        raise ValueError(f"[{op}] expected nperseg of 1 or more, got {length}.")
    if isinstance(window, (str, tuple)):
        weights: Any = named_window(op, window, length)
    else:
        weights = as_array(op, window)
        if weights.shape != (length,):
            raise ShapeError(f"[{op}] expected a window of {length} elements, got {weights.aval}.")
    overlap = length // 2 if noverlap is None else as_int(op, noverlap, "noverlap")
    points = length if nfft is None else as_int(op, nfft, "nfft")
    if points < length:
        raise ValueError(f"[{op}] expected nfft of at least nperseg, {length}, got {points}.")
    if overlap >= length:
        raise ValueError(f"[{op}] expected noverlap below nperseg, {length}, got {overlap}.")
    return Segments(weights, length, length - overlap, points)


def segments_of(op: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, x: Any, axis: int) -> Segments:
    """The segments of ``x`` along ``axis``; their length is the window's where that is an array."""
    x = as_array(op, x)
    total = x.shape[one_axis(op, axis, x.ndim)]
    named = isinstance(window, (str, tuple))
    count = total if named else as_array(op, window).size
    length = count if nperseg is None else as_int(op, nperseg, "nperseg")
    if length > total and named:
        warnings.warn(f"[{op}] segments of {length} are longer than the signal, {total}, and become so.", stacklevel=3)
        length = total
    if length > total > 0:
        raise ShapeError(f"[{op}] expected a window of at most {total} elements, got one of {length}.")
    return checked_segments(op, window, max(length, 1) if total == 0 else length, noverlap, nfft)


def weights_of(window: Any, dtype: Any) -> Any:
    """The window in the precision of a signal of ``dtype``; complex only where both are."""
    if isinstance(window, np.ndarray):
        return jnp.asarray(window, dtypes.real_part(dtype))
    if window.dtype in dtypes.COMPLEX:
        return window.astype(dtype) if dtype in dtypes.COMPLEX else window.real.astype(dtype)
    return window.astype(dtypes.real_part(dtype))


def sum_of(window: Any) -> Any:
    """The sum of a window, exact where it is a named one."""
    return float(window.sum()) if isinstance(window, np.ndarray) else jnp.sum(window)


def covered(op: str, x: Any, seg: Segments, boundary: str | None, padded: bool) -> Any:
    """``x`` with time last, made longer at its ends as asked."""
    if boundary is not None:
        if boundary not in _EXTENSIONS:
            raise ValueError(f"[{op}] expected a boundary of {list(_EXTENSIONS)} or None, got {boundary!r}.")
        half = seg.length // 2
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], **_EXTENSIONS[boundary])
    if padded:
        missing = -(x.shape[-1] - seg.length) % seg.step % seg.length
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
    return x


def trend_remover(op: str, detrend: Detrend, axis: int) -> Callable[[Any], Any]:
    """Returns a function that removes the trend of segments [..., t, n]."""
    if isinstance(detrend, str):
        return lambda d: remove_trend(d, type=detrend)
    if callable(detrend):
        return lambda d: jnp.moveaxis(detrend(jnp.moveaxis(d, -1, axis)), axis, -1)
    if detrend:
        raise ValueError(f"[{op}] expected detrend to be 'constant', 'linear', False or a function, got {detrend!r}.")
    return lambda d: d


def transforms(x: Any, seg: Segments, trend: Callable[[Any], Any], onesided: bool) -> Any:
    """The transforms [..., t, f] of the windowed segments of ``x`` [..., time]."""
    starts = np.arange(0, x.shape[-1] - seg.length + 1, seg.step)
    pieces = trend(jnp.take(x, starts[:, None] + np.arange(seg.length), axis=-1))
    transform = jnp.fft.rfft if onesided else jnp.fft.fft
    return transform(pieces * weights_of(seg.window, x.dtype), seg.points)


def added_up(pieces: Any, step: int) -> Any:
    """The signal [..., (t - 1) step + n] of segments [..., t, n] that begin ``step`` after each other, added up."""
    *lead, count, length = pieces.shape
    per = math.ceil(length / step)  # blocks of a segment: block i of segment t is block t + i of the signal
    whole = [(0, 0)] * len(lead)
    blocks = jnp.pad(pieces, [*whole, (0, 0), (0, per * step - length)]).reshape(*lead, count, per, step)
    rows = jnp.pad(jnp.swapaxes(blocks, -3, -2), [*whole, (0, 0), (0, per), (0, 0)])  # row i: blocks i, then zeros
    # read in rows that are one block shorter, row i begins with i of those zeros
    shifted = rows.reshape(*lead, per * (count + per), step)[..., :-per, :].reshape(*lead, per, count + per - 1, step)
    return shifted.sum(-3).reshape(*lead, -1)[..., : (count - 1) * step + length]
