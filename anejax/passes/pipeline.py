"""Runs all passes in order. With ANEJAX_CHECK=1 the Graph is type-checked after each."""

from __future__ import annotations

from functools import partial

from anejax.config import config
from anejax.core.check import check_graph
from anejax.core.graph import Graph
from anejax.passes.bodies import optimize_bodies, prune_loops
from anejax.passes.complex import split_complex
from anejax.passes.inline import inline
from anejax.passes.legalize import legalize
from anejax.passes.messages import join_sums
from anejax.passes.pieces import join_pieces
from anejax.passes.simplify import simplify
from anejax.passes.sums import move_sums
from anejax.passes.updates import mark_updates


def optimize(graph: Graph, target: str = "cpu", inner: bool = False, calls: str | None = None) -> Graph:
    """``graph`` ready to be lowered for ``target``.

    Inlining comes first, since simplification sees across calls then; complex numbers go before targets are asked
    what they have; legalization leaves work for simplification again. Graphs inside equations follow the same way.
    Calls stay that the target ``calls`` may have an operation for, where that is another.
    """
    bodies = partial(optimize_bodies, optimize=partial(optimize, target=target, inner=True))
    legal = partial(legalize, target=target, inner=inner)
    inlined, sums = partial(inline, target=calls or target), partial(move_sums, target=target)
    every = (
        inlined, mark_updates, join_pieces, simplify, prune_loops, sums, join_sums, split_complex, legal,
        simplify, bodies,
    )  # fmt: skip
    for apply in every:
        before, graph = graph, apply(graph)
        if config.check and graph is not before:
            check_graph(graph, f"after {getattr(apply, '__name__', 'a pass with options')}")
    return graph
