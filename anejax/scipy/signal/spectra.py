"""Spectra of windowed segments: Welch's estimates, the short-time Fourier transform and its inverse.

Welch 1967, "The use of the fast Fourier transform for the estimation of power spectra".
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, as_int, is_scalar, one_axis, promote_inexact
from anejax.scipy.signal.segments import (
    Detrend,
    Segments,
    added_up,
    checked_segments,
    covered,
    segments_of,
    sum_of,
    transforms,
    trend_remover,
    weights_of,
)

_SMALL_WEIGHT = 1e-10  # below it no window covers a sample, as in SciPy


def stft(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int = 256, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = False, return_onesided: bool = True, boundary: str | None = "zeros",
    padded: bool = True, axis: int = -1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The Fourier transforms of overlapping segments of ``x``, scaled by the sum of the window.

    Args:
        x: numbers; ``axis`` is time.
        fs: samples per unit of time.
        window: a name or (name, *parameters) of scipy.signal.get_window, or an array [nperseg].
        nperseg: the length of a segment; a longer one than the signal becomes the signal's, with a warning.
        noverlap: how many samples neighbours share; half of a segment when None.
        nfft: the length to which segments are padded with zeros; ``nperseg`` when None.
        detrend: "constant" or "linear" (see ``detrend``), False, or a function of the segments, whose samples are along
            ``axis``.
        return_onesided: of real numbers, leave out negative frequencies.
        boundary: how half a segment is added at both ends: "zeros", "even", "odd", "constant", or None: not at all.
        padded: add zeros at the end until segments cover everything.

    Returns:
        (frequencies [f], times of the segments' middles [t], complex transforms): f stands where ``axis`` was, t last.
    """
    seg = segments_of("stft", window, nperseg, noverlap, nfft, x, axis)
    if 0 in (v := _signal("stft", x)).shape:
        return _empty(v.shape, v.dtype)
    i = one_axis("stft", axis, v.ndim)
    whole = covered("stft", jnp.moveaxis(v, i, -1), seg, boundary, padded)
    onesided = _onesided(return_onesided, v)
    out = transforms(whole, seg, trend_remover("stft", detrend, axis), onesided) * _root(
        _scale("stft", seg, fs, "spectrum")
    )
    shift = 0 if boundary is not None else seg.length / 2
    return _frequencies(seg, fs, onesided, out.dtype), _times(out, seg, fs, shift), _placed(out, i, v.dtype)


def csd(
    x: Any, y: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Array, Array]:  # fmt: skip
    """The cross spectral density of two signals, averaged over segments.

    Args:
        x, y: numbers of one rank, whose axes but ``axis`` broadcast; the shorter signal is padded with zeros. With
            ``y`` None it is the power spectral density of ``x``, a real number.
        nperseg: the length of a segment; the whole of ``x`` when None, as in jax (SciPy's is 256).
        scaling: "density" (power per unit of frequency) or "spectrum" (power).
        average: "mean", or "median" (of real and imaginary parts) over its bias.

    Other arguments as of ``stft``.

    Returns:
        (frequencies [f], densities with f where ``axis`` was).
    """
    freqs, out = _densities("csd", x, y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis)
    if y is not None:
        out = out.astype(dtypes.complex_of(out.dtype))
    return freqs, _averaged("csd", out, average)


def welch(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Array, Array]:  # fmt: skip
    """The power spectral density of a signal, averaged over segments; arguments as of ``csd``.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> f, power = aj.scipy.signal.welch(jnp.sin(jnp.arange(64) * jnp.pi / 4), nperseg=16)
        >>> float(f[power.argmax()])
        0.125
    """
    freqs, out = _densities(
        "welch", x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis
    )
    return freqs, _averaged("welch", out, average)


def istft(
    Zxx: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, input_onesided: bool = True, boundary: bool = True, time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Array, Array]:  # fmt: skip
    """The signal whose ``stft`` is nearest to ``Zxx``: segments added up where they overlap, over their weights.

    Args:
        Zxx: transforms, with frequencies along ``freq_axis`` and segments along ``time_axis``.
        nperseg: the length of a segment; if None, the even length that fits the number of frequencies.
        boundary: half a segment is cut off at both ends, which ``stft`` added.

    Other arguments as those that ``stft`` was given. ``noverlap`` may be 0, and odd segments need only ``nperseg``;
    jax takes the default for the one and fails at the other.

    Returns:
        (times [n], signal): n stands where ``time_axis`` was, without ``freq_axis``.

    Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform".
    """
    z = as_array("istft", Zxx)
    if z.ndim < 2:
        raise ShapeError(f"[istft] expected frequencies and times, two axes or more, got {z.aval}.")
    f, t = one_axis("istft", freq_axis, z.ndim), one_axis("istft", time_axis, z.ndim)
    if f == t:
        raise ShapeError(f"[istft] expected different time and frequency axes, got {time_axis} and {freq_axis}.")
    z = jnp.moveaxis(z.astype(dtypes.complex_of(z.dtype)), (t, f), (-2, -1))
    bins = z.shape[-1]
    points = 2 * (bins - 1) if input_onesided else bins
    length = points if nperseg is None else as_int("istft", nperseg, "nperseg")
    odd = input_onesided and length == points + 1
    seg = checked_segments("istft", window, length, noverlap, points + odd if nfft is None else nfft)
    back = jnp.fft.irfft if input_onesided else jnp.fft.ifft
    weight = weights_of(seg.window, dtypes.real_part(z.dtype))
    pieces = back(z, seg.points)[..., :length] * (sum_of(seg.window) * weight)
    weights = jnp.broadcast_to(weight * weight, (pieces.shape[-2], length))
    out, cover = added_up(pieces, seg.step), added_up(weights, seg.step)
    if boundary:
        half = length // 2
        out, cover = (v[..., half : v.shape[-1] - half] for v in (out, cover))
    out = out / jnp.where(jnp.abs(cover) > _SMALL_WEIGHT, cover, jnp.ones((), cover.dtype))
    times = jnp.arange(out.shape[-1], dtype=dtypes.real_part(z.dtype)) / fs
    return times, jnp.moveaxis(out, -1, t - (f < t))


# --- shared functions -------------------------------------------------------------------------------------------------


def _signal(op: str, *xs: Any) -> Any:
    arrays = [as_array(op, v) for v in promote_inexact(op, *xs)]
    return arrays if len(xs) > 1 else arrays[0]


def _empty(shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array, Array]:
    """The result for a signal without elements, as in SciPy."""
    whole = dtypes.complex_of(dtype)
    real = dtypes.real_part(whole)
    return jnp.zeros(shape, real), jnp.zeros(shape, real), jnp.zeros(shape, whole)


def _onesided(wanted: bool, *xs: Any) -> bool:
    whole = any(x.dtype in dtypes.COMPLEX for x in xs)
    if wanted and whole:
        warnings.warn("complex signals have spectra of two sides: return_onesided becomes False", stacklevel=3)
    return wanted and not whole


def _scale(op: str, seg: Segments, fs: Any, scaling: str) -> Any:
    if scaling == "density":
        return 1.0 / (fs * sum_of(seg.window * seg.window))
    if scaling == "spectrum":
        return 1.0 / sum_of(seg.window) ** 2
    raise ValueError(f"[{op}] expected the scaling 'density' or 'spectrum', got {scaling!r}.")


def _root(x: Any) -> Any:
    return math.sqrt(x) if is_scalar(x) else jnp.sqrt(x)


def _frequencies(seg: Segments, fs: Any, onesided: bool, dtype: Any) -> Array:
    of = jnp.fft.rfftfreq if onesided else jnp.fft.fftfreq
    return of(seg.points, 1 / fs, dtype=dtypes.real_part(dtype))


def _times(out: Any, seg: Segments, fs: Any, shift: float) -> Array:
    return jnp.asarray(np.arange(out.shape[-2]) * seg.step + shift, dtypes.real_part(out.dtype)) / fs


def _placed(out: Any, axis: int, dtype: Any) -> Any:
    """[..., t, f] with f at ``axis``, in the complex dtype that belongs to the signal's."""
    return jnp.moveaxis(out.astype(dtypes.complex_of(dtype)), -1, axis)


def _densities(
    op: str, x: Any, y: Any, fs: Any, window: Any, nperseg: Any, noverlap: Any, nfft: Any, detrend: Detrend,
    onesided: bool, scaling: str, axis: int,
) -> tuple[Any, Any]:  # fmt: skip
    """(frequencies, the density of each segment, which is the last axis); real where ``y`` is None."""
    signals = [_signal(op, x)] if y is None else _signal(op, x, y)
    seg = segments_of(op, window, nperseg, noverlap, nfft, signals[0], axis)
    if len({v.ndim for v in signals}) > 1:
        raise ShapeError(f"[{op}] expected two signals of one rank, got {', '.join(str(v.aval) for v in signals)}.")
    i = one_axis(op, axis, signals[0].ndim)
    if any(v.size == 0 for v in signals):
        return _of_nothing(signals, i, y is None)
    signals = _of_one_length([jnp.moveaxis(v, i, -1) for v in signals])
    onesided = _onesided(onesided, *signals)
    trend = trend_remover(op, detrend, axis)
    spectra = [transforms(v, seg, trend, onesided) for v in signals]
    first = spectra[0]
    out = jnp.square(first.real) + jnp.square(first.imag) if y is None else first.conj() * spectra[1]
    out = out * _scale(op, seg, fs, scaling)
    if onesided:
        last = out.shape[-1] - (seg.points % 2 == 0)  # frequency 0 and half of fs have no negative counterpart
        doubled = (np.arange(out.shape[-1]) > 0) & (np.arange(out.shape[-1]) < last)
        out = out * jnp.asarray(np.where(doubled, 2, 1), dtypes.real_part(out.dtype))
    dtype = dtypes.complex_of(signals[0].dtype)
    out = out.astype(dtypes.real_part(dtype) if y is None else dtype)
    return _frequencies(seg, fs, onesided, dtype), jnp.moveaxis(out, -1, i)


def _of_nothing(signals: list[Any], axis: int, real: bool) -> tuple[Any, Any]:
    outer = jnp.broadcast_shapes(*(v.shape[:axis] + v.shape[axis + 1 :] for v in signals))
    shape = (*outer[:axis], min(v.shape[axis] for v in signals), *outer[axis:])
    freqs, _, out = _empty(shape, signals[0].dtype)
    return freqs, out.real if real else out


def _of_one_length(signals: list[Any]) -> list[Any]:
    longest = max(v.shape[-1] for v in signals)
    return [jnp.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, longest - v.shape[-1])]) for v in signals]


def _averaged(op: str, out: Any, average: str) -> Array:
    """``out`` [..., segments] averaged; without segments, as it is."""
    if average not in ("mean", "median"):
        raise ValueError(f"[{op}] expected the average 'mean' or 'median', got {average!r}.")
    if out.ndim < 2 or not out.size:
        return out
    if average == "mean":
        return jnp.mean(out, -1)
    if out.dtype in dtypes.COMPLEX:
        middle = jnp.median(out.real, -1) + 1j * jnp.median(out.imag, -1)
    else:
        middle = jnp.median(out, -1)
    return middle / _median_bias(out.shape[-1])


def _median_bias(n: int) -> float:
    """The median of ``n`` exponentially distributed numbers, over their mean (Allen et al. 2012, gr-qc/0509116)."""
    even = np.arange(2, n, 2)
    return float(1 + np.sum(1 / (even + 1) - 1 / even))
