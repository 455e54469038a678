"""The beta distribution of shapes ``a`` and ``b``, from ``loc`` to ``loc + scale``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.beta import log_leading
from anejax.scipy import special
from anejax.scipy.stats.laws import density_of, log_of, positive, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"
]  # fmt: skip


@standard(0, 1)
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    a, b = positive(a), positive(b)
    bulk = (jnp.minimum(a, b) >= 10) & (x > 0) & (x < 1)
    inner = jnp.where(bulk, x, 0.5)
    large = log_leading(jnp.where(bulk, a, 10), jnp.where(bulk, b, 10), inner) - jnp.log(inner) - jnp.log1p(-inner)
    x = jnp.where(bulk, 0.5, x)
    return jnp.where(bulk, large, special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b))


def _edges(x: Any, a: Any, b: Any) -> list[tuple[int, Any, Any]]:
    scale = special.betaln(a, b)
    return [(0, a - 1, special.xlog1py(b - 1, -x) - scale), (1, b - 1, special.xlogy(a - 1, x) - scale)]


pdf = density_of(logpdf, "x", _edges)


@standard(0, 1)
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.betainc(a, b, x)


logcdf = log_of(cdf)


@standard(0, 1)
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    below = x * (a + b) < a  # the mean, where 1 - x may lose the digits of x
    p, q, y = jnp.where(below, a, b), jnp.where(below, b, a), jnp.where(below, x, 1 - x)
    tail = special.betainc(p, q, y)
    return jnp.where(below, 1 - tail, tail)


logsf = log_of(sf)
