"""Distributions that are computed from uniform numbers by float functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.core.trace import aval_of
from anejax.errors import TypePromotionError
from anejax.lax.special.normal import ndtri
from anejax.random.keys import split, words_of
from anejax.random.samplers import float_dtype, int_dtype, rademacher, sample_shape, uniform
from anejax.typing import ArrayLike


def setup(op: str, key: ArrayLike, shape: Any, dtype: Any, *parameters: Any, narrows: bool = False) -> tuple[Any, ...]:
    """(words, shape, dtype, the parameters in dtype and shape).

    Parameters of a wider dtype are refused unless ``narrows``: jax has samplers of both kinds.
    """
    words, dtype = words_of(op, key), float_dtype(op, dtype)
    shape = sample_shape(op, shape, *parameters)
    for p in () if narrows else parameters:
        if dtypes.promote([dtypes.dtype_and_weak(p), (dtype, False)])[0] != dtype:
            raise TypePromotionError(
                f"[{op}] expected parameters that fit into {dtype.name}, got {aval_of(p)}. Convert them with .astype."
            )
    return words, shape, dtype, *(lax.convert_element_type(p, dtype) for p in parameters)


def _const(value: float, dtype: np.dtype) -> Any:
    return np.asarray(value, dtype)


# Giles, "Approximating the erfinv function" (2010), single precision: for w = -log(1 - x^2) below 5, and from 5 on
_CENTRE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
           -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
_TAIL = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
         1.00167406, 2.83297682)  # fmt: skip


def _erf_inv(x: Any) -> Any:
    """The inverse error function on (-1, 1): in single precision the polynomials that JAX uses, to agree with it."""
    dtype = aval_of(x).dtype
    if dtype == dtypes.float64:
        return lax.erf_inv(x)
    x = lax.convert_element_type(x, dtypes.float32)
    w = -jnp.log1p(-x * x)
    central = w < 5
    w = jnp.where(central, w - 2.5, jnp.sqrt(w) - 3)
    p = jnp.where(central, np.float32(_CENTRE[0]), np.float32(_TAIL[0]))
    for a, b in zip(_CENTRE[1:], _TAIL[1:], strict=True):
        p = p * w + jnp.where(central, np.float32(a), np.float32(b))
    return lax.convert_element_type(p * x, dtype)


def normal(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """Standard normal floats; of a complex ``dtype``, real and imaginary part are independent, of variance 1/2 each.

    Example:
        >>> from anejax import random
        >>> random.normal(random.key(0), (2, 3)).shape
        (2, 3)
    """
    if dtype is not None and dtypes.canonical(dtype) in dtypes.COMPLEX:
        dtype = dtypes.canonical(dtype)
        re, im = (normal(k, shape, dtypes.real_part(dtype)) for k in split(key))
        return lax.complex(re, im) / _const(math.sqrt(2), dtype)
    words, dtype = words_of("normal", key), float_dtype("normal", dtype)
    lowest = float(np.nextafter(_const(-1, dtype), _const(0, dtype)))
    u = uniform(words, checked_shape(shape, "normal"), dtype, lowest, 1.0)
    return lax.mul(_erf_inv(u), _const(math.sqrt(2), dtype))


def truncated_normal(key: ArrayLike, lower: Any, upper: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Standard normal floats, given that they lie strictly between ``lower`` and ``upper``."""
    words, shape, dtype, low, high = setup("truncated_normal", key, shape, dtype, lower, upper, narrows=True)
    root2 = _const(math.sqrt(2), dtype)
    from_, to = (lax.erf(v / root2) for v in (low, high))
    out = root2 * _erf_inv(uniform(words, shape, dtype, from_, to))
    infinity = _const(np.inf, dtype)
    if not _central(lower, upper):
        tail = (low > _FAR) | (high < -_FAR)
        out = jnp.where(tail, _in_tail(words, shape, low, high, tail), out)
    return jnp.clip(
        out, jnp.nextafter(lax.stop_gradient(low), infinity), jnp.nextafter(lax.stop_gradient(high), -infinity)
    )


_FAR = 3.0  # beyond so many deviations erf is so near 1 that few of its values are left


def _central(lower: Any, upper: Any) -> bool:
    """Whether the bounds are known numbers that leave more than a tail; then the formula for tails is not needed."""
    return all(isinstance(v, (int, float)) for v in (lower, upper)) and lower <= _FAR and upper >= -_FAR


def _in_tail(words: Any, shape: tuple[int, ...], low: Any, high: Any, tail: Any) -> Any:
    """Numbers between bounds in one tail, from its probabilities, which keep their digits there.

    Where these underflow too, from the tail exp(-x**2 / 2) alone: the quotient of the two is 1 within 1 / low**2.
    """
    dtype = aval_of(low).dtype
    wide = dtypes.float32 if dtype.itemsize == 2 else dtype
    low, high = (lax.convert_element_type(v, wide) for v in (low, high))
    left = high < 0
    near = jnp.where(tail, jnp.where(left, -high, low), _const(_FAR, wide))
    far = jnp.where(tail, jnp.where(left, -low, high), _const(np.inf, wide))
    u, half = uniform(words, shape, wide), _const(0.5, wide)
    root2 = _const(math.sqrt(2), wide)
    most, least = (half * lax.erfc(v / root2) for v in (near, far))
    beyond = near > math.sqrt(-2 * math.log(float(dtypes.finfo(wide).tiny))) - 1
    probability = jnp.where(beyond, half, most - u * (most - least))
    gap = jnp.where(far < np.inf, (far - near) * (far + near), _const(np.inf, wide))
    steep = jnp.sqrt(near * near - 2 * jnp.log1p(u * jnp.expm1(-half * gap)))
    size = jnp.where(beyond, steep, -ndtri(probability))
    return lax.convert_element_type(jnp.where(left, -size, size), dtype)


def exponential(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """Exponential floats of rate 1."""
    words, shape, dtype = setup("exponential", key, checked_shape(shape, "exponential"), dtype)
    return -jnp.log1p(-uniform(words, shape, dtype))


def laplace(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """Laplace floats of location 0 and scale 1."""
    words, shape, dtype = setup("laplace", key, checked_shape(shape, "laplace"), dtype)
    u = uniform(words, shape, dtype, -1.0 + float(dtypes.finfo(dtype).epsneg), 1.0)
    return jnp.sign(u) * jnp.log1p(-jnp.abs(u))


def logistic(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """Logistic floats of location 0 and scale 1."""
    words, shape, dtype = setup("logistic", key, checked_shape(shape, "logistic"), dtype)
    u = uniform(words, shape, dtype, float(dtypes.finfo(dtype).tiny), 1.0)
    return jnp.log(u) - jnp.log1p(-u)


def cauchy(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """Cauchy floats of location 0 and scale 1."""
    words, shape, dtype = setup("cauchy", key, checked_shape(shape, "cauchy"), dtype)
    u = uniform(words, shape, dtype, float(dtypes.finfo(dtype).eps), 1.0)
    return jnp.tan(_const(math.pi, dtype) * (u - _const(0.5, dtype)))


def pareto(key: ArrayLike, b: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Pareto floats of shape ``b`` and scale 1."""
    words, shape, dtype, b = setup("pareto", key, shape, dtype, b)
    return jnp.exp(exponential(words, shape, dtype) / b)


def rayleigh(key: ArrayLike, scale: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Rayleigh floats of the given scale, all finite: a uniform 0 stands for the middle of its step."""
    words, shape, dtype, scale = setup("rayleigh", key, shape, dtype, scale)
    u = jnp.maximum(uniform(words, shape, dtype), _const(float(dtypes.finfo(dtype).eps) / 2, dtype))
    return scale * jnp.sqrt(jnp.log(u) * _const(-2, dtype))


def weibull_min(key: ArrayLike, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Weibull floats of the given scale and concentration."""
    words, shape, dtype = setup("weibull_min", key, checked_shape(shape, "weibull_min"), dtype)
    return jnp.power(exponential(words, shape, dtype), 1.0 / concentration) * scale


def lognormal(key: ArrayLike, sigma: Any = 1.0, shape: Any = None, dtype: Any = None) -> Array:
    """exp(sigma * z) of standard normal z."""
    words, shape, dtype, sigma = setup("lognormal", key, shape, dtype, sigma)
    return jnp.exp(normal(words, shape, dtype) * sigma)


def maxwell(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """The length of a vector of three standard normals."""
    words, shape, dtype = setup("maxwell", key, checked_shape(shape, "maxwell"), dtype)
    return jnp.sqrt(jnp.sum(jnp.square(normal(words, (*shape, 3), dtype)), -1))


def double_sided_maxwell(key: ArrayLike, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Maxwell floats of a random sign, scaled and moved."""
    words, dtype = words_of("double_sided_maxwell", key), float_dtype("double_sided_maxwell", dtype)
    parameters = sample_shape("double_sided_maxwell", None, loc, scale)
    shape = (checked_shape(shape, "double_sided_maxwell") or parameters) + parameters
    length_key, sign_key = split(words)
    return rademacher(sign_key, shape, dtype) * maxwell(length_key, shape, dtype) * scale + loc


def triangular(key: ArrayLike, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Floats in [left, right] whose density rises linearly to ``mode`` and falls linearly from it."""
    words, shape, dtype, left, mode, right = setup("triangular", key, shape, dtype, left, mode, right)
    u = uniform(words, shape, dtype)
    rising = left + jnp.sqrt(u * (right - left) * (mode - left))
    falling = right - jnp.sqrt((1 - u) * (right - left) * (right - mode))
    return jnp.where(u < (mode - left) / (right - left), rising, falling)


def wald(key: ArrayLike, mean: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Wald (inverse Gaussian) floats of the given mean and scale 1, by the method of Michael, Schucany and Haas."""
    words, shape, dtype, mean = setup("wald", key, shape, dtype, mean)
    normal_key, uniform_key = split(words)
    y = jnp.square(normal(normal_key, shape, dtype))
    u = uniform(uniform_key, shape, dtype)
    root = jnp.sqrt(4 * mean * y + jnp.square(mean) * jnp.square(y))
    x = mean + jnp.square(mean) * y / 2 - mean / 2 * root
    return jnp.where(u <= mean / (mean + x), x, jnp.square(mean) / x)


def geometric(key: ArrayLike, p: Any, shape: Any = None, dtype: Any = None) -> Array:
    """The number of tries until the first success of probability ``p``: integers from 1."""
    words, dtype = words_of("geometric", key), int_dtype("geometric", dtype)
    shape = sample_shape("geometric", shape, p)
    p = jnp.asarray(p)
    p = p if dtypes.is_float(p.dtype) else p.astype(dtypes.canonical(dtypes.float64))
    u = uniform(words, shape, p.dtype)
    u = jnp.where(u == 0, 1, u)
    return (jnp.floor(jnp.log(u) / jnp.log1p(-p)) + 1).astype(dtype)
