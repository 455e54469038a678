"""Exponential, sine, cosine and Fresnel integrals, and the dilogarithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import lax
from anejax.api.control import scan
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.lax.special.series import (
    EULER,
    bernoulli_numbers,
    continued_fraction,
    horner,
    nested,
    sum_of_ratios,
    wide,
)
from anejax.scipy.special.operands import floats, unary, wide_float

# --- exponential integrals --------------------------------------------------------------------------------------------

_FAR = 40.0  # from here on the least term of the asymptotic series is below eps of float64


def _entire(x: Any) -> Any:
    """The integral of (exp(t) - 1) / t from 0 to x: its power series (DLMF 6.6.1), for -1 <= x <= _FAR."""
    return x * sum_of_ratios(lambda k: x * (k / ((k + 1) * (k + 1))), x)


@wide
@custom_jvp
def _exp1(x: Any) -> Any:
    """From 1 on by the continued fraction (the even part of DLMF 6.9.1)."""
    far = (x > 1) & (x < np.inf)
    big, near = jnp.where(far, x, 8), jnp.where(far | (x == np.inf), 1, x)
    fraction = continued_fraction(big + 1, lambda k: (-k * k, big + 2 * k + 1))
    series = -EULER - jnp.log(near) - _entire(-jnp.maximum(near, 0))
    return jnp.where(x == np.inf, 0, jnp.where(far, jnp.exp(-big) / fraction, series))


@_exp1.__wrapped__.defjvp
def _exp1_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return _exp1(x), -dx * jnp.exp(-x) / x


@wide
@custom_jvp
def _expi(x: Any) -> Any:
    """Ei(x) for x > 0 by the power series, from 40 on by the asymptotic one (DLMF 6.12.2)."""
    far, below = x > _FAR, x < 0
    big, near = jnp.where(far, x, _FAR), jnp.where(far | below, 1, x)
    asymptotic = jnp.where(x == np.inf, np.inf, jnp.exp(big) / big * nested(1 / big, np.arange(1.0, 41)))
    positive = jnp.where(far, asymptotic, EULER + jnp.log(near) + _entire(near))
    return jnp.where(below, -_exp1(jnp.where(below, -x, 1)), positive)


@_expi.__wrapped__.defjvp
def _expi_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return _expi(x), dx * jnp.exp(x) / x


@wide
@custom_jvp
def _expn(n: Any, x: Any) -> Any:
    """E_n(x) for x <= 1 by the power series (DLMF 8.19.8), above by the continued fraction (8.19.17)."""
    fair = (n >= 1) & (n == jnp.floor(n)) & (x > 0) & (x < np.inf)
    order, x_fair = jnp.where(fair, n, 1), jnp.where(fair, x, 1)
    far = x_fair > 1
    big, near = jnp.where(far, x_fair, 8), jnp.where(far, 1, x_fair)
    fraction = continued_fraction(big + order, lambda k: (-k * (order + k - 1), big + order + 2 * k))
    logarithmic = lax.digamma(order) - jnp.log(near)
    series, power = jnp.zeros_like(x), jnp.ones_like(x)
    for m in range(24):
        special = order == m + 1
        series = series + power * jnp.where(special, logarithmic, 1 / jnp.where(special, 1, order - (m + 1)))
        power = power * near * (-1 / (m + 1))
    value = jnp.where(far, jnp.exp(-big) / fraction, series)
    at_0 = jnp.where(n > 1, 1 / jnp.where(n > 1, n - 1, 1), np.inf)
    edge = jnp.where(x == 0, at_0, jnp.where(n == 0, jnp.exp(-x) / jnp.where(x > 0, x, np.nan), 0))
    bad = ~((n >= 0) & (n == jnp.floor(n)) & (x >= 0))
    return jnp.where(fair, value, jnp.where(bad, np.nan, jnp.where(x == np.inf, 0, edge)))


@_expn.__wrapped__.defjvp
def _expn_jvp(primals: Any, tangents: Any) -> Any:
    (n, x), (_, dx) = primals, tangents
    below = jnp.where(n == 0, jnp.exp(-x) * (1 + 1 / x) / x, _expn(jnp.maximum(n - 1, 0), x))
    return _expn(n, x), -dx * below


exp1 = unary("exp1", _exp1, "exponential integral E_1(x), that of exp(-t) / t from x on; NaN for negative x")
expi = unary("expi", _expi, "exponential integral Ei(x), the principal value of that of exp(t) / t up to x")


def expn(n: Any, x: Any) -> Array:
    """E_n(x), the integral of exp(-x t) / t^n from 1 on, n = 0, 1, 2, ...; NaN for negative x. Differentiable in x."""
    return _expn(*floats("expn", n, x))


# --- sine, cosine and Fresnel integrals -------------------------------------------------------------------------------

_K = np.arange(1.0, 25)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)


def _auxiliary(x: Any, end: float, weight: Any, power: int) -> tuple[Any, Any]:
    """The integrals of w(t) / (1 + u^power) and w(t) u^(power / 2) / (1 + u^power), u = t / x, for t from 0 to ``end``.

    With power 2 they are f and g of the sine and cosine integrals (DLMF 6.7.13), with 4 those of Fresnel's (7.7.10).
    """
    t = 0.5 * end * (1 + _NODES)
    w = 0.5 * end * _WEIGHTS * weight(t)

    def add(sums: Any, node: Any) -> Any:
        u = (node[0] / x) ** (power // 2)
        part = node[1] / (1 + u * u)
        return (sums[0] + part, sums[1] + part * u), None

    zero = jnp.zeros_like(x)
    f, g = scan(add, (zero, zero), (t.astype(x.dtype), w.astype(x.dtype)))[0]
    return f / x, g / x


_Pair = Callable[[Any], tuple[Any, Any]]


def _in_two_ranges(x: Any, end: float, series: _Pair, waves: _Pair, limits: tuple[float, float]) -> list[Any]:
    """Two functions of |x|: ``series`` up to ``end``, ``waves`` above, ``limits`` at infinity."""
    size = jnp.abs(x)
    far, endless = size > end, size == np.inf
    near, beyond = series(jnp.where(far, 1, size)), waves(jnp.where(far & ~endless, size, 2 * end))
    return [jnp.where(endless, limit, jnp.where(far, wave, value)) for value, wave, limit in zip(near, beyond, limits)]


def _sici_series(x: Any) -> tuple[Any, Any]:
    """DLMF 6.6.5, 6.6.6."""
    t = -x * x
    si = x * nested(t, (2 * _K - 1) / ((2 * _K) * (2 * _K + 1) ** 2))
    ci = 0.25 * t * nested(t, (2 * _K) / ((2 * _K + 1) * (2 * _K + 2) ** 2))
    return si, EULER + jnp.log(x) + ci


def _sici_waves(x: Any) -> tuple[Any, Any]:
    """DLMF 6.2.19, 6.2.20."""
    f, g = _auxiliary(x, 40.0, lambda t: np.exp(-t), 2)
    sin, cos = jnp.sin(x), jnp.cos(x)
    return 0.5 * math.pi - f * cos - g * sin, f * sin - g * cos


@wide
@custom_jvp
def _sici(x: Any) -> Any:
    si, ci = _in_two_ranges(x, 4.0, _sici_series, _sici_waves, (0.5 * math.pi, 0.0))
    return jnp.copysign(si, x), jnp.where(x == -np.inf, np.nan, ci)


@_sici.__wrapped__.defjvp
def _sici_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return _sici(x), (dx * jnp.sinc(x / math.pi), dx * jnp.cos(x) / x)


def sici(x: Any) -> tuple[Array, Array]:
    """The sine and cosine integrals Si(x), of sin(t) / t from 0 to x, and Ci(x), of -cos(t) / t from x on.

    For negative x the second is the real part Ci(-x).
    """
    return _sici(*floats("sici", x))


def _fresnel_series(x: Any) -> tuple[Any, Any]:
    """DLMF 7.6.4, 7.6.6."""
    angle = 0.5 * math.pi * x * x
    t = -angle * angle
    s = x * angle / 3 * nested(t, (4 * _K - 1) / ((2 * _K) * (2 * _K + 1) * (4 * _K + 3)))
    c = x * nested(t, (4 * _K - 3) / ((2 * _K - 1) * (2 * _K) * (4 * _K + 1)))
    return s, c


def _fresnel_waves(x: Any) -> tuple[Any, Any]:
    """DLMF 7.5.3, 7.5.4."""
    parts = _auxiliary(math.sqrt(0.5 * math.pi) * x, 6.5, lambda t: np.exp(-t * t), 4)
    f, g = (part * (math.sqrt(2) / math.pi) for part in parts)
    angle = 0.5 * math.pi * x * x
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    return 0.5 - f * cos - g * sin, 0.5 + f * sin - g * cos


@wide
@custom_jvp
def _fresnel(x: Any) -> Any:
    s, c = _in_two_ranges(x, 1.6, _fresnel_series, _fresnel_waves, (0.5, 0.5))
    return jnp.copysign(s, x), jnp.copysign(c, x)


@_fresnel.__wrapped__.defjvp
def _fresnel_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    angle = 0.5 * math.pi * x * x
    return _fresnel(x), (dx * jnp.sin(angle), dx * jnp.cos(angle))


def fresnel(x: Any) -> tuple[Array, Array]:
    """Fresnel's integrals S(x) and C(x), of sin(pi t^2 / 2) and cos(pi t^2 / 2) from 0 to x."""
    return _fresnel(*floats("fresnel", x))


# --- the dilogarithm --------------------------------------------------------------------------------------------------

_DEBYE = [float(b) / math.factorial(2 * k + 1) for k, b in enumerate(bernoulli_numbers(27)[::2])]


def _dilogarithm(x: Any) -> Any:
    """Li_2(1 - x) for 1/2 <= x <= 2: its series in u = -log x, whose coefficients are B_n / (n + 1)! (Debye's)."""
    u = -jnp.log(x)
    return u * horner(u * u, _DEBYE) - 0.25 * u * u


@wide
@custom_jvp
def _spence(x: Any) -> Any:
    """Li_2(1 - x), brought near x = 1 by the reflections x -> 1 / x and x -> 1 - x (DLMF 25.12.4, 25.12.6)."""
    inner = (x > 0) & (x < np.inf)
    x_in = jnp.where(inner, x, 1)
    far = x_in > 2
    y = jnp.where(far, 1 / x_in, x_in)
    low = y < 0.5
    reflected = math.pi**2 / 6 - jnp.log(y) * jnp.log1p(-jnp.where(low, y, 0)) - _dilogarithm(jnp.where(low, 1 - y, 1))
    value = jnp.where(low, reflected, _dilogarithm(jnp.where(low, 1, y)))
    log = jnp.log(jnp.where(far, x_in, 1))
    value = jnp.where(far, -value - 0.5 * log * log, value)
    return jnp.where(inner, value, jnp.where(x == 0, math.pi**2 / 6, np.nan))


@_spence.__wrapped__.defjvp
def _spence_jvp(primals: Any, tangents: Any) -> Any:
    """log(x) / (1 - x), near 1 by its series, since derivatives of the quotient lose all digits there."""
    (x,), (dx,) = primals, tangents
    u = x - 1
    near = jnp.abs(u) < 0.25
    series = -horner(jnp.where(near, -u, 0), [1 / (k + 1) for k in range(30)])
    return _spence(x), dx * jnp.where(near, series, jnp.log(jnp.where(near, 2, x)) / jnp.where(near, -1, -u))


spence = unary(
    "spence",
    _spence,
    "function of Spence, the dilogarithm of 1 - x: the integral of log(t) / (1 - t) from 1 to x",
    takes=lambda op, x: [wide_float(op, x)],
)
