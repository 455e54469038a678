"""The normal distribution, in one dimension and in two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import lax
from anejax.api.control import scan
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.lax.special import normal
from anejax.lax.special.series import HALF_LOG_TWO_PI, wide
from anejax.scipy.special.operands import floats, wide_float


def ndtr(x: Any) -> Array:
    """The normal distribution function. This one and its kin take float32 and float64 alone, as in jax."""
    return normal.ndtr(wide_float("ndtr", x))


def log_ndtr(x: Any, series_order: int = 3) -> Array:
    """log(ndtr(x)), without underflow. ``series_order`` is accepted for compatibility."""
    return normal.log_ndtr(wide_float("log_ndtr", x))


def ndtri(p: Any) -> Array:
    """The inverse of ``ndtr``."""
    return normal.ndtri(wide_float("ndtri", p))


# --- Owen's T ---------------------------------------------------------------------------------------------------------

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_FAR = 1e4  # from here on T is 0
_REACH = 9.0  # beyond which exp(-u^2 / 2) no longer counts


def _triangle(h: Any, a: Any) -> Any:
    """T(h, a) for h >= 0 and 0 <= a <= 1, from its definition (Owen 1956) by Gauss's quadrature."""
    end = jnp.where(h * a > _REACH, _REACH / jnp.where(h > 0, h, 1), a)

    def add(total: Any, node: Any) -> Any:
        t = end * (0.5 + 0.5 * node[0])
        return total + node[1] * jnp.exp(-0.5 * (h * t) ** 2) / (1 + t * t), None

    nodes = (_NODES.astype(h.dtype), _WEIGHTS.astype(h.dtype))
    return jnp.exp(-0.5 * h * h) * end / (4 * math.pi) * scan(add, jnp.zeros_like(h), nodes)[0]


@wide
@custom_jvp
def _owens_t(h: Any, a: Any) -> Any:
    """T(h, a) = (Q(h) + Q(ah)) / 2 - Q(h) Q(ah) - T(ah, 1 / a) above a = 1 (Owen 1956), Q(x) being ndtr(-x)."""
    h, size = jnp.minimum(jnp.abs(h), _FAR), jnp.abs(a)
    steep = size > 1
    product = jnp.where(h == 0, 0, jnp.minimum(h * size, _FAR))
    flat_a = jnp.where(steep, 1 / jnp.where(steep, size, 1), size)
    near = _triangle(jnp.where(steep, product, h), flat_a)
    q, q_steep = normal.ndtr(-h), normal.ndtr(-product)
    return jnp.sign(a) * jnp.where(steep, 0.5 * (q + q_steep) - q * q_steep - near, near)


@_owens_t.__wrapped__.defjvp
def _owens_t_jvp(primals: Any, tangents: Any) -> Any:
    (h, a), (dh, da) = primals, tangents
    density = jnp.exp(-0.5 * h * h - HALF_LOG_TWO_PI)
    in_a = jnp.exp(-0.5 * h * h * (1 + a * a)) / (2 * math.pi * (1 + a * a))
    return _owens_t(h, a), da * in_a - dh * 0.5 * density * lax.erf(h * a * math.sqrt(0.5))


def owens_t(h: Any, a: Any) -> Array:
    """Owen's T: the chance that X > h and 0 < Y < a X, for independent standard normal X and Y."""
    return _owens_t(*floats("owens_t", h, a))
