"""Optimizers related to Adam, which use the same moments in other ways."""

from __future__ import annotations

from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import dtypes
from anejax.optim.base import (
    GradientTransformation,
    cast,
    map_leaves,
    no_state,
    safe_increment,
    zero_count,
    zeros_like,
)
from anejax.optim.transform import ScaleByAdamState, moment, unbiased, unbiased_mean
from anejax.tree import PyTree


def _over_root(eps: Any, eps_root: Any) -> Any:
    """A first moment over the root of a second one."""
    return lambda m, v: m / (jnp.sqrt(v + eps_root) + eps)


def _adam_init(params: PyTree) -> ScaleByAdamState:
    return ScaleByAdamState(zero_count(), zeros_like(params), zeros_like(params))


class ScaleByAmsgradState(NamedTuple):
    """The step, the first two moments, and the largest second moment so far."""

    count: Any
    mu: Any
    nu: Any
    nu_max: Any


def scale_by_amsgrad(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> GradientTransformation:
    """Adam with the largest second moment so far (Reddi et al., 2018)."""
    mu_dtype = None if mu_dtype is None else dtypes.canonical(mu_dtype)

    def init(params: PyTree) -> ScaleByAmsgradState:
        return ScaleByAmsgradState(zero_count(), zeros_like(params, mu_dtype), zeros_like(params), zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        mu, nu = moment(updates, state.mu, b1, 1), moment(updates, state.nu, b2, 2)
        count = safe_increment(state.count)
        mu_hat = unbiased(mu, b1, count) if bias_correction_mu else mu
        nu_max = map_leaves(jnp.maximum, state.nu_max, unbiased(nu, b2, count) if bias_correction_nu else nu)
        steps = map_leaves(_over_root(eps, eps_root), mu_hat, nu_max)
        return steps, ScaleByAmsgradState(count, cast(mu, mu_dtype), nu, nu_max)

    return GradientTransformation(init, update)


class ScaleByBeliefState(NamedTuple):
    """The step, the mean of gradients, and that of their squared distances from it."""

    count: Any
    mu: Any
    nu: Any


def scale_by_belief(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-16, eps_root: Any = 1e-16, *, nesterov: bool = False
) -> GradientTransformation:
    """Adam by the distance of gradients from their mean (Zhuang et al., 2020)."""

    def init(params: PyTree) -> ScaleByBeliefState:
        return ScaleByBeliefState(*_adam_init(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        mu, count = moment(updates, state.mu, b1, 1), safe_increment(state.count)
        surprise = map_leaves(lambda g, m: g - m, updates, mu)
        nu = map_leaves(lambda v: v + eps_root, moment(surprise, state.nu, b2, 2))
        mu_hat = unbiased_mean(mu, updates, b1, count, nesterov)
        return map_leaves(_over_root(eps, 0.0), mu_hat, unbiased(nu, b2, count)), ScaleByBeliefState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_yogi(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-3, eps_root: Any = 0.0, initial_accumulator_value: Any = 1e-6
) -> GradientTransformation:
    """Adam whose second moment grows no faster than gradients do (Zaheer et al., 2018)."""

    def init(params: PyTree) -> ScaleByAdamState:
        full = map_leaves(lambda p: jnp.full_like(p, initial_accumulator_value), params)
        return ScaleByAdamState(zero_count(), full, full)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        mu, count = moment(updates, state.mu, b1, 1), safe_increment(state.count)
        nu = map_leaves(lambda g, v: v - (1 - b2) * jnp.sign(v - jnp.square(g)) * jnp.square(g), updates, state.nu)
        steps = map_leaves(_over_root(eps, eps_root), unbiased(mu, b1, count), unbiased(nu, b2, count))
        return steps, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_radam(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    threshold: Any = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam that waits with its second moment until it is known well enough (Liu et al., 2020)."""
    longest = 2.0 / (1.0 - b2) - 1.0

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        mu, nu = moment(updates, state.mu, b1, 1), moment(updates, state.nu, b2, 2)
        count = safe_increment(state.count)
        share = b2**count
        length = longest - 2 * count * share / (1 - share)
        known = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length)
        mu_hat, nu_hat = unbiased_mean(mu, updates, b1, count, nesterov), unbiased(nu, b2, count)
        ratio = _over_root(eps, eps_root)

        def step(m: Any, v: Any) -> Any:
            return jnp.where(length >= threshold, jnp.sqrt(known).astype(m.dtype) * ratio(m, v), m)

        return map_leaves(step, mu_hat, nu_hat), ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init, update)


class ScaleByAdaDeltaState(NamedTuple):
    """The second moments of gradients and of updates."""

    e_g: Any
    e_x: Any


def scale_by_adadelta(rho: Any = 0.9, eps: Any = 1e-6) -> GradientTransformation:
    """Gradients times the root of the updates' second moment over theirs (Zeiler, 2012)."""

    def init(params: PyTree) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(zeros_like(params), zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        e_g = moment(updates, state.e_g, rho, 2)
        steps = map_leaves(lambda g, v, x: jnp.sqrt(x + eps) / jnp.sqrt(v + eps) * g, updates, e_g, state.e_x)
        return steps, ScaleByAdaDeltaState(e_g, moment(steps, state.e_x, rho, 2))

    return GradientTransformation(init, update)


def centralize() -> GradientTransformation:
    """Takes the mean over all axes but the first from gradients of two axes and more (Yong et al., 2020)."""

    def centered(g: Any) -> Any:
        return g - jnp.mean(g, tuple(range(1, g.ndim)), keepdims=True) if g.ndim > 1 else g

    return GradientTransformation(no_state, lambda updates, state, params=None: (map_leaves(centered, updates), state))
