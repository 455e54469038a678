"""Running a plan segment by segment: the engine's by whatever is given, the CPU device's in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.graph import Graph
from anejax.partition import Plan
from anejax.transforms.evaluate import eval_graph


def run_plan(
    plan: Plan, args: Sequence[Any], run: Callable[[Graph, Sequence[Any]], Sequence[Any]] = eval_graph
) -> list[Any]:
    """The outputs; unless told otherwise, the engine's segments are computed with float32 between their casts."""
    known: dict[Any, Any] = dict(zip(plan.graph.inputs, args, strict=True))
    for segment in plan.segments:
        on = run if segment.device == "ane" else eval_graph
        made = on(segment.graph, [known[v] for v in segment.graph.inputs])
        known.update(zip(segment.outputs, made, strict=True))
    return [known[v] for v in plan.graph.outputs]
