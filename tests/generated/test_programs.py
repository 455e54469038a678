"""Random programs under random towers of transformations, against jax on the same program."""

from __future__ import annotations

import zlib
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answers import answers
from tests.generated.draw import Hypothesis, Seeded, Source
from tests.generated.judge import close
from tests.generated.libraries import JAX, OURS
from tests.generated.programs import ENDS, ROWS, WRAPS, Program, program, tower, transformed
from tests.generated.running import Clock, examples

ULPS = 64  # of the greatest element: some hundred operations in a chain


def assert_agrees(steps: Program, wraps: tuple[str, ...], end: str, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-1, 1, 4).astype(np.float32)

    def of_jax(values: np.ndarray) -> Any:
        live = lambda: [jax.jit(transformed(JAX, steps, wraps, end))(values)]  # noqa: E731
        functions = steps.parts(), [WRAPS[w] for w in wraps], ENDS[end]
        return answers(live, transformed, Program.__call__, steps, functions, values)[0]

    def exact() -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(of_jax(x.astype(np.float64)))

    theirs = np.asarray(of_jax(x))
    ours = transformed(OURS, steps, wraps, end)(OURS.np.asarray(x))
    assert ours.dtype == theirs.dtype
    close(ours, theirs, exact, ULPS, float(np.abs(theirs).max(initial=1.0)), "value")


@pytest.mark.parametrize("end", ENDS)
def test_agrees_with_jax(end: str) -> None:
    source: Source = Seeded(zlib.crc32(end.encode()))
    assert_agrees(program(source, 4), tower(source, 2), end, source.integer(1, 9999))


@pytest.mark.long
@pytest.mark.parametrize("end", ENDS)
def test_many_agree_with_jax(end: str, clock: Clock) -> None:
    @examples
    @given(st.data())
    def agrees(data: st.DataObject) -> None:
        source = Hypothesis(data.draw)
        drawn = program(source, 8), tower(source, 3), end, source.integer(1, 9999)
        if clock.runs():
            with clock:
                assert_agrees(*drawn)

    agrees()


def _of_both(steps: Program, wraps: tuple[str, ...]) -> Any:
    """A function of a dictionary: the program of its two entries, in a container that has keys too."""

    def function(tree: Any) -> Any:
        value = transformed(OURS, steps, wraps, "value")(tree["b"] * 0.5 + tree["a"]["d"])
        return value + OURS.np.sum(tree["a"]["c"] * tree["b"])

    return function


ORDERS = {
    "value": lambda f: lambda tree: {"z": f(tree), "y": tree},
    "jit": lambda f: OURS.t.jit(lambda tree: {"z": f(tree), "y": tree}),
    "grad": lambda f: OURS.t.grad(f),
    "jit grad": lambda f: OURS.t.jit(OURS.t.grad(f)),
    "jacfwd": lambda f: OURS.t.jacfwd(f),
    "vjp": lambda f: lambda tree: OURS.t.vjp(f, tree)[1](OURS.np.float32(1))[0],
    "linearize": lambda f: lambda tree: OURS.t.linearize(f, tree)[1](tree),
    "checkpoint": lambda f: lambda tree: OURS.t.grad(OURS.t.checkpoint(f))(tree),
    "scan": lambda f: lambda tree: OURS.lax.scan(lambda c, v: (c, {"z": f(c) * v, "y": c}), tree, ROWS[0]),
    "cond": lambda f: lambda tree: OURS.lax.cond(f(tree) > 0, lambda t: t, lambda t: {"b": t["b"], "a": t["a"]}, tree),
    "vmap": lambda f: lambda tree: OURS.t.vmap(lambda r: {"z": f(tree) * r, "y": tree})(ROWS[0]),
}  # fmt: skip


def _in_order(tree: Any) -> bool:
    """Whether every dictionary in a tree has its keys in order."""
    if isinstance(tree, dict):
        return [*tree] == sorted(tree) and all(map(_in_order, tree.values()))
    return not isinstance(tree, (tuple, list)) or all(map(_in_order, tree))


@pytest.mark.parametrize("form", ORDERS)
def test_the_order_of_dictionaries_does_not_matter(form: str) -> None:
    """Whatever order keys went in with: they come out sorted where jax sorts them, with the same values."""
    source: Source = Seeded(zlib.crc32(form.encode()))
    f = _of_both(program(source, 3), tower(source, 1))
    b, c, d = (np.float32(r) for r in ROWS)
    ordered = {"a": {"c": c, "d": d}, "b": b}
    results = [ORDERS[form](f)(tree) for tree in (ordered, {"b": b, "a": {"d": d, "c": c}})]
    (one, spec), (two, other) = map(OURS.t.tree.flatten, results)
    assert spec == other and all((np.asarray(x) == np.asarray(y)).all() for x, y in zip(one, two, strict=True))
    if form != "value":  # which hands the user's own dictionary through
        assert all(map(_in_order, results))
