"""Evaluates a Graph: binds each equation in order, under the current trace.

To transform a Graph, the same code runs under the transformation's trace, and the result is staged again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.array import DeviceArray
from anejax.core.context import current_mark, set_mark
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var


def eval_graph(graph: Graph, args: Sequence[Any]) -> list[Any]:
    """The outputs of ``graph`` at ``args``. New equations get the marks of its equations."""
    env: dict[Var, Any] = dict(zip(graph.inputs, args, strict=True))
    outer = current_mark()
    try:
        for eqn, dead in zip(graph.eqns, _dead_after(graph)):
            set_mark(eqn.mark.within(outer))
            write(env, eqn.outputs, bind_eqn(eqn, [read(env, a) for a in eqn.inputs]))
            for var in dead:
                del env[var]
    finally:
        set_mark(outer)
    return [read(env, a) for a in graph.outputs]


def bind_eqn(eqn: Eqn, args: Sequence[Any]) -> list[Any]:
    out = eqn.primitive.bind(*args, **eqn.params)
    return out if eqn.primitive.multiple_results else [out]


def read(env: dict[Var, Any], atom: Atom) -> Any:
    return literal_value(atom) if isinstance(atom, Literal) else env[atom]


def literal_value(atom: Literal) -> Any:
    """A literal as an operand that keeps its weak type."""
    return DeviceArray(atom.aval, atom.value) if atom.aval.weak_type else atom.value


def write(env: dict[Var, Any], variables: Sequence[Var], values: Sequence[Any]) -> None:
    for var, value in zip(variables, values, strict=True):
        env[var] = value


def _dead_after(graph: Graph) -> list[list[Var]]:
    """The variables that nothing needs after each equation, so that large graphs do not hold every value."""
    last: dict[Var, int] = {}
    for i, eqn in enumerate(graph.eqns):
        for v in (*eqn.inputs, *eqn.outputs):
            if isinstance(v, Var):
                last[v] = i
    for v in graph.outputs:
        if isinstance(v, Var):
            last.pop(v, None)
    dead: list[list[Var]] = [[] for _ in graph.eqns]
    for v, i in last.items():
        dead[i].append(v)
    return dead


def as_function(graph: Graph) -> Callable[..., list[Any]]:
    """``graph`` as a function of flat values."""
    return lambda *args: eval_graph(graph, args)
