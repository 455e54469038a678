"""Gumbel's left-skewed distribution (of minima), the mirror image of ``gumbel_r``, with mode ``loc``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy.stats import gumbel_r
from anejax.scipy.stats.laws import exp_of, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"
]  # fmt: skip


@standard()
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gumbel_r.logpdf(-x)


pdf = exp_of(logpdf)


@standard()
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gumbel_r.logsf(-x)


@standard()
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gumbel_r.sf(-x)


@standard()
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gumbel_r.logcdf(-x)


@standard()
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gumbel_r.cdf(-x)


@standard()
def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return jnp.log(-jnp.log1p(-p))
