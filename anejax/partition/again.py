"""Lets a program compute values again instead of reading them from the program before.

A value is computed again if elementwise operations and broadcasts alone produce it from fewer bytes, or from values
that cross anyway. One program writes each crossing value to memory and the other reads it, both at the transfer rate of
the border, while repeated elementwise operations are free on the engine. So a factor of a derivative, such as 1 -
sigmoid(x), is computed by its reader, and the scale of a row crosses instead of the scaled row.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from anejax.core.graph import Eqn, Graph, Var
from anejax.partition.levels import read_by

MOVES = frozenset({"broadcast_in_dim", "reshape", "convert_element_type"})
DEPTH = 16  # most links of a chain that is followed


def is_cheap(eqn: Eqn) -> bool:
    """Whether the engine computes it along with its neighbours."""
    return len(eqn.outputs) == 1 and (eqn.primitive.elementwise or eqn.primitive.name in MOVES)


def with_repeats(
    graph: Graph, pieces: Sequence[Sequence[int]], entering: Container[Var]
) -> list[tuple[tuple[int, ...], Graph]]:
    """The equations of each engine program, by index, and as a Graph: with equations that it computes again, and
    without those whose results no program reads any more. A program may have none left.

    ``pieces`` are the programs' equations, in order; ``entering`` are values that each program makes for itself anyway.
    """
    home = {i: n for n, piece in enumerate(pieces) for i in piece}
    maker = {v: i for i in home for v in graph.eqns[i].outputs}
    wholes = [{*piece, *_Program(graph, maker, home, n, entering).repeated(piece)} for n, piece in enumerate(pieces)]
    return _without_dead(graph, pieces, wholes, maker)


class _Program:
    """One program, and its inputs from earlier programs."""

    def __init__(
        self, graph: Graph, maker: dict[Var, int], home: dict[int, int], number: int, entering: Container[Var]
    ) -> None:
        self.graph, self.maker, self.home, self.number, self.entering = graph, maker, home, number, entering
        self.here: set[Var] = set()  # the values that it has: read from outside, or computed again

    def repeated(self, piece: Sequence[int]) -> Iterator[int]:
        """The equations of other programs that it computes again."""
        found = {v for i in piece for v in read_by(self.graph.eqns[i]) if self.comes_from_before(v)}
        cheap = {v: self.maker[v] for v in found if is_cheap(self.graph.eqns[self.maker[v]])}
        self.here = {v for i in piece for v in read_by(self.graph.eqns[i]) if v not in cheap}
        for v in sorted(cheap, key=cheap.__getitem__):  # sources come before the values that follow from them
            again: set[int] = set()
            if v not in self.here and self.price(v, again, DEPTH) < v.aval.nbytes:
                for i in sorted(again):
                    self.here.update((*self.graph.eqns[i].outputs, *read_by(self.graph.eqns[i])))
                yield from again
            self.here.add(v)

    def comes_from_before(self, v: Var) -> bool:
        return v in self.maker and self.home[self.maker[v]] != self.number

    def price(self, v: Var, again: set[int], depth: int) -> int:
        """The bytes that have to cross for the program to compute ``v``; ``again`` gets the equations for it."""
        i = self.maker[v]
        again.add(i)
        total = 0
        for operand in dict.fromkeys(read_by(self.graph.eqns[i])):
            if operand in self.here or operand in self.entering:
                continue
            inner: set[int] = set()
            price = operand.aval.nbytes
            if depth and self.comes_from_before(operand) and is_cheap(self.graph.eqns[self.maker[operand]]):
                computed = self.price(operand, inner, depth - 1)
                if computed < price:
                    price = computed
                    again |= inner
            total += price
        return total


def _without_dead(
    graph: Graph, pieces: Sequence[Sequence[int]], wholes: Sequence[set[int]], maker: dict[Var, int]
) -> list[tuple[tuple[int, ...], Graph]]:
    """The remaining equations of each program, from the last one on: those that others read, and their sources."""
    wanted = {a for a in graph.outputs if isinstance(a, Var)}
    own = {i for piece in pieces for i in piece}
    wanted.update(v for i, e in enumerate(graph.eqns) if i not in own for v in read_by(e))
    found: list[tuple[tuple[int, ...], Graph]] = []
    for piece, whole in reversed([*zip(pieces, wholes)]):
        leaves = {v for i in piece for v in graph.eqns[i].outputs if v in wanted}
        needed = set(leaves)
        alive: list[int] = []
        for i in sorted(whole, reverse=True):
            if not needed.isdisjoint(graph.eqns[i].outputs):
                alive.append(i)
                needed.update(read_by(graph.eqns[i]))
        members = tuple(reversed(alive))
        eqns = tuple(graph.eqns[i] for i in members)
        made = dict.fromkeys(v for e in eqns for v in e.outputs)
        inputs = tuple(dict.fromkeys(v for e in eqns for v in read_by(e) if v not in made))
        found.append((members, Graph(inputs, eqns, tuple(v for v in made if v in leaves))))
        wanted.update(inputs)
    return found[::-1]
