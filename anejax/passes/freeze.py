"""Freezing: turns inputs that never change into constants of a program for the engine.

The engine is fastest with weights that are known when it compiles (docs/engine.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from anejax.core.graph import Graph, Literal, Var, subgraphs
from anejax.passes.bodies import with_own_outputs
from anejax.passes.simplify import simplify


def freeze(graph: Graph, values: Mapping[int, Any]) -> tuple[Graph, list[int]]:
    """``graph`` with constants in the place of inputs, and the indices of the inputs that are left.

    Values that follow from constants alone are computed here. An input that an equation with an inner Graph reads (a
    loop, a branch) stays an input, and so does one that is an output.

    Args:
        graph: optimized.
        values: arrays, by the index of their input.
    """
    read_inside = {a for e in graph.eqns if any(True for _ in subgraphs(e.params)) for a in e.inputs}
    chosen = {
        i: v for i, v in enumerate(graph.inputs) if i in values and v not in read_inside and v not in graph.outputs
    }
    if not chosen:
        return graph, list(range(len(graph.inputs)))
    literals: dict[Any, Literal] = {
        v: Literal(np.asarray(getattr(values[i], "value", values[i])), v.aval.strong()) for i, v in chosen.items()
    }
    look_up = lambda a: literals.get(a, a) if isinstance(a, Var) else a  # noqa: E731
    eqns = tuple(e.replace(inputs=tuple(map(look_up, e.inputs))) for e in graph.eqns)
    left = [i for i in range(len(graph.inputs)) if i not in chosen]
    frozen = simplify(graph.replace(inputs=tuple(graph.inputs[i] for i in left), eqns=eqns))
    constant = any(isinstance(a, Literal) for a in frozen.outputs)
    return with_own_outputs(frozen) if constant else frozen, left
