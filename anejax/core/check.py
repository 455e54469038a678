"""The type checker of Graphs.

It checks that each variable is defined once and before its use, and that each equation's outputs have the types that
the primitive's rule computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anejax.core.graph import Eqn, Graph, Literal, Var, subgraphs
from anejax.core.printer import eqn_lines
from anejax.errors import GraphError

_Place = Callable[[], str]  # names the checked object; only an error needs the text, which is slow to write


def check_graph(graph: Graph, what: str = "Graph") -> Graph:
    """Returns ``graph`` when it is well typed; raises GraphError naming the equation otherwise."""
    _check(graph, lambda: what)
    return graph


def _check(graph: Graph, place: _Place) -> None:
    defined: set[Var] = set()
    _define(defined, graph.inputs, lambda: f"{place()}: an input")
    for i, eqn in enumerate(graph.eqns):
        _check_equation(defined, eqn, partial(_equation, place, i, eqn))
    for atom in graph.outputs:
        _check_atom(defined, atom, lambda: f"{place()}: outputs")


def _equation(place: _Place, i: int, eqn: Eqn) -> str:
    return f"{place()}: equation {i} `{eqn_lines(eqn)[0]}`"


def _check_equation(defined: set[Var], eqn: Eqn, here: _Place) -> None:
    for atom in eqn.inputs:
        _check_atom(defined, atom, here)
    for inner in subgraphs(eqn.params):
        _check(inner, lambda: f"{here()}, inner Graph")
    expected = eqn.primitive.out_avals([a.aval for a in eqn.inputs], eqn.params)
    declared = [v.aval for v in eqn.outputs]
    if len(expected) != len(declared) or not all(e.same_type(d) for e, d in zip(expected, declared)):
        raise GraphError(f"[check] {here()} declares {_types(declared)}, its rule says {_types(expected)}.")
    _define(defined, eqn.outputs, lambda: f"{here()}, an output")


def _types(avals: Sequence[Any]) -> str:
    return ", ".join(map(str, avals))


def _define(defined: set[Var], variables: tuple[Var, ...], what: _Place) -> None:
    for v in variables:
        if v in defined:
            raise GraphError(f"[check] {what()} of type {v.aval} is defined twice.")
        defined.add(v)


def _check_atom(defined: set[Var], atom: object, here: _Place) -> None:
    if isinstance(atom, Literal):
        if atom.value.shape != atom.aval.shape or atom.value.dtype != atom.aval.dtype:
            raise GraphError(f"[check] {here()} has a literal {atom}; literals have their aval's shape and dtype.")
    elif atom not in defined:
        raise GraphError(f"[check] {here()} uses a value that nothing before it defines: {atom}.")
