"""Quasi-Newton methods: descend along directions from an inverse Hessian that is approximated from gradients.

Nocedal and Wright 2006, "Numerical optimization", algorithms 6.1 (BFGS) and 7.5 (L-BFGS).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import tree
from anejax.api.autodiff import value_and_grad
from anejax.api.control import scan, while_loop
from anejax.scipy.optimize.line_search import search


class Curvature(NamedTuple):
    """An approximation of the inverse Hessian, and the functions that use and update it."""

    memory: Any  # a tree of arrays
    product: Callable[[Any, Any], Any]  # (memory, gradient) -> the inverse Hessian times it
    learned: Callable[[Any, Any, Any], Any]  # (memory, step, change of the gradient) -> memory


class State(NamedTuple):
    """The state of the descent. ``status`` is 0 as long as it may continue."""

    x: Any
    value: Any
    gradient: Any
    memory: Any
    turns: Any
    evaluations: Any
    converged: Any
    status: Any


class Turn(NamedTuple):
    """The result of one step, by which ``judge`` decides whether to stop."""

    decrease: Any
    turns: Any
    evaluations: Any
    failed: Any  # neither the value nor the gradient got less
    bracketed: Any


def descend(
    fun: Callable[[Any], Any], x0: Any, curvature: Curvature, judge: Callable[[Turn], Any], gtol: Any, norm: Any,
    trials: Any,
) -> State:  # fmt: skip
    """Descends from ``x0`` until the ``norm`` of the gradient is below ``gtol`` or ``judge`` returns a status above 0.

    Each turn tries at most ``trials`` steps along its direction.
    """
    slopes = value_and_grad(fun)
    size = lambda g: jnp.linalg.norm(g, ord=norm)  # noqa: E731
    value, gradient = slopes(x0)

    def step(s: State) -> State:
        direction = -curvature.product(s.memory, s.gradient)
        length = jnp.linalg.norm(s.gradient)
        first = jnp.where(s.turns == 0, jnp.minimum(1, 1 / length), 1)  # at first, of length 1 at most
        found = search(slopes, s.x, direction, s.value, s.gradient, first, trials)
        move, change = found.point.step * direction, found.gradient - s.gradient
        curved = jnp.vdot(move, change)
        eps = jnp.finfo(move.dtype).eps
        useful = curved > eps * jnp.linalg.norm(move) * jnp.linalg.norm(change)
        learned = curvature.learned(s.memory, move, change)
        memory = tree.map(lambda new, old: jnp.where(useful, new, old), learned, s.memory)
        converged = size(found.gradient) < gtol
        failed = ~((found.point.value < s.value) | (size(found.gradient) < size(s.gradient)))
        turns, evaluations = s.turns + 1, s.evaluations + found.trials
        turn = Turn(s.value - found.point.value, turns, evaluations, failed, found.bracketed)
        status = jnp.where(converged, 0, judge(turn)).astype(s.status.dtype)
        return State(s.x + move, found.point.value, found.gradient, memory, turns, evaluations, converged, status)

    zero = jnp.array(0)
    begin = State(x0, value, gradient, curvature.memory, zero, zero + 1, size(gradient) < gtol, zero)
    return while_loop(lambda s: ~s.converged & (s.status == 0), step, begin)


def dense(n: int, dtype: Any) -> Curvature:
    """The whole inverse Hessian [n, n]. ``memory`` is (it, whether nothing is known yet)."""

    def learned(memory: Any, move: Any, change: Any) -> Any:
        inverse, new = memory
        inverse = jnp.where(new, jnp.vdot(move, change) / jnp.vdot(change, change) * inverse, inverse)
        share = 1 / jnp.vdot(move, change)
        image = inverse @ change
        mixed = jnp.outer(move, image)
        own = share * (1 + share * jnp.vdot(change, image)) * jnp.outer(move, move)
        return inverse - share * (mixed + mixed.T) + own, jnp.array(False)

    return Curvature((jnp.eye(n, dtype=dtype), jnp.array(True)), lambda memory, g: memory[0] @ g, learned)


class _Pairs(NamedTuple):
    """The last steps and changes of the gradient, the newest last; zeros where there are none yet."""

    moves: Any  # [m, n]
    changes: Any  # [m, n]
    shares: Any  # [m]: 1 over their scalar products
    scale: Any  # the scale of the inverse Hessian before the first pair


def limited(n: int, dtype: Any, count: int) -> Curvature:
    """The ``count`` last pairs of a step and a change of the gradient, of n numbers each."""

    def product(p: _Pairs, g: Any) -> Any:
        def newest_first(q: Any, row: Any) -> Any:
            move, change, share = row
            part = share * jnp.vdot(move, q)
            return q - part * change, part

        def oldest_first(q: Any, row: Any) -> Any:
            (move, change, share), part = row
            return q + (part - share * jnp.vdot(change, q)) * move, None

        rows = (p.moves, p.changes, p.shares)
        q, parts = scan(newest_first, g, rows, reverse=True)
        return scan(oldest_first, p.scale * q, (rows, parts))[0]

    def learned(p: _Pairs, move: Any, change: Any) -> _Pairs:
        curved = jnp.vdot(move, change)
        later = lambda old, new: jnp.concatenate([old[1:], new[None]])  # noqa: E731
        pairs = later(p.moves, move), later(p.changes, change), later(p.shares, 1 / curved)
        return _Pairs(*pairs, curved / jnp.vdot(change, change))

    nothing = jnp.zeros((count, n), dtype)
    return Curvature(_Pairs(nothing, nothing, nothing[:, 0], jnp.ones((), dtype)), product, learned)
