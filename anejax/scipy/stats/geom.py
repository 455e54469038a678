"""The law of the number of trials up to the first success, each with probability ``p``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, probability, standard


@standard(1)
def logpmf(k: Any, p: Any, loc: Any = 0) -> Array:
    p = probability(p)
    return special.xlog1py(k - 1, -p) + jnp.log(p)


pmf = exp_of(logpmf)
