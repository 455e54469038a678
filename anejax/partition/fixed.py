"""Finds values that stay in float32 on the CPU device although the engine could compute them.

These are scalars computed only from scalars, counts, angles, and values that a loss scale was divided out of. float16
has too few digits to count: it has no odd integers beyond 2048, and an angle of 250 is off by up to 0.06. Its range,
from 2^-24 to 65504, is too small for loss scales and for the results of dividing by them.
"""

from __future__ import annotations

from anejax import dtypes
from anejax.core.graph import Graph, Var, subgraphs
from anejax.lower.to_mil import LAYOUT
from anejax.partition.levels import read_by, readers_of

PRODUCTS = ("dot_general", "conv_general_dilated")  # the engine's main work: they stay there no matter who reads them

COUNTED = "the same in every run: counted in float32 on the CPU device"
NUMBER = "a number made of numbers: float32 on the CPU device"
UNSCALED = "made of what a scale was taken out of, which float16 may have no numbers for: float32 on the CPU device"
ANGLE = "an angle made of inputs, which float16 would round: float32 on the CPU device"


def in_float32(graph: Graph) -> list[str | None]:
    """The reason why each equation stays in float32, or None."""
    numbers = numbers_of(graph)
    unscaled = _unscaled(graph, numbers)
    number = [NUMBER if numbers.issuperset(e.outputs) else None for e in graph.eqns]
    return [n or u or c for n, u, c in zip(number, unscaled, _counted(graph))]


def numbers_of(graph: Graph) -> set[Var]:
    """The floats without axes that follow, elementwise, from inputs without axes."""
    is_number = lambda v: v.aval.shape == () and dtypes.is_float(v.aval.dtype)  # noqa: E731
    found = {v for v in graph.inputs if is_number(v)}
    for eqn in graph.eqns:
        if eqn.primitive.elementwise and {*read_by(eqn)} <= found and is_number(eqn.outputs[0]):
            found.update(eqn.outputs)
    return found


def _unscaled(graph: Graph, numbers: set[Var]) -> list[str | None]:
    """UNSCALED for each equation that divides gradients of a scaled loss by the scale, and for all that follow from it.

    The sign is an operand computed from the same inputs as the number that it is divided by or multiplied with. A
    network may do that anywhere, with a time, say; so nothing that products or loops read is taken for unscaled.
    """
    given, made_of = {*graph.inputs}, {v: {v} & numbers for v in graph.inputs}
    found: set[Var] = set()
    for eqn, last in zip(graph.eqns, _last(graph)):
        ins = {*read_by(eqn)}
        made_of.update(dict.fromkeys(eqn.outputs, set[Var]().union(*(made_of[v] for v in ins))))
        scalings = [v for v in ins & numbers if eqn.primitive.name in ("mul", "div")]
        undoes = any(made_of[n] & made_of[v] for n in scalings for v in ins - numbers)
        follows = ins & found and ins <= found | numbers | given
        if last and (follows or (undoes and eqn.outputs[0].aval.dtype == dtypes.float32)):
            found.update(eqn.outputs)
    return [UNSCALED if eqn.outputs and found.issuperset(eqn.outputs) else None for eqn in graph.eqns]


def _last(graph: Graph) -> list[bool]:
    """Whether each equation, and all that follow from it, are neither products nor loops."""
    needed: set[Var] = set()
    found = []
    for eqn in reversed(graph.eqns):
        heavy = eqn.primitive.name in PRODUCTS or any(True for _ in subgraphs(eqn.params))
        found.append(not heavy and needed.isdisjoint(eqn.outputs))
        if not found[-1]:
            needed.update(read_by(eqn))
    return found[::-1]


def _counted(graph: Graph) -> list[str | None]:
    """Values that are the same in every run, and angles."""
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
    """The reason that each equation's operands give, and whether it follows from inputs by elementwise steps."""
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
