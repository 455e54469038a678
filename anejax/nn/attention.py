"""Layers of transformers, for sequences [N, T, features]."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax, random
from anejax.api.scopes import named_scope
from anejax.core.aval import type_text
from anejax.errors import ShapeError
from anejax.nn import initializers
from anejax.nn.functions import dot_product_attention, silu
from anejax.nn.layer import Layer, check_features, check_rank, take
from anejax.nn.linear import weight_dtype

_LECUN = initializers.lecun_normal()


def rotary(x: Any, positions: Any = None, base: float = 10000.0) -> Any:
    """Rotates each pair (2i, 2i + 1) of the features of ``x`` [N, T, heads, size] by position * base**(-2i / size).

    The product of a query and a key turned so depends on the distance of their positions (Su et al., 2021).
    ``positions``, [T] or [N, T], are 0, 1, 2, ... by default.
    """
    x = jnp.asarray(x)
    if x.ndim != 4 or x.shape[-1] % 2:
        raise ShapeError(f"[rotary] expected [N, T, heads, size] with an even size, got {type_text(x)}.")
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
    """Attention of [N, T, features] by several heads, to itself or to another sequence.

    ``kv_heads`` (a divisor of ``heads``) shares keys and values among heads; ``causal`` lets a position see itself and
    those before it; ``rotary_base`` turns queries and keys by their positions. Parameters: q, k, v, o, and with
    ``bias`` bq, bk, bv, bo.

    ``apply(..., memory=m)`` attends to m [N, S, features] instead (cross attention); ``init(key, x, memory)`` is for a
    memory of other features. ``apply(..., mask=m)`` takes bools that broadcast to [N, heads, T, S]: positions where it
    is False are not seen. [N, S] and [N, T, S] have their other axes added.

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
    bias: bool = False

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

    def init(self, key: Any, x: Any, memory: Any = None) -> tuple[Any, Any]:
        check_rank(self, x, 3, "sequences [N, T, features]")
        features, other = x.shape[-1], (x if memory is None else memory).shape[-1]
        wide = self.heads * self._size(features)
        narrow = (self.kv_heads or self.heads) * self._size(features)
        shapes = {"q": (features, wide), "k": (other, narrow), "v": (other, narrow), "o": (wide, features)}
        keys = random.split(key, len(shapes))
        made = {n: self.weight_init(keys[i], s, weight_dtype(x)) for i, (n, s) in enumerate(shapes.items())}
        if self.bias:
            made |= {f"b{n}": jnp.zeros(s[1:], weight_dtype(x)) for n, s in shapes.items()}
        return made, ()

    def cache(self, params: Any, batch: int, length: int) -> dict[str, Any]:
        """An empty cache for sequences of up to ``length`` positions: k and v [batch, length, kv_heads, size]."""
        if not self.causal:
            raise ValueError("[MultiHeadAttention] expected causal=True, since a cache holds what came before.")
        k = params["k"]
        shape = (batch, length, self.kv_heads or self.heads, k.shape[1] // (self.kv_heads or self.heads))
        return {"k": jnp.zeros(shape, k.dtype), "v": jnp.zeros(shape, k.dtype), "position": jnp.zeros((), dtypes.int32)}

    def apply(
        self,
        params: Any,
        state: Any,
        x: Any,
        *,
        key: Any = None,
        train: bool = False,
        memory: Any = None,
        mask: Any = None,
    ) -> tuple[Any, Any]:
        names = ("q", "k", "v", "o")
        take(self, params, *names, *(f"b{n}" for n in names if self.bias))
        check_rank(self, x, 3, "sequences [N, T, features]")
        check_features(self, x, -1, params["q"].shape[0])
        if memory is not None:
            return self._project(params, "o", self._cross(params, state, x, memory, mask)), state
        queries, keys, values = (self._split(params, name, x) for name in "qkv")
        positions = jnp.arange(x.shape[1]) + (state["position"] if state else 0)
        if self.rotary_base is not None:
            queries, keys = (rotary(h, positions, self.rotary_base) for h in (queries, keys))
        if state:
            state = _extended(state, keys, values)
            seen = jnp.arange(state["k"].shape[1]) <= positions[:, None]
            seen = seen if mask is None else seen & _broadcast(self, mask)
            y = dot_product_attention(queries, state["k"], state["v"], mask=seen)
        else:
            y = dot_product_attention(queries, keys, values, mask=_broadcast(self, mask), is_causal=self.causal)
        return self._project(params, "o", y.reshape((*x.shape[:2], -1))), state

    def _project(self, params: Any, name: str, x: Any) -> Any:
        y = named_matmul(name, x, params[name])
        return y + params[f"b{name}"] if self.bias else y

    def _split(self, params: Any, name: str, x: Any) -> Any:
        """[N, T, heads, size]."""
        size = params["q"].shape[1] // self.heads
        return self._project(params, name, x).reshape((*x.shape[:2], -1, size))

    def _cross(self, params: Any, state: Any, x: Any, memory: Any, mask: Any) -> Any:
        if state or self.causal or self.rotary_base is not None:
            raise ValueError(
                "[MultiHeadAttention] expected a layer without causal, rotary_base and cache to attend to a memory,"
                " whose positions have no order with those of x."
            )
        check_rank(self, memory, 3, "a memory [N, S, features]")
        check_features(self, memory, -1, params["k"].shape[0])
        keys, values = (self._split(params, name, memory) for name in "kv")
        y = dot_product_attention(self._split(params, "q", x), keys, values, mask=_broadcast(self, mask))
        return y.reshape((*x.shape[:2], -1))


def _broadcast(layer: Layer, mask: Any) -> Any:
    """A mask [N, S], [N, T, S] or [N, heads, T, S] with four axes."""
    if mask is None:
        return None
    mask = jnp.asarray(mask)
    if mask.ndim not in (2, 3, 4) or mask.dtype != dtypes.bool_:
        raise ShapeError(f"[{layer.name}] expected a mask bool[N, S], [N, T, S] or [N, heads, T, S], got {mask.aval}.")
    return mask[:, None, None] if mask.ndim == 2 else mask[:, None] if mask.ndim == 3 else mask


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
