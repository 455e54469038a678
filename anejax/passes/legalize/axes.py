"""Gives rank-0 values an axis of length 1, because the engine has no rank-0 values (rule "scalar" of mil/rules.py).

Constants stay scalars, since operations accept those. Elementwise operations stretch the axis. Every other equation
with rank-0 operands or results is a broadcast, a reshape or a reduction over all axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from anejax.core.aval import Aval
from anejax.core.context import base_trace, recording
from anejax.core.graph import Graph
from anejax.core.primitive import Primitive
from anejax.core.trace import Tracer, aval_of
from anejax.mil.limits import MAX_RANK
from anejax.ops.shape import broadcast_in_dim, reshape
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.stage import StageTrace

ONE = (1,)


def with_axes(graph: Graph) -> Graph:
    """``graph`` without variables of rank 0, of which its inputs have none."""
    if all(v.aval.shape for e in graph.eqns for v in e.outputs):
        return graph
    trace = _AxesTrace(base_trace())
    with recording(trace):
        outs = eval_graph(graph, [trace.new_input(a) for a in graph.in_avals])
    return trace.finish(outs)[0]


class _AxesTrace(StageTrace):
    """Stages equations whose operands of rank 0 have come to be of shape [1]."""

    array_literals = True

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        if prim.elementwise:
            args = _alike(args, literals=prim.name == "select_n")
        elif prim.name in ("reshape", "broadcast_in_dim") and _lacks_axes(prim, args[0], params):
            size = params["new_sizes" if prim.name == "reshape" else "shape"]
            return [_spread(args[0], size or ONE)]
        elif prim.name.startswith("reduce_") and len(params.get("axes", ())) == aval_of(args[0]).ndim:
            args, params = _one_left(args[0]), _after_first(args[0])
        return super().process(prim, args, params)


def _lacks_axes(prim: Primitive, x: Any, params: dict[str, Any]) -> bool:
    """Whether the operand or the result had no axes."""
    if prim.name == "reshape":
        return params["new_sizes"] == () or not isinstance(x, Tracer)
    return params["shape"] == () or (params["broadcast_dimensions"] == () and isinstance(x, Tracer))


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    if math.prod(shape) == aval_of(x).size and isinstance(x, Tracer):
        return reshape(x, shape)
    return _stretched(x, shape)


def _alike(args: Sequence[Any], literals: bool) -> list[Any]:
    """Operands of one shape: those of shape [1] stand for every element, and so do literals, unless asked for too."""
    full = max((aval_of(a).shape for a in args if isinstance(a, Tracer)), key=lambda s: s != ONE, default=ONE)
    return [_stretched(a, full) if literals or isinstance(a, Tracer) else a for a in args]


def _stretched(x: Any, full: tuple[int, ...]) -> Any:
    shape = aval_of(x).shape
    return x if shape == full else broadcast_in_dim(x, full, (len(full) - 1,) if shape else ())


def _one_left(x: Any) -> list[Any]:
    """The operand of a whole reduction with an axis of length 1 before the others."""
    return [reshape(x, ONE + _joined(aval_of(x)))]


def _after_first(x: Any) -> dict[str, Any]:
    return {"axes": tuple(range(1, 1 + len(_joined(aval_of(x)))))}


def _joined(x: Aval) -> tuple[int, ...]:
    """The axes, the first two in one where one more would be too many."""
    return x.shape if x.ndim < MAX_RANK else (x.shape[0] * x.shape[1], *x.shape[2:])
