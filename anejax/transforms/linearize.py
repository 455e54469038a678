"""Linearisation: JVP over partial evaluation.

Known values (primals) are computed by the trace below, concretely if that is the eager one. Everything that depends on
a tangent is recorded in a Graph, which is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from anejax.core.aval import Aval
from anejax.core.context import applying, current_trace, marked, recording, tracing
from anejax.core.graph import Graph
from anejax.core.primitive import Linear, Primitive, Zero
from anejax.core.trace import Trace, aval_of
from anejax.marks import NOWHERE, TANGENT
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.jvp import JVPTrace
from anejax.transforms.stage import StageTrace, StageTracer
from anejax.transforms.transpose import backward


class PartialTrace(Trace):
    """Computes known values under the trace below and records the rest.

    ``linear`` says that unknown values are tangents. The recorded Graph is then linear and will be transposed, so
    custom functions are recorded as the equations of their bodies. Otherwise unknown values include values that will be
    differentiated later (a loop's carry while invariant work is hoisted, for example), and custom rules are kept.
    """

    def __init__(self, parent: Trace, linear: bool = True) -> None:
        self.parent: Trace = parent
        self.linear = linear
        self.recorder = StageTrace(parent, TANGENT if linear else None)

    def ancestors(self) -> list[Trace]:
        return [self.recorder, *super().ancestors()]

    def is_unknown(self, x: Any) -> bool:
        return isinstance(x, StageTracer) and x.trace is self.recorder

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        unknown = [self.is_unknown(a) for a in args]
        if not any(unknown):
            with tracing(self.parent):
                out = prim.bind(*args, **params)
            return out if prim.multiple_results else [out]
        if prim.partial is not None:
            with applying(prim):
                return prim.partial(self, unknown, args, params)
        return self.recorder.process(prim, args, params)

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(args, lambda trace: trace.process_custom_jvp(call, args), call)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(args, lambda trace: trace.process_custom_vjp(call, args), call)

    def _custom(self, args: Sequence[Any], known: Callable[[Trace], list[Any]], call: Any) -> list[Any]:
        if any(map(self.is_unknown, args)):
            return call.fun(*args) if self.linear else call.stage(self.recorder, args)
        with tracing(self.parent):
            return known(self.parent)


class Linearized(NamedTuple):
    """``outs`` at the point; the linear map is ``graph`` with ``residuals`` as its first inputs."""

    outs: list[Any]
    graph: Graph
    residuals: list[Any]
    nonzero_in: list[bool]  # whether each input has a tangent at all (floats do)
    tangent_avals: list[Aval]  # tangent avals of all outputs
    nonzero_out: list[bool]  # whether the graph computes a tangent for each output; the others are zero


def linearize_flat(fun: Callable[..., list[Any]], primals: Sequence[Any]) -> Linearized:
    """Evaluates ``fun`` at ``primals`` and records its derivative there."""
    partial = PartialTrace(current_trace())
    trace = JVPTrace(partial)
    args, nonzero_in = [], []
    for p in primals:
        aval = aval_of(p).tangent()
        has_tangent = aval.dtype.names is None  # float0 is a structured dtype
        nonzero_in.append(has_tangent)
        args.append(trace.join(p, partial.recorder.new_input(aval)) if has_tangent else p)
    with tracing(trace):
        results = [trace.split(o) for o in fun(*args)]
    outs = [p for p, _ in results]
    tangents = [t for _, t in results]
    nonzero_out = [not isinstance(t, Zero) for t in tangents]
    graph, residuals = partial.recorder.finish([t for t in tangents if not isinstance(t, Zero)])
    return Linearized(outs, graph, residuals, nonzero_in, [aval_of(o).tangent() for o in outs], nonzero_out)


def apply_linear(lin: Linearized, tangents: Sequence[Any]) -> list[Any]:
    """The tangents out (or ``Zero``) for tangents in."""
    given = [t for t, nz in zip(tangents, lin.nonzero_in) if nz]
    with marked(NOWHERE):  # recorded equations have their whole paths already
        computed = iter(eval_graph(lin.graph, [*lin.residuals, *given]))
    return [next(computed) if nz else Zero(a) for nz, a in zip(lin.nonzero_out, lin.tangent_avals)]


class Split(NamedTuple):
    """A Graph split in two. Both begin with the arrays captured on the way (``consts``)."""

    known: Graph  # known inputs -> known outputs, then residuals
    unknown: Graph  # residuals, then unknown inputs -> unknown outputs
    consts: list[Any]  # leading inputs of ``known``
    unknown_out: list[bool]
    num_residuals: int


def split_graph(graph: Graph, unknown_in: Sequence[bool], forced: Sequence[bool] = (), linear: bool = True) -> Split:
    """Partially evaluates ``graph``: everything that follows from its known inputs goes into one Graph.

    Outputs that are ``forced`` count as unknown; where they are known, a residual carries them over. ``linear``: see
    ``PartialTrace``.
    """
    outer = StageTrace(current_trace())
    partial = PartialTrace(outer, linear)
    args = [(partial.recorder if u else outer).new_input(v.aval) for v, u in zip(graph.inputs, unknown_in)]
    with recording(partial):
        outs = eval_graph(graph, args)
    unknown_out = [partial.is_unknown(o) for o in outs]
    unknown_out = [u or f for u, f in zip(unknown_out, forced)] if forced else unknown_out
    unknown, residuals = partial.recorder.finish([o for o, u in zip(outs, unknown_out) if u])
    known, consts = outer.finish([*(o for o, u in zip(outs, unknown_out) if not u), *residuals])
    return Split(known, unknown, consts, unknown_out, len(residuals))


def linear_part(graph: Graph, args: Sequence[Any]) -> tuple[Graph, list[Any], list[bool]]:
    """Computes all of ``graph`` that does not depend on the ``Linear`` ones of ``args``.

    Returns (a Graph of the rest, its leading inputs' values, which outputs it has); inner calls are split as well.
    """
    partial = PartialTrace(current_trace())
    given = [partial.recorder.new_input(a.aval) if isinstance(a, Linear) else a for a in args]
    with tracing(partial):
        outs = eval_graph(graph, given)
    unknown = [partial.is_unknown(o) for o in outs]
    rest, residuals = partial.recorder.finish([o for o, u in zip(outs, unknown) if u])
    return rest, residuals, unknown


def backward_mixed(graph: Graph, args: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    """``backward`` of a Graph whose inner calls compute both linear and other values."""
    rest, residuals, there = linear_part(graph, args)
    linear = [a for a in args if isinstance(a, Linear)]
    found = iter(backward(rest, [*residuals, *linear], [ct for ct, t in zip(cts, there) if t])[len(residuals) :])
    return [next(found) if isinstance(a, Linear) else None for a in args]
