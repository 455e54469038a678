"""Of the functions that keep their names, the engine gets those that it has an operation for as that operation."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn
from anejax.config import config
from anejax.coreai import asset
from anejax.engine.graphs import program_graph
from anejax.errors import NumericsWarning
from anejax.partition import Plan, partition

UNIT = 2.0**-11
MOST = 8  # UNITs of the norm of each row


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers that float16 has."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float16).astype(np.float32)


def planned(f: Any, *args: Any, chip: str = "M1") -> Plan:
    return partition(program_graph(f, *args)[0], chip, by_cost=False)


def operations(f: Any, *args: Any) -> list[str]:
    return [op.name for program in planned(f, *args).programs for op in program.main.ops]


def layer(x: Any, w: Any) -> Any:
    return nn.softmax(x @ w, -1) @ w.T


def attended(q: Any, k: Any, v: Any) -> Any:
    return nn.dot_product_attention(q, k, v, is_causal=True)


def exact(x: np.ndarray, axis: int) -> np.ndarray:
    terms = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return terms / terms.sum(axis, keepdims=True)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_is_one_operation(axis: int) -> None:
    x = normal(3, 64, 32)
    assert operations(lambda x: nn.softmax(x, axis), x) == ["softmax"]
    assert operations(aj.vmap(lambda x: nn.softmax(x, axis % 2)), x) == ["softmax"]


def test_in_attention() -> None:
    q, k, v = (normal(2, 5, 3, 8, seed=i) for i in range(3))
    assert operations(attended, q, k, v).count("softmax") == 1
    expected = aj.jit(attended, device="cpu")(q, k, v)
    np.testing.assert_allclose(aj.jit(attended, precision="fp16")(q, k, v), expected, rtol=0, atol=8 * UNIT)


def test_its_derivative_reads_what_it_made() -> None:
    made = operations(aj.grad(lambda x: jnp.sum(nn.softmax(x) ** 2)), normal(4, 64))
    assert made.count("softmax") == 1 and "exp" not in made


@pytest.mark.parametrize("f", [
    nn.gelu, nn.silu, lambda x: nn.LayerNorm().apply(*nn.LayerNorm().init(None, x), x)[0],
    lambda x: nn.RMSNorm().apply(*nn.RMSNorm().init(None, x), x)[0], nn.log_softmax,
])  # fmt: skip
def test_others_are_their_parts(f: Any) -> None:
    """The engine's own are off by more, or are refused."""
    own = {"softmax", "gelu", "silu", "layer_norm", "l2_norm", "reduce_log_sum_exp"}
    assert own.isdisjoint(operations(f, normal(4, 64)))


def errors(x: np.ndarray, axis: int, **how: Any) -> float:
    """The largest error of a row, in UNITs of its norm."""
    got = np.asarray(aj.jit(lambda x: nn.softmax(x, axis), **how)(x), np.float64)
    want = exact(x, axis)
    return float(np.max(np.linalg.norm(got - want, axis=axis) / np.linalg.norm(want, axis=axis)) / UNIT)


@pytest.mark.parametrize("width", [1, 2, 7, 64, 767, 8192])
def test_rows_of_every_width_and_spread(width: int) -> None:
    for spread in (1e-3, 1, 30, 1000):
        x = (normal(3, width) * spread).astype(np.float16).astype(np.float32)
        assert errors(x, -1, precision="fp16") <= MOST, spread
    x[:, 0] = 60000
    assert errors(x, -1, precision="fp16") <= MOST


def test_on_the_stand_in(espresso: Path) -> None:
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        assert 0 < errors(normal(3, 64, 32), 1, device="ane") <= MOST


@pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
def test_on_core_ai() -> None:
    with config.override("engine_fallback", "error"):
        assert 0 < errors(normal(3, 64, 32), 1, device="coreai") <= MOST


def test_masks_are_bounded() -> None:
    """A softmax subtracts the greatest score from the mask, so the mask leaves room for that."""
    x, keep = normal(4, 64) * 1000, np.arange(64) % 3 > 0
    f = lambda x: nn.softmax(jnp.where(keep, x, -jnp.inf), -1)  # noqa: E731
    got = np.asarray(aj.jit(f, precision="fp16")(x))
    assert not got[:, ~keep].any()
    np.testing.assert_allclose(got.sum(-1), 1, rtol=4 * UNIT)
    g = aj.jit(lambda x, mask: nn.softmax(x + mask, -1), precision="fp16")
    with warnings.catch_warnings():
        warnings.simplefilter("error", NumericsWarning)  # a mask beyond float16 is no overflow
        assert not np.asarray(g(x, np.where(keep, 0, -1e9).astype(np.float32)))[:, ~keep].any()


def test_equal_layers_stay_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anejax.partition.plan.MAX_PROGRAM_OPS", 12)
    monkeypatch.setattr("anejax.partition.plan.DISPATCH_SHARE", 1e9)

    def network(x: Any, weights: Any) -> Any:
        for w in weights:
            x = x + jnp.tanh(layer(x, w)) * jnp.cos(x) - jnp.exp(x * 0.1)
        return x

    args = (normal(6, 16), [normal(16, 16, seed=i) / 4 for i in range(8)])
    found = planned(network, *args)
    assert found.compiled < len(found.programs) >= 4
    expected = aj.jit(network, device="cpu")(*args)
    got = aj.jit(network, precision="fp16")(*args)
    np.testing.assert_allclose(got, expected, rtol=0, atol=64 * UNIT * np.abs(expected).max())
