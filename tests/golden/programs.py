"""The small networks whose Graphs and MIL texts are kept as golden files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax


def cross_entropy(logits: Any, labels: Any) -> Any:
    shifted = logits - jnp.max(logits, axis=-1, keepdims=True)
    log_sum = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True))
    return -jnp.sum((shifted - log_sum) * labels) / logits.shape[0]


def mlp(params: Any, x: Any, labels: Any) -> Any:
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    return cross_entropy(hidden @ params["w2"] + params["b2"], labels)


def cnn(params: Any, x: Any, labels: Any) -> Any:
    h = lax.conv_general_dilated(x, params["k1"], (1, 1), "SAME")
    h = jnp.maximum(h + params["b1"][:, None, None], 0)
    h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    h = jnp.maximum(lax.conv_general_dilated(h, params["k2"], (2, 2), [(1, 1), (1, 1)]), 0)
    h = lax.reduce_window(h, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID") / 4
    return cross_entropy(h.reshape(h.shape[0], -1) @ params["w"], labels)


def _normal(seed: int, **shapes: tuple[int, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {k: (rng.standard_normal(s) * 0.3).astype(np.float32) for k, s in shapes.items()}


def _labels(rows: int) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[np.arange(rows) % 3]


MLP_ARGS = (_normal(0, w1=(5, 4), b1=(4,), w2=(4, 3), b2=(3,)), _normal(1, x=(6, 5))["x"], _labels(6))
CNN_ARGS = (
    _normal(2, k1=(4, 2, 3, 3), b1=(4,), k2=(6, 4, 3, 3), w=(24, 3)),
    _normal(3, x=(2, 2, 16, 16))["x"],
    _labels(2),
)

PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "mlp_forward": (mlp, MLP_ARGS),
    "mlp_backward": (aj.value_and_grad(mlp), MLP_ARGS),
    "cnn_forward": (cnn, CNN_ARGS),
    "cnn_backward": (aj.value_and_grad(cnn), CNN_ARGS),
}
