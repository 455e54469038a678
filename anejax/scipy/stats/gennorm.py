"""The generalized normal distribution of shape ``beta``, whose density falls as exp(-|x|^beta)."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, positive, standard

__all__ = [
    "cdf", "logpdf", "pdf"
]  # fmt: skip


@standard()
def logpdf(x: Any, beta: Any) -> Array:
    beta = positive(beta)
    return -math.log(2) - special.gammaln(1 + 1 / beta) - jnp.abs(x) ** beta


pdf = exp_of(logpdf)


@standard()
def cdf(x: Any, beta: Any) -> Array:
    tail = 0.5 * special.gammaincc(1 / beta, jnp.abs(x) ** beta)
    return jnp.where(x > 0, 1 - tail, tail)
