"""Describes a plan: its segments, the values that cross between them, and the reason for the place of each equation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from anejax.core.graph import Eqn, Var, subgraphs
from anejax.lower.to_mil import lower
from anejax.marks import Mark
from anejax.mil.program import Program
from anejax.partition import Plan, Segment, lanes
from anejax.partition.cost import host_us
from anejax.passes.inline import inline
from anejax.passes.legalize import why_not
from anejax.passes.pipeline import optimize
from anejax.transforms.composite import composite_p, title

SOURCES = 3  # lines of the user's code that are shown for each group


@dataclass(frozen=True)
class SegmentFacts:
    """One segment.

    Attributes:
        device: "ane" or "cpu".
        primitives: of the function's equations that it computes, primitive -> how many, the most frequent first.
        casts: equations beside those, which bring values into the form in which they cross.
        operations: how many the program has, or those of a loop's first chunk.
        inputs, outputs: types.
        us: predicted microseconds of a run; on the engine with the floor of its dispatches.
        unpredicted: what ``us`` leaves out, primitive -> how many.
        dispatches: how many programs it runs in one call.
        chunks: of a loop (turns of a chunk, how many such chunks), in order.
    """

    device: str
    primitives: dict[str, int]
    casts: int
    operations: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    us: float
    unpredicted: dict[str, int]
    dispatches: int
    chunks: tuple[tuple[int, int], ...]

    @property
    def equations(self) -> int:
        """The number of the function's equations in the segment."""
        return sum(self.primitives.values())


@dataclass(frozen=True)
class Flow:
    """The values that cross from one segment to another. None stands for the arguments or the results."""

    source: int | None
    target: int | None
    values: int
    nbytes: int


@dataclass(frozen=True)
class Placement:
    """Equations of one primitive that one device has for one reason.

    Attributes:
        sources: a few of the lines that made them.
        layers: a few of the layers that they are in (``named_scope``).
    """

    device: str
    reason: str
    primitive: str
    count: int
    sources: tuple[str, ...]
    layers: tuple[str, ...]


def program_of(segment: Segment) -> Program:
    """The program from which ``segment`` is compiled. It must not be a loop."""
    return segment.program or lower(optimize(segment.graph))


def facts_of(segment: Segment, eqns: Iterable[Eqn]) -> SegmentFacts:
    """The facts of ``segment``, which computes the equations ``eqns`` of the undivided Graph."""
    primitives, inside = _counted(eqns), segment.graph.eqns
    programs = [program_of(s) for s in ([segment] if segment.loop is None else segment.loop.plan.leaves)]
    us, unpredicted, chunks = 0.0, {}, ()
    if segment.loop is not None:
        us, chunks = segment.loop.host_us, tuple((turns, runs) for _, turns, runs in segment.loop.chunks)
    if segment.cost is not None:
        us += segment.cost.us
    else:
        us = host_us(filter(is_predicted, inside))
        unpredicted = _counted(e for e in inside if not is_predicted(e))
    return SegmentFacts(
        segment.device, primitives, len(inside) - sum(primitives.values()), sum(len(p.main.ops) for p in programs),
        tuple(str(v.aval) for v in segment.graph.inputs), tuple(str(v.aval) for v in segment.graph.outputs),
        us, unpredicted, segment.dispatches, chunks,
    )  # fmt: skip


def is_predicted(eqn: Eqn) -> bool:
    """Whether the CPU device's time of ``eqn`` follows from its products and the bytes that it writes, which is not so
    for sorting, random bits, LAPACK and loops."""
    if eqn.primitive is composite_p:
        return all(map(is_predicted, inline(eqn.params["graph"]).eqns))
    if any(True for _ in subgraphs(eqn.params)):
        return False
    return eqn.primitive.elementwise or why_not(eqn.primitive.name, "ane") is None


def flows_of(plan: Plan) -> tuple[Flow, ...]:
    """The flows into each segment from others and from the caller, then those to the caller."""
    made = {v: i for i, s in enumerate(plan.segments) for v in s.outputs}
    sizes: dict[tuple[int | None, int | None], list[int]] = {}
    for var, target in _reads(plan):
        sizes.setdefault((made.get(var), target), []).append(var.aval.nbytes)
    return tuple(Flow(source, target, len(n), sum(n)) for (source, target), n in sizes.items())


def schedule(times: Sequence[float], segments: Sequence[SegmentFacts], flows: Iterable[Flow]) -> list[float]:
    """When each segment begins if each takes ``times``: both devices work at the same time."""
    needs: list[set[int]] = [set() for _ in segments]
    for flow in flows:
        if flow.source is not None and flow.target is not None:
            needs[flow.target].add(flow.source)
    return lanes.starts(times, [s.device for s in segments], needs)


def whole_us(segments: Sequence[SegmentFacts], flows: Iterable[Flow]) -> float:
    """Predicted microseconds of one call."""
    times = [s.us for s in segments]
    return max((b + t for b, t in zip(schedule(times, segments, flows), times)), default=0.0)


def placements_of(plan: Plan, engine_reason: str) -> tuple[Placement, ...]:
    """Every equation of the undivided Graph, in groups: the engine's first, then by number."""
    groups: dict[tuple[str, str, str], list[Mark]] = {}
    for eqn, reason in zip(plan.source.eqns, plan.reasons, strict=True):
        device, why = ("ane", engine_reason) if reason is None else ("cpu", reason)
        groups.setdefault((device, why, title(eqn)), []).append(eqn.mark)
    found = [
        Placement(*key, len(marks), _first(m.line for m in marks), _first(m.path for m in marks))
        for key, marks in groups.items()
    ]
    return tuple(sorted(found, key=lambda p: (p.device, -p.count)))


def _reads(plan: Plan) -> Iterator[tuple[Var, int | None]]:
    for i, segment in enumerate(plan.segments):
        yield from ((v, i) for v in segment.graph.inputs)
    yield from ((v, None) for v in plan.graph.outputs if isinstance(v, Var))


def _counted(eqns: Iterable[Eqn]) -> dict[str, int]:
    return dict(Counter(map(title, eqns)).most_common())


def _first(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))[:SOURCES]
