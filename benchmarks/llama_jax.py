"""The network of ``anejax.models.llama`` in plain jax, for comparisons: it takes the same trees of parameters."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anejax.models.llama import Config


def logits(config: Config, params: Any, tokens: Any, remat: bool = False) -> Any:
    """[N, T, vocabulary] from int32 tokens [N, T]."""
    x = params["embedding"]["w"][tokens]
    step = jax.checkpoint(_block, static_argnums=0) if remat else _block
    for block in params["blocks"]:
        x = step(config, block, x)
    x = _norm(x, params["norm"])
    return x @ (params["embedding"]["w"].T if config.shared else params["classifier"]["w"])


def loss(config: Config, params: Any, tokens: Any, targets: Any) -> Any:
    """Mean cross-entropy in nats."""
    log_p = jax.nn.log_softmax(logits(config, params, tokens))
    return -jnp.take_along_axis(log_p, targets[..., None], -1).mean()


def _block(config: Config, block: Any, x: Any) -> Any:
    (norm, w), (mlp_norm, mlp) = block[0]["main"], block[1]["main"]
    y = _norm(x, norm)
    q, k, v = ((y @ w[n]).reshape(*x.shape[:2], -1, config.features // config.heads) for n in "qkv")
    y = jax.nn.dot_product_attention(_rotated(q), _rotated(k), v, is_causal=True)
    x = x + y.reshape(x.shape) @ w["o"]
    y = _norm(x, mlp_norm)
    return x + (jax.nn.silu(y @ mlp["gate"]) * (y @ mlp["up"])) @ mlp["down"]


def _norm(x: Any, params: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * params["scale"]


def _rotated(x: Any) -> Any:
    half = x.shape[-1] // 2
    angles = np.outer(np.arange(x.shape[1]), 10000.0 ** (-np.arange(half) / half))[:, None].astype(np.float32)
    a, b, cos, sin = x[..., 0::2], x[..., 1::2], np.cos(angles), np.sin(angles)
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)
