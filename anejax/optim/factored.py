"""Adafactor and SM3: second moments of large matrices, stored by rows and columns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import tree
from anejax.optim.base import GradientTransformation, need_params, safe_increment, zero_count, zeros_like
from anejax.optim.transform import moment
from anejax.tree import PyTree


class FactoredState(NamedTuple):
    """The step, and second moments: of rows and columns if they are factored, else of all elements."""

    count: Any
    v_row: Any
    v_col: Any
    v: Any


def _growing_decay(step: Any, exponent: Any) -> Any:
    return 1.0 - (jnp.asarray(step) + 1).astype(jnp.float32) ** (-exponent)


def _columns(results: list[tuple], structure: Any) -> tuple:
    """A tree for each place of the tuples that a function returned for the leaves."""
    return tuple(tree.unflatten(structure, list(column)) for column in zip(*results))


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Any = 0.8,
    step_offset: Any = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Any = 1e-30,
    decay_rate_fn: Callable[[Any, Any], Any] = _growing_decay,
) -> GradientTransformation:
    """Gradients over the root of their second moment, kept for the two longest axes apart (Shazeer and Stern, 2018).

    Arrays whose second longest axis is shorter than ``min_dim_size_to_factor`` have the second moment of each element.
    """

    def factored_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
        order = np.argsort(shape)
        if not factored or len(shape) < 2 or shape[order[-2]] < min_dim_size_to_factor:
            return None
        return int(order[-2]), int(order[-1])

    def init(params: PyTree) -> FactoredState:
        def first(p: Any) -> tuple:
            axes, none = factored_axes(p.shape), jnp.zeros((1,), p.dtype)
            if axes is None:
                return none, none, jnp.zeros_like(p)
            row, column = (jnp.zeros(tuple(np.delete(p.shape, axis)), p.dtype) for axis in reversed(axes))
            return row, column, none

        leaves, structure = tree.flatten(params)
        return FactoredState(zero_count(), *_columns([first(p) for p in leaves], structure))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("scale_by_factored_rms", params)
        decay = decay_rate_fn(state.count - step_offset, decay_rate)

        def blended(old: Any, new: Any) -> Any:
            return (decay * old + (1.0 - decay) * new).astype(old.dtype)

        def step(g: Any, row: Any, column: Any, v: Any, p: Any) -> tuple:
            axes, square = factored_axes(p.shape), jnp.square(g) + epsilon
            if axes is None:
                v = blended(v, square)
                return g * v**-0.5, row, column, v
            short, long = axes
            row, column = blended(row, jnp.mean(square, long)), blended(column, jnp.mean(square, short))
            mean = jnp.mean(row, short - 1 if short > long else short, keepdims=True)
            scale = jnp.expand_dims((row / mean) ** -0.5, long) * jnp.expand_dims(column**-0.5, short)
            return g * scale, row, column, v

        leaves, structure = tree.flatten(updates)
        rest = (tree.leaves(t) for t in (state.v_row, state.v_col, state.v, params))
        steps, *moments = _columns([step(*each) for each in zip(leaves, *rest)], structure)
        return steps, FactoredState(safe_increment(state.count), *moments)

    return GradientTransformation(init, update)


class ScaleBySM3State(NamedTuple):
    """The largest second moments along each axis of each array, and the first moment."""

    mu: Any
    nu: Any


def scale_by_sm3(b1: Any = 0.9, b2: Any = 1.0, eps: Any = 1e-8) -> GradientTransformation:
    """The first moment of gradients over the root of a bound of their squares, kept by axis (Anil et al., 2019)."""
    share = 1.0 if b2 == 1.0 else 1.0 - b2

    def others(axis: int, ndim: int) -> tuple[int, ...]:
        return tuple(a for a in range(ndim) if a != axis)

    def init(params: PyTree) -> ScaleBySM3State:
        bounds = tree.map(lambda p: [jnp.zeros(n, p.dtype) for n in p.shape or ((),)], params)
        return ScaleBySM3State(bounds, zeros_like(params))

    def step(g: Any, bounds: Any) -> tuple:
        along = [jnp.expand_dims(b, others(axis, g.ndim)) for axis, b in enumerate(bounds)] if g.ndim > 1 else bounds
        known = functools.reduce(jnp.minimum, along)
        total = share * jnp.square(g) + b2 * known
        scaled = g * jnp.where(total > 0, 1 / jnp.sqrt(total + eps), 0.0)
        return scaled, [jnp.max(total, others(axis, g.ndim)) for axis in range(g.ndim)] if g.ndim > 1 else [total]

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        leaves, structure = tree.flatten(updates)
        bounds = structure.flatten_up_to(state.mu)
        scaled, mu = _columns([step(g, b) for g, b in zip(leaves, bounds)], structure)
        nu = moment(scaled, state.nu, b1, 1)
        return nu, ScaleBySM3State(mu, nu)

    return GradientTransformation(init, update)
