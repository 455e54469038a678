"""Schedules: functions from the step number, an integer array, to a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.absent import getattr_of
from anejax.optim.base import Schedule
from anejax.optim.wrappers import InjectHyperparamsState as InjectHyperparamsState
from anejax.optim.wrappers import inject_hyperparams as inject_hyperparams

__all__ = [
    "InjectHyperparamsState", "constant_schedule", "cosine_decay_schedule", "cosine_onecycle_schedule",
    "exponential_decay", "inject_hyperparams", "join_schedules", "linear_onecycle_schedule", "linear_schedule",
    "piecewise_constant_schedule", "piecewise_interpolate_schedule", "polynomial_schedule", "sgdr_schedule",
    "warmup_constant_schedule", "warmup_cosine_decay_schedule", "warmup_exponential_decay_schedule"
]  # fmt: skip

__getattr__ = getattr_of(__name__)


def constant_schedule(value: Any) -> Schedule:
    """Always ``value``."""
    return lambda count: value


def polynomial_schedule(
    init_value: Any, end_value: Any, power: Any, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From ``init_value`` to ``end_value`` within ``transition_steps``, as a power of the remaining share."""
    if transition_steps <= 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    def schedule(count: Any) -> Any:
        left = 1 - jnp.clip(count - begin, 0, transition_steps) / transition_steps
        return (init_value - end_value) * left**power + end_value

    return schedule


def linear_schedule(init_value: Any, end_value: Any, transition_steps: int, transition_begin: int = 0) -> Schedule:
    """From ``init_value`` to ``end_value`` on a line."""
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def piecewise_constant_schedule(init_value: Any, boundaries_and_scales: dict[int, float] | None = None) -> Schedule:
    """``init_value``, multiplied by a scale at each boundary."""
    pieces = sorted((boundaries_and_scales or {}).items())
    if any(scale < 0 for _, scale in pieces):
        raise ValueError(f"[piecewise_constant_schedule] expected scales of 0 or more, got {boundaries_and_scales}.")

    def schedule(count: Any) -> Any:
        value = init_value
        for boundary, scale in pieces:
            before = jnp.maximum(0.0, jnp.sign(boundary - count))
            value = value * before + (1 - before) * scale * value
        return value

    return schedule


def exponential_decay(
    init_value: Any,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """``init_value`` times ``decay_rate`` for every ``transition_steps``; in steps when ``staircase``."""
    if transition_steps <= 0 or decay_rate == 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)
    bound = jnp.maximum if decay_rate < 1 else jnp.minimum

    def schedule(count: Any) -> Any:
        since = count - begin
        share = since / transition_steps
        share = jnp.floor(share) if staircase else share
        value = jnp.where(since <= 0, init_value, init_value * jnp.power(decay_rate, share))
        return value if end_value is None else bound(value, end_value)

    return schedule


def cosine_decay_schedule(init_value: Any, decay_steps: int, alpha: Any = 0.0, exponent: Any = 1.0) -> Schedule:
    """From ``init_value`` to alpha * init_value on half a cosine."""
    if decay_steps <= 0:
        raise ValueError(f"[cosine_decay_schedule] expected positive decay_steps, got {decay_steps}.")
    steps = float(decay_steps)

    def schedule(count: Any) -> Any:
        count = jnp.minimum(float(count) if isinstance(count, int) else count, steps)
        cosine = 0.5 * (1 + jnp.cos(math.pi * count / steps))
        return init_value * ((1 - alpha) * cosine**exponent + alpha)

    return schedule


def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: int) -> Schedule:
    """From ``init_value`` to ``peak_value`` on a line, and constant from there."""
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: int,
    decay_steps: int,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    """Up to ``peak_value`` on a line, then down to ``end_value`` on half a cosine; ``decay_steps`` counts both."""
    alpha = 0.0 if peak_value == 0.0 else end_value / peak_value
    return join_schedules(
        [
            linear_schedule(init_value, peak_value, warmup_steps),
            cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent),
        ],
        [warmup_steps],
    )


def warmup_exponential_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """Up to ``peak_value`` on a line, then exponential decay."""
    return join_schedules(
        [
            linear_schedule(init_value, peak_value, warmup_steps),
            exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value),
        ],
        [warmup_steps],
    )


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """Each schedule from its boundary on, counting from there."""

    def schedule(step: Any) -> Any:
        value = schedules[0](step)
        for boundary, following in zip(boundaries, schedules[1:]):
            value = jnp.where(step < boundary, value, following(step - boundary))
        return value

    return schedule


def sgdr_schedule(cosine_kwargs: Sequence[dict[str, Any]]) -> Schedule:
    """Warm-ups and cosine decays, one after the other (Loshchilov and Hutter, 2016)."""
    ends = np.cumsum([kwargs["decay_steps"] for kwargs in cosine_kwargs])[:-1]
    return join_schedules([warmup_cosine_decay_schedule(**kwargs) for kwargs in cosine_kwargs], [int(e) for e in ends])


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Any, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """Like ``piecewise_constant_schedule``, with a line ("linear") or half a cosine ("cosine") between boundaries."""
    if interpolate_type not in ("linear", "cosine"):
        raise ValueError(f"[piecewise_interpolate_schedule] expected 'linear' or 'cosine', got {interpolate_type!r}.")
    pieces = sorted((boundaries_and_scales or {}).items())
    if any(scale < 0 for _, scale in pieces):
        raise ValueError(f"[piecewise_interpolate_schedule] expected scales of 0 or more, got {boundaries_and_scales}.")
    bounds = [0] + [boundary for boundary, _ in pieces]
    values = np.cumprod(np.asarray([init_value] + [scale for _, scale in pieces], np.float32))

    def between(start: Any, end: Any, share: Any) -> Any:
        if interpolate_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (jnp.cos(math.pi * share) + 1)

    def schedule(count: Any) -> Any:
        total: Any = jnp.where(bounds[-1] <= count, values[-1], np.float32(0))
        for low, high, start, end in zip(bounds, bounds[1:], values, values[1:]):
            inside = (low <= count) & (count < high)
            total = total + jnp.where(inside, between(start, end, (count - low) / max(high - low, 1)), 0.0)
        return total

    return schedule


def _check_onecycle(transition_steps: int) -> None:
    if transition_steps <= 0:
        raise ValueError(f"[onecycle] expected positive transition_steps, got {transition_steps}.")


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: Any,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up, down and far down, on lines (Smith and Topin, 2017)."""
    _check_onecycle(transition_steps)
    pieces = {
        int(pct_start * transition_steps): div_factor,
        int(pct_final * transition_steps): 1.0 / div_factor,
        transition_steps: 1.0 / final_div_factor,
    }
    return piecewise_interpolate_schedule("linear", peak_value / div_factor, pieces)


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: Any,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up and far down, on half cosines."""
    _check_onecycle(transition_steps)
    pieces = {
        int(pct_start * transition_steps): div_factor,
        int(transition_steps): 1.0 / (div_factor * final_div_factor),
    }
    return piecewise_interpolate_schedule("cosine", peak_value / div_factor, pieces)
