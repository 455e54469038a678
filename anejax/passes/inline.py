"""Inlining: equations that hold a Graph are replaced by the Graph's equations. Derivative rules are spent by now."""

from __future__ import annotations

from anejax.core.graph import Graph, expanded

INLINED = frozenset(
    {
        "jit", "checkpoint", "checkpoint_name", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call",
        "custom_linear_solve", "chosen_examples",
    }
)  # fmt: skip


def inline(graph: Graph) -> Graph:
    """``graph`` without calls.

    a = jit[graph={ lambda ; x. let y = sin x in (y,) }] b     ->     a = sin b
    """
    return expanded(graph, INLINED)
