"""Transformations that monitor updates, apply in some steps only, or see all parameters as one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import lax, tree
from anejax.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    ParamsPlaceholder,
    chain,
    is_none,
    need_params,
    no_state,
    safe_increment,
    stateless,
    with_extra_args_support,
    zero_count,
    zeros_like,
)
from anejax.optim.transform import ema
from anejax.tree import PyTree

ConditionFn = Callable[..., Any]  # (step, and further arguments by name) -> bool[]


class ConditionallyTransformState(NamedTuple):
    """The state of the transformation, and the step."""

    inner_state: Any
    step: Any


class ConditionallyMaskState(NamedTuple):
    """The step, and the state of the transformation."""

    step: Any
    inner_state: Any


def _conditional(inner: Any, wanted: Callable[..., Any], forward: bool, otherwise: Any, kind: Any) -> Any:
    inner = with_extra_args_support(inner)

    def init(params: PyTree) -> PyTree:
        return kind(inner_state=inner.init(params), step=zero_count())

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        steps, inner_state = lax.cond(
            wanted(state.step, **(extra_args if forward else {})),
            lambda: inner.update(updates, state.inner_state, params, **extra_args),
            lambda: (otherwise(updates), state.inner_state),
        )
        return steps, kind(inner_state=inner_state, step=safe_increment(state.step))

    return GradientTransformationExtraArgs(init, update)


def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """``inner`` in steps where ``should_transform_fn(step)`` is True; updates stay as they are in the others.

    With ``forward_extra_args`` the function also gets the further arguments of ``update``.

    Example:
        >>> from anejax import optim
        >>> opt = optim.chain(optim.conditionally_transform(optim.clip(1.0), lambda step: step < 100), optim.sgd(0.1))
    """
    return _conditional(inner, should_transform_fn, forward_extra_args, lambda u: u, ConditionallyTransformState)


def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """``inner`` in steps where ``should_transform_fn(step)`` is True; updates are zeros in the others."""
    return _conditional(inner, should_transform_fn, forward_extra_args, zeros_like, ConditionallyMaskState)


class SnapshotState(NamedTuple):
    """The last measurement, by its name."""

    measurement: Any


def snapshot(measure_name: str, measure: Callable[[Any], Any]) -> GradientTransformation:
    """Leaves updates as they are, and keeps ``measure(updates)`` in the state."""
    return GradientTransformation(
        lambda params: SnapshotState({measure_name: measure(params)}),
        lambda updates, state, params=None: (updates, SnapshotState({measure_name: measure(updates)})),
    )


class MonitorState(NamedTuple):
    """The last measurements, by their names, and the states of the transformations that make them."""

    measurements: dict[str, Any]
    measure_states: tuple[Any, ...]


def monitor(measures: Mapping[str, Any]) -> GradientTransformationExtraArgs:
    """Leaves updates as they are, and keeps measurements of them in the state.

    A measure is a function of the updates, or a transformation whose updates are the measurement, such as
    ``measure_with_ema``.
    """
    parts = {
        name: with_extra_args_support(m if not callable(m) else stateless(lambda updates, _, m=m: m(updates)))
        for name, m in measures.items()
    }

    def init(params: PyTree) -> MonitorState:
        return MonitorState({}, tuple(m.init(params) for m in parts.values()))

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        results = [m.update(updates, s, params, **extra_args) for m, s in zip(parts.values(), state.measure_states)]
        found = {name: value for name, (value, _) in zip(parts, results)}
        return updates, MonitorState(found, tuple(s for _, s in results))

    return GradientTransformationExtraArgs(init, update)


def measure_with_ema(
    measure: Callable[[Any], Any], decay: Any, debias: bool = True, accumulator_dtype: Any = None
) -> GradientTransformationExtraArgs:
    """A measure for ``monitor``: the exponential moving average of ``measure(updates)``."""
    average = ema(decay, debias, accumulator_dtype)
    measured = average._replace(init=lambda params: average.init(measure(params)))
    return chain(stateless(lambda updates, _: measure(updates)), measured)


def flatten(inner: GradientTransformation) -> GradientTransformationExtraArgs:
    """Applies ``inner`` to one vector of all parameters, which is faster for many small arrays."""
    inner = with_extra_args_support(inner)

    def vector(values: PyTree) -> PyTree:
        return jnp.concatenate([jnp.reshape(leaf, (-1,)) for leaf in tree.leaves(values)])

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        seen = None if params is None else vector(params)
        flat, state = inner.update(vector(updates), state, seen, **extra_args)
        leaves, structure = tree.flatten(updates)
        ends = np.cumsum([leaf.size for leaf in leaves])
        parts = [flat[end - leaf.size : end].reshape(leaf.shape) for leaf, end in zip(leaves, ends)]
        return tree.unflatten(structure, parts), state

    return GradientTransformationExtraArgs(lambda params: inner.init(vector(params)), update)


def keep_params_nonnegative() -> GradientTransformation:
    """Updates that would make a parameter negative make it 0."""

    def kept(p: Any, u: Any) -> Any:
        return None if p is None else jnp.where(p + u < 0.0, -p, u)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("keep_params_nonnegative", params)
        return tree.map(kept, params, updates, is_leaf=is_none), state

    return GradientTransformation(no_state, update)


def tree_map_params(
    initable: Any,
    f: Callable[..., Any],
    state: PyTree,
    /,
    *rest: Any,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """``f`` over the parts of an optimizer's state that are trees like the parameters, such as moments.

    ``initable`` is the optimizer, or its ``init``; ``rest`` are trees like the parameters, whose leaves go to ``f`` as
    well. Other leaves become ``transform_non_params(leaf)`` where it is given.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> opt = optim.adam(1e-3)
        >>> state = optim.tree_map_params(opt, lambda m: m + 1, opt.init({"w": jnp.zeros(2)}))
        >>> state[0].mu, int(state[0].count)
        ({'w': Array([1., 1.], dtype=float32)}, 0)
    """
    places = getattr(initable, "init", initable)(ParamsPlaceholder())

    def mapped(place: Any, value: Any) -> Any:
        if isinstance(place, ParamsPlaceholder):
            return tree.map(f, value, *rest, is_leaf=is_leaf)
        return value if transform_non_params is None else transform_non_params(value)

    return tree.map(mapped, places, state, is_leaf=lambda v: isinstance(v, ParamsPlaceholder))
