"""Groups equations into segments: the level of an equation is the number of device switches on the way to it.

The equations of one level and one side form a segment. The sides are the CPU device, the engine, and each loop that the
engine runs in chunks, which is a separate segment. To keep programs few, an engine program runs as early as its inputs
from other sides allow, and work that nothing waits for runs as late as possible. The segments of a level are
independent of each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anejax.core.graph import Eqn, Graph, Var

CPU, ENGINE, LOOP = 0, 1, 2  # sides; loops have numbers from LOOP on


@dataclass(frozen=True, eq=False)
class Part:
    """The equations of one level and side, by index into the Graph, in order."""

    side: int
    members: tuple[int, ...]


def read_by(eqn: Eqn) -> Iterator[Var]:
    """The variables among the operands of ``eqn``."""
    return (a for a in eqn.inputs if isinstance(a, Var))


def readers_of(graph: Graph) -> dict[Var, list[int]]:
    """The equations that read each variable, by index."""
    found: dict[Var, list[int]] = {}
    for i, eqn in enumerate(graph.eqns):
        for var in dict.fromkeys(read_by(eqn)):
            found.setdefault(var, []).append(i)
    return found


def parts(graph: Graph, sides: Sequence[int]) -> list[Part]:
    """All equations, level by level. Each part needs only inputs of ``graph`` and results of earlier parts."""
    levels = _late(graph, sides, _early(graph, sides))
    members: dict[tuple[int, int], list[int]] = {}
    for i, (level, side) in enumerate(zip(levels, sides)):
        members.setdefault((level, side), []).append(i)
    found: list[Part] = []
    for level, side in sorted(members):
        own = members[level, side]
        if found and found[-1].side == side:  # nothing of another side lies between the two levels
            own = sorted([*found.pop().members, *own])
        found.append(Part(side, tuple(own)))
    return found


def subgraph(graph: Graph, members: Sequence[int], readers: dict[Var, list[int]]) -> Graph:
    """The Graph of some equations: their inputs, and those of their results that others read or ``graph`` returns."""
    eqns = tuple(graph.eqns[i] for i in members)
    inside, returned = set(members), {a for a in graph.outputs if isinstance(a, Var)}
    made = dict.fromkeys(v for e in eqns for v in e.outputs)
    inputs = tuple(dict.fromkeys(v for e in eqns for v in read_by(e) if v not in made))
    outputs = tuple(v for v in made if v in returned or not inside.issuperset(readers.get(v, ())))
    return Graph(inputs, eqns, outputs)


def components(graph: Graph) -> Iterator[Graph]:
    """The Graphs of equations that need each other, directly or through others; inputs may be shared."""
    readers = readers_of(graph)
    component = list(range(len(graph.eqns)))
    for i, eqn in enumerate(graph.eqns):  # a new reader joins all that it reads from under the lowest number
        for v in eqn.outputs:
            for j in readers.get(v, ()):
                low, high = sorted((component[i], component[j]))
                component = [low if c == high else c for c in component]
    for number in dict.fromkeys(component):
        yield subgraph(graph, [i for i, c in enumerate(component) if c == number], readers)


def cheapest_cut(graph: Graph) -> int:
    """Between which equations to cut ``graph`` in two: in its middle third, where the fewest bytes are needed by both.

    Values that are computed before a cut and read after it cross, and inputs that both sides read enter twice.
    """
    count = len(graph.eqns)
    crossing = [0] * (count + 1)  # bytes more, or less, from each place on
    seen: dict[Var, tuple[int, int]] = {}
    for i, eqn in enumerate(graph.eqns):
        for v in (*read_by(eqn), *eqn.outputs):
            seen[v] = seen.get(v, (i, i))[0], i
    for v, (first, last) in seen.items():
        crossing[first + 1] += v.aval.nbytes
        crossing[last + 1] -= v.aval.nbytes
    here = list(itertools.accumulate(crossing))
    return min(range(max(count // 3, 1), max(2 * count // 3, 1) + 1), key=lambda k: (here[k], abs(2 * k - count)))


def _early(graph: Graph, sides: Sequence[int]) -> list[int]:
    """The least number of device switches on the way to each equation."""
    made: dict[Var, tuple[int, int]] = {}
    levels: list[int] = []
    for eqn, side in zip(graph.eqns, sides):
        before = [made[v] for v in read_by(eqn) if v in made]
        level = max((n + (other != side) for n, other in before), default=0)
        made.update((v, (level, side)) for v in eqn.outputs)
        levels.append(level)
    return levels


def _late(graph: Graph, sides: Sequence[int], early: list[int]) -> list[int]:
    """The last level at which each equation serves its readers; those of results stay.

    On the CPU device it is for memory: an update of state that began before the engine's programs would keep its
    intermediate values through all of them.
    """
    maker = {v: side for e, side in zip(graph.eqns, sides) for v in e.outputs}
    due: dict[Var, int] = {}
    levels = list(early)
    returned = {a for a in graph.outputs if isinstance(a, Var)}
    for i in range(len(levels) - 1, -1, -1):
        eqn, side = graph.eqns[i], sides[i]
        bounds = [due[v] for v in eqn.outputs if v in due]
        if bounds and not returned.intersection(eqn.outputs):
            levels[i] = max(early[i], min(bounds))
        for var in read_by(eqn):
            bound = levels[i] - (maker.get(var) != side)
            due[var] = min(due.get(var, bound), bound)
    return levels
