"""The trace that applies legalization rules, and the pass that runs it over a Graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.context import base_trace, current_mark, recording
from anejax.core.graph import Atom, Eqn, Graph, Var
from anejax.core.primitive import Primitive, Refused
from anejax.core.trace import Tracer, aval_of
from anejax.errors import RefusedError
from anejax.mil.chips import chip_of
from anejax.ops.shape import reshape
from anejax.passes.legalize import accurate as accurate
from anejax.passes.legalize import angles as angles
from anejax.passes.legalize import bits as bits
from anejax.passes.legalize import bools as bools
from anejax.passes.legalize import composites as composites
from anejax.passes.legalize import constants, unsigned
from anejax.passes.legalize import control as control
from anejax.passes.legalize import convolution as convolution
from anejax.passes.legalize import cumulative as cumulative
from anejax.passes.legalize import divisions as divisions
from anejax.passes.legalize import elementwise as elementwise
from anejax.passes.legalize import factors as factors
from anejax.passes.legalize import linear as linear
from anejax.passes.legalize import movement as movement
from anejax.passes.legalize import places as places
from anejax.passes.legalize import scaling as scaling
from anejax.passes.legalize import sums as sums
from anejax.passes.legalize import windows as windows
from anejax.passes.legalize.axes import with_axes
from anejax.passes.legalize.masks import with_masks
from anejax.passes.legalize.rows import with_full_rows
from anejax.passes.legalize.rules import RULES
from anejax.passes.simplify import simplify
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.stage import StageTrace, StageTracer

ENGINE_FLOAT = dtypes.float16  # docs/sources.md, "Ports and dtypes"


class LegalizeTrace(StageTrace):
    """Stages, and replaces operations that the target lacks by rules. ``family`` is an engine's, or None for all."""

    array_literals = True

    def __init__(self, target: str, family: str | None = None) -> None:
        super().__init__(base_trace())
        self.target = target
        self.family = family
        self.made: dict[Var, Eqn] = {}
        self.notes: dict[tuple[Var, type], Any] = {}
        self.memory: dict[Any, Any] = {}

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """The equation for the target. A refusal for Core ML, which no device stands in for, names the user's line."""
        try:
            return self.scaled(prim, args, params)
        except RefusedError as error:
            line = current_mark().line
            if self.target != "coreml" or line is None or line in str(error):
                raise
            raise RefusedError(f"{error} It is asked for at {line}.") from None

    def scaled(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Applies all rules; those of scaling.py are for the engine."""
        if constants.are_frozen(prim, args):
            return [constants.evaluated(prim, args, params)]
        found = scaling.rewritten(prim, args, params) if self.target == "ane" else NotImplemented
        return self.unscaled(prim, args, params) if found is NotImplemented else [found]

    def unscaled(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Applies all rules except those of scaling.py; stages the equation as it is if no rule covers it."""
        if self.target == "ane" and prim.name in ("mul", "div"):  # before constants are narrowed
            for rule in (sums.averaged, linear.scaled, factors.in_two):
                found = rule(prim, *args)
                if found is not NotImplemented:
                    return [found]
        if self.target != "cpu":
            args = [constant(a, self.target) for a in args]
        if self.target == "ane":
            params = _narrow_params(params)
            if bools.are_moved(prim, args):
                return [bools.moved(prim, args, params)]
        if self.target == "coreml" and prim.name in bools.NUMBERS_ONLY and any(map(bools.is_bool, args)):
            return [bools.as_counted(prim, args, params)]
        if self.target == "coreml":
            found = unsigned.rewritten(prim, args, params)
            if found is not NotImplemented:
                return list(found) if prim.multiple_results else [found]
        rule = RULES.get((prim.name, self.target))
        if isinstance(rule, Refused):
            raise RefusedError(f"[legalize] {prim.name} cannot be had on {self.target}: {rule.reason}.")
        found = rule(*args, **params) if rule is not None else NotImplemented
        if found is NotImplemented:  # the target has it as it is
            return self.keep(prim, args, params)
        return list(found) if prim.multiple_results else [found]

    def keep(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Stages the equation."""
        if self.target == "coreml":
            unsigned.check(prim, args)
        return super().process(prim, args, params)

    def traced(self, var: Var) -> StageTracer:
        """``var``, a value of the Graph that is being made, as rules take it."""
        return StageTracer(self, var)

    def record(self, prim: Primitive, inputs: tuple[Atom, ...], avals: Sequence[Aval], params: Any) -> list[Any]:
        outs = super().record(prim, inputs, avals, params)
        self.made.update((out.var, self.eqns[-1]) for out in outs)
        return outs


def constant(x: Any, target: str) -> Any:
    """A constant in a form that ``target`` accepts. Traced values are returned as they are.

    Infinities become the extreme finite values, because neither Core ML's serialized form nor the engine's texts are
    proven to support them (docs/sources.md, "Constants"). A mask such as ``where(keep, x, -inf)`` then works equally
    well.
    """
    if isinstance(x, Tracer):
        return x
    aval = aval_of(x)
    dtype = ENGINE_FLOAT if target == "ane" and aval.dtype == dtypes.float32 else aval.dtype
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype == dtypes.float64:  # float64 is not canonical
        return DeviceArray(Aval(x.shape, x.dtype), np.asarray(x))
    if dtype not in dtypes.FLOATS:
        return x
    limit = float(dtypes.finfo(dtype).max)
    value = np.clip(np.asarray(x.value if isinstance(x, DeviceArray) else x, np.float64), -limit, limit)
    return DeviceArray(Aval(aval.shape, dtype, aval.weak_type), value.astype(dtype))


def _narrow_params(params: dict[str, Any]) -> dict[str, Any]:
    return {k: ENGINE_FLOAT if k in ("dtype", "preferred_element_type") and v == dtypes.float32 else v
            for k, v in params.items()}  # fmt: skip


def legalize(graph: Graph, target: str, chip: str | None = None, inner: bool = False) -> Graph:
    """``graph`` for ``target`` ("cpu", "coreml" or "ane"); for the engine of ``chip`` ("M1" ... "M6"), or of any.

    For the engine float32 becomes float16 throughout, inputs and outputs included; bools are 0 or 1 of float16 there,
    and no value is without axes: what had none has one of length 1. Raises RefusedError naming the primitive and the
    reason when something has no form there. An ``inner`` Graph, of a loop, has no ports, and keeps its types.
    """
    if target == "cpu" and not any((e.primitive.name, target) in RULES for e in graph.eqns):
        return graph
    trace = LegalizeTrace(target, chip_of(chip).family if chip else None)
    with recording(trace):
        if inner:
            outs = eval_graph(graph, [trace.new_input(a) for a in graph.in_avals])
        else:
            args = [_enter(trace.new_input(_port(a, target)), a) for a in graph.in_avals]
            outs = [_leave(o, target) for o in eval_graph(graph, args)]
    new, consts = trace.finish(outs)
    assert not consts, "legalization rules make constants by equations"
    return with_masks(with_axes(simplify(with_full_rows(simplify(new))))) if target == "ane" else new


def _port(aval: Aval, target: str) -> Aval:
    """The type of an input at the border: float16 for the engine, and rank 1 or more, as neither target has scalars."""
    if target == "ane" and aval.dtype in (dtypes.float32, dtypes.bool_):
        aval = aval.update(dtype=ENGINE_FLOAT)
    return aval.update(shape=(1,)) if target != "cpu" and aval.shape == () else aval


def _enter(x: Any, aval: Aval) -> Any:
    x = reshape(x, aval.shape)
    return bools.truth(x) if aval.dtype == dtypes.bool_ and aval_of(x).dtype == ENGINE_FLOAT else x


def _leave(x: Any, target: str) -> Any:
    if target == "ane" and aval_of(x).dtype == dtypes.bool_:
        x = bools.number(x)
    return reshape(x, (1,)) if target != "cpu" and aval_of(x).shape == () else x


def why_not(name: str, target: str) -> str | None:
    """The reason why ``target`` cannot run primitive ``name``, or None if it can."""
    found = RULES.get((name, target))
    return found.reason if isinstance(found, Refused) else None
