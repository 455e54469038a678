"""The parts that the networks of the hub's checkpoints share.

Parameters are one dictionary, from the names of the checkpoint (without the prefix of the whole network, such as
``model.``) to arrays as they are stored: matrices are [outputs, inputs] and keep their dtype. So arrays that are mapped
from a file are used in place, and files that are written have the names that other programs expect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import anejax.numpy as jnp
from anejax import ShapeDtypeStruct, dtypes, lax, named_scope, nn, random
from anejax.models.hub.settings import ModelError

Shapes = dict[str, tuple[int, ...]]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "silu": nn.silu,
    "swish": nn.silu,
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_new": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
    "gelu_fast": nn.gelu,
    "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
}


@dataclass(frozen=True)
class Network(nn.Layer):
    """Base of the networks: sizes as fields, names and shapes of parameters, and ``apply``."""

    prefix: ClassVar[str] = ""  # prefix of parameters in files of the whole network
    heads: ClassVar[tuple[str, ...]] = ()  # names of parameters that have no prefix there begin so
    buffers: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")  # arrays in files that are no parameters
    scope: ClassVar[str | None] = ""

    def shapes(self) -> Shapes:
        """The shape of each parameter by name."""
        raise NotImplementedError

    def init(self, key: Any, x: Any = None) -> tuple[Any, Any]:
        """Parameters of float32: matrices normal with deviation 0.02, scales of norms 1, biases 0."""
        shapes = self.shapes()
        keys = random.split(key, len(shapes))
        return {name: self._first(name, shape, keys[i]) for i, (name, shape) in enumerate(shapes.items())}, ()

    def _first(self, name: str, shape: tuple[int, ...], key: Any) -> Any:
        if name.endswith("bias"):
            return jnp.zeros(shape, jnp.float32)
        if len(shape) == 1:
            return jnp.full(shape, 0 if getattr(self, "unit_offset", False) else 1, jnp.float32)
        return 0.02 * random.normal(key, shape, jnp.float32)

    def named(self, arrays: Mapping[str, Any], where: str) -> tuple[dict[str, Any], str]:
        """The parameters among the arrays of a file, and the prefix that they have there.

        Raises ModelError when one is missing, is of another shape, or is left over.
        """
        shapes = self.shapes()
        prefix = self.prefix if any(name.startswith(self.prefix) for name in arrays) else ""
        found = {name: array for name, array in arrays.items() if not self.buffers.search(name)}
        found = {self._canonical(name, prefix): array for name, array in found.items()}
        for name, shape in shapes.items():
            if name not in found:
                raise ModelError(f"[models] {where}: expected an array {prefix}{name}, which is not there.")
            if found[name].shape != shape:
                raise ModelError(f"[models] {where}: expected {name} {list(shape)}, got {list(found[name].shape)}.")
            if not dtypes.is_float(found[name].dtype):
                raise ModelError(f"[models] {where}: expected floats as {name}, got {found[name].dtype}.")
        if extra := sorted(set(found) - set(shapes)):
            raise ModelError(
                f"[models] {where}: no part of {type(self).__name__} takes the array {extra[0]}"
                f" ({len(extra)} such in all)."
            )
        return {name: found[name] for name in shapes}, prefix

    def _canonical(self, name: str, prefix: str) -> str:
        return name if name.startswith(self.heads or "\0") else name.removeprefix(prefix)

    def file_name(self, name: str, prefix: str) -> str:
        """The name of a parameter in files that have ``prefix``."""
        return name if name.startswith(self.heads or "\0") else prefix + name


@dataclass(frozen=True)
class LanguageModel(Network):
    """A network that maps int32 ``tokens`` [N, T] to logits [N, T, vocabulary] of each next token.

    The state is ``()``, or what ``cache`` gives: then sequences are taken part by part. ``length`` is how many
    positions it knows.
    """

    vocabulary: int
    layers: int
    length: int

    def kv_shape(self) -> tuple[int, int]:
        """(heads, size) of the keys and values of a layer."""
        raise NotImplementedError

    def cache(self, params: Any, batch: int, length: int | None = None) -> Any:
        """The state before the first token of ``batch`` sequences of up to ``length`` tokens."""
        shape = (batch, length or self.length, *self.kv_shape())
        dtype = next(iter(params.values())).dtype
        empty = lambda: tuple(jnp.zeros(shape, dtype) for _ in range(self.layers))  # noqa: E731
        return {"keys": empty(), "values": empty(), "position": jnp.zeros((), jnp.int32)}

    def hidden(self, params: Any, state: Any, tokens: Any) -> tuple[Any, Any]:
        """The input of the classifier, [N, T, features], and the state."""
        raise NotImplementedError

    def logits(self, params: Any, hidden: Any) -> Any:
        """The logits for a result of ``hidden``."""
        raise NotImplementedError

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        y, state = self.hidden(params, state, x)
        with named_scope("classifier"):
            return self.logits(params, y), state


def linear(params: Any, name: str, x: Any) -> Any:
    """``x`` times the matrix [outputs, inputs] of that name, and its bias where there is one."""
    with named_scope(name.rpartition(".")[2]):
        y = jnp.matmul(x, jnp.transpose(params[f"{name}.weight"]))
        bias = params.get(f"{name}.bias")
        return y if bias is None else y + bias


def layer_norm(params: Any, name: str, x: Any, eps: float) -> Any:
    """Normalised over the last axis in float32, by the weight and the bias of that name."""
    affine = {"scale": params[f"{name}.weight"], "bias": params[f"{name}.bias"]}
    return nn.apply_as(name.rpartition(".")[2], nn.LayerNorm(eps), affine, (), x)[0]


def split_heads(x: Any, count: int) -> Any:
    """[N, T, heads * size] as [N, T, heads, size]."""
    return x.reshape((*x.shape[:2], count, -1))


@dataclass(frozen=True)
class Attention:
    """The parameters of attention: ``window`` positions back (default all), logits times ``scale``, capped by tanh at
    ``cap``."""

    scale: float
    window: int | None = None
    cap: float | None = None
    causal: bool = True

    def __call__(self, queries: Any, keys: Any, values: Any, positions: Any, mask: Any = None) -> Any:
        """[N, T, heads * size], of queries [N, T, heads, size] at ``positions`` [T] and keys [N, S, kv_heads, size]."""
        at = jnp.arange(keys.shape[1])
        if self.causal:
            mask = at <= positions[:, None]
            mask = mask & (at > positions[:, None] - self.window) if self.window is not None else mask
        if self.cap is None:
            y = nn.dot_product_attention(queries, keys, values, mask=mask, scale=self.scale)
        else:
            y = self._capped(queries, keys, values, mask)
        return y.reshape((*y.shape[:2], -1))

    def _capped(self, queries: Any, keys: Any, values: Any, mask: Any) -> Any:
        count = queries.shape[2] // keys.shape[2]
        keys, values = (jnp.repeat(x, count, axis=2) for x in (keys, values))
        logits = jnp.einsum("nthd,nshd->nhts", queries, keys).astype(jnp.float32) * self.scale
        logits = self.cap * jnp.tanh(logits / self.cap)
        weights = nn.softmax(jnp.where(mask, logits, np.float32(-1e30))).astype(values.dtype)
        return jnp.einsum("nhts,nshd->nthd", weights, values)


def extended(state: Any, layer: int, keys: Any, values: Any) -> tuple[Any, Any]:
    """The keys and values of a layer's cache, with new ones written at its position."""
    at = state["position"]
    put = lambda old, new: lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), at, 1)  # noqa: E731
    return put(state["keys"][layer], keys), put(state["values"][layer], values)


def positions_of(state: Any, tokens: Any) -> Any:
    """The positions of ``tokens`` [N, T], int32[T]."""
    return jnp.arange(tokens.shape[1], dtype=jnp.int32) + (state["position"] if state else 0)


def grown(state: Any, caches: list[tuple[Any, Any]], tokens: Any) -> Any:
    """The state behind ``tokens``, with the keys and values of all layers."""
    if not state:
        return ()
    keys, values = zip(*caches, strict=True)
    return {"keys": keys, "values": values, "position": state["position"] + tokens.shape[1]}


def example(batch: int = 1, length: int = 1) -> ShapeDtypeStruct:
    """The type of tokens."""
    return ShapeDtypeStruct((batch, length), jnp.int32)
