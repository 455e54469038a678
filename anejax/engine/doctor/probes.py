"""Probes of a chip where sources disagree, and where wrong numbers would come without an error.

A probe runs small programs and answers one question. For some questions, programs of this project are wrong on the chip
unless the answer is the expected one. For the others every answer is acceptable, because legalization writes the
careful form, and the answer is only reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from anejax.engine.doctor.bench import Engine, EngineGone, left_to_the_cpu
from anejax.engine.doctor.checks import SKIPPED, Check, of
from anejax.errors import DeviceError
from anejax.mil.hazards import HAZARDS


@dataclass(frozen=True)
class Answer:
    """The finding of a probe.

    Attributes:
        fine: whether programs of this project are right on such a chip.
        said: the answer in words.
        value: the answer for JSON.
    """

    fine: bool
    said: str
    value: Any = None


@dataclass(frozen=True)
class Asked:
    """The engine that a probe asks, and the family whose rules its programs follow."""

    engine: Engine
    family: str

    def known(self, hazard: str) -> bool:
        """Whether hazards.py has `hazard` for the family, so that no program of ours runs into it."""
        return any(h.name == hazard and self.family in h.families for h in HAZARDS)


@dataclass(frozen=True)
class Probe:
    """A question.

    Attributes:
        name: in a few words.
        run: asks.
        decides: the constants and hazards that rest on the answer, as module.NAME ("native" for native/src/ane).
        may_refuse: whether some compiles are expected to fail; each delays the next one by 15 s.
    """

    name: str
    run: Callable[[Asked], Answer]
    decides: tuple[str, ...] = ()
    may_refuse: bool = False


@dataclass
class Refusals:
    """Compiles that may fail: the first line of each reason."""

    reasons: dict[str, str] = field(default_factory=dict)

    def tried(self, what: str, run: Callable[[], Any]) -> Any:
        """The result of ``run``, or None if the device refuses."""
        try:
            return run()
        except EngineGone:
            raise
        except DeviceError as err:
            self.reasons[what] = str(err).splitlines()[0]
            return None

    def __str__(self) -> str:
        return "".join(f"; {what} is refused: {why}" for what, why in self.reasons.items())


def check_probe(probe: Probe, engine: Engine, family: str) -> Check:
    """The answer of a chip of ``family`` as a check."""
    try:
        answer = probe.run(Asked(engine, family))
    except EngineGone as err:
        return Check("probe", probe.name, SKIPPED, str(err))
    except DeviceError as err:
        if left_to_the_cpu(err):
            return Check("probe", probe.name, SKIPPED, f"{err}: it cannot be asked here")
        return of("probe", probe.name, False, str(err), decides=probe.decides)
    return of("probe", probe.name, answer.fine, answer.said, decides=probe.decides, answer=answer.value)
