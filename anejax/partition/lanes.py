"""Runs both devices at the same time: which segment waits for which, and when each is predicted to begin.

Each device runs its own segments in the plan's order, and a segment begins when its inputs exist. The CPU device's work
is cut in pieces, so it can prepare the operands of the next program, and process results of earlier ones, while the
engine works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from anejax.core.graph import Graph, Var
from anejax.partition.levels import read_by

Place = tuple[int, int]  # (program's number, 0: its sources, 1: work that may run beside it, 2: itself)
WORTH_US, WORTH_SHARE = 200.0, 0.02  # the least saving of a piece, since each piece is one more program


def needs_of(graphs: Sequence[Graph]) -> list[set[int]]:
    """The earlier segments whose results each segment reads."""
    made: dict[Var, int] = {}
    needs: list[set[int]] = []
    for i, graph in enumerate(graphs):
        needs.append({made[v] for v in graph.inputs if v in made})
        made.update((v, i) for v in graph.outputs if isinstance(v, Var))
    return needs


def starts(times: Sequence[float], devices: Sequence[str], needs: Sequence[Iterable[int]]) -> list[float]:
    """When each segment begins, of which each takes ``times``: its device has run those before it, and what it needs
    is there."""
    free: dict[str, float] = {}
    found: list[float] = []
    for time, device, before in zip(times, devices, needs, strict=True):
        begin = max([free.get(device, 0.0), *(found[j] + times[j] for j in before)])
        found.append(begin)
        free[device] = begin + time
    return found


def total(times: Sequence[float], devices: Sequence[str], needs: Sequence[Iterable[int]]) -> float:
    """When the last segment ends."""
    return max((s + t for s, t in zip(starts(times, devices, needs), times)), default=0.0)


def can_overlap(devices: Sequence[str], needs: Sequence[Iterable[int]]) -> bool:
    """Whether two segments of different devices need not wait for each other."""
    before: list[set[int]] = []  # all that are over when one begins
    last: dict[str, int] = {}
    for i, (device, own) in enumerate(zip(devices, needs, strict=True)):
        direct = {*own, *([last[device]] if device in last else [])}
        before.append(direct.union(*(before[j] for j in direct)))
        last[device] = i
    return any(devices[j] != devices[i] and j not in before[i] for i in range(len(devices)) for j in range(i))


def places_of_host(graph: Graph, members: Iterable[int], programs: Sequence[Graph]) -> Mapping[Place, list[int]]:
    """The CPU device's equations by their places among the engine's ``programs``, in order.

    The values that a program reads are computed right before it. Values that follow from programs are computed beside
    the next one, after its inputs, so that nothing waits for them; values that do not depend on programs are computed
    beside the last one.
    """
    members = sorted(members)
    made = {v: n for n, g in enumerate(programs) for v in g.outputs if isinstance(v, Var)}
    due: dict[Var, int] = {}
    for n, g in enumerate(programs):
        for v in g.inputs:
            due.setdefault(v, n)
    for i in reversed(members):
        eqn = graph.eqns[i]
        of_results = [due[v] for v in eqn.outputs if v in due]
        for v in read_by(eqn) if of_results else ():
            due[v] = min([due.get(v, len(programs)), *of_results])
    places: dict[Var, Place] = {}
    found: dict[Place, list[int]] = {}
    for i in members:
        eqn = graph.eqns[i]
        wanted = [due[v] for v in eqn.outputs if v in due]
        if wanted:
            place = (min(wanted), 0)
        else:
            after = max((made[v] for v in read_by(eqn) if v in made), default=len(programs) - 2)
            place = (after + 1, 1)
        place = max([place, *(places[v] for v in read_by(eqn) if v in places)])
        places.update((v, place) for v in eqn.outputs)
        found.setdefault(place, []).append(i)
    return dict(sorted(found.items()))
