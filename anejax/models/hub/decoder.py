"""Decoders of the Llama family: Llama, SmolLM2, Mistral, Qwen 2, 2.5 and 3, Gemma 1 to 3 (text)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

import anejax.numpy as jnp
from anejax import lax, named_scope
from anejax.models.hub import rope
from anejax.models.hub.network import (
    ACTIVATIONS,
    Attention,
    LanguageModel,
    Shapes,
    extended,
    grown,
    linear,
    positions_of,
    split_heads,
)
from anejax.models.hub.settings import Settings


@dataclass(frozen=True)
class Family:
    """Facts about a kind of model that its configuration lacks; ``defaults`` are for values that may be absent."""

    defaults: dict[str, Any] = field(default_factory=dict)
    qkv_bias: bool = False
    qk_norm: bool = False
    gemma: bool = False  # norms multiply by 1 + weight, embeddings are scaled by sqrt(features)
    sandwich: bool = False  # norms behind attention and MLP too


_GEMMA = {"head_dim": 256, "tie_word_embeddings": True, "query_pre_attn_scalar": 256, "sliding_window": 4096}
FAMILIES = {
    "llama": Family(),
    "mistral": Family({"num_key_value_heads": 8, "sliding_window": 4096}),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family({"head_dim": 128}, qk_norm=True),
    "gemma": Family({"head_dim": 256, "tie_word_embeddings": True}, gemma=True),
    "gemma2": Family(
        {**_GEMMA, "num_key_value_heads": 4, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
        gemma=True,
        sandwich=True,
    ),
    "gemma3_text": Family({**_GEMMA, "num_key_value_heads": 4}, gemma=True, sandwich=True, qk_norm=True),
}


@dataclass(frozen=True)
class Decoder(LanguageModel):
    """The network of a configuration; ``read`` makes one. Layers that are ``local`` see ``window`` positions."""

    features: int
    hidden_features: int
    heads_count: int
    kv_heads: int
    head_size: int
    eps: float
    activation: str
    ropes: tuple[rope.Rope, rope.Rope]  # the rope of layers that see all positions, and that of local ones
    local: tuple[bool, ...]
    window: int | None
    scale: float
    tied: bool = False
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    unit_offset: bool = False
    sandwich: bool = False
    attention_cap: float | None = None
    logit_cap: float | None = None

    prefix: ClassVar[str] = "model."
    heads: ClassVar[tuple[str, ...]] = ("lm_head.",)
    buffers: ClassVar[re.Pattern[str]] = re.compile(r"rotary_emb\.inv_freq$")

    def kv_shape(self) -> tuple[int, int]:
        return self.kv_heads, self.head_size

    def shapes(self) -> Shapes:
        c, d, wide, narrow = self, self.features, self.heads_count * self.head_size, self.kv_heads * self.head_size
        of_layer: Shapes = {"input_layernorm.weight": (d,)}
        for name, out, bias in (("q", wide, c.qkv_bias), ("k", narrow, c.qkv_bias), ("v", narrow, c.qkv_bias)):
            of_layer |= _matrix(f"self_attn.{name}_proj", out, d, bias)
        of_layer |= _matrix("self_attn.o_proj", d, wide, c.o_bias)
        if c.qk_norm:
            of_layer |= {f"self_attn.{n}_norm.weight": (c.head_size,) for n in "qk"}
        norms = ["post_attention_layernorm"]
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"] if c.sandwich else []
        of_layer |= {f"{n}.weight": (d,) for n in norms}
        for name, out, into in (
            ("gate", c.hidden_features, d),
            ("up", c.hidden_features, d),
            ("down", d, c.hidden_features),
        ):
            of_layer |= _matrix(f"mlp.{name}_proj", out, into, c.mlp_bias)
        found: Shapes = {"embed_tokens.weight": (c.vocabulary, d)}
        found |= {f"layers.{i}.{n}": s for i in range(c.layers) for n, s in of_layer.items()}
        found |= {"norm.weight": (d,)}
        return found if c.tied else found | {"lm_head.weight": (c.vocabulary, d)}

    def named(self, arrays: Any, where: str) -> tuple[dict[str, Any], str]:
        """As of the base; a classifier that repeats the embedding may stand in the file."""
        if self.tied:
            arrays = {name: array for name, array in arrays.items() if name != "lm_head.weight"}
        return super().named(arrays, where)

    def hidden(self, params: Any, state: Any, tokens: Any) -> tuple[Any, Any]:
        with named_scope("embedding"):
            x = jnp.take(params["embed_tokens.weight"], tokens, axis=0)
            if self.unit_offset:
                x = x * np.asarray(self.features**0.5, x.dtype)
        positions, caches = positions_of(state, tokens), []
        for i in range(self.layers):
            with named_scope(f"layers/{i}"):
                x, cache = self._layer(params, i, x, state, positions)
            caches.append(cache)
        return self._norm(params, "norm", x), grown(state, caches, tokens)

    def logits(self, params: Any, hidden: Any) -> Any:
        w = params["embed_tokens.weight" if self.tied else "lm_head.weight"]
        y = jnp.matmul(hidden, jnp.transpose(w))
        return y if self.logit_cap is None else self.logit_cap * jnp.tanh(y / self.logit_cap)

    def _layer(self, params: Any, i: int, x: Any, state: Any, positions: Any) -> tuple[Any, Any]:
        at = f"layers.{i}."
        with named_scope("attention"):
            y, cache = self._attend(params, i, self._norm(params, at + "input_layernorm", x), state, positions)
            x = x + (self._norm(params, at + "post_attention_layernorm", y) if self.sandwich else y)
        before = "pre_feedforward_layernorm" if self.sandwich else "post_attention_layernorm"
        with named_scope("mlp"):
            y = self._mlp(params, at + "mlp.", self._norm(params, at + before, x))
            return x + (self._norm(params, at + "post_feedforward_layernorm", y) if self.sandwich else y), cache

    def _attend(self, params: Any, i: int, x: Any, state: Any, positions: Any) -> tuple[Any, Any]:
        at = f"layers.{i}.self_attn."
        counts = {"q": self.heads_count, "k": self.kv_heads, "v": self.kv_heads}
        parts = {n: split_heads(linear(params, f"{at}{n}_proj", x), count) for n, count in counts.items()}
        if self.qk_norm:
            parts |= {n: self._norm(params, f"{at}{n}_norm", parts[n]) for n in "qk"}
        q, k = (rope.rotate(parts[n], positions, self.ropes[self.local[i]]) for n in "qk")
        cache = extended(state, i, k, parts["v"]) if state else (k, parts["v"])
        attention = Attention(self.scale, self.window if self.local[i] else None, self.attention_cap)
        return linear(params, at + "o_proj", attention(q, *cache, positions)), cache

    def _mlp(self, params: Any, at: str, x: Any) -> Any:
        gate = ACTIVATIONS[self.activation](linear(params, at + "gate_proj", x))
        return linear(params, at + "down_proj", gate * linear(params, at + "up_proj", x))

    def _norm(self, params: Any, name: str, x: Any) -> Any:
        w = params[f"{name}.weight"]
        with named_scope("norm"):
            wide = x.astype(jnp.float32)
            y = wide * lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + np.float32(self.eps))
            if self.unit_offset:
                return (y * (1 + w.astype(jnp.float32))).astype(x.dtype)
            return y.astype(x.dtype) * w


def _matrix(name: str, outputs: int, inputs: int, bias: bool) -> Shapes:
    found: Shapes = {f"{name}.weight": (outputs, inputs)}
    return found | {f"{name}.bias": (outputs,)} if bias else found


def read(settings: Settings, kind: str, most_layers: int) -> Decoder:
    """The network of a configuration of the family ``kind``, of at most ``most_layers`` layers. Raises ModelError."""
    family = FAMILIES[kind]
    c = Settings(family.defaults | {n: v for n, v in settings.values.items() if v is not None}, settings.where)
    c.values |= {n: None for n, v in settings.values.items() if v is None and n in _MAY_BE_NULL}
    features, heads = c.size("hidden_size"), c.size("num_attention_heads")
    layers, length = c.size("num_hidden_layers", most=most_layers), c.size("max_position_embeddings", 2048)
    size = c.size("head_dim", features // heads or None)
    kv_heads = c.size("num_key_value_heads", heads)
    if heads % kv_heads:
        c.fail("num_key_value_heads", f"a divisor of the {heads} heads")
    if size % 2:
        c.fail("head_dim", "even")
    local, window = _windows(c, kind, layers)
    scale = c.number("query_pre_attn_scalar", size) if family.sandwich else size
    c.refuse("use_bidirectional_attention", "which is not here")
    return Decoder(
        vocabulary=c.size("vocab_size"), layers=layers, length=length, features=features,
        hidden_features=c.size("intermediate_size"), heads_count=heads, kv_heads=kv_heads, head_size=size,
        eps=c.number("rms_norm_eps", 1e-6), activation=_activation(c, family), ropes=_ropes(c, kind, size, length),
        local=local, window=window, scale=scale**-0.5, tied=c.flag("tie_word_embeddings", False),
        qkv_bias=family.qkv_bias or c.flag("attention_bias", False),
        o_bias=not family.qkv_bias and c.flag("attention_bias", False), mlp_bias=c.flag("mlp_bias", False),
        qk_norm=family.qk_norm, unit_offset=family.gemma, sandwich=family.sandwich,
        attention_cap=_cap(c, "attn_logit_softcapping"), logit_cap=_cap(c, "final_logit_softcapping"),
    )  # fmt: skip


# null differs from an absent value here: it turns off the family's default
_MAY_BE_NULL = ("sliding_window", "attn_logit_softcapping", "final_logit_softcapping")


def _cap(c: Settings, name: str) -> float | None:
    return c.number(name) if name in c else None


def _activation(c: Settings, family: Family) -> str:
    if not family.gemma:
        return c.choice("hidden_act", ACTIVATIONS, "silu")
    named = "hidden_activation" if "hidden_activation" in c else "hidden_act"
    found = c.choice(named, ACTIVATIONS, "gelu_pytorch_tanh")
    return "gelu_pytorch_tanh" if found == "gelu" else found  # as transformers reads the first Gemma's files


def _windows(c: Settings, kind: str, layers: int) -> tuple[tuple[bool, ...], int | None]:
    """The layers that are local, and the number of positions that they see."""
    if "sliding_window" not in c or not c.flag("use_sliding_window", kind not in ("qwen2", "qwen3")):
        return (False,) * layers, None
    window, types = c.size("sliding_window"), c.values.get("layer_types")
    if types is not None and kind != "mistral":
        known = {"full_attention": False, "sliding_attention": True}
        if not isinstance(types, list) or len(types) != layers or any(t not in known for t in types):
            c.fail("layer_types", f"{layers} times one of {', '.join(known)}")
        return tuple(known[t] for t in types), window
    if kind in ("qwen2", "qwen3"):
        first = c.size("max_window_layers", 28, least=0)
        return tuple(i >= first for i in range(layers)), window
    every = {"gemma2": 2, "gemma3_text": c.size("sliding_window_pattern", 6)}.get(kind)
    local = kind in ("mistral", "gemma2", "gemma3_text")
    return tuple(local and (every is None or (i + 1) % every > 0) for i in range(layers)), window


def _ropes(c: Settings, kind: str, size: int, length: int) -> tuple[rope.Rope, rope.Rope]:
    """The rope of layers that see all positions, and that of local layers."""
    scaling = c.part("rope_parameters") or c.part("rope_scaling")
    if kind != "gemma3_text":
        found = _rope(scaling, c.number("rope_theta", 10_000.0), size, length)
        return found, found
    full, near = scaling, None
    if scaling is not None and ("full_attention" in scaling or "sliding_attention" in scaling):
        full, near = scaling.part("full_attention"), scaling.part("sliding_attention")
    return (
        _rope(full, c.number("rope_theta", 1_000_000.0), size, length),
        _rope(near, c.number("rope_local_base_freq", 10_000.0), size, length),
    )


def _rope(scaling: Settings | None, base: float, size: int, length: int) -> rope.Rope:
    base = scaling.number("rope_theta", base) if scaling is not None else base
    if base <= 1:
        (scaling or Settings({"rope_theta": base}, "config.json")).fail("rope_theta", "above 1")
    return rope.read(scaling, base, size, length)
