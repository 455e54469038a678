"""custom_jvp and custom_vjp: functions with derivative rules that the user writes, eagerly and in Graphs.

A call passes down the traces as an object, and each trace uses the part that it needs (the function, the rule, a
batched form). Staging turns the call into an equation that keeps the rules, so that they apply when the Graph is
differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.aval import Aval
from anejax.core.context import current_trace
from anejax.core.graph import Graph
from anejax.core.primitive import Primitive, Refused, Zero
from anejax.core.trace import aval_of
from anejax.errors import RefusedError
from anejax.ops.families import batch_to, instantiate
from anejax.transforms.calls import INLINED, call_p, jvp_graph
from anejax.transforms.evaluate import as_function, eval_graph
from anejax.transforms.jvp import jvp_flat
from anejax.transforms.parts import merge, nonzero, parts, where, where_not
from anejax.transforms.stage import Flat, StageTrace, stage
from anejax.transforms.vmap import BatchTrace, batch_flat, batched_at_zero, unbatch_cotangent

BY_TRACE = Refused("each trace handles the call itself (transforms/custom.py)")


class CustomJVPCall:
    """``fun(*args) -> outs`` with ``jvp(primals, tangents) -> (outs, tangents)``, all flat, with symbolic zeros."""

    def __init__(self, fun: Flat, jvp: Callable[..., tuple[list[Any], list[Any]]], name: str) -> None:
        self.fun, self.jvp, self.name = fun, jvp, name

    def batched(self, trace: BatchTrace, dims: Sequence[int | None]) -> CustomJVPCall:
        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            found: list[Any] = []

            def both(*flat: Any) -> list[Any]:
                values, given = flat[: len(dims)], iter(flat[len(dims) :])
                full = [_zero_for(v) if isinstance(t, Zero) else next(given) for v, t in zip(values, tangents)]
                outs, found[:] = self.jvp(values, full)
                return [*outs, *where(nonzero(found), found)]

            flags = nonzero(tangents)
            mapped = batched_at_zero(both, [*dims, *where(flags, dims)], *trace.mapping)
            outs, there = parts(mapped(*primals, *where(flags, tangents)), len(found))
            return outs, merge(nonzero(found), map(_zero_for, where_not(nonzero(found), outs)), there)

        return CustomJVPCall(batched_at_zero(self.fun, dims, *trace.mapping), jvp, self.name)

    def stage(self, trace: StageTrace, args: Sequence[Any]) -> list[Any]:
        graph, consts = stage(self.fun, [aval_of(a) for a in args])
        n = len(consts)

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            return self.jvp(primals[n:], tangents[n:])

        return trace.process(custom_jvp_call_p, [*consts, *args], {"graph": graph, "jvp": jvp, "name": self.name})


def _zero_for(x: Any) -> Zero:
    return Zero(aval_of(x).tangent())


class CustomVJPCall:
    """``fun(*args) -> outs`` with ``fwd(perturbed, *args) -> (residuals, outs)`` and ``bwd(residuals, cts) -> cts``,
    all flat, with symbolic zeros; ``perturbed`` says of each argument whether it has a tangent."""

    def __init__(self, fun: Flat, fwd: Callable[..., tuple[list, list]], bwd: Callable[..., list], name: str) -> None:
        self.fun, self.fwd, self.bwd, self.name = fun, fwd, bwd, name

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Forward runs now; the tangents become one linear equation that only ``bwd`` can transpose."""
        residuals, outs = self.fwd(tuple(nonzero(tangents)), *primals)
        avals = tuple(aval_of(o).tangent() for o in outs)
        floats = [a for a in avals if a.dtype.names is None]
        has_ct = tuple(aval_of(p).tangent().dtype.names is None for p in primals)
        linear = list(map(instantiate, where(has_ct, tangents)))
        found = iter(custom_linear_p.bind(
            *residuals, *linear, bwd=self.bwd, num_residuals=len(residuals), has_ct=has_ct, out_avals=avals,
            name=self.name,
        ) if floats and linear else [])  # fmt: skip
        return outs, [next(found) if a.dtype.names is None and linear else Zero(a) for a in avals]

    def batched(self, trace: BatchTrace, dims: Sequence[int | None]) -> CustomVJPCall:
        residual_dims: list[int | None] = []

        def fwd(perturbed: Sequence[bool], *args: Any) -> tuple[list[Any], list[Any]]:
            count = [0]

            def both(*inner: Any) -> list[Any]:
                residuals, outs = self.fwd(perturbed, *inner)
                count[0] = len(residuals)
                return [*residuals, *outs]

            found, found_dims = batch_flat(both, args, dims, *trace.mapping)
            residual_dims[:] = found_dims[: count[0]]
            outs = [batch_to(o, d, trace.size) for o, d in zip(found[count[0] :], found_dims[count[0] :])]
            return found[: count[0]], outs

        def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            return _mapped_backward(self.bwd, residuals, residual_dims, cts, dims, trace.mapping)

        fun = batched_at_zero(self.fun, dims, *trace.mapping)
        return CustomVJPCall(fun, fwd, bwd, self.name)

    def stage(self, trace: StageTrace, args: Sequence[Any]) -> list[Any]:
        graph, consts = stage(self.fun, [aval_of(a) for a in args])
        n = len(consts)

        def fwd(perturbed: Sequence[bool], *flat: Any) -> tuple[list[Any], list[Any]]:
            return self.fwd(perturbed[n:], *flat[n:])

        def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            return [*(Zero(aval_of(c).tangent()) for c in consts), *self.bwd(residuals, cts)]

        params = {"graph": graph, "fwd": fwd, "bwd": bwd, "name": self.name}
        return trace.process(custom_vjp_call_p, [*consts, *args], params)


def _mapped_backward(
    bwd: Callable[..., list[Any]], residuals: Sequence[Any], residual_dims: Sequence[int | None], cts: Sequence[Any],
    arg_dims: Sequence[int | None], mapping: tuple[int, Any, Any],
) -> list[Any]:  # fmt: skip
    """``bwd`` of every example: ``cts`` are mapped over axis 0, the cotangents returned as the arguments are.

    Zeros stay symbolic on the way in and out: those of integers have no array that could be mapped or summed.
    """
    size, count, found = mapping[0], len(residuals), []

    def flat(*values: Any) -> list[Any]:
        given = iter(values[count:])
        full = [Zero(ct.aval.update(shape=ct.aval.shape[1:])) if isinstance(ct, Zero) else next(given) for ct in cts]
        found[:] = bwd(values[:count], full)
        return where(nonzero(found), found)

    there = where(nonzero(cts), cts)
    outs = iter(batched_at_zero(flat, [*residual_dims, *(0 for _ in there)], *mapping)(*residuals, *there))
    return [
        Zero(_mapped_aval(ct.aval, size, d)) if isinstance(ct, Zero) else unbatch_cotangent(next(outs), d)
        for ct, d in zip(found, arg_dims, strict=True)
    ]


def _mapped_aval(aval: Aval, size: int, dim: int | None) -> Aval:
    return aval if dim is None else aval.update(shape=(*aval.shape[:dim], size, *aval.shape[dim:]))


class _CustomPrimitive(Primitive):
    """The staged form: binding it gives the call back to the current trace."""

    def __init__(self, name: str, rebuild: Callable[..., Any], method: str) -> None:
        super().__init__(name, multiple_results=True, higher_order=True)
        self._rebuild, self._method = rebuild, method
        self.fill(abstract=lambda *avals, graph, **params: graph.out_avals, impl=BY_TRACE, jvp=BY_TRACE,
                  transpose=BY_TRACE, batch=BY_TRACE, mil=INLINED)  # fmt: skip

    def bind(self, *args: Any, graph: Graph, **params: Any) -> list[Any]:
        call = self._rebuild(as_function(graph), **params)
        return getattr(current_trace(), self._method)(call, args)


custom_jvp_call_p = _CustomPrimitive("custom_jvp_call", CustomJVPCall, "process_custom_jvp")
custom_vjp_call_p = _CustomPrimitive("custom_vjp_call", CustomVJPCall, "process_custom_vjp")

# --- the linear map of a custom_vjp ---------------------------------------------------------------------------------

_FORWARD_ONLY = (
    "[custom_vjp] {} has a rule for reverse mode only: jvp, jacfwd, hessian's outer pass and linearize's tangents"
    " cannot go through it. Use anejax.custom_jvp, from which both modes follow."
)


def _no_forward(*args: Any, name: str, **params: Any) -> Any:
    raise RefusedError(_FORWARD_ONLY.format(name))


def _linear_transpose(
    cts: Sequence[Any], *args: Any, bwd: Any, num_residuals: int, has_ct: Any, out_avals: Any, name: str
) -> list[Any]:
    given = iter(cts)
    full = [next(given) if a.dtype.names is None else Zero(a) for a in out_avals]
    found = bwd(args[:num_residuals], full)
    linear = [ct for ct, has in zip(found, has_ct) if has]
    return [*(None for _ in range(num_residuals)), *linear]


custom_linear_p = Primitive("custom_vjp_tangent", multiple_results=True, higher_order=True)


def _linear_abstract(*avals: Aval, out_avals: tuple[Aval, ...], **params: Any) -> list[Aval]:
    return [a for a in out_avals if a.dtype.names is None]


def _linear_batch(
    size: int, args: Any, dims: Any, *, bwd: Any, num_residuals: int, out_avals: Any, **params: Any
) -> Any:
    """Only the cotangents' side is ever run, so the map is batched by batching ``bwd``."""
    tangent_dims = iter(dims[num_residuals:])
    arg_dims = [next(tangent_dims) if has else None for has in params["has_ct"]]

    def batched_bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        return _mapped_backward(bwd, residuals, dims[:num_residuals], cts, arg_dims, (size, None, None))

    avals = tuple(a.update(shape=(size, *a.shape)) for a in out_avals)
    outs = custom_linear_p.bind(*args, bwd=batched_bwd, num_residuals=num_residuals, out_avals=avals, **params)
    return outs, [0] * len(outs)


custom_linear_p.fill(
    abstract=_linear_abstract,
    impl=_no_forward,
    jvp=Refused("custom_vjp functions are differentiated by their rule"),
    transpose=_linear_transpose,
    batch=_linear_batch,
    mil=Refused("it stands for a tangent, which only transposition removes"),
)

# --- custom_vmap ---------------------------------------------------------------------------------------------------

custom_vmap_call_p = Primitive("custom_vmap_call", multiple_results=True, higher_order=True)


def _vmap_jvp(primals: Sequence[Any], tangents: Sequence[Any], *, graph: Graph, rule: Any, name: str) -> Any:
    """Derivatives are those of the function; mapped, those of the rule."""
    flags = nonzero(tangents)
    new = jvp_graph(graph, flags)
    skipped = len(new.consts)

    def mapped(size: int, values: list[Any], dims: list[int | None]) -> tuple[list[Any], list[int | None]]:
        args, in_dims = parts(values[skipped:], len(primals)), parts(dims[skipped:], len(primals))
        return _rule_jvp(rule, size, flags, new.outs, args, in_dims)

    flat = [*new.consts, *primals, *where(flags, tangents)]
    found = custom_vmap_call_p.bind(*flat, graph=new.graph, rule=mapped, name=name)
    outs, there = parts(found, len(graph.outputs))
    zeros = [Zero(v.aval.tangent()) for v in graph.outputs]
    return outs, merge(new.outs, where_not(new.outs, zeros), there)


def _rule_jvp(
    rule: Any, size: int, flags: Sequence[bool], wanted: Sequence[bool], args: list[list[Any]],
    dims: list[list[int | None]],
) -> tuple[list[Any], list[int | None]]:  # fmt: skip
    """The outputs of a user's rule and their ``wanted`` tangents; a value is mapped where its tangent is."""
    primals, tangents, in_dims = [], [], []
    given = iter(zip(args[1], dims[1], strict=True))
    for x, d, has_tangent in zip(args[0], dims[0], flags, strict=True):
        t, dt = next(given) if has_tangent else (Zero(aval_of(x).tangent()), d)
        if has_tangent and d != dt:
            x, t, d = batch_to(x, d, size), batch_to(t, dt, size), 0
        primals.append(x)
        tangents.append(t)
        in_dims.append(d)
    out_dims: list[int | None] = []

    def run(*values: Any) -> list[Any]:
        outs, out_dims[:] = rule(size, list(values), in_dims)
        return outs

    outs, found = jvp_flat(run, primals, tangents)
    return [*outs, *map(instantiate, where(wanted, found))], [*out_dims, *where(wanted, out_dims)]


custom_vmap_call_p.fill(
    abstract=lambda *avals, graph, **params: graph.out_avals,
    impl=lambda *args, graph, **params: eval_graph(graph, args),
    jvp=_vmap_jvp,
    transpose=Refused("what is linear in it is recorded as a plain call, which is transposed"),
    batch=lambda size, args, dims, *, rule, **params: rule(size, list(args), list(dims)),
    mil=INLINED,
    partial=call_p.partial,  # the function itself, as a plain call, so reverse mode under vmap does not see the rule
)
