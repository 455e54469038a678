"""The Bernoulli distribution: 1 with probability ``p``, otherwise 0."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import density_of, probability, standard

__all__ = [
    "cdf", "logpmf", "pmf", "ppf"
]  # fmt: skip


@standard(0, 1)
def logpmf(k: Any, p: Any, loc: Any = 0) -> Array:
    return special.xlogy(k, p) + special.xlog1py(1 - k, -p)


pmf = density_of(logpmf, "p", lambda k, p: [(0, k, special.xlog1py(1 - k, -p)), (1, 1 - k, special.xlogy(k, p))])


@standard(0, 1)
def cdf(k: Any, p: Any) -> Array:
    return 1 - probability(p) * (1 - jnp.floor(k))


@standard()
def ppf(q: Any, p: Any) -> Array:
    """The inverse of ``cdf``: 0 for q <= 1 - p, else 1; NaN where q or p is not in [0, 1]."""
    return jnp.where(jnp.isnan(q + probability(p)), q + probability(p), jnp.where(q <= 1 - p, 0, 1))
