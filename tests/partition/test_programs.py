"""Segments that are alike are made once, and each keeps the marks of its own equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.core.graph import Graph
from anejax.engine.graphs import program_graph
from anejax.mil.text import to_text
from anejax.partition import programs
from anejax.partition.programs import Programs, engine_program
from anejax.passes.pipeline import optimize


def graph_of(f: Any, *args: Any) -> Graph:
    return optimize(aj.make_jaxpr(f)(*args).graph)


def layer(name: str, factor: float = 2.0) -> Any:
    def apply(x: Any, w: Any) -> Any:
        with aj.named_scope(name):
            return jnp.tanh(x @ w) * factor

    return apply


X, W = np.ones((3, 5), np.float32), np.ones((5, 5), np.float32)


@pytest.fixture
def legalized(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """The Graphs that were legalized."""
    seen: list[Graph] = []

    def noted(graph: Graph, chip: str) -> Any:
        seen.append(graph)
        return engine_program(graph, chip)

    monkeypatch.setattr(programs, "engine_program", noted)
    return seen


def test_equal_layers_are_made_once(legalized: list[Graph]) -> None:
    made = Programs("M4")
    graphs = [graph_of(layer(f"layer{i}"), X, W) for i in range(3)]
    found = [made.of(g) for g in graphs]
    assert len(legalized) == 1
    assert found[0].cost is found[2].cost
    for i, (graph, one) in enumerate(zip(graphs, found)):
        alone = engine_program(graph, "M4")
        assert to_text(one.program, marks=True) == to_text(alone, marks=True)
        assert {op.mark.path for op in one.program.main.ops} == {f"layer{i}"}
        assert made.of(graph).program is one.program or i > 0


def test_others_are_not(legalized: list[Graph]) -> None:
    """Another number, another shape, another order of operands, another result."""
    made = Programs("M4")
    functions = [layer("a"), layer("a", 3.0), lambda x, w: jnp.tanh(x @ w) * 2 + x, lambda x, w: (x @ w, 2 * x)]
    for f in functions:
        made.of(graph_of(f, X, W))
    made.of(graph_of(functions[0], X[:2], W))
    made.of(graph_of(lambda a, b: a @ b - b, W, W))
    made.of(graph_of(lambda a, b: a @ b - a, W, W))
    assert len(legalized) == len(functions) + 3


def test_marks_that_would_be_mixed_up(legalized: list[Graph]) -> None:
    """Two scopes that are one in the layer before: that layer's program would name one of them for both."""

    def two(first: str, second: str) -> Any:
        return lambda x, w: layer(second)(layer(first)(x, w), w)

    made = Programs("M4")
    made.of(graph_of(two("a", "a"), X, W))
    found = made.of(graph_of(two("b", "c"), X, W))
    assert len(legalized) == 2
    assert {op.mark.path for op in found.program.main.ops} == {"b", "c"}


def test_arrays_among_literals_are_told_apart(legalized: list[Graph]) -> None:
    made = Programs("M4")

    def frozen(seed: int) -> Any:
        params = jnp.asarray(np.random.default_rng(seed).standard_normal((5, 5), np.float32))
        plan = aj.jit(lambda x: x @ params, constants=params, device="cpu")
        return program_graph(plan, X)[0]

    graphs = [frozen(0), frozen(1)]
    texts = [to_text(made.of(g).program) for g in graphs]
    assert texts[0] != texts[1] and len(legalized) == 2
    made.of(graphs[0])
    assert len(legalized) == 2


def test_what_holds_graphs_is_made_anew(legalized: list[Graph]) -> None:
    made = Programs("M4")
    graph = graph_of(lambda x, w: lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, length=3)[0], X, W)
    texts = {to_text(made.of(graph).program) for _ in range(2)}
    assert len(texts) == 1 and len(legalized) == 2
