"""The definition of an optimizer: the pure functions ``init(params) -> state`` and ``update(grads, state, params)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, tree, tree_util
from anejax.errors import TreeError
from anejax.tree import PyTree

Schedule = Callable[[Any], Any]
ScalarOrSchedule = Any  # a number, or a function of the step
Params = Any  # a tree of arrays
Updates = Any  # a tree like the parameters
OptState = Any  # the tree that an optimizer keeps from step to step
MaskOrFn = Any  # a prefix tree of bools, a function of the parameters that gives one, or None
TransformInitFn = Callable[[Any], Any]
TransformUpdateFn = TransformUpdateExtraArgsFn = Callable[..., tuple[Any, Any]]


class GradientTransformation(NamedTuple):
    """``init(params) -> state`` and ``update(updates, state, params=None) -> (updates, state)``."""

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class GradientTransformationExtraArgs(GradientTransformation):
    """A GradientTransformation whose ``update`` takes further arguments by name, such as the loss (``value``)."""


def with_extra_args_support(tx: GradientTransformation) -> GradientTransformationExtraArgs:
    """``tx`` as one that takes further arguments by name: it is itself if it uses them, and else drops them."""
    if isinstance(tx, GradientTransformationExtraArgs):
        return tx
    return GradientTransformationExtraArgs(
        tx.init, lambda updates, state, params=None, **extra_args: tx.update(updates, state, params)
    )


class EmptyState(NamedTuple):
    """The state of a transformation that keeps none."""


# names that optax gives the empty state
ScaleState = ClipState = ClipByGlobalNormState = AddDecayedWeightsState = EmptyState
ScaleByTrustRatioState = AdaptiveGradClipState = NonNegativeParamsState = EmptyState


def init_empty_state(params: PyTree) -> EmptyState:
    """``init`` of a transformation without state."""
    return EmptyState()


no_state = init_empty_state


def is_none(x: Any) -> bool:
    """A predicate for ``is_leaf``, so that parameters that are None stay None."""
    return x is None


def map_leaves(f: Callable[..., Any], updates: PyTree, *rest: Any) -> PyTree:
    """``f`` over the leaves of trees like ``updates``; None stays None."""
    return tree.map(lambda u, *xs: None if u is None else f(u, *xs), updates, *rest, is_leaf=is_none)


def need_params(op: str, params: PyTree) -> None:
    """Raises TreeError when ``update`` was called without the parameters that it needs."""
    if params is None:
        raise TreeError(f"[{op}] expected the parameters, got None. Call update(grads, state, params).")


def zeros_like(params: PyTree, dtype: Any = None) -> PyTree:
    """Zeros in the shapes of ``params``."""
    return tree.map(lambda p: jnp.zeros_like(p, dtype=dtype), params)


def cast(values: PyTree, dtype: Any) -> PyTree:
    """``values`` in ``dtype``, or as they are when it is None."""
    return values if dtype is None else tree.map(lambda v: v.astype(dtype), values)


def zero_count() -> Any:
    """The step before the first: 0 in int32."""
    return jnp.zeros((), jnp.int32)


def safe_increment(count: Any) -> Any:
    """count + 1, but the largest integer stays as it is."""
    dtype = jnp.asarray(count).dtype
    if not (dtypes.is_int(dtype) or dtypes.is_float(dtype)):
        raise TypeError(f"[safe_increment] expected an integer or a float, got {dtype}.")
    info = dtypes.iinfo(dtype) if dtypes.is_int(dtype) else dtypes.finfo(dtype)
    largest = np.asarray(info.max, dtype)
    return jnp.where(count < largest, count + np.asarray(1, dtype), largest)


def identity() -> GradientTransformation:
    """Leaves updates as they are."""
    return GradientTransformation(no_state, lambda updates, state, params=None: (updates, state))


def set_to_zero() -> GradientTransformation:
    """Replaces updates by zeros."""
    return GradientTransformation(no_state, lambda updates, state, params=None: (zeros_like(updates), state))


@tree_util.register_pytree_node_class
class ParamsPlaceholder:
    """Stands for the parameters while ``tree_map_params`` looks for the places that are like them."""

    def tree_flatten(self) -> tuple[tuple[()], None]:
        """No leaves."""
        return (), None

    @classmethod
    def tree_unflatten(cls, aux: Any, children: Any) -> ParamsPlaceholder:
        """Another one."""
        return cls()


def stateless(f: Callable[[Any, Any], Any]) -> GradientTransformation:
    """A transformation from a function of (updates, params)."""
    return GradientTransformation(no_state, lambda updates, state, params=None: (f(updates, params), state))


def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> GradientTransformation:
    """A transformation from a function of one array of updates and that of the parameters (None without parameters)."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        if params is None:
            return tree.map(lambda u: f(u, None), updates), state
        return tree.map(f, updates, params), state

    return GradientTransformation(no_state, update)


def chain(*args: GradientTransformation) -> GradientTransformationExtraArgs:
    """The transformations one after the other; the state is a tuple of theirs.

    Example:
        >>> from anejax import optim
        >>> opt = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3))
    """

    parts = [with_extra_args_support(t) for t in args]

    def init(params: PyTree) -> PyTree:
        return tuple(t.init(params) for t in parts)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        if not isinstance(state, (tuple, list)) or len(state) != len(args):
            raise TreeError(f"[chain] expected the state of {len(args)} transformations, as init returns it.")
        states = []
        for transformation, s in zip(parts, state):
            updates, s = transformation.update(updates, s, params, **extra_args)
            states.append(s)
        return updates, tuple(states)

    return GradientTransformationExtraArgs(init, update)


def safe_int32_increment(count: Any) -> Any:
    """The former name of ``safe_increment``."""
    return safe_increment(count)


def apply_updates(params: PyTree, updates: PyTree) -> PyTree:
    """params + updates, each in the dtype of its parameter."""
    return map_leaves(lambda p, u: jnp.asarray(p + u).astype(jnp.asarray(p).dtype), params, updates)


def global_norm(updates: PyTree) -> PyTree:
    """The root of the sum of squares of all leaves."""
    total: Any = 0
    for leaf in tree.leaves(updates):
        total = total + jnp.sum(jnp.square(leaf))
    return jnp.sqrt(total)


class MaskedNode(NamedTuple):
    """Takes the place of a leaf whose mask is False."""


class MaskedState(NamedTuple):
    """The state of a masked transformation."""

    inner_state: Any


def masked(
    inner: GradientTransformation, mask: Any, *, mask_compatible_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Applies ``inner`` to arrays for which ``mask`` is True. ``mask`` is a prefix tree of bools or a function of the
    parameters.

    With ``mask_compatible_extra_args`` further arguments that are trees like the updates are masked as well.
    """
    inner = with_extra_args_support(inner)

    def hidden(values: PyTree, chosen: Any) -> PyTree:
        return tree.map(lambda m, v: v if m else MaskedNode(), chosen, values)

    def mask_of(values: PyTree) -> PyTree:
        return mask(values) if callable(mask) else mask

    def init(params: PyTree) -> PyTree:
        if isinstance(params, ParamsPlaceholder):
            return MaskedState(inner.init(params))
        return MaskedState(inner.init(hidden(params, mask_of(params))))

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any) -> PyTree:
        chosen = mask_of(updates)
        seen = None if params is None else hidden(params, chosen)
        if mask_compatible_extra_args:
            like = tree.structure(updates)
            extra_args = {k: hidden(v, chosen) if tree.structure(v) == like else v for k, v in extra_args.items()}
        changed, inner_state = inner.update(hidden(updates, chosen), state.inner_state, seen, **extra_args)
        merged = tree.map(lambda m, new, old: new if m else old, chosen, changed, updates)
        return merged, MaskedState(inner_state)

    return GradientTransformationExtraArgs(init, update)
