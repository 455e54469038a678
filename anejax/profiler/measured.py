"""A profile: the recorded runs, and the operations that each step consists of."""

from __future__ import annotations

import resource
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anejax.marks import Mark, short_line
from anejax.profiler.machine import Peak
from anejax.runtime import library
from anejax.runtime.dispatches import Dispatch
from anejax.runtime.profile import Operation, Plan, Step

OUTSIDE = "(no layer)"


class Span(NamedTuple):
    """The time that an annotation covered, in ns of the steady clock."""

    name: str
    thread: int
    begin: int
    end: int
    args: Mapping[str, Any]


class Ran(NamedTuple):
    """One event of a step; ``own`` is its time without that of the steps inside, ns."""

    step: Step
    plan: Plan
    thread: int
    begin: int
    end: int
    own: int
    busy: int


@dataclass
class Row:
    """Steps that have something in common.

    Attributes:
        name: the layer, primitive or line.
        seconds: of wall time; of a fused step the part of its operations.
        parts: the seconds by part of the derivative ("forward", "backward", ...).
        calls: how often such a step ran.
        flops, nbytes: of all runs.
        busy: seconds that all threads worked, the calling one included.
    """

    name: str
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: float = 0.0
    flops: float = 0.0
    nbytes: float = 0.0
    busy: float = 0.0

    @property
    def gflops(self) -> float:
        """GFLOP/s."""
        return self.flops / self.seconds * 1e-9 if self.seconds else 0.0

    @property
    def gbs(self) -> float:
        """GB/s."""
        return self.nbytes / self.seconds * 1e-9 if self.seconds else 0.0

    def of_peak(self, peak: Peak) -> float:
        """The nearer of both limits, arithmetic and memory, as a part of the machine's peak."""
        return max(self.gflops / peak.gflops, self.gbs / peak.gbs)


KEYS: dict[str, Callable[[Operation], str]] = {
    "layer": lambda o: o.mark.path or OUTSIDE,
    "primitive": lambda o: o.name,
    "line": lambda o: short_line(o.mark.line) or "(no line)",
}


class Measured:
    """Recorded events and their steps, from which tables, traces and pages are made."""

    def __init__(
        self,
        events: np.ndarray,
        dropped: int,
        plans: dict[int, Plan],
        spans: list[Span],
        dispatches: list[Dispatch],
        begin: int,
        end: int,
        peak: Peak,
    ) -> None:
        self.dropped, self.spans, self.dispatches = dropped, spans, dispatches
        self.begin, self.end, self.peak = begin, end, peak
        self.threads = library.num_threads()
        self.ran = list(_nested(events, plans))
        self.unknown = len(events) - len(self.ran)
        used_plans = {id(r.plan): r.plan for r in self.ran}.values()
        self.arena_bytes = max((p.arena_bytes + p.workspace_bytes for p in used_plans), default=0)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.peak_bytes = used if sys.platform == "darwin" else used * 1024

    @property
    def seconds(self) -> float:
        """The duration of the profile."""
        return (self.end - self.begin) * 1e-9

    @property
    def inside(self) -> float:
        """Seconds in steps."""
        return sum(r.own for r in self.ran) * 1e-9

    @property
    def fastest(self) -> float:
        """The highest rate of steps of a millisecond or more, GFLOP/s."""
        return max((r.step.flops / r.own for r in self.ran if r.own >= 1_000_000), default=0.0)

    def rows(self, by: str = "layer") -> list[Row]:
        """The rows by "layer", "primitive" or "line", those that took longest first.

        The time of a fused step is shared among its operations by their FLOP.
        """
        if by not in KEYS:
            raise ValueError(f"[profiler] expected by as one of {', '.join(KEYS)}, got {by!r}.")
        found: dict[str, Row] = {}
        for ran in self.ran:
            for operation, share in shares(ran.step):
                name = KEYS[by](operation) if operation is not None else ran.step.what
                self._add(found.setdefault(name, Row(name)), ran, operation, share)
        return sorted(found.values(), key=lambda r: -r.seconds)

    def _add(self, row: Row, ran: Ran, operation: Operation | None, share: float) -> None:
        own, step = ran.own * 1e-9, ran.step
        row.seconds += share * own
        row.parts[(operation.mark if operation is not None else Mark()).part] += share * own
        row.calls += share
        row.flops += operation.flops if operation is not None else 0
        row.nbytes += share * (step.read + step.written)
        row.busy += share * (own + min(ran.busy, ran.own * (self.threads - 1)) * 1e-9)


class Messages(NamedTuple):
    """Messages to other processes, such as sums, that are not waited for at once: how many, how long at least one was
    on its way, and how long the program waited for one or handed one over, both in seconds."""

    count: int
    on_the_way: float
    waited: float

    @property
    def overlapped(self) -> float:
        """The part of the time on the way in which the program computed."""
        return 1 - self.waited / self.on_the_way if self.on_the_way else 0.0


def end_of_message(what: str) -> str:
    """ "start" or "finish" for a step that is one end of a message, as ``import/processes.cpp`` names them; else ""."""
    name, end, *_ = *what.split(), "", ""
    return end if name.startswith("aj_process_") and end in ("start", "finish") else ""


def messages(ran: Iterable[Ran]) -> Messages:
    """The messages to other processes among ``ran``."""
    count = open_ = waited = on_the_way = begin = 0
    for r in sorted(ran, key=lambda r: r.begin):
        end = end_of_message(r.step.what)
        if not end:
            continue
        waited += r.own
        if end == "start":
            begin = r.begin if open_ == 0 else begin
            count, open_ = count + 1, open_ + 1
        elif open_:  # its start may be older than the profile
            open_ -= 1
            on_the_way += r.end - begin if open_ == 0 else 0
    return Messages(count, on_the_way * 1e-9, waited * 1e-9)


def shares(step: Step) -> list[tuple[Operation | None, float]]:
    """The operations of a step, each with its part of the step's time."""
    weights = [o.flops + 1 for o in step.operations]
    return [(o, w / sum(weights)) for o, w in zip(step.operations, weights)] or [(None, 1.0)]


def _nested(events: np.ndarray, plans: Mapping[int, Plan]) -> Iterator[Ran]:
    """The events whose plans are known. Those inside others take their time from them."""
    order = np.lexsort((-events["end_ns"], events["begin_ns"], events["thread"])) if len(events) else []
    own: dict[int, int] = {}
    open_: list[int] = []
    for i in map(int, order):
        e = events[i]
        own[i] = int(e["end_ns"] - e["begin_ns"])
        while open_ and (events[open_[-1]]["thread"] != e["thread"] or events[open_[-1]]["end_ns"] < e["end_ns"]):
            open_.pop()
        if open_:
            own[open_[-1]] -= own[i]
        open_.append(i)
    for i in map(int, order):
        e = events[i]
        plan = plans.get(int(e["plan"]))
        if plan is not None:
            step = plan.steps[int(e["step"])]
            begin, end, busy = (int(e[f]) for f in ("begin_ns", "end_ns", "busy_ns"))
            yield Ran(step, plan, int(e["thread"]), begin, end, max(0, own[i]), busy)


def total(rows: Iterable[Row]) -> Row:
    """The sum of rows."""
    out = Row("total")
    for row in rows:
        for name in ("seconds", "calls", "flops", "nbytes", "busy"):
            setattr(out, name, getattr(out, name) + getattr(row, name))
        for part, seconds in row.parts.items():
            out.parts[part] += seconds
    return out


def ending(path: Path) -> str:
    """``.json`` or ``.html``."""
    if path.suffix.lower() not in (".json", ".html"):
        raise ValueError(f"[profiler] expected a path that ends in .json or .html, got {path.name!r}.")
    return path.suffix.lower()
