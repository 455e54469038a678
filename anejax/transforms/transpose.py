"""The second half of reverse mode: walks a linear Graph backwards and accumulates cotangents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax.core.context import marked, set_mark
from anejax.core.graph import Atom, Eqn, Graph, Var, remove_dead
from anejax.core.primitive import Linear, Zero
from anejax.errors import RefusedError
from anejax.marks import BACKWARD, NOWHERE
from anejax.ops.families import add_any
from anejax.transforms.evaluate import bind_eqn, read, write


def backward(graph: Graph, args: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Cotangents (or ``Zero``) of the inputs of ``graph`` that are ``Linear`` in ``args``; None for the others.

    ``args`` has a value for each input that ``graph`` need not be linear in; ``cotangents`` one per output. The
    marks of ``graph`` count as they are, wherever this is called.
    """
    with marked(NOWHERE):
        return _backward(graph, args, cotangents)


def _backward(graph: Graph, args: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    linear = {v for v, a in zip(graph.inputs, args) if isinstance(a, Linear)}
    env = {v: a for v, a in zip(graph.inputs, args) if not isinstance(a, Linear)}
    graph = remove_dead(graph)
    tape = _forward(graph, env, linear)
    cts: dict[Var, Any] = {}
    for atom, ct in zip(graph.outputs, cotangents, strict=True):
        _accumulate(cts, linear, atom, ct)
    for eqn in reversed(tape):
        set_mark(eqn.mark.of_part(BACKWARD))
        _transpose_eqn(eqn, env, linear, cts)
    return [cts.get(v, Zero(v.aval.tangent())) if v in linear else None for v in graph.inputs]


def _forward(graph: Graph, env: dict[Var, Any], linear: set[Var]) -> list[Eqn]:
    """Evaluates the equations without linear inputs; returns the others in order."""
    tape = []
    for eqn in graph.eqns:
        if any(a in linear for a in eqn.inputs if isinstance(a, Var)):
            linear.update(eqn.outputs)
            tape.append(eqn)
        else:
            set_mark(eqn.mark)
            write(env, eqn.outputs, bind_eqn(eqn, [read(env, a) for a in eqn.inputs]))
    return tape


def _accumulate(cts: dict[Var, Any], linear: set[Var], atom: Atom, ct: Any) -> None:
    if ct is None or isinstance(ct, Zero) or not isinstance(atom, Var) or atom not in linear:
        return
    cts[atom] = add_any(cts[atom], ct) if atom in cts else ct


def _transpose_eqn(eqn: Eqn, env: dict[Var, Any], linear: set[Var], cts: dict[Var, Any]) -> None:
    outs = [cts.pop(v, Zero(v.aval.tangent())) for v in eqn.outputs]
    if all(isinstance(ct, Zero) for ct in outs):
        return
    args = [Linear(a.aval) if isinstance(a, Var) and a in linear else read(env, a) for a in eqn.inputs]
    try:
        rule = eqn.primitive.rule("transpose")
    except RefusedError as err:
        raise RefusedError(
            f"{err} The function is not linear in the argument that it was asked to be transposed for"
            f"{eqn.mark.place and f' (it is{eqn.mark.place})'}."
        ) from None
    ct_in = rule(outs if eqn.primitive.multiple_results else outs[0], *args, **eqn.params)
    for atom, ct in zip(eqn.inputs, ct_in, strict=True):
        _accumulate(cts, linear, atom, ct)
