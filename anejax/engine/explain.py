"""``explain``: shows how a function is divided between the Neural Engine and the CPU device, why, and the predicted
times."""

from __future__ import annotations

import dataclasses
import textwrap
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anejax.api.flat import name_of
from anejax.config import config
from anejax.core.graph import Graph
from anejax.engine.graphs import program_graph
from anejax.engine.picture import draw, element, in_letters
from anejax.engine.placement import (
    Flow,
    Placement,
    SegmentFacts,
    facts_of,
    flows_of,
    placements_of,
    program_of,
    whole_us,
)
from anejax.engine.units import bytes_text, time_text
from anejax.errors import DeviceError
from anejax.mil.chips import BY_COREAI
from anejax.mil.text import to_text
from anejax.partition import Plan, Segment, donated, partition
from anejax.paths import atomic_file
from anejax.runtime.engine import ENGINES, what_runs

BY_COST = "the engine has it, and what it runs with is predicted to be faster there"
ALL = "the engine has it, and the setting engine_partition is 'all'"
ON_COREAI = "the engine has it, and the device coreai whatever that can have"
ON_CPU = "the function is for the CPU device"


@dataclass(frozen=True)
class Explanation:
    """The division of a function between devices. It prints as text, and a notebook also shows the picture.

    Attributes:
        name: the function's.
        device: "ane", "coreai" or "cpu".
        chip: whose engine; None on "cpu".
        route: how the engine's programs run here, in words; None on "cpu". Their segments are for "ane" either way.
        programs: how many are compiled: segments of equal code share one.
        segments: in order. Each is one dispatch of a call, or a scan that is several.
        flows: what goes between segments, and between them and the caller.
        placements: every equation of the optimized function, grouped by device, reason and primitive.
        idle: on "ane", why the engine has nothing of the function; None if it has some.
    """

    name: str
    device: str
    chip: str | None
    programs: int
    segments: tuple[SegmentFacts, ...]
    flows: tuple[Flow, ...]
    placements: tuple[Placement, ...]
    idle: str | None = None
    route: str | None = None

    @property
    def us(self) -> float:
        """Predicted microseconds of one call, in which both devices work at the same time if they can."""
        return whole_us(self.segments, self.flows)

    @property
    def dispatches(self) -> int:
        """The number of programs that run in one call, on either device."""
        return sum(s.dispatches for s in self.segments)

    @property
    def unpredicted(self) -> dict[str, int]:
        """The equations that ``us`` does not include: primitive -> number of equations."""
        return dict(sum((Counter(s.unpredicted) for s in self.segments), Counter()).most_common())

    @property
    def crossing_bytes(self) -> int:
        """Bytes that change devices in one call; the caller's arrays are the CPU device's."""
        on = lambda i: "cpu" if i is None else self.segments[i].device  # noqa: E731
        return sum(f.nbytes for f in self.flows if on(f.source) != on(f.target))

    def to_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        totals = {"us": self.us, "unpredicted": self.unpredicted, "crossing_bytes": self.crossing_bytes}
        return dataclasses.asdict(self) | totals | {"dispatches": self.dispatches}

    def to_svg(self) -> str:
        """The picture: a row for each device, boxes as wide as predicted times, bytes on the arrows."""
        return ET.tostring(self._picture(), encoding="unicode")

    def to_html(self) -> str:
        """A self-contained page with the picture and the text."""
        page = element(None, "html", lang="en")
        head = element(page, "head")
        element(head, "meta", charset="utf-8")
        element(head, "title", self._title())
        element(page, "body").append(self._figure())
        return "<!DOCTYPE html>\n" + ET.tostring(page, encoding="unicode", method="html")

    def save(self, path: str | Path) -> None:
        """Writes ``to_html()`` or ``to_svg()``, as the suffix of ``path`` says; ValueError for others."""
        forms = {".html": self.to_html, ".svg": self.to_svg}
        suffix = Path(path).suffix.lower()
        if suffix not in forms:
            raise ValueError(f"[explain] expected a path that ends in {' or '.join(forms)}, got {str(path)!r}.")
        with atomic_file(Path(path), "w") as file:
            file.write(forms[suffix]())

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return ET.tostring(self._figure(), encoding="unicode", method="html")

    def _title(self) -> str:
        where = f"{self.device} ({self.chip})" if self.chip else self.device
        return f"{self.name} on {where}: {_number(len(self.segments), 'segment')}, {_time(self.us, self.unpredicted)}"

    def _picture(self) -> ET.Element:
        return draw(self._title(), self.segments, self.flows)

    def _figure(self) -> ET.Element:
        figure = element(None, "figure")
        figure.append(self._picture())
        element(figure, "pre", str(self), style="overflow-x: auto")
        return figure


def explain(f: Callable[..., Any], *args: Any, device: str = "ane", chip: str = "M4") -> Explanation:
    """Shows how ``jit(f, device=device)`` divides ``f``, and why. Nothing is run or compiled.

    Times are predictions (docs/engine.md): ``anejax.mil.cost`` predicts the engine's programs, and the CPU device's
    times follow from its products and the bytes that it writes, as on an M1. The division itself uses the same times.
    The settings ``engine_partition`` and ``engine_route`` count; for "coreai" the engine gets every operation that it
    supports. If ``f`` is jitted, its donated arguments count as state.

    Args:
        f: a function, jitted or not.
        args: arrays, or ShapeDtypeStructs in their place.
        device: "ane", "coreai", or "cpu", which runs everything as one program.
        chip: whose engine, "M1" ... "M6".

    Raises:
        DeviceError: another device. MilError: a chip that is not known.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> x = aj.ShapeDtypeStruct((1024, 1024), "float32")
        >>> found = aj.explain(lambda x: jnp.sort(x @ x), x)
        >>> [(s.device, s.primitives) for s in found.segments]
        [('cpu', {}), ('ane', {'dot_general': 1}), ('cpu', {'sort': 1})]
        >>> aj.explain(lambda x: x @ x, x, device="cpu").programs
        1
    """
    if device not in ("cpu", *ENGINES):
        raise DeviceError(f"[explain] expected device 'ane', 'coreai' or 'cpu', got {device!r}.")
    on_engine = device in ENGINES
    graph, given = program_graph(f, *args, freezes=on_engine)
    by_cost = device == "ane" and config.engine_partition == "cost"
    runs = what_runs(device)
    chip += BY_COREAI if runs == "coreai" else ""
    plan = partition(graph, chip, by_cost=by_cost, known=donated(given)) if on_engine else _whole(graph)
    segments = tuple(facts_of(s, (plan.source.eqns[i] for i in s.origin)) for s in plan.segments)
    distinct = {(s.device, to_text(program_of(s))) for s in plan.leaves}
    placements = placements_of(plan, BY_COST if by_cost else ALL if device == "ane" else ON_COREAI)
    chip_name = chip if on_engine else None
    return Explanation(name_of(f), device, chip_name, len(distinct), segments, flows_of(plan), placements,
                       plan.why_idle if on_engine else None, _route(device, runs))  # fmt: skip


def _route(device: str, runs: str) -> str | None:
    """The route by which the engine's programs run, and the setting that selects it."""
    if device == "cpu":
        return None
    by = "Core AI" if runs == "coreai" else "e5rt"
    return f"by {by}, as engine_route is {config.engine_route!r}" if device == "ane" else f"by {by}"


def _whole(graph: Graph) -> Plan:
    """The plan of the CPU device alone."""
    segments = (Segment("cpu", graph, None, None, tuple(range(len(graph.eqns)))),) if graph.outputs else ()
    return Plan("", graph, (ON_CPU,) * len(graph.eqns), graph, segments)


# ---- the text


def _lines(found: Explanation) -> Iterator[str]:
    yield found._title()
    dispatches = _number(found.dispatches, "dispatch", "dispatches")
    yield f"  {_number(found.programs, 'program')} to compile, {dispatches} in a call"
    yield f"  {bytes_text(found.crossing_bytes)} cross between the devices"
    if found.route and not found.idle:
        yield f"  the engine's programs run {found.route}"
    if found.idle:
        yield from _wrapped(f"  nothing goes to the engine. {found.idle}", 4)
    if found.unpredicted:
        yield from _wrapped(f"  not predicted, on the CPU device: {_counts(found.unpredicted)}", 4)
    if len(found.segments) > 1:
        yield "  along time, by the last digit of the segment:"
        yield from (f"    {line}" for line in in_letters(found.segments, found.flows))
    for i, segment in enumerate(found.segments):
        yield ""
        yield f"segment {i}: {segment.device}, {_time(segment.us, segment.unpredicted)}"
        yield from _wrapped(f"  {_size(segment)}", 4)
        if segment.primitives:
            yield from _wrapped(f"    {_counts(segment.primitives)}", 4)
        yield from _wrapped(f"  in: {_ports(found.flows, i, True)}: {_types(segment.inputs)}", 6)
        yield from _wrapped(f"  out: {_ports(found.flows, i, False)}: {_types(segment.outputs)}", 6)
    yield from _why(found.placements)


def _size(segment: SegmentFacts) -> str:
    """The size of a segment: its equations and operations, or the chunks of a loop."""
    equations = _number(segment.equations, "equation")
    if segment.chunks:
        chunks = " and ".join(f"{_number(runs, 'chunk')} of {_number(turns, 'turn')}" for turns, runs in segment.chunks)
        dispatches = _number(segment.dispatches, "dispatch", "dispatches")
        return f"{equations} as {chunks} in {dispatches}, with {segment.operations} operations in a chunk"
    casts = f" and {_number(segment.casts, 'cast')}" if segment.casts else ""
    operations = f" as {_number(segment.operations, 'operation')}" if segment.device == "ane" else ""
    return equations + casts + operations


def _why(placements: tuple[Placement, ...]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Placement]] = {}
    for placement in placements:
        groups.setdefault((placement.device, placement.reason), []).append(placement)
    for (device, reason), members in groups.items():
        yield ""
        yield from _wrapped(f"{device}, {_number(sum(p.count for p in members), 'equation')}: {reason}", 2)
        for p in members:
            of = f"  of {', '.join(p.layers)}" if p.layers else ""
            yield f"  {p.primitive} {p.count}" + of + (f"  at {', '.join(p.sources)}" if p.sources else "")


def _ports(flows: tuple[Flow, ...], segment: int, entering: bool) -> str:
    """The bytes that a segment gets from each other segment, or gives to each."""
    ends = [
        (f.source, f) if entering else (f.target, f) for f in flows if segment == (f.target if entering else f.source)
    ]
    caller = "arguments" if entering else "results"
    parts = (f"{caller if i is None else f'segment {i}'} {bytes_text(f.nbytes)}" for i, f in ends)
    return ", ".join(parts) or "nothing"


def _types(types: tuple[str, ...], shown: int = 4) -> str:
    more = [f"{len(types) - shown} more"] if len(types) > shown else []
    return ", ".join([*types[:shown], *more]) or "no values"


def _counts(primitives: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in primitives.items())


def _number(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _time(us: float, unpredicted: dict[str, int]) -> str:
    return f"{time_text(us)} predicted" + (", and more" if unpredicted else "")


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, 110, subsequent_indent=" " * indent, break_long_words=False) or [text]
