"""Registers classes that are pytree nodes in jax as nodes of anejax's pytrees."""

from __future__ import annotations

import functools
from typing import Any

from anejax import tree as trees
from anejax.interop.interpret import import_jax
from anejax.random import KeyArray


def adopt_trees(tree: Any) -> None:
    """Makes every class of ``tree`` that jax knows as a pytree node one of anejax's, so that ``grad``, ``vmap`` and
    ``jit`` take its instances: modules of Equinox, states of Flax, and whatever else is registered with jax.

    ``from_jax`` does it with the arguments and results of its functions; call it for a tree that is first given to a
    transformation.

    Example:
        >>> import anejax as aj, jax, jax.numpy as jnp
        >>> class Pair:
        ...     def __init__(self, a, b):
        ...         self.a, self.b = a, b
        >>> jax.tree_util.register_pytree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, ab: Pair(*ab))
        >>> pair = Pair(jnp.ones(2), 3.0)
        >>> aj.interop.adopt_trees(pair)
        >>> float(aj.grad(aj.from_jax(lambda p: (p.a * p.b).sum()))(pair).b)
        2.0
    """
    jax = import_jax()
    pending = [tree]
    while pending:
        node = pending.pop()
        children, structure = _one_level(node)
        if jax.tree_util.treedef_is_leaf(structure) and structure.num_leaves == 1:
            continue
        if not trees.is_node(type(node)):
            trees.register_node(type(node), _one_level, jax.tree_util.tree_unflatten)
        pending += children


@functools.cache
def adopt_keys() -> None:
    """Registers jax's typed keys as nodes of anejax's trees. Rebuilt trees contain typed keys of anejax."""
    jax = import_jax()
    trees.register_node(
        type(jax.random.key(0)), lambda key: ([jax.random.key_data(key)], None), lambda _, words: KeyArray(*words)
    )


def _one_level(node: Any) -> tuple[list[Any], Any]:
    return import_jax().tree_util.tree_flatten(node, is_leaf=lambda x: x is not node)
