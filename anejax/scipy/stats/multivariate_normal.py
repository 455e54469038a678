"""The normal distribution of vectors, with ``mean`` [..., n] and covariance ``cov`` [..., n, n]."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.lax.special.series import HALF_LOG_TWO_PI
from anejax.scipy.special.operands import reals

__all__ = [
    "logpdf", "pdf"
]  # fmt: skip


def logpdf(x: Any, mean: Any, cov: Any, allow_singular: None = None) -> Array:
    """log of the density at ``x`` [..., n]; NaN where ``cov``, whose lower triangle is read, is not positive definite.

    A ``cov`` of rank 0 is that times the identity. A ``mean`` of rank 0 is that of each element of x by itself, and
    ``cov`` its variance.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.scipy.stats import multivariate_normal
        >>> multivariate_normal.logpdf(jnp.zeros(2), jnp.zeros(2), jnp.eye(2))
        Array(-1.837877, dtype=float32)
    """
    if allow_singular is not None:
        raise RefusedError("[multivariate_normal.logpdf] allow_singular is not supported: cov must be regular.")
    x, mean, cov = reals("multivariate_normal.logpdf", x, mean, cov)
    off = x - mean
    if not mean.ndim:
        return -0.5 * off * off / cov - HALF_LOG_TWO_PI - 0.5 * jnp.log(cov)
    n = mean.shape[-1]
    if not cov.ndim:
        return -0.5 * jnp.sum(off * off, -1) / cov - n * (HALF_LOG_TWO_PI + 0.5 * jnp.log(cov))
    if cov.shape[-2:] != (n, n):
        raise ShapeError(
            f"[multivariate_normal.logpdf] expected cov of shape [..., {n}, {n}] for mean {aval_of(mean)}, got"
            f" {aval_of(cov)}."
        )
    factor = lax.linalg.cholesky(cov)
    white = _whitened(factor, off)
    log_size = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), -1)
    return -0.5 * jnp.sum(white * white, -1) - n * HALF_LOG_TWO_PI - log_size


def _whitened(factor: Any, off: Any) -> Any:
    """factor^-1 off for each vector; those of one matrix are solved for at once."""
    n, batch = off.shape[-1], jnp.broadcast_shapes(off.shape[:-1], factor.shape[:-2])
    if factor.ndim == 2:
        rows = off.reshape(-1, n)
    else:
        factor, rows = jnp.broadcast_to(factor, (*batch, n, n)), jnp.broadcast_to(off, (*batch, n))[..., None, :]
    solved = lax.linalg.triangular_solve(factor, rows, lower=True, transpose_a=True)
    return solved.reshape(*batch, n)


def pdf(x: Any, mean: Any, cov: Any) -> Array:
    """The density at ``x``."""
    return jnp.exp(logpdf(x, mean, cov))
