"""Modified Bessel functions of the first kind, of order 0 and 1, times exp(-|x|)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.custom import custom_jvp
from anejax.lax.special.series import face, nested

_FAR = 20.0  # where the least term of the asymptotic series is below eps of float64
_K = np.arange(1.0, 49)


def _scaled(order: int, x: Any) -> Any:
    """exp(-x) I_order(x), x >= 0: the power series (DLMF 10.25.2), far out the asymptotic one (10.40.1)."""
    far = x > _FAR
    near, big = jnp.where(far, 1, x), jnp.where(far, x, _FAR)
    power = jnp.exp(-near) * nested(near * near, 0.25 / (_K * (_K + order)))
    odd = 2 * _K[:36] - 1
    asymptotic = nested(1 / big, -(4.0 * order**2 - odd * odd) / (8 * _K[:36])) / jnp.sqrt(2 * math.pi * big)
    return jnp.where(far, asymptotic, power if order == 0 else power * (0.5 * near))


@face
@custom_jvp
def bessel_i0e(x: Any) -> Any:
    """exp(-|x|) I_0(x). Error at most 16 eps."""
    return _scaled(0, jnp.abs(x))


@bessel_i0e.__wrapped__.defjvp
def _bessel_i0e_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    value = bessel_i0e(x)
    return value, dx * (bessel_i1e(x) - jnp.sign(x) * value)


@face
@custom_jvp
def bessel_i1e(x: Any) -> Any:
    """exp(-|x|) I_1(x). Error at most 16 eps."""
    return jnp.copysign(_scaled(1, jnp.abs(x)), x)


@bessel_i1e.__wrapped__.defjvp
def _bessel_i1e_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    value = bessel_i1e(x)
    zero = x == 0
    slope = bessel_i0e(x) - value * (jnp.sign(x) + 1 / jnp.where(zero, 1, x))
    return value, dx * jnp.where(zero, 0.5, slope)
