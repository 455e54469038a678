"""Error functions, scaled and not, and Dawson's integral."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.lax.special.series import continued_fraction, horner, wide
from anejax.ops import elementwise
from anejax.scipy.special.operands import numbers, unary

erf = unary("erf", lax.erf, "error function")
erfc = unary("erfc", lax.erfc, "1 - erf(x), exact where erf is near 1")
erfinv = unary("erfinv", lax.erf_inv, "inverse of erf")

_ROOT_PI = math.sqrt(math.pi)


def _exp_square(x: Any) -> Any:
    """exp(x^2) with the digits that x^2 loses when it is rounded."""
    high = jnp.round(x * 64) / 64
    return jnp.exp(high * high) * jnp.exp((x - high) * (x + high))


@wide
@custom_jvp
def _erfcx(x: Any) -> Any:
    """From 2 on by the continued fraction (DLMF 7.9.1)."""
    far, endless = x > 2, x > 1e8
    big = jnp.where(far & ~endless, x, 4)
    fraction = jnp.where(endless, x, continued_fraction(big, lambda k: (0.5 * k, big)))
    near = jnp.where(far, 0, jnp.maximum(x, -30))
    return jnp.where(far, 1 / (_ROOT_PI * fraction), _exp_square(near) * lax.erfc(near))


@_erfcx.__wrapped__.defjvp
def _erfcx_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    value = _erfcx(x)
    return value, dx * (2 * x * value - 2 / _ROOT_PI)


@wide
@custom_jvp
def _dawsn(x: Any) -> Any:
    """x M(1, 3/2, -x^2) (DLMF 7.5.1, 13.6.7) by the continued fraction that Gautschi (1977) gives for M(1, b, z)."""
    endless = jnp.abs(x) > 1e8
    square = jnp.where(endless, 1, x * x)
    fraction = continued_fraction(1 + 2 * square, lambda k: (-4 * k * square, 2 * k + 1 + 2 * square))
    return jnp.where(endless, 0.5 / x, x / fraction)


@_dawsn.__wrapped__.defjvp
def _dawsn_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    value = _dawsn(x)
    return value, dx * (1 - 2 * x * value)


_TERMS = 40


@functools.cache
def _weideman() -> tuple[float, list[float]]:
    """(the scale L, coefficients of the polynomial in (L + iz) / (L - iz)).

    Weideman (1994), "Computation of the complex error function": the coefficients are those of a Fourier series.
    """
    scale = math.sqrt(_TERMS / math.sqrt(2))
    angles = np.arange(-2 * _TERMS + 1, 2 * _TERMS) * np.pi / (2 * _TERMS)
    places = scale * np.tan(angles / 2)
    samples = np.append(0, np.exp(-(places**2)) * (scale**2 + places**2))
    series = np.fft.fft(np.fft.fftshift(samples)).real / (4 * _TERMS)
    return scale, series[1 : _TERMS + 1][::-1].tolist()


@custom_jvp
def _wofz(z: Any) -> Any:
    """Weideman's series where the imaginary part is not negative; below, w(z) = 2 exp(-z^2) - w(-z) (DLMF 7.4.3)."""
    above = z.imag >= 0
    upper = jnp.where(above, z, -z)
    scale, series = _weideman()
    below = scale - 1j * upper
    place = (scale + 1j * upper) / below
    w = 2 * (horner(place, [*reversed(series)]) / below) / below + 1 / _ROOT_PI / below
    return jnp.where(above, w, 2 * jnp.exp(-jnp.where(above, 0, z * z)) - w)


@_wofz.defjvp
def _wofz_jvp(primals: Any, tangents: Any) -> Any:
    (z,), (dz,) = primals, tangents
    value = _wofz(z)
    return value, dz * (2j / _ROOT_PI - 2 * z * value)


def wofz(z: Any) -> Array:
    """Elementwise function of Faddeeva, exp(-z^2) erfc(-iz), of complex numbers; of real ones as of complex ones.

    Errors are at most 16 eps of the value; below the real axis of 2 exp(-z^2), and as many more for every unit of
    abs(z)^2.

    Example:
        >>> from anejax.scipy import special
        >>> special.wofz(0.0)
        Array(1.+0.j, dtype=complex64, weak_type=True)
    """
    (z,) = numbers("wofz", z)
    return _wofz(elementwise.convert_element_type(z, dtypes.complex_of(z.dtype), z.weak_type))


def erfcx(x: Any) -> Array:
    """Elementwise exp(x^2) erfc(x), which neither over- nor underflows for positive x; of complex x by ``wofz``."""
    (x,) = numbers("erfcx", x)
    return _wofz(1j * x) if x.dtype in dtypes.COMPLEX else _erfcx(x)


dawsn = unary("dawsn", _dawsn, "integral of Dawson, exp(-x^2) times that of exp(t^2) from 0 to x")
