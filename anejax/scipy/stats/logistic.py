"""The logistic distribution with mean ``loc``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, standard

__all__ = [
    "cdf", "isf", "logpdf", "pdf", "ppf", "sf"
]  # fmt: skip


@standard()
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -2 * jnp.logaddexp(x / 2, -x / 2)


pdf = exp_of(logpdf)


@standard()
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.expit(x)


@standard()
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.expit(-x)


@standard()
def ppf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return special.logit(x)


@standard()
def isf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -special.logit(x)
