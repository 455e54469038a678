"""Warns once for each program that leaves float16's range, with one NumericsWarning about its first overflow.

The CPU device with the engine's numerics counts overflows in each operation ("numerics" in anesdk.h). Flags are read
after each run, and counts only if the flags ask for it, and ever less often while there is nothing to report.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from anejax.core.graph import Var
from anejax.core.trace import user_stacklevel
from anejax.errors import NumericsWarning
from anejax.marks import Mark
from anejax.mil.limits import MAX_FINITE, SATURATION
from anejax.mil.program import Program
from anejax.partition import Segment
from anejax.runtime.library import OVERFLOWED
from anejax.runtime.programs import Compiled

PRODUCTS = ("matmul", "conv", "conv_transpose")
Row = dict[str, Any]  # the counts of one operation, see "numerics" in anesdk.h


def rows_of(program: Compiled) -> list[Row]:
    """The counts of a program on cpu-fp16: of each input, and each operation that rounds, in order."""
    return json.loads(program.describe("numerics"))["operations"]


def since(rows: Sequence[Row], before: Sequence[Row]) -> list[Row]:
    """``rows`` less what they were ``before``."""
    counts = ("overflowed", "nan", "nan_of_finite")
    return [r | {c: r[c] - b[c] for c in counts} for r, b in zip(rows, before, strict=True)]


def limit_of(operation: str) -> float:
    """The magnitude from which on results of ``operation`` are infinite on the engine."""
    return SATURATION if operation in PRODUCTS else MAX_FINITE


def remedy(operation: str, largest: float) -> str:
    """Advice for an ``operation`` that overflows, given its largest result in float32."""
    limit = limit_of(operation)
    shrink = f"2^-{max(1, math.floor(math.log2(max(largest, limit) / limit)) + 1)}"
    if operation in PRODUCTS:
        return f"scale an operand by {shrink} or 1/sqrt(terms), the result back"
    return f"scale what goes in by {shrink}, or clip it"


class Lookout:
    """Warns once for the programs of one function. ``scaled``: whether all inputs follow from a loss scale."""

    def __init__(self) -> None:
        self.scaled = False
        self._found: list[str] = []  # the first one is reported at the end of its run
        self._said: list[bool] = []

    def inside(self, scaled: bool) -> Lookout:
        """That of a part of the function, which says nothing by itself."""
        part = Lookout()
        part.scaled, part._found, part._said = scaled, self._found, self._said
        return part

    @property
    def is_open(self) -> bool:
        """Whether nothing was found yet."""
        return not self._found

    def tell(self, found: str) -> None:
        self._found.append(found)

    def say(self) -> None:
        """Warns of the overflow that was found, unless it was reported before."""
        if self._found and not self._said:
            self._said.append(True)
            warnings.warn(self._found[0], NumericsWarning, stacklevel=user_stacklevel())


class Watcher:
    """Looks at the counts of one engine segment, of which the inputs ``scaled`` follow from a loss scale."""

    def __init__(self, segment: Segment, name: str, lookout: Lookout, scaled: set[Var]) -> None:
        self._segment, self._name, self._lookout = segment, name, lookout
        self._scaled = [lookout.scaled or v in scaled for v in segment.graph.inputs]
        self._runs, self._next = 0, 1

    def after_run(self, program: Compiled, differs: Callable[[], bool]) -> None:
        """Looks at the flags of ``program`` on cpu-fp16, and at its counts if there are flags. ``differs`` says
        whether the results are not those of float32."""
        if not self._lookout.is_open:
            return
        flags = program.numerics()
        if not flags:
            return
        self._runs += 1
        if self._runs < self._next:
            return
        self._next = 2 * self._runs  # counts only grow, so an overflow that is missed now is seen later
        self.look(rows_of(program), differs, certain=bool(flags & OVERFLOWED))

    def look(self, rows: Sequence[Row], differs: Callable[[], bool], certain: bool = True) -> None:
        """Tells of the first operation of ``rows`` that overflowed of finite operands, unless a loss scale mends it."""
        mended = self._mended(self._segment.program) if self._segment.program is not None else set[str]()
        rows = [r for r in rows if r["operation"] != "input" and r["name"] not in mended]
        beyond = next(filter(_is_beyond, rows), None) if certain else None
        if beyond is not None:
            self._tell(beyond)
            return
        made = next((r for r in rows if r["overflowed"] or r["nan_of_finite"]), None)
        if made is not None and differs():
            self._tell(made)

    def _mended(self, program: Program) -> set[str]:
        """The names of the values that follow from a loss scale."""
        found = {v.name for v, scaled in zip(program.main.inputs, self._scaled, strict=True) if scaled}
        for op in program.main.ops:
            if any(v.name in found for v in op.values()):
                found.update(v.name for v in op.results)
        return found

    def _tell(self, row: Row) -> None:
        self._lookout.tell(" ".join(self._words(row)))

    def _words(self, row: Row) -> Iterator[str]:
        operation, where = row["operation"], marks_of(self._segment.program)[row["name"]].place
        largest, limit = float(row["largest"]), limit_of(operation)
        if row["overflowed"] and largest >= limit:
            yield (f"[jit] {operation}{where} went beyond the engine's float16: {row['overflowed']} results became"
                   f" infinite, since they end at {limit:g} and the largest in float32 is {largest:.3g}.")  # fmt: skip
            yield f"To mend it, {remedy(operation, largest)}."
        else:
            kind = "infinite" if row["overflowed"] else "NaN"
            count = row["overflowed"] or row["nan_of_finite"]
            yield f"[jit] {operation}{where} made {count} results {kind} of finite float16 numbers, unlike in float32."
            yield "To mend it, keep its operands away from 0, which numbers below 2^-24 become."
        yield (f"It is the first such operation, in {self._name}; this is said once for a program."
               ' numerics_report of jit(f, precision="fp16") lists all.')  # fmt: skip


def _is_beyond(row: Row) -> bool:
    """Whether float32 has a finite result where float16 has none; a narrow sum may be beyond only on its way."""
    return row["overflowed"] > 0 and ("sum_error" in row or float(row["largest"]) >= limit_of(row["operation"]))


def marks_of(program: Program | None) -> dict[str, Mark]:
    """The origin of each value of ``program``, by its name. An input has the origin of its first reader."""
    found: dict[str, Mark] = {}
    for op in program.main.ops if program is not None else ():
        for v in op.values():
            found.setdefault(v.name, op.mark)
        found.update((v.name, op.mark) for v in op.results)
    return found
