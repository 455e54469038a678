"""The uniform distribution from ``loc`` to ``loc + scale``."""

from __future__ import annotations

from typing import Any

from anejax.core.array import Array
from anejax.numpy.operands import strong
from anejax.scipy.stats.laws import exp_of, standard

__all__ = [
    "cdf", "logpdf", "pdf", "ppf"
]  # fmt: skip


@standard(0, 1)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return 0 * x


pdf = exp_of(logpdf)


@standard(0, 1)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return strong(x)


@standard()
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return q
