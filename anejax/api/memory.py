"""Stores the staged forms of a function on the function itself, so that both are freed together.

A staged form holds the arrays that the function captured, and rules and callbacks that may refer to the function. A
separate table, even one with weak keys, would keep such a function and its arrays alive for ever. An attribute of the
function makes a reference cycle instead, which the garbage collector frees.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any

from anejax.core.graph import Graph, subgraphs
from anejax.core.recent import Recent

_NAME = "__anejax_memory__"
_FORMS = 1024  # forms kept for one function and one set of options
_BYTES = 256 << 20
_BYTES_OF_AN_EQUATION = 8 << 10  # as a Graph, as text and in a compiled program, measured

_all: weakref.WeakSet[Memory] = weakref.WeakSet()
_of_objects: weakref.WeakKeyDictionary[Any, Memory] = weakref.WeakKeyDictionary()


class Remembers:
    """Base class of anejax's own callables. It stores their staged forms as an attribute."""


class Memory:
    """The staged forms of one function, by the options and then by the types with which it was staged."""

    def __init__(self, owner: Callable[[], Any] = lambda: None) -> None:
        self.owner = owner  # functools.wraps copies attributes: this one counts for its owner alone
        self.tables: dict[Any, Recent[Any, Any]] = {}
        _all.add(self)

    def table(self, options: Any) -> Recent[Any, Any]:
        """The forms made with ``options``."""
        return self.tables.setdefault(options, Recent(_FORMS, _BYTES))

    def __reduce__(self) -> Any:
        return Memory, ()  # forms are not pickled with their function


def memory_of(fun: Any) -> Memory:
    """The memory of ``fun``: an empty one each time if nothing can be kept with it."""
    if isinstance(fun, types.MethodType):  # made anew by each look-up, so nobody would find it again
        return Memory()
    if isinstance(fun, (types.FunctionType, functools.partial, Remembers)):
        held = fun.__dict__.get(_NAME)
        if held is None or held.owner() is not fun:
            held = fun.__dict__[_NAME] = Memory(weakref.ref(fun))
        return held
    try:
        found = _of_objects.get(fun)
        if found is None:
            found = _of_objects[fun] = Memory()
        return found
    except TypeError:  # not hashable, or nothing that can be referred to weakly
        return Memory()


def cost_of(graph: Graph, consts: list[Any]) -> int:
    """About how many bytes a staged form keeps, compiled program included."""
    return _equations(graph) * _BYTES_OF_AN_EQUATION + sum(getattr(c, "nbytes", 0) for c in consts)


def _equations(graph: Graph) -> int:
    return sum(1 + sum(map(_equations, subgraphs(e.params))) for e in graph.eqns)


def forget_all() -> None:
    """Empties the memory of every function."""
    for memory in list(_all):
        for table in list(memory.tables.values()):
            table.clear()
        memory.tables.clear()
