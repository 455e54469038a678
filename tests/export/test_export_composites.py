"""Functions that keep their names on the way to Core ML: their operations there, and what coremltools computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.export.coreml_program import entry
from tests.export.evaluate import Package

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def layer(made: nn.Layer, x: np.ndarray) -> tuple[Callable[..., Any], tuple[Any, ...], Any]:
    """Its inference, with parameters that are not those of a beginning."""
    params, state = made.init(aj.random.key(0), x)
    moved = aj.tree.map(lambda w: w + normal(*w.shape) / 4, params)
    return (lambda p, x: made.apply(p, state, x)[0]), (x,), moved


def attention(scale: float | None = None, **options: Any) -> Callable[..., Any]:
    return lambda p, q, k, v: nn.dot_product_attention(q, k, v, scale=scale, **options)


X, WIDE = normal(2, 5, 7), 30 * normal(3, 4, 11)
Q, K, V = normal(2, 5, 4, 3), normal(2, 6, 4, 3), normal(2, 6, 4, 3)
SHARED = (Q, K[:, :, :2], V[:, :, :2])
BIAS, MASK = normal(4, 5, 6), RNG.integers(0, 2, (2, 1, 5, 6)).astype(bool) | np.eye(5, 6, dtype=bool)

# (function of parameters and inputs, inputs, parameters), and the operation that there must be
CASES: dict[str, tuple[str, Any]] = {
    "softmax": ("softmax", (lambda p, x: nn.softmax(x), (WIDE,), ())),
    "softmax of the first axis": ("softmax", (lambda p, x: nn.softmax(x, 0), (X,), ())),
    "softmax by vmap": ("softmax", (lambda p, x: aj.vmap(lambda v: nn.softmax(v, 0), 1, 1)(x), (X,), ())),
    "log_softmax": ("reduce_log_sum_exp", (lambda p, x: nn.log_softmax(x, 1), (WIDE,), ())),
    "gelu": ("gelu", (lambda p, x: nn.gelu(x), (X,), ())),
    "gelu, exact": ("gelu", (lambda p, x: nn.gelu(x, False), (X,), ())),
    "silu by vmap": ("silu", (lambda p, x: aj.vmap(nn.silu, 2)(x), (X,), ())),
    "layer norm": ("layer_norm", layer(nn.LayerNorm(), X)),
    "layer norm, scale": ("layer_norm", layer(nn.LayerNorm(bias=False), X)),
    "layer norm, bias": ("layer_norm", layer(nn.LayerNorm(scale=False), WIDE)),
    "layer norm, plain": ("layer_norm", layer(nn.LayerNorm(scale=False, bias=False, eps=0.5), X[0, 0])),
    "layer norm, scale computed": ("layer_norm", (
        lambda p, x, s: nn.LayerNorm().apply({"scale": 2 * s, "bias": s}, (), x)[0], (X, normal(7)), ())),
    "rms norm": ("l2_norm", layer(nn.RMSNorm(), WIDE)),
    "rms norm, plain": ("l2_norm", layer(nn.RMSNorm(scale=False, eps=0.1), X[0])),
    "attention": ("scaled_dot_product_attention", (attention(), (Q, K, V), ())),
    "attention, causal": ("scaled_dot_product_attention", (attention(0.3, is_causal=True), (Q, K, V), ())),
    "attention, shared heads": ("scaled_dot_product_attention", (attention(is_causal=True), SHARED, ())),
    "attention, bias": ("scaled_dot_product_attention", (attention(bias=BIAS), (Q, K, V), ())),
    "attention, all": ("scaled_dot_product_attention", (attention(bias=BIAS, mask=MASK), SHARED, ())),
    "attention, nothing seen": ("scaled_dot_product_attention", (
        attention(mask=np.zeros((5, 6), bool)), (Q, K, V), ())),
    "attention by vmap": ("scaled_dot_product_attention", (
        lambda p, q, k, v: aj.vmap(attention(mask=MASK[0]), (None, 0, 0, 0))(p, q, k, v),
        (Q[:, None], K[:, None], V[:, None]), ())),
    "lstm": ("lstm", layer(nn.LSTM(6), X)),
    "lstm, no bias": ("lstm", layer(nn.LSTM(3, bias=False), X)),
    "lstm, reverse": ("lstm", layer(nn.LSTM(4, reverse=True), X)),
    "lstm cell": ("lstm", layer(nn.LSTMCell(6), X[0])),
}  # fmt: skip


def operations(function: Callable[..., Any], args: Any, params: Any = ()) -> list[str]:
    exported = aj.export.Function(lambda p, *xs: function(p, *xs), *args, params=params)
    return [op.name for op in entry(exported, None, {}).program.main.ops]


def test_core_ml_gets_its_own_operations(tmp_path: Path) -> None:
    functions, wanted, given = {}, {}, {}
    for i, (name, (operation, (function, args, params))) in enumerate(CASES.items()):
        found = operations(function, args, params)
        assert operation in found and not {"exp", "tanh", "sigmoid", "rsqrt"} & {*found}, (name, found)
        inputs = [f"x{j}" for j in range(len(args))]
        call = lambda p, *xs, function=function: function(p, *xs)  # noqa: E731
        functions[f"f{i}"] = aj.export.Function(call, *args, params=params, inputs=inputs, outputs=["y"])
        wanted[f"f{i}"], given[f"f{i}"] = function(params, *args), dict(zip(inputs, args))
    package = Package(aj.export.coreml(functions, path=tmp_path / "f.mlpackage"))
    for (name, _), key in zip(CASES.items(), functions):
        got, want = package(given[key], key)["y"], np.asarray(wanted[key], np.float64)
        assert got.shape == want.shape and np.isfinite(want).all(), name
        assert np.abs(got - want).max() <= 16 * np.finfo(np.float32).eps * max(1, np.abs(want).max()), name


PARTS: dict[str, tuple[Any, Any]] = {
    "float16": (lambda p, x: nn.gelu(x), (normal(3).astype(np.float16),)),
    "two axes": (lambda p, x: nn.softmax(x, (0, 1)), (X,)),
    "masked": (lambda p, x, m: nn.softmax(x, where=m > 0), (X, X)),
    "weights as inputs": (lambda p, w, x: nn.LSTM(1, bias=False).apply(w, (), x)[0],
                          ({"w": normal(7, 4), "u": normal(1, 4)}, X)),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_what_core_ml_has_no_operation_for_is_its_parts(name: str) -> None:
    found = operations(*PARTS[name])
    assert not {"gelu", "softmax", "lstm"} & {*found} and {"exp", "tanh"} & {*found}


def test_gradients_are_of_the_parts_and_their_values_of_the_whole() -> None:
    found = operations(lambda p, x: aj.grad(lambda v: jnp.sum(nn.softmax(v) ** 2))(x), (X,))
    assert found.count("softmax") == 1


def test_a_scan_holds_whole_operations() -> None:
    found = operations(lambda p, x: lax.scan(lambda c, v: (nn.silu(c + v), c), x[0], x)[0], (X,))
    assert found.count("silu") == 2 and "sigmoid" not in found
