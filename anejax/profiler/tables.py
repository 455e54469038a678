"""Prints a profile as text."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from anejax.marks import PARTS
from anejax.mil.chips import chip_of
from anejax.profiler.measured import Measured, Row, messages, total
from anejax.runtime import engine
from anejax.runtime.dispatches import Dispatch
from anejax.terminal import printable

WIDTH = 150
MOST = 40  # rows that are shown


def text(found: Measured, by: str, most: int | None = MOST) -> str:
    """The rows that took longest, as a table."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    console.print(table(found, by, most))
    for line in notes(found):
        console.print(line, highlight=False, markup=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


def table(found: Measured, by: str, most: int | None = MOST) -> Table:
    """The rows that took longest, for rich; the last one is the sum of all."""
    rows = found.rows(by)
    parts = [p for p in PARTS if any(r.parts.get(p) for r in rows)]
    shown = Table(title=f"{found.seconds * 1e3:.1f} ms by {by}, {found.inside * 1e3:.1f} ms of them in steps")
    shown.add_column(by, overflow="fold")
    for heading in ("ms", "%", "calls", *(parts if len(parts) > 1 else []), "GFLOP/s", "GB/s", "% of peak", "threads"):
        shown.add_column(heading, justify="right")
    kept = rows[:most]
    rest = total(rows[len(kept) :])
    for row in [*kept, *([_named(rest, f"({len(rows) - len(kept)} more)")] if len(rows) > len(kept) else [])]:
        shown.add_row(*_cells(found, row, parts))
    shown.add_section()
    shown.add_row(*_cells(found, total(rows), parts))
    return shown


def _named(row: Row, name: str) -> Row:
    row.name = name
    return row


def _cells(found: Measured, row: Row, parts: list[str]) -> Iterator[str]:
    yield printable(row.name)
    yield f"{row.seconds * 1e3:.3f}"
    yield f"{100 * row.seconds / found.inside:.1f}" if found.inside else ""
    yield f"{row.calls:.0f}" if row.calls >= 1 else "<1"
    if len(parts) > 1:
        yield from (f"{row.parts[p] * 1e3:.3f}" if row.parts.get(p) else "" for p in parts)
    yield f"{row.gflops:.1f}"
    yield f"{row.gbs:.1f}"
    yield f"{100 * row.of_peak(found.peak):.0f}"
    yield f"{row.busy / row.seconds:.1f}" if row.seconds else ""


def _of_engine(found: Measured) -> Iterator[str]:
    """One line for each segment of the engine: what its dispatches took, and were predicted to take."""
    by_name: dict[tuple[str, str], list[Dispatch]] = {}
    for d in found.dispatches:
        by_name.setdefault((d.name, d.device), []).append(d)
    for (name, device), members in by_name.items():
        seconds = sum(d.end - d.begin for d in members) * 1e-9
        predicted, flops, nbytes = (sum(getattr(d, f) for d in members) for f in ("predicted_us", "flops", "nbytes"))
        share = ""
        if device == "ane":
            tflops = chip_of(engine.chip()).peak_tflops
            share = f", {flops / max(seconds, 1e-12) / tflops * 1e-10:.0f} % of the chip's peak"
        yield (f"{name} on {device}: {len(members)} dispatches, {seconds * 1e3:.3f} ms, predicted"
               f" {predicted / 1e3:.3f} ms for the engine; {nbytes / 1e6:.2f} MB crossed{share}.")  # fmt: skip


def notes(found: Measured) -> Iterator[str]:
    """Notes that a reader of the table must know."""
    yield (f"Peak of this machine: {found.peak.gflops:.0f} GFLOP/s (a product of matrices), {found.peak.gbs:.0f} GB/s;"
           f" {found.threads} threads. Arena: {found.arena_bytes / 1e6:.1f} MB; process at most"
           f" {found.peak_bytes / 1e6:.0f} MB.")  # fmt: skip
    yield from _of_engine(found)
    sent = messages(found.ran)
    if sent.count:
        yield (
            f"{sent.count} messages to other processes: on their way for {sent.on_the_way * 1e3:.3f} ms, of which the"
            f" program computed {100 * sent.overlapped:.0f} % and waited {sent.waited * 1e3:.3f} ms."
        )
    if found.dropped:
        yield f"{found.dropped} events had no room and are left out: record less, or give a larger capacity."
    if found.unknown:
        yield f"{found.unknown} events are of programs that were freed meanwhile, and are left out."
