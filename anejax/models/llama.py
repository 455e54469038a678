"""Transformers of the Llama kind (Touvron et al., 2023), in llama2.c's variant: Stories260K to Stories110M."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import anejax.numpy as jnp
from anejax import ShapeDtypeStruct, named_scope, nn, random, tree
from anejax.errors import ShapeError

_INIT = nn.initializers.normal(0.02)


@dataclass(frozen=True)
class Config:
    """The sizes of a network; ``length`` is the longest sequence, ``shared`` takes the embedding as the classifier.

    Raises ShapeError when a size is not positive, or does not divide as it must.
    """

    features: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    length: int
    shared: bool = True

    def __post_init__(self) -> None:
        sizes = (self.features, self.hidden, self.layers, self.heads, self.kv_heads, self.vocabulary, self.length)
        if min(sizes) < 1:
            raise ShapeError(f"[llama] expected sizes of 1 or more, got {self}.")
        if self.features % (2 * self.heads) or self.heads % self.kv_heads:
            raise ShapeError(
                f"[llama] expected features to be heads times an even size, and kv_heads to divide heads, got {self}."
            )


SIZES = {
    "260K": Config(64, 172, 5, 8, 4, 512, 512),
    "15M": Config(288, 768, 6, 6, 6, 32000, 256),
    "42M": Config(512, 1376, 8, 8, 8, 32000, 1024),
    "110M": Config(768, 2048, 12, 12, 12, 32000, 1024),
}


def attention(c: Config) -> nn.MultiHeadAttention:
    return nn.MultiHeadAttention(c.heads, c.kv_heads, causal=True, rotary_base=10000.0, weight_init=_INIT)


def block(c: Config) -> nn.Layer:
    """Attention, then an MLP, each of the normalised stream and added to it."""
    parts = {"attention": attention(c), "mlp": nn.SwiGLU(c.hidden, _INIT)}
    return nn.Sequential(*(nn.Scope(name, _residual(part)) for name, part in parts.items()))


def _residual(part: nn.Layer) -> nn.Layer:
    return nn.Residual(nn.Sequential(nn.Scope("norm", nn.RMSNorm(eps=1e-5)), nn.Scope("", part)))


def _states(cache: Any = ()) -> Any:
    """The state of a block."""
    return {"main": ((), cache)}, {"main": ((), ())}


@dataclass(frozen=True)
class Llama(nn.Layer):
    """Logits [N, T, vocabulary] of the token that follows each one of int32 ``tokens`` [N, T].

    The state is ``()``, or what ``cache`` gives. With ``remat``, gradients compute the inside of each block again
    instead of keeping it.

    Example:
        >>> from anejax import ShapeDtypeStruct, nn, random
        >>> params, state = Llama(SIZES["260K"]).init(random.key(0), ShapeDtypeStruct((1, 4), "int32"))
        >>> nn.count_parameters(params)
        260032
    """

    config: Config
    remat: bool = False
    scope: ClassVar[str] = ""

    def _parts(self) -> dict[str, nn.Layer]:
        c = self.config
        one = nn.Remat(block(c)) if self.remat else block(c)
        parts: dict[str, nn.Layer] = {"embedding": nn.Embedding(c.vocabulary, c.features, _INIT)}
        parts |= {"blocks": nn.Sequential(*[one] * c.layers), "norm": nn.RMSNorm(eps=1e-5)}
        return parts if c.shared else parts | {"classifier": nn.Linear(c.vocabulary, bias=False, weight_init=_INIT)}

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        """Normal weights of deviation 0.02. Weights that add to the residual stream are divided by the root of their
        number."""
        parts, stream = self._parts(), ShapeDtypeStruct((*x.shape, self.config.features), jnp.float32)
        keys = dict(zip(parts, random.split(key, len(parts))))
        made = {n: part.init(keys[n], x if n == "embedding" else stream) for n, part in parts.items()}
        params = {n: p for n, (p, _) in made.items()}
        less = 1 / math.sqrt(2 * self.config.layers)
        params["blocks"] = tree.map_with_path(
            lambda path, w: w * less if path[-1].key in ("o", "down") else w, params["blocks"]
        )
        return params, ()

    @property
    def vocabulary(self) -> int:
        """The number of tokens in the vocabulary."""
        return self.config.vocabulary

    @property
    def length(self) -> int:
        """The longest sequence."""
        return self.config.length

    def cache(self, params: Any, batch: int, length: int | None = None) -> Any:
        """The state with which ``apply`` takes sequences part by part, up to ``length`` tokens of each (as many as the
        network is made for)."""
        layer = attention(self.config)
        caches = (layer.cache(one[0]["main"][1], batch, length or self.length) for one in params["blocks"])
        return tuple(map(_states, caches))

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        parts = self._parts()
        part = lambda name, state, x: nn.apply_as(name, parts[name], params[name], state, x)  # noqa: E731
        y, _ = part("embedding", (), x)
        y, cache = part("blocks", state or [_states()] * self.config.layers, y)
        y, _ = part("norm", (), y)
        with named_scope("classifier"):
            w = jnp.transpose(params["embedding"]["w"]) if self.config.shared else params["classifier"]["w"]
            return jnp.matmul(y, w), cache if state else ()
