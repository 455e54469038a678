"""The number of failures before success ``n``, with probability ``p`` of success; n need not be an integer."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.beta import log_leading
from anejax.scipy import special
from anejax.scipy.stats.laws import density_of, positive, probability, standard

__all__ = [
    "logpmf", "pmf"
]  # fmt: skip


@standard(0)
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    n, p = positive(n), probability(p)
    bulk = (jnp.minimum(n, k) >= 10) & (p > 0) & (p < 1)
    failures = jnp.where(bulk, k, 10)
    large = log_leading(jnp.where(bulk, n, 10), failures, jnp.where(bulk, p, 0.5)) - jnp.log(failures)
    p, k = jnp.where(bulk, 0.5, p), jnp.where(bulk, 0, k)
    return jnp.where(bulk, large, _log_ways(k, n) + special.xlogy(n, p) + special.xlog1py(k, -p))


def _log_ways(k: Any, n: Any) -> Any:
    return -special.betaln(n, k + 1) - jnp.log(n + k)


def _edges(k: Any, n: Any, p: Any) -> list[tuple[int, Any, Any]]:
    ways = _log_ways(k, n)
    return [(0, n, ways + special.xlog1py(k, -p)), (1, k, ways + special.xlogy(n, p))]


pmf = density_of(logpmf, "p", _edges)
