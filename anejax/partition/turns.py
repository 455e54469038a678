"""Finds the turn in a row of engine programs: where the forward pass ends and the backward pass begins.

The programs before a turn read the weights of the last layers, and those behind it read them again. If they are one
program, those weights cross once.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from anejax.core.graph import Graph

MUCH = 4  # 1 / MUCH of the values that a program reads from the CPU device must be the same


def turn_of(
    programs: Sequence[Graph], of_engine: Container[object], gains: Callable[[int, int], bool]
) -> list[tuple[int, int]]:
    """(first, behind the last) of the programs around a turn that are better one, from the fewest on to the most; none
    where there is no turn.

    Args:
        programs: in order.
        of_engine: the values that the engine makes.
        gains: whether the programs from one to before another are better one program.
    """
    read = [{v: v.aval.nbytes for v in g.inputs if v not in of_engine} for g in programs]

    def shared(a: int, b: int) -> int:
        same = sum(n for v, n in read[a].items() if v in read[b])
        return same if MUCH * same >= min(sum(read[a].values()), sum(read[b].values())) else 0

    middles = [(a, b) for a in range(len(read)) for b in (a + 1, a + 2) if b < len(read) and shared(a, b)]
    for a, b in sorted(middles, key=lambda pair: (-shared(*pair), pair[1] - pair[0])):
        found = []
        while a >= 0 and b < len(read) and shared(a, b) and gains(a, b + 1):
            found.append((a, b + 1))
            a, b = a - 1, b + 1
        if found:
            return found
    return []
