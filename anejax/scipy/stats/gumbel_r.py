"""Gumbel's right-skewed distribution (of maxima), with mode ``loc``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.exponentials import log1mexp
from anejax.scipy.stats.laws import complement, exp_of, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"
]  # fmt: skip

_FAR = 40  # from where exp(-x) no longer counts beside x


@standard()
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -x - jnp.exp(-x)


pdf = exp_of(logpdf)


@standard()
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -jnp.exp(-x)


cdf = exp_of(logcdf)


@standard()
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return complement(jnp.exp(-x))


@standard()
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    far = x > _FAR
    return jnp.where(far, -x, log1mexp(jnp.exp(-jnp.where(far, _FAR, x))))


@standard()
def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -jnp.log(-jnp.log(p))
