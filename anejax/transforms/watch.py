"""Finds overflows of a value's descendants, on an engine that turns some overflows into zeros.

Usually an overflow shows up in the results as infinity or NaN. The Neural Engine, however, computes 0 for inf - inf,
for 0 * inf and for every other NaN that arises (docs/sources.md, "Infinities and NaN"), so an infinity can vanish. An
infinity survives operations that move it or multiply it by anything but 0, and a value that is multiplied by 0 does not
matter. It can vanish only where it is added to other values: in sums, products of matrices, convolutions, and
elementwise operations on two watched values. So those operands are checked, by the maximum of their absolute values,
before they are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.core.array import DeviceArray
from anejax.core.context import current_trace, tracing
from anejax.core.graph import Graph
from anejax.core.primitive import Primitive
from anejax.core.trace import Trace, Tracer, aval_of, concrete_array
from anejax.ops.arithmetic import abs as magnitude
from anejax.ops.arithmetic import max as maximum
from anejax.ops.elementwise import convert_element_type
from anejax.ops.reduce import reduce_max
from anejax.transforms.calls import Transformed, cached
from anejax.transforms.control.cond import cond, cond_p
from anejax.transforms.control.scan import scan, scan_p
from anejax.transforms.evaluate import as_function, eval_graph
from anejax.transforms.parts import Flags, parts, settle
from anejax.transforms.stage import stage

# Results have every element of the operand: the operand may be looked at in their place, once for all of them.
KEEPS = frozenset({"reshape", "transpose", "broadcast_in_dim", "rev", "copy"})
# Results consist of elements of the operands. Other primitives are watched more than necessary.
MOVES = KEEPS | {"slice", "pad", "concatenate", "gather", "select_n", "dynamic_slice", "dynamic_update_slice",
                 "optimization_barrier"}  # fmt: skip
NOTHING = np.float32(0)


class WatchTracer(Tracer):
    """A value that follows from a watched one. ``origin`` is the same before it was moved about."""

    __slots__ = ("origin", "seen", "value")

    def __init__(self, trace: WatchTrace, value: Any, origin: WatchTracer | None = None) -> None:
        super().__init__(trace, aval_of(value))
        self.value = value
        self.origin = self if origin is None else origin
        self.seen = False

    def concrete(self) -> DeviceArray | None:
        return self.value.concrete() if isinstance(self.value, Tracer) else concrete_array(self.value)


class WatchTrace(Trace):
    """Runs everything under the trace below, and keeps the ``largest`` magnitude, float32[], of the watched values."""

    def __init__(self, parent: Trace, largest: Any = NOTHING) -> None:
        self.parent: Trace = parent
        self.largest = largest

    def is_watched(self, x: Any) -> bool:
        return isinstance(x, WatchTracer) and x.trace is self

    def value_of(self, x: Any) -> Any:
        return x.value if self.is_watched(x) else x

    def look_at(self, x: Any) -> None:
        """Counts a watched ``x`` once, by the value from which it was moved; ignores other values."""
        if not self.is_watched(x) or x.origin.seen or not dtypes.is_inexact(x.aval.dtype) or 0 in x.aval.shape:
            return
        x.origin.seen = True
        value = x.origin.value
        with tracing(self.parent):
            most = reduce_max(magnitude(value), tuple(range(aval_of(value).ndim)))
            self.largest = maximum(self.largest, convert_element_type(most, dtypes.float32))

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        watched = [a for a in args if self.is_watched(a)]
        if watched and prim.higher_order and "graph" in params:  # a call
            with tracing(self):
                return eval_graph(params["graph"], args)
        if watched and prim in _INSIDE:
            return _INSIDE[prim](self, args, **params)
        moves = prim.name in MOVES
        if not moves and not (prim.elementwise and len(watched) == 1):
            for x in watched:
                self.look_at(x)
        with tracing(self.parent):
            out = prim.bind(*map(self.value_of, args), **params)
        outs = out if prim.multiple_results else [out]
        if not watched:
            return outs
        origin = watched[0].origin if prim.name in KEEPS else None
        return [WatchTracer(self, o, origin) for o in outs]

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(args, self.parent.process_custom_jvp, call)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(args, self.parent.process_custom_vjp, call)

    def _custom(self, args: Sequence[Any], unwatched: Callable[..., list[Any]], call: Any) -> list[Any]:
        if any(map(self.is_watched, args)):
            return call.fun(*args)
        with tracing(self.parent):
            return unwatched(call, args)


def watched(fun: Callable[[Any], Any], value: Any) -> tuple[Any, Any]:
    """(``fun(value)``, the largest magnitude that follows from ``value`` and is added up or returned).

    The latter is float32[], NaN if one was seen, and 0 where nothing follows from ``value``.
    """
    trace = WatchTrace(current_trace())
    with tracing(trace):
        out = fun(WatchTracer(trace, value))
    inside, trace.largest = trace.largest, NOTHING  # apart, as results may be on another device than what led to them
    for leaf in tree.leaves(out):
        trace.look_at(leaf)
    return tree.map(trace.value_of, out), maximum(inside, trace.largest)


# --- Graphs inside equations -----------------------------------------------------------------------------------------


@cached
def _watched_graph(graph: Graph, flags: Flags) -> Transformed:
    """Inputs: those of ``graph``, watched where ``flags`` say so, and the largest so far. Outputs: those of ``graph``,
    of which ``outs`` are watched, and the largest."""
    watched_out: list[bool] = []

    def run(*flat: Any) -> list[Any]:
        trace = WatchTrace(current_trace(), flat[-1])
        with tracing(trace):
            outs = as_function(graph)(*(WatchTracer(trace, x) if f else x for x, f in zip(flat, flags)))
        watched_out[:] = map(trace.is_watched, outs)
        return [*map(trace.value_of, outs), trace.largest]

    new, consts = stage(run, [*graph.in_avals, aval_of(NOTHING)])
    return Transformed(new, consts, tuple(watched_out))


def _scan(
    trace: WatchTrace, args: Sequence[Any], *, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool
) -> list[Any]:
    """A loop that carries the largest along."""
    consts, carry, xs = parts(map(trace.value_of, args), num_consts, num_carry)
    of_consts, of_carry, of_xs = parts(map(trace.is_watched, args), num_consts, num_carry)

    def step(flags: Flags) -> tuple[Sequence[bool], Transformed]:
        found = _watched_graph(body, (*of_consts, *flags, *of_xs))
        return found.outs[:num_carry], found

    of_carry, new = settle(tuple(of_carry), step)
    captured, in_consts, in_carry, in_xs, most = parts(
        new.graph.inputs, len(new.consts), num_consts, num_carry, len(xs)
    )
    out_carry, out_ys, largest = parts(new.graph.outputs, num_carry, len(body.outputs) - num_carry)
    graph = new.graph.replace(
        inputs=(*captured, *in_consts, *in_carry, *most, *in_xs), outputs=(*out_carry, *largest, *out_ys)
    )
    with tracing(trace.parent):
        outs = scan(graph, [*new.consts, *consts], [*carry, trace.largest], xs, length, reverse)
    carry, (trace.largest,), ys = parts(outs, num_carry, 1)
    return _wrapped(trace, [*carry, *ys], [*of_carry, *new.outs[num_carry:]])


def _cond(trace: WatchTrace, args: Sequence[Any], *, branches: tuple[Graph, ...]) -> list[Any]:
    index, *operands = map(trace.value_of, args)
    new = [_watched_graph(b, tuple(map(trace.is_watched, args[1:]))) for b in branches]
    with tracing(trace.parent):
        outs = cond([(n.graph, n.consts) for n in new], index, [*operands, trace.largest])
    *outs, trace.largest = outs
    return _wrapped(trace, outs, [any(flags) for flags in zip(*(n.outs for n in new))])


def _wrapped(trace: WatchTrace, values: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [WatchTracer(trace, x) if f else x for x, f in zip(values, flags, strict=True)]


# Not while, of which only the operands are looked at: no engine runs it, and the CPU device keeps NaN.
_INSIDE: dict[Primitive, Callable[..., list[Any]]] = {scan_p: _scan, cond_p: _cond}
