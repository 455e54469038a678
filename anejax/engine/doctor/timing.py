"""Measures how fast the engine is, for a chip's profile.

Each time is that of a whole run, including copies in and out, as a caller sees it. It is the least of several runs,
after runs that warm up the engine.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from anejax.engine.doctor.bench import Engine, EngineGone, execute, half, left_to_the_cpu, program, shape_of, smallest
from anejax.engine.doctor.checks import SKIPPED, Check, of
from anejax.errors import DeviceError
from anejax.mil.chips import ROW_BYTES, nearest
from anejax.mil.profile import Profile, system_build, this_machine
from anejax.mil.program import Builder, Value
from anejax.runtime.programs import Compiled

WARM = 5
MOST_RUNS = 200
BUDGET = 0.25  # seconds for the runs of one program
LONG_RUN = 0.05  # seconds: larger programs than one that takes so long are not tried
IDLE = 10.0  # seconds
SQUARES = (256, 512, 1024, 2048, 4096)
CHANNELS = (16, 64, 256)  # of a chain of convolutions
CHAIN, IMAGE = 4, 32
ROWS = (256, 1024, 4096)  # of 2048 elements, added
CONSTANTS = (128, 512, 1024)  # K and N of a product with a constant
ABOVE_FLOOR = 1.1  # a run that takes less than this many floors says nothing about rates


@dataclass(frozen=True)
class Clock:
    """Times programs on an engine; `quick`: two sizes of each, and fewer runs."""

    engine: Engine
    quick: bool = False

    @cached_property
    def floor(self) -> float:
        """Seconds of the smallest program."""
        return self.least(self.engine.compile(smallest(0.125)))

    def least(self, compiled: Compiled) -> float:
        """Seconds of the fastest run, on random inputs."""
        random = np.random.default_rng(0)
        given = [random.uniform(-1, 1, shape_of(p)).astype(np.float16) for p in compiled.inputs]
        first = _seconds(lambda: execute(compiled, given))
        if first > LONG_RUN:
            return min(first, _seconds(lambda: execute(compiled, given)))
        for _ in range(WARM):
            execute(compiled, given)
        budget = BUDGET / 4 if self.quick else BUDGET
        runs = max(3, min(MOST_RUNS, int(budget / max(first, 1e-6))))
        return min(_seconds(lambda: execute(compiled, given)) for _ in range(runs))

    def growing(self, sizes: tuple[int, ...], text: Callable[[int], str]) -> Iterator[tuple[int, float]]:
        """(size, seconds), from the smallest size on, until a run takes long."""
        for size in sizes[:2] if self.quick else sizes:
            taken = self.least(self.engine.compile(text(size)))
            yield size, taken
            if taken > LONG_RUN:
                return

    def rates(self, sizes: tuple[int, ...], text: Callable[[int], str], work: Callable[[int], float]) -> Any:
        """(size, work per second above the floor) of the sizes that take long enough to tell."""
        times = list(self.growing(sizes, text))
        return [(n, work(n) / (t - self.floor)) for n, t in times if t > self.floor * ABOVE_FLOOR]


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


Measured = tuple[str, dict[str, Any]]  # in words, and figures of the profile


def check_timing(name: str, engine: Engine, quick: bool = False) -> Check:
    """Measures one row of TIMINGS; its check's figures are those of the profile."""
    try:
        said, found = TIMINGS[name](Clock(engine, quick))
    except EngineGone as err:
        return Check("timing", name, SKIPPED, str(err))
    except DeviceError as err:
        if left_to_the_cpu(err):
            return Check("timing", name, SKIPPED, f"{err}: it cannot be asked here")
        return of("timing", name, False, str(err))
    return of("timing", name, True, said, **found)


def profile_of(checks: list[Check]) -> Profile | None:
    """The timings among ``checks``, as the profile of this machine; None if the dispatch was not timed."""
    figures: dict[str, Any] = {}
    for check in checks:
        if check.group == "timing":
            figures |= check.figures
    if "floor_us" not in figures:
        return None
    machine, other = this_machine(), os.environ.get("ANEJAX_ESPRESSO")
    points = tuple((float(f), float(r)) for f, r in figures.pop("product_points", ()))
    return Profile(
        machine, nearest(machine).name, system_build(), Path(other).name if other else "Espresso",
        datetime.date.today().isoformat(), product_points=points, **figures
    )  # fmt: skip


# ---- the figures

PLAIN = {"transpose_x": False, "transpose_y": False}
SAME = {"strides": [1, 1], "pad_type": "custom", "pad": [1, 1, 1, 1], "dilations": [1, 1], "groups": 1}


def _dispatch(clock: Clock) -> Measured:
    us = clock.floor * 1e6
    return f"the smallest program takes {us:.1f} us", {"floor_us": us}


def _products(clock: Clock) -> Measured:
    def text(n: int) -> str:
        square = half(n, n)
        return program(lambda b, x, y: b.op("matmul", {"x": x, "y": y, **PLAIN}, out=square), square, square)

    rates = clock.rates(SQUARES, text, lambda n: 2.0 * n**3 / 1e12)
    points = [(2.0 * n**3, rate) for n, rate in rates]
    return _told("TFLOP/s", [(f"{n} x {n}", r) for n, r in rates]), {"product_points": points}


def _convolutions(clock: Clock) -> Measured:
    def text(channels: int) -> str:
        weight = np.full((channels, channels, 3, 3), 2.0**-8, np.float16)

        def body(b: Builder, x: Value) -> Value:
            constant = b.const(weight)
            for _ in range(CHAIN):
                x = b.op("conv", {"x": x, "weight": constant, **SAME}, out=x.type)
            return x

        return program(body, half(1, channels, IMAGE, IMAGE))

    rates = clock.rates(CHANNELS, text, lambda n: CHAIN * 2 * n**2 * 9 * IMAGE**2 / 1e12)
    return _told("TFLOP/s", [(f"{n} channels", r) for n, r in rates]), _best("peak_tflops", rates)


def _transfers(clock: Clock) -> Measured:
    def text(rows: int) -> str:
        block = half(rows, 2048)
        return program(lambda b, x, y: b.op("add", {"x": x, "y": y}, out=block), block, block)

    rates = clock.rates(ROWS, text, lambda rows: 3 * rows * 2048 * 2 / 1e9)
    return _told("GB/s", [(f"{3 * n * 4096 / 1e6:.0f} MB", r) for n, r in rates]), _best("transfer_gbs", rates)


def _constants(clock: Clock) -> Measured:
    def text(n: int) -> str:
        weight = (np.arange(n * n) % 7 / 8).astype(np.float16).reshape(n, n)
        return program(lambda b, x: b.op("matmul", {"x": x, "y": b.const(weight), **PLAIN}, out=half(1, n)), half(1, n))

    rates = clock.rates(CONSTANTS, text, lambda n: n * max(n * 2, ROW_BYTES) / 1e9)
    return _told("GB/s", [(f"{n * n * 2 / 1e6:.2g} MB", r) for n, r in rates]), _best("weight_gbs", rates)


def _waking(clock: Clock) -> Measured:
    compiled, row = clock.engine.compile(smallest(0.125)), np.ones((1, 64))
    execute(compiled, [row])
    time.sleep(IDLE)
    seconds = _seconds(lambda: execute(compiled, [row]))
    return f"after {IDLE:.0f} s of rest the first run takes {seconds * 1e3:.2f} ms", {}


def _told(unit: str, rates: list[tuple[str, float]]) -> str:
    said = ", ".join(f"{what}: {rate:.3g} {unit}" for what, rate in rates)
    return said or "no size took longer than a dispatch does: not measurable"


def _best(name: str, rates: list[tuple[int, float]]) -> dict[str, Any]:
    return {name: max(rate for _, rate in rates)} if rates else {}


TIMINGS: dict[str, Callable[[Clock], Measured]] = {
    "dispatch": _dispatch,
    "products of matrices": _products,
    "convolutions": _convolutions,
    "transfers": _transfers,
    "constants": _constants,
    "waking up": _waking,
}
SLOW = ("waking up",)  # asked where `full`
