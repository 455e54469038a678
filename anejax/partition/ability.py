"""Which equations a chip's engine can have.

Legalization, lowering and the chip's rules are asked, one equation at a time; nothing here is a list of operations.
"""

from __future__ import annotations

from typing import Any

from anejax import dtypes
from anejax.core.graph import Eqn, Graph, Literal, Var
from anejax.errors import AnejaxError
from anejax.lower.to_mil import LAYOUT, lower
from anejax.mil.chips import chip_of
from anejax.mil.limits import MAX_PROGRAM_OPS
from anejax.mil.rules import REFUSED
from anejax.mil.verify import diagnose
from anejax.partition.fixed import in_float32
from anejax.passes.legalize import legalize, why_not

ON_ENGINE = (dtypes.float32, dtypes.float16, dtypes.bool_)  # float32 becomes float16 there


def reasons_of(graph: Graph, chip: str) -> list[str | None]:
    """For each equation why the engine of ``chip`` cannot have it, or None when it can."""
    ask = _Asked(chip).why_not
    return [wide or ask(eqn) for eqn, wide in zip(graph.eqns, in_float32(graph))]


class _Asked:
    """Remembers what was found of equations, of which a network has many alike."""

    def __init__(self, chip: str) -> None:
        self.chip = chip_of(chip).name
        self.known: dict[Any, str | None] = {}

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
            return None
        key = _kind(eqn)
        if key is None:
            return self.tried(eqn)
        if key not in self.known:
            self.known[key] = self.tried(eqn)
        return self.known[key]

    def tried(self, eqn: Eqn) -> str | None:
        try:
            program = lower(legalize(_alone(eqn), "ane", self.chip), "ane")
        except AnejaxError as err:
            return _reason(err)
        first = next((f for f in diagnose(program, self.chip) if f.rule.severity == REFUSED), None)
        if first is None and len(program.main.ops) > MAX_PROGRAM_OPS:
            return f"it becomes {len(program.main.ops)} operations there, and programs have at most {MAX_PROGRAM_OPS}"
        return first.message if first is not None else None


def _reason(err: AnejaxError) -> str:
    """What follows "[legalize] sort cannot be had on ane: "."""
    message = str(err)
    return message.partition(" cannot be had on ane: ")[2].removesuffix(".") or message


def _kind(eqn: Eqn) -> Any:
    """What equations that the engine treats alike have in common, or None when that cannot be told."""
    ins = tuple(a.key() if isinstance(a, Literal) else a.aval for a in eqn.inputs)
    key = (eqn.primitive, ins, tuple(v.aval for v in eqn.outputs), tuple(sorted(eqn.params.items())))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _alone(eqn: Eqn) -> Graph:
    inputs = tuple(dict.fromkeys(a for a in eqn.inputs if isinstance(a, Var)))
    return Graph(inputs, (eqn,), eqn.outputs)
