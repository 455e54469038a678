"""Inlining: replaces equations that hold a Graph by the Graph's equations. Derivative rules are no longer needed
then."""

from __future__ import annotations

from anejax.core.graph import Eqn, Graph, expanded

INLINED = frozenset(
    {
        "jit", "checkpoint", "checkpoint_name", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call",
        "custom_linear_solve", "chosen_examples", "composite",
    }
)  # fmt: skip


# Composites that the engine has an operation for. It has none for attention and for LSTM cells that works, its
# layer_norm fails to compile on some chips, and its gelu and silu are tables, less accurate than their parts
# (docs/engine.md, "Composites").
ON_ENGINE = frozenset({"anejax.nn.softmax"})


def _is_kept(eqn: Eqn, target: str) -> bool:
    """Whether ``eqn`` is a call that ``target`` may have an operation for."""
    named = eqn.primitive.name == "composite"
    return named and (target == "coreml" or (target == "ane" and eqn.params["name"] in ON_ENGINE))


def inline(graph: Graph, target: str = "cpu") -> Graph:
    """``graph`` with calls replaced by their equations, except calls for which ``target`` may have an operation.

    a = jit[graph={ lambda ; x. let y = sin x in (y,) }] b     ->     a = sin b
    """
    return expanded(graph, INLINED, lambda eqn: _is_kept(eqn, target))
