"""What stays in float32 on the CPU device although the engine has it: what is the same in every run, and angles.

float16 has too few digits to count: no odd number beyond 2048, and an angle of 250 is off by up to 0.06.
"""

from __future__ import annotations

from anejax.core.graph import Graph, Var
from anejax.lower.to_mil import LAYOUT
from anejax.partition.levels import read_by, readers_of

COUNTED = "the same in every run: counted in float32 on the CPU device"
ANGLE = "an angle made of inputs, which float16 would round: float32 on the CPU device"


def in_float32(graph: Graph) -> list[str | None]:
    """For each equation why it is one for float32, or None."""
    reasons = _sources(graph)
    readers = readers_of(graph)
    for i in range(len(graph.eqns) - 1, -1, -1):
        eqn, (reason, simple) = graph.eqns[i], reasons[i]
        after = [reasons[j][0] for v in eqn.outputs for j in readers.get(v, ())]
        if reason and eqn.primitive.name == "broadcast_in_dim" and not any(after):
            reasons[i] = None, simple  # only the shape in which the engine wants it
        elif not reason and simple and after and all(r == ANGLE for r in after):
            reasons[i] = ANGLE, simple
    return [reason for reason, _ in reasons]


def _sources(graph: Graph) -> list[tuple[str | None, bool]]:
    """For each equation: the reason that its operands give, and whether it is made of inputs by elementwise steps."""
    counted: set[Var] = set()
    plain: set[Var] = set()
    simple: set[Var] = {*graph.inputs}
    found: list[tuple[str | None, bool]] = []
    for eqn in graph.eqns:
        ins, name = {*read_by(eqn)}, eqn.primitive.name
        easy = ins <= simple and (eqn.primitive.elementwise or name in (*LAYOUT, "reshape"))
        if name == "iota" or (ins & counted and ins <= counted | plain):
            counted.update(eqn.outputs)
        elif not ins or ins <= plain:
            plain.update(eqn.outputs)
        if easy:
            simple.update(eqn.outputs)
        angle = ANGLE if easy and ins and name in ("sin", "cos") else None
        found.append((COUNTED if counted.issuperset(eqn.outputs) else angle, easy))
    return found
