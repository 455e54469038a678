"""The law of the failures before the ``n``-th success, which has probability ``p``; n need not be whole."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.beta import log_leading
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, positive, probability, standard


@standard(0)
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Array:
    n, p = positive(n), probability(p)
    bulk = (jnp.minimum(n, k) >= 10) & (p > 0) & (p < 1)
    failures = jnp.where(bulk, k, 10)
    large = log_leading(jnp.where(bulk, n, 10), failures, jnp.where(bulk, p, 0.5)) - jnp.log(failures)
    p, k = jnp.where(bulk, 0.5, p), jnp.where(bulk, 0, k)
    ways = -special.betaln(n, k + 1) - jnp.log(n + k)
    return jnp.where(bulk, large, ways + special.xlogy(n, p) + special.xlog1py(k, -p))


pmf = exp_of(logpmf)
