"""Error functions, scaled and not, and Dawson's integral."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.api.custom import custom_jvp
from anejax.lax.special.series import continued_fraction, wide
from anejax.scipy.special.operands import unary

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


erfcx = unary("erfcx", _erfcx, "exp(x^2) erfc(x), which neither over- nor underflows for positive x")
dawsn = unary("dawsn", _dawsn, "integral of Dawson, exp(-x^2) times that of exp(t^2) from 0 to x")
