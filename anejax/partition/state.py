"""Keeps updates of state in float32 on the CPU device, with the values that only they need.

Master weights and optimizer moments live from step to step, and small changes vanish in float16: adding less than 2^-11
of a weight changes nothing. A Graph does not say which inputs are state. Elementwise equations from a float32 input to
an output of its type are not enough evidence, because each activation has them too. An input is state if, in addition,
one of these holds: the caller donates it, so that the output takes its place; it is joined with a gradient on the way
(an equation that transposition made); or a loop carries it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Var, subgraphs
from anejax.marks import BACKWARD
from anejax.partition.fixed import PRODUCTS, UNSCALED
from anejax.partition.levels import read_by, readers_of

DONATED = "an input that the caller donates comes out again, changed"
CARRIED = "a loop carries it"
GRADIENT = "an input is joined with a gradient and comes out again"
SERVES = "it serves updates of state alone, and keeps float32"


def reason_for(evidence: str) -> str:
    """Why an equation is kept of which there is this ``evidence``."""
    return f"it updates state, and keeps float32: {evidence}"


Token = tuple[Aval, str]  # the type of an input and output, and the evidence that was found between them, or ""


def kept_on_host(graph: Graph, reasons: Sequence[str | None], known: Mapping[int, str]) -> dict[int, str]:
    """The equations that the engine could run but that stay on the CPU device because of state, with reasons.

    ``reasons`` are those for which the engine cannot have others; ``known`` has the evidence that there is of inputs,
    by index. Values that only unscaled equations read, and that can be computed from values which are fetched for them
    anyway, move with them.
    """
    host = [reason is not None for reason in reasons]
    updates = dict(_updates(graph, known))
    for i in updates:
        host[i] = True
    if updates or UNSCALED in reasons:
        _follow(graph, host)
    return {
        i: reason_for(updates[i]) if i in updates else SERVES
        for i, reason in enumerate(reasons)
        if reason is None and host[i]
    }


def _updates(graph: Graph, known: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Indices of the equations on an elementwise way from a float32 input to an output of its type, with evidence."""
    after = _after_gradients(graph)
    begins: dict[Var, set[Token]] = {}
    for i, v in enumerate(graph.inputs):
        if v.aval.dtype == dtypes.float32:
            begins[v] = {(v.aval.strong(), known.get(i, ""))}
    own: list[str] = []
    for eqn in graph.eqns:
        own.append(_own_evidence(eqn, begins, after))
        found = {(aval, seen or own[-1]) for v in _alike(eqn) for aval, seen in begins.get(v, ())}
        begins.update((v, found) for v in eqn.outputs if found)
    ends: dict[Var, set[Token]] = {v: {(v.aval.strong(), "")} for v in graph.outputs if isinstance(v, Var)}
    for i, eqn in reversed(list(enumerate(graph.eqns))):
        if not eqn.primitive.elementwise:
            continue
        before, behind = ({t for v in eqn.outputs for t in ways.get(v, ())} for ways in (begins, ends))
        avals = {aval for aval, _ in before} & {aval for aval, _ in behind}
        met = sorted({seen for aval, seen in before | behind if aval in avals and seen})
        if met:
            yield i, met[0]
        for v in _alike(eqn):
            ends.setdefault(v, set()).update((aval, seen or own[i]) for aval, seen in behind if aval in avals)


def _after_gradients(graph: Graph) -> set[Atom]:
    """The equations that transposition made, and those that follow from them."""
    after: set[Atom] = set()
    for eqn in graph.eqns:
        if eqn.mark.part == BACKWARD or not after.isdisjoint(eqn.inputs):
            after.update(eqn.outputs)
    return after


def _own_evidence(eqn: Eqn, begins: Mapping[Var, set[Token]], after: set[Atom]) -> str:
    """Whether ``eqn`` combines a value that comes from an input with a gradient; what is transposed itself makes
    gradients."""
    if eqn.mark.part == BACKWARD:
        return ""
    joined = list(_alike(eqn))
    return GRADIENT if any(v in begins and v not in after for v in joined) and any(v in after for v in joined) else ""


def _alike(eqn: Eqn) -> Iterator[Var]:
    """The operands of the result's shape, when ``eqn`` is elementwise."""
    if eqn.primitive.elementwise:
        yield from (v for v in read_by(eqn) if v.aval.shape == eqn.outputs[0].aval.shape)


def _follow(graph: Graph, host: list[bool]) -> None:
    """Moves values to the host that only the host reads, as long as nothing more crosses the border.

    That is so for elementwise equations that fetch at most one value for the one they spare, and for all but products
    and loops whose operands follow from what the host has: a norm of gradients, say, that are fetched for the update.
    """
    border = _Border(graph, host)
    moved = True
    while moved:
        moved = False
        at_hand = border.at_hand()
        for i in reversed(range(len(graph.eqns))):
            if host[i] or not border.is_read_by(i, lambda j: host[j]):
                continue
            derived = border.is_light(i) and all(v in at_hand for v in read_by(graph.eqns[i]))
            for j in {i} if derived else border.sparing(i, at_hand):
                host[j] = moved = True


class _Border:
    """The makers and readers of values, and the values that the host has."""

    def __init__(self, graph: Graph, host: list[bool]) -> None:
        self.graph, self.host = graph, host
        self.readers = readers_of(graph)
        self.made_by = {v: i for i, eqn in enumerate(graph.eqns) for v in eqn.outputs}

    def is_light(self, i: int) -> bool:
        eqn = self.graph.eqns[i]
        return eqn.primitive.name not in PRODUCTS and not any(True for _ in subgraphs(eqn.params))

    def is_there(self, v: Var) -> bool:
        """Whether the host has ``v``: made there, an input, or fetched by someone."""
        return v not in self.made_by or self.host[self.made_by[v]] or any(self.host[i] for i in self.readers.get(v, ()))

    def is_read_by(self, i: int, chosen: Callable[[int], bool]) -> bool:
        """Whether equation ``i`` is read by some, and all of them are chosen."""
        found = [j for v in self.graph.eqns[i].outputs for j in self.readers.get(v, ())]
        return bool(found) and all(map(chosen, found))

    def at_hand(self) -> set[Var]:
        """The values that the host has, or can compute from them without products."""
        found = set(self.graph.inputs)
        for i, eqn in enumerate(self.graph.eqns):
            derived = self.is_light(i) and all(v in found for v in read_by(eqn))
            found.update(v for v in eqn.outputs if derived or self.is_there(v))
        return found

    def fetched(self, i: int, at_hand: set[Var]) -> set[Var]:
        """The arrays that the host would have to fetch to run equation ``i``; if its result is a scalar, also the
        scalars, except those that the host has."""
        missing = {v for v in read_by(self.graph.eqns[i]) if not self.is_there(v)}
        return {v for v in missing if v.aval.shape or not (self.graph.eqns[i].outputs[0].aval.shape or v in at_hand)}

    def sparing(self, i: int, at_hand: set[Var]) -> set[int]:
        """Equation ``i`` and those behind it, all elementwise, that together fetch one value at most; or none."""
        members, fetched = {i}, self.fetched(i, at_hand)
        if not self.graph.eqns[i].primitive.elementwise:
            return set()
        while len(fetched) > 1:
            latest = max(fetched, key=lambda v: self.made_by[v])
            j = self.made_by[latest]
            inside = self.is_read_by(j, lambda k: k in members or self.host[k])
            if not inside or not self.graph.eqns[j].primitive.elementwise:
                return set()
            members.add(j)
            fetched = fetched - {latest} | self.fetched(j, at_hand)
        return members
