"""The border: what crosses between devices is float16 of rank 1 or more, and casts on either side make it so.

The engine's ports take neither float32 nor bool nor scalars (research: e5rt 6 "Dtypes at ports"). Casts are equations
like others, so those on the CPU device fuse with their neighbours, and those on the engine vanish when float32 becomes
float16 there. A segment in this form runs on the CPU device as it is: with float32 inside, or legalized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.context import base_trace, tracing
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.ops.arithmetic import ne
from anejax.ops.elementwise import convert_element_type
from anejax.ops.shape import reshape
from anejax.transforms.stage import stage

BORDER = dtypes.float16


def border_aval(aval: Aval) -> Aval:
    """What a value of ``aval`` is while it crosses."""
    return Aval(aval.shape or (1,), BORDER)


def crosses_as_it_is(aval: Aval) -> bool:
    return aval.same_type(border_aval(aval))


def leaving(var: Var) -> tuple[tuple[Eqn, ...], Var]:
    """(equations, the variable in the form in which it crosses)."""
    return _applied(lambda x: reshape(convert_element_type(x, BORDER), border_aval(var.aval).shape), var)


def entering(crossed: Var, aval: Aval) -> tuple[tuple[Eqn, ...], Var]:
    """(equations, the value of ``aval`` that crossed as ``crossed``)."""

    def enter(x: Any) -> Any:
        x = reshape(x, aval.shape)
        return ne(x, np.zeros((), BORDER)) if aval.dtype == dtypes.bool_ else convert_element_type(x, aval.dtype)

    return _applied(enter, crossed)


def _applied(function: Callable[[Any], Any], var: Var) -> tuple[tuple[Eqn, ...], Var]:
    with tracing(base_trace()):
        graph, _ = stage(lambda x: [function(x)], [var.aval])
    (x,), (out,) = graph.inputs, graph.outputs
    eqns = tuple(e.replace(inputs=tuple(var if a is x else a for a in e.inputs)) for e in graph.eqns)
    return eqns, var if out is x or not isinstance(out, Var) else out


@dataclass(frozen=True)
class Divided:
    """A Graph with casts where values change devices. Its inputs and outputs are the CPU device's.

    Attributes:
        on_engine: for each equation whether it is the engine's.
        origin: for each equation its index in the Graph without casts; None for casts.
    """

    graph: Graph
    on_engine: tuple[bool, ...]
    origin: tuple[int | None, ...]


def with_casts(graph: Graph, on_engine: Sequence[bool]) -> Divided:
    """``graph`` with casts; ``on_engine`` says of each equation whether it is the engine's."""
    casts = _Casts(graph, on_engine)
    for i, (eqn, engine) in enumerate(zip(graph.eqns, on_engine)):
        casts.add(eqn, engine, i)
    outputs = tuple(casts.read(a, False) for a in graph.outputs)
    eqns, sides, origin = zip(*casts.rows) if casts.rows else ((), (), ())
    return Divided(graph.replace(eqns=eqns, outputs=outputs), sides, origin)


class _Casts:
    """Writes equations down, and what each value is called on the other side.

    A value leaves right behind the equation that makes it, and enters before the first that reads it there, so that a
    long segment can be cut anywhere.
    """

    def __init__(self, graph: Graph, on_engine: Sequence[bool]) -> None:
        self.rows: list[tuple[Eqn, bool, int | None]] = []
        self.made_on_engine = {v for e, engine in zip(graph.eqns, on_engine) if engine for v in e.outputs}
        read = ((a, engine) for e, engine in zip(graph.eqns, on_engine) for a in e.inputs)
        self.abroad = {a for a, engine in (*read, *((a, False) for a in graph.outputs)) if self.is_foreign(a, engine)}
        self.crossed: dict[Atom, Var] = {}
        self.entered: dict[Atom, Var] = {}
        self.leave(graph.inputs, False)

    def is_foreign(self, atom: Atom, engine: bool) -> bool:
        """Whether ``atom`` is made on the other side, and needs casts to be read on this one."""
        made_here = isinstance(atom, Literal) or (atom in self.made_on_engine) == engine
        return not made_here and not crosses_as_it_is(atom.aval)

    def add(self, eqn: Eqn, engine: bool, origin: int) -> None:
        eqn = eqn.replace(inputs=tuple(self.read(a, engine) for a in eqn.inputs))
        self.rows.append((eqn, engine, origin))
        self.leave(eqn.outputs, engine)

    def leave(self, made: Sequence[Var], engine: bool) -> None:
        for var in made:
            if var in self.abroad:
                eqns, self.crossed[var] = leaving(var)
                self.rows += ((eqn, engine, None) for eqn in eqns)

    def read(self, atom: Atom, engine: bool) -> Atom:
        """``atom`` as one side reads it."""
        if not self.is_foreign(atom, engine):
            return atom
        if atom not in self.entered:
            eqns, self.entered[atom] = entering(self.crossed[atom], atom.aval)
            self.rows += ((eqn, engine, None) for eqn in eqns)
        return self.entered[atom]
