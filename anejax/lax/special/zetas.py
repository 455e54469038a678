"""Hurwitz's zeta function, and the derivatives of digamma."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.lax.special.series import bernoulli_numbers, face
from anejax.ops.elementwise import digamma, lgamma

_TERMS = 12
_BERNOULLI = [float(b) for b in bernoulli_numbers(17)[2::2]]


@face
def zeta(x: Any, q: Any) -> Any:
    """Hurwitz's zeta, the sum of (k + q)^-x over k >= 0, for x > 1 and q > 0, and for whole x for other q too.

    Error at most 64 eps, for q < 0 of the largest term. Infinite where x is 1 or q is 0, -1, ...; NaN for x < 1, and
    for q < 0 where x is not whole.
    """
    endless, part = q == np.inf, q - jnp.floor(q)
    below = (q < 0) & (part > 0) & (x == jnp.floor(x))
    total = _zeta(x, jnp.where(endless, 1, jnp.where(below, part, q)))
    # all terms on both sides of 0, less those below q, which are another zeta function
    other, left = _zeta(x, jnp.where(below, jnp.ceil(q) - q, 1)), _zeta(x, jnp.where(below, 1 - q, 1))
    total = jnp.where(below, jnp.where(x % 2 == 0, total + other - left, total - other + left), total)
    pole = jnp.where(q == jnp.floor(q), np.inf, np.nan)
    return jnp.where(
        x == 1, np.inf, jnp.where(x < 1, np.nan, jnp.where((q <= 0) & ~below, pole, jnp.where(endless, 0, total)))
    )


def _zeta(x: Any, q: Any) -> Any:
    """Euler and Maclaurin's sum for x > 1 and finite q > 0 (DLMF 25.11.28)."""
    total = sum(((q + k) ** -x for k in range(_TERMS)), jnp.zeros_like(x))
    end = q + _TERMS
    power = end**-x
    total = total + end * power / (x - 1) + power / 2
    factor = x * power / end
    for j, number in enumerate(_BERNOULLI, 1):
        total = total + factor * (number / math.factorial(2 * j))
        factor = factor * (x + (2 * j - 1)) * (x + 2 * j) / (end * end)
    return total


@face
def polygamma(m: Any, x: Any) -> Any:
    """The ``m``-th derivative of digamma, m = 0, 1, 2, ..., by ``zeta``, with its error.

    There is none of other m, for which it is NaN.
    """
    sign = jnp.where(m % 2 == 0, -1.0, 1.0).astype(x.dtype)
    order = jnp.maximum(m, 1)
    higher = sign * jnp.exp(lgamma(order + 1)) * zeta(order + 1, x)
    whole = (m >= 0) & (m == jnp.floor(m))
    return jnp.where(m == 0, digamma(x), jnp.where(whole, higher, jnp.nan))
