"""The chi-squared distribution of ``df`` degrees of freedom: the gamma distribution of shape df / 2 and scale 2."""

from __future__ import annotations

from typing import Any

from anejax.core.array import Array
from anejax.scipy.stats import gamma
from anejax.scipy.stats.laws import exp_of, log_of, standard


@standard()
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gamma.logpdf(x, df / 2, 0, 2)


pdf = exp_of(logpdf)


@standard()
def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gamma.cdf(x, df / 2, 0, 2)


logcdf = log_of(cdf)


@standard()
def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gamma.sf(x, df / 2, 0, 2)


logsf = log_of(sf)
