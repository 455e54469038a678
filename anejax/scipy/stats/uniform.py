"""The uniform distribution from ``loc`` to ``loc + scale``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy.stats.laws import exp_of, standard


@standard(0, 1)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return jnp.zeros_like(x)


pdf = exp_of(logpdf)


@standard(0, 1)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return x


@standard()
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return q
