"""Keys and random bits: Threefry-2x32 in counter mode, with the counters that JAX uses.

A key is two 32-bit words. Element ``i`` of an array of random bits is the hash of the 64-bit number ``i`` under the
key, so any part of the array can be computed by itself (JAX calls this "partitionable").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.core.keys import KeyArray as KeyArray
from anejax.core.trace import aval_of
from anejax.dtypes import KeyDtype
from anejax.errors import DtypeError, ShapeError
from anejax.ops.random import threefry2x32
from anejax.typing import ArrayLike

_UINT = {8: dtypes.uint8, 16: dtypes.uint16, 32: dtypes.uint32, 64: dtypes.uint64}


def _words(op: str, key: ArrayLike) -> Any:
    """The words of typed or raw keys."""
    if isinstance(key, KeyArray):
        return key._words
    try:
        aval = aval_of(key)
    except DtypeError:
        raise DtypeError(f"[{op}] expected a key, got {type(key).__name__}. Make one with random.key(seed).") from None
    if aval.dtype != dtypes.uint32 or aval.shape[-1:] != (2,):
        raise DtypeError(
            f"[{op}] expected a key (from random.key or random.PRNGKey), got {aval}. Make one with random.key(seed)."
        )
    return key


def words_of(op: str, key: ArrayLike) -> Any:
    """The two words of a single key, typed or raw. Raises a kind error for anything else."""
    words = _words(op, key)
    if len(words.shape) != 1:
        raise ShapeError(
            f"[{op}] expected a single key, got keys of shape {tuple(words.shape[:-1])}. Map over them with vmap, or"
            " take one by its index."
        )
    return words


def _like(key: ArrayLike, words: Any) -> Any:
    """``words`` as keys of the kind (typed or raw) of ``key``."""
    return KeyArray(words) if isinstance(key, KeyArray) else words


def _check_impl(op: str, impl: Any) -> None:
    if impl is not None and not isinstance(impl, KeyDtype) and impl != "threefry2x32":
        raise ValueError(f"[{op}] expected the implementation 'threefry2x32', got {impl!r}.")


# --- making keys ------------------------------------------------------------------------------------------------


def _seed_words(op: str, seed: Any) -> Any:
    """The high and the low word of a 64-bit seed. Without x64, integers are 32 bits wide and the high word is 0."""
    if isinstance(seed, KeyArray):
        raise DtypeError(f"[{op}] expected an integer seed, got a key.")
    if isinstance(seed, int):
        seed = np.int64(seed).astype(dtypes.canonical(np.int64))  # wraps, as JAX does
    aval = aval_of(seed)
    if aval.shape:
        raise ShapeError(f"[{op}] expected a scalar seed, got {aval}. Map over seeds with vmap.")
    if not dtypes.is_int(aval.dtype):
        raise DtypeError(f"[{op}] expected an integer seed, got {aval}.")
    low = lax.convert_element_type(seed, dtypes.uint32)
    high = np.zeros((), np.uint32)
    if aval.dtype.itemsize == 8:
        high = lax.convert_element_type(lax.shift_right_logical(seed, np.asarray(32, aval.dtype)), dtypes.uint32)
    return _stack(high, low)


def _stack(first: Any, second: Any) -> Any:
    rank = len(np.shape(first))
    return lax.concatenate([lax.expand_dims(v, (rank,)) for v in (first, second)], rank)


def key(seed: Any, *, impl: Any = None) -> KeyArray:
    """A typed key from an integer seed.

    Example:
        >>> from anejax import random
        >>> random.key_data(random.key(7))
        Array([0, 7], dtype=uint32)
    """
    _check_impl("key", impl)
    return KeyArray(_seed_words("key", seed))


def PRNGKey(seed: Any, *, impl: Any = None) -> Array:
    """A raw key, uint32[2], from an integer seed."""
    _check_impl("PRNGKey", impl)
    return _seed_words("PRNGKey", seed)


def key_data(keys: Any) -> Any:
    """The words of ``keys``: uint32[..., 2]."""
    return _words("key_data", keys)


def wrap_key_data(key_bits_array: Any, *, impl: Any = None) -> KeyArray:
    """Typed keys from their words, uint32[..., 2]; the inverse of ``key_data``."""
    _check_impl("wrap_key_data", impl)
    if isinstance(key_bits_array, KeyArray):
        raise DtypeError("[wrap_key_data] expected an array of uint32, got keys.")
    words = _words("wrap_key_data", key_bits_array)
    return KeyArray(jnp.asarray(words))


def key_impl(keys: Any) -> str:
    """The name of the generator that ``keys`` belong to."""
    _words("key_impl", keys)
    return "threefry2x32"


def clone(key: ArrayLike) -> ArrayLike:
    """The same key: for code that is checked for key reuse elsewhere."""
    _words("clone", key)
    return key


# --- deriving keys and bits -------------------------------------------------------------------------------------


def _pair(words: Any) -> tuple[Any, Any]:
    first, second = (lax.squeeze(lax.slice_in_dim(words, i, i + 1, axis=0), (0,)) for i in (0, 1))
    return first, second


def _hashed_counts(words: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The hashes of 0, 1, 2, ... in ``shape``: two arrays of uint32."""
    size = math.prod(shape)
    if size > 2**32:
        raise ShapeError(f"[random] expected at most 2**32 elements, got shape {shape}.")
    counts = lax.reshape(lax.iota(dtypes.uint32, size), shape) if shape else np.zeros((), np.uint32)
    high, low = threefry2x32(*_pair(words), np.zeros((), np.uint32), counts)
    return high, low


def split(key: ArrayLike, num: int | Sequence[int] = 2) -> Array:
    """``num`` new keys (an int or a shape) that are independent of each other and of ``key``.

    Example:
        >>> from anejax import random
        >>> key, subkey = random.split(random.key(0))
    """
    shape = checked_shape(num, "split")
    return _like(key, _stack(*_hashed_counts(words_of("split", key), shape)))


def fold_in(key: ArrayLike, data: Any) -> Array:
    """A new key from ``key`` and an integer, such as the number of a step."""
    words = words_of("fold_in", key)
    if len(np.shape(data)):
        raise ShapeError(f"[fold_in] expected a scalar, got {aval_of(data)}. Map over data with vmap.")
    if isinstance(data, int):
        data = np.asarray(data, np.uint32)  # raises OverflowError when it does not fit
    number = lax.convert_element_type(data, dtypes.uint32)
    return _like(key, _stack(*threefry2x32(*_pair(words), np.zeros((), np.uint32), number)))


def random_bits(words: Any, width: int, shape: tuple[int, ...]) -> Any:
    """Unsigned integers of ``width`` bits, all of them random, under the key ``words``."""
    high, low = _hashed_counts(words, shape)
    if width == 64:
        high, low = (lax.convert_element_type(v, dtypes.uint64) for v in (high, low))
        return lax.bitwise_or(lax.shift_left(high, np.asarray(32, np.uint64)), low)
    return lax.convert_element_type(lax.bitwise_xor(high, low), _UINT[width])


def bits(key: ArrayLike, shape: Any = (), dtype: Any = None) -> Array:
    """Random bits as unsigned integers (uint32 when no dtype is given; uint64 with x64 on)."""
    words = words_of("bits", key)
    dtype = dtypes.canonical(dtypes.uint64 if dtype is None else dtype)
    if dtype not in dtypes.UNSIGNED:
        raise DtypeError(f"[bits] expected an unsigned integer dtype, got {dtypes.name(dtype)}.")
    return random_bits(words, dtype.itemsize * 8, checked_shape(shape, "bits"))
