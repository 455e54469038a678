"""Stages a function to the Graph from which its plan is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax.api.staging import Jitted, jit
from anejax.core.graph import Graph
from anejax.passes.freeze import freeze
from anejax.runtime.prepare import prepare


def program_graph(f: Callable[..., Any], *args: Any, freezes: bool = True) -> tuple[Graph, list[int]]:
    """The optimized Graph that a device would run for ``f`` at the types of ``args``, and its donated inputs.

    If ``f`` has constants (``jit(f, constants=...)``) and ``freezes``, they are inside, and calls stay that the engine
    has an operation for, as on the engine.
    """
    traced = (f if isinstance(f, Jitted) else jit(f)).trace(*args)
    parts, captured = prepare(traced.graph, freezes), len(traced.jaxpr.consts)
    frozen = {p: traced.frozen[i] for p, i in enumerate(parts.inputs) if i in traced.frozen and freezes}
    graph, left = freeze(parts.program, frozen)
    given = (parts.inputs[p] - captured in traced.donate_argnums for p in left)
    return graph, [place for place, donated in enumerate(given) if donated]
