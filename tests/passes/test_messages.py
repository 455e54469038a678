"""Sums over processes that do not need one another go as one; the order of everything else that matters is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.core.check import check_graph
from anejax.core.graph import Graph
from anejax.ops.processes import process_sum
from anejax.passes.messages import join_sums

X = np.arange(3, dtype=np.float32)


def total(x: Any) -> Any:
    return process_sum([x])[0]


def joined(f: Callable[..., Any], *args: Any) -> Graph:
    graph = join_sums(aj.jit(f).trace(*args).graph)
    check_graph(graph, "after join_sums")
    return graph


def names(graph: Graph) -> list[str]:
    return [e.primitive.name for e in graph.eqns]


def test_sums_of_a_tree_become_one_after_all_that_makes_them() -> None:
    def f(x):
        a = total(x + 1)
        b = total(x * 2)
        c = total(x - 3)
        return a, b + a, c

    graph = joined(f, X)
    assert names(graph) == ["add", "mul", "sub", "process_sum", "add"]
    assert len(graph.eqns[3].inputs) == 3
    for ours, right in zip(aj.jit(f)(X), (X + 1, 3 * X + 1, X - 3), strict=True):
        np.testing.assert_array_equal(ours, right)


def test_sums_that_need_others_stay_behind_them() -> None:
    def f(x):
        a = total(x)
        b = total(jnp.tanh(a))
        c = total(x * 2)
        return total(b), c, total(a)

    graph = joined(f, X)
    sums = [len(e.inputs) for e in graph.eqns if e.primitive.name == "process_sum"]
    assert sums == [2, 2, 1]
    a, b, c = X, np.tanh(X), X * 2
    for ours, right in zip(aj.jit(f)(X), (b, c, a), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-6)


def test_dtypes_go_apart() -> None:
    f = lambda x, n: (total(x), total(n), total(x + 1), total(n + 1))  # noqa: E731
    graph = joined(f, X, np.arange(2))
    kinds = [[str(v.aval.dtype) for v in e.outputs] for e in graph.eqns if e.primitive.name == "process_sum"]
    assert kinds == [["float32"] * 2, ["int32"] * 2]


def test_what_prints_stays_behind_the_sum_that_was_in_front_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x):
        a = total(x)
        aj.debug.print("first {}", x.sum())
        b = total(x + 1)
        aj.debug.print("second {}", (x * 2).sum())
        return a + b

    found = names(joined(f, X))
    prints = [i for i, name in enumerate(found) if name.startswith("debug")]
    assert len(prints) == 2 and found.index("process_sum") < prints[0]
    assert found.count("process_sum") == 1
    np.testing.assert_array_equal(aj.jit(f)(X), 2 * X + 1)
    assert capsys.readouterr().out == "first 3.0\nsecond 6.0\n"


def test_what_has_nothing_to_join_is_left_alone() -> None:
    for f in (lambda x: x + 1, lambda x: total(x) + 1, lambda x: total(total(x))):
        graph = aj.jit(f).trace(X).graph
        assert join_sums(graph) is graph
