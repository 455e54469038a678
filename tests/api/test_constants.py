"""jit(f, constants=...): weights that never change are inside the engine's programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.config import config
from anejax.core.graph import Literal
from anejax.engine import estimate, explain
from anejax.models import cifar
from anejax.passes.freeze import freeze
from anejax.passes.pipeline import optimize


def network() -> tuple[Any, Any, np.ndarray]:
    model = cifar.network(4)
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
    return model, model.init(aj.random.key(0), x), x


@pytest.mark.parametrize("device", ["cpu", "cpu-fp16", "ane"])
@pytest.mark.usefixtures("espresso")
def test_the_same_results_on_each_device(device: str) -> None:
    model, (params, state), x = network()
    want = np.asarray(model.apply(params, state, x)[0])
    options: Any = (
        {"device": "ane"} if device == "ane" else {"precision": "fp16" if device == "cpu-fp16" else "float32"}
    )
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        f = aj.jit(lambda x: model.apply(params, state, x)[0], constants=(params, state), **options)
        for _ in range(2):
            np.testing.assert_allclose(f(x), want, atol=0.01 * np.abs(want).max())
        (executable,) = f.executables()
        assert len(executable._inputs) == (28 if device == "cpu" else 1)


def test_plans_have_them_inside() -> None:
    model, (params, state), x = network()
    apply = lambda x: model.apply(params, state, x)[0]  # noqa: E731
    frozen, plain = (estimate(aj.jit(apply, constants=c), x, chip="M5 Pro").total for c in ((params, state), ()))
    assert frozen.constant_bytes > 1e4 and frozen.border_bytes < plain.border_bytes / 2
    assert {n: c for n, c, *_ in frozen.by_operation()}["conv"] == 5
    inputs = explain(aj.jit(apply, constants=(params, state)), x, chip="M5 Pro").segments[0].inputs
    assert inputs == ("float32[2,3,32,32]",)


def test_what_follows_from_constants_is_computed_once() -> None:
    w = jnp.arange(1.0, 5.0)
    graph = optimize(aj.make_jaxpr(lambda x: x * lax.rsqrt(w.reshape(1, 4) + 1e-3))(jnp.ones((3, 4))).graph)
    frozen, left = freeze(graph, {0: w})
    assert left == [1] and [e.primitive.name for e in frozen.eqns] == ["broadcast_in_dim", "mul"]
    (factor,) = (a for a in frozen.eqns[0].inputs if isinstance(a, Literal))
    np.testing.assert_allclose(factor.value, 1 / np.sqrt(np.arange(1, 5)[None] + 1e-3), rtol=1e-6)


def test_known_conditions_choose() -> None:
    """jax's var has a NaN behind such a condition, which no engine takes."""
    graph = aj.make_jaxpr(lambda x: jnp.where(jnp.float32(3.0) - 1 > 0, x * 2, jnp.nan))(jnp.ones((3, 4))).graph
    assert [e.primitive.name for e in optimize(graph).eqns] == ["mul"]
    index = aj.make_jaxpr(lambda x, y: lax.select_n(jnp.int32(1), x, y))(jnp.ones(2), jnp.ones(2)).graph
    assert not optimize(index).eqns and optimize(index).outputs[0] is optimize(index).inputs[1]


def test_what_loops_read_stays_an_input() -> None:
    w = jnp.ones((3, 3))
    f = lambda x: lax.scan(lambda c, _: (c @ w, None), x, None, length=4)[0]  # noqa: E731
    graph = optimize(aj.make_jaxpr(f)(jnp.ones((3, 3))).graph)
    assert freeze(graph, {0: w}) == (graph, [0, 1])


@pytest.mark.usefixtures("espresso")
def test_constant_results_and_constants_of_zeros() -> None:
    zeros, w = jnp.zeros((4,)), jnp.full((4,), 2.0)
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        f = aj.jit(lambda x: (x * zeros, x + w, w * 3, w), device="ane", constants=(zeros, w))
        x = np.arange(8, dtype=np.float32).reshape(2, 4)
        for got, want in zip(f(x), (x * 0, x + 2, np.full(4, 6), np.full(4, 2))):
            np.testing.assert_array_equal(got, want)


def test_inside_transformations_they_are_inputs() -> None:
    w = jnp.ones((3,))
    f = aj.jit(lambda x: jnp.sum(x * w), constants=w)
    np.testing.assert_array_equal(aj.grad(f)(jnp.ones(3)), np.ones(3))
    np.testing.assert_array_equal(aj.vmap(f)(jnp.ones((2, 3))), [3, 3])
    assert "constant" not in aj.jit(f).lower(jnp.ones(3)).as_text("graph")


def test_mistakes() -> None:
    w = jnp.ones((3,))
    with pytest.raises(ValueError, match=r"\[jit\] expected constants to be arrays that f closes over"):

        @aj.jit
        def g(x: Any) -> Any:
            return x

        def f(x: Any) -> Any:
            return g(x)

        aj.jit(f, constants={"w": w})(w)
    with pytest.raises(TypeError, match=r"expected constants that are arrays of anejax, got ndarray as leaf 0"):
        aj.jit(lambda x: x, constants=[np.ones(3)])


def test_a_layer_with_frozen_weights_keeps_its_bias() -> None:
    model = nn.Conv1D(4, 3)
    x = jnp.ones((1, 2, 9))
    params, _ = model.init(aj.random.key(0), x)
    f = aj.jit(lambda x: model.apply(params, (), x)[0], precision="fp16", constants=params)
    np.testing.assert_allclose(f(x), model.apply(params, (), x)[0], atol=0.01)


def test_attention_by_frozen_weights() -> None:
    """The factor of the scores goes into the smaller operand, be it a constant."""
    rng = np.random.default_rng(0)
    w = jnp.asarray(rng.standard_normal((16, 8), np.float32))
    x = rng.standard_normal((4, 16)).astype(np.float16).astype(np.float32)
    f = aj.jit(lambda x: (x @ w) * 0.125, precision="fp16", constants=w)
    np.testing.assert_allclose(f(x), x @ np.asarray(w) * 0.125, atol=4e-3)


@pytest.mark.usefixtures("espresso")
def test_what_stays_off_the_engine_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with config.override("chip", "M4"):
        aj.jit(lambda x: jnp.tanh(x) * 3, device="ane")(jnp.ones((4, 4)))
    assert "nothing of the function goes to the engine. tanh: predicted to take" in caplog.text
