"""Inlining: replaces equations that hold a Graph by the Graph's equations. Derivative rules are no longer needed
then."""

from __future__ import annotations

from anejax.core.graph import Graph, expanded

INLINED = frozenset(
    {
        "jit", "checkpoint", "checkpoint_name", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call",
        "custom_linear_solve", "chosen_examples", "composite",
    }
)  # fmt: skip


KEPT = {"coreml": frozenset({"composite"})}  # calls that a target may have an operation for


def inline(graph: Graph, target: str = "cpu") -> Graph:
    """``graph`` with calls replaced by their equations, except calls for which ``target`` may have an operation.

    a = jit[graph={ lambda ; x. let y = sin x in (y,) }] b     ->     a = sin b
    """
    return expanded(graph, INLINED - KEPT.get(target, frozenset()))
