"""Optimizes the bodies of loops and the branches of conds, and removes carries and equations that nothing needs."""

from __future__ import annotations

from collections.abc import Callable

from anejax.core.graph import Atom, Eqn, Graph, Var, map_subgraphs, remove_dead, subgraphs
from anejax.marks import NOWHERE, Mark
from anejax.ops.misc import copy_p
from anejax.transforms.composite import composite_p
from anejax.transforms.control.scan import scan_p
from anejax.transforms.parts import parts, where


def optimize_bodies(graph: Graph, optimize: Callable[[Graph], Graph]) -> Graph:
    """``graph`` with every inner Graph optimized and made a function that a device can call."""
    if not any(True for e in graph.eqns for _ in subgraphs(e.params)):
        return graph
    body = lambda inner: with_own_outputs(optimize(inner))  # noqa: E731
    whole = lambda e: e.primitive is composite_p  # noqa: E731  one operation by now
    return graph.replace(
        eqns=tuple(e if whole(e) else e.replace(params=map_subgraphs(e.params, body)) for e in graph.eqns)
    )


def with_own_outputs(graph: Graph) -> Graph:
    """``graph`` whose outputs are distinct results of equations: inputs, literals and duplicates are copied.

    { lambda ; x. let in (x,) }     ->     { lambda ; x. let y = copy x in (y,) }
    """
    marks: dict[Atom, Mark] = {v: e.mark for e in graph.eqns for v in e.outputs}
    own = set(marks)
    eqns, outputs = list(graph.eqns), []
    for atom in graph.outputs:
        if not isinstance(atom, Var) or atom not in own:
            var = Var(atom.aval)
            eqns.append(Eqn(copy_p, (atom,), (var,), {}, marks.get(atom, NOWHERE)))
            atom = var
        own.discard(atom)
        outputs.append(atom)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(outputs))


# --- loops ------------------------------------------------------------------------------------------------------


def prune_loops(graph: Graph) -> Graph:
    """``graph`` whose scans neither carry what stays the same nor compute what nothing uses."""
    if not any(e.primitive is scan_p for e in graph.eqns):
        return graph
    return _without_dead(_without_constant_carry(graph))


def _without_constant_carry(graph: Graph) -> Graph:
    """A carry that the body returns as it came is a const, and its last value is its first."""
    env: dict[Var, Atom] = {}
    look_up = lambda a: env.get(a, a) if isinstance(a, Var) else a  # noqa: E731
    eqns = []
    for eqn in graph.eqns:
        eqn = eqn.replace(inputs=tuple(map(look_up, eqn.inputs)))
        if eqn.primitive is scan_p:
            eqn = _constant_carry_out(eqn, env)
        eqns.append(eqn)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(map(look_up, graph.outputs)))


def _constant_carry_out(eqn: Eqn, env: dict[Var, Atom]) -> Eqn:
    body, counts = eqn.params["body"], (eqn.params["num_consts"], eqn.params["num_carry"])
    in_consts, in_carry, in_xs = parts(body.inputs, *counts)
    out_carry, out_ys = parts(body.outputs, counts[1])
    changes = [a is not v for a, v in zip(out_carry, in_carry)]
    if all(changes):
        return eqn
    same = [not c for c in changes]
    consts, carry, xs = parts(eqn.inputs, *counts)
    results, ys = parts(eqn.outputs, counts[1])
    env.update(zip(where(same, results), where(same, carry)))
    body = body.replace(
        inputs=(*in_consts, *where(same, in_carry), *where(changes, in_carry), *in_xs),
        outputs=(*where(changes, out_carry), *out_ys),
    )
    params = {**eqn.params, "body": body, "num_consts": counts[0] + sum(same), "num_carry": sum(changes)}
    inputs = (*consts, *where(same, carry), *where(changes, carry), *xs)
    return eqn.replace(inputs=inputs, outputs=(*where(changes, results), *ys), params=params)


def _without_dead(graph: Graph) -> Graph:
    live = {a for a in graph.outputs if isinstance(a, Var)}
    kept = []
    for eqn in reversed(graph.eqns):
        if eqn.primitive is scan_p:
            eqn = _live_part(eqn, live)
        if eqn.primitive.effect or any(v in live for v in eqn.outputs):
            kept.append(eqn)
            live.update(a for a in eqn.inputs if isinstance(a, Var))
    return graph.replace(eqns=tuple(reversed(kept)))


def _live_part(eqn: Eqn, live: set[Var]) -> Eqn:
    """The scan with the ys that are used, the carry that those or later turns need, and the operands of that."""
    body, num_carry = eqn.params["body"], eqn.params["num_carry"]
    needed = [v in live for v in eqn.outputs]
    while True:
        kept = remove_dead(body.replace(outputs=tuple(where(needed, body.outputs))))
        read = {a for e in kept.eqns for a in e.inputs} | set(kept.outputs)
        used = [v in read for v in body.inputs]
        _, of_carry, _ = parts(used, eqn.params["num_consts"], num_carry)
        grown = [n or u for n, u in zip(needed, of_carry)] + needed[num_carry:]
        if grown == needed:
            break
        needed = grown
    consts, _, xs = parts(used, eqn.params["num_consts"], num_carry)
    keep = [*consts, *needed[:num_carry], *xs]
    if all(keep) and all(needed):
        return eqn
    params = {**eqn.params, "body": kept.replace(inputs=tuple(where(keep, body.inputs))), "num_consts": sum(consts),
              "num_carry": sum(needed[:num_carry])}  # fmt: skip
    return eqn.replace(inputs=tuple(where(keep, eqn.inputs)), outputs=tuple(where(needed, eqn.outputs)), params=params)
