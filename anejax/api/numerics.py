"""The report of ``jit(f, precision="fp16")``: which operations over- or underflow in the engine's float16."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from anejax.api.staging import Jitted
from anejax.marks import BACKWARD, FORWARD, NOWHERE, Mark, short_line
from anejax.runtime.overflow import remedy

WIDTH = 180  # characters per line of the table as text
WORTH_SAYING = 0.01  # the part of elements that underflow, and of a sum that is off, from which advice is given


@dataclass(frozen=True)
class OperationNumerics:
    """One operation of an engine program, over all runs so far.

    Attributes:
        segment: the program that it is in.
        name, operation: the result's name in the program's MIL text, and the operation; "input" for an input.
        mark: the layers, the part of the derivative and the line that it comes from; of an input those that read it.
        count: elements computed.
        largest: the greatest finite magnitude, before it was rounded to float16.
        overflowed: elements that finite operands made infinite.
        underflowed: elements that rounding moved and left below 2^-14, the smallest normal float16.
        zeroed: those of them that became 0.
        nan: NaN made of other numbers, which the engine turns into 0; of an input, NaN that came in.
        sum_error: of sums that round after each addition, the greatest error as a part of the sum of magnitudes.
    """

    segment: str
    name: str
    operation: str
    count: int
    largest: float
    overflowed: int
    underflowed: int
    zeroed: int
    nan: int
    sum_error: float = 0.0
    mark: Mark = NOWHERE

    @property
    def in_trouble(self) -> bool:
        """Whether more was lost than by ordinary rounding: any overflow or NaN, or at least 1 % of the others."""
        return bool(self.advice)

    @property
    def advice(self) -> str:
        """Advice on how to avoid the loss, or "" if nothing needs to be done."""
        return "; ".join(self._advice())

    def _advice(self) -> Iterator[str]:
        if self.overflowed:
            yield remedy(self.operation, self.largest)
        if self.nan:
            yield "NaN comes in" if self.operation == "input" else "look at what overflows before it"
        if self.sum_error >= WORTH_SAYING:
            yield "sum in parts, or by a product with ones"
        if self.underflowed >= WORTH_SAYING * self.count:
            yield self._against_underflow()

    def _against_underflow(self) -> str:
        if self.operation == "exp":
            return "harmless in a softmax"
        if self.mark.part == BACKWARD:
            return "scale the loss (anejax.amp)"
        return "scale what goes in up, the result back; harmless where larger numbers are added"


@dataclass(frozen=True)
class NumericsReport:
    """The result of ``numerics_report``. It prints as a table of the operations that lost something.

    Attributes:
        runs: how often the function was run.
        operations: every operation that rounds, and every input, in the order of the programs.
    """

    runs: int
    operations: tuple[OperationNumerics, ...]

    @property
    def troubled(self) -> tuple[OperationNumerics, ...]:
        """The operations that lost something: overflows and NaN, then sums that are off, then underflows, each kind in
        the order of the programs, so that causes come before effects."""

        def kind(o: OperationNumerics) -> int:
            return 0 if o.overflowed or o.nan else 1 if o.sum_error >= WORTH_SAYING else 2

        return tuple(sorted((o for o in self.operations if o.in_trouble), key=kind))

    def __rich__(self) -> Table:
        """The table, for rich."""
        table = Table(
            title=f"{len(self.troubled)} of {len(self.operations)} operations lost something in {self.runs} runs"
        )
        for heading in ("segment", "name", "operation", "layer", "line"):
            table.add_column(heading)
        for heading in ("count", "largest", "overflowed", "underflowed", "zeroed", "NaN", "sum error"):
            table.add_column(heading, justify="right")
        table.add_column("what to do")
        for o in self.troubled:
            numbers = (o.overflowed, o.underflowed, o.zeroed, o.nan)
            error = f"{o.sum_error:.1%}" if o.sum_error else ""
            layer = o.mark.path + (f" ({o.mark.part})" if o.mark.part != FORWARD else "")
            table.add_row(o.segment, o.name, o.operation, layer, short_line(o.mark.line), f"{o.count}",
                          f"{o.largest:.4g}", *(str(n or "") for n in numbers), error, o.advice)  # fmt: skip
        return table

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
        console.print(self)
        return console.file.getvalue()  # type: ignore[attr-defined]


def numerics_report(function: Any) -> NumericsReport:
    """Reports the effects of float16 so far on ``function``, which ``jit(..., precision="fp16")`` made.

    Counts begin when the function's programs are compiled, and are of this function alone.

    Raises:
        TypeError: ``function`` is not jitted. ValueError: it runs with other numerics.

    Example:
        >>> import warnings
        >>> import anejax as aj, anejax.numpy as jnp
        >>> square = aj.jit(lambda x: x @ x, precision="fp16")
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", aj.errors.NumericsWarning)
        ...     out = square(jnp.full((32, 32), 100.0))
        >>> out[0, 0]
        Array(inf, dtype=float32, weak_type=True)
        >>> (found,) = aj.numerics_report(square).troubled
        >>> found.operation, found.overflowed, found.largest
        ('matmul', 1024, 320000.0)
        >>> found.advice
        'scale an operand by 2^-4 or 1/sqrt(terms), the result back'
    """
    if not isinstance(function, Jitted):
        raise TypeError(f"[numerics_report] expected a jitted function, got {type(function).__name__}.")
    if function.device != "cpu-fp16":
        raise ValueError(
            f"[numerics_report] expected a function with the engine's numerics, got one for {function.device!r}."
            ' Write jit(f, precision="fp16").'
        )
    programs = [e.numerics() for e in function.executables()]
    found = []
    for i, program in enumerate(programs):
        types = f"types {i}, " if len(programs) > 1 else ""
        for segment in program:
            for row in segment["operations"]:
                del row["nan_of_finite"]
                count, largest = row.pop("elements") * segment["runs"], float(row.pop("largest"))
                found.append(OperationNumerics(types + segment["name"], count=count, largest=largest, **row))
    runs = (max((s["runs"] for s in p), default=0) for p in programs)
    return NumericsReport(sum(runs), tuple(found))
