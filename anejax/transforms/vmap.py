"""Batching: gives values a mapped axis that the function does not see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.context import applying, current_trace, tracing
from anejax.core.primitive import Primitive
from anejax.core.trace import Trace, Tracer, aval_of
from anejax.ops.families import batch_to, move_axis, reduce_sum_p
from anejax.transforms.collectives import process_axes


class _Mapped(threading.local):
    name: Any = None


_mapped = _Mapped()


class _mapping:
    """The batching rules of primitives that hold Graphs run in here."""

    __slots__ = ("name", "previous")

    def __init__(self, name: Any) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.previous = _mapped.name
        _mapped.name = self.name

    def __exit__(self, *exc: object) -> None:
        _mapped.name = self.previous


def mapped_name() -> Any:
    """The axis name of the ``vmap`` whose rule for a primitive that holds Graphs is running."""
    return _mapped.name


def named_axes() -> tuple[tuple[Any, int], ...]:
    """The named axes here as (name, length): mapped axes, the innermost first, then axes of processes."""
    current = current_trace()
    if current.parent is None:  # as in every call from outside
        return process_axes()
    traces = [current, *current.ancestors()]
    mapped = tuple((t.axis_name, t.size) for t in traces if isinstance(t, BatchTrace) and t.axis_name is not None)
    return mapped + process_axes()


class BatchTracer(Tracer):
    """An array of which one axis, ``dim``, is mapped."""

    __slots__ = ("dim", "val")

    def __init__(self, trace: BatchTrace, val: Any, dim: int) -> None:
        aval = aval_of(val)
        super().__init__(trace, aval.update(shape=aval.shape[:dim] + aval.shape[dim + 1 :]))
        self.val = val
        self.dim = dim


class BatchTrace(Trace):
    """Runs batching rules under the trace below.

    Custom rules run later, under another trace: ``origin`` is the one of the ``vmap`` that both serve, whose tracers
    the functions that such rules were given may hold.
    """

    origin: Any = None

    def __init__(self, parent: Trace, size: int, axis_name: Any = None, origin: Any = None) -> None:
        self.parent: Trace = parent
        self.size = size
        self.axis_name = axis_name
        self.origin = origin or self

    @property
    def mapping(self) -> tuple[int, Any, Any]:
        """The arguments for a trace that continues this one: size, axis name, origin."""
        return self.size, self.axis_name, self.origin

    def split(self, x: Any) -> tuple[Any, int | None]:
        """(array, its mapped axis or None)."""
        return (x.val, x.dim) if isinstance(x, BatchTracer) and x.trace.origin is self.origin else (x, None)

    def join(self, val: Any, dim: int | None) -> Any:
        return val if dim is None else BatchTracer(self, val, dim)

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        vals, dims = self.split_all(args)
        rule = prim.collective if prim.collective and params["axis_name"] == self.axis_name else None
        with tracing(self.parent):
            inside = prim.higher_order and self.axis_name is not None  # a Graph may name the axis whatever its inputs
            if rule is None and not inside and all(d is None for d in dims):
                out = prim.bind(*vals, **params)
                return out if prim.multiple_results else [out]
            rule = rule or prim.rule("batch")
            with applying(prim), _mapping(self.axis_name if prim.higher_order else mapped_name()):
                out, out_dims = rule(self.size, vals, dims, **params)
        if not prim.multiple_results:
            out, out_dims = [out], [out_dims]
        return [self.join(o, d) for o, d in zip(out, out_dims, strict=True)]

    def split_all(self, args: Sequence[Any]) -> tuple[list[Any], list[int | None]]:
        pairs = [self.split(a) for a in args]
        return [v for v, _ in pairs], [d for _, d in pairs]

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        vals, dims = self.split_all(args)
        with tracing(self.parent):
            outs = self.parent.process_custom_jvp(call.batched(self, dims), vals)
        return [BatchTracer(self, o, 0) for o in outs]

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        vals, dims = self.split_all(args)
        with tracing(self.parent):
            outs = self.parent.process_custom_vjp(call.batched(self, dims), vals)
        return [BatchTracer(self, o, 0) for o in outs]


def batch_flat(
    fun: Callable[..., list[Any]],
    args: Sequence[Any],
    dims: Sequence[int | None],
    size: int,
    axis_name: Any = None,
    origin: Any = None,
) -> tuple[list[Any], list[int | None]]:
    """Outputs of ``fun`` mapped over ``dims`` of ``args``, and where their mapped axes are."""
    trace = BatchTrace(current_trace(), size, axis_name, origin)
    with tracing(trace):
        outs = fun(*(trace.join(a, d) for a, d in zip(args, dims, strict=True)))
    return trace.split_all(outs)


def batched_at_zero(
    fun: Callable[..., list[Any]], dims: Sequence[int | None], size: int, axis_name: Any = None, origin: Any = None
) -> Callable[..., list[Any]]:
    """``fun`` mapped over ``dims``, with every output's mapped axis first."""

    def batched(*args: Any) -> list[Any]:
        outs, out_dims = batch_flat(fun, args, dims, size, axis_name, origin)
        return [batch_to(o, d, size) for o, d in zip(outs, out_dims)]

    return batched


def unbatch_cotangent(ct: Any, dim: int | None) -> Any:
    """A cotangent whose mapped axis is first, for an input mapped over ``dim``: moved there, or summed when None."""
    if dim is None:
        return reduce_sum_p.bind(ct, axes=(0,))
    return move_axis(ct, 0, dim)
