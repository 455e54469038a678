"""The gamma distribution of shape ``a``, with mean ``loc + a scale``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.gamma import log_leading
from anejax.scipy import special
from anejax.scipy.stats.laws import density_of, log_of, positive, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"
]  # fmt: skip


@standard(0)
def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    a = positive(a)
    bulk = (a >= 10) & (x > 0)
    shape, inner = jnp.where(bulk, a, 10), jnp.where(bulk, x, 10)
    large = log_leading(shape, inner) + jnp.log(shape / inner)
    x = jnp.where(bulk, 1, x)
    return jnp.where(bulk, large, special.xlogy(a - 1, x) - x - special.gammaln(a))


pdf = density_of(logpdf, "x", lambda x, a: [(0, a - 1, -x - special.gammaln(a))])


@standard(0)
def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.gammainc(a, x)


logcdf = log_of(cdf)


@standard(0)
def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.gammaincc(a, x)


logsf = log_of(sf)
