"""The plan of a partition: the segments in the order in which they run, and the reason for the place of each
equation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from anejax.core.graph import Eqn, Graph, Var
from anejax.mil.chips import chip_of
from anejax.mil.cost import Cost, in_sequence
from anejax.mil.limits import LIMITS, MAX_PROGRAM_INPUTS, MAX_PROGRAM_OPS
from anejax.mil.program import Program
from anejax.mil.text import to_text
from anejax.partition import lanes, state
from anejax.partition.ability import abilities
from anejax.partition.again import with_repeats
from anejax.partition.border import Divided, crosses_as_it_is, entering, leaving, with_casts
from anejax.partition.cost import engine_us, host_us, product_flops
from anejax.partition.layers import layer_cuts
from anejax.partition.levels import (
    CPU,
    ENGINE,
    LOOP,
    Part,
    cheapest_cut,
    components,
    parts,
    read_by,
    readers_of,
    subgraph,
)
from anejax.partition.programs import Made, Programs
from anejax.partition.returning import RETURNS, returning
from anejax.partition.scans import Chunked, chunk
from anejax.partition.turns import turn_of
from anejax.passes.long_axes import in_parts
from anejax.transforms.composite import title

DISPATCH_SHARE = 0.15  # largest part of a program's time that its dispatch may take, for a program of equal layers

JOINED = "parts of a long axis are cut and joined on the CPU device"

BEGINS = "the same in every run, and what a loop of the engine begins with"

NOTHING: Mapping[int, str] = {}


@dataclass(frozen=True, eq=False)
class Segment:
    """Equations that run as one program, or a scan that runs as several dispatches of few.

    Attributes:
        device: "ane" or "cpu".
        graph: the segment. The engine's has ports of float16 and rank 1 or more, except for the sums of a loop, and
            runs on the CPU device too.
        program: the engine's program; None for the CPU device and for loops.
        cost: the predicted time on the engine; None for the CPU device.
        origin: the equations of the undivided Graph that it computes, by index.
        loop: the plan by which the one equation of ``graph``, a scan, runs in chunks; None for programs.
    """

    device: str
    graph: Graph
    program: Program | None
    cost: Cost | None
    origin: tuple[int, ...]
    loop: Loop | None = None

    @property
    def outputs(self) -> list[Var]:
        """The variables that it makes."""
        return [v for v in self.graph.outputs if isinstance(v, Var)]

    @property
    def dispatches(self) -> int:
        """The number of programs that the segment runs in one call."""
        return 1 if self.loop is None else self.loop.dispatches


@dataclass(frozen=True, eq=False)
class Loop:
    """A scan as chunks, each the same plan, run one after the other.

    Attributes:
        length: how many turns the scan has.
        turns: how many a chunk has.
        plan: of a chunk: (consts, carry, rows of xs) -> (carry, rows of ys).
        rest: of the fewer turns that remain at the end; None when there are none.
    """

    length: int
    turns: int
    plan: Plan
    rest: Plan | None

    @property
    def chunks(self) -> list[tuple[Plan, int, int]]:
        """Plans, of how many turns each is, and how often it runs, in order."""
        last = [] if self.rest is None else [(self.rest, self.length % self.turns, 1)]
        return [(self.plan, self.turns, self.length // self.turns), *last]

    @property
    def cost(self) -> Cost:
        """The predicted cost of all turns on the engine."""
        return in_sequence(self.plan.chip, (plan.cost.times(runs) for plan, _, runs in self.chunks))

    @property
    def host_us(self) -> float:
        """Predicted microseconds of the CPU device's part: adding up sums."""
        return sum(runs * plan.host_us for plan, _, runs in self.chunks)

    @property
    def dispatches(self) -> int:
        return sum(runs * plan.dispatches for plan, _, runs in self.chunks)


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
    def leaves(self) -> Iterator[Segment]:
        """The segments, and in the place of loops those of their chunks."""
        for segment in self.segments:
            if segment.loop is None:
                yield segment
            else:
                yield from (leaf for plan, *_ in segment.loop.chunks for leaf in plan.leaves)

    @property
    def programs(self) -> list[Program]:
        """The engine's programs."""
        return [s.program for s in self.leaves if s.program is not None]

    @property
    def compiled(self) -> int:
        """The number of different engine programs. Equal layers count once."""
        return len({to_text(program) for program in self.programs})

    @property
    def cost(self) -> Cost:
        """The predicted cost on the engine."""
        return in_sequence(self.chip, (s.cost for s in self.segments if s.cost is not None))

    @property
    def host_us(self) -> float:
        """Predicted microseconds of the CPU device."""
        own = host_us(e for s in self.segments if s.cost is None for e in s.graph.eqns)
        return own + sum(s.loop.host_us for s in self.segments if s.loop is not None)

    @property
    def dispatches(self) -> int:
        """The number of programs that run in one call, on either device."""
        return sum(s.dispatches for s in self.segments)

    @property
    def why_idle(self) -> str | None:
        """Why the engine has nothing of the Graph: the reason of the equation with the most work, or None if it has
        some."""
        if any(True for _ in self.programs) or not self.source.eqns:
            return None
        most = max(range(len(self.source.eqns)), key=lambda i: host_us([self.source.eqns[i]]))
        return f"{title(self.source.eqns[most])}: {self.reasons[most]}"

    @property
    def flops(self) -> int:
        """FLOP of the products that the engine has."""
        return sum(product_flops(e) for e, reason in zip(self.source.eqns, self.reasons) if reason is None)

    @property
    def host(self) -> list[tuple[Eqn, str]]:
        """The CPU device's equations, each with the reason."""
        return [(e, r) for e, r in zip(self.source.eqns, self.reasons) if r is not None]


def partition(
    graph: Graph, chip: str, *, by_cost: bool = True, keep_state: bool = True, known: Mapping[int, str] = NOTHING
) -> Plan:
    """``graph``, optimized for the CPU device, divided for the engine of ``chip``.

    If its long axes can be processed in parts, that is one more form of it, and the better plan is returned.

    Args:
        by_cost: leave equations to the CPU device that are predicted to be faster there; else the engine has all that
            it can run.
        keep_state: leave updates of state to the CPU device, in float32.
        known: the inputs that are known to be state, by index, with reasons (``donated`` derives it from donation).

    Raises MilError for a chip that is not known.
    """
    plan = _divided(graph, chip, by_cost, keep_state, known)
    figures = chip_of(chip)
    other = in_parts(graph, LIMITS[figures.family].max_extent, figures.resident_bytes)
    if other is None:
        return plan
    cut = _divided(other.graph, chip, by_cost, keep_state, known, dict.fromkeys(other.borders, JOINED))
    if not by_cost and cut.flops != plan.flops:
        return max(plan, cut, key=lambda p: p.flops)
    now, then = whole_us(plan.segments), whole_us(cut.segments)
    return cut if then < (1 - lanes.WORTH_SHARE) * now and any(True for _ in cut.programs) else plan


def _divided(
    graph: Graph, chip: str, by_cost: bool, keep_state: bool, known: Mapping[int, str],
    kept: Mapping[int, str] = NOTHING,
) -> Plan:  # fmt: skip
    """One plan. ``kept`` are equations that stay on the CPU device in any case, and why."""
    found = abilities(graph, chip)
    reasons = [kept.get(i, reason) for i, reason in enumerate(found.reasons)]
    if keep_state:
        for i, reason in state.kept_on_host(graph, reasons, known).items():
            reasons[i] = reason
    loops: dict[int, Loop] = {}  # those that were made
    programs = Programs(chip)
    while True:
        chunked = {i: form for i, form in found.loops.items() if reasons[i] is None}
        for i in _begins_of(graph, chunked):
            reasons[i] = reasons[i] or BEGINS
        for i in returning(graph, reasons) if by_cost else ():
            reasons[i] = RETURNS
        loops.update((i, _loop(form, chip)) for i, form in chunked.items() if i not in loops)
        sides = [CPU if r else LOOP + i if i in chunked else ENGINE for i, r in enumerate(reasons)]
        divided = with_casts(graph, sides, {i: form.eqn for i, form in chunked.items()})
        cutter = _Cutter(divided, programs, loops)
        segments = tuple(cutter.segments())
        losing = dict(_losing(divided, segments, programs)) if by_cost else {}
        if not losing:
            return Plan(chip, graph, tuple(reasons), divided.graph, cutter.spread(segments) if by_cost else segments)
        for i, reason in losing.items():
            reasons[i] = reason


def donated(inputs: Iterable[int]) -> dict[int, str]:
    """Describes donated inputs to ``partition``."""
    return dict.fromkeys(inputs, state.DONATED)


def _begins_of(graph: Graph, loops: Container[int]) -> Iterator[int]:
    """The equations that compute values for loops which are the same in every run: a dispatch for zeros would be one
    too many."""
    readers = readers_of(graph)
    for i, eqn in enumerate(graph.eqns):
        if not any(read_by(eqn)) and any(j in loops for v in eqn.outputs for j in readers.get(v, ())):
            yield i


def _loop(form: Chunked, chip: str) -> Loop:
    length = form.eqn.params["length"]
    first = form.eqn.params["num_consts"]
    carry = dict.fromkeys(range(first, first + form.eqn.params["num_carry"]), state.CARRIED)
    full, rest = (
        partition(chunk(form.eqn, turns), chip, by_cost=False, known=carry) if turns else None
        for turns in (form.turns, length % form.turns)
    )
    assert full is not None
    return Loop(length, form.turns, full, rest)


@dataclass(frozen=True, eq=False)
class _Piece:
    """The equations of one program: by index, as a Graph with its inputs and outputs, and in the engine's form."""

    members: tuple[int, ...]
    own: Graph
    graph: Graph
    made: Made


class _Cutter:
    """Makes segments of parts, and knows in which form values go from one engine segment to another."""

    def __init__(self, divided: Divided, programs: Programs, loops: Mapping[int, Loop]) -> None:
        self.divided, self.made, self.loops = divided, programs, loops
        self.readers = readers_of(divided.graph)
        self.entering = divided.entering(ENGINE)
        self.of_engine = {v for e, side in zip(divided.graph.eqns, divided.sides) if side == ENGINE for v in e.outputs}
        self.crossed: dict[Var, Var] = {}
        self.together = False  # whether the programs of a turn are one
        self.of_host: list[int] = []

    def segments(self) -> Iterator[Segment]:
        found = parts(self.divided.graph, self.divided.sides)
        pieces, made = self.made_of({n: self.own(part) for n, part in enumerate(found) if part.side == ENGINE})
        programs = iter(made)
        for n, part in enumerate(found):
            if part.side == ENGINE:
                yield from filter(None, (next(programs) for _ in pieces[n]))
                continue
            graph, origin = subgraph(self.divided.graph, part.members, self.readers), self.origin(part.members)
            loop = None if part.side == CPU else self.loops[part.side - LOOP]
            self.of_host += part.members if loop is None else ()
            yield (
                Segment("ane", graph, None, loop.cost, origin, loop)
                if loop
                else Segment("cpu", graph, None, None, origin)
            )

    def made_of(self, members: Mapping[int, tuple[int, ...]]) -> tuple[dict[int, list[_Piece]], list[Segment | None]]:
        """The programs of each part, and all their segments in order. Turns are narrowed while they do not fit, or
        while the programs are predicted to be faster then."""
        best: tuple[float, dict[int, list[_Piece]], list[Segment | None]] | None = None
        for rings in itertools.count():
            self.crossed, self.together = {}, False
            found = {n: self.turned(own, rings) for n, own in members.items()}
            made = self.programs([piece for own in found.values() for piece in own])
            us = math.inf if made is None else sum(s.cost.us for s in made if s is not None and s.cost is not None)
            if made is not None and (best is None or us < best[0]):
                best = us, found, made
            if best is not None and (us > best[0] or not self.together):
                return best[1:]
        raise AssertionError("unreachable")

    def own(self, part: Part) -> tuple[int, ...]:
        """The equations of a part of the engine, except those that each of its programs repeats."""
        made = (self.divided.graph.eqns[i].outputs[0] for i in part.members)
        return tuple(i for i, v in zip(part.members, made) if v not in self.entering)

    def spread(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """``segments`` with the CPU device's in pieces, where both devices are predicted to be done earlier then."""
        programs = [s for s in segments if s.cost is not None]
        if len(programs) < 2:
            return segments
        rows: list[tuple[lanes.Place, Segment]] = [((n, 2), s) for n, s in enumerate(programs)]
        for place, members in lanes.places_of_host(
            self.divided.graph, self.of_host, [s.graph for s in programs]
        ).items():
            graph = subgraph(self.divided.graph, members, self.readers)
            rows.append((place, Segment("cpu", graph, None, None, self.origin(members))))
        pieces = tuple(s for _, s in sorted(rows, key=lambda row: row[0]))
        now, then = whole_us(segments), whole_us(pieces)
        return pieces if then < now - max(lanes.WORTH_US, lanes.WORTH_SHARE * now) else segments

    def turned(self, members: tuple[int, ...], rings: int) -> list[_Piece]:
        """The programs of a part, where those on both sides of a turn that read the same values are one program: of the
        last layers the weights cross once for the forward and the backward pass. So many outer ``rings``, pairs of
        programs, are left out."""
        before = dict(self.crossed)
        found = [*self.pieces(members)]
        turn = turn_of([p.graph for p in found], self.of_engine, lambda a, b: self.gains(found[a:b]))
        if len(turn) <= rings:
            return found
        self.crossed, self.together = before, True
        begin, end = turn[-1 - rings]
        together = tuple(i for p in found[begin:end] for i in p.members)
        groups = [*(p.members for p in found[:begin]), together, *(p.members for p in found[end:])]
        return [self.piece(group) for group in groups]

    def gains(self, pieces: Sequence[_Piece]) -> bool:
        """Whether one program for several fits, and is predicted to take no longer."""
        members = tuple(i for p in pieces for i in p.members)
        graph = self.with_entering(subgraph(self.divided.graph, members, self.readers))
        if len(graph.inputs) > MAX_PROGRAM_INPUTS or len(members) > 2 * MAX_PROGRAM_OPS:
            return False
        made = self.made.of(graph)
        fits = len(made.program.main.ops) <= MAX_PROGRAM_OPS
        return fits and made.cost.us <= sum(p.made.cost.us for p in pieces)

    def piece(self, members: tuple[int, ...]) -> _Piece:
        own = subgraph(self.divided.graph, members, self.readers)
        graph = self.in_border_form(self.with_entering(own))
        return _Piece(members, own, graph, self.made.of(graph))

    def pieces(self, members: tuple[int, ...]) -> Iterator[_Piece]:
        """One program, or several when it would be too large."""
        if not members:
            return
        own = subgraph(self.divided.graph, members, self.readers)
        plain = self.with_entering(own)
        if len(members) == 1 or (len(plain.inputs) <= MAX_PROGRAM_INPUTS and len(members) <= 2 * MAX_PROGRAM_OPS):
            crossed = dict(self.crossed)
            piece = self.piece(members)
            if len(piece.made.program.main.ops) <= MAX_PROGRAM_OPS or len(members) == 1:
                yield piece
                return
            self.crossed = crossed
        for part in self.cut(own, members):
            yield from self.pieces(part)

    def cut(self, own: Graph, members: tuple[int, ...]) -> list[tuple[int, ...]]:
        """``members`` in parts: as many layers in each as a dispatch is worth, else two where little crosses."""
        _, begins = layer_cuts(own)
        if begins:
            layer = self.with_entering(subgraph(self.divided.graph, members[begins[0] : begins[1]], self.readers))
            cost = self.made.of(layer).cost
            layers = max(1, math.ceil(cost.floor_us / (DISPATCH_SHARE * max(cost.us - cost.floor_us, 1.0))))
            ends = (self.behind_casts(members, at) for at in begins[:: min(layers, len(begins) - 1)])
            found = [members[a:b] for a, b in itertools.pairwise([0, *ends, len(members)]) if b > a]
            if len(found) > 1:
                return found
        at = cheapest_cut(own)
        return [members[:at], members[at:]]

    def behind_casts(self, members: Sequence[int], at: int) -> int:
        """``at``, or the next place where no value is about to leave that was made before."""
        while at < len(members) and self.divided.origin[members[at]] is None:
            at += 1
        return at

    def programs(self, pieces: Sequence[_Piece]) -> list[Segment | None] | None:
        """The segments of pieces, each of which computes again what should not cross; None in the list where nothing is
        left of one, and for the list where one becomes too large, and is several that may be apart."""
        if len(pieces) > 1:
            self.crossed = {}
            changed = [*self.with_repeats(pieces)]
            fit = all(len(p.made.program.main.ops) <= MAX_PROGRAM_OPS and len(p.graph.inputs) <= MAX_PROGRAM_INPUTS
                      for p in changed)  # fmt: skip
            if not fit and self.together:
                return None
            pieces = changed if fit else pieces
        return [self.segment(p) if p.members else None for p in pieces]

    def segment(self, piece: _Piece) -> Segment:
        origin = self.origin([*self.entering_of(piece.own, {}), *piece.members])
        return Segment("ane", piece.graph, piece.made.program, piece.made.cost, origin)

    def with_repeats(self, pieces: Sequence[_Piece]) -> Iterator[_Piece]:
        changed = with_repeats(self.divided.graph, [p.members for p in pieces], self.entering)
        for before, (members, own) in zip(pieces, changed, strict=True):
            graph = self.in_border_form(self.with_entering(own))
            yield _Piece(members, own, graph, self.made.of(graph) if members else before.made)

    def with_entering(self, graph: Graph) -> Graph:
        """``graph`` with the casts of its inputs: each program has separate casts, so that no program passes on values
        of the CPU device."""
        inputs: dict[Var, None] = {}
        eqns = tuple(self.divided.graph.eqns[i] for i in self.entering_of(graph, inputs))
        return Graph(tuple(inputs), (*eqns, *graph.eqns), graph.outputs)

    def entering_of(self, graph: Graph, inputs: dict[Var, None]) -> list[int]:
        """The equations that compute the inputs of ``graph`` from entering values, in order; ``inputs`` gets those."""
        found: set[int] = set()
        waiting = list(reversed(graph.inputs))
        while waiting:
            v = waiting.pop()
            i = self.entering.get(v)
            if i is None:
                inputs[v] = None
            elif i not in found:
                found.add(i)
                waiting += reversed(list(read_by(self.divided.graph.eqns[i])))
        return sorted(found)

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


def whole_us(segments: Sequence[Segment]) -> float:
    """Predicted microseconds of segments that run on both devices at the same time, each as early as it can."""
    times = [host_us(s.graph.eqns) if s.cost is None else s.cost.us + (s.loop.host_us if s.loop else 0.0)
             for s in segments]  # fmt: skip
    return lanes.total(times, [s.device for s in segments], lanes.needs_of([s.graph for s in segments]))


def _losing(divided: Divided, segments: Sequence[Segment], programs: Programs) -> Iterator[tuple[int, str]]:
    """The engine's equations, by index into the undivided Graph, that are predicted to be faster on the CPU device.

    Pieces of a segment that do not need each other share its dispatch: first each is asked without it.
    """
    origin = {v: i for e, i in zip(divided.graph.eqns, divided.origin) for v in e.outputs if i is not None}
    for segment in segments:
        if segment.cost is None:
            continue
        if segment.loop is not None:
            on_host = host_us(segment.graph.eqns)
            on_engine = engine_us(segment.cost, segment.graph) + segment.loop.host_us
            if on_engine >= on_host:
                yield segment.origin[0], _slower(on_host, on_engine, f" in {segment.dispatches} dispatches")
            continue
        pieces = list(components(segment.graph))
        asked = [(p, programs.of(p).cost, False) for p in pieces] if len(pieces) > 1 else []
        lost = [found for found in asked if _loses(*found)]
        whole = (segment.graph, segment.cost, True)
        for graph, cost, dispatch in lost or ([whole] if _loses(*whole) else []):
            reason = _slower(host_us(graph.eqns), engine_us(cost, graph, dispatch),
                             " with its dispatch" if dispatch else "")  # fmt: skip
            yield from ((origin[v], reason) for e in graph.eqns for v in e.outputs if v in origin)


def _slower(on_host: float, on_engine: float, how: str) -> str:
    return f"predicted to take {on_host:.1f} us on the CPU device, and {on_engine:.1f} us on the engine{how}"


def _loses(graph: Graph, cost: Cost, dispatch: bool) -> bool:
    return engine_us(cost, graph, dispatch) >= host_us(graph.eqns)
