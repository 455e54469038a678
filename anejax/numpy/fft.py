"""jax.numpy.fft on anejax: Fourier transforms along one axis or several, and their helpers, all by ``lax.fft``.

``n`` (or ``s``) is the length to which the signal is cut or padded with zeros. ``norm`` says which direction divides by
the number of points: "backward" (the inverse, default), "forward", or "ortho" (both, by its square root).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy.creation import arange, zeros
from anejax.numpy.operands import as_array, as_int, astype, axes_of, check_device, inexact, one_axis
from anejax.numpy.shaping import moveaxis, roll
from anejax.ops import shape
from anejax.ops.fft import FftType
from anejax.ops.fft import fft as transform

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"
]  # fmt: skip

_NORMS = {None: 0.0, "backward": 0.0, "ortho": 0.5, "forward": 1.0}  # the share of 1/n that the forward direction has
_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _scale(op: str, norm: Any, count: int, inverse: bool) -> float:
    """The factor for the unscaled forward transform, or for the inverse one that divides by ``count``."""
    if norm not in _NORMS:
        raise ValueError(f"[{op}] expected norm 'backward', 'ortho' or 'forward', got {norm!r}.")
    return count ** (_NORMS[norm] if inverse else -_NORMS[norm])


def _resized(x: Any, lengths: Sequence[int]) -> Any:
    """``x`` with its trailing axes cut or padded with zeros to ``lengths``."""
    lead = x.ndim - len(lengths)
    config = [(0, 0, 0)] * lead + [(0, n - old, 0) for n, old in zip(lengths, x.shape[lead:])]
    return shape.pad(x, np.zeros((), x.dtype), config)


def _signal_lengths(op: str, kind: FftType, s: Any, axes: Sequence[int], x: Any) -> tuple[int, ...]:
    """The lengths of the signal along ``axes``; those of ``x`` when ``s`` is None."""
    if s is not None:
        lengths = tuple(as_int(op, n, "a length") for n in s)
        if len(lengths) != len(axes):
            raise ShapeError(f"[{op}] expected as many lengths as axes, got {lengths} for axes {tuple(axes)}.")
    else:
        lengths = tuple(x.shape[a] for a in axes)
        if kind == FftType.IRFFT and lengths:
            lengths = (*lengths[:-1], max(0, 2 * (lengths[-1] - 1)))
    least = 1 if s is not None or kind == FftType.RFFT else 0  # an array without elements has a transform without any
    if any(n < least for n in lengths):
        raise ShapeError(f"[{op}] expected signals of positive length, got {lengths} for {x.aval}.")
    return lengths


def _transform(op: str, kind: FftType, a: Any, s: Any, axes: Any, norm: Any) -> Array:
    x = as_array(op, a)
    if axes is None and s is not None:
        axes = range(x.ndim - len(s), x.ndim)
    places = axes_of(op, axes if axes is None else tuple(axes), x.ndim)
    lengths = _signal_lengths(op, kind, s, places, x)
    last = tuple(range(x.ndim - len(places), x.ndim))
    x = moveaxis(x, places, last)
    if 0 in lengths:
        dtype = dtypes.complex_of(inexact(x.dtype))
        empty = zeros(
            (*x.shape[: -len(lengths)], *lengths), dtypes.real_part(dtype) if kind == FftType.IRFFT else dtype
        )
        return moveaxis(empty, last, places)
    given = (*lengths[:-1], lengths[-1] // 2 + 1) if kind == FftType.IRFFT and lengths else lengths
    out = transform(_resized(x, given), kind, lengths)
    scale = _scale(op, norm, math.prod(lengths), kind in (FftType.IFFT, FftType.IRFFT))
    if scale != 1:
        out = ew.multiply(out, np.asarray(scale, dtypes.real_part(out.dtype)))
    return moveaxis(out, last, places)


_WHAT = {
    FftType.FFT: "The Fourier transform {}: sum of a[j] exp(-2 pi i j k / n)",
    FftType.IFFT: "The inverse Fourier transform {}: sum of a[k] exp(2 pi i j k / n) / n",
    FftType.RFFT: "The Fourier transform of real numbers {}: n // 2 + 1 values, since symmetry gives the others",
    FftType.IRFFT: "The real signal {} whose half transform ``a`` is (of 2 (m - 1) points when m are given)",
}


def _named(function: Callable[..., Array], name: str, kind: FftType, along: str) -> Callable[..., Array]:
    function.__name__ = function.__qualname__ = name
    result = "floats" if kind == FftType.IRFFT else "complex numbers"
    function.__doc__ = f"{_WHAT[kind].format(along)}.\n\nTakes numbers, returns {result}; lengths must be positive."
    return function


def _line(name: str, kind: FftType) -> Callable[..., Array]:
    def function(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
        along = (as_int(name, axis, "axis"),)
        return _transform(name, kind, a, None if n is None else (n,), along, norm)

    return _named(function, name, kind, "along ``axis``")


def _plane(name: str, kind: FftType) -> Callable[..., Array]:
    def function(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
        if len(axes) != 2:
            raise ShapeError(f"[{name}] expected two axes, got {tuple(axes)}.")
        return _transform(name, kind, a, s, axes, norm)

    return _named(function, name, kind, "over two axes")


def _space(name: str, kind: FftType) -> Callable[..., Array]:
    def function(a: Any, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
        return _transform(name, kind, a, s, axes, norm)

    return _named(function, name, kind, "over ``axes``, all when None")


fft, ifft = _line("fft", FftType.FFT), _line("ifft", FftType.IFFT)
rfft, irfft = _line("rfft", FftType.RFFT), _line("irfft", FftType.IRFFT)
fft2, ifft2 = _plane("fft2", FftType.FFT), _plane("ifft2", FftType.IFFT)
rfft2, irfft2 = _plane("rfft2", FftType.RFFT), _plane("irfft2", FftType.IRFFT)
fftn, ifftn = _space("fftn", FftType.FFT), _space("ifftn", FftType.IFFT)
rfftn, irfftn = _space("rfftn", FftType.RFFT), _space("irfftn", FftType.IRFFT)


def _check_norm(op: str, norm: Any) -> str:
    _scale(op, norm, 1, False)
    return _SWAPPED[norm]


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The real transform of a signal with Hermitian symmetry, whose half from time 0 on is ``a``."""
    return irfft(ew.conj(a), n, axis, _check_norm("hfft", norm))


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The half of the Hermitian signal whose transform is the real ``a``: the inverse of ``hfft``."""
    return ew.conj(rfft(a, n, axis, _check_norm("ihfft", norm)))


# --- frequencies --------------------------------------------------------------------------------------------------


def _whole(op: str, n: Any) -> int:
    return int(n) if isinstance(n, float) and n.is_integer() else as_int(op, n, "n")


def _frequencies(op: str, n: Any, first: int, count: int, d: Any, dtype: Any) -> Array:
    kind = dtypes.canonical(dtypes.float64 if dtype is None else dtype)
    exact = inexact(kind)
    found = ew.true_divide(arange(first, first + count, dtype=exact), ew.multiply(np.asarray(n, exact), d))
    return astype(found, kind) if kind != exact else found


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequency of each element of ``fft``, in cycles per unit of the spacing ``d``: from 0 up, then negative.

    There are none when ``n`` is negative.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.fft.fftfreq(4, 0.5)
        Array([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    check_device("fftfreq", device)
    n = _whole("fftfreq", n)
    count = max(n, 0)
    return ifftshift(_frequencies("fftfreq", n, -(count // 2), count, d, dtype))


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequency of each element of ``rfft`` of ``n`` points with sample spacing ``d``."""
    check_device("rfftfreq", device)
    n = _whole("rfftfreq", n)
    return _frequencies("rfftfreq", n, 0, max(n // 2 + 1, 0), d, dtype)


def _rolled(op: str, x: Any, axes: Any, by: Callable[[int], int]) -> Array:
    x = as_array(op, x)
    if axes is None:
        places: tuple[int, ...] = tuple(range(x.ndim))
    else:
        places = tuple(one_axis(op, a, x.ndim) for a in (axes if isinstance(axes, (tuple, list)) else (axes,)))
    return roll(x, tuple(by(x.shape[a]) for a in places), places) if places else x


def fftshift(x: Any, axes: Any = None) -> Array:
    """``x`` with frequency 0 in the middle of ``axes`` (all when None)."""
    return _rolled("fftshift", x, axes, lambda n: n // 2)


def ifftshift(x: Any, axes: Any = None) -> Array:
    """The inverse of ``fftshift``: frequency 0 first."""
    return _rolled("ifftshift", x, axes, lambda n: -(n // 2))
