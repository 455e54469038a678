"""Kernel density estimates with Gaussian kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import anejax.numpy as jnp
from anejax import random, tree
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import is_scalar
from anejax.scipy.special import logsumexp, ndtr
from anejax.scipy.special.operands import reals
from anejax.scipy.stats import multivariate_normal

Bandwidth = None | str | Array | float | Callable[["gaussian_kde"], Any]


@tree.register_node_class
@dataclasses.dataclass(frozen=True, init=False, eq=False)
class gaussian_kde:
    """The density that the points ``dataset`` [d, n] or [n] are samples of: a mixture of Gaussians around them.

    Attributes:
        neff: the effective number of points, 1 / sum(weights^2).
        dataset: [d, n].
        weights: [n], of sum 1.
        covariance: of each kernel, [d, d]: that of the points times the square of a factor.
        inv_cov: its inverse.

    ``bw_method`` says the factor: "scott" (the default), neff^(-1 / (d + 4)); "silverman",
    (neff (d + 2) / 4)^(-1 / (d + 4)); a number; or a function of this object, whose ``neff``, ``dataset`` and
    ``weights`` are there by then. A pytree, so that it passes through ``jit``, ``grad`` and ``vmap``.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.scipy.stats import gaussian_kde
        >>> round(float(gaussian_kde(jnp.array([-1.0, 0.0, 1.0])).integrate_box_1d(-jnp.inf, 0.0)), 4)
        0.5
    """

    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(self, dataset: Any, bw_method: Bandwidth = None, weights: Any = None) -> None:
        given = aval_of(dataset)
        dataset, weights = reals("gaussian_kde", dataset, 1.0 if weights is None else weights)
        dataset = jnp.atleast_2d(dataset)
        if dataset.ndim != 2 or dataset.size < 2:
            raise ShapeError(f"[gaussian_kde] expected a dataset [d, n] or [n] of several elements, got {given}.")
        n = dataset.shape[1]
        if weights.shape not in ((), (n,)):
            raise ShapeError(f"[gaussian_kde] expected weights [{n}], one for each point, got {aval_of(weights)}.")
        weights = jnp.broadcast_to(weights, (n,))
        self._set(dataset=dataset, weights=weights / jnp.sum(weights))
        self._set(neff=1 / jnp.sum(self.weights**2))
        factor = self._factor(bw_method)
        covariance = jnp.atleast_2d(jnp.cov(dataset, bias=False, aweights=self.weights))
        self._set(covariance=covariance * factor**2, inv_cov=jnp.linalg.inv(covariance) / factor**2)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _factor(self, method: Bandwidth) -> Any:
        if method is None or (isinstance(method, str) and method == "scott"):
            return self.neff ** (-1 / (self.d + 4))
        if isinstance(method, str) and method == "silverman":
            return (self.neff * (self.d + 2) / 4) ** (-1 / (self.d + 4))
        if callable(method):
            return method(self)
        if is_scalar(method) or getattr(method, "shape", None) == ():
            return method
        raise ShapeError(
            f"[gaussian_kde] expected bw_method 'scott', 'silverman', a number or a function, got {method!r}."
        )

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """The five attributes."""
        return (self.neff, self.dataset, self.weights, self.covariance, self.inv_cov), None

    @classmethod
    def tree_unflatten(cls, aux: None, children: Any) -> gaussian_kde:
        """The estimate of five attributes."""
        kde = object.__new__(cls)
        kde._set(**dict(zip(("neff", "dataset", "weights", "covariance", "inv_cov"), children)))
        return kde

    @property
    def d(self) -> int:
        """The number of dimensions."""
        return self.dataset.shape[0]

    @property
    def n(self) -> int:
        """The number of points."""
        return self.dataset.shape[1]

    def evaluate(self, points: Any) -> Array:
        """The density at ``points`` [d, m], [m] for d = 1, or [d]: [m] values."""
        return jnp.sum(self.weights * jnp.exp(self._log_kernels("evaluate", points)), -1)

    __call__ = pdf = evaluate

    def logpdf(self, x: Any) -> Array:
        """log of the density at ``x``, as ``evaluate``, without underflow."""
        return logsumexp(self._log_kernels("logpdf", x), axis=-1, b=self.weights)

    def _log_kernels(self, op: str, points: Any) -> Array:
        """log of each point's kernel at each of ``points``: [m, n]."""
        points = self._points(op, points)
        return multivariate_normal.logpdf(points.T[:, None], self.dataset.T, self.covariance)

    def _points(self, op: str, points: Any) -> Array:
        """``points`` as [d, m]."""
        given = aval_of(points)
        points, _ = reals(f"gaussian_kde.{op}", points, self.dataset)
        points = jnp.atleast_2d(points)
        if points.shape == (1, self.d):
            points = points.T
        if points.ndim != 2 or points.shape[0] != self.d:
            raise ShapeError(f"[gaussian_kde.{op}] expected points [{self.d}, m], as the dataset has, got {given}.")
        return points

    def integrate_gaussian(self, mean: Any, cov: Any) -> Array:
        """The integral of this density times that of the normal distribution of ``mean`` [d] and ``cov`` [d, d]."""
        mean, cov = jnp.atleast_1d(jnp.squeeze(mean)), jnp.atleast_2d(cov)
        if mean.shape != (self.d,) or cov.shape != (self.d, self.d):
            raise ShapeError(
                f"[gaussian_kde.integrate_gaussian] expected mean [{self.d}] and cov [{self.d}, {self.d}], got"
                f" {aval_of(mean)} and {aval_of(cov)}."
            )
        return jnp.sum(self.weights * multivariate_normal.pdf(self.dataset.T, mean, self.covariance + cov))

    def integrate_box_1d(self, low: Any, high: Any) -> Array:
        """The probability of the interval from ``low`` to ``high``, two numbers, for d = 1."""
        if self.d != 1 or aval_of(low).shape or aval_of(high).shape:
            raise ShapeError(
                f"[gaussian_kde.integrate_box_1d] expected one dimension and two numbers, got d = {self.d},"
                f" {aval_of(low)} and {aval_of(high)}."
            )
        sigma = jnp.sqrt(self.covariance[0, 0])
        low, high = ((end - self.dataset[0]) / sigma for end in (low, high))
        return jnp.sum(self.weights * (ndtr(high) - ndtr(low)))

    def integrate_kde(self, other: gaussian_kde) -> Array:
        """The integral of this density times that of ``other``, which has the same number of dimensions."""
        if other.d != self.d:
            raise ShapeError(f"[gaussian_kde.integrate_kde] expected {self.d} dimensions, got {other.d}.")
        covariance = self.covariance + other.covariance
        pairs = multivariate_normal.pdf(self.dataset.T[:, None], other.dataset.T, covariance)
        return self.weights @ pairs @ other.weights

    def resample(self, key: Any, shape: tuple[int, ...] = ()) -> Array:
        """Samples of the density, [d, *shape]."""
        which, offset = random.split(key)
        index = random.choice(which, self.n, shape=shape, p=self.weights)
        mean = jnp.zeros(self.d, self.covariance.dtype)
        off = random.multivariate_normal(offset, mean, self.covariance, shape=shape, dtype=self.dataset.dtype)
        return self.dataset[:, index] + jnp.moveaxis(off, -1, 0)

    def integrate_box(self, low_bounds: Any, high_bounds: Any, maxpts: Any = None) -> Array:
        """Raises RefusedError, as in jax: integrals over boxes of several dimensions have no closed form."""
        raise RefusedError("[gaussian_kde.integrate_box] is not supported. Use integrate_box_1d for one dimension.")

    def set_bandwidth(self, bw_method: Bandwidth = None) -> None:
        """Raises RefusedError, as in jax: estimates do not change."""
        raise RefusedError("[gaussian_kde.set_bandwidth] estimates do not change. Make one with bw_method=.")
