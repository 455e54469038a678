"""Optimizers around optimizers: hyperparameters as state, skipped steps, different rules for parts of the
parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import dtypes, tree
from anejax.amp import all_finite
from anejax.errors import TreeError
from anejax.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    ParamsPlaceholder,
    is_none,
    map_leaves,
    masked,
    need_params,
    safe_increment,
    set_to_zero,
    with_extra_args_support,
    zero_count,
)
from anejax.tree import PyTree

# --- hyperparameters as state -----------------------------------------------------------------------------------------


class InjectHyperparamsState(NamedTuple):
    """The number of steps taken, the values of the hyperparameters, and the optimizer's own state."""

    count: Any
    hyperparams: dict[str, Any]
    inner_state: Any


def inject_hyperparams(
    inner_factory: Callable[..., GradientTransformation],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: Any = None,
) -> Callable[..., GradientTransformation]:
    """``inner_factory`` with its numeric hyperparameters in the state, so that you can read and change them.

    Numbers may be schedules; what ``static_args`` names, bools and anything else stay as they are. A value that is
    changed in ``state.hyperparams`` holds from the next step on; a schedule is followed whatever is written there.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> opt = optim.inject_hyperparams(optim.sgd)(learning_rate=0.5)
        >>> state = opt.init({"w": jnp.ones(2)})
        >>> state.hyperparams["learning_rate"] = jnp.asarray(0.25)
        >>> opt.update({"w": jnp.ones(2)}, state)[0]
        {'w': Array([-0.25, -0.25], dtype=float32)}

    Raises:
        ValueError: ``static_args`` names no parameter of ``inner_factory``.
    """
    static = {static_args} if isinstance(static_args, str) else set(static_args)
    signature = inspect.signature(inner_factory)
    if unknown := sorted(static - set(signature.parameters)):
        raise ValueError(f"[inject_hyperparams] expected names of parameters in static_args, got {unknown[0]!r}.")

    @functools.wraps(inner_factory)
    def made(*args: Any, **kwargs: Any) -> GradientTransformation:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        schedules, numbers, others = _sorted_arguments(bound.arguments, static)

        def values(count: Any, current: Mapping[str, Any], params: PyTree) -> dict[str, Any]:
            dtype = hyperparam_dtype or _widest(params)
            found = {**current, **{name: f(count) for name, f in schedules.items()}}
            return {name: _as_float(value, dtype) for name, value in found.items()}

        def init(params: PyTree) -> InjectHyperparamsState:
            count = zero_count()
            found = values(count, numbers, params)
            return InjectHyperparamsState(count, found, inner_factory(**others, **found).init(params))

        def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
            found = values(state.count, state.hyperparams, updates if params is None else params)
            made_now = with_extra_args_support(inner_factory(**others, **found))
            updates, inner = made_now.update(updates, state.inner_state, params, **extra_args)
            return updates, InjectHyperparamsState(safe_increment(state.count), found, inner)

        return GradientTransformationExtraArgs(init, update)

    return made


def _sorted_arguments(arguments: Mapping[str, Any], static: set[str]) -> tuple[dict, dict, dict]:
    """(schedules, numbers, the rest) of the arguments of an optimizer."""
    schedules, numbers, others = {}, {}, {}
    for name, value in arguments.items():
        if name in static or isinstance(value, bool):
            others[name] = value
        elif callable(value):
            schedules[name] = value
        elif isinstance(value, (int, float)) or hasattr(value, "dtype"):
            numbers[name] = value
        else:
            others[name] = value
    return schedules, numbers, others


def _widest(params: PyTree) -> Any:
    found = [leaf.dtype for leaf in tree.leaves(params) if hasattr(leaf, "dtype")]
    return functools.reduce(jnp.promote_types, found) if found else dtypes.float32


def _as_float(value: Any, dtype: Any) -> Any:
    value = jnp.asarray(value)
    return value.astype(dtype) if dtypes.is_float(value.dtype) else value


# --- steps that are skipped -------------------------------------------------------------------------------------------


class ApplyIfFiniteState(NamedTuple):
    """Bad steps in a row, whether the last was good, bad steps in all, and the optimizer's own state."""

    notfinite_count: Any
    last_finite: Any
    total_notfinite: Any
    inner_state: Any


def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int) -> GradientTransformation:
    """``inner`` in steps whose gradients are finite; in other steps updates are zeros and the state stays.

    After ``max_consecutive_errors`` bad steps in a row, further ones are applied as they are.
    """

    inner = with_extra_args_support(inner)

    def init(params: PyTree) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(zero_count(), jnp.asarray(True), zero_count(), inner.init(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        finite = all_finite(updates)
        in_a_row = jnp.where(finite, 0, safe_increment(state.notfinite_count))
        applied = finite | (in_a_row > max_consecutive_errors)
        steps, inner_state = inner.update(updates, state.inner_state, params, **extra_args)
        total = jnp.where(finite, state.total_notfinite, safe_increment(state.total_notfinite))
        new_state = ApplyIfFiniteState(in_a_row, finite, total, _chosen(applied, inner_state, state.inner_state))
        return map_leaves(lambda s: jnp.where(applied, s, jnp.zeros_like(s)), steps), new_state

    return GradientTransformationExtraArgs(init, update)


def _chosen(condition: Any, new: Any, old: Any) -> Any:
    return map_leaves(lambda n, o: jnp.where(condition, n, o).astype(o.dtype), new, old)


def skip_not_finite(updates: PyTree, gradient_step: Any, params: PyTree) -> tuple[Any, dict[str, Any]]:
    """A condition for MultiSteps that skips gradients with an infinity or NaN; the state counts these numbers."""
    bad = [jnp.sum(jnp.logical_not(jnp.isfinite(leaf)).astype(jnp.int32)) for leaf in tree.leaves(updates)]
    count = sum(bad, jnp.zeros((), jnp.int32))
    return count > 0, {"should_skip": count > 0, "num_not_finite": count}


def skip_large_updates(
    updates: PyTree, gradient_step: Any, params: PyTree, max_squared_norm: Any
) -> tuple[Any, dict[str, Any]]:
    """For MultiSteps: skips gradients if their squared global norm is ``max_squared_norm`` or more, or NaN."""
    squares = [jnp.sum(jnp.square(leaf)) for leaf in tree.leaves(updates)]
    norm = sum(squares, jnp.zeros((), jnp.float32))
    skip = jnp.logical_not(norm < max_squared_norm)
    return skip, {"should_skip": skip, "norm_squared": norm}


# --- parts with separate rules ----------------------------------------------------------------------------------------


class PartitionState(NamedTuple):
    """The states of the parts, by label."""

    inner_states: dict[Hashable, Any]


MultiTransformState = PartitionState  # its former name


def partition(
    transforms: Mapping[Hashable, GradientTransformation],
    param_labels: Any,
    *,
    mask_compatible_extra_args: bool = False,
) -> GradientTransformationExtraArgs:
    """Each leaf by the transformation that its label names.

    ``param_labels`` is a prefix tree of labels, or a function of the parameters that gives one.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> parts = {"slow": optim.sgd(0.5), "still": optim.set_to_zero()}
        >>> opt = optim.partition(parts, {"w": "slow", "b": "still"})
        >>> grads = {"w": jnp.ones(1), "b": jnp.ones(1)}
        >>> opt.update(grads, opt.init(grads))[0]
        {'b': Array([0.], dtype=float32), 'w': Array([-0.5], dtype=float32)}

    Raises:
        TreeError: a label has no transformation.
    """

    def labels_of(values: PyTree) -> PyTree:
        found = param_labels(values) if callable(param_labels) else param_labels
        if unknown := [label for label in tree.leaves(found) if label not in transforms]:
            raise TreeError(f"[partition] expected labels of {sorted(map(str, transforms))}, got {unknown[0]!r}.")
        return found

    def part(label: Hashable, values: PyTree) -> GradientTransformationExtraArgs:
        chosen = tree.map(lambda found: found == label, labels_of(values))
        return masked(transforms[label], chosen, mask_compatible_extra_args=mask_compatible_extra_args)

    def init(params: PyTree) -> PartitionState:
        if isinstance(params, ParamsPlaceholder):
            return PartitionState({label: masked(t, True).init(params) for label, t in transforms.items()})
        return PartitionState({label: part(label, params).init(params) for label in transforms})

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        states = {}
        for label in transforms:
            transformation = part(label, updates)
            updates, states[label] = transformation.update(updates, state.inner_states[label], params, **extra_args)
        return updates, PartitionState(states)

    return GradientTransformationExtraArgs(init, update)


multi_transform = partition


def named_chain(*args: tuple[str, GradientTransformation]) -> GradientTransformationExtraArgs:
    """``chain`` of (name, transformation) pairs; the state is a dictionary by name."""
    names = [name for name, _ in args]
    if len(set(names)) != len(names):
        raise ValueError(f"[named_chain] expected names that differ, got {names}.")

    parts = {name: with_extra_args_support(t) for name, t in args}

    def init(params: PyTree) -> dict[str, Any]:
        return {name: t.init(params) for name, t in parts.items()}

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        states = {}
        for name, t in parts.items():
            updates, states[name] = t.update(updates, state[name], params, **extra_args)
        return updates, states

    return GradientTransformationExtraArgs(init, update)


# --- averages of parameters -------------------------------------------------------------------------------------------


class LookaheadParams(NamedTuple):
    """Parameters that the fast optimizer moves, and those that follow them every few steps."""

    fast: Any
    slow: Any

    @classmethod
    def init_synced(cls, params: PyTree) -> LookaheadParams:
        """Both at ``params``."""
        return cls(fast=params, slow=params)


class LookaheadState(NamedTuple):
    """The fast optimizer's state, and its steps since the last synchronisation."""

    fast_state: Any
    steps_since_sync: Any


def lookahead(
    fast_optimizer: GradientTransformation, sync_period: int, slow_step_size: Any, reset_state: bool = False
) -> GradientTransformation:
    """Every ``sync_period`` steps, moves the slow parameters towards the fast ones and restarts the fast ones from
    there.

    Works on ``LookaheadParams``; gradients are those of the fast ones (Zhang et al., 2019).
    """
    if sync_period < 1:
        raise ValueError(f"[lookahead] expected a sync_period of at least 1, got {sync_period}.")

    def pair(params: PyTree) -> LookaheadParams:
        need_params("lookahead", params)
        if not isinstance(params, LookaheadParams):
            raise TreeError(f"[lookahead] expected LookaheadParams(fast, slow), got {type(params).__name__}.")
        return params

    def init(params: PyTree) -> LookaheadState:
        return LookaheadState(fast_optimizer.init(pair(params).fast), zero_count())

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        fast, slow = pair(params)
        steps, fast_state = fast_optimizer.update(updates, state.fast_state, fast)
        sync = state.steps_since_sync == sync_period - 1
        if reset_state:
            fast_state = _chosen(sync, fast_optimizer.init(fast), fast_state)
        ahead = map_leaves(lambda f, s: f - s, fast, slow)  # less what this step adds
        slow_steps = map_leaves(lambda d, u: jnp.where(sync, slow_step_size * (d + u), 0.0), ahead, steps)
        fast_steps = map_leaves(lambda d, u, s: jnp.where(sync, s - d, u), ahead, steps, slow_steps)
        return LookaheadParams(fast_steps, slow_steps), LookaheadState(
            fast_state, jnp.where(sync, 0, state.steps_since_sync + 1).astype(jnp.int32)
        )

    return GradientTransformation(init, update)


def incremental_update(new_tensors: Any, old_tensors: Any, step_size: Any) -> Any:
    """old + step_size * (new - old): a moving average of parameters, as for a target network."""
    return tree.map(
        lambda new, old: None if new is None else step_size * new + (1.0 - step_size) * old,
        new_tensors,
        old_tensors,
        is_leaf=is_none,
    )


def periodic_update(new_tensors: Any, old_tensors: Any, steps: Any, update_period: int) -> Any:
    """``new_tensors`` when ``steps`` is a multiple of ``update_period``, otherwise ``old_tensors``."""
    return map_leaves(lambda n, o: jnp.where(steps % update_period == 0, n, o), new_tensors, old_tensors)


def freeze(mask: Any) -> GradientTransformation:
    """Zeros where ``mask`` is True: those parameters stay as they are."""
    return masked(set_to_zero(), mask)


def selective_transform(optimizer: GradientTransformation, *, freeze_mask: Any) -> GradientTransformation:
    """``optimizer`` where ``freeze_mask`` (a prefix tree of bools) is False, and zero updates without state where it is
    True."""
    labels = tree.map(lambda frozen: "freeze" if frozen else "train", freeze_mask)
    return partition({"train": optimizer, "freeze": set_to_zero()}, labels)
