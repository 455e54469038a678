"""Every layer once: an example input, and what it computes, written in jax (run in float64)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from anejax import nn
from anejax.numpy import tanh as aj_tanh

Tree = Any


class Row(NamedTuple):
    layer: nn.Layer
    x: np.ndarray
    reference: Callable[[Tree, Any], Any]  # (params, x) -> y, with a fresh state and train=False
    smooth: bool = True  # has a derivative everywhere near x


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


IMAGES, SEQUENCES, ROWS, TIMES = normal(2, 4, 7, 6), normal(3, 4, 9), normal(5, 12), normal(2, 5, 8)
TOKENS = np.random.default_rng(1).integers(0, 7, (2, 3)).astype(np.int32)


def column(values: Any, axes: int) -> Any:
    return values.reshape((-1,) + (1,) * axes)


def conv(strides: tuple[int, ...], padding: Any, dilation: int = 1, groups: int = 1) -> Callable[..., Any]:
    def reference(p: Tree, x: Any) -> Any:
        y = lax.conv_general_dilated(
            x, p["w"], strides, padding, rhs_dilation=(dilation,) * len(strides), feature_group_count=groups
        )
        return y + column(p["b"], len(strides)) if "b" in p else y

    return reference


def conv_transpose(strides: tuple[int, ...], padding: Any) -> Callable[..., Any]:
    axes = "HW"[: len(strides)]

    def reference(p: Tree, x: Any) -> Any:
        numbers = (f"NC{axes}", f"IO{axes}", f"NC{axes}")
        y = lax.conv_transpose(x, p["w"], strides, padding, dimension_numbers=numbers)
        return y + column(p["b"], len(strides))

    return reference


def windows(x: Any, size: int, stride: int, reduce: Callable[..., Any]) -> Any:
    """Pooling of the spatial axes without padding, by indices."""
    for axis in range(2, x.ndim):
        count = (x.shape[axis] - size) // stride + 1
        index = np.arange(count)[:, None] * stride + np.arange(size)
        x = reduce(jnp.take(x, index, axis=axis), axis=axis + 1)
    return x


def adaptive(x: Any, sizes: tuple[int, ...], reduce: Callable[..., Any]) -> Any:
    """Window i of n is from floor(i L / n) to ceil((i + 1) L / n) (PyTorch's AdaptiveAvgPool)."""
    for axis, n in enumerate(sizes, 2):
        length = x.shape[axis]
        edges = [(int(np.floor(i * length / n)), int(np.ceil((i + 1) * length / n))) for i in range(n)]
        x = jnp.stack([reduce(jnp.take(x, np.arange(a, b), axis=axis), axis=axis) for a, b in edges], axis=axis)
    return x


def batch_norm(p: Tree, x: Any) -> Any:
    return x / jnp.sqrt(1 + 1e-5) * column(p["scale"], x.ndim - 2) + column(p["bias"], x.ndim - 2)


def group_norm(groups: int) -> Callable[..., Any]:
    def reference(p: Tree, x: Any) -> Any:
        g = x.reshape(x.shape[0], groups, -1)
        g = (g - g.mean(-1, keepdims=True)) / jnp.sqrt(g.var(-1, keepdims=True) + 1e-5)
        return g.reshape(x.shape) * column(p["scale"], x.ndim - 2) + column(p["bias"], x.ndim - 2)

    return reference


def layer_norm(p: Tree, x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]


def rms_norm(p: Tree, x: Any) -> Any:
    return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * p["scale"]


def turned(x: Any, base: float) -> Any:
    """Pairs of features as complex numbers, turned by their position."""
    angles = np.arange(x.shape[1])[:, None, None] * base ** (-np.arange(x.shape[-1] // 2) * 2 / x.shape[-1])
    real, imag = x[..., 0::2], x[..., 1::2]
    pair = [real * np.cos(angles) - imag * np.sin(angles), real * np.sin(angles) + imag * np.cos(angles)]
    return jnp.stack(pair, -1).reshape(x.shape)


def attention(heads: int, kv_heads: int, causal: bool, base: float | None) -> Callable[..., Any]:
    def reference(p: Tree, x: Any) -> Any:
        n, t, _ = x.shape
        q, k, v = ((x @ p[name]).reshape(n, t, count, -1) for name, count in zip("qkv", (heads, kv_heads, kv_heads)))
        if base is not None:
            q, k = turned(q, base), turned(k, base)
        k, v = (jnp.repeat(h, heads // kv_heads, axis=2) for h in (k, v))
        scores = jnp.einsum("nthd,nshd->nhts", q, k) / np.sqrt(q.shape[-1])
        if causal:
            scores = jnp.where(np.tril(np.ones((t, t), bool)), scores, -jnp.inf)
        return jnp.einsum("nhts,nshd->nthd", jax.nn.softmax(scores), v).reshape(n, t, -1) @ p["o"]

    return reference


def biased(heads: int) -> Callable[..., Any]:
    """Attention with biases, to itself."""

    def reference(p: Tree, x: Any) -> Any:
        n, t, _ = x.shape
        q, k, v = ((x @ p[c] + p[f"b{c}"]).reshape(n, t, heads, -1) for c in "qkv")
        scores = jnp.einsum("nthd,nshd->nhts", q, k) / np.sqrt(q.shape[-1])
        y = jnp.einsum("nhts,nshd->nthd", jax.nn.softmax(scores), v).reshape(n, t, -1)
        return y @ p["o"] + p["bo"]

    return reference


def block(p: Tree, x: Any) -> Any:
    x = x + biased(2)(p["attention"], layer_norm(p["attention_norm"], x))
    hidden = jax.nn.gelu(layer_norm(p["mlp_norm"], x) @ p["up"]["w"] + p["up"]["b"])
    return x + hidden @ p["down"]["w"] + p["down"]["b"]


def post_norm_block(p: Tree, x: Any) -> Any:
    x = layer_norm(p["attention_norm"], x + biased(2)(p["attention"], x))
    hidden = jnp.tanh(x @ p["up"]["w"] + p["up"]["b"])
    return layer_norm(p["mlp_norm"], x + hidden @ p["down"]["w"] + p["down"]["b"])


def swiglu(p: Tree, x: Any) -> Any:
    return (jax.nn.silu(x @ p["gate"]) * (x @ p["up"])) @ p["down"]


def rnn_step(p: Tree, h: Any, x: Any) -> tuple[Any, Any]:
    h = jnp.tanh(x @ p["w"] + h @ p["u"] + p.get("b", 0.0))
    return h, h


def lstm_step(p: Tree, carry: Any, x: Any) -> tuple[Any, Any]:
    h, c = carry
    z = x @ p["w"] + h @ p["u"] + p.get("b", 0.0)
    size = h.shape[-1]
    i, f, g, o = (z[:, n * size : (n + 1) * size] for n in range(4))
    c = c / (1 + jnp.exp(-f)) + jnp.tanh(g) / (1 + jnp.exp(-i))
    return (h := jnp.tanh(c) / (1 + jnp.exp(-o)), c), h


def gru_step(p: Tree, h: Any, x: Any) -> tuple[Any, Any]:
    size, a, b = h.shape[-1], x @ p["w"] + p.get("b", 0.0), h @ p["u"]
    r, z = (1 / (1 + jnp.exp(-(a + b)[:, n * size : (n + 1) * size])) for n in range(2))
    n = jnp.tanh(a[:, 2 * size :] + r * (b[:, 2 * size :] + p.get("bn", 0.0)))
    return (h := (1 - z) * n + z * h), h


def over_time(step: Callable[..., Any], hidden: int, pair: bool = False, reverse: bool = False) -> Callable[..., Any]:
    def reference(p: Tree, x: Any) -> Any:
        zero = jnp.zeros((x.shape[0], hidden))
        carry, ys = (zero, zero) if pair else zero, []
        for t in range(x.shape[1])[:: -1 if reverse else 1]:
            carry, y = step(p, carry, x[:, t])
            ys.append(y)
        return jnp.stack(ys[:: -1 if reverse else 1], 1)

    return reference


def one_step(step: Callable[..., Any], hidden: int, pair: bool = False) -> Callable[..., Any]:
    whole = over_time(step, hidden, pair)
    return lambda p, x: whole(p, x[:, None])[:, 0]


def mlp(p: Tree, x: Any) -> Any:
    return jnp.tanh(x @ p[0]["w"] + p[0]["b"]) @ p[2]["w"] + p[2]["b"]


def plain(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda p, x: f(x)


MLP = nn.Sequential(nn.Linear(6), nn.Tanh(), nn.Linear(12))

TABLE: dict[str, Row] = {
    "Linear": Row(nn.Linear(3), ROWS, lambda p, x: x @ p["w"] + p["b"]),
    "Linear without bias": Row(nn.Linear(3, bias=False), TIMES, lambda p, x: x @ p["w"]),
    "Embedding": Row(nn.Embedding(7, 4), TOKENS, lambda p, x: p["w"][x]),
    "Conv1D": Row(nn.Conv1D(6, 3, stride=2), SEQUENCES, conv((2,), "SAME")),
    "Conv1D dilated groups": Row(
        nn.Conv1D(6, 3, padding=1, dilation=2, groups=2), SEQUENCES, conv((1,), [(1, 1)], 2, 2)
    ),
    "Conv2D": Row(nn.Conv2D(6, 3), IMAGES, conv((1, 1), "SAME")),
    "Conv2D all": Row(
        nn.Conv2D(4, (3, 2), stride=(2, 1), padding=[(1, 0), (2, 1)], dilation=2, groups=4, bias=False),
        IMAGES,
        conv((2, 1), [(1, 0), (2, 1)], 2, 4),
    ),
    "ConvTranspose2D": Row(nn.ConvTranspose2D(3, 3, stride=2), IMAGES, conv_transpose((2, 2), "SAME")),
    "ConvTranspose2D padding": Row(
        nn.ConvTranspose2D(3, (2, 3), stride=(1, 2), padding=1), IMAGES, conv_transpose((1, 2), [(1, 1), (1, 1)])
    ),
    "ConvTranspose1D": Row(nn.ConvTranspose1D(3, 4, stride=3), SEQUENCES, conv_transpose((3,), "SAME")),
    "AdaptiveAvgPool": Row(nn.AdaptiveAvgPool((3, 2)), IMAGES, plain(lambda x: adaptive(x, (3, 2), jnp.mean))),
    "AdaptiveMaxPool": Row(nn.AdaptiveMaxPool(4), SEQUENCES, plain(lambda x: adaptive(x, (4,), jnp.max)), smooth=False),
    "MaxPool": Row(nn.MaxPool(2), IMAGES, plain(lambda x: windows(x, 2, 2, jnp.max)), smooth=False),
    "MaxPool of sequences": Row(nn.MaxPool(3, 2), SEQUENCES, plain(lambda x: windows(x, 3, 2, jnp.max)), smooth=False),
    "AvgPool": Row(nn.AvgPool(3, 2), IMAGES, plain(lambda x: windows(x, 3, 2, jnp.mean))),
    "AvgPool of sequences": Row(nn.AvgPool(2), SEQUENCES, plain(lambda x: windows(x, 2, 2, jnp.mean))),
    "GlobalAvgPool": Row(nn.GlobalAvgPool(), IMAGES, plain(lambda x: x.mean((2, 3)))),
    "BatchNorm": Row(nn.BatchNorm(), IMAGES, batch_norm),
    "BatchNorm of rows": Row(nn.BatchNorm(), ROWS, batch_norm),
    "InstanceNorm": Row(nn.InstanceNorm(), IMAGES, group_norm(4)),
    "PReLU": Row(nn.PReLU(), ROWS, lambda p, x: jnp.where(x > 0, x, p["slope"][0] * x), smooth=False),
    "PReLU by channel": Row(
        nn.PReLU(4), IMAGES, lambda p, x: jnp.where(x > 0, x, column(p["slope"], 2) * x), smooth=False
    ),
    "GroupNorm": Row(nn.GroupNorm(2), IMAGES, group_norm(2)),
    "GroupNorm of sequences": Row(nn.GroupNorm(4), SEQUENCES, group_norm(4)),
    "LayerNorm": Row(nn.LayerNorm(), ROWS, layer_norm),
    "RMSNorm": Row(nn.RMSNorm(), TIMES, rms_norm),
    "Dropout": Row(nn.Dropout(0.5), ROWS, plain(lambda x: x)),
    "ReLU": Row(nn.ReLU(), ROWS, plain(lambda x: jnp.maximum(x, 0)), smooth=False),
    "LeakyReLU": Row(nn.LeakyReLU(0.2), ROWS, plain(lambda x: jnp.where(x > 0, x, 0.2 * x)), smooth=False),
    "GELU": Row(nn.GELU(), ROWS, plain(lambda x: jax.nn.gelu(x))),
    "GELU exact": Row(nn.GELU(approximate=False), ROWS, plain(lambda x: x * jax.scipy.stats.norm.cdf(x))),
    "SiLU": Row(nn.SiLU(), ROWS, plain(lambda x: x / (1 + jnp.exp(-x)))),
    "Sigmoid": Row(nn.Sigmoid(), ROWS, plain(lambda x: 1 / (1 + jnp.exp(-x)))),
    "Tanh": Row(nn.Tanh(), ROWS, plain(jnp.tanh)),
    "Softmax": Row(nn.Softmax(), ROWS, plain(lambda x: jnp.exp(x) / jnp.exp(x).sum(-1, keepdims=True))),
    "Flatten": Row(nn.Flatten(), IMAGES, plain(lambda x: x.reshape(2, -1))),
    "Lambda": Row(nn.Lambda(lambda x: x * x), ROWS, plain(lambda x: x * x)),
    "Sequential": Row(MLP, ROWS, mlp),
    "Residual": Row(nn.Residual(MLP), ROWS, lambda p, x: mlp(p["main"], x) + x),
    "Residual with a shortcut": Row(
        nn.Residual(nn.Linear(3), nn.Linear(3, bias=False)),
        ROWS,
        lambda p, x: x @ p["main"]["w"] + p["main"]["b"] + x @ p["shortcut"]["w"],
    ),
    "Remat": Row(nn.Remat(MLP), ROWS, mlp),
    "Scope": Row(nn.Scope("inner", MLP), ROWS, mlp),
    "MultiHeadAttention": Row(nn.MultiHeadAttention(4), TIMES, attention(4, 4, False, None)),
    "MultiHeadAttention all": Row(
        nn.MultiHeadAttention(4, kv_heads=2, head_size=6, causal=True, rotary_base=100.0),
        TIMES,
        attention(4, 2, True, 100.0),
    ),
    "MultiHeadAttention with biases": Row(nn.MultiHeadAttention(4, bias=True), TIMES, biased(4)),
    "TransformerBlock": Row(nn.TransformerBlock(2, 12), TIMES, block),
    "TransformerBlock after": Row(
        nn.TransformerBlock(2, 12, pre_norm=False, activation=aj_tanh), TIMES, post_norm_block
    ),
    "SwiGLU": Row(nn.SwiGLU(11), TIMES, swiglu),
    "RNNCell": Row(nn.RNNCell(3), ROWS, one_step(rnn_step, 3)),
    "LSTMCell": Row(nn.LSTMCell(3), ROWS, one_step(lstm_step, 3, pair=True)),
    "GRUCell": Row(nn.GRUCell(3), ROWS, one_step(gru_step, 3)),
    "RNN": Row(nn.RNN(3), TIMES, over_time(rnn_step, 3)),
    "LSTM": Row(nn.LSTM(3), TIMES, over_time(lstm_step, 3, pair=True)),
    "LSTM reversed without bias": Row(
        nn.LSTM(3, bias=False, reverse=True), TIMES, over_time(lstm_step, 3, pair=True, reverse=True)
    ),
    "Bidirectional": Row(
        nn.Bidirectional(nn.GRU(3)),
        TIMES,
        lambda p, x: jnp.concatenate(
            [over_time(gru_step, 3)(p["forward"], x), over_time(gru_step, 3, reverse=True)(p["backward"], x)], -1
        ),
    ),
    "GRU": Row(nn.GRU(3), TIMES, over_time(gru_step, 3)),
    "GRU stateful without bias": Row(nn.GRU(3, bias=False, stateful=True), TIMES, over_time(gru_step, 3)),
}
