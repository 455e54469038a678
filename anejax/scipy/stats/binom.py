"""The binomial distribution: the number of successes in ``n`` trials, each with probability ``p``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.beta import log_leading
from anejax.scipy import special
from anejax.scipy.stats.laws import density_of, probability, standard, valid

__all__ = [
    "logpmf", "pmf"
]  # fmt: skip


@standard(0, "n")
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    rest, n, p = n - k, valid(n, n >= 0), probability(p)
    bulk = (jnp.minimum(k, rest) >= 10) & (p > 0) & (p < 1)
    yes, no = jnp.where(bulk, k, 10), jnp.where(bulk, rest, 10)
    large = log_leading(yes, no, jnp.where(bulk, p, 0.5)) - jnp.log(yes / (yes + no) * no)
    p, k, rest = jnp.where(bulk, 0.5, p), jnp.where(bulk, 0, k), jnp.where(bulk, n, rest)
    return jnp.where(bulk, large, _log_ways(k, n) + special.xlogy(k, p) + special.xlog1py(rest, -p))


def _log_ways(k: Any, n: Any) -> Any:
    return -special.betaln(n - k + 1, k + 1) - jnp.log1p(n)


def _edges(k: Any, n: Any, p: Any) -> list[tuple[int, Any, Any]]:
    ways = _log_ways(k, n)
    return [(0, k, ways + special.xlog1py(n - k, -p)), (1, n - k, ways + special.xlogy(k, p))]


pmf = density_of(logpmf, "p", _edges)
