"""Graph: the typed intermediate representation, as a jaxpr is in JAX.

A Graph is closed: each value is an input, a literal or the output of an equation.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Container, Iterator
from typing import Any, cast

import numpy as np

from anejax.core.aval import Aval
from anejax.core.primitive import Primitive
from anejax.core.printer import print_graph
from anejax.marks import NOWHERE, Mark


class Var:
    """A value of a Graph, compared by identity."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval})"


class Literal:
    """A constant written into the Graph. Equal when type and bits are.

    It has rank 0, except in Graphs whose weights were frozen (passes/freeze.py), where arrays are literals too.
    """

    __slots__ = ("aval", "value")

    def __init__(self, value: np.ndarray, aval: Aval) -> None:
        self.value = value
        self.aval = aval

    def key(self) -> Any:
        return (self.aval, self.value.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def __repr__(self) -> str:
        return f"Literal({self.value}, {self.aval})"


Atom = Var | Literal


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Eqn:
    """``outputs = primitive[params] inputs``; ``mark`` says where it comes from."""

    primitive: Primitive
    inputs: tuple[Atom, ...]
    outputs: tuple[Var, ...]
    params: dict[str, Any]
    mark: Mark = NOWHERE

    @property
    def source(self) -> str | None:
        """The user's line that it comes from."""
        return self.mark.line

    def replace(self, **changes: Any) -> Eqn:
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A closed function: ``inputs`` (Vars), equations in order, ``outputs`` (Vars or Literals)."""

    inputs: tuple[Var, ...]
    eqns: tuple[Eqn, ...]
    outputs: tuple[Atom, ...]

    @functools.cached_property
    def derived(self) -> dict[Any, Any]:
        """Data derived from this Graph and freed with it: its transformed forms, and the programs that run it."""
        return {}

    @property
    def in_avals(self) -> list[Aval]:
        return [v.aval for v in self.inputs]

    @property
    def out_avals(self) -> list[Aval]:
        return [a.aval for a in self.outputs]

    def replace(self, **changes: Any) -> Graph:
        return dataclasses.replace(self, **changes)

    def __str__(self) -> str:
        return print_graph(self)

    __repr__ = __str__


@dataclasses.dataclass(frozen=True, eq=False)
class ClosedGraph:
    """A Graph with its captured arrays, which are its first inputs. ``make_jaxpr`` returns this."""

    graph: Graph
    consts: tuple[Any, ...]

    @property
    def jaxpr(self) -> Graph:
        return self.graph

    @property
    def eqns(self) -> tuple[Eqn, ...]:
        return self.graph.eqns

    @property
    def in_avals(self) -> list[Aval]:
        return self.graph.in_avals[len(self.consts) :]

    @property
    def out_avals(self) -> list[Aval]:
        return self.graph.out_avals

    def __str__(self) -> str:
        return print_graph(self.graph, num_consts=len(self.consts))

    __repr__ = __str__


def subgraphs(params: dict[str, Any]) -> Iterator[Graph]:
    """The Graphs among equation parameters, tuples of Graphs included."""
    for value in params.values():
        items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
        for item in items:
            if isinstance(item, Graph):
                yield item


def map_subgraphs(params: dict[str, Any], change: Callable[[Graph], Graph]) -> dict[str, Any]:
    """The parameters with each Graph among them, tuples of Graphs included, changed."""

    def changed(value: Any) -> Any:
        if isinstance(value, Graph):
            return change(value)
        items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else ()
        if any(isinstance(v, Graph) for v in items):
            return tuple(map(changed, items))
        return cast("Any", value)  # other tuples may be named ones

    return {k: changed(v) for k, v in params.items()}


def has_effects(graph: Graph) -> bool:
    """Whether any equation, also in inner Graphs, has a side effect."""
    return any(e.primitive.effect or any(map(has_effects, subgraphs(e.params))) for e in graph.eqns)


def has_effects_in_while(graph: Graph) -> bool:
    """Whether a loop of unknown length has effects. No program can replay those."""
    for eqn in graph.eqns:
        inner = list(subgraphs(eqn.params))
        if any(map(has_effects, inner)) and (eqn.primitive.name == "while" or any(map(has_effects_in_while, inner))):
            return True
    return False


def remove_dead(graph: Graph) -> Graph:
    """``graph`` without equations that no output and no effect needs."""
    live = {a for a in graph.outputs if isinstance(a, Var)}
    kept: list[Eqn] = []
    for eqn in reversed(graph.eqns):
        if eqn.primitive.effect or any(v in live for v in eqn.outputs):
            kept.append(eqn)
            live.update(a for a in eqn.inputs if isinstance(a, Var))
    return graph.replace(eqns=tuple(reversed(kept)))


def expanded(graph: Graph, names: Container[str], kept: Callable[[Eqn], bool] | None = None) -> Graph:
    """``graph`` with the equations of the Graphs that primitives of these ``names`` hold, in place of them,
    except those that are ``kept``.

    A primitive that holds no Graph, such as ``checkpoint_name``, is its first operand.
    """

    def expands(eqn: Eqn) -> bool:
        return eqn.primitive.name in names and (kept is None or not kept(eqn))

    if not any(map(expands, graph.eqns)):
        return graph
    eqns: list[Eqn] = []
    env: dict[Var, Atom] = {}
    _expand(graph, expands, env, eqns, NOWHERE)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(_look_up(env, a) for a in graph.outputs))


def _look_up(env: dict[Var, Atom], atom: Atom) -> Atom:
    return atom if isinstance(atom, Literal) else env.get(atom, atom)


def _expand(graph: Graph, expands: Callable[[Eqn], bool], env: dict[Var, Atom], out: list[Eqn], outer: Mark) -> None:
    for eqn in graph.eqns:
        mark = eqn.mark.within(outer)
        inputs = tuple(_look_up(env, a) for a in eqn.inputs)
        if not expands(eqn):
            outputs = tuple(Var(v.aval) for v in eqn.outputs)  # a Graph may be called twice
            env.update(zip(eqn.outputs, outputs))
            out.append(eqn.replace(inputs=inputs, outputs=outputs, mark=mark))
            continue
        inner: Graph | None = eqn.params.get("graph")
        if inner is None:
            env.update(zip(eqn.outputs, inputs))
            continue
        inner_env = dict(zip(inner.inputs, inputs))
        _expand(inner, expands, inner_env, out, mark)
        env.update((v, _look_up(inner_env, a)) for v, a in zip(eqn.outputs, inner.outputs))
