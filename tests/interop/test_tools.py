"""What comes of ``from_jax`` is explained, profiled and exported as functions of anejax are, by the layers of Flax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest

import anejax as aj
from anejax import export, profiler

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(16, 8)).astype(np.float32), RNG.integers(0, 3, 16)


class Net(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.relu(linen.Dense(32, name="hidden")(x))
        return linen.Dense(3, name="head")(linen.LayerNorm(name="norm")(x))


NET, OPTIMIZER = Net(), optax.adamw(1e-2)


def step(params: Any, opt: Any, x: Any, y: Any) -> Any:
    """A whole train step: jax differentiates, optax updates."""
    loss = lambda p: optax.softmax_cross_entropy_with_integer_labels(NET.apply(p, x), y).mean()  # noqa: E731
    value, grads = jax.value_and_grad(loss)(params)
    updates, opt = OPTIMIZER.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt, value


@pytest.fixture(scope="module")
def held() -> tuple[Any, Any]:
    params = NET.init(jax.random.key(0), X)
    return params, OPTIMIZER.init(params)


def test_a_step_is_explained_and_profiled(held: Any) -> None:
    ours = aj.from_jax(step)
    text = str(aj.explain(aj.jit(ours, device="ane"), *held, X, Y, chip="M4"))
    assert "predicted" in text and "dispatch" in text
    run = aj.jit(ours)
    with profiler.profile() as found:
        for _ in range(2):
            aj.block_until_ready(run(*held, X, Y))
    layers = {row.name for row in found.rows("layer")}
    assert any("hidden" in name for name in layers) and any("head" in name for name in layers), layers


def test_a_network_is_exported_to_core_ml(held: Any, tmp_path: Path) -> None:
    forward = aj.from_jax(NET.apply)
    params = aj.tree.map(aj.numpy.asarray, held[0])
    path = export.coreml(lambda x: forward(params, x), X, path=tmp_path / "net.mlpackage", inputs=["x"])
    assert (path / "Manifest.json").exists() and (path / "Data").is_dir()


def test_a_step_is_exported_to_core_ai_and_runs(held: Any, tmp_path: Path) -> None:
    pytest.importorskip("coreai", reason="pip install coreai-core")
    ours = aj.from_jax(step)
    args = aj.tree.map(aj.numpy.asarray, (*held, X, Y.astype(np.int32)))
    leaves, treedef = aj.tree.flatten(args)
    names = [f"x{i}" for i in range(len(leaves))]
    outputs = [f"y{i}" for i in range(len(leaves) - 1)]  # params, state and loss, without x and y
    flat = lambda *leaves: tuple(aj.tree.leaves(ours(*aj.tree.unflatten(treedef, leaves))))  # noqa: E731
    path = export.coreai(flat, *leaves, path=tmp_path / "step.aimodel", inputs=names, outputs=outputs)
    found = export.AIModel(path)({n: np.asarray(leaf) for n, leaf in zip(names, leaves)})
    for name, want in zip(outputs, flat(*leaves), strict=True):
        np.testing.assert_allclose(found[name], np.asarray(want), rtol=2e-4, atol=1e-6)
