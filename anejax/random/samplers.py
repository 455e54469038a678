"""Uniform numbers, integers, coin flips, permutations and choices: identical to JAX's, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.config import config
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops.sort import sort_key_val, top_k
from anejax.random.keys import random_bits, split, words_of
from anejax.typing import ArrayLike


def float_dtype(op: str, dtype: Any) -> np.dtype:
    """``dtype``, by default that of Python floats, canonical. Raises DtypeError unless it is a float dtype."""
    found = dtypes.canonical(dtypes.float64 if dtype is None else dtype)
    if not dtypes.is_float(found):
        raise DtypeError(f"[{op}] expected a float dtype, got {dtypes.name(found)}.")
    return found


def int_dtype(op: str, dtype: Any) -> np.dtype:
    """``dtype``, by default that of Python integers, canonical. Raises DtypeError unless it is an integer dtype."""
    found = dtypes.canonical(dtypes.int64 if dtype is None else dtype)
    if not dtypes.is_int(found):
        raise DtypeError(f"[{op}] expected an integer dtype, got {dtypes.name(found)}.")
    return found


def sample_shape(op: str, shape: Any, *parameters: Any) -> tuple[int, ...]:
    """``shape``, by default the joint shape of the parameters. Raises ShapeError unless they broadcast to it."""
    shapes = [np.shape(p) for p in parameters]
    if shape is None:
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            raise ShapeError(f"[{op}] expected parameters that broadcast to each other, got shapes {shapes}.") from None
    found = checked_shape(shape, op)
    if not all(_fits(s, found) for s in shapes):
        raise ShapeError(f"[{op}] expected parameters that broadcast to shape={found}, got shapes {shapes}.")
    return found


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether ``shape`` broadcasts to ``target``."""
    ends = target[len(target) - len(shape) :] if len(shape) <= len(target) else ()
    return len(ends) == len(shape) and all(n in (1, m) for n, m in zip(shape, ends))


# --- floats -----------------------------------------------------------------------------------------------------


def _unit(words: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Multiples of 2**-mantissa in [0, 1): random bits are put behind the exponent of 1, and 1 is taken off."""
    info = dtypes.finfo(dtype)
    width = 8 if info.nmant < 8 else info.bits
    storage = np.dtype(f"uint{info.bits}")
    raw = lax.convert_element_type(random_bits(words, width, shape), storage)
    mantissa = lax.shift_right_logical(raw, np.asarray(width - info.nmant, storage))
    one = np.ones((), dtype)
    between_1_and_2 = lax.bitcast_convert_type(lax.bitwise_or(mantissa, one.view(storage)), dtype)
    return lax.sub(between_1_and_2, one)


def uniform(key: ArrayLike, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0) -> Array:
    """Uniform floats in [minval, maxval).

    Example:
        >>> from anejax import random
        >>> random.uniform(random.key(0), (2,)).shape
        (2,)
    """
    words, dtype = words_of("uniform", key), float_dtype("uniform", dtype)
    shape = sample_shape("uniform", checked_shape(shape, "uniform"), minval, maxval)
    unit = _unit(words, shape, dtype)
    if _is_number(minval, 0) and _is_number(maxval, 1):
        return unit
    low, high = (_parameter(v, dtype) for v in (minval, maxval))
    span = high - low
    return jnp.maximum(low, _scaled(unit, span, low))


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, (int, float)) and value == number


def _parameter(value: Any, dtype: np.dtype) -> Any:
    """A parameter in ``dtype``: numbers stay NumPy scalars, so that what depends on them alone is computed here."""
    if isinstance(value, (int, float, np.ndarray, np.generic)):
        return np.asarray(value).astype(dtype)[()]
    return lax.convert_element_type(value, dtype)


def _scaled(unit: Any, span: Any, low: Any) -> Any:
    """``unit * span + low``, rounded once: JAX's compiler contracts the two (except in bfloat16)."""
    dtype = aval_of(unit).dtype
    exact = isinstance(span, np.generic) and math.frexp(float(span))[0] == 0.5  # a power of two
    if exact or dtype == dtypes.bfloat16:
        return unit * span + low
    if dtype == dtypes.float64:
        return _multiply_add(unit, span, low)
    with config.override("jax_enable_x64", True):
        wide = dtypes.float32 if dtype == dtypes.float16 else dtypes.float64
        x, y, z = (lax.convert_element_type(v, wide) for v in (unit, span, low))
        return lax.convert_element_type(x * y + z, dtype)


def _multiply_add(x: Any, y: Any, z: Any) -> Any:
    """``x * y + z`` of float64 with one rounding: the product and the sum as unevaluated pairs (Dekker, Knuth)."""
    product = x * y
    (x1, x2), (y1, y2) = _halves(x), _halves(y)
    product_error = x2 * y2 - (((product - x1 * y1) - x2 * y1) - x1 * y2)
    total = product + z
    z_part = total - product
    total_error = (product - (total - z_part)) + (z - z_part)
    return total + (total_error + product_error)


def _halves(x: Any) -> tuple[Any, Any]:
    """Two floats of 26 bits whose sum is ``x``."""
    spread = x * np.float64(2**27 + 1)
    high = spread - (spread - x)
    return high, x - high


# --- integers ---------------------------------------------------------------------------------------------------


def _clipped(value: Any, dtype: np.dtype) -> Any:
    """The integers ``value`` in ``dtype``, saturated."""
    have = aval_of(value).dtype
    low, high = (pick(side(dtypes.iinfo(dtype)), side(dtypes.iinfo(have))) for pick, side in _ENDS)
    kept = lax.max(lax.min(value, np.asarray(high, have)), np.asarray(low, have))
    return lax.convert_element_type(kept, dtype)


_ENDS = ((max, lambda info: int(info.min)), (min, lambda info: int(info.max)))


def _bound(value: Any, dtype: np.dtype) -> Any:
    """A bound of randint as an array of integers; small dtypes count in int32, so that their end fits."""
    array = jnp.asarray(value)
    if not dtypes.is_int(array.dtype):
        array = array.astype(dtypes.canonical(dtypes.int64))
    return array if dtype.itemsize >= 4 else array.astype(dtypes.int32)


def randint(key: ArrayLike, shape: Any, minval: Any, maxval: Any, dtype: Any = None) -> Array:
    """Uniform integers in [minval, maxval).

    Example:
        >>> from anejax import random
        >>> dice = random.randint(random.key(0), (100,), 1, 7)
    """
    words, dtype = words_of("randint", key), int_dtype("randint", dtype)
    shape = sample_shape("randint", checked_shape(shape, "randint"), minval, maxval)
    low, high = _bound(minval, dtype), _bound(maxval, dtype)
    if dtype.itemsize >= 4:
        return _randint(words, shape, low, high, dtype)
    info = dtypes.iinfo(dtype)
    low, high = jnp.clip(low, int(info.min), int(info.max)), jnp.clip(high, int(info.min), int(info.max) + 1)
    return lax.convert_element_type(_randint(words, shape, low, high, dtypes.int32), dtype)


def _randint(words: Any, shape: tuple[int, ...], minval: Any, maxval: Any, dtype: np.dtype) -> Any:
    """Two words per number make its remainder by the span almost uniform: (a * 2**n + b) mod span."""
    nbits = dtype.itemsize * 8
    unsigned = np.dtype(f"uint{nbits}")
    top = _clipped(np.asarray(dtypes.iinfo(dtype).max, dtype), aval_of(maxval).dtype)
    beyond = maxval > top  # the span reaches past the last integer of the dtype
    low, high = _clipped(minval, dtype), _clipped(maxval, dtype)
    one = np.ones((), unsigned)
    span = lax.convert_element_type(high - low, unsigned)
    span = jnp.where(high <= low, one, span)
    span = jnp.where(beyond & (high > low), span + one, span)
    higher, lower = (random_bits(k, nbits, shape) for k in split(words))
    half = lax.rem(jnp.full_like(span, 2 ** (nbits // 2)), span)
    scale = lax.rem(half * half, span)
    offset = _rem(_rem(higher, span) * scale + _rem(lower, span), span)
    return low + lax.convert_element_type(offset, dtype)


def _rem(x: Any, span: Any) -> Any:
    return lax.rem(x, jnp.broadcast_to(span, aval_of(x).shape))


def bernoulli(key: ArrayLike, p: Any = 0.5, shape: Any = None, mode: str = "low") -> Array:
    """True with probability ``p``; mode "high" draws twice as many bits for small ``p``."""
    words = words_of("bernoulli", key)
    shape = sample_shape("bernoulli", shape, p)
    if mode not in ("low", "high"):
        raise ValueError(f"[bernoulli] expected mode 'low' or 'high', got {mode!r}.")
    dtype = aval_of(p).dtype
    if not dtypes.is_float(dtype):
        raise DtypeError(f"[bernoulli] expected a float probability, got {aval_of(p)}.")
    p = lax.convert_element_type(p, dtype)
    if mode == "low":
        return uniform(words, shape, dtype) < p
    first, second = uniform(words, (2, *shape), dtype)
    return second * np.asarray(2.0 ** -dtypes.finfo(dtype).nmant, dtype) < p - first


def rademacher(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """-1 or 1, each with probability one half."""
    dtype = dtypes.canonical(dtypes.int64 if dtype is None else dtype)
    coin = bernoulli(key, 0.5, checked_shape(shape, "rademacher"))
    return (2 * coin.astype(dtype) - 1).astype(dtype)


# --- orders and choices -----------------------------------------------------------------------------------------


def permutation(key: ArrayLike, x: Any, axis: int = 0, independent: bool = False) -> Array:
    """``x`` (or 0 ... x-1) in random order along ``axis``. With ``independent`` each line has a different order."""
    words = words_of("permutation", key)
    aval = aval_of(x)
    if not aval.shape:
        if not dtypes.is_int(aval.dtype):
            raise DtypeError(f"[permutation] expected an integer or an array of at least one axis, got {aval}.")
        return _shuffled(words, jnp.arange(int(x)), 0)
    if not -aval.ndim <= axis < aval.ndim:
        raise ShapeError(f"[permutation] expected an axis of {aval}, got {axis}.")
    axis %= aval.ndim
    if independent or aval.ndim == 1:
        return _shuffled(words, x, axis)
    return jnp.take(x, _shuffled(words, jnp.arange(aval.shape[axis]), 0), axis)


def _shuffled(words: Any, x: Any, axis: int) -> Any:
    """``x`` sorted by random bits, often enough that equal bits are unlikely to tell."""
    size = max(1, math.prod(np.shape(x)))
    rounds = math.ceil(3 * math.log(size) / math.log(2**32 - 1))
    for _ in range(rounds):
        words, subkey = split(words)
        x = sort_key_val(random_bits(subkey, 32, np.shape(x)), x, axis)[1]
    return jnp.asarray(x)


def choice(
    key: ArrayLike, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0, mode: str | None = None
) -> Array:
    """Elements of ``a`` (or of 0 ... a-1) along ``axis``, with probabilities ``p``, with or without replacement."""
    words, shape = words_of("choice", key), checked_shape(shape, "choice")
    array = jnp.asarray(a)
    count = int(a) if array.ndim == 0 else array.shape[axis]
    draws = math.prod(shape)
    if draws == 0:
        return jnp.zeros(shape, array.dtype)
    if count <= 0:
        raise ShapeError("[choice] expected something to choose from, got nothing.")
    if not replace and draws > count:
        raise ShapeError(f"[choice] expected at most {count} draws without replacement, got {draws}.")
    if array.ndim:
        axis %= array.ndim
    if p is None and not replace:
        order = permutation(words, count if array.ndim == 0 else array, axis)
        picked = lax.slice_in_dim(order, 0, draws, axis=axis)
    else:
        index = _choice_index(words, count, shape, draws, replace, p, mode)
        picked = index if array.ndim == 0 else jnp.take(array, index, axis)
    return picked.reshape(shape if array.ndim == 0 else (*array.shape[:axis], *shape, *array.shape[axis + 1 :]))


def _choice_index(words: Any, count: int, shape: Any, draws: int, replace: bool, p: Any, mode: Any) -> Any:
    if p is None:
        return randint(words, shape, 0, count)
    p = jnp.asarray(p)
    p = p if dtypes.is_float(p.dtype) else p.astype(dtypes.canonical(dtypes.float64))
    if p.shape != (count,):
        raise ShapeError(f"[choice] expected {count} probabilities, got {p.aval}.")
    if not replace:
        index = top_k(gumbel(words, (count,), p.dtype, mode) + jnp.log(p), draws)[1]
        return index.reshape(shape).astype(dtypes.canonical(dtypes.int64))
    cumulative = jnp.cumsum(p)
    level = cumulative[-1] * (1 - uniform(words, shape, p.dtype))
    below = (cumulative < jnp.expand_dims(level, -1)).astype(jnp.int32)
    return jnp.minimum(jnp.sum(below, -1), count).astype(dtypes.canonical(dtypes.int64))


def gumbel(key: ArrayLike, shape: Any = (), dtype: Any = None, mode: str | None = None) -> Array:
    """Standard Gumbel noise; mode "high" keeps more precision in the tail."""
    words, dtype = words_of("gumbel", key), float_dtype("gumbel", dtype)
    shape, info = checked_shape(shape, "gumbel"), dtypes.finfo(dtype)
    if mode in (None, "low"):
        return -jnp.log(-jnp.log(uniform(words, shape, dtype, float(info.tiny), 1.0)))
    if mode != "high":
        raise ValueError(f"[gumbel] expected mode 'low' or 'high', got {mode!r}.")
    high, low = uniform(words, (2, *shape), dtype)
    fine = high + np.asarray(2.0**-info.nmant, dtype) * low + np.asarray(info.tiny, dtype)
    return -jnp.log(-jnp.log1p(-jnp.where(high >= 0.5, high, fine)))


def categorical(
    key: ArrayLike, logits: ArrayLike, axis: int = -1, shape: Any = None, replace: bool = True, mode: str | None = None
) -> Array:
    """Indices along ``axis``, with probabilities proportional to exp(logits)."""
    words, logits = words_of("categorical", key), jnp.asarray(logits)
    if not -logits.ndim <= axis < logits.ndim:
        raise ShapeError(f"[categorical] expected an axis of {logits.aval}, got {axis}.")
    axis -= logits.ndim if axis >= 0 else 0
    batch = tuple(n for i, n in enumerate(logits.shape) if i != axis % logits.ndim)
    shape = batch if shape is None else checked_shape(shape, "categorical")
    prefix = shape[: len(shape) - len(batch)]
    if not _fits(batch, shape):
        raise ShapeError(f"[categorical] expected a shape that ends in {batch}, got shape={shape}.")
    if replace:
        noise_shape = list(shape[len(prefix) :])
        noise_shape.insert(axis % logits.ndim, logits.shape[axis])
        noise = gumbel(words, (*prefix, *noise_shape), logits.dtype, mode)
        return jnp.argmax(noise + logits, axis=axis)
    draws = math.prod(prefix)
    if draws > logits.shape[axis]:
        raise ShapeError(f"[categorical] expected at most {logits.shape[axis]} draws without replacement, got {draws}.")
    scores = jnp.moveaxis(logits + gumbel(words, logits.shape, logits.dtype, mode), axis, -1)
    return jnp.moveaxis(top_k(scores, draws)[1], -1, 0).reshape(shape)
