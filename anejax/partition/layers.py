"""Finds where a Graph repeats itself: the layers of a network are the same equations on other values.

If a program is cut there, its parts have the same text. The text is compiled once, and counts as one of the programs
that the engine holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from anejax.core.graph import Atom, Eqn, Graph, Literal
from anejax.partition.levels import read_by
from anejax.partition.programs import plain_params

WINDOW = 8  # so many equations alike in a row are taken for the beginning of a repetition
FEW = 3  # fewer repetitions are no layers
LOOKED_AT = 4  # distances


def layer_cuts(graph: Graph) -> tuple[int, list[int]]:
    """The number of equations in a layer of the longest row of layers, and the starts of the layers and the end of the
    last one; an empty list if nothing repeats."""
    kinds = _kinds(graph.eqns)
    best = (0, 0, 0)  # equations that repeat, where they begin, the distance
    for distance in _distances(kinds):
        for begin, end in _alike(kinds, distance):
            best = max(best, (end - begin, -begin, -distance))
    length, begin, distance = best[0], -best[1], -best[2]
    if distance == 0 or length < FEW * distance:
        return 0, []
    first = begin + _cheapest(graph, begin, begin + length, distance)
    return distance, list(range(first, begin + length + 1, distance))


def _kinds(eqns: Sequence[Eqn]) -> list[int]:
    """A number for each equation, the same for equations that differ in their variables alone."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(_kind(e), len(numbers)) for e in eqns]


def _kind(eqn: Eqn) -> object:
    return (eqn.primitive.name, tuple(map(_operand, eqn.inputs)), tuple(str(v.aval) for v in eqn.outputs),
            repr(sorted((k, repr(v)) for k, v in plain_params(eqn).items())))  # fmt: skip


def _operand(atom: Atom) -> object:
    return (str(atom.aval), atom.value.tobytes()) if isinstance(atom, Literal) else str(atom.aval)


def _distances(kinds: Sequence[int]) -> list[int]:
    """The distances between equal windows, the most frequent first."""
    last: dict[tuple[int, ...], int] = {}
    found: Counter[int] = Counter()
    for i in range(len(kinds) - WINDOW + 1):
        window = tuple(kinds[i : i + WINDOW])
        if window in last:
            found[i - last[window]] += 1
        last[window] = i
    return [d for d, _ in found.most_common(LOOKED_AT)]


def _alike(kinds: Sequence[int], distance: int) -> Iterator[tuple[int, int]]:
    """The ranges (from, to) of equations that equal those at ``distance`` before or behind them."""
    begin = None
    for i in range(len(kinds) - distance + 1):
        same = i + distance < len(kinds) and kinds[i] == kinds[i + distance]
        if same and begin is None:
            begin = i
        elif not same and begin is not None:
            yield begin, i + distance
            begin = None


def _cheapest(graph: Graph, begin: int, end: int, distance: int) -> int:
    """At which equation of the first layer to cut it: where the fewest bytes go from layer to layer. Values that are
    read much later go from program to program anyway. Of cuts that are as cheap, the one that leaves the smallest piece
    of a layer over at either end of ``graph``: then the first or the last layer is like the others. Fewer equations
    than WINDOW are no piece."""
    made = {v: i for i in range(begin, end) for v in graph.eqns[i].outputs}
    last: dict[int, dict[object, int]] = {}
    for i in range(begin, end):
        for v in read_by(graph.eqns[i]):
            if v in made and i - made[v] < distance:
                last.setdefault(made[v], {})[v] = i
    crossing = [0] * distance
    for i, reads in last.items():
        for v, j in reads.items():
            for k in range(i + 1, j + 1):
                crossing[(k - begin) % distance] += v.aval.nbytes  # type: ignore[attr-defined]

    def left_over(k: int) -> int:
        return min((begin + k) % distance, (len(graph.eqns) - begin - k) % distance)

    return min(range(distance), key=lambda k: (crossing[k], left_over(k) // WINDOW))
