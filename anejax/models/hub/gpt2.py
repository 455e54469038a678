"""GPT-2 (Radford et al., 2019): learned positions, matrices [inputs, outputs], and one matrix for queries, keys and
values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import anejax.numpy as jnp
from anejax import named_scope
from anejax.models.hub.network import (
    ACTIVATIONS,
    Attention,
    LanguageModel,
    Shapes,
    extended,
    grown,
    layer_norm,
    positions_of,
    split_heads,
)
from anejax.models.hub.settings import Settings


@dataclass(frozen=True)
class GPT2(LanguageModel):
    """The network of a configuration; ``read`` makes one."""

    features: int
    hidden_features: int
    heads_count: int
    eps: float
    activation: str
    tied: bool = True
    scaled: bool = True
    by_layer: bool = False  # logits of attention are divided by the layer's number too

    prefix: ClassVar[str] = "transformer."
    heads: ClassVar[tuple[str, ...]] = ("lm_head.",)
    buffers: ClassVar[re.Pattern[str]] = re.compile(r"(^|\.)attn\.(bias|masked_bias)$")

    def kv_shape(self) -> tuple[int, int]:
        return self.heads_count, self.features // self.heads_count

    def shapes(self) -> Shapes:
        d, wide = self.features, self.hidden_features
        norm = lambda name: {f"{name}.weight": (d,), f"{name}.bias": (d,)}  # noqa: E731
        of_layer: Shapes = norm("ln_1") | norm("ln_2")
        for name, into, out in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, wide),
            ("mlp.c_proj", wide, d),
        ):
            of_layer |= {f"{name}.weight": (into, out), f"{name}.bias": (out,)}
        found: Shapes = {"wte.weight": (self.vocabulary, d), "wpe.weight": (self.length, d)}
        found |= {f"h.{i}.{n}": s for i in range(self.layers) for n, s in of_layer.items()} | norm("ln_f")
        return found if self.tied else found | {"lm_head.weight": (self.vocabulary, d)}

    def named(self, arrays: Any, where: str) -> tuple[dict[str, Any], str]:
        """As of the base; a classifier that repeats the embedding may stand in the file."""
        return super().named({n: a for n, a in arrays.items() if not (self.tied and n == "lm_head.weight")}, where)

    def hidden(self, params: Any, state: Any, tokens: Any) -> tuple[Any, Any]:
        positions, caches = positions_of(state, tokens), []
        with named_scope("embedding"):
            x = jnp.take(params["wte.weight"], tokens, axis=0) + jnp.take(params["wpe.weight"], positions, axis=0)
        for i in range(self.layers):
            with named_scope(f"layers/{i}"):
                x, cache = self._layer(params, i, x, state, positions)
            caches.append(cache)
        return layer_norm(params, "ln_f", x, self.eps), grown(state, caches, tokens)

    def logits(self, params: Any, hidden: Any) -> Any:
        return jnp.matmul(hidden, jnp.transpose(params["wte.weight" if self.tied else "lm_head.weight"]))

    def _layer(self, params: Any, i: int, x: Any, state: Any, positions: Any) -> tuple[Any, Any]:
        at = f"h.{i}."
        with named_scope("attention"):
            joint = _linear(params, at + "attn.c_attn", layer_norm(params, at + "ln_1", x, self.eps))
            q, k, v = (split_heads(part, self.heads_count) for part in jnp.split(joint, 3, axis=-1))
            cache = extended(state, i, k, v) if state else (k, v)
            scale = (q.shape[-1] ** -0.5 if self.scaled else 1.0) / (i + 1 if self.by_layer else 1)
            x = x + _linear(params, at + "attn.c_proj", Attention(scale)(q, *cache, positions))
        with named_scope("mlp"):
            y = _linear(params, at + "mlp.c_fc", layer_norm(params, at + "ln_2", x, self.eps))
            return x + _linear(params, at + "mlp.c_proj", ACTIVATIONS[self.activation](y)), cache


def _linear(params: Any, name: str, x: Any) -> Any:
    with named_scope(name.rpartition(".")[2]):
        return jnp.matmul(x, params[f"{name}.weight"]) + params[f"{name}.bias"]


def read(c: Settings, kind: str, most_layers: int) -> GPT2:
    """The network of a configuration of at most ``most_layers`` layers. Raises ModelError."""
    c.refuse("add_cross_attention", "which is not here")
    features, heads = c.size("n_embd", 768), c.size("n_head", 12)
    if features % heads:
        c.fail("n_head", f"a divisor of the {features} features")
    return GPT2(
        vocabulary=c.size("vocab_size", 50257), layers=c.size("n_layer", 12, most=most_layers),
        length=c.size("n_positions", 1024), features=features, hidden_features=c.size("n_inner", 4 * features),
        heads_count=heads, eps=c.number("layer_norm_epsilon", 1e-5),
        activation=c.choice("activation_function", ACTIVATIONS, "gelu_new"), tied=c.flag("tie_word_embeddings", True),
        scaled=c.flag("scale_attn_weights", True), by_layer=c.flag("scale_attn_by_inverse_layer_idx", False),
    )  # fmt: skip
