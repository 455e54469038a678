"""Moves equations to the CPU device whose operands would visit the engine only to return.

This concerns an elementwise equation that joins a value of the CPU device with one of the engine, and whose result is
read by the CPU device. On the CPU device the first value need not cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anejax.core.graph import Graph, Var
from anejax.partition.levels import read_by, readers_of

RETURNS = "it joins a value of the CPU device that the engine does not need, and its result goes back there"


def returning(graph: Graph, reasons: Sequence[str | None]) -> Iterator[int]:
    """Such equations, by index; ``reasons`` are those for which the CPU device has others, None for the engine's."""
    made = {v: i for i, e in enumerate(graph.eqns) for v in e.outputs}
    readers = readers_of(graph)
    returned = {a for a in graph.outputs if isinstance(a, Var)}
    host = [reason is not None for reason in reasons]

    def is_for_host(v: Var) -> bool:
        return all(host[j] for j in readers.get(v, ())) and (v in returned or v in readers)

    for i in reversed(range(len(graph.eqns))):
        eqn = graph.eqns[i]
        if host[i] or not eqn.primitive.elementwise or not all(map(is_for_host, eqn.outputs)):
            continue
        whole = {v for v in read_by(eqn) if v.aval.shape and v.aval.shape == eqn.outputs[0].aval.shape}
        of_host = {v for v in whole if v not in made or host[made[v]]}
        alone = all(host[j] or j == i for v in of_host for j in readers[v])
        if of_host and alone and len(whole) - len(of_host) == 1:
            host[i] = True
            yield i
