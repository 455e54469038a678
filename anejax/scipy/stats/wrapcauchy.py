"""The Cauchy distribution wrapped around the circle, of angles ``x`` from 0 to 2 pi, for 0 < ``c`` < 1."""

from __future__ import annotations

import math
from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.scipy.stats.laws import exp_of, standard, valid

__all__ = [
    "logpdf", "pdf"
]  # fmt: skip


@standard(0, 2 * math.pi)
def logpdf(x: Any, c: Any) -> Array:
    c, half = valid(c, (c > 0) & (c < 1)), jnp.sin(x / 2)
    off = 1 - c
    return jnp.log(off * (1 + c) / (2 * math.pi)) - jnp.log(off * off + 4 * c * half * half)


pdf = exp_of(logpdf)
