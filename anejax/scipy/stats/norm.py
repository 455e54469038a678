"""The normal distribution with mean ``loc`` and standard deviation ``scale``, as jax.scipy.stats.norm."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.numpy.operands import promote_inexact
from anejax.scipy import special


def _standard(op: str, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
    """(x in units of the standard deviation, scale)."""
    x, loc, scale = (jnp.asarray(v) for v in promote_inexact(op, x, loc, scale))
    return (x - loc) / scale, scale


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """log of the density."""
    z, scale = _standard("logpdf", x, loc, scale)
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi) - jnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The density."""
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The probability of at most ``x``."""
    return special.ndtr(_standard("cdf", x, loc, scale)[0])


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """log(cdf), without underflow."""
    return special.log_ndtr(_standard("logcdf", x, loc, scale)[0])


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """1 - cdf, exact where cdf is near 1."""
    return special.ndtr(-_standard("sf", x, loc, scale)[0])


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """log(sf), without underflow."""
    return special.log_ndtr(-_standard("logsf", x, loc, scale)[0])


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The inverse of ``cdf``."""
    return special.ndtri(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    """The inverse of ``sf``."""
    return loc - special.ndtri(q) * scale
