# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
"""Typed keys are arrays: what moves elements moves keys, as it moves the rows of their words; they are no numbers."""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import dtypes, lax, random
from anejax.errors import DtypeError

KEY = random.key(5)
KEYS = random.split(KEY, 6)
WORDS = np.asarray(random.key_data(KEYS))
MASK = np.array([True, False, True, False, False, True])

# functions of keys, or of an array of them with one more axis in NumPy, and how NumPy does it to words [..., 2]
MOVES = {
    "T": (lambda k: k.reshape(2, 3).T, lambda w: w.reshape(2, 3, 2).swapaxes(0, 1)),
    "index": (lambda k: k[2:4], lambda w: w[2:4]),
    "mask": (lambda k: k[MASK], lambda w: w[MASK]),
    "at": (lambda k: k.at[1].set(k[0]), lambda w: np.concatenate([w[:1], w[:1], w[2:]])),
    "get": (lambda k: k.at[np.array([1, 3])].get(), lambda w: w[[1, 3]]),
    "where": (lambda k: jnp.where(MASK, k, k[0]), lambda w: np.where(MASK[:, None], w, w[0])),
    "concatenate": (lambda k: jnp.concatenate([k, k[:2]]), lambda w: np.concatenate([w, w[:2]])),
    "stack": (lambda k: jnp.stack([k, k], axis=1), lambda w: np.stack([w, w], 1)),
    "flip": (jnp.flip, lambda w: w[::-1]),
    "roll": (lambda k: jnp.roll(k, 2), lambda w: np.roll(w, 2, 0)),
    "repeat": (lambda k: jnp.repeat(k, 2), lambda w: np.repeat(w, 2, 0)),
    "tile": (lambda k: jnp.tile(k, 2), lambda w: np.tile(w, (2, 1))),
    "broadcast_to": (lambda k: jnp.broadcast_to(k, (2, 6)), lambda w: np.broadcast_to(w, (2, 6, 2))),
    "ravel": (lambda k: k.reshape(3, 2).ravel(), lambda w: w),
    "moveaxis": (lambda k: jnp.moveaxis(k.reshape(2, 3), 0, 1), lambda w: w.reshape(2, 3, 2).swapaxes(0, 1)),
    "take": (lambda k: jnp.take(k, np.array([3, 0])), lambda w: w[[3, 0]]),
    "array": (lambda k: jnp.array([k[1], k[0]]), lambda w: w[[1, 0]]),
    "full_like": (lambda k: jnp.full_like(k, k[3]), lambda w: np.broadcast_to(w[3], w.shape)),
    "full": (lambda k: jnp.full((2, 2), k[3]), lambda w: np.broadcast_to(w[3], (2, 2, 2))),
    "lax.slice": (lambda k: lax.slice(k, (1,), (5,), (2,)), lambda w: w[1:5:2]),
    "lax.dynamic_update_slice": (lambda k: lax.dynamic_update_slice(k, k[4:], (0,)),
                                 lambda w: np.concatenate([w[4:], w[2:]])),
    "lax.select": (lambda k: lax.select(MASK, k, lax.rev(k, (0,))), lambda w: np.where(MASK[:, None], w, w[::-1])),
    "lax.pad": (lambda k: lax.pad(k, k[0], [(1, 0, 0)]), lambda w: np.concatenate([w[:1], w])),
}  # fmt: skip


@pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", MOVES)
def test_keys_are_moved_as_their_words(name, jit):
    move, expected = MOVES[name]
    out = jit(move)(KEYS)
    assert isinstance(out, random.KeyArray) and out.dtype == KEYS.dtype
    assert out.shape == expected(WORDS).shape[:-1]
    np.testing.assert_array_equal(random.key_data(out), expected(WORDS))


def test_several_results_and_maps():
    first, second = jnp.split(KEYS, 2)
    np.testing.assert_array_equal(random.key_data(second), WORDS[3:])
    assert first.shape == (3,) and [k.shape for k in jnp.unstack(first)] == [()] * 3
    out = aj.vmap(lambda k, other: jnp.stack([k, other]), (0, None))(KEYS, KEY)
    assert out.shape == (6, 2) and bool(jnp.all(out[:, 1] == KEY))


def test_keys_are_arrays_of_their_dtype():
    assert isinstance(KEY, aj.Array) and isinstance(KEYS, jnp.ndarray)
    for kind in (dtypes.prng_key, dtypes.extended, np.generic):
        assert jnp.issubdtype(KEY.dtype, kind)
    assert not jnp.issubdtype(KEY.dtype, np.integer) and not jnp.issubdtype(np.float32, dtypes.prng_key)
    assert (KEYS.ndim, KEYS.size, KEYS.itemsize, KEYS.nbytes) == (1, 6, 8, 48)
    assert str(aj.typeof(KEYS)) == "key<fry>[6]" and lax.dtype(KEY) == jnp.result_type(KEY) == KEY.dtype
    assert aj.ShapeDtypeStruct((3,), KEY.dtype).dtype == KEY.dtype
    assert repr(aj.eval_shape(random.split, KEY)) == "ShapeDtypeStruct(shape=(2,), dtype=key<fry>)"
    for make in (jnp.zeros, jnp.empty):
        assert not random.key_data(make((2, 3), KEY.dtype)).any() and make(2, dtype=KEY.dtype).shape == (2,)
    assert jnp.zeros_like(KEYS).shape == jnp.empty_like(KEYS).shape == (6,)
    assert len(KEY.devices()) == 1 and not KEY.is_deleted() and not jnp.iscomplexobj(KEY)
    copy = KEYS.copy()
    copy.delete()
    assert copy.is_deleted() and not KEYS.is_deleted()


def test_comparisons_broadcast():
    np.testing.assert_array_equal(KEYS[2] == KEYS, np.arange(6) == 2)
    np.testing.assert_array_equal(KEYS[2] != KEYS, np.arange(6) != 2)
    assert jnp.equal(KEY, KEY) and jnp.array_equal(KEYS, KEYS) and not lax.ne(KEY, KEY)
    assert KEY != 3 and not bool(KEY == 3)


@pytest.mark.parametrize(
    "use",
    [lambda k: k + 1, lambda k: k * k, lambda k: -k, jnp.sin, lambda k: k < k, lambda k: k.at[...].add(k),
     lambda k: k.astype(int), jnp.sum, jnp.sort, lambda k: k.at[...].set(3), lambda k: jnp.full_like(k, 0)],
)  # fmt: skip
def test_keys_are_no_numbers(use):
    with pytest.raises((DtypeError, TypeError)):
        use(KEYS)


def test_keys_have_no_hash_and_no_numpy_form():
    for use in (hash, np.asarray, float):
        with pytest.raises(TypeError):
            use(KEY)
