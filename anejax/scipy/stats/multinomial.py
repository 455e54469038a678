"""The multinomial distribution: the counts ``x`` of outcomes in ``n`` trials, with probabilities ``p``."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.numpy.operands import promote
from anejax.scipy import special
from anejax.scipy.special.operands import reals

__all__ = [
    "logpmf", "pmf"
]  # fmt: skip


def logpmf(x: Any, n: Any, p: Any) -> Array:
    """log of the probability of the integers ``x`` [..., k], for ``p`` [..., k]; -inf where their sum is not ``n``."""
    (p,) = reals("multinomial.logpmf", p)
    x, n = (jnp.asarray(v) for v in promote("multinomial.logpmf", x, n))
    if x.dtype not in dtypes.INTS:
        raise DtypeError(f"[multinomial.logpmf] expected integers x and n, got {aval_of(x)}. Use x.astype(int).")
    whole = jnp.sum(x, -1) == n
    x, n = x.astype(p.dtype), n.astype(p.dtype)
    terms = special.xlogy(x, p) - special.gammaln(x + 1)
    return jnp.where(whole, special.gammaln(n + 1) + jnp.sum(terms, -1), -np.inf)


def pmf(x: Any, n: Any, p: Any) -> Array:
    """The probability of ``x``; its derivative in a probability of 0 is that of a power, not 0 times infinity."""
    (p,) = reals("multinomial.pmf", p)
    gone = (p == 0) & (jnp.asarray(x) != 0)
    powers = jnp.where(gone, jnp.where(gone, p, 1) ** jnp.asarray(x).astype(p.dtype), 1)
    return jnp.exp(logpmf(x, n, jnp.where(gone, 1, p))) * jnp.prod(powers, -1)
