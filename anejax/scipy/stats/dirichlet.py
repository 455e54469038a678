"""Dirichlet's distribution on the simplex, of concentrations ``alpha``."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.scipy import special
from anejax.scipy.special.operands import reals
from anejax.scipy.stats.laws import exp_of

__all__ = [
    "logpdf", "pdf"
]  # fmt: skip

_TOLERANCE = 1e-6  # the largest distance of a point's sum from 1; at least 8 eps


def logpdf(x: Any, alpha: Any) -> Array:
    """log of the density at the points ``x`` [n, ...] for ``alpha`` [n]; -inf where a point is not in the simplex.

    If there are n - 1 coordinates, the last one is 1 minus their sum.
    """
    x, alpha = reals("dirichlet.logpdf", x, alpha)
    if alpha.ndim != 1 or not x.ndim or alpha.shape[0] - x.shape[0] not in (0, 1):
        raise ShapeError(
            "[dirichlet.logpdf] expected alpha [n] and x of n or n - 1 coordinates along axis 0, got"
            f" {aval_of(x)} and {aval_of(alpha)}."
        )
    if x.shape[0] != alpha.shape[0]:
        x = jnp.concatenate([x, 1 - x.sum(0, keepdims=True)])
    tolerance = max(_TOLERANCE, 8 * float(dtypes.finfo(x.dtype).eps))
    inside = jnp.all(x > 0, axis=0) & (jnp.abs(x.sum(0) - 1) < tolerance)
    x = jnp.where(inside, x, 1)
    powers = alpha.reshape(-1, *(1,) * (x.ndim - 1)) - 1
    scale = jnp.sum(special.gammaln(alpha)) - special.gammaln(jnp.sum(alpha))
    return jnp.where(inside, jnp.sum(special.xlogy(powers, x), axis=0) - scale, -np.inf)


pdf = exp_of(logpdf)
