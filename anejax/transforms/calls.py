"""Primitives that hold Graphs: the jitted call and the checkpointed call. Their rules transform the Graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from anejax.config import config
from anejax.core.aval import Aval
from anejax.core.context import tracing
from anejax.core.graph import Graph, expanded, remove_dead
from anejax.core.primitive import Linear, Primitive, Refused, Zero
from anejax.core.recent import Recent
from anejax.core.trace import Tracer, executor
from anejax.ops.families import batch_to, instantiate
from anejax.ops.misc import optimization_barrier_p
from anejax.transforms.evaluate import as_function, eval_graph
from anejax.transforms.jvp import jvp_flat
from anejax.transforms.linearize import PartialTrace, Split, backward_mixed, split_graph
from anejax.transforms.parts import Flags, merge
from anejax.transforms.saving import split_saving
from anejax.transforms.stage import stage
from anejax.transforms.transpose import backward
from anejax.transforms.vmap import batch_flat, mapped_name

INLINED = Refused("passes/inline replaces it by its equations before lowering")


def cached(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stores results on the Graph, except results that captured tracers, which end with their trace."""

    @functools.wraps(function)
    def wrapper(graph: Graph, *key: Any) -> Any:
        table = graph.derived.get(function)
        if table is None:
            table = graph.derived.setdefault(function, Recent(64))
        found = table.get(key)
        if found is None:
            found = function(graph, *key)
            if not any(isinstance(c, Tracer) for c in found.consts):
                table.put(key, found)
        return found

    return wrapper


class Transformed:
    """A Graph made from another, the arrays it captured (its first inputs), and facts about its outputs."""

    def __init__(self, graph: Graph, consts: list[Any], outs: Any) -> None:
        self.graph, self.consts, self.outs = graph, consts, outs


@cached
def jvp_graph(graph: Graph, nonzero: tuple[bool, ...], forced: tuple[bool, ...] = ()) -> Transformed:
    """Inputs: primals, then tangents where ``nonzero``. Outputs: primals, then tangents where ``outs``.

    Outputs that are ``forced`` have a tangent in any case, of zeros if need be.
    """
    nonzero_out: list[bool] = []
    count = len(graph.inputs)

    def run(*flat: Any) -> list[Any]:
        given = iter(flat[count:])
        tangents = [next(given) if nz else Zero(v.aval.tangent()) for v, nz in zip(graph.inputs, nonzero)]
        outs, out_tangents = jvp_flat(as_function(graph), flat[:count], tangents)
        for i, f in enumerate(forced):
            out_tangents[i] = instantiate(out_tangents[i]) if f else out_tangents[i]
        nonzero_out[:] = [not isinstance(t, Zero) for t in out_tangents]
        return outs + [t for t in out_tangents if not isinstance(t, Zero)]

    avals = graph.in_avals
    new, consts = stage(run, avals + [a.tangent() for a, nz in zip(avals, nonzero) if nz])
    return Transformed(new, consts, nonzero_out)


def batch_graph(
    graph: Graph, size: int, dims: tuple[int | None, ...], forced: tuple[bool, ...] | None = None
) -> Transformed:
    """Inputs mapped over ``dims``; ``outs`` has where the outputs' mapped axes are.

    With ``forced`` (a flag per output) mapped axes come first, and forced outputs have one in any case.
    """
    return named_batch_graph(graph, size, dims, forced, mapped_name())


@cached
def named_batch_graph(
    graph: Graph, size: int, dims: tuple[int | None, ...], forced: tuple[bool, ...] | None, axis_name: Any
) -> Transformed:
    """``batch_graph`` outside of the rule of the ``vmap`` that maps the axis of this name."""
    out_dims: list[int | None] = []

    def run(*flat: Any) -> list[Any]:
        outs, found = batch_flat(as_function(graph), flat, dims, size, axis_name)
        if forced is not None:
            mapped = [d is not None or f for d, f in zip(found, forced)]
            outs = [batch_to(o, d, size) if m else o for o, d, m in zip(outs, found, mapped)]
            found = [0 if m else None for m in mapped]
        out_dims[:] = found
        return outs

    avals = [
        a if d is None else a.update(shape=a.shape[:d] + (size,) + a.shape[d:]) for a, d in zip(graph.in_avals, dims)
    ]
    new, consts = stage(run, avals)
    return Transformed(new, consts, out_dims)


@cached
def transpose_graph(graph: Graph, linear: tuple[bool, ...], nonzero_ct: tuple[bool, ...], barrier: bool) -> Transformed:
    """Inputs: the non-linear ones, then cotangents where ``nonzero_ct``. Outputs: cotangents where ``outs``.

    With ``barrier`` the non-linear inputs pass an optimization barrier, so that values computed from them are computed
    again when the cotangents are there.
    """
    nonzero_out: list[bool] = []
    known = linear.count(False)

    def run(*flat: Any) -> list[Any]:
        if barrier:
            flat = tuple(optimization_barrier_p.bind(*flat))
        values, given = iter(flat[:known]), iter(flat[known:])
        args = [Linear(v.aval) if lin else next(values) for v, lin in zip(graph.inputs, linear)]
        cts = [next(given) if nz else Zero(a.aval.tangent()) for a, nz in zip(graph.outputs, nonzero_ct)]
        found = backward_mixed(graph, args, cts) if barrier else backward(graph, args, cts)
        found = [ct for ct, lin in zip(found, linear) if lin]
        nonzero_out[:] = [not isinstance(ct, Zero) for ct in found]
        return [ct for ct in found if not isinstance(ct, Zero)]

    avals = [v.aval for v, lin in zip(graph.inputs, linear) if not lin]
    avals += [a.aval.tangent() for a, nz in zip(graph.outputs, nonzero_ct) if nz]
    new, consts = stage(run, avals)
    return Transformed(new, consts, nonzero_out)


@cached
def split_once(graph: Graph, unknown: Flags, forced: Flags, linear: bool) -> Split:
    """``split_graph``, once for each Graph and flags."""
    return split_graph(graph, unknown, forced, linear)


# --- rules that both calls share -------------------------------------------------------------------------------


def _call_jvp(prim: Primitive) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], *, graph: Graph, **params: Any) -> Any:
        nonzero = tuple(not isinstance(t, Zero) for t in tangents)
        new = jvp_graph(graph, nonzero)
        flat = [*new.consts, *primals, *(t for t in tangents if not isinstance(t, Zero))]
        outs = prim.bind(*flat, graph=new.graph, **_undonated(params))
        split = len(graph.outputs)
        computed = iter(outs[split:])
        zeros = (Zero(a.aval.tangent()) for a in graph.outputs)
        return outs[:split], [next(computed) if nz else z for nz, z in zip(new.outs, zeros)]

    return jvp


def _call_batch(prim: Primitive) -> Any:
    def batch(size: int, args: Sequence[Any], dims: Sequence[int | None], *, graph: Graph, **params: Any) -> Any:
        new = batch_graph(graph, size, tuple(dims))
        flat = [*new.consts, *args]
        return prim.bind(*flat, graph=new.graph, **_undonated(params)), new.outs

    return batch


def _call_transpose(prim: Primitive, barrier: bool) -> Any:
    def transpose(cts: Sequence[Any], *args: Any, graph: Graph, **params: Any) -> Any:
        linear = tuple(isinstance(a, Linear) for a in args)
        nonzero = tuple(not isinstance(ct, Zero) for ct in cts)
        new = transpose_graph(graph, linear, nonzero, barrier and params.get("prevent_cse", True))
        flat = [*new.consts, *(a for a, lin in zip(args, linear) if not lin)]
        flat += [ct for ct in cts if not isinstance(ct, Zero)]
        outs = iter(call_p.bind(*flat, graph=new.graph, name=f"transpose({params['name']})", donated=()))
        found = iter(next(outs) if nz else None for nz in new.outs)
        return [next(found) if lin else None for lin in linear]

    return transpose


def _undonated(params: dict[str, Any]) -> dict[str, Any]:
    """Donation is a promise of the outermost call alone: a transformed call has other arguments."""
    return {**params, "donated": ()} if "donated" in params else params


def _abstract(*avals: Aval, graph: Graph, **params: Any) -> list[Aval]:
    return graph.out_avals


# --- jit --------------------------------------------------------------------------------------------------------


def _run_call(*args: Any, graph: Graph, name: str, donated: tuple[bool, ...]) -> list[Any]:
    return executor().run_graph(graph, list(args), donated, config.device)


def _call_partial(
    trace: PartialTrace, unknown: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Two calls: one of all that is known, whose residuals the other, recorded one takes."""
    graph, name = params["graph"], params["name"]
    split = split_once(graph, tuple(unknown), (), trace.linear)
    with tracing(trace.parent):
        known_args = [a for a, u in zip(args, unknown) if not u]
        known = call_p.bind(*split.consts, *known_args, graph=split.known, name=name, donated=())
    count = split.unknown_out.count(False)
    inputs = [*known[count:], *(a for a, u in zip(args, unknown) if u)]
    recorded = trace.recorder.process(call_p, inputs, {"graph": split.unknown, "name": name, "donated": ()})
    return merge(split.unknown_out, known[:count], recorded)


call_p = Primitive("jit", multiple_results=True, higher_order=True)
call_p.fill(
    abstract=_abstract,
    impl=_run_call,
    jvp=_call_jvp(call_p),
    transpose=_call_transpose(call_p, barrier=False),
    batch=_call_batch(call_p),
    mil=INLINED,
    partial=_call_partial,
)

# --- checkpoint ---------------------------------------------------------------------------------------------------


def _remat_partial(
    trace: PartialTrace, unknown: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Known outputs are computed now; the rest is recorded whole, to be computed again from the known inputs.

    Values that the policy saves are computed now as well, and the recorded Graph begins with them.
    """
    graph = params["graph"]
    if params.get("policy") is not None:
        return _saving_partial(trace, unknown, args, params)
    split = split_once(graph, tuple(unknown), (), trace.linear)
    count = split.unknown_out.count(False)
    with tracing(trace.parent):
        known_args = [a for a, u in zip(args, unknown) if not u]
        forward = split.known.replace(outputs=split.known.outputs[:count])
        known = call_p.bind(*split.consts, *known_args, graph=forward, name=params["name"], donated=())
    rest = remove_dead(graph.replace(outputs=tuple(a for a, u in zip(graph.outputs, split.unknown_out) if u)))
    recorded = trace.recorder.process(remat_p, list(args), {**params, "graph": rest})
    return merge(split.unknown_out, known, recorded)


def _saving_partial(
    trace: PartialTrace, unknown: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    separated = _separated(expanded(params["graph"], (call_p.name, "composite")), tuple(unknown), trace.linear)
    args, unknown = [*separated.consts, *args], [*(False for _ in separated.consts), *unknown]
    split = split_saving(separated.graph, unknown, params["policy"])
    with tracing(trace.parent):
        known_args = [a for a, u in zip(args, unknown) if not u]
        known = call_p.bind(*known_args, graph=split.known, name=params["name"], donated=())
    count = split.unknown_out.count(False)
    inputs = [*known[count:], *args]
    recorded = trace.recorder.process(remat_p, inputs, {**params, "graph": split.rest})
    return merge(split.unknown_out, known[:count], recorded)


@cached
def _separated(graph: Graph, unknown: Flags, linear: bool) -> Transformed:
    """``graph`` with a loop or branch of both known and unknown values as two, and values for its new first inputs."""
    if all(e.primitive.partial is None for e in graph.eqns):
        return Transformed(graph, [], None)
    split = split_once(graph, unknown, (), linear)
    count = split.unknown_out.count(False)

    def both(*args: Any) -> list[Any]:
        known = eval_graph(split.known, [*split.consts, *(a for a, u in zip(args, unknown) if not u)])
        rest = eval_graph(split.unknown, [*known[count:], *(a for a, u in zip(args, unknown) if u)])
        return merge(split.unknown_out, known[:count], rest)

    new, consts = stage(both, graph.in_avals)
    return Transformed(new, consts, None)


remat_p = Primitive("checkpoint", multiple_results=True, higher_order=True)
remat_p.fill(
    abstract=_abstract,
    impl=lambda *args, graph, **params: eval_graph(graph, args),
    jvp=_call_jvp(remat_p),
    transpose=_call_transpose(remat_p, barrier=True),
    batch=_call_batch(remat_p),
    mil=INLINED,
    partial=_remat_partial,
)


# a name for policies to know a value by; its tangent has none
checkpoint_name_p = Primitive("checkpoint_name", higher_order=True)
checkpoint_name_p.fill(
    abstract=lambda x, name: x,
    impl=lambda x, name: [x],
    jvp=lambda primals, tangents, name: (checkpoint_name_p.bind(*primals, name=name), *tangents),
    transpose=lambda ct, x, name: [ct],
    batch=lambda size, args, dims, name: (checkpoint_name_p.bind(*args, name=name), *dims),
    mil=INLINED,
)
