"""The geometric distribution: the number of trials up to the first success, each with probability ``p``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import density_of, probability, standard

__all__ = [
    "logpmf", "pmf"
]  # fmt: skip


@standard(1)
def logpmf(k: Any, p: Any, loc: Any = 0) -> Array:
    p = probability(p)
    return special.xlog1py(k - 1, -p) + jnp.log(p)


pmf = density_of(logpmf, "p", lambda k, p: [(0, 1, special.xlog1py(k - 1, -p)), (1, k - 1, jnp.log(p))])
