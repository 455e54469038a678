"""jax.custom_batching on anejax: functions with a vmap rule that the user writes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from anejax import tree
from anejax.api.control import map_
from anejax.api.flat import FlatFunction, check_leaves, name_of
from anejax.errors import TreeError
from anejax.ops.families import move_axis
from anejax.transforms.custom import custom_vmap_call_p
from anejax.transforms.stage import stage

__all__ = [
    "custom_vmap", "sequential_vmap"
]  # fmt: skip


class custom_vmap:
    """A function whose ``vmap`` is a rule of yours, ``(axis_size, in_batched, *args) -> (output, out_batched)``.

    Mapped arguments reach the rule with the mapped axis first; ``in_batched`` and ``out_batched`` are trees of bools
    like the arguments and the output. Derivatives are those of the function itself. ``vmap`` of forward mode
    differentiates the rule; in reverse mode the rule does not hold.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> from anejax.custom_batching import custom_vmap
        >>> @custom_vmap
        ... def total(x): return jnp.sum(x)
        >>> @total.def_vmap
        ... def rule(axis_size, in_batched, xs): return jnp.sum(xs, axis=1), True
        >>> aj.vmap(total)(jnp.ones((2, 3)))
        Array([3., 3.], dtype=float32)
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self._fun = fun
        self._rule: Callable[..., Any] | None = None

    def def_vmap(self, vmap_rule: Callable[..., Any]) -> Callable[..., Any]:
        """Sets the rule. Returns it."""
        self._rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any) -> Any:
        name = name_of(self._fun)
        vmap_rule = self._rule
        if vmap_rule is None:
            raise AttributeError(f"[custom_vmap] {name} has no rule yet: set one with @{name}.def_vmap.")
        leaves, in_tree = tree.flatten((args, {}))
        flat = FlatFunction(self._fun, in_tree)
        graph, consts = stage(flat, check_leaves(name, "an argument", leaves, in_tree))
        count = len(consts)

        def rule(size: int, values: list[Any], dims: list[int | None]) -> tuple[list[Any], list[int | None]]:
            if any(d is not None for d in dims[:count]):
                raise TreeError(f"[custom_vmap] {name} closes over a mapped value; pass it as an argument.")
            moved = [v if d is None else move_axis(v, d, 0) for v, d in zip(values[count:], dims[count:])]
            batched = tree.unflatten(in_tree, [d is not None for d in dims[count:]])[0]
            found = vmap_rule(size, list(batched), *tree.unflatten(in_tree, moved)[0])
            if not (isinstance(found, tuple) and len(found) == 2):
                raise TypeError(f"[custom_vmap] the rule of {name} must return (output, out_batched).")
            outs = tree.flatten_up_to(flat.out_tree, found[0], f"what the rule of {name} returned")
            flags = tree.broadcast_prefix(found[1], tree.unflatten(flat.out_tree, outs))
            return outs, [0 if f else None for f in flags]

        outs = custom_vmap_call_p.bind(*consts, *leaves, graph=graph, rule=rule, name=name)
        return tree.unflatten(flat.out_tree, outs)


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """``f``, mapped by a loop over examples instead of by wider operations: less memory, one example at a time."""
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(axis_size: int, in_batched: Any, *args: Any) -> Any:
        leaves, treedef = tree.flatten(args)
        flags = tree.leaves(in_batched)

        def one(given: list[Any]) -> Any:
            mapped_leaves = iter(given)
            return f(*tree.unflatten(treedef, [next(mapped_leaves) if b else x for x, b in zip(leaves, flags)]))

        out = map_(one, [x for x, b in zip(leaves, flags) if b])
        return out, tree.map(lambda _: True, out)

    return mapped
