"""What keeps float32: updates of state, and what is computed for them from values that the CPU device has anyway.

Master weights and the optimizer's moments live from step to step, and small changes to them vanish in float16: adding
less than 2^-11 of a weight to it changes nothing. A Graph does not say which inputs are state. What tells is that an
input comes out again, changed: elementwise equations lead from a float32 input to an output of its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.graph import Eqn, Graph, Var, subgraphs
from anejax.partition.fixed import PRODUCTS, UNSCALED
from anejax.partition.levels import read_by, readers_of

REASON = "it updates state, or serves such an update alone, and keeps float32"


def kept_on_host(graph: Graph, reasons: Sequence[str | None]) -> list[int]:
    """Indices of equations that the engine could have, and that stay on the CPU device for the sake of state.

    ``reasons`` are those for which the engine cannot have others. What is read only by what was unscaled, and could be
    computed there from what is fetched for it anyway, goes with it in the same way.
    """
    host = [reason is not None for reason in reasons]
    updates = list(_updates(graph))
    for i in updates:
        host[i] = True
    if updates or UNSCALED in reasons:
        _follow(graph, host)
    return [i for i, reason in enumerate(reasons) if reason is None and host[i]]


def _updates(graph: Graph) -> Iterator[int]:
    """Indices of the equations on an elementwise way from a float32 input to an output of its type."""
    begins: dict[Var, set[Aval]] = {v: {v.aval.strong()} for v in graph.inputs if v.aval.dtype == dtypes.float32}
    for eqn in graph.eqns:
        found = {a for v in _alike(eqn) for a in begins.get(v, ())}
        begins.update((v, found) for v in eqn.outputs if found)
    ends: dict[Var, set[Aval]] = {v: {v.aval.strong()} for v in graph.outputs if isinstance(v, Var)}
    for i, eqn in reversed(list(enumerate(graph.eqns))):
        found = {a for v in eqn.outputs for a in ends.get(v, set()) & begins.get(v, set())}
        if found and eqn.primitive.elementwise:
            yield i
            for v in _alike(eqn):
                ends.setdefault(v, set()).update(found)


def _alike(eqn: Eqn) -> Iterator[Var]:
    """The operands of the result's shape, when ``eqn`` is elementwise."""
    if eqn.primitive.elementwise:
        yield from (v for v in read_by(eqn) if v.aval.shape == eqn.outputs[0].aval.shape)


def _follow(graph: Graph, host: list[bool]) -> None:
    """Moves to the host what the host alone reads, as long as nothing more crosses the border by it.

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
    """Who makes and reads what, and what of it the host has."""

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
        """What the host has, or can compute from that without products."""
        found = set(self.graph.inputs)
        for i, eqn in enumerate(self.graph.eqns):
            derived = self.is_light(i) and all(v in found for v in read_by(eqn))
            found.update(v for v in eqn.outputs if derived or self.is_there(v))
        return found

    def fetched(self, i: int, at_hand: set[Var]) -> set[Var]:
        """What the host would have to fetch to run equation ``i``: arrays; where it makes a scalar, scalars too, but
        for those at hand."""
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
