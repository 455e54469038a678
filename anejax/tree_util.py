"""jax.tree_util on anejax: the functions of ``anejax.tree`` under their older names, and registration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from anejax import tree
from anejax.absent import getattr_of
from anejax.errors import TreeError
from anejax.tree import (
    DictKey as DictKey,
)
from anejax.tree import (
    FlattenedIndexKey as FlattenedIndexKey,
)
from anejax.tree import (
    GetAttrKey as GetAttrKey,
)
from anejax.tree import (
    Partial as Partial,
)
from anejax.tree import (
    PyTreeDef as PyTreeDef,
)
from anejax.tree import (
    SequenceKey as SequenceKey,
)
from anejax.tree import (
    flatten_one_level as flatten_one_level,
)
from anejax.tree import (
    keystr as keystr,
)
from anejax.tree import (
    register_static as register_static,
)

__all__ = [
    "DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "Partial", "PyTreeDef", "SequenceKey",
    "all_leaves", "flatten_one_level", "is_tree_node", "keystr", "register_dataclass", "register_pytree_node",
    "register_pytree_node_class", "register_pytree_with_keys", "register_pytree_with_keys_class", "register_static",
    "tree_all", "tree_broadcast", "tree_flatten", "tree_flatten_with_path", "tree_leaves", "tree_leaves_with_path",
    "tree_map", "tree_map_with_path", "tree_reduce", "tree_reduce_associative", "tree_structure", "tree_transpose",
    "tree_unflatten", "treedef_children", "treedef_is_leaf", "treedef_tuple"
]  # fmt: skip

KeyEntry = Any
KeyPath = tuple[Any, ...]

tree_all = tree.all
tree_broadcast = tree.broadcast
tree_flatten = tree.flatten
tree_flatten_with_path = tree.flatten_with_path
tree_leaves = tree.leaves
tree_leaves_with_path = tree.leaves_with_path
tree_map = tree.map
tree_map_with_path = tree.map_with_path
tree_reduce = tree.reduce
tree_reduce_associative = tree.reduce_associative
tree_structure = tree.structure
tree_transpose = tree.transpose
tree_unflatten = tree.unflatten
is_tree_node = tree.is_node
register_pytree_node_class = tree.register_node_class


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Hashable]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Hashable]] | None = None,
) -> None:
    """Makes instances of ``nodetype`` tree nodes.

    Args:
        nodetype: a class.
        flatten_func: instance -> (children, hashable aux data).
        unflatten_func: (aux data, children) -> instance.
        flatten_with_keys_func: instance -> ((key, child) pairs, aux data); gives the children names in key paths.
    """
    if flatten_with_keys_func is not None:
        tree.register_with_keys(nodetype, flatten_with_keys_func, unflatten_func)
    else:
        tree.register_node(nodetype, flatten_func, unflatten_func)


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Hashable]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Hashable]] | None = None,
) -> None:
    """Makes instances of ``nodetype`` tree nodes whose children have keys; ``flatten_func`` is not needed."""
    tree.register_with_keys(nodetype, flatten_with_keys, unflatten_func)


def register_pytree_with_keys_class(cls: type) -> type:
    """Class decorator for classes with ``tree_flatten_with_keys()`` and ``tree_unflatten(aux, children)``."""
    tree.register_with_keys(cls, lambda x: x.tree_flatten_with_keys(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_dataclass(
    nodetype: type,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> type:
    """Makes a dataclass a tree node; ``meta_fields`` are aux data. A class decorator when called with the class."""
    if drop_fields:
        raise TreeError(f"[register_dataclass] drop_fields is not supported, got {tuple(drop_fields)}.")
    return tree.register_dataclass(nodetype, data_fields, meta_fields)


def all_leaves(iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether every element is a leaf."""
    return all(tree.structure(x, is_leaf).is_leaf() for x in iterable)


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether ``treedef`` has no children: that of a single leaf, of None, or of an empty container."""
    return treedef.num_nodes == 1


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The treedefs of the children of the top node."""
    return treedef.children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The treedef of a tuple of trees."""
    defs = list(treedefs)
    return tree.structure(tuple(tree.unflatten(d, [0] * d.num_leaves) for d in defs))


__getattr__ = getattr_of(__name__)
