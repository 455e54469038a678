"""The regularized incomplete beta function, and log B(a, b) without loss of digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.autodiff import jvp
from anejax.api.custom import custom_jvp
from anejax.lax.special.series import (
    HALF_LOG_TWO_PI,
    continued_fraction,
    face,
    log1p_less,
    stirling_rest,
    sum_of_ratios,
)
from anejax.ops.elementwise import lgamma

_TURNS = 200  # turns of the fraction for a slope: the value's fraction ends if b is whole, the slope's does not
_SERIES_END = 0.95  # x from which the power series takes long


def log_beta(a: Any, b: Any) -> Any:
    """log B(a, b) for a, b > 0, by Stirling's series (DLMF 5.11.1, 5.12.1) as soon as one of them is large."""
    small, large = jnp.minimum(a, b), jnp.maximum(a, b)
    far = large >= 10
    big = jnp.where(far, large, 10)
    total = small + big
    log_ratio = jnp.log1p(small / big)
    rest = stirling_rest(big) - stirling_rest(total)
    both = small >= 10
    pair = jnp.where(both, small, 10)
    log_pair = HALF_LOG_TWO_PI + stirling_rest(pair) + rest - 0.5 * jnp.log(pair) - (big - 0.5) * jnp.log1p(pair / big)
    log_pair = log_pair + pair * jnp.log(pair / (pair + big))
    log_one = lgamma(small) + rest - (total - 0.5) * log_ratio - small * jnp.log(big) + small
    near = jnp.where(far, 1, large)
    direct = lgamma(jnp.where(far, 1, small)) + (lgamma(near) - lgamma(jnp.where(far, 1, small) + near))
    return jnp.where(far, jnp.where(both, log_pair, log_one), direct)


def _leading(a: Any, b: Any, x: Any) -> Any:
    """x^a (1 - x)^b / B(a, b); where a and b are large by the distance of x from a / (a + b)."""
    large = jnp.minimum(a, b) >= 10
    log_near = a * jnp.log(x) + b * jnp.log1p(-x) - log_beta(a, b)
    return jnp.exp(jnp.where(large, log_leading(*_where(large, a, b, x, 10)), log_near))


def log_leading(a: Any, b: Any, x: Any) -> Any:
    """log(x^a (1 - x)^b / B(a, b)) for a, b >= 10, by the distance of x from a / (a + b), which keeps its digits."""
    n = a + b
    off = x * b - (1 - x) * a  # n times the distance
    value = a * log1p_less(off / a, x * n / a) + b * log1p_less(-off / b, (1 - x) * n / b)
    return value + 0.5 * jnp.log(a / n * b / (2 * math.pi)) + (stirling_rest(n) - stirling_rest(a) - stirling_rest(b))


def _fraction(a: Any, b: Any, x: Any, y: Any, least: int) -> Any:
    """I_x(a, b) / _leading for x below the mean, y being 1 - x.

    The even part of DLMF 8.17.22, in the form of DiDonato and Morris (1992, equation 9), whose partial denominators do
    not cancel where x is near 1.
    """

    def denominator(m: Any) -> Any:
        middle = m * (b - m) * x / jnp.where(m == 0, 1, a + 2 * m - 1)
        return m + middle + (a + m) / (a + 2 * m + 1) * ((a * y - b * x) + 1 + m * (1 + y))

    def pair(m: Any) -> tuple[Any, Any]:
        over = x / (a + 2 * m - 1)
        return (a + m - 1) * (a + b + m - 1) * m * (b - m) * (over * over), denominator(m)

    return 1 / continued_fraction(denominator(0), pair, least)


def _series(a: Any, b: Any, x: Any) -> Any:
    """I_x(a, b) for b <= 1, where every term is positive (DLMF 8.17.7, 15.2.1), so that small values keep digits."""
    total = sum_of_ratios(lambda k: (1 - b / k) * ((a + k - 1) / (a + k)) * x, x)
    return jnp.exp(a * jnp.log(x) - log_beta(a, b)) * total / a


def _inner(a: Any, b: Any, x: Any, least: int = 0) -> Any:
    """The value for finite a, b > 0 and 0 < x < 1: by 1 - I_(1-x)(b, a) (DLMF 8.17.4) above the mean."""
    above = a * (1 - x) < b * x
    p, q = jnp.where(above, b, a), jnp.where(above, a, b)
    near, rest = jnp.where(above, 1 - x, x), jnp.where(above, x, 1 - x)
    value = _leading(a, b, x) * _fraction(p, q, near, rest, least)
    direct = above & (b < 1) & (x <= _SERIES_END)
    return jnp.where(direct, _series(*_where(direct, a, b, x)), jnp.where(above, 1 - value, value))


def _where(inside: Any, a: Any, b: Any, x: Any, other: float = 1) -> tuple[Any, Any, Any]:
    return jnp.where(inside, a, other), jnp.where(inside, b, other), jnp.where(inside, x, 0.5)


def _safe(a: Any, b: Any, x: Any) -> tuple[Any, Any, Any, Any]:
    inner = (a > 0) & (b > 0) & (x > 0) & (x < 1) & (a < np.inf) & (b < np.inf)
    return inner, *_where(inner, a, b, x)


@face
@custom_jvp
def betainc(a: Any, b: Any, x: Any) -> Any:
    """I_x(a, b), the integral of t^(a-1) (1-t)^(b-1) from 0 to x over B(a, b). NaN outside a, b >= 0, 0 <= x <= 1.

    Error at most 64 eps, and 4 eps more for every unit of -log I. Differentiable in a, b and x.
    """
    inner, *safe = _safe(a, b, x)
    all_at_0 = (a == 0) | (b == np.inf)
    all_at_1 = (b == 0) | (a == np.inf)
    bad = ~((a >= 0) & (b >= 0) & (x >= 0) & (x <= 1)) | (all_at_0 & all_at_1)
    edge = jnp.where((x == 0) | (all_at_1 & (x < 1)), 0.0, 1.0)
    return jnp.where(inner, _inner(*safe), jnp.where(bad, np.nan, edge).astype(x.dtype))


@betainc.__wrapped__.defjvp
def _betainc_jvp(primals: Any, tangents: Any) -> Any:
    (a, b, x), (da, db, dx) = primals, tangents
    inner, *safe = _safe(a, b, x)
    one, none = jnp.ones_like(x), jnp.zeros_like(x)
    in_a, in_b = (
        jvp(lambda a, b: _inner(a, b, safe[2], _TURNS), safe[:2], list(t))[1] for t in ((one, none), (none, one))
    )
    return betainc(a, b, x), dx * _slope(a, b, x) + da * jnp.where(inner, in_a, 0) + db * jnp.where(inner, in_b, 0)


def _slope(a: Any, b: Any, x: Any) -> Any:
    """The derivative in x. At 0 and 1 it is a product of powers, whose own derivatives are not those of logarithms."""
    edge = (x == 0) | (x == 1)
    inner, at = jnp.where(edge, 0.5, x), jnp.where(edge, x, 0.5)
    log = log_beta(a, b)
    powers = jnp.power(at, a - 1) * jnp.power(1 - at, b - 1) * jnp.exp(-jnp.maximum(log, -80))
    return jnp.where(edge, powers, jnp.exp((a - 1) * jnp.log(inner) + (b - 1) * jnp.log1p(-inner) - log))
