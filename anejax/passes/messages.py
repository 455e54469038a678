"""Joins sums over processes that do not need one another.

    a' = process_sum a;  b' = process_sum b     ->     a' b' = process_sum a b

``tree.map(lambda g: lax.pmean(g, "batch"), grads)`` binds one sum for each gradient, in the order of the tree. All
processes must send in one order, so the gradient of the first layer, which the backward pass makes last, would hold
back all others. The native library sends the arrays of one sum in the order in which the program makes them, in
messages of about 25 MB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from anejax.core.graph import Eqn, Graph, Var, has_effects, subgraphs
from anejax.ops.processes import sum_p


def join_sums(graph: Graph) -> Graph:
    """``graph`` with one ``process_sum`` for all sums of one dtype that depend on equally many sums before them."""
    if sum(e.primitive is sum_p for e in graph.eqns) < 2:
        return graph
    stages: list[list[Eqn]] = [[]]  # stages[n]: the equations that need n sums one after another
    sums: list[dict[Any, list[Eqn]]] = [defaultdict(list)]
    stage_of: dict[Var, int] = {}
    for eqn in graph.eqns:
        is_sum = eqn.primitive is sum_p
        if _has_effect(eqn):  # it stays behind everything that was in front of it
            stage = len(stages) - 1
        else:
            stage = max((stage_of.get(a, 0) for a in eqn.inputs if isinstance(a, Var)), default=0)
        if is_sum:
            sums[stage][eqn.outputs[0].aval.dtype].append(eqn)
            if stage + 1 == len(stages):
                stages.append([])
                sums.append(defaultdict(list))
        else:
            stages[stage].append(eqn)
        stage_of.update((v, stage + is_sum) for v in eqn.outputs)
    if all(len(group) == 1 for groups in sums for group in groups.values()):
        return graph
    return graph.replace(eqns=tuple(_in_order(stages, sums)))


def _has_effect(eqn: Eqn) -> bool:
    return eqn.primitive.effect or any(map(has_effects, subgraphs(eqn.params)))


def _in_order(stages: list[list[Eqn]], sums: list[dict[Any, list[Eqn]]]) -> Iterator[Eqn]:
    for eqns, groups in zip(stages, sums, strict=True):
        yield from eqns
        for group in groups.values():
            inputs = tuple(a for e in group for a in e.inputs)
            outputs = tuple(v for e in group for v in e.outputs)
            yield group[0].replace(inputs=inputs, outputs=outputs)
