"""Inlining: equations that hold a Graph are replaced by the Graph's equations. Derivative rules are spent by now."""

from __future__ import annotations

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var

INLINED = frozenset(
    {"jit", "checkpoint", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call", "custom_linear_solve"}
)


def inline(graph: Graph) -> Graph:
    """``graph`` without calls.

    a = jit[graph={ lambda ; x. let y = sin x in (y,) }] b     ->     a = sin b
    """
    if not any(e.primitive.name in INLINED for e in graph.eqns):
        return graph
    eqns: list[Eqn] = []
    env: dict[Var, Atom] = {}
    _expand(graph, env, eqns)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(_look_up(env, a) for a in graph.outputs))


def _look_up(env: dict[Var, Atom], atom: Atom) -> Atom:
    return atom if isinstance(atom, Literal) else env.get(atom, atom)


def _expand(graph: Graph, env: dict[Var, Atom], out: list[Eqn]) -> None:
    for eqn in graph.eqns:
        inputs = tuple(_look_up(env, a) for a in eqn.inputs)
        if eqn.primitive.name not in INLINED:
            outputs = tuple(Var(v.aval) for v in eqn.outputs)  # a Graph may be called twice
            env.update(zip(eqn.outputs, outputs))
            out.append(eqn.replace(inputs=inputs, outputs=outputs))
            continue
        inner: Graph = eqn.params["graph"]
        inner_env = dict(zip(inner.inputs, inputs))
        _expand(inner, inner_env, out)
        env.update((v, _look_up(inner_env, a)) for v, a in zip(eqn.outputs, inner.outputs))
