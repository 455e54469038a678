"""Finds the values of a Graph that depend on a loss scale. If they overflow, the scale adapts itself (anejax.amp)."""

from __future__ import annotations

from collections.abc import Iterable

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.partition.fixed import numbers_of
from anejax.partition.levels import read_by

CARRIES = frozenset({"max", "convert_element_type", "reshape", "broadcast_in_dim", "select_n", "copy"})
LOOKS = frozenset({"reduce_max", "scan", "cond"})  # loops and branches carry the largest magnitude along


def following(graph: Graph, given: Iterable[Var] = ()) -> set[Var]:
    """The variables that follow from a loss scale of ``graph``, or from those that are ``given`` to follow from one.

    A loss scale is an input without axes that bounds a largest magnitude: transforms/watch.py makes the one, and
    anejax.amp the comparison, which decides about the next scale. No other scale is known to be changed when something
    overflows.
    """
    found = {*_scales(graph), *given}
    for eqn in graph.eqns:
        if not found.isdisjoint(read_by(eqn)):
            found.update(eqn.outputs)
    return found


def _scales(graph: Graph) -> set[Var]:
    made_by = {v: e for e in graph.eqns for v in e.outputs}
    numbers = numbers_of(graph)
    found: set[Var] = set()
    for eqn in graph.eqns:
        if eqn.primitive.name not in ("lt", "gt") or eqn.outputs[0].aval.shape != ():
            continue
        for bound, largest in (eqn.inputs, eqn.inputs[::-1]):
            if isinstance(bound, Var) and bound in numbers and _is_largest(largest, made_by):
                found |= _inputs_of(bound, graph, made_by)
    return found


def _is_largest(atom: Atom, made_by: dict[Var, Eqn]) -> bool:
    """Whether ``atom`` is a maximum of magnitudes, or carries one on."""
    asked, seen = [atom], set[Var]()
    while asked:
        a = asked.pop()
        eqn = None if isinstance(a, Literal) else made_by.get(a)
        if eqn is None or eqn.outputs[0] in seen:
            continue
        seen.update(eqn.outputs)
        if eqn.primitive.name in LOOKS:
            return True
        if eqn.primitive.name in CARRIES:
            asked += eqn.inputs
    return False


def _inputs_of(var: Var, graph: Graph, made_by: dict[Var, Eqn]) -> set[Var]:
    """The inputs of ``graph`` that ``var`` is computed from."""
    found, asked = {var}, [var]
    while asked:
        eqn = made_by.get(asked.pop())
        new = {*read_by(eqn)} - found if eqn is not None else set[Var]()
        found |= new
        asked += new
    return found & {*graph.inputs}
