"""Gradient accumulation: one step of an optimizer for every k small batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import dtypes
from anejax.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    map_leaves,
    safe_increment,
    with_extra_args_support,
    zero_count,
    zeros_like,
)
from anejax.tree import PyTree


class MultiStepsState(NamedTuple):
    """Small steps since the last update, updates so far, the optimizer's state, and the gradients collected."""

    mini_step: Any
    gradient_step: Any
    inner_opt_state: Any
    acc_grads: Any
    skip_state: Any = ()


ShouldSkipUpdateFunction = Callable[[Any, Any, Any], tuple[Any, Any]]  # (updates, gradient_step, params)


class MultiSteps:
    """Collects the gradients of ``every_k_schedule`` calls (an int, or a function of the updates so far) into one.

    The other calls return updates of zero. ``use_grad_mean`` takes their mean, otherwise their sum.
    ``should_skip_update_fn(updates, gradient_step, params)`` returns a bool[] and a tree: if it is True, the
    call changes nothing, except that the tree becomes ``skip_state`` (see ``skip_not_finite``).
    """

    def __init__(
        self,
        opt: GradientTransformation,
        every_k_schedule: int | Callable[[Any], Any],
        use_grad_mean: bool = True,
        should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
        accumulator_dtype: Any = dtypes.float32,
    ) -> None:
        if isinstance(every_k_schedule, int) and every_k_schedule < 1:
            raise ValueError(f"[MultiSteps] expected at least 1 step, got {every_k_schedule}.")
        self.inner_opt = with_extra_args_support(opt)
        self._every_k = (lambda step: every_k_schedule) if isinstance(every_k_schedule, int) else every_k_schedule
        self._mean = use_grad_mean
        self._should_skip = should_skip_update_fn or (lambda updates, step, params: (jnp.asarray(False), ()))
        self._dtype = dtypes.canonical(accumulator_dtype)

    def init(self, params: PyTree) -> MultiStepsState:
        """The state before the first gradients."""
        step = zero_count()
        _, skip_state = self._should_skip(zeros_like(params), step, params)
        inner, collected = self.inner_opt.init(params), zeros_like(params, self._dtype)
        return MultiStepsState(zero_count(), step, inner, collected, skip_state)

    def _collected(self, grads: PyTree, state: MultiStepsState) -> Any:
        if self._mean:
            return map_leaves(lambda g, a: a + (g - a) / (state.mini_step + 1), grads, state.acc_grads)
        return map_leaves(lambda g, a: g + a, grads, state.acc_grads)

    def update(
        self, updates: PyTree, state: MultiStepsState, params: PyTree = None, **extra_args: Any
    ) -> tuple[Any, MultiStepsState]:
        """(updates, state): those of the optimizer at every k-th call, zeros at the others."""
        k = self._every_k(state.gradient_step)
        collected = self._collected(updates, state)
        seen = map_leaves(lambda a, u: a.astype(u.dtype), collected, updates)
        steps, inner = self.inner_opt.update(seen, state.inner_opt_state, params, **extra_args)
        skip, skip_state = self._should_skip(updates, state.gradient_step, params)
        kept = jnp.logical_not(skip)
        last = state.mini_step == k - 1
        emit = kept & last

        def chosen(condition: Any, new: Any, old: Any) -> Any:
            return jnp.where(condition, new, old).astype(old.dtype)

        emptied = map_leaves(lambda a: jnp.where(last, jnp.zeros_like(a), a), collected)
        new_state = MultiStepsState(
            mini_step=chosen(kept, safe_increment(state.mini_step) % k, state.mini_step),
            gradient_step=chosen(emit, safe_increment(state.gradient_step), state.gradient_step),
            inner_opt_state=map_leaves(lambda n, o: chosen(emit, n, o), inner, state.inner_opt_state),
            acc_grads=map_leaves(lambda n, o: chosen(kept, n, o), emptied, state.acc_grads),
            skip_state=skip_state,
        )
        return map_leaves(lambda s: jnp.where(emit, s, jnp.zeros_like(s)), steps), new_state

    def has_updated(self, state: MultiStepsState) -> PyTree:
        """Whether the last call was one that updated."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformationExtraArgs:
        """The same as a pair of functions."""
        return GradientTransformationExtraArgs(self.init, self.update)
