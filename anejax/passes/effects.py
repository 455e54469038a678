"""Moves effects, such as printing, out of loops and branches.

The values that an effect needs become results of the loop or branch, and equations after it replay the effect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, has_effects, subgraphs
from anejax.errors import RefusedError
from anejax.ops.families import broadcast_in_dim_p
from anejax.passes.inline import inline
from anejax.transforms.control.cond import cond_p
from anejax.transforms.control.replay import replay_cond_p, replay_scan_p
from anejax.transforms.control.scan import scan_p, stacked


def lift_effects(graph: Graph, target: str = "cpu") -> Graph:
    """``graph``, inlined for ``target``, with effects on its own level only.

    y = scan[body={ print a }] x     ->     y a' = scan[body={ a }] x;  replay_scan[body={ print a }] a'
    """
    graph = inline(graph, target)
    if not any(has_effects(inner) for e in graph.eqns for inner in subgraphs(e.params)):
        return graph
    eqns = [new for eqn in graph.eqns for new in _lifted(eqn)]
    return graph.replace(eqns=tuple(eqns))


def _lifted(eqn: Eqn) -> list[Eqn]:
    if not any(map(has_effects, subgraphs(eqn.params))):
        return [eqn]
    if eqn.primitive is scan_p:
        return _scan(eqn)
    if eqn.primitive is cond_p:
        return _cond(eqn)
    raise RefusedError(
        f"[debug.print] cannot be inside {eqn.primitive.name} of a compiled program: programs print after they have"
        " run, and how often this loop turns is not known before. Call the jitted function, which is interpreted, print"
        " what the loop returns, or use lax.scan."
    )


def _parted(graph: Graph) -> tuple[Graph, list[Eqn], list[Var]]:
    """(``graph`` without effects, the effects, the values that they read)."""
    graph = lift_effects(graph)
    effects = [e for e in graph.eqns if e.primitive.effect]
    seen = list(dict.fromkeys(a for e in effects for a in e.inputs if isinstance(a, Var)))
    return graph.replace(eqns=tuple(e for e in graph.eqns if not e.primitive.effect)), effects, seen


def _scan(eqn: Eqn) -> list[Eqn]:
    params = eqn.params
    body, effects, seen = _parted(params["body"])
    results = tuple(Var(stacked(v.aval, params["length"])) for v in seen)
    turns = Graph(tuple(seen), tuple(effects), ())
    return [
        eqn.replace(
            outputs=(*eqn.outputs, *results),
            params={**params, "body": body.replace(outputs=(*body.outputs, *seen))},
        ),
        eqn.replace(
            primitive=replay_scan_p,
            inputs=results,
            outputs=(),
            params={"body": turns, "length": params["length"], "reverse": params["reverse"]},
        ),
    ]


def _cond(eqn: Eqn) -> list[Eqn]:
    parted = [_parted(b) for b in eqn.params["branches"]]
    seen = [v for _, _, own in parted for v in own]
    results = tuple(Var(v.aval) for v in seen)
    branches = tuple(_with_slots(graph, own, seen) for graph, _, own in parted)
    replays = tuple(Graph(tuple(seen), tuple(effects), ()) for _, effects, _ in parted)
    return [
        eqn.replace(outputs=(*eqn.outputs, *results), params={"branches": branches}),
        eqn.replace(
            primitive=replay_cond_p, inputs=(eqn.inputs[0], *results), outputs=(), params={"branches": replays}
        ),
    ]


def _with_slots(graph: Graph, own: Sequence[Var], seen: Sequence[Var]) -> Graph:
    """A branch that also returns what the effects of any branch look at: zeros for what is not its own."""
    eqns, outputs = list(graph.eqns), list[Atom](graph.outputs)
    for v in seen:
        atom: Atom = v
        if v not in own:
            atom = Literal(np.zeros((), v.aval.dtype), v.aval.update(shape=(), weak_type=False))
        if isinstance(atom, Literal) and v.aval.shape:
            full = Var(v.aval.strong())
            eqns.append(Eqn(broadcast_in_dim_p, (atom,), (full,), {"shape": v.aval.shape, "broadcast_dimensions": ()}))
            atom = full
        outputs.append(atom)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(outputs))
