"""The number of successes in ``n`` trials whose probability is beta distributed, with shapes ``a`` and ``b``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy.special import betaln
from anejax.scipy.stats.laws import exp_of, positive, standard, valid

__all__ = [
    "logpmf", "pmf"
]  # fmt: skip


@standard(0, "n")
def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Array:
    k, n, a, b = jnp.floor(k), valid(n, n >= 0), positive(a), positive(b)
    return betaln(k + a, n - k + b) - betaln(a, b) - betaln(n - k + 1, k + 1) - jnp.log1p(n)


pmf = exp_of(logpmf)
