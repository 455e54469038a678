"""The Cauchy distribution with median ``loc`` and half width at half height ``scale``."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy.stats.laws import exp_of, standard

__all__ = [
    "cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"
]  # fmt: skip


@standard()
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -math.log(math.pi) - jnp.log1p(x * x)


pdf = exp_of(logpdf)


def _tail(x: Any) -> Any:
    """The probability of more than x, of its digits on both sides."""
    return jnp.arctan2(1, x) / math.pi


def _log_tail(x: Any) -> Any:
    far = jnp.where(x < 0, -x, 1)
    return jnp.where(x < 0, jnp.log1p(-_tail(far)), jnp.log(_tail(jnp.where(x < 0, 1, x))))


@standard()
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _tail(-x)


@standard()
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _log_tail(-x)


@standard()
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _tail(x)


@standard()
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _log_tail(x)


def _quantile(q: Any) -> Any:
    """tan(pi (q - 1/2)), by the distance from the nearer of 0, 1/2 and 1."""
    middle, low = jnp.abs(q - 0.5) < 0.25, q < 0.5
    size = jnp.abs(1 / jnp.tan(math.pi * jnp.where(middle, 0.25, jnp.where(low, q, 1 - q))))  # infinite for -0, too
    near = jnp.tan(math.pi * jnp.where(middle, q - 0.5, 0))
    return jnp.where(middle, near, jnp.where(low, -size, size))


@standard()
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _quantile(q)


@standard()
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -_quantile(q)
