"""Two identity primitives: a copy, and a barrier that no pass looks through."""

from __future__ import annotations

from typing import Any

from anejax.core.aval import Aval
from anejax.core.primitive import Zero
from anejax.ops.families import elementwise_batch, instantiate, is_linear, linear_jvp, primitive

copy_p = primitive("copy")
copy_p.fill(
    abstract=lambda x: x,
    impl=lambda x: x.copy(),
    jvp=linear_jvp(copy_p),
    transpose=lambda ct, x: [copy_p.bind(ct)],
    batch=elementwise_batch(copy_p),
    mil=lambda ctx, x: ctx.emit("identity", x=x) if ctx.legalized else ctx.emit_aj(x=x),
)


def copy(x: Any) -> Any:
    """``x`` in new memory."""
    return copy_p.bind(x)


optimization_barrier_p = primitive("optimization_barrier", multiple_results=True)


def _barrier_abstract(*xs: Aval) -> list[Aval]:
    return list(xs)


def _barrier_jvp(primals: Any, tangents: Any) -> Any:
    outs = optimization_barrier_p.bind(*primals)
    there = [not isinstance(t, Zero) for t in tangents]
    passed = iter(optimization_barrier_p.bind(*(t for t, is_there in zip(tangents, there) if is_there)))
    return outs, [next(passed) if is_there else t for t, is_there in zip(tangents, there)]


def _barrier_transpose(cts: Any, *xs: Any) -> Any:
    passed = optimization_barrier_p.bind(*(instantiate(ct) for ct, x in zip(cts, xs) if is_linear(x)))
    passed = iter(passed)
    return [next(passed) if is_linear(x) else None for x in xs]


optimization_barrier_p.fill(
    abstract=_barrier_abstract,
    impl=lambda *xs: list(xs),
    jvp=_barrier_jvp,
    transpose=_barrier_transpose,
    batch=lambda size, args, dims: (optimization_barrier_p.bind(*args), list(dims)),
    mil=lambda ctx, *xs: ctx.emit_aj(values=xs),
)


def barrier(*xs: Any) -> list[Any]:
    """The arrays ``xs`` unchanged, computed before anything that uses the results; no pass moves work across."""
    return optimization_barrier_p.bind(*xs)
