"""Samples from a language model, token by token, with a cache of keys and values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, random
from anejax.errors import ShapeError

_PART = 64  # tokens of a prompt that a separate program processes at a time


def generate(
    model: Any,
    params: Any,
    prompt: Sequence[int],
    *,
    temperature: float = 1.0,
    top_p: float = 0.9,
    top_k: int = 0,
    seed: int = 0,
    length: int | None = None,
) -> Iterator[int]:
    """The tokens that follow ``prompt``, one at a time, until ``length`` positions are full.

    ``temperature`` divides the logits; 0 always takes the likeliest token. ``top_k`` above 0 keeps so many of the
    likeliest tokens. ``top_p`` in (0, 1) keeps the likeliest tokens whose probabilities sum to more than it (Holtzman
    et al., 2020); other values keep all. Equal seeds give equal tokens. Each step is the same compiled program, and the
    cache is donated to it.

    Args:
        model: a language model: a layer with ``vocabulary``, ``length`` and ``cache(params, batch, length)``, such as
            ``Llama`` and the networks of ``anejax.models.load``.
        params: its parameters.
        prompt: tokens below its vocabulary, one or more.
        length: positions of the cache; the model's own unless given.

    Raises ShapeError unless the prompt has a token and fits the length; ValueError on a negative temperature, a
    token outside the vocabulary, or a length past the model's.

    Example:
        >>> from anejax import ShapeDtypeStruct, random
        >>> from anejax.models.llama import Config, Llama
        >>> model = Llama(Config(8, 8, 1, 1, 1, vocabulary=5, length=4))
        >>> params, _ = model.init(random.key(0), ShapeDtypeStruct((1, 1), "int32"))
        >>> len(list(generate(model, params, [1, 2])))
        3
    """
    positions = int(model.length) if length is None else length
    _check(model, prompt, temperature, positions)
    step = _step(model, temperature > 0, temperature > 0 and 0 < top_p < 1, min(top_k, model.vocabulary))
    key, settings = random.key(seed), (np.float32(temperature or 1), np.float32(top_p))
    cache, begun = _begin(model, params, prompt, positions)
    token = prompt[begun]
    for position in range(begun, positions):
        cache, sampled = step(params, cache, np.int32(token), np.int32(position), key, *settings)
        if position + 1 < len(prompt):
            token = prompt[position + 1]
        else:
            token = int(sampled)
            yield token


def _check(model: Any, prompt: Sequence[int], temperature: float, length: int) -> None:
    if not 1 <= length <= model.length:
        raise ValueError(f"[generate] expected a length of 1 to {model.length}, which the model knows, got {length}.")
    if not 1 <= len(prompt) <= length:
        raise ShapeError(f"[generate] expected a prompt of 1 to {length} tokens, got {len(prompt)}.")
    if not temperature >= 0:
        raise ValueError(f"[generate] expected a temperature of 0 or more, got {temperature}.")
    if wrong := [token for token in prompt if not 0 <= token < model.vocabulary]:
        raise ValueError(f"[generate] expected tokens below the vocabulary of {model.vocabulary}, got {wrong[0]}.")


def _begin(model: Any, params: Any, prompt: Sequence[int], length: int) -> tuple[Any, int]:
    """The cache behind the first whole parts of the prompt, and how many tokens those have; the last token is left."""
    cache, begun = model.cache(params, 1, length), 0
    while begun + _PART < len(prompt):
        part = np.asarray(prompt[begun : begun + _PART], np.int32)
        cache, begun = _taken(model)(params, cache, part[None]), begun + _PART
    return cache, begun


@functools.lru_cache(maxsize=8)
def _taken(model: Any) -> Callable[..., Any]:
    """(params, cache, tokens) -> the cache behind them, compiled."""
    return aj.jit(lambda params, cache, tokens: model.apply(params, cache, tokens)[1], donate_argnums=1)


@functools.lru_cache(maxsize=8)
def _step(model: Any, sampled: bool, nucleus: bool, top_k: int) -> Callable[..., Any]:
    """(params, cache, token, position, key, temperature, top_p) -> (cache, the next token), compiled."""

    def step(params: Any, cache: Any, token: Any, position: Any, key: Any, temperature: Any, top_p: Any) -> Any:
        logits, cache = model.apply(params, cache, token[None, None])
        logits = logits[0, 0].astype(jnp.float32) / temperature
        if sampled and top_k:
            logits = jnp.where(logits >= lax.top_k(logits, top_k)[0][-1], logits, -jnp.inf)
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
