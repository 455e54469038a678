"""Tree structures: those of optree, with the printed form, the methods and the refusals of jax's.

jax sorts the keys of dictionaries and refuses keys that it cannot sort; optree sorts such keys by the names of their
types. Deques and structseqs (``time.struct_time``) are leaves in jax and nodes in optree.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import Any

import optree
from optree.utils import total_order_sorted

from anejax.callers import user_called_tree
from anejax.errors import TreeError

_KNOWN_AT_MOST = 4096
_known: dict[optree.PyTreeSpec, PyTreeDef] = {}
HIDDEN: set[type] = set()  # classes whose instances are nodes to the package and leaves to users: typed keys


class PyTreeDef:
    """The structure of a tree: a tree with ``*`` in the place of each leaf.

    Example:
        >>> import anejax
        >>> anejax.tree.structure({"b": 1, "a": (2, None)})
        PyTreeDef({'a': (*, None), 'b': *})
    """

    __slots__ = ("_hash", "has_hidden", "spec")

    def __init__(self, spec: optree.PyTreeSpec, has_hidden: bool = False) -> None:
        self.spec = spec
        self.has_hidden = has_hidden  # whether some nodes are leaves to users
        self._hash: int | None = None

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, PyTreeDef) and self.spec == other.spec)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.spec)
        return self._hash

    def __repr__(self) -> str:
        return f"PyTreeDef({self.spec.walk(['*'] * self.num_leaves, _printed, None)})"

    def __reduce__(self) -> Any:
        return PyTreeDef, (self.spec, self.has_hidden)

    @property
    def num_leaves(self) -> int:
        """The number of leaves in trees of this structure."""
        return self.spec.num_leaves

    @property
    def num_nodes(self) -> int:
        """The number of nodes and leaves in trees of this structure."""
        return self.spec.num_nodes

    @property
    def num_children(self) -> int:
        """The number of children of the top node."""
        return self.spec.num_children

    @property
    def type(self) -> type | None:
        """The class of the top node; None for a leaf."""
        return self.spec.type

    def is_leaf(self) -> bool:
        """Whether the trees of this structure are single leaves. None and empty containers are nodes."""
        return self.spec.is_leaf()

    def children(self) -> list[PyTreeDef]:
        """The structures of the children of the top node."""
        return [PyTreeDef(child) for child in self.spec.children()]

    def entries(self) -> list[Any]:
        """The keys, indices or names by which the top node knows its children."""
        return self.spec.entries()

    def accessors(self) -> list[Any]:
        """The way to each leaf, as optree tells it."""
        return self.spec.accessors()

    def node_data(self) -> tuple[Any, Any] | None:
        """(class, aux data) of the top node, or None for a leaf. The keys are the aux data of a dictionary."""
        if self.is_leaf():
            return None
        one_level = self.spec.one_level()
        assert one_level is not None
        return one_level.walk([None] * one_level.num_leaves, lambda kind, data, _: (kind, _aux(kind, data)), None)

    def compose(self, inner: PyTreeDef) -> PyTreeDef:
        """The structure of trees of this structure whose leaves are trees of the structure ``inner``."""
        return PyTreeDef(self.spec.compose(inner.spec))

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of ``tree`` at the leaves of this structure. Raises ValueError if it has another structure."""
        return self.spec.flatten_up_to(tree)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree with these leaves; its dictionaries have their keys in order, as jax's do.

        Structures are equal whatever order the keys were inserted in. If the order came back, a function that was
        traced for one dictionary would give its keys to all equal ones.
        """
        return self.spec.traverse(leaves, _by_key)

    def from_iterable_tree(self, nested: Any) -> Any:
        """The tree whose children are those of ``nested``, which has any iterables in the place of the nodes."""
        one_level = self.spec.one_level()
        if one_level is None:
            return nested
        parts = zip(self.children(), nested, strict=True)
        return _by_key(one_level.unflatten([child.from_iterable_tree(part) for child, part in parts]))

    def walk(
        self, f_node: Callable[[Any, Any], Any], f_leaf: Callable[[Any], Any] | None, leaves: Iterable[Any]
    ) -> Any:
        """Calls ``f_leaf(leaf)`` and ``f_node(children, aux data)`` from the leaves up, and returns the last result."""

        def visit(kind: Any, data: Any, children: Any) -> Any:
            return f_node(children, kind if data is kind else _aux(kind, data))  # jax gives the class of named tuples

        return self.spec.walk(leaves, visit, f_leaf)


def defined(
    flat: Callable[[Callable[[Any], bool] | None], tuple[Any, ...]], is_leaf: Callable[[Any], bool] | None = None
) -> tuple[Any, ...]:
    """The result of ``flat(is_leaf)``, with a PyTreeDef in the place of the optree structure at its end.

    Where users ask, typed keys are leaves, as in jax; to the package they are nodes over their words.

    Raises TreeError where the tree has a dictionary whose keys cannot be sorted.
    """
    found = flat(is_leaf)
    spec = found[-1]
    try:
        known = _known.get(spec)
    except Exception:  # aux data without a hash
        known = None
    if known is None:
        has_leaves, has_hidden, simple = _examine(spec)
        if has_leaves:
            found = flat(lambda x: is_leaf_of_jax(type(x)) or (is_leaf is not None and is_leaf(x)))
            spec = found[-1]
        known = PyTreeDef(spec, has_hidden)
        if simple and not has_leaves:
            if len(_known) >= _KNOWN_AT_MOST:
                _known.clear()
            _known[spec] = known
    if known.has_hidden and user_called_tree():
        opaque = lambda x: type(x) in HIDDEN or is_leaf_of_jax(type(x)) or (is_leaf is not None and is_leaf(x))  # noqa: E731
        found = flat(opaque)
        known = PyTreeDef(found[-1])
    return (*found[:-1], known)


def _examine(spec: optree.PyTreeSpec) -> tuple[bool, bool, bool]:
    """Three facts about the nodes of ``spec``: (some are leaves to jax, some are to users, the structure is simple).

    Equal simple structures are the same in all their keys and data.

    1, 1.0 and True are equal keys: a structure that has such keys must not stand for another one.
    """
    has_leaves, has_hidden, simple = False, False, True

    def visit(kind: Any, data: Any, _: Any) -> None:
        nonlocal has_leaves, has_hidden, simple
        has_hidden |= kind in HIDDEN
        if is_leaf_of_jax(kind):
            has_leaves = True
        elif kind in (dict, collections.defaultdict, collections.OrderedDict):
            keys = data[1] if kind is collections.defaultdict else data
            if not all(type(key) is str for key in keys):
                simple = False
                if kind is not collections.OrderedDict:
                    _check_keys(keys)
        else:
            simple &= data is None or data is kind or type(data) is str

    spec.walk([None] * spec.num_leaves, visit, None)
    return has_leaves, has_hidden, simple


def _check_keys(keys: list[Any]) -> None:
    try:
        sorted(keys)
    except TypeError:
        listed = ", ".join(f"{key!r:.30} ({type(key).__name__})" for key in keys[:4])
        raise TreeError(
            f"[tree] expected a dictionary whose keys can be sorted, got {listed}. Use keys of one type."
        ) from None


def is_leaf_of_jax(kind: Any) -> bool:
    """Whether instances of the class ``kind`` are leaves to jax, though optree has them as nodes."""
    return kind is collections.deque or (
        kind is not tuple and isinstance(kind, type) and issubclass(kind, tuple) and optree.is_structseq_class(kind)
    )


def _aux(kind: Any, data: Any) -> Any:
    """The aux data of a node as jax has them."""
    if kind is collections.OrderedDict:
        return tuple(data)
    if kind is collections.defaultdict:
        return data[0], tuple(data[1])
    return None if data is kind else data


def _printed(kind: Any, data: Any, children: tuple[str, ...]) -> str:
    if kind is type(None):
        return "None"
    listed = ", ".join(children)
    if kind is tuple:
        return f"({listed},)" if len(children) == 1 else f"({listed})"
    if kind is list:
        return f"[{listed}]"
    if kind is dict:
        return "{" + ", ".join(f"{key!r}: {child}" for key, child in zip(data, children)) + "}"
    name, told = ("namedtuple", kind.__name__) if data is kind else (kind.__name__, _aux(kind, data))
    return f"CustomNode({name}[{told}], [{listed}])"


def _by_key(node: Any) -> Any:
    kind = type(node)
    if (kind is not dict and kind is not collections.defaultdict) or len(node) < 2:
        return node
    keys = list(node)
    ordered = total_order_sorted(keys)
    if ordered == keys:
        return node
    items = {k: node[k] for k in ordered}
    return items if kind is dict else collections.defaultdict(node.default_factory, items)
