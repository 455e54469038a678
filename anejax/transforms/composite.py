"""The composite call: a function that keeps its name in Graphs, for targets that have an operation for it.

Its Graph defines it: derivatives, ``vmap`` and all other targets use the Graph. ``passes/legalize/composites.py`` has
the operations of Core ML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.core.context import current_trace
from anejax.core.graph import Eqn, Graph
from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.ops.families import batch_to
from anejax.transforms.calls import Transformed, batch_graph, call_p
from anejax.transforms.evaluate import as_function, eval_graph
from anejax.transforms.jvp import jvp_flat
from anejax.transforms.stage import Flat, StageTrace, stage
from anejax.transforms.vmap import BatchTrace

Attributes = tuple[tuple[str, Any], ...]


def bind_composite(fun: Flat, args: Sequence[Any], name: str, attributes: Attributes, batched: int = 0) -> list[Any]:
    """``fun(*args)``, flat, as one equation where a Graph is recorded, and as its parts elsewhere.

    Args:
        name: what targets know the function by.
        attributes: static facts that its operation needs, (name, hashable value) pairs.
        batched: how many of the first arguments may have more leading axes, with the attributes still right.
    """
    if not _is_staged():
        return fun(*args)
    graph, consts = stage(fun, [aval_of(a) for a in args])
    return composite_p.bind(
        *args, *consts, graph=_with_last_inputs(graph, len(consts)), name=name, attributes=attributes, batched=batched
    )


def title(eqn: Eqn) -> str:
    """The name of an equation for users: that of a composite, for example "softmax", or of the primitive."""
    return eqn.params["name"].rpartition(".")[2] if eqn.primitive is composite_p else eqn.primitive.name


def _is_staged() -> bool:
    """Whether primitives that are bound now become equations, unchanged or mapped; derivatives are taken of the
    parts."""
    trace = current_trace()
    while isinstance(trace, BatchTrace):
        trace = trace.parent
    return isinstance(trace, StageTrace)


def _with_last_inputs(graph: Graph, count: int) -> Graph:
    """``graph`` with its first ``count`` inputs, the captured values, as the last ones."""
    return graph.replace(inputs=(*graph.inputs[count:], *graph.inputs[:count]))


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, graph: Graph, **params: Any) -> Any:
    return jvp_flat(as_function(graph), primals, tangents)


def _batch(size: int, args: Sequence[Any], dims: Sequence[int | None], *, graph: Graph, **params: Any) -> Any:
    """Again a composite where only arguments are mapped that may have more leading axes; else a plain call."""
    batched: int = params["batched"]
    if not batched or any(d is not None for d in dims[batched:]):
        new = batch_graph(graph, size, tuple(dims))
        return call_p.bind(*new.consts, *args, graph=new.graph, name=params["name"], donated=()), new.outs
    args = [batch_to(a, d, size) if i < batched else a for i, (a, d) in enumerate(zip(args, dims))]
    flags = tuple(0 if i < batched else None for i in range(len(args)))
    mapped: Transformed = batch_graph(graph, size, flags, (True,) * len(graph.outputs))
    inner = _with_last_inputs(mapped.graph, len(mapped.consts))
    return composite_p.bind(*args, *mapped.consts, graph=inner, **params), [0] * len(graph.outputs)


# the operands of MIL's operations; what else they take is attributes
OPERANDS = {
    "softmax": ("x",),
    "gelu": ("x",),
    "silu": ("x",),
    "l2_norm": ("x",),
    "reduce_log_sum_exp": ("x",),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask"),
    "lstm": ("x", "initial_h", "initial_c", "weight_ih", "weight_hh", "bias"),
}


def _write(ctx: Any, *values: Any, graph: Graph, name: str, attributes: Attributes, batched: int) -> Any:
    """MIL's operation ``name``: legalization has left no other (passes/legalize/composites.py)."""
    if name == "layer_norm":
        return _write_layer_norm(ctx, *values, **dict(attributes))
    return ctx.emit(name, **dict(zip(OPERANDS[name], values)), **dict(attributes))


def _write_layer_norm(ctx: Any, x: Any, *affine: Any, scale: bool, bias: bool, **attributes: Any) -> Any:
    """MIL's has a scale and a shift that are constants; others are a product and a sum behind it."""
    given = dict(zip(["gamma"] * scale + ["beta"] * bias, affine))
    if bias and not scale:
        given["gamma"] = np.ones(affine[0].type.shape, np.float32)  # MIL's shape check wants both
    if all(v.const is not None for v in affine):
        return ctx.emit("layer_norm", x=x, **given, **attributes)
    (y,) = ctx.emit("layer_norm", x=x, **attributes)
    if scale:
        (y,) = ctx.emit("mul", x=y, y=given["gamma"])
    if bias:
        (y,) = ctx.emit("add", x=y, y=given["beta"])
    return [y]


composite_p = Primitive("composite", multiple_results=True, higher_order=True)
composite_p.fill(
    abstract=lambda *avals, graph, **params: graph.out_avals,
    impl=lambda *args, graph, **params: eval_graph(graph, args),
    jvp=_jvp,
    transpose=call_p.transpose,
    batch=_batch,
    mil=_write,
    partial=call_p.partial,
)
