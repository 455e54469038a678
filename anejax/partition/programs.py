"""The engine programs of segments, and their predicted times. Equal segments, such as those of equal layers, are
legalized and lowered once: a network has many, and the plan needs each several times.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, subgraphs
from anejax.lower.to_mil import lower
from anejax.marks import NOWHERE, Mark
from anejax.mil.cost import Cost, predict
from anejax.mil.program import Program
from anejax.ops.arithmetic import mul_p
from anejax.passes.legalize import legalize
from anejax.transforms.composite import composite_p


class Made:
    """The program of a segment."""

    def __init__(self, graph: Graph, program: Program, chip: str) -> None:
        self.graph, self.program, self._chip = graph, program, chip

    @cached_property
    def cost(self) -> Cost:
        """The predicted time of one run."""
        return predict(self.program, self._chip)


class Programs:
    """Makes programs for the engine of ``chip``, and remembers those that it made."""

    def __init__(self, chip: str) -> None:
        self.chip = chip
        self._made: dict[Hashable, Made] = {}

    def of(self, graph: Graph) -> Made:
        """The program of ``graph``, whose operations have the marks of its equations."""
        key = _form(graph)
        before = self._made.get(key) if key is not None else None
        marks = None if before is None else _renamed(before.graph.eqns, graph.eqns)
        if before is None or marks is None:
            made = Made(graph, engine_program(graph, self.chip), self.chip)
            if key is not None:
                self._made.setdefault(key, made)
            return made
        if all(old == new for old, new in marks.items()):
            return before
        made = Made(graph, _marked(before.program, marks), self.chip)
        made.cost = before.cost
        return made


def engine_program(graph: Graph, chip: str) -> Program:
    """The engine program of a segment, for ``chip``."""
    return lower(_with_own_outputs(legalize(graph, "ane", chip)), "ane")


def _with_own_outputs(graph: Graph) -> Graph:
    """Multiplies outputs that are inputs, or that occur twice, by one.

    The engine's compiler crashes on returned inputs, and each port needs its own name (docs/sources.md, "Ports and
    dtypes").
    """
    seen: set[Atom] = set(graph.inputs)
    marks: dict[Atom, Mark] = {v: e.mark for e in graph.eqns for v in e.outputs}
    eqns, outputs = list(graph.eqns), list(graph.outputs)
    for i, atom in enumerate(outputs):
        if atom in seen:
            outputs[i] = copy = Var(atom.aval)
            one = Literal(np.ones((), atom.aval.dtype), atom.aval.update(shape=()))
            eqns.append(Eqn(mul_p, (atom, one), (copy,), {}, marks.get(atom, NOWHERE)))
        seen.add(atom)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(outputs))


def plain_params(eqn: Eqn) -> dict[str, Any]:
    """The parameters that distinguish an equation from others with the same operands; for a composite, its name and
    attributes, which determine its Graph."""
    return {k: v for k, v in eqn.params.items() if eqn.primitive is not composite_p or k != "graph"}


def _form(graph: Graph) -> Hashable | None:
    """A key that is equal for Graphs that differ only in variables and marks; None if there is none. Arrays among the
    literals are distinguished by their identity: ``Made`` keeps them."""
    numbers: dict[Var, int] = {v: i for i, v in enumerate(graph.inputs)}

    def atom(a: Atom) -> Hashable:
        if isinstance(a, Var):
            return numbers.setdefault(a, len(numbers))
        return a.key() if not a.aval.shape else id(a.value)

    rows: list[Hashable] = [tuple(v.aval for v in graph.inputs)]
    for eqn in graph.eqns:
        params = plain_params(eqn)
        if any(True for _ in subgraphs(params)):
            return None
        made = tuple((atom(v), v.aval) for v in eqn.outputs)
        rows.append((eqn.primitive, tuple(map(atom, eqn.inputs)), made, tuple(sorted(params.items()))))
    rows.append(tuple(map(atom, graph.outputs)))
    key = tuple(rows)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _renamed(before: Iterable[Eqn], after: Iterable[Eqn]) -> dict[Mark, Mark] | None:
    """The mark among other equal equations for each mark of some equations; None if one mark corresponds to two."""
    found: dict[Mark, Mark] = {}
    for old, new in zip(before, after, strict=True):
        if found.setdefault(old.mark, new.mark) != new.mark:
            return None
    return found


def _marked(program: Program, marks: dict[Mark, Mark]) -> Program:
    main = program.main
    ops = tuple(replace(op, mark=marks.get(op.mark, op.mark)) for op in main.ops)
    return replace(program, functions=tuple(replace(f, ops=ops) if f is main else f for f in program.functions))
