"""The plan of a partition: segments in an order in which they run, and why each equation is where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.lower.to_mil import lower
from anejax.mil.cost import Cost, predict
from anejax.mil.limits import MAX_PROGRAM_INPUTS, MAX_PROGRAM_OPS
from anejax.mil.program import Program
from anejax.ops.arithmetic import mul_p
from anejax.partition import state
from anejax.partition.ability import reasons_of
from anejax.partition.border import Divided, crosses_as_it_is, entering, leaving, with_casts
from anejax.partition.cost import engine_us, host_us
from anejax.partition.levels import cheapest_cut, components, parts, readers_of, subgraph
from anejax.passes.legalize import legalize


@dataclass(frozen=True, eq=False)
class Segment:
    """Equations that run as one program.

    Attributes:
        device: "ane" or "cpu".
        graph: the segment. The engine's has ports of float16 and rank 1 or more, and runs on the CPU device as well.
        program: what the engine gets; None for the CPU device.
        cost: what the program is predicted to take; None for the CPU device.
        origin: the equations of the undivided Graph that it computes, by index.
    """

    device: str
    graph: Graph
    program: Program | None
    cost: Cost | None
    origin: tuple[int, ...]

    @property
    def outputs(self) -> list[Var]:
        """The variables that it makes."""
        return [v for v in self.graph.outputs if isinstance(v, Var)]


@dataclass(frozen=True, eq=False)
class Plan:
    """A Graph divided.

    Attributes:
        chip: whose engine.
        source: the undivided Graph.
        reasons: for each of its equations why it is the CPU device's, or None when it is the engine's.
        graph: with casts; the segments' variables are its own.
        segments: in an order in which they run.
    """

    chip: str
    source: Graph
    reasons: tuple[str | None, ...]
    graph: Graph
    segments: tuple[Segment, ...]

    @property
    def programs(self) -> list[Program]:
        """The engine's programs."""
        return [s.program for s in self.segments if s.program is not None]

    @property
    def host(self) -> list[tuple[Eqn, str]]:
        """The CPU device's equations, each with the reason."""
        return [(e, r) for e, r in zip(self.source.eqns, self.reasons) if r is not None]


def partition(graph: Graph, chip: str, *, by_cost: bool = True, keep_state: bool = True) -> Plan:
    """``graph``, optimized for the CPU device, divided for the engine of ``chip``.

    Args:
        by_cost: leave to the CPU device what is predicted to be faster there; else the engine has all it can have.
        keep_state: leave updates of state to the CPU device, in float32.

    Raises MilError for a chip that is not known.
    """
    reasons = reasons_of(graph, chip)
    if keep_state:
        for i in state.kept_on_host(graph, [r is None for r in reasons]):
            reasons[i] = state.REASON
    while True:
        divided = with_casts(graph, [r is None for r in reasons])
        segments = tuple(_Cutter(divided, chip).segments())
        losing = dict(_losing(divided, segments, chip)) if by_cost else {}
        if not losing:
            return Plan(chip, graph, tuple(reasons), divided.graph, segments)
        for i, reason in losing.items():
            reasons[i] = reason


class _Cutter:
    """Makes segments of parts, and knows in which form values go from one engine segment to another."""

    def __init__(self, divided: Divided, chip: str) -> None:
        self.divided, self.chip = divided, chip
        self.readers = readers_of(divided.graph)
        self.crossed: dict[Var, Var] = {}

    def segments(self) -> Iterator[Segment]:
        for part in parts(self.divided.graph, self.divided.on_engine):
            if part.on_engine:
                yield from self.engine(part.members)
            else:
                graph = subgraph(self.divided.graph, part.members, self.readers)
                yield Segment("cpu", graph, None, None, self.origin(part.members))

    def engine(self, members: tuple[int, ...]) -> Iterator[Segment]:
        """One segment, or several when the program would be too large."""
        plain = subgraph(self.divided.graph, members, self.readers)
        if len(members) == 1 or (len(plain.inputs) <= MAX_PROGRAM_INPUTS and len(members) <= 2 * MAX_PROGRAM_OPS):
            crossed = dict(self.crossed)
            graph = self.in_border_form(plain)
            program = engine_program(graph, self.chip)
            if len(program.main.ops) <= MAX_PROGRAM_OPS or len(members) == 1:
                yield Segment("ane", graph, program, predict(program, self.chip), self.origin(members))
                return
            self.crossed = crossed
        cut = cheapest_cut(plain)
        yield from self.engine(members[:cut])
        yield from self.engine(members[cut:])

    def in_border_form(self, graph: Graph) -> Graph:
        """``graph`` with casts at the ports that other engine segments are at the other end of."""
        before: list[Eqn] = []
        after: list[Eqn] = []
        inside: dict[Var, Var] = {}
        for v in graph.inputs:
            if not crosses_as_it_is(v.aval):
                eqns, inside[v] = entering(self.crossed[v], v.aval)
                before += eqns
        for v in graph.outputs:
            assert isinstance(v, Var)
            if not crosses_as_it_is(v.aval):
                eqns, self.crossed[v] = leaving(v)
                after += eqns
        eqns = [e.replace(inputs=tuple(inside.get(a, a) for a in e.inputs)) for e in graph.eqns]  # type: ignore[arg-type]
        outside = lambda v: v if crosses_as_it_is(v.aval) else self.crossed[v]  # noqa: E731
        return Graph(tuple(map(outside, graph.inputs)), (*before, *eqns, *after), tuple(map(outside, graph.outputs)))

    def origin(self, members: Sequence[int]) -> tuple[int, ...]:
        found = (self.divided.origin[i] for i in members)
        return tuple(i for i in found if i is not None)


def engine_program(graph: Graph, chip: str) -> Program:
    """What the engine of ``chip`` gets of a segment."""
    return lower(_with_own_outputs(legalize(graph, "ane", chip)), "ane")


def _with_own_outputs(graph: Graph) -> Graph:
    """Outputs that are inputs, or come twice, are multiplied by one: the engine's compiler crashes on returned inputs
    (research: e5rt 5), and ports have one name each."""
    seen: set[Atom] = set(graph.inputs)
    eqns, outputs = list(graph.eqns), list(graph.outputs)
    for i, atom in enumerate(outputs):
        if atom in seen:
            outputs[i] = copy = Var(atom.aval)
            one = Literal(np.ones((), atom.aval.dtype), atom.aval.update(shape=()))
            eqns.append(Eqn(mul_p, (atom, one), (copy,), {}))
        seen.add(atom)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(outputs))


def _losing(divided: Divided, segments: Sequence[Segment], chip: str) -> Iterator[tuple[int, str]]:
    """The engine's equations, by index into the undivided Graph, that are predicted to be faster on the CPU device.

    Pieces of a segment that do not need each other share its dispatch: first each is asked without it.
    """
    origin = {v: i for e, i in zip(divided.graph.eqns, divided.origin) for v in e.outputs if i is not None}
    for segment in segments:
        if segment.cost is None:
            continue
        pieces = list(components(segment.graph))
        asked = [(p, predict(engine_program(p, chip), chip), False) for p in pieces] if len(pieces) > 1 else []
        lost = [found for found in asked if _loses(*found)]
        whole = (segment.graph, segment.cost, True)
        for graph, cost, dispatch in lost or ([whole] if _loses(*whole) else []):
            reason = (
                f"predicted to take {host_us(cost.flops, graph.eqns):.1f} us on the CPU device, and"
                f" {engine_us(cost, graph, dispatch):.1f} us on the engine{' with its dispatch' if dispatch else ''}"
            )
            yield from ((origin[v], reason) for e in graph.eqns for v in e.outputs if v in origin)


def _loses(graph: Graph, cost: Cost, dispatch: bool) -> bool:
    return engine_us(cost, graph, dispatch) >= host_us(cost.flops, graph.eqns)
