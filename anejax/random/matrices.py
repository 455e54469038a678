"""Random matrices, and random vectors with a given covariance, by the factorizations of anejax.numpy.linalg."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.errors import ShapeError
from anejax.numpy.operands import promote_inexact
from anejax.random.distributions import normal
from anejax.random.keys import words_of
from anejax.random.samplers import float_dtype, sample_shape
from anejax.typing import ArrayLike


def multivariate_normal(
    key: ArrayLike, mean: Any, cov: Any, shape: Any = None, dtype: Any = None, method: str = "cholesky"
) -> Array:
    """Normal vectors of mean ``mean`` [..., n] and covariance ``cov`` [..., n, n].

    Args:
        key: a key.
        mean, cov: arrays whose leading axes broadcast to ``shape``.
        shape: the leading axes of the result; by default what those of ``mean`` and ``cov`` broadcast to.
        dtype: a float dtype; by default that of ``mean`` and ``cov``.
        method: "cholesky", "eigh" or "svd": how the root of ``cov`` is found; the last two take singular ones.

    Returns:
        Floats [*shape, n].
    """
    words = words_of("multivariate_normal", key)
    mean, cov = promote_inexact("multivariate_normal", jnp.asarray(mean), jnp.asarray(cov))
    dtype = float_dtype("multivariate_normal", mean.dtype if dtype is None else dtype)
    if method not in ("cholesky", "eigh", "svd"):
        raise ValueError(f"[multivariate_normal] expected method 'cholesky', 'eigh' or 'svd', got {method!r}.")
    if mean.ndim < 1 or cov.ndim < 2 or cov.shape[-2:] != (mean.shape[-1],) * 2:
        raise ShapeError(
            f"[multivariate_normal] expected mean [..., n] and cov [..., n, n], got {mean.aval} and {cov.aval}."
        )
    leading = jnp.zeros(mean.shape[:-1]), jnp.zeros(cov.shape[:-2])
    shape = sample_shape("multivariate_normal", shape, *leading)
    z = normal(words, (*shape, mean.shape[-1]), dtype)
    return mean + jnp.einsum("...ij,...j->...i", _root(cov, method), z)


def _root(cov: Any, method: str) -> Any:
    """A matrix whose product with its transpose is ``cov``."""
    if method == "cholesky":
        return jnp.linalg.cholesky(cov)
    if method == "eigh":
        values, vectors = jnp.linalg.eigh(cov)
    else:
        vectors, values, _ = jnp.linalg.svd(cov)
    return vectors * jnp.sqrt(values[..., None, :])


def orthogonal(key: ArrayLike, n: int, shape: Any = (), dtype: Any = None, m: int | None = None) -> Array:
    """Matrices [*shape, n, m] (m is n unless given) with orthonormal rows or columns, whichever are fewer, uniformly.

    Unitary ones for a complex ``dtype``.
    The method is that of Mezzadri, "How to generate random matrices from the classical compact groups" (2007).
    """
    words = words_of("orthogonal", key)
    if dtype is None or dtypes.canonical(dtype) not in dtypes.COMPLEX:
        dtype = float_dtype("orthogonal", dtype)
    else:
        dtype = dtypes.canonical(dtype)
    m = n if m is None else m
    z = normal(words, (*checked_shape(shape, "orthogonal"), max(n, m), min(n, m)), dtype)
    wide = z if dtype.itemsize >= 4 else z.astype(dtypes.float32)
    q, r = jnp.linalg.qr(wide)
    x = (q * jnp.expand_dims(jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1)), -2)).astype(dtype)
    return x.mT if n < m else x
