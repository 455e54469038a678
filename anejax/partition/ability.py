"""Decides which equations a chip's engine can run.

It asks legalization, lowering and the chip's rules about each equation by itself. Nothing here is a list of operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anejax import dtypes
from anejax.core.graph import Eqn, Graph, Literal, Var
from anejax.errors import AnejaxError
from anejax.lower.to_mil import LAYOUT, lower
from anejax.mil.chips import chip_of
from anejax.mil.cost import predict
from anejax.mil.limits import LIMITS, MAX_PROGRAM_OPS
from anejax.mil.program import Program
from anejax.mil.rules import REFUSED
from anejax.mil.verify import diagnose
from anejax.partition.fixed import in_float32
from anejax.partition.programs import plain_params
from anejax.partition.scans import SUM_TURNS, Chunked, chunk, crossing_form, sums, turns_at_once
from anejax.passes.legalize import legalize, why_not
from anejax.transforms.control.scan import scan_p

ON_ENGINE = (dtypes.float32, dtypes.float16, dtypes.bool_)  # float32 becomes float16 there


@dataclass(frozen=True)
class Abilities:
    """The equations of a Graph that an engine can run.

    Attributes:
        reasons: for each equation why the engine cannot have it, or None when it can.
        loops: by index the scans among those it can have that it has in chunks.
    """

    reasons: list[str | None]
    loops: dict[int, Chunked]


def abilities(graph: Graph, chip: str) -> Abilities:
    """Finds the equations of ``graph`` that the engine of ``chip`` can run."""
    asked = _Asked(chip)
    reasons = [wide or asked.why_not(eqn) for eqn, wide in zip(graph.eqns, in_float32(graph))]
    found = {i: asked.chunked.get(_kind(eqn)) for i, eqn in enumerate(graph.eqns) if reasons[i] is None}
    return Abilities(reasons, {i: form for i, form in found.items() if form is not None})


class _Asked:
    """Remembers verdicts on equations, since a network has many equal ones."""

    def __init__(self, chip: str) -> None:
        self.chip = chip_of(chip).name
        self.known: dict[Any, str | None] = {}
        self.chunked: dict[Any, Chunked] = {}  # scans, by kind

    def why_not(self, eqn: Eqn) -> str | None:
        """Why the engine cannot have ``eqn``, or None when it can."""
        reason = why_not(eqn.primitive.name, "ane")
        if reason is not None:
            return reason
        for atom in (*eqn.inputs, *eqn.outputs):
            if atom.aval.dtype not in ON_ENGINE:
                return f"the engine does not compute in {atom.aval.dtype}"
            if 0 in atom.aval.shape:
                return "the engine has no arrays without elements"
        if eqn.primitive.name in LAYOUT:
            return self.too_long(eqn)
        key = _kind(eqn)
        if key is None:
            return self.tried(eqn)
        if key not in self.known:
            self.known[key] = (self.scan if _turns(eqn) else self.tried)(eqn)
        return self.known[key]

    def too_long(self, eqn: Eqn) -> str | None:
        """Why the engine cannot have what an equation of LAYOUT shows, by itself of no cost."""
        most = LIMITS[chip_of(self.chip).family].max_extent
        longest = max((n for v in eqn.outputs for n in v.aval.shape[-2:]), default=0)
        return f"it has axes of at most {most} elements, and this one has {longest}" if longest > most else None

    def tried(self, eqn: Eqn) -> str | None:
        reason, program = self.program(_alone(eqn))
        if program is not None and len(program.main.ops) > MAX_PROGRAM_OPS:
            return f"it becomes {len(program.main.ops)} operations there, and programs have at most {MAX_PROGRAM_OPS}"
        return reason

    def program(self, graph: Graph) -> tuple[str | None, Program | None]:
        """Why the engine cannot have ``graph``, None when it can, and as what."""
        try:
            program = lower(legalize(graph, "ane", self.chip), "ane")
        except AnejaxError as err:
            return _reason(err), None
        first = next((f for f in diagnose(program, self.chip) if f.rule.severity == REFUSED), None)
        return (None, program) if first is None else (first.message, None)

    def scan(self, eqn: Eqn) -> str | None:
        """Unrolled where that is a program, which two and three turns tell; in chunks where it is not."""
        form, length = crossing_form(eqn), eqn.params["length"]
        if any(e.primitive is scan_p and self.in_chunks(e) for e in eqn.params["body"].eqns):
            return self.turn_by_turn(eqn, form)
        (reason, two), (more, three) = (self.program(chunk(form, turns)) for turns in (2, 3))
        if two is None or three is None:
            return reason or more
        operations = len(two.main.ops)
        most = 2 + (MAX_PROGRAM_OPS - operations) // max(len(three.main.ops) - operations, 1)
        if most < 2:
            return self.turn_by_turn(eqn, form)
        reason = self.tried(eqn) if length <= most else ""
        if reason is None or length <= 2:
            return reason
        turn_us = predict(three, self.chip).us - predict(two, self.chip).us
        most = min(most, length - 1, SUM_TURNS if any(sums(eqn)) else length)
        turns = turns_at_once(length, most, chip_of(self.chip).floor_us, turn_us)
        while turns > 2 and not self.fits(chunk(form, turns)):
            turns = max(2, turns * 7 // 8)
        self.chunked[_kind(eqn)] = Chunked(form, turns)
        return None

    def in_chunks(self, eqn: Eqn) -> bool:
        return self.why_not(eqn) is None and _kind(eqn) in self.chunked

    def fits(self, graph: Graph) -> bool:
        _, program = self.program(graph)
        return program is not None and len(program.main.ops) <= MAX_PROGRAM_OPS

    def turn_by_turn(self, eqn: Eqn, form: Eqn) -> str | None:
        """A turn that is no program by itself is divided further, if the engine can have all of it."""
        reason = next((r for e in chunk(form, 1).eqns if (r := self.why_not(e)) is not None), None)
        if reason is None:
            self.chunked[_kind(eqn)] = Chunked(form, 1)
        return reason


def _reason(err: AnejaxError) -> str:
    """The reason after "[legalize] sort cannot be had on ane: "."""
    message = str(err)
    return message.partition(" cannot be had on ane: ")[2].removesuffix(".") or message


def _kind(eqn: Eqn) -> Any:
    """A key that is equal for equations that the engine treats alike, or None if there is none."""
    ins = tuple(a.key() if isinstance(a, Literal) and not a.aval.shape else (type(a), a.aval) for a in eqn.inputs)
    key = (eqn.primitive, ins, tuple(v.aval for v in eqn.outputs), tuple(sorted(plain_params(eqn).items())))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _turns(eqn: Eqn) -> bool:
    return eqn.primitive is scan_p and eqn.params["length"] > 0


def _alone(eqn: Eqn) -> Graph:
    inputs = tuple(dict.fromkeys(a for a in eqn.inputs if isinstance(a, Var)))
    return Graph(inputs, (eqn,), eqn.outputs)
