"""Makes a failing program small: outputs, equations, donations and inputs go as long as what is left still fails.

An equation may go wherever it stands, since the oracle knows its value: its results become inputs of the program. In a
body they become zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, map_subgraphs, remove_dead, subgraphs
from anejax.ops.families import broadcast_in_dim_p
from tests.fuzz.generate import Program
from tests.fuzz.oracle import evaluate


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A program for which ``fails`` holds too, and for none that is one step smaller."""
    while True:
        smaller = next((p for p in _smaller(program) if fails(p)), None)
        if smaller is None:
            return program
        program = smaller


def _smaller(program: Program) -> Iterator[Program]:
    graph = program.graph
    if len(graph.outputs) > 1:
        for i in range(len(graph.outputs)):
            yield _with_outputs(program, graph.outputs[i : i + 1])
        for i in range(len(graph.outputs)):
            yield _with_outputs(program, graph.outputs[:i] + graph.outputs[i + 1 :])
    for eqn in graph.eqns:  # the first value that is wrong already
        if any(v in graph.outputs for v in eqn.outputs):
            break
        yield from (_with_outputs(program, (v,)) for v in eqn.outputs)
    alive = remove_dead(graph)
    if len(alive.eqns) < len(graph.eqns):
        yield program.replace(graph=alive)
    yield from _without_inputs(program)
    for i in reversed(range(len(graph.eqns))):
        yield _cut(program, i)
    if any(program.donated):
        yield program.replace(donated=(False,) * len(program.donated))
        for i in np.flatnonzero(program.donated):
            yield program.replace(donated=tuple(d and j != i for j, d in enumerate(program.donated)))
    for i, eqn in enumerate(graph.eqns):
        for smaller in _smaller_bodies(eqn):
            yield program.replace(graph=graph.replace(eqns=(*graph.eqns[:i], smaller, *graph.eqns[i + 1 :])))


def _with_outputs(program: Program, outputs: tuple[Atom, ...]) -> Program:
    return program.replace(graph=remove_dead(program.graph.replace(outputs=outputs)))


def _without_inputs(program: Program) -> Iterator[Program]:
    """Without all inputs that nothing reads, or one of them."""
    graph = program.graph
    read = {a for e in graph.eqns for a in e.inputs} | set(graph.outputs)
    unread = [i for i, v in enumerate(graph.inputs) if v not in read]
    for gone in ([unread] if len(unread) > 1 else []) + [[i] for i in unread]:
        keep = [i for i in range(len(graph.inputs)) if i not in gone]
        yield program.replace(
            graph=graph.replace(inputs=tuple(graph.inputs[i] for i in keep)),
            args=tuple(program.args[i] for i in keep),
            donated=tuple(program.donated[i] for i in keep),
        )


def _cut(program: Program, at: int) -> Program:
    """The results of an equation as inputs."""
    graph = program.graph
    results = graph.eqns[at].outputs
    with np.errstate(all="ignore"):
        values = evaluate(graph.replace(outputs=results), program.args)
    new = graph.replace(inputs=(*graph.inputs, *results), eqns=graph.eqns[:at] + graph.eqns[at + 1 :])
    return program.replace(
        graph=new, args=(*program.args, *map(np.array, values)), donated=(*program.donated, *[False] * len(results))
    )


def _smaller_bodies(eqn: Eqn) -> Iterator[Eqn]:
    """The equation with one equation of one of its Graphs replaced by zeros; loops that count go on counting."""
    for graph in subgraphs(eqn.params):
        if graph is eqn.params.get("cond") or len(graph.eqns) > 200:
            continue
        for i, inner in enumerate(graph.eqns):
            if eqn.primitive.name == "while" and graph.outputs[0] in inner.outputs:
                continue
            yield from (_with_body(eqn, graph, i, new) for new in _replacements(inner))


def _replacements(eqn: Eqn) -> Iterator[tuple[Eqn, ...]]:
    if eqn.primitive is not broadcast_in_dim_p or not isinstance(eqn.inputs[0], Literal):
        yield tuple(map(_zeros, eqn.outputs))
    yield from ((smaller,) for smaller in _smaller_bodies(eqn))


def _zeros(var: Var) -> Eqn:
    zero = Literal(np.zeros((), var.aval.dtype), Aval((), var.aval.dtype))
    return Eqn(broadcast_in_dim_p, (zero,), (var,), {"shape": var.aval.shape, "broadcast_dimensions": ()})


def _with_body(eqn: Eqn, graph: Graph, at: int, new: tuple[Eqn, ...]) -> Eqn:
    changed = graph.replace(eqns=graph.eqns[:at] + new + graph.eqns[at + 1 :])
    alive = remove_dead(changed)
    return eqn.replace(params=map_subgraphs(eqn.params, lambda g: alive if g is graph else g))
