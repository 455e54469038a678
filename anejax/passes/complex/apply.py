"""The pass that rewrites a Graph with complex values to one with real arrays.

An input or output of type complex64[s] becomes float32[s, 2], which has the same memory. In between, a complex value is
a pair of real arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.context import base_trace, recording, set_mark
from anejax.core.graph import Atom, Eqn, Graph, Var, map_subgraphs, subgraphs
from anejax.errors import RefusedError
from anejax.ops.complex import in_parts
from anejax.passes.complex.pairs import Pair, enter, leave
from anejax.passes.complex.rules import RULES
from anejax.transforms.evaluate import bind_eqn, literal_value
from anejax.transforms.stage import StageTrace


def _atoms(graph: Graph) -> Iterator[Atom]:
    yield from graph.inputs
    yield from graph.outputs
    for eqn in graph.eqns:
        yield from eqn.inputs
        yield from eqn.outputs
        for inner in subgraphs(eqn.params):
            yield from _atoms(inner)


def has_complex(graph: Graph) -> bool:
    """Whether any value in ``graph`` is complex."""
    return any(a.aval.dtype in dtypes.COMPLEX for a in _atoms(graph))


def split_complex(graph: Graph) -> Graph:
    """``graph`` on real arrays alone; the same Graph when it has no complex values.

    Raises RefusedError naming a primitive that has no form on pairs.
    """
    if not has_complex(graph):
        return graph
    trace = StageTrace(base_trace())
    with recording(trace):
        args = [enter(trace.new_input(in_parts(a)), a) for a in graph.in_avals]
        outs = [leave(o) for o in _evaluate(graph, args)]
    new, consts = trace.finish(outs)
    assert not consts, "rules make constants by equations"
    return new


def _evaluate(graph: Graph, args: list[Any]) -> list[Any]:
    env: dict[Var, Any] = dict(zip(graph.inputs, args, strict=True))
    for eqn in graph.eqns:
        set_mark(eqn.mark)
        outs = _equation(eqn, [_read(env, a) for a in eqn.inputs])
        env.update(zip(eqn.outputs, outs, strict=True))
    return [_read(env, a) for a in graph.outputs]


def _read(env: dict[Var, Any], atom: Atom) -> Any:
    if isinstance(atom, Var):
        return env[atom]
    if atom.aval.dtype in dtypes.COMPLEX:
        return Pair(np.array(np.real(atom.value)), np.array(np.imag(atom.value)))
    return literal_value(atom)


def _equation(eqn: Eqn, args: list[Any]) -> list[Any]:
    prim = eqn.primitive
    if prim.effect:  # sees the arrays as they are at the border
        return bind_eqn(eqn, [leave(a) for a in args])
    if prim.higher_order:  # the Graphs inside have borders of the same kind
        outs = bind_eqn(eqn.replace(params=map_subgraphs(eqn.params, split_complex)), [leave(a) for a in args])
        return [enter(o, v.aval) for o, v in zip(outs, eqn.outputs, strict=True)]
    if not any(isinstance(a, Pair) for a in args) and not any(v.aval.dtype in dtypes.COMPLEX for v in eqn.outputs):
        return bind_eqn(eqn, args)
    rule = RULES.get(prim.name)
    if rule is None:
        types = ", ".join(str(a.aval) for a in eqn.inputs)
        raise RefusedError(
            f"[{prim.name}] has no compiled form for complex numbers, got {types}. Compute it on real and imaginary"
            f" parts, or outside jit{eqn.mark.place and f' (it is{eqn.mark.place})'}."
        )
    out = rule(*args, **eqn.params)
    return list(out) if prim.multiple_results else [out]
