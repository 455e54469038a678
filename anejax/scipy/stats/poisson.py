"""Poisson's distribution with mean ``mu``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.control import scan
from anejax.core.array import Array
from anejax.lax.special.gamma import log_leading
from anejax.lax.special.series import horner, wide
from anejax.scipy import special
from anejax.scipy.special.operands import floats
from anejax.scipy.stats.laws import density_of, standard, valid

__all__ = [
    "cdf", "entropy", "logpmf", "pmf"
]  # fmt: skip


@standard(0)
def logpmf(k: Any, mu: Any, loc: Any = 0) -> Array:
    """log of the probability of ``k``: -inf where k is not whole."""
    return jnp.where(jnp.round(k) == k, _log_term(k, valid(mu, mu >= 0)), -np.inf)


pmf = density_of(logpmf, "mu", lambda k, mu: [(0, k, -mu - special.gammaln(k + 1))])


def _log_term(k: Any, mu: Any) -> Any:
    bulk = (k >= 10) & (mu > 0)
    large = log_leading(jnp.where(bulk, k, 10), jnp.where(bulk, mu, 10))
    k, rest = jnp.where(bulk, 0, k), jnp.where(bulk, 1, mu)
    return jnp.where(bulk, large, special.xlogy(k, rest) - rest - special.gammaln(k + 1))


@standard(0)
def cdf(k: Any, mu: Any, loc: Any = 0) -> Array:
    return special.gammaincc(jnp.floor(k) + 1, mu)


_FAR = 64.0  # mean from which the series is exact
_TERMS = 160  # beyond which no term counts for lesser means
_SERIES = [-1 / 12, -1 / 24, -19 / 360, -9 / 80, -863 / 2520, -1375 / 1008, -33953 / 5040, -57281 / 1440,
           -3250433 / 11880, -378351 / 176]  # fmt: skip


def entropy(mu: Any, loc: Any = 0) -> Array:
    """The entropy in nats, which does not depend on ``loc``. NaN where mu is negative.

    By its definition for small means; for large ones by the series in 1 / mu that Stirling's series (DLMF 5.11.1)
    for log k! and the central moments of k lead to.

    Example:
        >>> from anejax.scipy.stats import poisson
        >>> round(float(poisson.entropy(2.0)), 4)
        1.7049
    """
    return _entropy(floats("poisson.entropy", mu, loc)[0])


@wide
def _entropy(mu: Any) -> Any:
    mu = valid(mu, mu >= 0)
    far, none = mu >= _FAR, mu == 0
    near = jnp.where(far | none, 1, mu)

    def add(total: Any, k: Any) -> Any:
        log_term = _log_term(k, near)
        return total - jnp.exp(log_term) * log_term, None

    terms = scan(add, jnp.zeros_like(near), np.arange(_TERMS, dtype=mu.dtype))[0]
    large = jnp.where(far, mu, _FAR)
    series = 0.5 * jnp.log(2 * math.pi * math.e * large) + horner(1 / large, _SERIES) / large
    return jnp.where(far, series, jnp.where(none, 0, terms))
