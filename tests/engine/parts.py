"""Running a Graph part by part: the engine's segments by whatever runs them, the equations beside them in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.graph import Graph, Literal
from anejax.engine.split import reasons_of, segments
from anejax.transforms.evaluate import bind_eqn, read, write


def run_by_parts(
    graph: Graph, args: Sequence[Any], chip: str, run: Callable[[Graph, list[Any]], list[Any]]
) -> tuple[list[Any], int]:
    """The outputs, and how many segments there were; the host's equations run as soon as they can."""
    on_engine = [reason is None for reason in reasons_of(graph, chip)]
    known: dict[Any, Any] = dict(zip(graph.inputs, args))
    waiting = [eqn for eqn, engine in zip(graph.eqns, on_engine) if not engine]

    def run_host() -> None:
        for eqn in list(waiting):
            if all(isinstance(a, Literal) or a in known for a in eqn.inputs):
                write(known, eqn.outputs, bind_eqn(eqn, [read(known, a) for a in eqn.inputs]))
                waiting.remove(eqn)

    parts = list(segments(graph, on_engine))
    for part in parts:
        run_host()
        known.update(zip(part.outputs, run(part, [known[v] for v in part.inputs]), strict=True))
    run_host()
    assert not waiting and sum(len(p.eqns) for p in parts) == sum(on_engine)
    return [read(known, a) for a in graph.outputs], len(parts)
