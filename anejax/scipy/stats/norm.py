"""The normal distribution with mean ``loc`` and standard deviation ``scale``."""

from __future__ import annotations

import functools
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.series import HALF_LOG_TWO_PI
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, standard

__all__ = [
    "cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"
]  # fmt: skip


@standard()
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -0.5 * x * x - HALF_LOG_TWO_PI


pdf = exp_of(logpdf)


@standard()
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.ndtr(x)


@standard()
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.log_ndtr(x)


@standard()
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.ndtr(-x)


@standard()
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.log_ndtr(-x)


def _of_default_dtype(quantile: Any) -> Any:
    """Quantiles of the normal distribution alone have jax's default float dtype, whatever the arguments' is."""
    return functools.wraps(quantile)(lambda *args, **kwargs: jnp.asarray(quantile(*args, **kwargs), float))


@_of_default_dtype
@standard()
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.ndtri(q)


@_of_default_dtype
@standard()
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -special.ndtri(q)
