"""Pytrees, by optree with JAX's semantics: None is an empty tree, dictionaries are ordered by key.

Everything that the rest of anejax asks of trees goes through this module; ``treedefs`` has their structures.

Example:
    >>> from anejax import tree
    >>> tree.leaves({"b": 1, "a": 2}), tree.map(lambda x: x * 10, {"b": 1, "a": 2})
    ([2, 1], {'a': 20, 'b': 10})
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeAlias, cast

import optree

from anejax.callers import user_called_tree
from anejax.errors import TreeError
from anejax.treedefs import HIDDEN, defined, is_leaf_of_jax
from anejax.treedefs import PyTreeDef as PyTreeDef

__all__ = [
    "PyTreeDef", "all", "broadcast", "flatten", "flatten_with_path", "leaves", "leaves_with_path", "map",
    "map_with_path", "reduce", "reduce_associative", "static", "structure", "transpose", "unflatten"
]  # fmt: skip

# Any nesting of containers with arrays, or other leaves, in it. Type checkers cannot say more of it than Any.
PyTree: TypeAlias = Any

_NAMESPACE = "anejax"


class _Closed:
    """Stands for optree in this module when it is closed to all threads except one."""

    def __init__(self, module: Any) -> None:
        self._module, self._thread, self._never = module, threading.get_ident(), threading.Lock()
        self._never.acquire()

    def __getattr__(self, name: str) -> Any:
        if threading.get_ident() != self._thread:
            self._never.acquire()
        return getattr(self._module, name)


WAITING = _Closed.__getattr__.__code__  # the innermost frame of a thread that was not let in


def close_to_other_threads() -> None:
    """From now on, other threads that ask for a tree function of this module wait until the process is gone."""
    global optree
    if not isinstance(optree, _Closed):
        optree = cast(Any, _Closed(optree))


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], PyTreeDef]:
    """(leaves, treedef) of ``tree``."""
    leaves, treedef = defined(lambda is_leaf: optree.tree_flatten(tree, is_leaf, namespace=_NAMESPACE), is_leaf)
    return leaves, treedef


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of structure ``treedef`` with these leaves; its dictionaries have their keys in order, as JAX's do."""
    return treedef.unflatten(leaves)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of ``tree``, in order."""
    return flatten(tree, is_leaf)[0]


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> PyTreeDef:
    """The structure of ``tree``."""
    return flatten(tree, is_leaf)[1]


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """``f`` over the leaves of trees of one structure. If structures differ, the error names the path."""
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


def mismatch(expected: Any, got: Any, path: str = "", exact: bool = False) -> str | None:
    """Describes the first difference of two trees, or returns None if ``expected`` is a prefix of ``got`` (or equal, if
    ``exact``)."""
    spec = optree.tree_structure(expected, namespace=_NAMESPACE)
    here = path or "at the root"
    if spec.is_leaf():
        single = not exact or optree.tree_structure(got, namespace=_NAMESPACE).is_leaf()
        return None if single else f"{here}: expected an array, got {_kind(got)}."
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
        found = mismatch(child, theirs[key], path + key, exact)
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
    """The path of each leaf as a Python expression: ``params['w'][0]``."""
    return [a.codify(root) for a in _with_accessors(tree, is_leaf)[0]]


def _with_accessors(tree: Any, is_leaf: Callable[[Any], bool] | None) -> tuple[list[Any], list[Any], PyTreeDef]:
    """(optree's accessors, leaves, treedef) of ``tree``."""
    flat = lambda is_leaf: optree.tree_flatten_with_accessor(tree, is_leaf, namespace=_NAMESPACE)  # noqa: E731
    accessors, leaves, treedef = defined(flat, is_leaf)
    return accessors, leaves, treedef


def treedef_paths(treedef: PyTreeDef, root: str = "") -> list[str]:
    """The path of each leaf of a structure; see ``paths``."""
    return [a.codify(root) for a in treedef.accessors()]


def transpose(outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any) -> Any:
    """Turns a tree of ``outer_treedef`` that holds trees of ``inner_treedef`` (None: that of the first) inside out."""
    if inner_treedef is None:
        inner_treedef = structure(next(iter(flatten_up_to(outer_treedef, pytree_to_transpose)), None))
    rows = [flatten_up_to(inner_treedef, sub) for sub in flatten_up_to(outer_treedef, pytree_to_transpose)]
    return unflatten(inner_treedef, [unflatten(outer_treedef, column) for column in zip(*rows)])


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
        cast(Any, cls), to_children, from_children, path_entry_type=optree.GetAttrEntry, namespace=_NAMESPACE
    )
    return cls


class _Whole:
    """A function that is a partial, kept in one piece: ``functools.partial`` would merge its arguments with its own."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Whole) and self.func == other.func

    def __hash__(self) -> int:
        return hash(self.func)

    def __repr__(self) -> str:
        return repr(self.func)


class Partial(functools.partial):
    """``functools.partial`` whose function is aux data and whose arguments are leaves.

    Example:
        >>> from anejax.tree_util import Partial
        >>> Partial(max, 2)(1)
        2
    """

    def __new__(cls, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls, _Whole(func) if isinstance(func, functools.partial) else func, *args, **kwargs)


register_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func),
    lambda func, children: (lambda a, k: Partial(cast(Any, func), *a, **k))(*children),
)


# --- reductions and prefixes --------------------------------------------------------------------------------------

_MISSING: Any = object()


def all(tree: Any, *, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether every leaf is true."""
    return builtins.all(leaves(tree, is_leaf))


def reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _MISSING,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """``function`` over the leaves from the left, beginning with ``initializer``."""
    start = () if initializer is _MISSING else (initializer,)
    return functools.reduce(function, leaves(tree, is_leaf), *start)


def reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _MISSING,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """``operation``, associative, over the leaves, pairing neighbours until one is left."""
    items = leaves(tree, is_leaf)
    if not items:
        if identity is _MISSING:
            raise TreeError("[tree] reduce_associative of a tree without leaves needs an identity.")
        return identity
    while len(items) > 1:
        pairs = [operation(a, b) for a, b in zip(items[::2], items[1::2])]
        items = pairs + items[len(items) - len(items) % 2 :]
    return items[0]


def broadcast(prefix_tree: Any, full_tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A tree of the structure of ``full_tree`` whose leaves are those of ``prefix_tree`` above them."""
    return unflatten(structure(full_tree, is_leaf), broadcast_prefix(prefix_tree, full_tree, is_leaf))


def static(**kwargs: Any) -> Any:
    """``dataclasses.field(**kwargs)`` of a field that is aux data, not a child (see ``register_dataclass``)."""
    metadata = {**kwargs.pop("metadata", {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)


# --- key paths ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SequenceKey:
    """The step into a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclasses.dataclass(frozen=True)
class DictKey:
    """The step into a dictionary."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclasses.dataclass(frozen=True)
class GetAttrKey:
    """The step to a field of a named tuple or dataclass."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclasses.dataclass(frozen=True)
class FlattenedIndexKey:
    """The step into a registered class that does not name its children."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


class _KeyedEntry(optree.PyTreeEntry):
    """An entry of a class registered with its own keys."""

    def codify(self, node: str = "") -> str:
        return f"{node}{self.entry}"


def _key(entry: Any) -> Any:
    if isinstance(entry, _KeyedEntry):
        return entry.entry
    if isinstance(entry, optree.NamedTupleEntry):
        return GetAttrKey(entry.field)
    if isinstance(entry, optree.SequenceEntry):
        return SequenceKey(entry.index)
    if isinstance(entry, optree.MappingEntry):
        return DictKey(entry.key)
    if isinstance(entry, optree.GetAttrEntry):
        return GetAttrKey(entry.name)
    return FlattenedIndexKey(entry.entry)


def keystr(keys: Iterable[Any], *, simple: bool = False, separator: str = "") -> str:
    """A key path as text: ``['w'][0]``, or ``w/0`` with ``simple=True, separator="/"``."""
    short = lambda k: str(next(iter(vars(k).values())))  # noqa: E731
    return separator.join(short(k) if simple and dataclasses.is_dataclass(k) else str(k) for k in keys)


def _leaf_with_path(tree: Any, is_leaf: Callable[..., bool] | None, takes_path: bool) -> Callable[[Any], bool] | None:
    """``is_leaf`` as a function of the subtree. One that takes the path is asked beforehand, in optree's order."""
    if is_leaf is None or not takes_path:
        return is_leaf
    answers: list[bool] = []

    def visit(path: tuple[Any, ...], node: Any) -> None:
        opaque = type(node) in HIDDEN or is_leaf_of_jax(type(node))
        answers.append(bool(is_leaf(path, node)) or opaque)
        if answers[-1] or optree.tree_is_leaf(node, namespace=_NAMESPACE):
            return
        accessors, children, _ = optree.tree_flatten_with_accessor(
            node, is_leaf=lambda child: child is not node, namespace=_NAMESPACE
        )
        for accessor, child in zip(accessors, children):
            visit((*path, *(_key(e) for e in accessor)), child)

    visit((), tree)
    given = iter(answers)
    return lambda _: next(given)


def flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[tuple[Any, ...], Any]], PyTreeDef]:
    """([(key path, leaf), ...], treedef) of ``tree``."""
    test = _leaf_with_path(tree, is_leaf, is_leaf_takes_path)
    accessors, flat, treedef = _with_accessors(tree, test)
    return [(tuple(_key(e) for e in a), leaf) for a, leaf in zip(accessors, flat)], treedef


def leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[tuple[Any, ...], Any]]:
    """[(key path, leaf), ...] of ``tree``."""
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """``f(key path, leaf, ...)`` over the leaves of trees of one structure."""
    flat, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [flatten_up_to(treedef, other, what=f"argument {i + 1}") for i, other in enumerate(rest)]
    return unflatten(treedef, [f(path, leaf, *xs) for (path, leaf), *xs in zip(flat, *columns)])


def register_with_keys(
    cls: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Hashable]],
    unflatten_func: Callable[[Hashable, Iterable[Any]], Any],
) -> None:
    """Makes instances of ``cls`` tree nodes whose children have keys that the class defines."""

    def to_children(x: Any) -> tuple[Any, Any, Any]:
        keyed, aux = flatten_with_keys(x)
        keyed = list(keyed)
        return tuple(c for _, c in keyed), aux, tuple(k for k, _ in keyed)

    optree.register_pytree_node(cls, to_children, unflatten_func, path_entry_type=_KeyedEntry, namespace=_NAMESPACE)  # type: ignore[arg-type]


def register_static(cls: type) -> type:
    """Makes instances of ``cls`` nodes without children, wholly aux data: they must be hashable and comparable."""
    register_node(cls, lambda x: ((), x), lambda aux, _: aux)
    return cls


def is_node(typ: type) -> bool:
    """Whether instances of ``typ`` are tree nodes. Typed keys are leaves to users."""
    if typ in HIDDEN and user_called_tree():
        return False
    return optree.is_namedtuple_class(typ) or typ in optree.register_pytree_node.get(namespace=_NAMESPACE)  # type: ignore[attr-defined]


def flatten_one_level(tree: Any) -> tuple[list[Any], Any]:
    """(children, aux data) of the top node of ``tree``. Raises TreeError for a leaf."""
    if tree is None:
        return [], None
    try:
        children, aux, _, _ = optree.tree_flatten_one_level(tree, namespace=_NAMESPACE)
    except ValueError:
        raise TreeError(f"[tree] expected a tree node, got a leaf of type {type(tree).__name__}.") from None
    return list(children), aux
