"""The list of all questions to the engine, or to the CPU device in its place, in order."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from anejax.engine.doctor import bundles, coreai, many, matrix_units, memory
from anejax.engine.doctor.arithmetic import ARITHMETIC
from anejax.engine.doctor.bench import Engine, difference, execute, smallest, stats, tolerance
from anejax.engine.doctor.checks import FAILED, SKIPPED, Check, of
from anejax.engine.doctor.layout import LAYOUT
from anejax.engine.doctor.primitives import check_primitive, names
from anejax.engine.doctor.probes import Probe, check_probe
from anejax.engine.doctor.timing import SLOW, TIMINGS, check_timing
from anejax.errors import DeviceError

NO_ENGINE = "there is no engine here: its own check says why"
REFUSING = "left out by --quick: a refused compile delays the next by 15 s"
LENGTHY = "asked on a Mac, and with --full"
COMPILES = "left out by --quick: hundreds of compiles"
MANY_RUNS = "left out by --quick"


@dataclass(frozen=True)
class Plan:
    """The thoroughness of the questions, and the chip family whose rules the programs follow.

    Attributes:
        family: of limits.py.
        quick: one sample for each primitive, no probe whose compile may be refused, two sizes for each timing, no
            memory over many runs.
        full: also 140 programs in one process, and the engine's waking up.
    """

    family: str
    quick: bool = False
    full: bool = False


@dataclass(frozen=True)
class Question:
    """One check to be made: `ask` takes the engine, or None where there is none."""

    group: str
    name: str
    ask: Callable[[Engine | None], Check]

    def skipped(self, why: str) -> Check:
        """The check that was not made."""
        return Check(self.group, self.name, SKIPPED, why)


def questions(plan: Plan) -> list[Question]:
    """All questions but whether there is an engine."""
    found = [Question("primitive", n, partial(_primitive, n, plan)) for n in names()]
    found += _of_coreai(plan)
    found += [_of_engine("probe", p.name, partial(_probe, p, plan)) for p in (*LAYOUT, *ARITHMETIC)]
    found += [_of_engine("timing", n, partial(_timing, n, plan)) for n in TIMINGS]
    found += [_of_engine("probe", n, partial(_bundle, n)) for n in (bundles.SECOND_PROCESS, bundles.LATER)]
    found.append(Question("probe", matrix_units.NAME, lambda engine: matrix_units.check_matrix_units()))
    found.append(_of_engine("probe", memory.NAME, partial(_memory, plan)))
    return found + [_of_engine("probe", many.name_of(mode), partial(_many, mode, plan)) for mode in many.MODES]


def _of_coreai(plan: Plan) -> list[Question]:
    """Every primitive and every topic; the process that asks them has one Core AI."""
    runtime, engine = coreai.Runtime(), Engine("coreai")

    def primitive(name: str) -> Check:
        if runtime.missing or plan.quick:
            why = "there is no Core AI here: its own check says why" if runtime.missing else COMPILES
            return Check(coreai.GROUP, name, SKIPPED, why)
        return check_primitive(name, engine, plan.family, plan.quick, coreai.GROUP)

    def topic(asked: coreai.Topic) -> Check:
        return Check(coreai.GROUP, asked.name, SKIPPED, COMPILES) if plan.quick else runtime.answer(asked)

    group = coreai.GROUP
    found = [Question(group, coreai.RUNTIME, lambda engine: runtime.check())]
    found += [Question(group, n, lambda engine, n=n: primitive(n)) for n in names()]
    return found + [Question(group, t.name, lambda engine, t=t: topic(t)) for t in coreai.TOPICS]


def _primitive(name: str, plan: Plan, engine: Engine | None) -> Check:
    return check_primitive(name, engine, plan.family, plan.quick)


def _of_engine(group: str, name: str, ask: Callable[[Engine], Check]) -> Question:
    return Question(group, name, lambda engine: ask(engine) if engine else Check(group, name, SKIPPED, NO_ENGINE))


def _probe(probe: Probe, plan: Plan, engine: Engine) -> Check:
    if plan.quick and probe.may_refuse:
        return Check("probe", probe.name, SKIPPED, REFUSING)
    return check_probe(probe, engine, plan.family)


def _timing(name: str, plan: Plan, engine: Engine) -> Check:
    if name in SLOW and not plan.full:
        return Check("timing", name, SKIPPED, LENGTHY)
    return check_timing(name, engine, plan.quick)


def _bundle(name: str, engine: Engine) -> Check:
    return bundles.check_bundle(name)


def _memory(plan: Plan, engine: Engine) -> Check:
    return Check("probe", memory.NAME, SKIPPED, MANY_RUNS) if plan.quick else memory.check_memory()


def _many(mode: str, plan: Plan, engine: Engine) -> Check:
    return many.check_many(mode) if plan.full else Check("probe", many.name_of(mode), SKIPPED, LENGTHY)


def meet() -> tuple[Engine | None, Check]:
    """The engine, if it takes the smallest program, and the check that says so in the device's own words.

    Off a Mac, where no library is given in Espresso's place, its absence is no failure.
    """
    engine = Engine()
    row = np.linspace(-2, 2, 64, dtype=np.float16).reshape(1, 64)
    try:
        compiled = engine.compile(smallest())
    except DeviceError as err:
        expected = platform.system() == "Darwin" or bool(os.environ.get("ANEJAX_ESPRESSO"))
        return None, Check("engine", "smallest program", FAILED if expected else SKIPPED, str(err))
    try:
        (got,) = execute(compiled, [row])
    except DeviceError as err:
        return engine, of("engine", "smallest program", False, str(err))
    placement = stats(compiled)["placement"]
    wrong = difference(got, row + row, tolerance(row + row, 1))[1]
    said = f"Espresso opened, every function found; the program is placed on {placement}"
    return engine, of("engine", "smallest program", not wrong, wrong or f"{said}, and right", placement=placement)
