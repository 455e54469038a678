"""Rules for jax's typed keys and random bits. Keys are words, uint32[..., 2]; threefry's counters are those of jax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anejax.numpy as jnp
from anejax import random
from anejax.api.batching import vmap
from anejax.errors import RefusedError
from anejax.interop.interpret import rule
from anejax.ops.random import threefry2x32


def _per_key(function: Callable[..., Any], words: Any, *others: Any) -> Any:
    """``function`` for each key of an array of keys, and for the elements of ``others`` beside it."""
    shape = jnp.shape(words)[:-1]
    if not shape:
        return function(words, *others)
    flat = jnp.reshape(words, (math.prod(shape), 2))
    found = vmap(function)(flat, *(jnp.reshape(jnp.broadcast_to(x, shape), (math.prod(shape),)) for x in others))
    return jnp.reshape(found, shape + found.shape[1:])


def _check_implementation(eqn: Any) -> None:
    name = eqn.params["impl"].name
    if name != "threefry2x32":
        raise RefusedError(f"expected keys of threefry2x32, got those of {name}")


@rule("random_wrap", keys=True)
def _wrap(eqn: Any, words: Any) -> list[Any]:
    _check_implementation(eqn)
    return [words]


@rule("random_unwrap", "random_clone", keys=True)
def _unwrap(eqn: Any, words: Any) -> list[Any]:
    return [words]


@rule("random_seed", keys=True)
def _seed(eqn: Any, seeds: Any) -> list[Any]:
    _check_implementation(eqn)
    if not jnp.shape(seeds):
        return [random.PRNGKey(seeds)]
    flat = vmap(random.PRNGKey)(jnp.ravel(seeds))
    return [jnp.reshape(flat, (*jnp.shape(seeds), 2))]


@rule("random_split", keys=True)
def _split(eqn: Any, words: Any) -> list[Any]:
    return [_per_key(lambda key: random.split(key, eqn.params["shape"]), words)]


@rule("random_fold_in", keys=True)
def _fold_in(eqn: Any, words: Any, data: Any) -> list[Any]:
    shape = jnp.broadcast_shapes(jnp.shape(words)[:-1], jnp.shape(data))
    return [_per_key(random.fold_in, jnp.broadcast_to(words, (*shape, 2)), data)]


@rule("random_bits", keys=True)
def _bits(eqn: Any, words: Any) -> list[Any]:
    dtype = jnp.dtype(f"uint{eqn.params['bit_width']}")
    return [_per_key(lambda key: random.bits(key, eqn.params["shape"], dtype), words)]


@rule("random_gamma", keys=True)
def _gamma(eqn: Any, words: Any, shape_parameter: Any) -> list[Any]:
    draw = random.loggamma if eqn.params["log_space"] else random.gamma
    keys = jnp.shape(words)[:-1]
    if jnp.shape(shape_parameter)[: len(keys)] != keys:
        raise RefusedError("expected a shape parameter for each key")
    dtype = eqn.outvars[0].aval.dtype
    if not keys:
        return [draw(words, shape_parameter, dtype=dtype)]
    flat = jnp.reshape(shape_parameter, (math.prod(keys), *jnp.shape(shape_parameter)[len(keys) :]))
    found = vmap(lambda k, a: draw(k, a, dtype=dtype))(jnp.reshape(words, (math.prod(keys), 2)), flat)
    return [jnp.reshape(found, jnp.shape(shape_parameter))]


@rule("threefry2x32")
def _threefry(eqn: Any, *words: Any) -> list[Any]:
    return list(threefry2x32(*map(jnp.asarray, words)))
