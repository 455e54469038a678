"""Random counts: Poisson, binomial and multinomial numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import lax
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.numpy.operands import inexact
from anejax.random.keys import split, words_of
from anejax.random.samplers import float_dtype, int_dtype, sample_shape, uniform
from anejax.tree import PyTree
from anejax.typing import ArrayLike


def _poisson_few(words: Any, lam: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Knuth's method: how many uniform numbers it takes until their product is below exp(-lam)."""

    def body(state: PyTree) -> PyTree:
        k, words, log_product = state
        words, subkey = split(words)
        k = jnp.where(log_product > -lam, k + 1, k)
        return k, words, log_product + jnp.log(uniform(subkey, shape, np.float32))

    start = jnp.zeros(shape, dtype), words, jnp.zeros(shape, np.float32)
    return lax.while_loop(lambda s: jnp.any(s[2] > -lam), body, start)[0] - 1


def _poisson_many(words: Any, lam: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Transformed rejection: Hormann, "The transformed rejection method for generating Poisson random variables"."""
    log_lam = jnp.log(lam)
    b = 0.931 + 2.53 * jnp.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inv_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)

    def body(state: PyTree) -> PyTree:
        chosen, accepted, words = state
        words, u_key, v_key = split(words, 3)
        u = uniform(u_key, shape, np.float32) - 0.5
        v = uniform(v_key, shape, np.float32)
        distance = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / distance + b) * u + lam + 0.43)
        s = jnp.log(v * inv_alpha / (a / (distance * distance) + b))
        enough = s <= -lam + k * log_lam - lax.lgamma(k + 1)
        never = (k < 0) | ((distance < 0.013) & (v > distance))
        accept = ((distance >= 0.07) & (v <= v_r)) | (~never & enough)
        return jnp.where(accept, k, chosen), accepted | accept, words

    start = jnp.full(shape, -1, np.float32), jnp.zeros(shape, bool), words
    return lax.while_loop(lambda s: jnp.any(~s[1]), body, start)[0].astype(dtype)


def poisson(key: ArrayLike, lam: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Poisson integers of mean ``lam``; -1 where ``lam`` is NaN.

    Example:
        >>> from anejax import random
        >>> int(random.poisson(random.key(0), 0.0))
        0
    """
    words, dtype = words_of("poisson", key), int_dtype("poisson", dtype)
    shape = sample_shape("poisson", shape, lam)
    return _poisson(words, jnp.broadcast_to(lax.convert_element_type(lam, np.float32), shape), dtype=dtype)


@one_program(static_argnames=("dtype",))
def _poisson(words: Any, lam: Any, *, dtype: np.dtype) -> Any:
    shape = lam.shape
    few = jnp.isnan(lam) | (lam < 10)
    found = jnp.where(
        few,
        _poisson_few(words, jnp.where(few, lam, 0), shape, dtype),
        _poisson_many(words, jnp.where(few, np.float32(1e5), lam), shape, dtype),
    )
    return jnp.where(lam == 0, 0, found)


# log k! less Stirling's approximation of it, for k from 0 to 9
_STIRLING = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _stirling_tail(k: Any) -> Any:
    square = (jnp.clip(k, 0, 9) + 1) ** 2
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (jnp.clip(k, 0, 9) + 1)
    index = jnp.floor(jnp.clip(k, 0, 9)).astype(np.int32)
    return jnp.where(k <= 9, jnp.asarray(_STIRLING, k.dtype)[index], series)


def _binomial_few(words: Any, count: Any, p: Any, shape: tuple[int, ...]) -> Any:
    """The number of geometric numbers that fit into ``count``."""
    log_failure = jnp.log1p(-p)

    def body(state: PyTree) -> PyTree:
        fitted, total, words = state
        subkey, words = split(words)
        fitted = jnp.where(total <= count, fitted + 1, fitted)
        return fitted, total + jnp.ceil(jnp.log(uniform(subkey, shape, p.dtype)) / log_failure), words

    zeros = jnp.zeros(shape, p.dtype)
    return lax.while_loop(lambda s: jnp.any(s[1] <= count), body, (zeros, zeros, words))[0] - 1


def _binomial_many(words: Any, count: Any, p: Any, shape: tuple[int, ...]) -> Any:
    """Transformed rejection with squeeze: Hormann, "The generation of binomial random variates" (1993), BTRS."""
    deviation = jnp.sqrt(count * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = count * p + 0.5
    v_r = 0.92 - 4.2 / b
    r = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    m = jnp.floor((count + 1) * p)

    def log_ratio(k: Any) -> Any:
        return (
            (m + 0.5) * jnp.log((m + 1) / (r * (count - m + 1)))
            + (count + 1) * jnp.log((count - m + 1) / (count - k + 1))
            + (k + 0.5) * jnp.log(r * (count - k + 1) / (k + 1))
            + _stirling_tail(m)
            + _stirling_tail(count - m)
            - _stirling_tail(k)
            - _stirling_tail(count - k)
        )

    def body(state: PyTree) -> PyTree:
        chosen, accepted, words = state
        words, u_key, v_key = split(words, 3)
        u, v = uniform(u_key, shape, p.dtype) - 0.5, uniform(v_key, shape, p.dtype)
        distance = 0.5 - jnp.abs(u)
        sure = (distance >= 0.07) & (v <= v_r)
        k = jnp.floor((2 * a / distance + b) * u + c)
        inside = (k >= 0) & (k <= count)
        enough = jnp.log(v * alpha / (a / (distance * distance) + b)) <= log_ratio(k)
        accept = sure | (inside & enough)
        return jnp.where(accept, k, chosen), accepted | accept, words

    start = jnp.full(shape, -1, p.dtype), jnp.zeros(shape, bool), words
    return lax.while_loop(lambda s: jnp.any(~s[1]), body, start)[0]


def binomial(key: ArrayLike, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Array:
    """The number of successes in ``n`` trials of probability ``p``, as floats; NaN if n < 0 or p is not in [0, 1]."""
    words, dtype = words_of("binomial", key), float_dtype("binomial", dtype)
    shape = sample_shape("binomial", shape, n, p)
    p = jnp.asarray(p)
    p = p.astype(inexact(p.dtype))
    count = jnp.broadcast_to(lax.convert_element_type(n, p.dtype), shape)
    return _binomial(words, count, jnp.broadcast_to(p, shape), dtype=dtype)


@one_program(static_argnames=("dtype",))
def _binomial(words: Any, count: Any, p: Any, *, dtype: np.dtype) -> Any:
    shape = p.shape
    rare = p < 0.5
    q = jnp.where(rare, p, 1 - p)
    no_count = jnp.isnan(count) | (count < 0)
    no_p = jnp.isnan(q) | (q < 0)
    q = jnp.where(no_p, np.asarray(0.01, p.dtype), q)
    few = no_count | (count * q <= 10)
    count = jnp.floor(count)
    found = jnp.where(
        few,
        _binomial_few(words, jnp.where(few, count, 0), q, shape),
        _binomial_many(words, jnp.where(few, 1e4, count), jnp.where(few, 0.5, q), shape),
    ).astype(dtype)
    endless = jnp.isinf(count) & ~(no_p | no_count)
    found = jnp.where(no_p | no_count, np.nan, jnp.where(endless, np.inf, found))
    return jnp.where(rare | no_count | no_p | jnp.isinf(count), found, count.astype(dtype) - found)


def multinomial(
    key: ArrayLike, n: Any, p: Any, *, shape: Any = None, dtype: Any = None, unroll: int | bool = 1
) -> Array:
    """The count of each outcome in ``n`` draws with probabilities ``p`` [..., outcomes], as floats of that shape.

    ``unroll`` is that of the loop over outcomes.
    """
    words, dtype = words_of("multinomial", key), float_dtype("multinomial", dtype)
    n, p = jnp.asarray(n), jnp.asarray(p)
    common = inexact(jnp.result_type(n, p))
    dims = p.shape if shape is None else checked_shape(shape, "multinomial")
    remaining = jnp.broadcast_to(n.astype(common), dims[:-1])
    p = jnp.moveaxis(jnp.broadcast_to(p.astype(common), dims), -1, 0)
    left = lax.cumsum(p, 0, reverse=True)
    ratios = p / jnp.where(left == 0, 1, left)

    def draw(remaining: Any, outcome: Any) -> Any:
        ratio, subkey = outcome
        count = binomial(subkey, remaining, jnp.clip(ratio, 0, 1), dtype=common)
        return remaining - count, count

    _, counts = lax.scan(draw, remaining, (ratios, split(words, ratios.shape[0])), unroll=unroll)
    return jnp.moveaxis(counts, 0, -1).astype(dtype)
