"""Answers of Core AI: the time, the error and the parts of one program, as a line, and of several programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from anejax.coreai.program import Fill, plain
from anejax.engine.doctor.bench import execute, left_to_the_cpu
from anejax.errors import DeviceError
from anejax.runtime.coreai.program import CoreAIProgram, has_engine

HALF, SINGLE, INT = (np.dtype(d) for d in (np.float16, np.float32, np.int32))
RUNS = 20


@dataclass(frozen=True)
class Row:
    """The result of one program: its parts on the engine, if that is known, microseconds of a call, and the
    error in units of the dtype's rounding of the largest element."""

    what: str
    parts: int | None = None
    us: float = 0.0
    error: float | None = None
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            return f"{self.what}: {self.trouble.splitlines()[0]}"
        parts = "" if self.parts is None else f"in {self.parts} parts, " if self.parts else "not on the engine, "
        error = "" if self.error is None else f", error {self.error:.2g}"
        return f"{self.what}: {parts}{self.us:.0f} us{error}"


@dataclass(frozen=True)
class Found:
    """An answer."""

    fine: bool
    said: str
    value: Any


def told(rows: Sequence[Row], most: float | None = None) -> Found:
    """Fine is what runs within ``most`` units; without it every answer is."""
    fine = most is None or all(not r.trouble and (r.error or 0) <= most for r in rows)
    return Found(fine, "; ".join(map(str, rows)), list(map(asdict, rows)))


def row(what: str, fill: Fill, inputs: Sequence[np.ndarray], want: Any = None, unit: str = "engine") -> Row:
    """Runs the program of one result that ``fill`` writes, several times, and holds the result against ``want``."""
    ports = [(f"x{i}", x.shape, x.dtype) for i, x in enumerate(inputs)]
    try:
        text, source, outputs = plain(fill, ports)
        program = CoreAIProgram(source, text.large, ports, outputs, unit)
        got = execute(program, inputs)
        us = least(lambda: execute(program, inputs))
    except DeviceError as err:
        if unit == "engine" and left_to_the_cpu(err):
            return replace(row(what, fill, inputs, want, "default"), parts=0)
        return Row(what, trouble=str(err))
    parts = program.regions if has_engine() and unit != "cpu" else None
    return Row(what, parts, us, None if want is None else error_of(got[0], np.asarray(want)))


def least(call: Callable[[], Any]) -> float:
    """Microseconds."""
    return min(seconds(call) for _ in range(RUNS)) * 1e6


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def error_of(got: np.ndarray, want: np.ndarray) -> float:
    wide = got.astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = float(np.where(wide == want, 0, np.abs(wide - want)).max(initial=0))
    if np.isnan(off):
        return np.inf
    if got.dtype.kind != "f":
        return off
    return off / max(float(np.abs(want).max(initial=0)), 2.0**-14) / float(np.finfo(got.dtype).eps)


def normal(*shape: int, dtype: Any = HALF) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)
