"""The passes in their order. With ANEJAX_CHECK=1 the Graph is type-checked after each."""

from __future__ import annotations

from anejax.config import config
from anejax.core.check import check_graph
from anejax.core.graph import Graph
from anejax.passes.inline import inline
from anejax.passes.simplify import simplify

PASSES = (inline, simplify)  # inline first: simplify sees across calls


def optimize(graph: Graph) -> Graph:
    """``graph`` ready to be lowered for the CPU device."""
    for apply in PASSES:
        graph = apply(graph)
        if config.check:
            check_graph(graph, f"after {apply.__name__}")
    return graph
