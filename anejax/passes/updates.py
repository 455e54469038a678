"""Finds the equations of an optimizer's step: they depend on gradients, and are not differentiated themselves."""

from __future__ import annotations

from anejax.core.graph import Atom, Eqn, Graph
from anejax.marks import BACKWARD, FORWARD, UPDATE


def mark_updates(graph: Graph) -> Graph:
    """``graph`` with the part "update" where an equation of the part "forward" follows from a transposed one, and no
    transposed one follows from it (as from a derivative inside a loss); and where such equations alone read it."""
    if not any(e.mark.part == BACKWARD for e in graph.eqns):
        return graph
    after: set[Atom] = set()
    for eqn in graph.eqns:
        if eqn.mark.part == BACKWARD or not after.isdisjoint(eqn.inputs):
            after.update(eqn.outputs)
    before: set[Atom] = set()  # the values from which transposed equations follow
    for_update: set[Atom] = set()
    for_others: set[Atom] = set()
    eqns: list[Eqn] = []
    for eqn in reversed(graph.eqns):
        if eqn.mark.part == BACKWARD or not before.isdisjoint(eqn.outputs):
            before.update(eqn.inputs)
        elif eqn.mark.part == FORWARD and (
            not after.isdisjoint(eqn.inputs)
            or (not for_update.isdisjoint(eqn.outputs) and for_others.isdisjoint(eqn.outputs))
        ):
            eqn = eqn.replace(mark=eqn.mark.of_part(UPDATE))
        (for_update if eqn.mark.part == UPDATE else for_others).update(eqn.inputs)
        eqns.append(eqn)
    return graph.replace(eqns=tuple(reversed(eqns)))
