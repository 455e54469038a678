"""Layers of transformers, for sequences [N, T, features]."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax, random
from anejax.api.scopes import named_scope
from anejax.errors import ShapeError
from anejax.nn import initializers
from anejax.nn.functions import dot_product_attention, silu
from anejax.nn.layer import Layer, check_features, check_rank, take, typed
from anejax.nn.linear import weight_dtype

_LECUN = initializers.lecun_normal()


def rotary(x: Any, positions: Any = None, base: float = 10000.0) -> Any:
    """Rotates each pair (2i, 2i + 1) of the features of ``x`` [N, T, heads, size] by position * base**(-2i / size).

    The product of a query and a key turned so depends on the distance of their positions (Su et al., 2021).
    ``positions``, [T] or [N, T], are 0, 1, 2, ... by default.
    """
    x = jnp.asarray(x)
    if x.ndim != 4 or x.shape[-1] % 2:
        raise ShapeError(f"[rotary] expected [N, T, heads, size] with an even size, got {typed(x)}.")
    half = x.shape[-1] // 2
    speeds = _speeds(half, base)
    at = jnp.arange(x.shape[1]) if positions is None else jnp.asarray(positions)
    angles = jnp.expand_dims(at.astype(dtypes.float32), (-2, -1)) * speeds  # [T, 1, half] or [N, T, 1, half]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    pairs = x.astype(dtypes.float32).reshape((*x.shape[:-1], half, 2))
    first, second = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack([first * cos - second * sin, first * sin + second * cos], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)


@functools.lru_cache(maxsize=16)
def _speeds(half: int, base: float) -> np.ndarray:
    """One array for all calls, so that a program holds it, and what depends on it, once."""
    return np.asarray(base ** (-np.arange(half) / half), np.float32)


@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Self-attention of [N, T, features] by several heads.

    ``kv_heads`` (a divisor of ``heads``) shares keys and values among heads; ``causal`` lets a position see itself and
    those before it; ``rotary_base`` turns queries and keys by their positions. Parameters: q, k, v, o.

    The state is ``()``, or a cache of keys and values: then the input is the next part of sequences whose earlier parts
    the cache has seen. Whoever calls must not go past the cache's length.

    Example:
        >>> from anejax import nn, random
        >>> import anejax.numpy as jnp
        >>> layer, x = nn.MultiHeadAttention(2, causal=True), jnp.ones((1, 3, 8))
        >>> params, _ = layer.init(random.key(0), x)
        >>> cache = layer.cache(params, 1, 3)
        >>> first, cache = layer.apply(params, cache, x[:, :2])
        >>> last, cache = layer.apply(params, cache, x[:, 2:])
        >>> cache["k"].shape, int(cache["position"])
        ((1, 3, 2, 4), 3)
    """

    heads: int
    kv_heads: int | None = None
    head_size: int | None = None
    causal: bool = False
    rotary_base: float | None = None
    weight_init: initializers.Initializer = _LECUN

    def __post_init__(self) -> None:
        if self.heads < 1 or self.heads % (self.kv_heads or self.heads):
            raise ValueError(
                f"[MultiHeadAttention] expected kv_heads to divide heads, got {self.kv_heads} and {self.heads}."
            )

    def _size(self, features: int) -> int:
        if self.head_size is None and features % self.heads:
            raise ShapeError(
                f"[MultiHeadAttention] expected heads={self.heads} to divide the {features} features, or a head_size."
            )
        return self.head_size or features // self.heads

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        check_rank(self, x, 3, "sequences [N, T, features]")
        features = x.shape[-1]
        wide = self.heads * self._size(features)
        narrow = (self.kv_heads or self.heads) * self._size(features)
        shapes = {"q": (features, wide), "k": (features, narrow), "v": (features, narrow), "o": (wide, features)}
        keys = random.split(key, len(shapes))
        return {n: self.weight_init(keys[i], s, weight_dtype(x)) for i, (n, s) in enumerate(shapes.items())}, ()

    def cache(self, params: Any, batch: int, length: int) -> dict[str, Any]:
        """An empty cache for sequences of up to ``length`` positions: k and v [batch, length, kv_heads, size]."""
        if not self.causal:
            raise ValueError("[MultiHeadAttention] expected causal=True, since a cache holds what came before.")
        k = params["k"]
        shape = (batch, length, self.kv_heads or self.heads, k.shape[1] // (self.kv_heads or self.heads))
        return {"k": jnp.zeros(shape, k.dtype), "v": jnp.zeros(shape, k.dtype), "position": jnp.zeros((), dtypes.int32)}

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        q, k, v, o = take(self, params, "q", "k", "v", "o")
        check_rank(self, x, 3, "sequences [N, T, features]")
        check_features(self, x, -1, q.shape[0])
        size = q.shape[1] // self.heads
        projected = (named_matmul(name, x, w) for name, w in (("q", q), ("k", k), ("v", v)))
        queries, keys, values = (h.reshape((*x.shape[:2], -1, size)) for h in projected)
        positions = jnp.arange(x.shape[1]) + (state["position"] if state else 0)
        if self.rotary_base is not None:
            queries, keys = (rotary(h, positions, self.rotary_base) for h in (queries, keys))
        if state:
            state = _extended(state, keys, values)
            mask = jnp.arange(state["k"].shape[1]) <= positions[:, None]
            y = dot_product_attention(queries, state["k"], state["v"], mask=mask)
        else:
            y = dot_product_attention(queries, keys, values, is_causal=self.causal)
        return named_matmul("o", y.reshape((*x.shape[:2], -1)), o), state


def named_matmul(name: str, x: Any, w: Any) -> Any:
    """``x @ w``, marked with the name of the weight."""
    with named_scope(name):
        return jnp.matmul(x, w)


def _extended(cache: dict[str, Any], keys: Any, values: Any) -> dict[str, Any]:
    at = cache["position"]
    grown = {n: lax.dynamic_update_slice_in_dim(cache[n], new, at, 1) for n, new in (("k", keys), ("v", values))}
    return grown | {"position": at + keys.shape[1]}


@dataclass(frozen=True)
class SwiGLU(Layer):
    """(silu(x @ gate) * (x @ up)) @ down, with ``hidden`` features between (Shazeer, 2020)."""

    hidden: int
    weight_init: initializers.Initializer = _LECUN

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        n = x.shape[-1]
        shapes = {"gate": (n, self.hidden), "up": (n, self.hidden), "down": (self.hidden, n)}
        keys = random.split(key, len(shapes))
        return {n: self.weight_init(keys[i], s, weight_dtype(x)) for i, (n, s) in enumerate(shapes.items())}, ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        gate, up, down = take(self, params, "gate", "up", "down")
        check_features(self, x, -1, gate.shape[0])
        hidden = silu(named_matmul("gate", x, gate)) * named_matmul("up", x, up)
        return named_matmul("down", hidden, down), state
