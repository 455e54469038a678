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


def _rotated(x: Any, start: Any = 0) -> Any:
    half = x.shape[-1] // 2
    speeds = (10000.0 ** (-np.arange(half) / half)).astype(np.float32)
    angles = ((jnp.arange(x.shape[1]) + start)[:, None] * speeds)[:, None]
    a, b, cos, sin = x[..., 0::2], x[..., 1::2], jnp.cos(angles), jnp.sin(angles)
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def empty_cache(config: Config) -> Any:
    """Keys and values of every layer, [2, length, kv_heads, size] each, and the position."""
    shape = (2, config.length, config.kv_heads, config.features // config.heads)
    return [jnp.zeros(shape, jnp.float32) for _ in range(config.layers)], jnp.int32(0)


def decode(config: Config, params: Any, cache: Any, token: Any) -> Any:
    """(cache, the likeliest token after ``token``): one step of greedy sampling."""
    caches, position = cache
    x, kept = params["embedding"]["w"][token][None, None], []
    for block, cached in zip(params["blocks"], caches):
        (norm, w), (mlp_norm, mlp) = block[0]["main"], block[1]["main"]
        y = _norm(x, norm)
        q, k, v = ((y @ w[n]).reshape(1, 1, -1, config.features // config.heads) for n in "qkv")
        k = _rotated(k, position)
        cached = jax.lax.dynamic_update_slice(cached, jnp.concatenate([k, v]), (0, position, 0, 0))
        mask = (jnp.arange(config.length) <= position)[None]
        y = jax.nn.dot_product_attention(_rotated(q, position), cached[:1], cached[1:], mask=mask[None, None])
        x = x + y.reshape(x.shape) @ w["o"]
        y = _norm(x, mlp_norm)
        x = x + (jax.nn.silu(y @ mlp["gate"]) * (y @ mlp["up"])) @ mlp["down"]
        kept.append(cached)
    x = _norm(x, params["norm"])[0, 0]
    scores = x @ (params["embedding"]["w"].T if config.shared else params["classifier"]["w"])
    return (kept, position + 1), jnp.argmax(scores).astype(jnp.int32)
