"""A character-level LSTM, and how to sample text from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, random


@dataclass(frozen=True)
class CharLSTM(nn.Layer):
    """Logits [N, T, vocabulary] of the character that follows each of int32 ``x`` [N, T].

    The state is () to begin every sequence anew, or what ``carries`` returns, to go on where the last call ended.

    Example:
        >>> from anejax import ShapeDtypeStruct, nn, random
        >>> params, state = CharLSTM(65, 128).init(random.key(0), ShapeDtypeStruct((1, 4), "int32"))
        >>> nn.count_parameters(params)
        148289
    """

    vocabulary: int
    hidden: int
    layers: int = 1
    scope: ClassVar[str] = ""

    def _parts(self, stateful: bool) -> list[nn.Layer]:
        lstm = nn.LSTM(self.hidden, stateful=stateful)
        return [
            nn.Scope("embedding", nn.Embedding(self.vocabulary, self.hidden)),
            *(nn.Scope(f"lstm/{i}", lstm) for i in range(self.layers)),
            nn.Scope("classifier", nn.Linear(self.vocabulary)),
        ]

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return nn.Sequential(*self._parts(False)).init(key, x)[0], ()

    def carries(self, batch: int) -> Any:
        """The state before the first character of ``batch`` sequences."""
        carry = nn.LSTMCell(self.hidden).carry(batch, jnp.float32)
        return ((), *[carry] * self.layers, ())

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        network = nn.Sequential(*self._parts(bool(state)))
        y, after = nn.apply_as("", network, params, state or ((),) * len(network.layers), x)
        return y, after if state else ()


def write(model: CharLSTM, params: Any, prompt: Any, length: int, key: Any, temperature: float = 0.8) -> Any:
    """int32[length] that follow ``prompt`` int32[n], one program with one scan; at temperature 0 the likeliest ones."""

    def pick(logits: Any, key: Any) -> Any:
        if temperature == 0:
            return jnp.argmax(logits, -1).astype(jnp.int32)
        return random.categorical(key, logits / temperature).astype(jnp.int32)

    def run(params: Any, prompt: Any, key: Any) -> Any:
        def step(held: Any, key: Any) -> Any:
            logits, carries = held
            chosen = pick(logits, key)
            ys, carries = model.apply(params, carries, chosen[None, None])
            return (ys[0, -1], carries), chosen

        logits, carries = model.apply(params, model.carries(1), prompt[None])
        return lax.scan(step, (logits[0, -1], carries), random.split(key, length))[1]

    return aj.jit(run)(params, jnp.asarray(prompt, jnp.int32), key)
