"""Splits a Graph whose inputs are partly known by a policy of ``checkpoint``, into one that saves values and one that
uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from anejax.core.graph import Eqn, Graph, Var, remove_dead


class Recompute:
    """The answer of a policy for values to compute again. False means the same."""


class Saveable:
    """The answer of a policy for values to save. True means the same."""


class SavingSplit(NamedTuple):
    """``known``: known inputs -> known outputs, then what is saved. ``rest``: that, all inputs -> unknown outputs."""

    known: Graph
    rest: Graph
    unknown_out: list[bool]


def split_saving(graph: Graph, unknown_in: Sequence[bool], policy: Callable[..., Any]) -> SavingSplit:
    """``policy(primitive, *avals, **params)`` decides about the outputs of each equation whose inputs are known."""
    unknown = {v for v, u in zip(graph.inputs, unknown_in) if u}
    known_eqns: list[Eqn] = []
    saved: dict[Var, None] = {}
    for eqn in graph.eqns:
        if any(a in unknown for a in eqn.inputs if isinstance(a, Var)):
            unknown.update(eqn.outputs)
            continue
        known_eqns.append(eqn)
        if _saves(policy(eqn.primitive, *(a.aval for a in eqn.inputs), **eqn.params)):
            saved.update(dict.fromkeys(eqn.outputs))
    unknown_out = [isinstance(a, Var) and a in unknown for a in graph.outputs]
    outputs = tuple(a for a, u in zip(graph.outputs, unknown_out) if u)
    again = tuple(e for e in graph.eqns if not all(v in saved for v in e.outputs))
    rest = remove_dead(graph.replace(eqns=again, outputs=outputs))
    read = {a for e in rest.eqns for a in e.inputs if isinstance(a, Var)}
    kept = tuple(v for v in saved if v in read)
    known_in = tuple(v for v, u in zip(graph.inputs, unknown_in) if not u)
    known_out = tuple(a for a, u in zip(graph.outputs, unknown_out) if not u)
    known = remove_dead(Graph(known_in, tuple(known_eqns), (*known_out, *kept)))
    return SavingSplit(known, rest.replace(inputs=(*kept, *graph.inputs)), unknown_out)


def _saves(answer: Any) -> bool:
    if isinstance(answer, bool):
        return answer
    for kind, meaning in ((Saveable, True), (Recompute, False)):
        if answer is kind or isinstance(answer, kind):
            return meaning
    raise TypeError(f"[checkpoint] expected the policy to answer with a bool, Saveable or Recompute, got {answer!r}.")
