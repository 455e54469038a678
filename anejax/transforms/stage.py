"""Staging: calls a Python function with abstract values and records a Graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.config import config
from anejax.core.array import DeviceArray, from_numpy
from anejax.core.aval import Aval
from anejax.core.check import check_graph
from anejax.core.context import current_trace, mark_of, recording
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.core.primitive import Primitive
from anejax.core.trace import Trace, Tracer, aval_of, concrete_array, leaked, user_line
from anejax.marks import FORWARD

Flat = Callable[..., list[Any]]


class StageTracer(Tracer):
    """A value of a Graph that is being recorded."""

    __slots__ = ("var",)

    def __init__(self, trace: StageTrace, var: Var, source: str | None = None) -> None:
        self.trace, self.aval, self.source = trace, var.aval, source  # not by super(), for speed
        self.var = var


class StageTrace(Trace):
    """Records every primitive as an equation. Captured arrays and tracers of outer traces become leading inputs.

    Equations that would be of the part "forward" are of ``part``, where one is given.

    Attributes:
        array_literals: whether captured arrays become literals instead, as passes over frozen Graphs want it.
    """

    array_literals = False

    def __init__(self, parent: Trace, part: str | None = None) -> None:
        self.parent = parent
        self.part = part
        self._below = {id(t.origin) for t in (parent, *parent.ancestors())}
        self.inputs: list[Var] = []
        self.eqns: list[Eqn] = []
        self._captured: dict[int, tuple[Any, Var]] = {}

    def new_input(self, aval: Aval) -> StageTracer:
        var = Var(aval)
        self.inputs.append(var)
        return StageTracer(self, var)

    def atom(self, x: Any) -> Atom:
        """``x`` as an atom of this Graph: its own variable, a literal, or a captured value."""
        if isinstance(x, StageTracer) and x.trace is self:
            return x.var
        if isinstance(x, Tracer) and id(x.trace.origin) not in self._below:
            raise leaked(x)
        held = self._captured.get(id(x))
        if held is not None:
            return held[1]
        if not isinstance(x, Tracer) and (self.array_literals or aval_of(x).ndim == 0):
            array = concrete_array(x)
            return Literal(array.value, array.aval)
        var = Var(aval_of(x))
        self._captured[id(x)] = (x, var)
        return var

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        inputs = tuple(self.atom(a) for a in args)
        avals = prim.out_avals([a.aval for a in inputs], params)
        return self.record(prim, inputs, avals, params)

    def record(self, prim: Primitive, inputs: tuple[Atom, ...], avals: Sequence[Aval], params: Any) -> list[Any]:
        outputs = tuple(Var(a) for a in avals)
        mark = mark_of(prim, user_line)
        if self.part is not None and mark.part == FORWARD:
            mark = mark.of_part(self.part)
        self.eqns.append(Eqn(prim, inputs, outputs, params, mark))
        return [StageTracer(self, v, mark.line) for v in outputs]

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.stage(self, args)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.stage(self, args)

    def finish(self, outputs: Sequence[Any]) -> tuple[Graph, list[Any]]:
        """(Graph, captured values); the captured values are the Graph's first inputs."""
        atoms = tuple(self.atom(o) for o in outputs)
        consts = [_own(value) for value, _ in self._captured.values()]
        variables = [var for _, var in self._captured.values()]
        graph = Graph(tuple(variables + self.inputs), tuple(self.eqns), atoms)
        if config.check:
            check_graph(graph)
        return graph, consts


def _own(value: Any) -> Any:
    """A captured NumPy array is copied: the caller may write to it later."""
    if isinstance(value, (Tracer, DeviceArray)):
        return value
    if isinstance(value, np.ndarray):
        return from_numpy(np.array(value, aval_of(value).dtype))
    return concrete_array(value)


def stage(fun: Flat, avals: Sequence[Aval]) -> tuple[Graph, list[Any]]:
    """Stages ``fun``, which takes and returns flat values, at inputs of ``avals``. Returns (Graph, captured values)."""
    trace = StageTrace(current_trace())
    tracers = [trace.new_input(a) for a in avals]
    here = user_line()
    for t in tracers:
        t.source = here
    with recording(trace):
        return trace.finish(fun(*tracers))
