"""Sampling from a language model, token by token, with a cache of keys and values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, random
from anejax.errors import ShapeError
from anejax.models.llama import Llama


def generate(
    model: Llama, params: Any, prompt: Sequence[int], *, temperature: float = 1.0, top_p: float = 0.9, seed: int = 0
) -> Iterator[int]:
    """The tokens that follow ``prompt``, one at a time, until the model's length is reached.

    ``temperature`` divides the logits; 0 always takes the likeliest token. ``top_p`` in (0, 1) keeps the likeliest
    tokens whose probabilities sum to more than it (Holtzman et al., 2020); other values keep all. Equal seeds give
    equal tokens. Each step is the same compiled program, and the cache is donated to it.

    Raises ShapeError unless the prompt has a token and fits the model's length; ValueError on a negative temperature.

    Example:
        >>> from anejax import ShapeDtypeStruct, random
        >>> from anejax.models.llama import Config
        >>> model = Llama(Config(8, 8, 1, 1, 1, vocabulary=5, length=4))
        >>> params, _ = model.init(random.key(0), ShapeDtypeStruct((1, 1), "int32"))
        >>> len(list(generate(model, params, [1, 2])))
        3
    """
    if not 1 <= len(prompt) <= model.config.length:
        raise ShapeError(f"[generate] expected a prompt of 1 to {model.config.length} tokens, got {len(prompt)}.")
    if not temperature >= 0:
        raise ValueError(f"[generate] expected a temperature of 0 or more, got {temperature}.")
    step = _step(model, temperature > 0, temperature > 0 and 0 < top_p < 1)
    key, settings = random.key(seed), (np.float32(temperature or 1), np.float32(top_p))
    cache = model.cache(params, 1)
    token = prompt[0]
    for position in range(model.config.length):
        cache, sampled = step(params, cache, np.int32(token), key, *settings)
        if position + 1 < len(prompt):
            token = prompt[position + 1]
        else:
            token = int(sampled)
            yield token


@functools.lru_cache(maxsize=8)
def _step(model: Llama, sampled: bool, nucleus: bool) -> Callable[..., Any]:
    """(params, cache, token, key, temperature, top_p) -> (cache, the next token), compiled."""

    def step(params: Any, cache: Any, token: Any, key: Any, temperature: Any, top_p: Any) -> Any:
        position = cache[0][0]["main"][1]["position"]
        logits, cache = model.apply(params, cache, token[None, None])
        logits = logits[0, 0] / temperature
        if nucleus:
            logits = _nucleus(logits, top_p)
        chosen = random.categorical(random.fold_in(key, position), logits) if sampled else jnp.argmax(logits)
        return cache, chosen.astype(jnp.int32)

    return aj.jit(step, donate_argnums=1)


def _nucleus(logits: Any, top_p: Any) -> Any:
    """``logits``, but minus infinity outside the likeliest tokens whose probabilities sum to more than ``top_p``."""
    p = nn.softmax(logits)
    falling = -jnp.sort(-p)
    kept = jnp.cumsum(falling) - falling <= top_p
    least = jnp.min(jnp.where(kept, falling, 1))
    return jnp.where(p >= least, logits, -jnp.inf)
