"""Keys: seeds, words, splitting, and how typed keys behave in trees, under transformations and when misused."""

import pickle

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import random, tree
from anejax.errors import DtypeError, ShapeError
from tests.answers import of_jax
from tests.random.reference import SEEDS, SHAPES, assert_identical, jax_random, x64


@pytest.mark.parametrize("wide", [False, True])
def test_seeds_make_the_words_of_jax(wide):
    with x64(wide):
        for seed in (*SEEDS, 2**33 + 5, -(2**40), np.int8(-1), np.uint8(255), np.int64(-3), np.uint32(2**31)):
            assert_identical(random.PRNGKey(seed), jax_random.PRNGKey(seed))
            assert_identical(random.key_data(random.key(seed)), jax_random.key_data(jax_random.key(seed)))


def test_a_seed_beyond_64_bits_is_refused():
    with pytest.raises(OverflowError):
        random.key(2**64)


@pytest.mark.parametrize("num", [1, 2, 5, (2, 3), ()])
def test_split_is_that_of_jax(num):
    for seed in SEEDS:
        assert_identical(random.split(random.PRNGKey(seed), num), jax_random.split(jax_random.PRNGKey(seed), num))


def test_fold_in_is_that_of_jax():
    key, reference = random.PRNGKey(3), jax_random.PRNGKey(3)
    for data in (0, 1, 2**32 - 1, np.int32(-1), np.uint8(9)):
        assert_identical(random.fold_in(key, data), jax_random.fold_in(reference, data))


def test_fold_in_refuses_integers_that_do_not_fit():
    for data in (-1, 2**32):
        with pytest.raises(OverflowError):
            random.fold_in(random.key(0), data)


@pytest.mark.parametrize("wide", [False, True])
def test_bits_are_those_of_jax(wide):
    with x64(wide):
        kinds = ["uint64"] if wide else ["uint8", "uint16", "uint32"]
        for seed in SEEDS[:2]:
            for shape in SHAPES:
                for dtype in kinds:
                    expected = jax_random.bits(jax_random.PRNGKey(seed), shape, dtype)
                    assert_identical(random.bits(random.PRNGKey(seed), shape, dtype), expected)
        assert random.bits(random.key(0)).dtype == jax_random.bits(jax_random.key(0)).dtype


def test_typed_keys_and_raw_keys_give_the_same_numbers():
    typed, raw = random.key(5), random.PRNGKey(5)
    assert_identical(random.uniform(typed, (3,)), random.uniform(raw, (3,)))
    assert_identical(random.key_data(random.split(typed)), random.split(raw))
    assert_identical(random.key_data(random.wrap_key_data(raw)), raw)


def test_typed_keys_have_shapes_and_indices():
    keys = random.split(random.key(1), (2, 3))
    words = np.asarray(random.key_data(keys))
    assert (keys.shape, keys.ndim, keys.size, len(keys)) == ((2, 3), 2, 6, 2)
    assert str(keys.dtype) == "key<fry>"
    assert_identical(random.key_data(keys[1, 2]), words[1, 2])
    assert_identical(random.key_data(keys[0]), words[0])
    assert_identical(random.key_data(keys[..., 1]), words[..., 1, :])
    assert_identical(random.key_data(keys.reshape(6)[4]), words.reshape(6, 2)[4])
    first, second = random.split(random.key(1))
    assert first.shape == second.shape == ()
    assert np.asarray(keys == keys).tolist() == [[True] * 3] * 2
    with pytest.raises(IndexError):
        keys[0, 0, 0]
    with pytest.raises(TypeError, match="rank 0 has no length"):
        len(first)


def test_typed_keys_print_kindly():
    assert repr(random.key(7)) == "Array((), dtype=key<fry>) overlaying:\n[0 7]"


def test_typed_keys_pickle_and_refuse_to_be_numbers():
    keys = random.split(random.key(7))
    assert_identical(random.key_data(pickle.loads(pickle.dumps(keys))), random.key_data(keys))
    with pytest.raises(TypeError, match=r"random\.key_data"):
        np.asarray(keys)


def test_typed_keys_are_leaves():
    keys = {"a": random.key(1), "b": random.split(random.key(2))}
    assert [leaf.shape for leaf in tree.leaves(keys)] == [(), (2,)]  # leaves, as jax's
    assert str(tree.structure(keys)) == "PyTreeDef({'a': *, 'b': *})" and tree.map(lambda k: k.ndim, keys)["b"] == 1
    assert aj.tree_util.is_tree_node(random.KeyArray) is False
    assert isinstance(tree.map(lambda x: x, keys)["a"], random.KeyArray)


def test_keys_pass_through_jit_and_vmap():
    key = random.key(9)
    split = aj.jit(random.split)(key)
    assert isinstance(split, random.KeyArray)
    assert_identical(random.key_data(split), random.key_data(random.split(key)))
    assert_identical(aj.jit(random.PRNGKey)(11), random.PRNGKey(11))
    mapped = aj.vmap(lambda k, n: random.fold_in(k, n))(split, jnp.arange(2))
    expected = [random.key_data(random.fold_in(split[i], i)) for i in range(2)]
    assert_identical(random.key_data(mapped), np.stack(expected))


def test_vmap_over_keys_is_that_of_jax():
    keys, reference = random.split(random.PRNGKey(3), 4), jax_random.split(jax_random.PRNGKey(3), 4)
    got = aj.vmap(lambda k: random.uniform(k, (3,)))(keys)
    (expected,) = of_jax(lambda k: jax.vmap(lambda k: jax.random.uniform(k, (3,)))(k), reference)
    assert_identical(got, expected)
    got = aj.vmap(lambda s: random.split(random.PRNGKey(s)))(jnp.arange(3))
    seeds = np.arange(3, dtype=np.int32)
    (expected,) = of_jax(lambda s: jax.vmap(lambda s: jax.random.split(jax.random.PRNGKey(s)))(s), seeds)
    assert_identical(got, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: random.uniform(3), DtypeError, r"\[uniform\] expected a key.*got int32\[\]"),
        (lambda: random.normal([1, 2]), DtypeError, r"\[normal\] expected a key, got list"),
        (lambda: random.bits(np.zeros(2, np.float32)), DtypeError, r"got float32\[2\]"),
        (lambda: random.split(random.split(random.key(0))), ShapeError, r"\[split\] expected a single key.*\(2,\)"),
        (lambda: random.key(1.5), DtypeError, "expected an integer seed"),
        (lambda: random.key(np.arange(2)), ShapeError, r"expected a scalar seed, got int32\[2\]"),
        (lambda: random.key(random.key(0)), DtypeError, "got a key"),
        (lambda: random.key(0, impl="rbg"), ValueError, "threefry2x32"),
        (lambda: random.bits(random.key(0), dtype="int32"), DtypeError, "unsigned"),
        (lambda: random.fold_in(random.key(0), np.arange(2)), ShapeError, "scalar"),
        (lambda: random.bits(random.key(0), (-1,)), ShapeError, "non-negative"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
