"""Joins the steps that the native library recorded with the layers and lines of the equations they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax.marks import NOWHERE, Mark
from anejax.mil.program import Program
from anejax.mil.work import flops_of
from anejax.runtime import library
from anejax.runtime.engine import ENGINES
from anejax.runtime.execute import EXECUTOR


@dataclass(frozen=True)
class Operation:
    """One operation of a step: its MIL name without ``aj_``, its origin, and its FLOP in one run."""

    name: str
    mark: Mark
    flops: int


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        what: as the plan describes it.
        operations: what was fused into it, or the one that it is.
        read, written: bytes in one run, what it reads several times counted once.
        live: bytes of the arena that are in use while it runs.
    """

    what: str
    operations: tuple[Operation, ...]
    read: int
    written: int
    live: int

    @property
    def flops(self) -> int:
        return sum(o.flops for o in self.operations)


@dataclass(frozen=True)
class Plan:
    """The native device's plan for one function of a program. ``title`` is the segment's, "" for a whole program."""

    title: str
    function: str
    arena_bytes: int
    workspace_bytes: int
    steps: tuple[Step, ...]


def start(capacity: int) -> None:
    """Records an event for each step from now on, up to ``capacity``."""
    library.start_profile(capacity)


def stop() -> tuple[np.ndarray, int]:
    """The events (fields of ``library.Event``), and how many there was no room for."""
    return library.stop_profile()


def plans(events: np.ndarray) -> dict[int, Plan]:
    """The plans that ``events`` are of, by the numbers that the events give them.

    Only programs that ran are lowered again: a process may keep thousands that did not.
    """
    ran = set(events["plan"].tolist())
    found: dict[int, Plan] = {}
    for executable in EXECUTOR.executables():
        for title, lowered, native in executable.programs():
            if native.device in ENGINES:  # its programs have no steps
                continue
            told = json.loads(native.describe("profile"))
            if any(plan["id"] in ran for plan in told["plans"]):
                found.update(_plans(title, lowered(), told))
    return found


def _plans(title: str, program: Program, told: dict[str, Any]) -> Iterator[tuple[int, Plan]]:
    made_by = {
        (f.name, op.results[0].name): Operation(op.name.removeprefix("aj_"), op.mark, flops_of(op))
        for f in program.functions
        for op in f.ops
        if op.results
    }
    for plan in told["plans"]:
        function = plan["function"]
        steps = tuple(
            Step(
                s["what"],
                tuple(made_by.get((function, name), Operation(name, NOWHERE, 0)) for name in s["operations"]),
                s["read"],
                s["written"],
                s["live"],
            )
            for s in plan["steps"]
        )
        yield plan["id"], Plan(title, plan["function"], plan["arena_bytes"], plan["workspace_bytes"], steps)
