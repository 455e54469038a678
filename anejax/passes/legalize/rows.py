"""Merges the last two axes of narrow images for elementwise equations.

The engine pads rows of the last axis to 64 bytes, so images with few columns take several times their size. Elementwise
equations do not depend on the shape, so they run on the merged axis. Convolutions and pools see both axes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax import dtypes
from anejax.core.context import base_trace, tracing
from anejax.core.graph import Graph
from anejax.core.primitive import Primitive
from anejax.core.trace import Tracer, aval_of
from anejax.mil.chips import ROW_BYTES
from anejax.mil.limits import FAMILIES, LIMITS
from anejax.ops.shape import broadcast_in_dim, reshape
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.stage import StageTrace

ROW = ROW_BYTES // 2  # numbers of float16
EXTENT = min(LIMITS[f].max_extent for f in FAMILIES)
Dims = tuple[int, ...]


def with_full_rows(graph: Graph) -> Graph:
    """``graph`` with elementwise equations of [..., rows, few columns] on [..., rows * columns]."""
    if not any(e.primitive.elementwise and _is_narrow(e.outputs[0].aval.shape) for e in graph.eqns):
        return graph
    trace = _RowsTrace(base_trace())
    with tracing(trace):
        outs = eval_graph(
            graph,
            [trace.new_input(a) for a in graph.in_avals],
        )
    return trace.finish(outs)[0]


def _is_narrow(shape: Dims) -> bool:
    return len(shape) > 2 and shape[-1] < ROW and shape[-1] < shape[-2] * shape[-1] <= EXTENT


class _RowsTrace(StageTrace):
    array_literals = True

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.repeats: dict[Any, tuple[Any, Dims]] = {}  # a broadcast's operand, and its axes in the result
        self.made: dict[Any, Any] = {}  # values that were made with the last axes as one

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        shape = next((aval_of(a).shape for a in args if aval_of(a).shape), ())
        if prim.elementwise and _is_narrow(shape):
            joined = [self.joined(a) for a in args]
            if None not in joined:
                (out,) = super().process(prim, joined, params)
                parted = reshape(out, shape)
                self.made[parted.var] = out
                return [parted]
        outs = super().process(prim, args, params)
        if prim.name == "broadcast_in_dim":
            self.repeats[outs[0].var] = args[0], params["broadcast_dimensions"]
        return outs

    def joined(self, x: Any) -> Any:
        """``x`` with its last two axes as one; None if it repeats something along one of them only, and for bools that
        were not made so, since the engine does not reshape them."""
        shape = aval_of(x).shape
        if not shape:
            return x
        if isinstance(x, Tracer) and x.var in self.made:
            return self.made[x.var]
        if isinstance(x, Tracer) and x.var in self.repeats:
            return _repeated(*self.repeats[x.var], shape)
        return None if aval_of(x).dtype == dtypes.bool_ else reshape(x, _as_one(shape))


def _as_one(shape: Dims) -> Dims:
    return (*shape[:-2], shape[-2] * shape[-1])


def _repeated(of: Any, axes: Dims, shape: Dims) -> Any:
    """A broadcast to ``shape`` as one to that with its last two axes as one."""
    rank, given = len(shape), aval_of(of).shape
    if axes[-2:] == (rank - 2, rank - 1) and given[-2:] == shape[-2:]:
        return broadcast_in_dim(reshape(of, _as_one(given)), _as_one(shape), axes[:-1])
    kept = [(n, a) for n, a in zip(given, axes) if n != 1 or a < rank - 2]
    if any(a >= rank - 2 for _, a in kept):
        return None
    return broadcast_in_dim(reshape(of, [n for n, _ in kept]), _as_one(shape), [a for _, a in kept])
