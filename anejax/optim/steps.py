"""Update rules that need gradients of earlier steps, random numbers, or the initial parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import dtypes, random, tree
from anejax.optim.base import (
    GradientTransformation,
    cast,
    map_leaves,
    need_params,
    safe_increment,
    zero_count,
    zeros_like,
)
from anejax.optim.transform import moment, unbiased
from anejax.tree import PyTree
from anejax.typing import ArrayLike


class ScaleByAdanState(NamedTuple):
    """Moments of gradients, of their differences and of both; the last gradient; the step."""

    m: Any
    v: Any
    n: Any
    g: Any
    t: Any


def scale_by_adan(
    b1: Any = 0.98, b2: Any = 0.92, b3: Any = 0.99, eps: Any = 1e-8, eps_root: Any = 0.0
) -> GradientTransformation:
    """Adam with Nesterov's momentum, by differences of gradients (Xie et al., 2022)."""

    def init(params: PyTree) -> ScaleByAdanState:
        zeros = zeros_like(params)
        return ScaleByAdanState(zeros, zeros, zeros, zeros, zero_count())

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        change = map_leaves(lambda g, old: jnp.where(state.t == 0, 0.0, g - old), updates, state.g)
        ahead = map_leaves(lambda g, d: g + (1 - b2) * d, updates, change)
        m, v, n = moment(updates, state.m, b1, 1), moment(change, state.v, b2, 1), moment(ahead, state.n, b3, 2)
        t = safe_increment(state.t)
        hats = unbiased(m, b1, t), unbiased(v, b2, t), unbiased(n, b3, t)
        steps = map_leaves(lambda m, v, n: (m + (1 - b2) * v) / (jnp.sqrt(n + eps_root) + eps), *hats)
        return steps, ScaleByAdanState(m, v, n, updates, t)

    return GradientTransformation(init, update)


class ScaleByNovogradState(NamedTuple):
    """The step, the sum of scaled gradients, and the second moment of each array's norm."""

    count: Any
    mu: Any
    nu: Any


def scale_by_novograd(
    b1: Any = 0.9,
    b2: Any = 0.25,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """Momentum of gradients that are divided by the norm of their array (Ginsburg et al., 2019)."""
    mu_dtype = None if mu_dtype is None else dtypes.canonical(mu_dtype)

    def init(params: PyTree) -> ScaleByNovogradState:
        norms = tree.map(lambda p: jnp.zeros((), p.dtype), params)
        return ScaleByNovogradState(zero_count(), zeros_like(params, mu_dtype), norms)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("scale_by_novograd", params)
        first = state.count == 0

        def norm(g: Any, n: Any) -> Any:
            square = jnp.sum(jnp.square(g))
            return jnp.where(first, square, (1 - b2) * square + b2 * n).astype(n.dtype)

        def step(g: Any, p: Any, m: Any, n: Any) -> Any:
            scaled = g / (jnp.sqrt(n + eps_root) + eps) + weight_decay * p
            return jnp.where(first, scaled, b1 * m + scaled)

        nu = map_leaves(norm, updates, state.nu)
        mu = cast(map_leaves(step, updates, params, state.mu, nu), mu_dtype)
        return mu, ScaleByNovogradState(safe_increment(state.count), mu, nu)

    return GradientTransformation(init, update)


class ScaleByRpropState(NamedTuple):
    """The size of each parameter's step, and the last steps."""

    step_sizes: Any
    prev_updates: Any


def scale_by_rprop(
    learning_rate: Any,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> GradientTransformation:
    """Steps by the signs of gradients, longer while they stay and shorter when they change (Riedmiller, 1993).

    As in optax, a call returns the step that the last one found, and zero where the sign has changed since.
    """

    def init(params: PyTree) -> ScaleByRpropState:
        sizes = map_leaves(lambda p: jnp.full_like(p, learning_rate), params)
        return ScaleByRpropState(sizes, zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        signs = map_leaves(lambda g, old: g * old, updates, state.prev_updates)

        def size(s: Any, old: Any) -> Any:
            new = jnp.clip(old * jnp.where(s > 0, eta_plus, eta_minus), min_step_size, max_step_size)
            return jnp.where(s == 0, old, new)

        sizes = map_leaves(size, signs, state.step_sizes)
        taken = map_leaves(lambda s, g, n: jnp.where(s < 0, 0.0, n * jnp.sign(g)), signs, updates, sizes)
        steps = map_leaves(lambda s, old: jnp.where(s < 0, 0.0, old), signs, state.prev_updates)
        return steps, ScaleByRpropState(sizes, taken)

    return GradientTransformation(init, update)


class ScaleByOptimisticGradientState(NamedTuple):
    """Whether there was no step yet, and the last gradient."""

    is_initial_step: Any
    previous_gradient: Any


def scale_by_optimistic_gradient(alpha: Any = 1.0, beta: Any = 1.0) -> GradientTransformation:
    """(alpha + beta) times the gradient less beta times the last one (Mokhtari et al., 2019)."""

    def init(params: PyTree) -> ScaleByOptimisticGradientState:
        return ScaleByOptimisticGradientState(jnp.asarray(True), zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        def step(g: Any, old: Any) -> Any:
            return (alpha + beta) * g - beta * jnp.where(state.is_initial_step, g, old)

        steps = map_leaves(step, updates, state.previous_gradient)
        return steps, ScaleByOptimisticGradientState(jnp.asarray(False), updates)

    return GradientTransformation(init, update)


class ScaleByDistanceOverGradientsState(NamedTuple):
    """The largest distance from the first parameters, the sum of squares of gradients, and those parameters."""

    max_dist: Any
    grad_sum_of_squares: Any
    init_params: Any


def scale_by_distance_over_gradients(
    reps_rel: Any = 1e-6, eps: Any = 1e-8, param_dtype: Any = dtypes.float32, global_scale: Any = 1.0
) -> GradientTransformation:
    """Gradients times the way gone so far over the root of the sum of their squares (Ivgi et al., 2023)."""

    def length(x: Any) -> Any:
        return jnp.sqrt(jnp.sum(jnp.square(x)))

    def init(params: PyTree) -> ScaleByDistanceOverGradientsState:
        return ScaleByDistanceOverGradientsState(
            map_leaves(lambda p: reps_rel * (1 + length(p)), params),
            map_leaves(lambda p: jnp.zeros(1), params),
            cast(params, param_dtype),
        )

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("scale_by_distance_over_gradients", params)
        far = map_leaves(lambda d, p, s: jnp.maximum(d, length(p - s)), state.max_dist, params, state.init_params)
        squares = map_leaves(lambda s, g: s + jnp.sum(jnp.square(g)), state.grad_sum_of_squares, updates)
        steps = map_leaves(lambda g, d, s: global_scale * (d / jnp.sqrt(s + eps)) * g, updates, far, squares)
        return steps, ScaleByDistanceOverGradientsState(far, squares, state.init_params)

    return GradientTransformation(init, update)


class ApplyEvery(NamedTuple):
    """The step within the period, and the sum of its updates."""

    count: Any
    grad_acc: Any


def apply_every(k: Any = 1) -> GradientTransformation:
    """The sum of ``k`` updates at every k-th step, zeros at the others."""

    def init(params: PyTree) -> ApplyEvery:
        return ApplyEvery(zero_count(), zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        place = state.count % k
        total = map_leaves(lambda g, t: jnp.where(place != 0, t, 0.0) + g, updates, state.grad_acc)
        steps = map_leaves(lambda t: jnp.where(place == k - 1, t, 0.0), total)
        return steps, ApplyEvery(safe_increment(state.count) % k, total)

    return GradientTransformation(init, update)


class AddNoiseState(NamedTuple):
    """The step and the key of the noise to come."""

    count: Any
    rng_key: Any


def add_noise(eta: Any, gamma: Any, key: ArrayLike | None = None, *, seed: int | None = None) -> GradientTransformation:
    """Adds normal noise of variance eta / step**gamma (Neelakantan et al., 2015).

    ``key`` is a key of anejax.random or an integer, 0 by default; ``seed`` is its former name.

    Raises:
        ValueError: both are given.
    """
    if seed is not None and key is not None:
        raise ValueError("[add_noise] expected key or seed, got both.")
    given = next((k for k in (key, seed) if k is not None), 0)

    def init(params: PyTree) -> AddNoiseState:
        return AddNoiseState(zero_count(), given if isinstance(given, random.KeyArray) else random.key(given))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        count, keys = safe_increment(state.count), random.split(state.rng_key)
        deviation = jnp.sqrt(eta / count**gamma)
        leaves, structure = tree.flatten(updates)
        each = random.split(keys[1], len(leaves))
        noisy = [g + deviation * random.normal(each[i], g.shape, g.dtype) for i, g in enumerate(leaves)]
        return tree.unflatten(structure, noisy), AddNoiseState(count, keys[0])

    return GradientTransformation(init, update)
