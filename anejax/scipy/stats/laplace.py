"""Laplace's distribution, which falls exponentially on both sides of ``loc``."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy.stats.laws import exp_of, standard

__all__ = [
    "cdf", "logpdf", "pdf"
]  # fmt: skip


@standard()
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -math.log(2) - jnp.abs(x)


pdf = exp_of(logpdf)


@standard()
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    left = x <= 0
    tail = 0.5 * jnp.exp(jnp.where(left, x, -x))
    return jnp.where(left, tail, 1 - tail)
