"""The normal distribution function, its logarithm and its inverse, of arrays of float32 and float64."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.api.custom import custom_jvp
from anejax.api.programs import one_program
from anejax.lax.special.series import HALF_LOG_TWO_PI


def ndtr(x: Any) -> Any:
    """The normal distribution function, by erfc in both tails."""
    w = x * math.sqrt(0.5)
    near = jnp.abs(w) < math.sqrt(0.5)
    return 0.5 * jnp.where(near, 1 + lax.erf(jnp.where(near, w, 0)), lax.erfc(-w))


@custom_jvp
def log_ndtr(x: Any) -> Any:
    """Far out by the continued fraction of Mills' ratio (Abramowitz and Stegun 26.2.14)."""
    far = x < -5
    tail, near = -jnp.where(far, x, -5), jnp.where(far, -5, x)
    fraction = tail
    for k in range(60, 0, -1):
        fraction = tail + k / fraction
    direct = jnp.where(near > 0, jnp.log1p(-ndtr(-near)), jnp.log(ndtr(near)))
    return jnp.where(far, -0.5 * tail * tail - HALF_LOG_TWO_PI - jnp.log(fraction), direct)


@log_ndtr.defjvp
def _log_ndtr_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    out = log_ndtr(x)
    return out, dx * jnp.exp(-0.5 * x * x - HALF_LOG_TWO_PI - out)


@custom_jvp
def _ndtri(p: Any) -> Any:
    """In the middle by erf_inv; in the tails by Newton's method on log_ndtr, from its leading term."""
    low = jnp.minimum(p, 1 - p)
    tail = (low < 0.1) & (low > 0)
    level = jnp.log(jnp.where(tail, low, 0.05))
    x = -jnp.sqrt(-2 * level)
    for _ in range(8):
        value = log_ndtr(x)
        x = x - (value - level) * jnp.exp(value + 0.5 * x * x + HALF_LOG_TWO_PI)
    x = jnp.where(p > 0.5, -x, x)
    return jnp.where(tail, x, math.sqrt(2) * lax.erf_inv(2 * p - 1))


@_ndtri.defjvp
def _ndtri_jvp(primals: Any, tangents: Any) -> Any:
    (p,), (dp,) = primals, tangents
    x = _ndtri(p)
    return x, dp * jnp.exp(0.5 * x * x + HALF_LOG_TWO_PI)


ndtri = one_program(_ndtri)
