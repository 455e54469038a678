"""Pareto's distribution, from ``loc + scale`` on, whose tail falls as x^-b."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.exponentials import log1mexp
from anejax.scipy.stats.laws import complement, exp_of, positive, standard

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"
]  # fmt: skip


@standard(1)
def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return jnp.log(b) - (b + 1) * jnp.log(x)


pdf = exp_of(logpdf)


@standard(1)
def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return complement(positive(b) * jnp.log(x))


@standard(1)
def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return log1mexp(positive(b) * jnp.log(x))


@standard(1)
def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return -positive(b) * jnp.log(x)


sf = exp_of(logsf)


@standard()
def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return jnp.exp(-jnp.log1p(-q) / positive(b))
