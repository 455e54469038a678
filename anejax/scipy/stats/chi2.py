"""The chi-squared distribution of ``df`` degrees of freedom: the gamma distribution of shape df / 2 and scale 2."""

from __future__ import annotations

import math
from typing import Any

from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats import gamma
from anejax.scipy.stats.laws import density_of, log_of, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"
]  # fmt: skip


@standard()
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gamma.logpdf(x, df / 2, 0, 2)


def _edges(x: Any, df: Any) -> list[tuple[int, Any, Any]]:
    half = 0.5 * df
    return [(0, half - 1, -0.5 * x - half * math.log(2) - special.gammaln(half))]


pdf = density_of(logpdf, "x", _edges)


@standard()
def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gamma.cdf(x, df / 2, 0, 2)


logcdf = log_of(cdf)


@standard()
def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return gamma.sf(x, df / 2, 0, 2)


logsf = log_of(sf)
