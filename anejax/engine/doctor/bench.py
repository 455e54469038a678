"""Runs programs on the engine and on the CPU device, with NumPy arrays, and compares the results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from anejax import dtypes
from anejax.errors import DeviceError
from anejax.mil.program import Builder, Type, Value
from anejax.mil.text import to_text
from anejax.runtime.coreai.program import has_engine
from anejax.runtime.library import DTYPES, Port
from anejax.runtime.programs import Compiled, compiled

Body = Callable[..., Any]
EPSILON = float(dtypes.finfo(dtypes.float16).eps)
TIMED = 5  # runs of which the fastest counts
PATIENCE = 3  # refused compiles in a row after which the smallest program is asked again


class EngineGone(DeviceError):
    """The engine takes no program any more, not even the smallest."""


def program(body: Body, *inputs: Type, names: Sequence[str] = ()) -> str:
    """The MIL text of a program: ``body`` takes a Builder and its inputs, and returns one output or several."""
    b = Builder()
    values = [b.input(name, t) for name, t in zip(names or [f"x{i}" for i in range(len(inputs))], inputs, strict=True)]
    outputs = body(b, *values)
    b.returns(*([outputs] if isinstance(outputs, Value) else outputs))
    return to_text(b.program())


def half(*shape: int) -> Type:
    """float16 of a shape."""
    return Type("fp16", shape)


def smallest(salt: float = 0.0) -> str:
    """y = 2x + salt at [1, 64]: another text for every salt.

    A product, as the compiler may leave programs of elementwise operations alone to the CPU.
    """
    row = half(1, 64)

    def body(b: Builder, x: Value) -> Value:
        weight = b.const(2 * np.eye(64, dtype=np.float16))
        twice = b.op("matmul", {"x": x, "y": weight, "transpose_x": False, "transpose_y": False}, out=row)
        return b.op("add", {"x": twice, "y": salt}, out=row)

    return program(body, row)


def execute(program: Compiled, inputs: Sequence[ArrayLike]) -> list[np.ndarray]:
    """One run. Inputs are cast to the dtypes of the ports."""
    given = [np.ascontiguousarray(x, DTYPES[p.dtype]) for x, p in zip(inputs, program.inputs, strict=True)]
    outputs = [np.zeros(shape_of(p), DTYPES[p.dtype]) for p in program.outputs]
    program.run(list(map(_address, given)), list(map(_address, outputs)))
    return outputs


def _address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


def shape_of(port: Port) -> tuple[int, ...]:
    """The shape of a port."""
    return tuple(port.shape[: port.rank])


@dataclass
class Engine:
    """The engine device, as a doctor uses it: counts compiles, and notices when none succeeds any more.

    ``device`` is "ane", which is e5rt, or "coreai".
    """

    device: str = "ane"

    compiles: int = 0
    refused_in_a_row: int = 0
    gone: str = ""

    def compile(self, text: str) -> Compiled:
        """Raises DeviceError with the device's words, EngineGone when there is no use in asking."""
        if self.gone:
            raise EngineGone(self.gone)
        try:
            made = compiled(self.device, text)
        except DeviceError:
            self.refused_in_a_row += 1
            if self.refused_in_a_row >= PATIENCE:
                self._ask_again()
            raise
        self.compiles += not cached(made)
        self.refused_in_a_row = 0
        return made

    def run(self, text: str, *inputs: ArrayLike) -> list[np.ndarray]:
        """Compiles and runs once."""
        return execute(self.compile(text), inputs)

    def timed(self, text: str, *inputs: ArrayLike) -> tuple[list[np.ndarray], float, int | None]:
        """Compiles and runs: the outputs, the least microseconds of several runs, and as how many parts Core AI has it
        on the engine, where that can be told."""
        made, times = self.compile(text), []
        for _ in range(TIMED):
            begin = time.perf_counter()
            outputs = execute(made, inputs)
            times.append(time.perf_counter() - begin)
        told = self.device == "coreai" and has_engine()
        return outputs, min(times) * 1e6, getattr(made, "regions", None) if told else None

    def _ask_again(self) -> None:
        try:
            compiled(self.device, smallest(self.compiles))
        except DeviceError as err:
            self.gone = f"after {self.compiles} compiled programs not even the smallest is taken: {err}"
        self.refused_in_a_row = 0


def left_to_the_cpu(err: Exception | str) -> bool:
    """Whether the compiler took a program and placed it elsewhere, as it may do with elementwise operations alone."""
    return "was placed on " in str(err)


def cached(program: Compiled) -> bool:
    """Whether an engine program came from the disk, without a compile."""
    return not stats(program)["compiles"]


def stats(program: Compiled) -> dict[str, Any]:
    """The device's counts."""
    return json.loads(program.describe("stats"))


def difference(got: np.ndarray, want: np.ndarray, allowed: float) -> tuple[float, str]:
    """The largest error relative to ``allowed``, and in words what is wrong with ``got``; "" when nothing is."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape:
        return np.inf, f"shape {list(got.shape)} instead of {list(want.shape)}"
    with np.errstate(invalid="ignore"):
        error = np.where(got == want, 0.0, np.abs(got - want))
    error = np.where(np.isnan(error), np.inf, error)
    worst = float(error.max(initial=0))
    if worst <= allowed:
        return worst / allowed, ""
    at = np.unravel_index(int(error.argmax()), error.shape)
    said = f"{got[at]:.6g} instead of {want[at]:.6g} at {[int(i) for i in at]}, where {allowed:.3g} is allowed"
    return worst / allowed, _pattern(got, want) + said


def _pattern(got: np.ndarray, want: np.ndarray) -> str:
    """The pattern that all elements of a wrong result share."""
    nan = int((np.isnan(got) & ~np.isnan(want)).sum())
    if nan:
        return f"NaN in {nan} of {got.size} elements: "
    if not got.any() and want.any():
        return "nothing but zeros: "
    infinite = int((np.isinf(got) & ~np.isinf(want)).sum())
    return f"infinity in {infinite} of {got.size} elements: " if infinite else ""


def tolerance(want: np.ndarray, units: float, error: float = 0.0, least: float = 2.0**-14) -> float:
    """``units`` in the last place of float16, and ``error``, of the largest element, or of ``least`` if larger."""
    finite = np.abs(np.asarray(want, np.float64))
    largest = float(finite[np.isfinite(finite)].max(initial=0))
    return max(largest, least) * (units * EPSILON + error)
