"""Modified Bessel functions of the first kind."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.custom import custom_jvp
from anejax.lax.special.series import face, nested

_FAR = 20.0  # from here on the least term of the asymptotic series is below eps of float64
_K = np.arange(1.0, 49)


def _scaled(order: int, x: Any) -> Any:
    """exp(-x) I_order(x), x >= 0: the power series (DLMF 10.25.2), far out the asymptotic one (10.40.1)."""
    far = x > _FAR
    near, big = jnp.where(far, 1, x), jnp.where(far, x, _FAR)
    power = jnp.exp(-near) * nested(near * near, 0.25 / (_K * (_K + order)))
    odd = 2 * _K[:36] - 1
    asymptotic = nested(1 / big, -(4.0 * order**2 - odd * odd) / (8 * _K[:36])) / jnp.sqrt(2 * math.pi * big)
    for k in range(1, order + 1):
        power = power * (0.5 / k * near)
    return jnp.where(far, asymptotic, power)


@functools.cache
def modified(order: int, scaled: bool) -> Callable[[Any], Any]:
    """I_order(x), times exp(-|x|) if ``scaled``. Derivatives by DLMF 10.29.1, which has no quotient by x.

    exp(-|x|) counts as flat at 0, where it has a kink: sign(0) is 0.
    """

    @custom_jvp
    def value(x: Any) -> Any:
        size = jnp.abs(x)
        found = _scaled(order, size) if scaled else jnp.exp(size) * _scaled(order, size)
        return jnp.copysign(found, x) if order % 2 else found

    @value.defjvp
    def jvp(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        here, above = value(x), modified(order + 1, scaled)(x)
        slope = 0.5 * (modified(order - 1, scaled)(x) + above) if order else above
        return here, dx * (slope - jnp.sign(x) * here if scaled else slope)

    return value


@face
def bessel_i0e(x: Any) -> Any:
    """exp(-|x|) I_0(x). Error at most 16 eps."""
    return modified(0, True)(x)


@face
def bessel_i1e(x: Any) -> Any:
    """exp(-|x|) I_1(x). Error at most 16 eps."""
    return modified(1, True)(x)
