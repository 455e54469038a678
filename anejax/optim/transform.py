"""Gradient transformations, which optimizers chain together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax, tree
from anejax.optim.base import (
    EmptyState,
    GradientTransformation,
    ScalarOrSchedule,
    Schedule,
    cast,
    global_norm,
    identity,
    map_leaves,
    masked,
    need_params,
    no_state,
    safe_increment,
    zero_count,
    zeros_like,
)
from anejax.tree import PyTree


def _stateless_map(f: Any) -> GradientTransformation:
    return GradientTransformation(no_state, lambda updates, state, params=None: (map_leaves(f, updates), state))


# --- scaling ----------------------------------------------------------------------------------------------------


def scale(step_size: Any) -> GradientTransformation:
    """Multiplies by ``step_size``."""
    return _stateless_map(lambda g: step_size * g)


class ScaleByScheduleState(NamedTuple):
    """The number of steps taken."""

    count: Any


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Multiplies by a function of the step."""

    def init(params: PyTree) -> PyTree:
        return ScaleByScheduleState(zero_count())

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        size = step_size_fn(state.count)
        scaled = map_leaves(lambda g: jnp.asarray(size, g.dtype) * g, updates)
        return scaled, ScaleByScheduleState(safe_increment(state.count))

    return GradientTransformation(init, update)


def scale_by_learning_rate(learning_rate: ScalarOrSchedule, *, flip_sign: bool = True) -> GradientTransformation:
    """Multiplies by the learning rate, a number or a schedule, and by -1: updates are added to the parameters."""
    sign, rate = -1 if flip_sign else 1, learning_rate
    if rate is None:
        return identity()
    if callable(rate):
        schedule: Schedule = rate
        return scale_by_schedule(lambda count: sign * schedule(count))
    return scale(sign * rate)


# --- moments ----------------------------------------------------------------------------------------------------


def moment(updates: PyTree, moments: Any, decay: Any, order: int) -> PyTree:
    """The exponential moving average of the updates to the power of ``order``."""
    power = jnp.square if order == 2 else lambda g: g
    return map_leaves(lambda g, m: (1 - decay) * power(g) + decay * m, updates, moments)


def unbiased(moments: Any, decay: Any, count: Any) -> Any:
    """Moments that began at zero, scaled up as if they had not."""
    share = 1 - decay**count
    return map_leaves(lambda m: m / share.astype(m.dtype), moments)


def scaled_up(moments: Any, decay: Any, count: Any) -> Any:
    """Like ``unbiased``, but multiplies by one inverse: dividing each element would take longer than memory does."""
    scale = 1 / (1 - decay**count)
    return map_leaves(lambda m: m * scale.astype(m.dtype), moments)


def unbiased_mean(mu: Any, updates: PyTree, b1: Any, count: Any, nesterov: bool) -> PyTree:
    """The first moment without bias; with ``nesterov``, as it will be after the next step."""
    if not nesterov:
        return unbiased(mu, b1, count)
    ahead = unbiased(mu, b1, safe_increment(count))
    return map_leaves(lambda m, g: b1 * m + (1 - b1) * g, ahead, unbiased(updates, b1, count))


def _cast_like(values: PyTree, like: PyTree) -> Any:
    return map_leaves(lambda v, l: v.astype(l.dtype), values, like)


class ScaleByAdamState(NamedTuple):
    """The step and the first two moments."""

    count: Any
    mu: Any
    nu: Any


def scale_by_adam(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """The first moment over the root of the second, both without bias (Kingma and Ba, 2014)."""
    mu_dtype = None if mu_dtype is None else dtypes.canonical(mu_dtype)

    def init(params: PyTree) -> PyTree:
        return ScaleByAdamState(zero_count(), zeros_like(params, mu_dtype), zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        mu, nu = moment(updates, state.mu, b1, 1), moment(updates, state.nu, b2, 2)
        count = safe_increment(state.count)
        if nesterov:
            mu_hat, nu_hat = unbiased_mean(mu, updates, b1, count, True), unbiased(nu, b2, count)
        else:
            mu_hat, nu_hat = scaled_up(mu, b1, count), scaled_up(nu, b2, count)
        steps = map_leaves(lambda m, v: m / (jnp.sqrt(v + eps_root) + eps), mu_hat, nu_hat)
        return steps, ScaleByAdamState(count, cast(mu, mu_dtype), _cast_like(nu, state.nu))

    return GradientTransformation(init, update)


def scale_by_adamax(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> GradientTransformation:
    """Adam with the largest decayed absolute value in place of the second moment."""

    def init(params: PyTree) -> PyTree:
        return ScaleByAdamState(zero_count(), zeros_like(params), zeros_like(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        count, mu = safe_increment(state.count), moment(updates, state.mu, b1, 1)
        nu = map_leaves(lambda g, v: jnp.maximum(jnp.abs(g) + eps, b2 * v), updates, state.nu)
        steps = map_leaves(lambda m, v: m / v, unbiased(mu, b1, count), nu)
        return steps, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


class ScaleByLionState(NamedTuple):
    """The step and the first moment."""

    count: Any
    mu: Any


def scale_by_lion(b1: Any = 0.9, b2: Any = 0.99, mu_dtype: Any = None) -> GradientTransformation:
    """The sign of a blend of gradient and first moment (Chen et al., 2023)."""
    mu_dtype = None if mu_dtype is None else dtypes.canonical(mu_dtype)

    def init(params: PyTree) -> PyTree:
        return ScaleByLionState(zero_count(), zeros_like(params, mu_dtype))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        signs = map_leaves(lambda g, m: jnp.sign((1.0 - b1) * g + b1 * m), updates, state.mu)
        mu = cast(moment(updates, state.mu, b2, 1), mu_dtype)
        return signs, ScaleByLionState(safe_increment(state.count), mu)

    return GradientTransformation(init, update)


class ScaleByRmsState(NamedTuple):
    """The second moment."""

    nu: Any


class ScaleByRmsWithCountState(NamedTuple):
    """The step and the second moment."""

    count: Any
    nu: Any


def _full_like(params: PyTree, value: Any) -> Any:
    return map_leaves(lambda p: jnp.full_like(p, value), params)


def _inverse_root(nu: Any, eps: Any, eps_in_sqrt: bool) -> Any:
    return lax.rsqrt(nu + eps) if eps_in_sqrt else 1 / (jnp.sqrt(nu) + eps)


def scale_by_rms(
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Divides by the root of the second moment."""

    def init(params: PyTree) -> PyTree:
        nu = _full_like(params, initial_scale)
        return ScaleByRmsWithCountState(zero_count(), nu) if bias_correction else ScaleByRmsState(nu)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        nu = nu_hat = moment(updates, state.nu, decay, 2)
        new_state: Any = ScaleByRmsState(nu)
        if bias_correction:
            count = safe_increment(state.count)
            nu_hat, new_state = unbiased(nu, decay, count), ScaleByRmsWithCountState(count, nu)
        return map_leaves(lambda g, n: _inverse_root(n, eps, eps_in_sqrt) * g, updates, nu_hat), new_state

    return GradientTransformation(init, update)


class ScaleByRStdDevState(NamedTuple):
    """The first two moments."""

    mu: Any
    nu: Any


class ScaleByRStdDevWithCountState(NamedTuple):
    """The step and the first two moments."""

    count: Any
    mu: Any
    nu: Any


def scale_by_stddev(
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Divides by the standard deviation, from the first two moments."""

    def init(params: PyTree) -> PyTree:
        mu, nu = zeros_like(params), _full_like(params, initial_scale)
        return ScaleByRStdDevWithCountState(zero_count(), mu, nu) if bias_correction else ScaleByRStdDevState(mu, nu)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        mu = mu_hat = moment(updates, state.mu, decay, 1)
        nu = nu_hat = moment(updates, state.nu, decay, 2)
        new_state: Any = ScaleByRStdDevState(mu, nu)
        if bias_correction:
            count = safe_increment(state.count)
            mu_hat, nu_hat = unbiased(mu, decay, count), unbiased(nu, decay, count)
            new_state = ScaleByRStdDevWithCountState(count, mu, nu)

        def scaled(g: Any, m: Any, n: Any) -> Any:
            return _inverse_root(n - jnp.square(m), eps, eps_in_sqrt) * g

        return map_leaves(scaled, updates, mu_hat, nu_hat), new_state

    return GradientTransformation(init, update)


class ScaleByRssState(NamedTuple):
    """The sum of the squares of all gradients."""

    sum_of_squares: Any


def scale_by_rss(initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> GradientTransformation:
    """Divides by the root of the sum of the squares of all gradients (Duchi et al., 2011)."""

    def init(params: PyTree) -> PyTree:
        return ScaleByRssState(_full_like(params, initial_accumulator_value))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        total = map_leaves(lambda g, t: jnp.square(g) + t, updates, state.sum_of_squares)
        steps = map_leaves(lambda g, t: jnp.where(t > 0, lax.rsqrt(t + eps), 0.0) * g, updates, total)
        return steps, ScaleByRssState(total)

    return GradientTransformation(init, update)


def scale_by_sign() -> GradientTransformation:
    """Replaces each number by its sign."""
    return _stateless_map(jnp.sign)


def scale_by_trust_ratio(min_norm: Any = 0.0, trust_coefficient: Any = 1.0, eps: Any = 0.0) -> GradientTransformation:
    """Scales each array to the norm of its parameter (You et al., 2019)."""

    def norm(x: Any) -> Any:
        return jnp.maximum(jnp.sqrt(jnp.sum(jnp.square(x))), min_norm)

    def scaled(u: Any, p: Any) -> Any:
        p_norm, u_norm = norm(p), norm(u)
        ratio = trust_coefficient * p_norm / (u_norm + eps)
        return u * jnp.where((p_norm == 0.0) | (u_norm == 0.0), np.asarray(1.0, p.dtype), ratio)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("scale_by_trust_ratio", params)
        return map_leaves(scaled, updates, params), state

    return GradientTransformation(no_state, update)


# --- momentum ---------------------------------------------------------------------------------------------------


class TraceState(NamedTuple):
    """The decayed sum of updates."""

    trace: Any


def trace(decay: Any, nesterov: bool = False, accumulator_dtype: Any = None) -> GradientTransformation:
    """The decayed sum of updates: momentum."""
    accumulator_dtype = None if accumulator_dtype is None else dtypes.canonical(accumulator_dtype)

    def init(params: PyTree) -> PyTree:
        return TraceState(zeros_like(params, accumulator_dtype))

    def blend(g: Any, t: Any) -> Any:
        return g + decay * t

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        sums = map_leaves(blend, updates, state.trace)
        out = map_leaves(blend, updates, sums) if nesterov else sums
        return out, TraceState(cast(sums, accumulator_dtype))

    return GradientTransformation(init, update)


class EmaState(NamedTuple):
    """The step and the moving average."""

    count: Any
    ema: Any


def ema(decay: Any, debias: bool = True, accumulator_dtype: Any = None) -> GradientTransformation:
    """The exponential moving average of updates."""
    accumulator_dtype = None if accumulator_dtype is None else dtypes.canonical(accumulator_dtype)

    def init(params: PyTree) -> PyTree:
        return EmaState(zero_count(), zeros_like(params, accumulator_dtype))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        average, count = moment(updates, state.ema, decay, 1), safe_increment(state.count)
        out = unbiased(average, decay, count) if debias else average
        return out, EmaState(count, cast(average, accumulator_dtype))

    return GradientTransformation(init, update)


# --- decay and clipping -----------------------------------------------------------------------------------------


class WeightDecaySchedule(NamedTuple):
    """The number of steps taken."""

    count: Any


def add_decayed_weights(weight_decay: ScalarOrSchedule = 0.0, mask: Any = None) -> GradientTransformation:
    """Adds ``weight_decay`` times the parameters. ``mask`` selects the arrays."""

    def init(params: PyTree) -> PyTree:
        return WeightDecaySchedule(zero_count()) if callable(weight_decay) else EmptyState()

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("add_decayed_weights", params)
        if isinstance(weight_decay, (int, float)) and weight_decay == 0:
            return updates, state
        amount: Any = weight_decay
        if callable(weight_decay):
            amount, state = weight_decay(state.count), WeightDecaySchedule(safe_increment(state.count))
        return map_leaves(lambda g, p: g + amount * p, updates, params), state

    decay = GradientTransformation(init, update)
    return decay if mask is None else masked(decay, mask)


def clip(max_delta: Any) -> GradientTransformation:
    """Keeps each number within -max_delta and max_delta."""
    return _stateless_map(lambda g: jnp.clip(g, -max_delta, max_delta))


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """Scales all updates down together when their global norm is ``max_norm`` or more."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        norm = global_norm(updates)
        small = norm < max_norm
        return map_leaves(lambda g: jnp.where(small, g, g / norm.astype(g.dtype) * max_norm), updates), state

    return GradientTransformation(no_state, update)


def clip_by_block_rms(threshold: Any) -> GradientTransformation:
    """Scales each array down to a root mean square of at most ``threshold``."""
    return _stateless_map(lambda g: g / jnp.maximum(1.0, jnp.sqrt(jnp.mean(jnp.square(g))) / threshold))


def zero_nans() -> GradientTransformation:
    """Replaces NaN by 0. The state records which arrays had a NaN."""

    def init(params: PyTree) -> PyTree:
        return ZeroNansState(tree.map(lambda p: jnp.zeros((), jnp.bool_), params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        found = tree.map(lambda g: jnp.any(jnp.isnan(g)), updates)
        return map_leaves(lambda g: jnp.where(jnp.isnan(g), jnp.zeros_like(g), g), updates), ZeroNansState(found)

    return GradientTransformation(init, update)


class ZeroNansState(NamedTuple):
    """A bool for each array: whether its last update had a NaN."""

    found_nan: Any
