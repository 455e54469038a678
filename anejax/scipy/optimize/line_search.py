"""Finds a step along a direction that satisfies the strong Wolfe conditions.

Nocedal and Wright 2006, "Numerical optimization", algorithms 3.5 and 3.6 in one loop: as long as no upper end is known,
it is infinite, and the next trial is twice as far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import tree
from anejax.api.control import while_loop

DECREASE, CURVATURE = 1e-4, 0.9  # c1 and c2 of the conditions
_NEAR = 0.1  # the share of an interval next to either end where no trial is made


class Point(NamedTuple):
    """A point on the line: the distance, the function's value, and its derivative along the line."""

    step: Any
    value: Any
    slope: Any


class Found(NamedTuple):
    """The best place, and how it was found."""

    point: Point  # step 0 where no trial was better than the start
    gradient: Any
    trials: Any
    bracketed: Any  # an upper end was found


class _Search(NamedTuple):
    trial: Any
    low: Point
    high: Point
    gradient: Any  # at low
    trials: Any
    done: Any


def search(
    value_and_grad: Callable[[Any], tuple[Any, Any]], x: Any, direction: Any, value: Any, gradient: Any, first: Any,
    most: Any,
) -> Found:  # fmt: skip
    """At most ``most`` trials from ``x``, where ``value`` and ``gradient`` are known; the first one is ``first``.

    Values count as equal within their rounding errors, so that near a minimum slopes decide.
    """
    start = Point(jnp.zeros((), x.dtype), value, jnp.vdot(gradient, direction))
    slack = 2 * jnp.finfo(value.dtype).eps * jnp.abs(value)

    def turn(s: _Search) -> _Search:
        at, slopes = value_and_grad(x + s.trial * direction)
        new = Point(s.trial, at, jnp.vdot(slopes, direction))
        enough = at <= value + DECREASE * s.trial * start.slope + slack  # false for NaN as well
        lower = enough & (at <= s.low.value + slack)
        done = lower & (jnp.abs(new.slope) <= -CURVATURE * start.slope)
        past = new.slope * (s.high.step - s.low.step) >= 0  # the minimum is between low and here
        high = _either(lower, _either(past, s.low, s.high), new)
        low = _either(lower, new, s.low)
        trial = jnp.where(jnp.isinf(high.step), 2 * s.trial, _between(low, high))
        return _Search(trial, low, high, jnp.where(lower, slopes, s.gradient), s.trials + 1, done)

    far = start._replace(step=jnp.full((), jnp.inf, x.dtype))
    begin = _Search(jnp.asarray(first, x.dtype), start, far, gradient, 0, jnp.array(False))
    end = while_loop(lambda s: ~s.done & (s.trials < most), turn, begin)
    return Found(end.low, end.gradient, end.trials, jnp.isfinite(end.high.step))


def _either(condition: Any, a: Point, b: Point) -> Point:
    return tree.map(lambda v, w: jnp.where(condition, v, w), a, b)


def _between(low: Point, high: Point) -> Any:
    """The minimum of the cubic through both values and slopes (equation 3.59); the middle where that is near an end."""
    width = high.step - low.step
    mean = low.slope + high.slope - 3 * (high.value - low.value) / width
    root = jnp.sign(width) * jnp.sqrt(jnp.square(mean) - low.slope * high.slope)
    share = 1 - (high.slope + root - mean) / (high.slope - low.slope + 2 * root)
    inside = (share > _NEAR) & (share < 1 - _NEAR)  # false for NaN as well
    return low.step + jnp.where(inside, share, 0.5) * width
