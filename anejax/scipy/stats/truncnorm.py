"""The normal distribution, cut off at ``loc + a * scale`` and ``loc + b * scale``."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.lax.special.exponentials import log1mexp
from anejax.scipy import special
from anejax.scipy.stats import norm
from anejax.scipy.stats.laws import exp_of, standard, valid

__all__ = [
    "cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"
]  # fmt: skip


def _log_mass(a: Any, b: Any) -> Any:
    """log(ndtr(b) - ndtr(a)) for a < b: in either tail by the logarithms, across the middle by both tails."""
    right = a > 0
    a, b = jnp.where(right, -b, a), jnp.where(right, -a, b)
    tail = b <= 0
    far = special.log_ndtr(jnp.where(tail, a, -2))
    near = special.log_ndtr(jnp.where(tail, b, -1))
    a, b = jnp.where(tail, -1, a), jnp.where(tail, 1, b)
    return jnp.where(tail, near + log1mexp(near - far), jnp.log1p(-special.ndtr(a) - special.ndtr(-b)))


def _log_share(a: Any, x: Any, b: Any) -> Any:
    """log of the part of the mass from a to b that is below x; where that is most of it, by the rest."""
    whole = _log_mass(a, valid(b, a < b))
    below, above = _log_mass(a, x) - whole, _log_mass(x, b) - whole
    most = below > -0.1
    return jnp.where(most, jnp.log1p(-jnp.exp(jnp.where(most, above, -1))), below)


@standard("a", "b")
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return norm.logpdf(x) - _log_mass(a, valid(b, a < b))


pdf = exp_of(logpdf)


@standard("a", "b")
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _log_share(a, x, b)


cdf = exp_of(logcdf)


@standard("a", "b")
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Array:
    return _log_share(-b, -x, -a)


sf = exp_of(logsf)
