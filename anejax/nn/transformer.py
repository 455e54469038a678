"""The block that transformers repeat: attention, then an MLP, each normalised and added to its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anejax import random
from anejax.nn import functions, initializers
from anejax.nn.activation import Dropout
from anejax.nn.attention import MultiHeadAttention
from anejax.nn.layer import Layer, apply_as, check_rank, spec, take
from anejax.nn.linear import Linear
from anejax.nn.norm import LayerNorm

_LECUN = initializers.lecun_normal()


@dataclass(frozen=True)
class TransformerBlock(Layer):
    """Attention and an MLP with ``hidden`` features over [N, T, features]; each is added to its input.

    ``pre_norm`` normalises the inputs of the parts (GPT-2, ViT); without it, the sums are normalised (Vaswani et al.,
    2017; BERT). ``cross`` has a second attention, to the ``memory`` that ``apply`` is given, as decoders of translation
    have. ``dropout`` is on the output of each part.

    ``apply(..., mask=m, memory=x, memory_mask=m)``: masks as of ``MultiHeadAttention``. The state is ``()``, or what
    ``cache`` gives: then the input is the next part of sequences whose earlier parts the cache has seen.

    Example:
        >>> from anejax import nn, random
        >>> import anejax.numpy as jnp
        >>> block, x = nn.TransformerBlock(heads=2, hidden=16, causal=True), jnp.ones((1, 3, 8))
        >>> params, state = block.init(random.key(0), x)
        >>> block.apply(params, state, x)[0].shape
        (1, 3, 8)
    """

    heads: int
    hidden: int
    pre_norm: bool = True
    causal: bool = False
    cross: bool = False
    dropout: float = 0.0
    activation: Callable[[Any], Any] = functions.gelu
    bias: bool = True
    eps: float = 1e-5
    rotary_base: float | None = None
    weight_init: initializers.Initializer = _LECUN

    def _layers(self) -> dict[str, Layer]:
        attention = MultiHeadAttention(
            self.heads, causal=self.causal, rotary_base=self.rotary_base, weight_init=self.weight_init, bias=self.bias
        )
        cross = MultiHeadAttention(self.heads, weight_init=self.weight_init, bias=self.bias)
        names = ["attention", *(["cross"] if self.cross else []), "mlp"]
        found: dict[str, Layer] = {f"{name}_norm": LayerNorm(self.eps) for name in names}
        found |= {"attention": attention} | ({"cross": cross} if self.cross else {})
        return found | {"up": Linear(self.hidden, self.bias, self.weight_init)}

    def _down(self, features: int) -> Layer:
        return Linear(features, self.bias, self.weight_init)

    def init(self, key: Any, x: Any, memory: Any = None) -> tuple[Any, Any]:
        check_rank(self, x, 3, "sequences [N, T, features]")
        layers, like = self._layers(), spec(self, x)
        keys = random.split(key, len(layers) + 1)
        params = {}
        for i, (name, layer) in enumerate(layers.items()):
            other = (memory,) if name == "cross" and memory is not None else ()
            params[name] = layer.init(keys[i], like, *other)[0]
        wide = layers["up"].out_shape(params["up"], (), like)
        return params | {"down": self._down(x.shape[-1]).init(keys[len(layers)], wide)[0]}, ()

    def cache(self, params: Any, batch: int, length: int) -> Any:
        """An empty cache for sequences of up to ``length`` positions."""
        attention = self._layers()["attention"]
        assert isinstance(attention, MultiHeadAttention)
        return attention.cache(params["attention"], batch, length)

    def apply(
        self,
        params: Any,
        state: Any,
        x: Any,
        *,
        key: Any = None,
        train: bool = False,
        mask: Any = None,
        memory: Any = None,
        memory_mask: Any = None,
    ) -> tuple[Any, Any]:
        layers = self._layers()
        take(self, params, *layers, "down")
        if self.cross and memory is None:
            raise ValueError("[TransformerBlock] expected a memory, since cross=True: apply(..., memory=m).")
        keys = iter(random.split(key, 3) if key is not None else [None] * 3)
        part = lambda name, x, state=(), **given: apply_as(name, layers[name], params[name], state, x, **given)  # noqa: E731

        def added(name: str, x: Any, of: Callable[[Any], Any]) -> Any:
            y = of(part(f"{name}_norm", x)[0] if self.pre_norm else x)
            if self.dropout:
                y = Dropout(self.dropout).apply((), (), y, key=next(keys), train=train)[0]
            return x + y if self.pre_norm else part(f"{name}_norm", x + y)[0]

        def attend(x: Any) -> Any:
            nonlocal state
            y, state = part("attention", x, state, mask=mask)
            return y

        def mlp(x: Any) -> Any:
            y = self.activation(part("up", x)[0])
            return apply_as("down", self._down(x.shape[-1]), params["down"], (), y)[0]

        x = added("attention", x, attend)
        if self.cross:
            x = added("cross", x, lambda x: part("cross", x, memory=memory, mask=memory_mask)[0])
        return added("mlp", x, mlp), state
