"""The type checker of Graphs.

It checks that each variable is defined once and before its use, and that each equation's outputs have the types that
the primitive's rule computes.
"""

from __future__ import annotations

from anejax.core.graph import Graph, Literal, Var, subgraphs
from anejax.core.printer import eqn_lines
from anejax.errors import GraphError


def check_graph(graph: Graph, what: str = "Graph") -> Graph:
    """Returns ``graph`` when it is well typed; raises GraphError naming the equation otherwise."""
    defined: set[Var] = set()
    _define(defined, graph.inputs, f"{what}: an input")
    for i, eqn in enumerate(graph.eqns):
        here = f"{what}: equation {i} `{eqn_lines(eqn)[0]}`"
        for atom in eqn.inputs:
            _check_atom(defined, atom, here)
        for inner in subgraphs(eqn.params):
            check_graph(inner, f"{here}, inner Graph")
        expected = eqn.primitive.out_avals([a.aval for a in eqn.inputs], eqn.params)
        declared = [v.aval for v in eqn.outputs]
        if len(expected) != len(declared) or not all(e.same_type(d) for e, d in zip(expected, declared)):
            raise GraphError(f"[check] {here} declares {_types(declared)}, its rule says {_types(expected)}.")
        _define(defined, eqn.outputs, f"{here}, an output")
    for atom in graph.outputs:
        _check_atom(defined, atom, f"{what}: outputs")
    return graph


def _types(avals: list) -> str:
    return ", ".join(map(str, avals))


def _define(defined: set[Var], variables: tuple[Var, ...], what: str) -> None:
    for v in variables:
        if v in defined:
            raise GraphError(f"[check] {what} of type {v.aval} is defined twice.")
        defined.add(v)


def _check_atom(defined: set[Var], atom: object, here: str) -> None:
    if isinstance(atom, Literal):
        if atom.value.shape != atom.aval.shape or atom.value.dtype != atom.aval.dtype:
            raise GraphError(f"[check] {here} has a literal {atom}; literals have their aval's shape and dtype.")
    elif atom not in defined:
        raise GraphError(f"[check] {here} uses a value that nothing before it defines: {atom}.")
