"""Splits an optimized Graph into the program that a device runs and the outputs that Python fills in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.passes.effects import lift_effects
from anejax.passes.pipeline import optimize

# The source of one output of a Graph: ("run", index of a program output), ("input", index), ("const", array)
Route = tuple[str, Any]


@dataclass(frozen=True, eq=False)
class Effect:
    """An equation that happens after the run, and where its operands are; ``avals`` are theirs before the passes."""

    eqn: Eqn
    avals: list[Aval]
    routes: list[Route]


@dataclass(frozen=True, eq=False)
class Prepared:
    """An optimized Graph, split into the program that a device runs and the work around it.

    Attributes:
        graph: optimized, with effects on its own level.
        program: what the device runs: inputs that are read, outputs that are computed, each once. It may be empty.
        inputs: the indices of the program's inputs among those of ``graph``.
        routes: of each output of ``graph``.
        effects: in order; they take their operands from extra outputs of the program.
    """

    graph: Graph
    program: Graph
    inputs: list[int]
    routes: list[Route]
    effects: list[Effect]


def prepare(graph: Graph, engine: bool = False) -> Prepared:
    """``graph`` ready for a device, or to be divided for the engine, with the calls that it has an operation for."""
    calls = "ane" if engine else "cpu"
    graph = lift_effects(graph, calls)
    avals = [[a.aval for a in e.inputs] for e in graph.eqns if e.primitive.effect]
    graph = optimize(graph, calls=calls)
    pure = graph.replace(eqns=tuple(e for e in graph.eqns if not e.primitive.effect))
    results: list[Atom] = []
    routes = [_route(pure, results, a) for a in graph.outputs]
    effects = [
        Effect(e, seen, [_route(pure, results, a) for a in e.inputs])
        for e, seen in zip((e for e in graph.eqns if e.primitive.effect), avals)
    ]
    used = _used(pure, results)
    inputs = [i for i, v in enumerate(graph.inputs) if v in used]
    program = pure.replace(inputs=tuple(graph.inputs[i] for i in inputs), outputs=tuple(results))
    return Prepared(graph, program, inputs, routes, effects)


def _route(graph: Graph, results: list[Atom], atom: Atom) -> Route:
    if isinstance(atom, Literal):
        return "const", DeviceArray(atom.aval, np.asarray(atom.value))
    if atom in graph.inputs:
        return "input", graph.inputs.index(atom)
    if atom not in results:
        results.append(atom)
    return "run", results.index(atom)


def _used(graph: Graph, results: Sequence[Atom]) -> set[Var]:
    used = {a for e in graph.eqns for a in e.inputs if isinstance(a, Var)}
    return used | {a for a in results if isinstance(a, Var)}
