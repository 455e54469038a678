"""Masks that a softmax reads: -40000 in the place of -65504, which stands for infinity elsewhere.

A softmax subtracts the greatest score. What is left of -65504 is then infinite in float16 as soon as that score is
above 16, and the engine is said to mishandle infinity there. Apple's rules for authors of models ask for -40000, which
leaves room for scores up to 25,000 (the rule "mask" of mil/hazards.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.mil.limits import MASK, MAX_FINITE

LAYOUT = ("reshape", "broadcast_in_dim", "transpose", "squeeze", "expand_dims")
MASKING = ("select_n", "add")


def with_masks(graph: Graph) -> Graph:
    """``graph`` for the engine, with the masks that softmax reads as Apple asks for them."""
    made = {out: e for e in graph.eqns for out in e.outputs}
    masking = {e for eqn in graph.eqns if eqn.primitive.name == "exp" for e in _masking(eqn, made)}
    if not masking:
        return graph
    eqns: list[Eqn] = []
    for eqn in graph.eqns:
        if eqn in masking:
            eqn = replace(eqn, inputs=tuple(_mask(a, made, eqns) for a in eqn.inputs))
        eqns.append(eqn)
    return graph.replace(eqns=tuple(eqns))


def _behind(atom: Atom, made: dict[Var, Eqn], also: tuple[str, ...] = ()) -> Eqn | None:
    """The equation that makes ``atom``, behind what moves its elements."""
    eqn = made.get(atom) if isinstance(atom, Var) else None
    while eqn is not None and eqn.primitive.name in (*LAYOUT, *also):
        eqn = made.get(eqn.inputs[0]) if isinstance(eqn.inputs[0], Var) else None
    return eqn


def _masking(exp: Eqn, made: dict[Var, Eqn]) -> Iterator[Eqn]:
    """The equations that mask what is exponentiated, if that has had its greatest element subtracted."""
    less = _behind(exp.inputs[0], made)
    if less is None or less.primitive.name != "sub":
        return
    top = _behind(less.inputs[1], made, ("max",))  # with the initial value
    if top is None or top.primitive.name != "reduce_max":
        return
    open_ = [_behind(less.inputs[0], made)]
    while open_:
        eqn = open_.pop()
        if eqn is not None and eqn.primitive.name in MASKING:
            yield eqn
            open_ += [_behind(a, made) for a in eqn.inputs]


def _mask(atom: Atom, made: dict[Var, Eqn], eqns: list[Eqn]) -> Atom:
    """``atom``, or, where it is a constant that stands for -infinity, one that does not become infinite; what moves its
    elements is done again, since others may read it."""
    if isinstance(atom, Literal):
        masks = np.asarray(atom.value) == -MAX_FINITE
        new = np.where(masks, np.asarray(MASK, atom.value.dtype), atom.value)
        return Literal(new, atom.aval) if masks.any() else atom
    eqn = made.get(atom)
    if eqn is None or eqn.primitive.name not in LAYOUT:
        return atom
    source = _mask(eqn.inputs[0], made, eqns)
    if source is eqn.inputs[0]:
        return atom
    out = Var(atom.aval)
    eqns.append(replace(eqn, inputs=(source, *eqn.inputs[1:]), outputs=(out,)))
    return out
