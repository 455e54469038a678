"""Which equations of a function a chip's engine can have, and the programs that those make.

Whether it can have an equation is asked of legalization, lowering and the chip's rules, one equation at a time; nothing
here is a list of operations. Equations are then put in levels: an engine program as early as what it needs from the CPU
allows, and work that nothing waits for as late as possible, so that there are few programs. Cost plays no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import anejax as aj
from anejax import dtypes
from anejax.core.graph import Eqn, Graph, Literal, Var
from anejax.engine.fixed import LAYOUT, in_float32, read
from anejax.errors import AnejaxError
from anejax.lower.to_mil import lower
from anejax.mil.chips import chip_of
from anejax.mil.program import Program
from anejax.mil.rules import MIL, REFUSED, Finding, Rule
from anejax.mil.verify import diagnose
from anejax.passes.legalize import legalize, why_not
from anejax.passes.pipeline import optimize
from anejax.passes.simplify import simplify

ON_ENGINE = (dtypes.float32, dtypes.float16, dtypes.bool_)  # float32 becomes float16 there
ON_CPU = Rule("primitive", f"docs/legalization.md, and {MIL}", "nothing, if the CPU device may run this part")


@dataclass(frozen=True)
class HostEqn:
    """An equation that stays on the CPU device, and why."""

    eqn: Eqn
    reason: str


@dataclass(frozen=True)
class Split:
    """A function's engine programs, in an order in which they can run, and the equations beside them."""

    programs: tuple[Program, ...]
    host: tuple[HostEqn, ...]


def split(graph: Graph, chip: str) -> Split:
    """The parts of ``graph`` for ``chip`` and for the CPU device."""
    graph = optimize(graph)
    reasons = reasons_of(graph, chip)
    host = tuple(HostEqn(e, r) for e, r in zip(graph.eqns, reasons) if r is not None)
    parts = segments(graph, [r is None for r in reasons])
    return Split(tuple(lower(simplify(legalize(s, "ane", chip)), "ane") for s in parts), host)


def reasons_of(graph: Graph, chip: str) -> list[str | None]:
    """For each equation why the engine of ``chip`` cannot have it, or None when it can."""
    ask = _Asked(chip).why_not
    return [wide or ask(eqn) for eqn, wide in zip(graph.eqns, in_float32(graph))]


def check(f: Callable[..., Any], *args: Any, chip: str = "M4") -> list[Finding]:
    """Every rule that ``f`` breaks on ``chip`` at the types of ``args`` (arrays or ShapeDtypeStructs).

    Equations that the engine does not have are findings of the rule "primitive"; the others, legalized, are held to
    the chip's rules. What stands at the border to the CPU device is taken to be cast there.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> for found in check(lambda x: jnp.tanh(jnp.sort(x)), aj.ShapeDtypeStruct((8,), "float32")):
        ...     print(found.rule.severity, found.message)
        refused [sort] MIL's sorting operations order one array by one key, in unstated order of equals
        note [tanh] a table of 33 knots: error up to 1.7e-3
    """
    parts = split(aj.make_jaxpr(f)(*args).graph, chip)
    found = [Finding(ON_CPU, h.eqn.primitive.name, f"[{h.eqn.primitive.name}] {h.reason}") for h in parts.host]
    for program in parts.programs:
        found += diagnose(program, chip)
    return list(dict.fromkeys(found))


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


# ---- segments


def segments(graph: Graph, on_engine: Sequence[bool]) -> Iterator[Graph]:
    """The Graphs of the engine's equations, level by level: each needs the inputs of ``graph``, results of those
    before it, and of equations beside them that need no later one."""
    levels = _late(graph, on_engine, _early(graph, on_engine))
    readers: dict[Var, set[int]] = {}
    for i, eqn in enumerate(graph.eqns):
        for var in read(eqn):
            readers.setdefault(var, set()).add(i)
    returned = {a for a in graph.outputs if isinstance(a, Var)}
    for level in sorted({n for n, engine in zip(levels, on_engine) if engine}):
        members = {i for i, n in enumerate(levels) if n == level and on_engine[i]}
        eqns = tuple(graph.eqns[i] for i in sorted(members))
        made = dict.fromkeys(v for e in eqns for v in e.outputs)
        inputs = tuple(dict.fromkeys(v for e in eqns for v in read(e) if v not in made))
        outputs = tuple(v for v in made if v in returned or readers.get(v, set()) - members)
        if outputs:
            yield Graph(inputs, eqns, outputs)


def _early(graph: Graph, on_engine: Sequence[bool]) -> list[int]:
    """How often the data has changed sides before each equation, at the least."""
    made: dict[Var, tuple[int, bool]] = {}
    levels: list[int] = []
    for eqn, engine in zip(graph.eqns, on_engine):
        before = [made[v] for v in read(eqn) if v in made]
        level = max((n + (side != engine) for n, side in before), default=0)
        made.update((v, (level, engine)) for v in eqn.outputs)
        levels.append(level)
    return levels


def _late(graph: Graph, on_engine: Sequence[bool], early: list[int]) -> list[int]:
    """The last level at which each of the engine's equations serves its readers; those of results stay."""
    due: dict[Var, int] = {}
    levels = list(early)
    returned = {a for a in graph.outputs if isinstance(a, Var)}
    for i in range(len(levels) - 1, -1, -1):
        eqn, engine = graph.eqns[i], on_engine[i]
        bounds = [due[v] for v in eqn.outputs if v in due]
        if engine and bounds and not returned.intersection(eqn.outputs):
            levels[i] = max(early[i], min(bounds))
        for var in read(eqn):
            bound = levels[i] if engine else levels[i] - 1
            due[var] = min(due.get(var, bound), bound)
    return levels
