"""Optax's helper functions: moments, the scale of a gradient, a normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import lax, random, tree
from anejax.api.custom import custom_vjp
from anejax.optim.base import map_leaves
from anejax.optim.transform import moment as moment_of
from anejax.optim.transform import unbiased
from anejax.tree import PyTree
from anejax.typing import ArrayLike


def update_moment(updates: PyTree, moments: Any, decay: Any, order: Any) -> PyTree:
    """(1 - decay) * updates**order + decay * moments."""
    if order in (1, 2):
        return moment_of(updates, moments, decay, order)
    return map_leaves(lambda g, m: (1 - decay) * g**order + decay * m, updates, moments)


update_moment_per_elem_norm = update_moment  # they differ for complex numbers, which have no moments here


def update_infinity_moment(updates: PyTree, moments: Any, decay: Any, eps: Any) -> PyTree:
    """The larger of abs(updates) + eps and decay * moments."""
    return map_leaves(lambda g, m: jnp.maximum(jnp.abs(g) + eps, decay * m), updates, moments)


def bias_correction(moment: Any, decay: Any, count: Any) -> Any:
    """moment / (1 - decay**count): moments that began at zero, as if they had not."""
    return unbiased(moment, decay, jnp.asarray(count))


@custom_vjp
def _scaled(inputs: Any, scale: Any) -> Any:
    return inputs


_scaled.defvjp(
    lambda inputs, scale: (inputs, scale),
    lambda scale, g: (tree.map(lambda leaf: leaf * scale, g), jnp.zeros_like(scale)),
)


def scale_gradient(inputs: Any, scale: Any) -> Any:
    """``inputs`` as they are; their gradient is multiplied by ``scale``, a number."""
    if isinstance(scale, (int, float)) and scale in (0, 1):
        return inputs if scale else tree.map(lax.stop_gradient, inputs)
    return _scaled(inputs, jnp.asarray(scale, jnp.float32))


class MultiNormalDiagFromLogScale:
    """Independent normal distributions of means ``loc`` and deviations exp(``log_scale``)."""

    def __init__(self, loc: Any, log_scale: Any) -> None:
        self._mean, self._log_scale = jnp.asarray(loc), jnp.asarray(log_scale)
        self._shape = np.broadcast_shapes(self._mean.shape, self._log_scale.shape)

    def sample(self, shape: Any, key: ArrayLike) -> Any:
        """Draws of the distribution: an array of ``shape`` and then its own."""
        return random.normal(key, (*shape, *self._shape)) * jnp.exp(self._log_scale) + self._mean

    def log_prob(self, x: Any) -> Any:
        """The log density at ``x``, summed over the axes of the distribution."""
        scaled = (x - self._mean) / jnp.exp(self._log_scale)
        logs = -0.5 * jnp.square(scaled) - self._log_scale - 0.5 * np.log(2 * np.pi).astype(np.float32)
        return jnp.sum(logs, tuple(range(-len(self._shape), 0)))

    @property
    def log_scale(self) -> Any:
        """The logarithms of the deviations."""
        return self._log_scale

    @property
    def params(self) -> list[Any]:
        """The means, then the logarithms of the deviations."""
        return [self._mean, self._log_scale]


def multi_normal(loc: Any, log_scale: Any) -> MultiNormalDiagFromLogScale:
    """Independent normal distributions of means ``loc`` and deviations exp(``log_scale``)."""
    return MultiNormalDiagFromLogScale(loc, log_scale)
