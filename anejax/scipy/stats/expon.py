"""The exponential distribution, from ``loc`` on, with mean ``loc + scale``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.exponentials import log1mexp
from anejax.scipy.stats.laws import complement, exp_of, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"
]  # fmt: skip


@standard(0)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -x


pdf = exp_of(logpdf)


@standard(0)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return complement(x)


@standard(0)
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return log1mexp(x)


@standard(0)
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -x


sf = exp_of(logsf)


@standard()
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -jnp.log1p(-q)
