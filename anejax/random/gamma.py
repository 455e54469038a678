"""Gamma-distributed numbers, and distributions that are computed from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.api.autodiff import jvp
from anejax.api.batching import vmap
from anejax.api.custom import custom_jvp
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.lax.special.exponentials import softmax
from anejax.random.distributions import exponential, normal, setup
from anejax.random.keys import split, words_of
from anejax.random.samplers import float_dtype, rademacher, sample_shape, uniform
from anejax.tree import PyTree
from anejax.typing import ArrayLike


def _one(words: Any, alpha: Any, log_space: bool) -> Any:
    """One gamma number of shape ``alpha``, by Marsaglia and Tsang, "A simple method for generating gamma variables".

    Below 1 the number for alpha + 1 is drawn and multiplied by u**(1 / alpha).
    """
    dtype = aval_of(alpha).dtype
    number = lambda value: np.asarray(value, dtype)  # noqa: E731
    large = alpha >= 1
    boosted = jnp.where(large, alpha, alpha + number(1))
    d = boosted - number(1 / 3)
    c = number(1 / 3) / jnp.sqrt(d)

    def candidate(state: PyTree) -> PyTree:
        words, subkey = split(state[0])
        x = normal(subkey, (), dtype)
        return words, x, number(1) + x * c

    def rejected(state: PyTree) -> PyTree:
        _, x, v, u = state  # the squared normal, the cubed candidate, the uniform number
        sure = u >= number(1) - number(0.0331) * (x * x)
        return sure & (jnp.log(u) >= x * number(0.5) + d * ((number(1) - v) + jnp.log(v)))

    def attempt(state: PyTree) -> PyTree:
        words, x_key, u_key = split(state[0], 3)
        _, x, v = lax.while_loop(lambda s: s[2] <= 0, candidate, (x_key, number(0), number(-1)))
        return words, x * x, (v * v) * v, uniform(u_key, (), dtype)

    words, subkey = split(words)
    _, _, v, _ = lax.while_loop(rejected, attempt, (words, number(0), number(1), number(2)))
    if log_space:
        log_u = -exponential(subkey, (), dtype)
        boost = jnp.where(large | (log_u == 0), number(0), log_u * (number(1) / alpha))
        return (jnp.log(d) + jnp.log(v)) + boost
    return (d * v) * jnp.where(large, number(1), jnp.power(1 - uniform(subkey, (), dtype), number(1) / alpha))


def _draw(words: Any, alpha: Any, log_space: bool) -> Any:
    count = math.prod(aval_of(alpha).shape)
    if not count:
        return jnp.asarray(alpha)
    flat = vmap(lambda w, a: _one(w, a, log_space))(split(words, count), jnp.ravel(alpha))
    return jnp.reshape(flat, aval_of(alpha).shape)


@custom_jvp
def _gamma(words: Any, alpha: Any) -> Any:
    return _draw(words, alpha, False)


@_gamma.defjvp
def _gamma_jvp(primals: PyTree, tangents: PyTree) -> Any:
    out = _gamma(*primals)
    return out, tangents[1] * random_gamma_grad(primals[1], out)


@custom_jvp
def _loggamma(words: Any, alpha: Any) -> Any:
    return _draw(words, alpha, True)


@_loggamma.defjvp
def _loggamma_jvp(primals: PyTree, tangents: PyTree) -> Any:
    out = _loggamma(*primals)
    sample = jnp.maximum(jnp.exp(out), float(dtypes.finfo(aval_of(out).dtype).tiny))
    return out, tangents[1] * random_gamma_grad(primals[1], sample) / sample


_gamma_program, _loggamma_program = one_program(_gamma), one_program(_loggamma)

# --- the derivative in the shape parameter ---------------------------------------------------------------------------


def random_gamma_grad(a: Any, x: Any) -> Any:
    """The derivative in ``a`` of the number ``x`` that was drawn from the gamma distribution of shape ``a``.

    The number keeps its cumulated probability P(a, x) when ``a`` moves, so the derivative is -(dP/da) / (dP/dx). With
    P = x**a exp(-x) / Gamma(a) * S for a series S, and 1 - P the same with a continued fraction C where x is large
    (DLMF 8.7.1 and 8.9.2), the factor in front cancels. NaN where a <= 0 or x < 0.
    """
    a, x = jnp.broadcast_arrays(a, x)
    dtype = jnp.result_type(a, x)
    wide = dtypes.float64 if dtype == dtypes.float64 else dtypes.float32
    a, x = a.astype(wide), x.astype(wide)
    far = (x > 1) & (x > a)
    log_ratio = jnp.log(x) - lax.digamma(a)
    near_x, far_x = jnp.where(far, a, x), jnp.where(far, x, a + 2)
    s, ds = jvp(lambda v: _series(v, near_x), (a,), (jnp.ones_like(a),))
    c, dc = jvp(lambda v: _fraction(v, far_x), (a,), (jnp.ones_like(a),))
    found = jnp.where(far, x * (log_ratio * c + dc), -x * (log_ratio * s + ds))
    return jnp.where((a > 0) & (x >= 0), jnp.where(x == 0, 0, found), np.nan).astype(dtype)


def _until_settled(step: Any, state: PyTree, change: Any) -> Any:
    """``state`` after ``step(n, state)`` for n = 1, 2, ...: until ``change`` is below eps, and half as long again.

    Values settle first and their derivatives, which take the same steps, a little later.
    """
    eps = float(dtypes.finfo(aval_of(state[0]).dtype).eps)

    def body(carry: PyTree) -> PyTree:
        n, last, state = carry
        state = step(n, state)
        return n + 1, jnp.where(jnp.any(change(state) > eps), jnp.minimum(n + n // 2 + 8, 20_000), last), state

    return lax.while_loop(lambda carry: carry[0] <= carry[1], body, (1, 8, state))[2]


def _series(a: Any, x: Any) -> Any:
    """The sum of x**n / (a (a + 1) ... (a + n)) over n >= 0."""

    def step(n: Any, state: PyTree) -> PyTree:
        term = state[0] * (x / (a + n))
        return term, state[1] + term

    return _until_settled(step, (1 / a, 1 / a), lambda s: jnp.abs(s[0] / s[1]))[1]


def _fraction(a: Any, x: Any) -> Any:
    """The continued fraction 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...)), by Lentz's method, for x > a."""
    start = x + 1 - a

    def step(n: Any, state: PyTree) -> PyTree:
        c, d, total, _ = state
        numerator, denominator = -n * (n - a), start + 2 * n
        d = 1 / (numerator * d + denominator)
        c = denominator + numerator / c
        return c, d, total * (c * d), c * d

    state = jnp.full_like(x, 1e30), 1 / start, 1 / start, jnp.zeros_like(x)
    return _until_settled(step, state, lambda s: jnp.abs(s[3] - 1) / 2)[2]


# --- distributions ---------------------------------------------------------------------------------------------------


def gamma(key: ArrayLike, a: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Gamma floats of shape parameter ``a`` and scale 1. Differentiable in ``a``.

    Example:
        >>> from anejax import random
        >>> random.gamma(random.key(0), 2.0, (3,)).shape
        (3,)
    """
    words, shape, _, a = setup("gamma", key, shape, dtype, a, narrows=True)
    return _gamma_program(words, jnp.broadcast_to(a, shape))


def loggamma(key: ArrayLike, a: Any, shape: Any = None, dtype: Any = None) -> Array:
    """The logarithms of gamma floats: exact even if ``a`` is so small that the number itself underflows to 0."""
    words, shape, _, a = setup("loggamma", key, shape, dtype, a, narrows=True)
    return _loggamma_program(words, jnp.broadcast_to(a, shape))


def beta(key: ArrayLike, a: Any, b: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Beta floats of parameters ``a`` and ``b``."""
    words, shape, dtype, a, b = setup("beta", key, shape, dtype, a, b)
    key_a, key_b = split(words)
    log_a, log_b = loggamma(key_a, a, shape, dtype), loggamma(key_b, b, shape, dtype)
    top = jnp.maximum(log_a, log_b)
    of_a, of_b = jnp.exp(log_a - top), jnp.exp(log_b - top)
    return of_a / (of_a + of_b)


def dirichlet(key: ArrayLike, alpha: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Vectors that add up to 1, of the Dirichlet distribution with concentrations ``alpha`` [..., n]."""
    words, dtype = words_of("dirichlet", key), float_dtype("dirichlet", dtype)
    dims = np.shape(alpha)
    if not dims:
        raise ShapeError(f"[dirichlet] expected alpha with an axis of concentrations, got {aval_of(alpha)}.")
    batch = dims[:-1] if shape is None else sample_shape("dirichlet", shape, jnp.zeros(dims[:-1]))
    alpha = lax.convert_element_type(alpha, dtype)
    return softmax(loggamma(words, _not_too_small(alpha, dtype), (*batch, dims[-1]), dtype), -1)


def _not_too_small(alpha: Any, dtype: np.dtype) -> Any:
    """Concentrations that are all so small that logarithms of gamma numbers overflow, in the same ratios but greater.

    There one element has all of the sum, with a probability of its share of ``alpha``, which the ratios decide.
    """
    info = dtypes.finfo(dtype)
    room = 1 if dtype == dtypes.float16 else 256
    small = jnp.max(alpha, axis=-1, keepdims=True) < float(info.tiny) * room
    return jnp.where(small, alpha * np.asarray(2.0**info.nmant * room, dtype), alpha)


def chisquare(key: ArrayLike, df: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Chi-square floats of ``df`` degrees of freedom."""
    words, shape, dtype, df = setup("chisquare", key, shape, dtype, df)
    return jnp.exp(loggamma(words, df / 2, shape, dtype)) * 2


def f(key: ArrayLike, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = None) -> Array:
    """F floats of ``dfnum`` and ``dfden`` degrees of freedom."""
    words, shape, dtype, dfnum, dfden = setup("f", key, shape, dtype, dfnum, dfden)
    key_den, key_num = split(words)
    numerator, denominator = chisquare(key_num, dfnum, shape, dtype), chisquare(key_den, dfden, shape, dtype)
    return (numerator / dfnum) / (denominator / dfden)


def t(key: ArrayLike, df: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Student's t floats of ``df`` degrees of freedom."""
    words, shape, dtype, df = setup("t", key, shape, dtype, df)
    key_n, key_g = split(words)
    half = df / 2
    return normal(key_n, shape, dtype) * jnp.sqrt(half / gamma(key_g, half, shape, dtype))


def generalized_normal(key: ArrayLike, p: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Floats of a density proportional to exp(-abs(x)**p)."""
    words, dtype = words_of("generalized_normal", key), float_dtype("generalized_normal", dtype)
    shape = checked_shape(shape, "generalized_normal")
    key_g, key_r = split(words)
    return rademacher(key_r, shape, dtype) * gamma(key_g, 1 / p, shape, dtype) ** (1 / p)


def ball(key: ArrayLike, d: int, p: Any = 2, shape: Any = (), dtype: Any = None) -> Array:
    """Points uniform in the unit ball of the ``p`` norm in ``d`` dimensions: floats [*shape, d].

    The method is that of Barthe, Guedon, Mendelson, Naor, "A probabilistic approach to the geometry of the l_p ball".
    """
    words, dtype, shape = words_of("ball", key), float_dtype("ball", dtype), checked_shape(shape, "ball")
    key_g, key_e = split(words)
    g = generalized_normal(key_g, p, (*shape, d), dtype)
    e = exponential(key_e, shape, dtype)
    return g / ((jnp.sum(jnp.abs(g) ** p, -1) + e) ** (1 / p))[..., None]
