"""Pytrees, by optree with JAX's semantics: None is an empty tree, dictionaries are ordered by key.

Everything that the rest of anejax asks of trees goes through this module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import optree

from anejax.errors import TreeError

_NAMESPACE = "anejax"
PyTreeDef = optree.PyTreeSpec


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], PyTreeDef]:
    """(leaves, treedef) of ``tree``."""
    leaves, treedef = optree.tree_flatten(tree, is_leaf, namespace=_NAMESPACE)
    return leaves, treedef


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    return optree.tree_leaves(tree, is_leaf, namespace=_NAMESPACE)


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> PyTreeDef:
    return optree.tree_structure(tree, is_leaf, namespace=_NAMESPACE)


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """``f`` over the leaves of trees of one structure; a mismatch names the path where they differ."""
    flat, treedef = flatten(tree, is_leaf)
    columns = [flat]
    for i, other in enumerate(rest):
        columns.append(flatten_up_to(treedef, other, what=f"argument {i + 1}"))
    return unflatten(treedef, [f(*xs) for xs in zip(*columns, strict=True)])


def flatten_up_to(treedef: PyTreeDef, tree: Any, what: str = "the tree") -> list[Any]:
    """The subtrees of ``tree`` at the leaves of ``treedef``. Raises TreeError naming the path where they part."""
    try:
        return treedef.flatten_up_to(tree)
    except (ValueError, TypeError, KeyError) as err:
        expected = unflatten(treedef, [_LEAF] * treedef.num_leaves)
        raise TreeError(f"[tree] {what} has another structure: {mismatch(expected, tree) or err}") from None


class _Leaf:
    def __repr__(self) -> str:
        return "*"


_LEAF = _Leaf()


def mismatch(expected: Any, got: Any, path: str = "") -> str | None:
    """Where two trees part, in words, or None when ``expected`` is a prefix of ``got``."""
    spec = optree.tree_structure(expected, namespace=_NAMESPACE)
    if spec.is_leaf():
        return None
    here = path or "at the root"
    if type(expected) is not type(got):
        return f"{here}: expected {_kind(expected)}, got {_kind(got)}."
    mine, theirs = _entries(expected), _entries(got)
    if list(mine) != list(theirs):
        missing = [k for k in mine if k not in theirs]
        extra = [k for k in theirs if k not in mine]
        parts = [f"expected {_kind(expected)} with {len(mine)} entries, got {len(theirs)}"]
        parts += [f"missing {', '.join(missing)}"] * bool(missing)
        parts += [f"unexpected {', '.join(extra)}"] * bool(extra)
        return f"{here}: {'; '.join(parts)}."
    for key, child in mine.items():
        found = mismatch(child, theirs[key], path + key)
        if found:
            return found
    if optree.tree_structure(got, namespace=_NAMESPACE).type != spec.type:
        return f"{here}: expected {_kind(expected)}, got {_kind(got)}."
    return None


def _entries(tree: Any) -> dict[str, Any]:
    one_level = lambda x: x is not tree  # noqa: E731
    accessors, children, _ = optree.tree_flatten_with_accessor(tree, is_leaf=one_level, namespace=_NAMESPACE)
    return {a.codify(""): c for a, c in zip(accessors, children)}


def _kind(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"{type(tree).__name__} with keys {list(tree)}"
    if isinstance(tree, (tuple, list)) and not hasattr(tree, "_fields"):
        return f"{type(tree).__name__} of length {len(tree)}"
    return type(tree).__name__


def paths(tree: Any, root: str = "", is_leaf: Callable[[Any], bool] | None = None) -> list[str]:
    """How each leaf is reached, as Python would write it: ``params['w'][0]``."""
    accessors, _, _ = optree.tree_flatten_with_accessor(tree, is_leaf=is_leaf, namespace=_NAMESPACE)
    return [a.codify(root) for a in accessors]


def treedef_paths(treedef: PyTreeDef, root: str = "") -> list[str]:
    return [a.codify(root) for a in treedef.accessors()]


def transpose(outer: PyTreeDef, inner: PyTreeDef, tree: Any) -> Any:
    """Turns a tree of ``outer`` holding ``inner`` trees inside out."""
    rows = [flatten_up_to(inner, sub) for sub in flatten_up_to(outer, tree)]
    return unflatten(inner, [unflatten(outer, column) for column in zip(*rows)])


def broadcast_prefix(prefix: Any, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of ``prefix``, each repeated for all leaves of the subtree of ``tree`` it stands over."""
    flat, treedef = flatten(prefix, is_leaf)
    subtrees = flatten_up_to(treedef, tree, what="the tree that the prefix describes")
    return [p for p, sub in zip(flat, subtrees) for _ in range(structure(sub).num_leaves)]


def register_node(
    cls: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Hashable]],
    unflatten_func: Callable[[Hashable, Iterable[Any]], Any],
) -> None:
    """Makes instances of ``cls`` tree nodes: flatten to (children, aux data), unflatten from (aux data, children)."""
    optree.register_pytree_node(cls, flatten_func, unflatten_func, namespace=_NAMESPACE)  # type: ignore[arg-type]


def register_node_class(cls: type) -> type:
    """Class decorator for classes with ``tree_flatten()`` and ``tree_unflatten(aux, children)``."""
    register_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_dataclass(
    cls: type, data_fields: Iterable[str] | None = None, meta_fields: Iterable[str] | None = None
) -> type:
    """Makes a dataclass a tree node; fields with ``metadata={"static": True}`` or in ``meta_fields`` are aux data."""
    if not dataclasses.is_dataclass(cls):
        raise TreeError(f"[register_dataclass] expected a dataclass, got {cls!r}. Decorate it with @dataclass first.")
    init = [f for f in dataclasses.fields(cls) if f.init]
    if meta_fields is None:
        meta_fields = [f.name for f in init if f.metadata.get("static", False)]
    meta = tuple(meta_fields)
    data = tuple(data_fields) if data_fields is not None else tuple(f.name for f in init if f.name not in meta)
    if {*meta, *data} != {f.name for f in init}:
        raise TreeError(
            f"[register_dataclass] data_fields {data} and meta_fields {meta} must together name the fields"
            f" {[f.name for f in init]} of {cls.__name__}."
        )

    def to_children(x: Any) -> tuple[Any, Any, Any]:
        return tuple(getattr(x, n) for n in data), tuple(getattr(x, n) for n in meta), data

    def from_children(aux: Any, children: Iterable[Any]) -> Any:
        return cls(**dict(zip(data, children)), **dict(zip(meta, aux)))

    optree.register_pytree_node(
        cls, to_children, from_children, path_entry_type=optree.GetAttrEntry, namespace=_NAMESPACE
    )
    return cls


class Partial:
    """``functools.partial`` whose function is aux data and whose arguments are leaves.

    Example:
        >>> from anejax.tree_util import Partial
        >>> Partial(max, 2)(1)
        2
    """

    def __init__(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        self.func, self.args, self.keywords = func, args, kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*self.args, *args, **{**self.keywords, **kwargs})


register_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func),
    lambda func, children: (lambda a, k: Partial(func, *a, **k))(*children),
)
