"""What is computed along a long axis in parts is what is computed at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim
from anejax.config import config
from anejax.core.check import check_graph
from anejax.coreai import asset
from anejax.engine.graphs import program_graph
from anejax.partition import partition, plan
from anejax.passes import long_axes
from anejax.passes.long_axes import InParts, in_parts
from anejax.passes.pipeline import optimize
from anejax.transforms.evaluate import eval_graph
from tests.partition.run import run_plan

WIDTH, ROWS = 6, 5


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Axes from 16 on are long, and parts have at most 32 elements."""
    monkeypatch.setattr(long_axes, "LONG", 16)
    monkeypatch.setattr(long_axes, "PART", 32)
    with config.override("check", True):
        yield


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def labels_of(n: int, *wrong: int) -> np.ndarray:
    found = np.random.default_rng(1).integers(0, n, ROWS).astype(np.int32)
    found[: len(wrong)] = wrong
    return found


def integer_labels(w: Any, b: Any, x: Any, labels: Any) -> Any:
    return jnp.mean(optim.softmax_cross_entropy_with_integer_labels(x @ w.T + b, labels))


def of_log_softmax(w: Any, b: Any, x: Any, labels: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(x @ w.T + b), labels[:, None], axis=-1))


def one_hot(w: Any, b: Any, x: Any, labels: Any) -> Any:
    return jnp.mean(optim.softmax_cross_entropy(x @ w.T + b, nn.one_hot(labels, w.shape[0])))


def clipped(w: Any, b: Any, x: Any, labels: Any) -> Any:
    return jnp.sum(jnp.take_along_axis(x @ w.T + b, labels[:, None], axis=1, mode="clip") ** 2)


def in_batches(w: Any, b: Any, x: Any, labels: Any) -> Any:
    x, labels = x.reshape(1, ROWS, 1, WIDTH), labels.reshape(1, ROWS, 1)
    return jnp.sum(optim.softmax_cross_entropy_with_integer_labels(jnp.einsum("abcd,ed->abce", x, w), labels) + b[0])


def rows_first(w: Any, b: Any, x: Any, labels: Any) -> Any:
    return jnp.sum(jnp.take_along_axis(nn.softmax(w @ x.T, axis=0) + b[:, None], labels[None], axis=0))


def tied(w: Any, b: Any, x: Any, labels: Any) -> Any:
    """The weight is the embedding as well, and its largest logit is counted."""
    logits = (x + w[labels]) @ w.T
    return jnp.mean(optim.softmax_cross_entropy_with_integer_labels(logits, labels)) + jnp.sum(jnp.max(logits, -1))


def masked(w: Any, b: Any, x: Any, labels: Any) -> Any:
    keep = jnp.arange(w.shape[0]) % 3 > 0
    return jnp.sum(nn.logsumexp(jnp.where(keep, x @ w.T, -jnp.inf), axis=-1) * jnp.min(x @ w.T + b, -1))


LOSSES = (integer_labels, of_log_softmax, one_hot, clipped, in_batches, rows_first, tied, masked)


def cut(f: Any, *args: Any) -> tuple[Any, InParts]:
    graph = optimize(aj.make_jaxpr(f)(*args).graph)
    found = in_parts(graph, 1 << 16, 1 << 30)
    assert found is not None
    check_graph(found.graph)
    return graph, found


def assert_same(graph: Any, found: InParts, args: Any) -> None:
    arrays = [*map(jnp.asarray, aj.tree.leaves(args))]
    for a, b in zip(eval_graph(graph, arrays), eval_graph(found.graph, arrays), strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=2e-5, atol=2e-5 * max(1, np.abs(a).max()))


@pytest.mark.parametrize("n", [33, 64, 97, 130])
@pytest.mark.parametrize("loss", LOSSES)
def test_is_the_same(loss: Any, n: int, short: None) -> None:
    args = (normal(n, WIDTH), normal(n, seed=2), normal(ROWS, WIDTH, seed=3), labels_of(n, n - 1, 0, 31))
    graph, found = cut(aj.value_and_grad(loss, argnums=(0, 1, 2)), *args)
    assert_same(graph, found, args)
    longest = max(max(v.aval.shape, default=0) for i, e in enumerate(found.graph.eqns) if i not in found.borders
                  for v in e.outputs if e.primitive.name in ("dot_general", "exp", "eq", "select_n"))  # fmt: skip
    assert longest <= 32 or loss in (one_hot, masked)  # whose masks of numbers are made as one


@pytest.mark.parametrize("wrong", [(-1, -33), (33, 1 << 20), (-(1 << 31), (1 << 31) - 1)])
@pytest.mark.parametrize("loss", [integer_labels, of_log_softmax, clipped])
def test_labels_out_of_bounds(loss: Any, wrong: tuple[int, int], short: None) -> None:
    args = (normal(33, WIDTH), normal(33, seed=2), normal(ROWS, WIDTH, seed=3), labels_of(33, *wrong))
    assert_same(*cut(aj.value_and_grad(loss, argnums=(0, 1, 2)), *args), args)


def test_infinite_logits_are_picked(short: None) -> None:
    w = normal(40, WIDTH)
    b = np.where(np.arange(40) % 2, -np.inf, 0).astype(np.float32)
    args = (w, b, normal(ROWS, WIDTH), np.array([0, 2, 38, 4, 39], np.int32))
    assert_same(*cut(integer_labels, *args), args)


def test_short_axes_stay_whole() -> None:
    args = (normal(100, WIDTH), normal(100), normal(ROWS, WIDTH), labels_of(100))
    assert in_parts(optimize(aj.make_jaxpr(integer_labels)(*args).graph), 1 << 16, 1 << 30) is None


def test_activations_stay_whole(short: None) -> None:
    """Rows are no axis of a weight, however many there are."""
    graph = optimize(aj.make_jaxpr(lambda x, w: jnp.tanh(jnp.tanh(x) @ w))(normal(100, 4), normal(4, 4)).graph)
    assert in_parts(graph, 1 << 16, 1 << 30) is None


@pytest.mark.parametrize("chip", ["M1", "M4"])
def test_a_large_vocabulary_is_the_engines(chip: str) -> None:
    """Also where no axis may be as long, and without the logits crossing."""
    n = 20000
    args = (normal(n, 32) / 4, normal(n) / 4, normal(64, 32), np.arange(64, dtype=np.int32) * 311)
    graph = optimize(aj.make_jaxpr(aj.value_and_grad(integer_labels, argnums=(0, 1, 2)))(*args).graph)
    found = partition(graph, chip, by_cost=False)
    heavy = [r for e, r in zip(found.source.eqns, found.reasons) if e.primitive.name in ("dot_general", "exp")]
    assert heavy and set(heavy) == {None}
    assert plan.JOINED in found.reasons
    engine = [s for s in found.segments if s.device == "ane"]
    assert len(engine) == 2  # the last is the mean alone
    assert sum(v.aval.size for s in engine for v in (*s.graph.inputs, *s.outputs)) < 2.2 * n * 33
    arrays = [*map(jnp.asarray, args)]
    for got, want in zip(run_plan(found, arrays), eval_graph(graph, arrays), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=0, atol=4e-3 * np.abs(want).max())


@pytest.mark.parametrize("chip", ["M1", "M4"])
def test_weights_that_are_constants(chip: str) -> None:
    """Their parts are constants. A softmax that keeps its name is taken apart where it is along the axis alone."""
    w, b = jnp.asarray(normal(20000, 32) / 4), jnp.asarray(normal(20000, seed=1))
    f = aj.jit(lambda x: nn.softmax(nn.softmax(x) @ w.T + b), constants=(w, b))
    x = normal(8, 32, seed=2)
    found = partition(program_graph(f, x)[0], chip, by_cost=False)
    operations = [op.name for program in found.programs for op in program.main.ops]
    assert operations.count("softmax") == 1 and operations.count("matmul") >= 1
    assert {r for r in found.reasons if r} <= {plan.JOINED}
    idle = partition(program_graph(f, x)[0], chip)  # where the CPU device is faster, it has no parts
    assert not idle.programs and not any(e.primitive.name == "concatenate" for e in idle.source.eqns)
    want = np.asarray(nn.softmax(nn.softmax(x) @ w.T + b))
    with config.override("chip", chip):
        got = np.asarray(aj.jit(f, precision="fp16")(x))
    assert 0 < np.linalg.norm(got - want) <= 8 * 2.0**-11 * np.linalg.norm(want)


def assert_near(bound: float, **how: Any) -> None:
    """On a device of the engine's, 20,000 classes are within ``bound`` roundings of float32, loss and gradients."""
    n = 20000
    args = (normal(n, 16) / 2, normal(n) / 4, normal(24, 16, seed=5), np.arange(24, dtype=np.int32) * 831)
    step = aj.value_and_grad(integer_labels, argnums=(0, 1, 2))
    expected = aj.jit(step, device="cpu")(*args)
    with config.override("chip", "M1"), config.override("engine_fallback", "error"):
        jitted = aj.jit(step, **how)
        got = jitted(*args)
    for a, b in zip(aj.tree.leaves(got), aj.tree.leaves(expected), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert 0 < np.linalg.norm(a - b) <= bound * 2.0**-11 * np.linalg.norm(b)


def test_on_the_engines_numerics() -> None:
    assert_near(8, precision="fp16")


def test_on_the_stand_in(espresso: Path) -> None:
    with config.override("engine_partition", "all"):
        assert_near(8, device="ane")


@pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
def test_on_core_ai() -> None:
    """Whose runtime for the CPU adds in float16, 20,000 terms of the gradient of x among them."""
    assert_near(160, device="coreai")
