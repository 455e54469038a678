"""Student's distribution of ``df`` degrees of freedom."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy import special
from anejax.scipy.stats.laws import exp_of, positive, standard

__all__ = [
    "logpdf", "pdf"
]  # fmt: skip


@standard()
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Array:
    df = positive(df)
    return -special.betaln(df / 2, 0.5) - 0.5 * jnp.log(df) - 0.5 * (df + 1) * jnp.log1p(x * x / df)


pdf = exp_of(logpdf)
