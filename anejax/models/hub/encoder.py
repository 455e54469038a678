"""Encoders: BERT (Devlin et al., 2019), MiniLM and others of the same layout, and ViT (Dosovitskiy et al., 2021)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import anejax.numpy as jnp
from anejax import lax, named_scope
from anejax.errors import ShapeError
from anejax.models.hub.network import ACTIVATIONS, Attention, Network, Shapes, layer_norm, linear, split_heads
from anejax.models.hub.settings import Settings


@dataclass(frozen=True)
class Encoder(Network):
    """The code that BERT and ViT share: sizes, and the parts of a layer. ``pooled`` adds a dense layer on the first
    position, and ``classes`` a classifier behind it (0: none)."""

    features: int
    hidden_features: int
    layers: int
    heads_count: int
    eps: float
    activation: str
    pooled: bool
    classes: int

    heads: ClassVar[tuple[str, ...]] = ("classifier.",)

    def _linear_shapes(self, **names: tuple[int, int]) -> Shapes:
        found: Shapes = {}
        for name, (into, out) in names.items():
            name = name.replace("__", ".")
            found |= {f"{name}.weight": (out, into), f"{name}.bias": (out,)}
        return found

    def _head_shapes(self) -> Shapes:
        d = self.features
        found = self._linear_shapes(pooler__dense=(d, d)) if self.pooled else {}
        return found | (self._linear_shapes(classifier=(d, self.classes)) if self.classes else {})

    def _attend(self, params: Any, at: str, x: Any, mask: Any) -> Any:
        parts = (split_heads(linear(params, f"{at}attention.{n}", x), self.heads_count) for n in self._names())
        q, k, v = parts
        y = Attention(q.shape[-1] ** -0.5, causal=False)(q, k, v, None, mask)
        return linear(params, f"{at}attention.output.dense", y)

    def _names(self) -> tuple[str, str, str]:
        raise NotImplementedError

    def _mlp(self, params: Any, at: str, x: Any) -> Any:
        y = ACTIVATIONS[self.activation](linear(params, f"{at}intermediate.dense", x))
        return linear(params, f"{at}output.dense", y)

    def _outputs(self, params: Any, x: Any, classified: Any) -> dict[str, Any]:
        """The outputs by transformers' names; ``classified`` is the classifier's input if nothing is pooled."""
        found = {"last_hidden_state": x}
        if self.pooled:
            found["pooler_output"] = classified = jnp.tanh(linear(params, "pooler.dense", x[:, 0]))
        return found | ({"logits": linear(params, "classifier", classified)} if self.classes else {})


def _layer_shapes(encoder: Encoder, names: tuple[str, str, str], norms: tuple[str, str]) -> Shapes:
    d, wide = encoder.features, encoder.hidden_features
    found = encoder._linear_shapes(
        **{f"attention.{n}": (d, d) for n in (*names, "output.dense")},
        **{"intermediate.dense": (d, wide), "output.dense": (wide, d)},
    )
    return found | {f"{norm}.{part}": (d,) for norm in norms for part in ("weight", "bias")}


@dataclass(frozen=True)
class Bert(Encoder):
    """Features [N, T, features] of texts; the input is int32 tokens [N, T], or a dictionary with ``input_ids``, and
    ``attention_mask`` (1 where there is a token) and ``token_type_ids`` where given.

    The output is a dictionary by transformers' names: ``last_hidden_state``, ``pooler_output``, ``logits``.
    """

    vocabulary: int
    length: int
    types: int

    prefix: ClassVar[str] = "bert."
    buffers: ClassVar[re.Pattern[str]] = re.compile(r"position_ids$|^cls\.")

    def _names(self) -> tuple[str, str, str]:
        return "self.query", "self.key", "self.value"

    def shapes(self) -> Shapes:
        d = self.features
        counts = {"word": self.vocabulary, "position": self.length, "token_type": self.types}
        found: Shapes = {f"embeddings.{n}_embeddings.weight": (count, d) for n, count in counts.items()}
        found |= {f"embeddings.LayerNorm.{part}": (d,) for part in ("weight", "bias")}
        of_layer = _layer_shapes(self, self._names(), ("attention.output.LayerNorm", "output.LayerNorm"))
        found |= {f"encoder.layer.{i}.{n}": s for i in range(self.layers) for n, s in of_layer.items()}
        return found | self._head_shapes()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        given = x if isinstance(x, dict) else {"input_ids": x}
        tokens = jnp.asarray(given["input_ids"])
        types, mask = given.get("token_type_ids"), given.get("attention_mask")
        if tokens.ndim != 2 or tokens.shape[1] > self.length:
            raise ShapeError(f"[Bert] expected tokens [N, T] with T at most {self.length}, got {tokens.aval}.")
        types = jnp.zeros_like(tokens) if types is None else jnp.asarray(types)
        seen = None if mask is None else jnp.asarray(mask).astype(bool)[:, None, None, :]
        with named_scope("embedding"):
            table = lambda name, at: jnp.take(params[f"embeddings.{name}_embeddings.weight"], at, axis=0)  # noqa: E731
            y = table("word", tokens) + table("token_type", types) + table("position", jnp.arange(tokens.shape[1]))
            y = layer_norm(params, "embeddings.LayerNorm", y, self.eps)
        for i in range(self.layers):
            at = f"encoder.layer.{i}."
            with named_scope(f"layers/{i}"):
                y = y + self._attend(params, at, y, seen)
                y = layer_norm(params, f"{at}attention.output.LayerNorm", y, self.eps)
                y = layer_norm(params, f"{at}output.LayerNorm", y + self._mlp(params, at, y), self.eps)
        return self._outputs(params, y, y), state


def mean_pooled(features: Any, attention_mask: Any) -> Any:
    """[N, features]: the mean over the tokens of each text, of length 1, as sentence-transformers' MiniLM has it.

    Args:
        features: ``last_hidden_state`` [N, T, features].
        attention_mask: [N, T], 1 where there is a token.
    """
    weight = jnp.asarray(attention_mask)[..., None].astype(features.dtype)
    mean = jnp.sum(features * weight, axis=1) / jnp.maximum(jnp.sum(weight, axis=1), 1e-9)
    return mean / jnp.maximum(jnp.sqrt(jnp.sum(mean * mean, axis=-1, keepdims=True)), 1e-12)


@dataclass(frozen=True)
class ViT(Encoder):
    """Features of images [N, C, H, W]: one position for the whole image, then one for each patch.

    The output is a dictionary by transformers' names: ``last_hidden_state``, ``pooler_output``, ``logits``.
    """

    size: tuple[int, int]
    patch: tuple[int, int]
    channels: int
    qkv_bias: bool

    prefix: ClassVar[str] = "vit."
    buffers: ClassVar[re.Pattern[str]] = re.compile(r"embeddings\.mask_token$")

    def _names(self) -> tuple[str, str, str]:
        return "attention.query", "attention.key", "attention.value"

    def shapes(self) -> Shapes:
        d, count = self.features, (self.size[0] // self.patch[0]) * (self.size[1] // self.patch[1])
        found: Shapes = {"embeddings.cls_token": (1, 1, d), "embeddings.position_embeddings": (1, count + 1, d)}
        at = "embeddings.patch_embeddings.projection"
        found |= {f"{at}.weight": (d, self.channels, *self.patch), f"{at}.bias": (d,)}
        of_layer = _layer_shapes(self, self._names(), ("layernorm_before", "layernorm_after"))
        if not self.qkv_bias:
            of_layer = {n: s for n, s in of_layer.items() if not re.search(r"attention\.attention\..*bias$", n)}
        found |= {f"encoder.layer.{i}.{n}": s for i in range(self.layers) for n, s in of_layer.items()}
        return found | {"layernorm.weight": (d,), "layernorm.bias": (d,)} | self._head_shapes()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        x = jnp.asarray(x["pixel_values"] if isinstance(x, dict) else x)
        if x.ndim != 4 or x.shape[1:] != (self.channels, *self.size):
            raise ShapeError(
                f"[ViT] expected images [N, {self.channels}, {self.size[0]}, {self.size[1]}], got {x.aval}."
            )
        with named_scope("embedding"):
            at = "embeddings.patch_embeddings.projection"
            y = lax.conv_general_dilated(x, params[f"{at}.weight"], self.patch, "VALID")
            y = y.reshape((*y.shape[:2], -1)).swapaxes(1, 2) + params[f"{at}.bias"]
            first = jnp.broadcast_to(params["embeddings.cls_token"], (len(x), 1, self.features)).astype(y.dtype)
            y = jnp.concatenate([first, y], axis=1) + params["embeddings.position_embeddings"]
        for i in range(self.layers):
            at = f"encoder.layer.{i}."
            with named_scope(f"layers/{i}"):
                y = y + self._attend(params, at, layer_norm(params, f"{at}layernorm_before", y, self.eps), None)
                y = y + self._mlp(params, at, layer_norm(params, f"{at}layernorm_after", y, self.eps))
        y = layer_norm(params, "layernorm", y, self.eps)
        return self._outputs(params, y, y[:, 0]), state


def read(c: Settings, kind: str, most_layers: int) -> Encoder:
    """The network of a configuration of at most ``most_layers`` layers. Raises ModelError."""
    c.refuse("is_decoder", "which is not here")
    features, heads = c.size("hidden_size", 768), c.size("num_attention_heads", 12)
    if features % heads:
        c.fail("num_attention_heads", f"a divisor of the {features} features")
    of = c.values.get("architectures")
    whole = of[0] if isinstance(of, list) and of and isinstance(of[0], str) else "Model"
    shared = {
        "features": features, "hidden_features": c.size("intermediate_size", 3072),
        "layers": c.size("num_hidden_layers", 12, most=most_layers), "heads_count": heads,
        "eps": c.number("layer_norm_eps", 1e-12), "activation": c.choice("hidden_act", ACTIVATIONS, "gelu"),
        "classes": _classes(c, whole),
    }  # fmt: skip
    if kind == "bert":
        pooled = whole.endswith(("Model", "SequenceClassification", "NextSentencePrediction", "PreTraining"))
        return Bert(vocabulary=c.size("vocab_size", 30522), length=c.size("max_position_embeddings", 512),
                    types=c.size("type_vocab_size", 2), pooled=pooled, **shared)  # fmt: skip
    size, patch = _pair(c, "image_size", 224), _pair(c, "patch_size", 16)
    if size[0] % patch[0] or size[1] % patch[1]:
        c.fail("patch_size", f"a divisor of the image's sides, {size}")
    return ViT(size=size, patch=patch, channels=c.size("num_channels", 3), qkv_bias=c.flag("qkv_bias", True),
               pooled=whole.endswith("Model"), **shared)  # fmt: skip


def _classes(c: Settings, whole: str) -> int:
    if not whole.endswith("Classification"):
        return 0
    labels = c.values.get("id2label")
    return len(labels) if isinstance(labels, dict) and labels else c.size("num_labels", 2)


def _pair(c: Settings, name: str, default: int) -> tuple[int, int]:
    value = c.values.get(name)
    if isinstance(value, list) and len(value) == 2:
        first, second = (Settings({name: v}, c.where).size(name) for v in value)
        return first, second
    side = c.size(name, default)
    return side, side
