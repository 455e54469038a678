"""Forward-mode derivatives: each value carries its tangent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.array import DeviceArray
from anejax.core.context import current_trace, deriving, tracing
from anejax.core.primitive import Primitive, Zero
from anejax.core.trace import Trace, Tracer, aval_of, concrete_array


class JVPTracer(Tracer):
    """A primal with its tangent."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: JVPTrace, primal: Any, tangent: Any) -> None:
        super().__init__(trace, aval_of(primal))
        self.primal = primal
        self.tangent = tangent

    def concrete(self) -> DeviceArray | None:
        return self.primal.concrete() if isinstance(self.primal, Tracer) else concrete_array(self.primal)

    def __repr__(self) -> str:
        return f"Traced<{self.aval.short()}> with primal {self.primal!r} and tangent {self.tangent!r}"


class JVPTrace(Trace):
    """Runs JVP rules under the trace below."""

    def __init__(self, parent: Trace) -> None:
        self.parent: Trace = parent

    def split(self, x: Any) -> tuple[Any, Any]:
        """(primal, tangent) of any operand."""
        if isinstance(x, JVPTracer) and x.trace is self:
            return x.primal, x.tangent
        return x, Zero(aval_of(x).tangent())

    def primal_of(self, x: Any) -> Any:
        return x.primal if isinstance(x, JVPTracer) and x.trace is self else x

    def join(self, primal: Any, tangent: Any) -> Any:
        return primal if isinstance(tangent, Zero) else JVPTracer(self, primal, tangent)

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        primals, tangents = _unzip(map(self.split, args))
        if all(isinstance(t, Zero) for t in tangents):
            with tracing(self.parent):
                out = prim.bind(*primals, **params)
            return out if prim.multiple_results else [out]
        with deriving(self.parent, prim):
            out, tangent = prim.rule("jvp")(primals, tangents, **params)
        if not prim.multiple_results:
            out, tangent = [out], [tangent]
        return [self.join(o, t) for o, t in zip(out, tangent, strict=True)]

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(call, args, lambda primals: self.parent.process_custom_jvp(call, primals))

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(call, args, lambda primals: self.parent.process_custom_vjp(call, primals))

    def _custom(self, call: Any, args: Sequence[Any], undifferentiated: Callable[..., list[Any]]) -> list[Any]:
        primals, tangents = _unzip(map(self.split, args))
        with tracing(self.parent):
            if all(isinstance(t, Zero) for t in tangents):
                return undifferentiated(primals)
            outs, tangents = call.jvp(primals, tangents)
        return [self.join(o, t) for o, t in zip(outs, tangents, strict=True)]


def _unzip(pairs: Any) -> tuple[list[Any], list[Any]]:
    pairs = list(pairs)
    return [a for a, _ in pairs], [b for _, b in pairs]


def jvp_flat(fun: Callable[..., list[Any]], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list, list]:
    """(outputs, their tangents) of ``fun``; tangents in and out may be ``Zero``."""
    trace = JVPTrace(current_trace())
    args = [trace.join(p, t) for p, t in zip(primals, tangents, strict=True)]
    with tracing(trace):
        outs = fun(*args)
    return _unzip(map(trace.split, outs))
