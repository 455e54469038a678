"""The regularized incomplete gamma functions P(a, x) and Q(a, x) = 1 - P(a, x), and their derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.autodiff import jvp
from anejax.api.control import scan
from anejax.api.custom import custom_jvp
from anejax.lax.special.series import (
    EULER,
    continued_fraction,
    face,
    horner,
    log1p_less,
    stirling_rest,
    sum_of_ratios,
)  # fmt: skip
from anejax.ops.elementwise import lgamma

_LARGE = 200.0  # a from which series and fraction take long near x = a, where a quadrature is used
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def _zeta_less_1(k: int) -> float:
    """Riemann's zeta(k) - 1, k >= 2: a sum and the first terms of Euler and Maclaurin's rest (DLMF 25.2.9)."""
    n = 400
    rest = n ** (1 - k) / (k - 1) + n**-k / 2 + k * n ** (-k - 1) / 12 - k * (k + 1) * (k + 2) * n ** (-k - 3) / 720
    return math.fsum(j**-k for j in range(2, n)) + rest


_LGAMMA1P = [1 - EULER] + [(-1) ** k * _zeta_less_1(k) / k for k in range(2, 56)]


def lgamma1p(a: Any) -> Any:
    """log gamma(1 + a) for -1/2 <= a <= 1, exact near 0: its Taylor series (DLMF 5.7.3)."""
    return a * horner(a, _LGAMMA1P) - jnp.log1p(a)


def _leading(a: Any, x: Any) -> Any:
    """x^a exp(-x) / gamma(a + 1), for large a by the distance of x from a, which keeps its digits."""
    large = a >= 10
    small = jnp.where(large, 1, a)
    log_near = small * jnp.log(x) - x - lgamma(small + 1)
    return jnp.exp(jnp.where(large, log_leading(jnp.where(large, a, 10), jnp.where(large, x, 10)), log_near))


def log_leading(a: Any, x: Any) -> Any:
    """log(x^a exp(-x) / gamma(a + 1)) for a >= 10, by the distance of x from a, which keeps its digits."""
    return a * log1p_less((x - a) / a, x / a) - stirling_rest(a) - 0.5 * jnp.log(2 * math.pi * a)


def _lower_series(a: Any, x: Any) -> Any:
    """P(a, x) / _leading (DLMF 8.11.4), for x not far above a."""
    return sum_of_ratios(lambda k: x / (a + k), x)


def _upper_fraction(a: Any, x: Any, least: int) -> Any:
    """Q(a, x) / _leading (DLMF 8.9.2), for x above a."""
    return a / continued_fraction(x + 1 - a, lambda k: (k * (a - k), x + 2 * k + 1 - a), least)


def _upper_small(a: Any, x: Any) -> Any:
    """Q(a, x) for a, x <= 1, where it may be far below 1 (DLMF 8.7.3)."""
    log_power = a * jnp.log(x) - lgamma1p(a)

    def term(k: int) -> float:
        return (-1.0) ** k / math.factorial(k)

    rest = jnp.zeros_like(x)
    for k in range(22, 0, -1):
        rest = (rest + term(k) / (a + k)) * x
    return -jnp.expm1(log_power) - jnp.exp(log_power) * a * rest


def _tail(a: Any, x: Any, upper: Any) -> Any:
    """The tail beyond x / _leading, for large a near x: Gauss's quadrature over the rest of the density."""
    side = jnp.where(upper, 1.0, -1.0).astype(x.dtype)
    slope = ((a - x) - 1) / x
    decay, bend = jnp.abs(slope), (a - 1) / (x * x)
    level = jnp.where(upper, 64.0, 42.0).astype(x.dtype)
    length = 2 * level / (decay + jnp.sqrt(decay * decay + 2 * level * bend))

    def add(total: Any, node: Any) -> Any:
        s = side * length * (0.5 + 0.5 * node[0])
        return total + node[1] * jnp.exp((a - 1) * log1p_less(s / x, 1 + s / x) + s * slope), None

    nodes = (_NODES.astype(x.dtype), _WEIGHTS.astype(x.dtype))
    return scan(add, jnp.zeros_like(x), nodes)[0] * (0.5 * length * a / x)


def _both(a: Any, x: Any, least: int = 0) -> tuple[Any, Any]:
    """P and Q for finite a, x > 0; each method gets arguments of its domain, and ``least`` is the fraction's."""
    bulk = (a > _LARGE) & (jnp.abs(x - a) < 0.3 * a)
    above = x > jnp.maximum(a, 1)
    little = ~above & (a < 1)
    series, fraction = ~above & ~bulk, above & ~bulk

    def within(where: Any, a_else: float, x_else: float) -> tuple[Any, Any]:
        return jnp.where(where, a, a_else), jnp.where(where, x, x_else)

    lead = _leading(a, x)
    tail = lead * _tail(*within(bulk, 400.0, 400.0), above)
    lower = jnp.where(bulk, tail, lead * _lower_series(*within(series, 1.0, 0.5)))
    upper = jnp.where(bulk, tail, lead * _upper_fraction(*within(fraction, 1.0, 8.0), least))
    rest = jnp.where(little, _upper_small(*within(little, 0.5, 0.5)), 1 - lower)
    return jnp.where(above, 1 - upper, lower), jnp.where(above, upper, rest)


def _with_edges(a: Any, x: Any) -> tuple[Any, Any]:
    inner = (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)
    lower, upper = _both(jnp.where(inner, a, 1), jnp.where(inner, x, 1))
    whole = (a == 0) | (x == np.inf)
    bad = ~((a >= 0) & (x >= 0)) | ((a == 0) & (x == 0)) | ((a == np.inf) & (x == np.inf))
    edge = jnp.where(bad, np.nan, jnp.where(whole, 1.0, 0.0)).astype(x.dtype)
    return jnp.where(inner, lower, edge), jnp.where(inner, upper, 1 - edge)


def _slope(a: Any, x: Any) -> Any:
    """dP / dx. At 0 it is a power, whose own derivatives are not those of a logarithm."""
    edge = x == 0
    inner = jnp.where(edge, 1, x)
    power = jnp.power(jnp.where(edge, x, 1), a - 1) * jnp.exp(-jnp.where(edge, x, 0) - lgamma(a))
    return jnp.where(edge, power, jnp.exp((a - 1) * jnp.log(inner) - inner - lgamma(a)))


@face
@custom_jvp
def igamma(a: Any, x: Any) -> Any:
    """P(a, x), the integral of t^(a-1) exp(-t) from 0 to x over gamma(a). NaN where a or x is negative.

    Error at most 32 eps, and 4 eps more for every unit of -log P or -log Q.
    """
    return _with_edges(a, x)[0]


@igamma.__wrapped__.defjvp
def _igamma_jvp(primals: Any, tangents: Any) -> Any:
    (a, x), (da, dx) = primals, tangents
    return igamma(a, x), da * igamma_grad_a(a, x) + dx * _slope(a, x)


@face
@custom_jvp
def igammac(a: Any, x: Any) -> Any:
    """Q(a, x) = 1 - P(a, x), computed without cancellation if it is small. Its error is that of ``igamma``."""
    return _with_edges(a, x)[1]


@igammac.__wrapped__.defjvp
def _igammac_jvp(primals: Any, tangents: Any) -> Any:
    (a, x), (da, dx) = primals, tangents
    return igammac(a, x), -(da * igamma_grad_a(a, x) + dx * _slope(a, x))


@face
def igamma_grad_a(a: Any, x: Any) -> Any:
    """The derivative of ``igamma`` in a: that of the very series, fraction or quadrature that gives the value.

    Its own derivatives are those of loops that run until they settle: in forward mode only, as by ``jacfwd(grad(f))``.
    """
    inner = (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)
    safe_a, safe_x = jnp.where(inner, a, 1), jnp.where(inner, x, 1)
    slope = jvp(lambda a: _both(a, safe_x, int(_LARGE))[0], (safe_a,), (jnp.ones_like(safe_a),))[1]
    edge = jnp.where((a > 0) & ((x == 0) | (x == np.inf)), 0.0, np.nan).astype(x.dtype)
    return jnp.where(inner, slope, edge)


@face
def random_gamma_grad(a: Any, x: Any) -> Any:
    """The derivative of a sample x of the gamma distribution by the shape a: -(dP / da) / (dP / dx)."""
    return -igamma_grad_a(a, x) / _slope(a, x)
