"""Von Mises's distribution of angles ``x`` around 0, of concentration ``kappa``."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, standard, valid

__all__ = [
    "logpdf", "pdf"
]  # fmt: skip


@standard()
def logpdf(x: Any, kappa: Any) -> Array:
    kappa, half = valid(kappa, kappa >= 0), jnp.sin(x / 2)
    return -2 * kappa * half * half - math.log(2 * math.pi) - jnp.log(special.i0e(kappa))


pdf = exp_of(logpdf)
