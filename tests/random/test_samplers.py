"""uniform, randint, bernoulli, permutation, choice and categorical: the bytes of jax.random."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

import jax.numpy as jax_numpy
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import random
from anejax.errors import DtypeError, ShapeError
from tests.random.reference import SEEDS, SHAPES, assert_identical, jax_random, x64

FLOATS = ("float16", "bfloat16", "float32")
INTS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")


def keys(seed):
    return random.PRNGKey(seed), jax_random.PRNGKey(seed)


@pytest.mark.parametrize("dtype", [*FLOATS, "float64"])
def test_uniform(dtype):
    with x64(dtype == "float64"):
        for seed in SEEDS:
            key, reference = keys(seed)
            for shape in SHAPES:
                assert_identical(random.uniform(key, shape, dtype), jax_random.uniform(reference, shape, dtype))
        assert random.uniform(key).dtype == jax_random.uniform(reference).dtype


@pytest.mark.parametrize("dtype", [*FLOATS, "float64"])
@pytest.mark.parametrize("bounds", [(-1, 1), (-1.3, 2.7), (0.1, 0.3), (5.0, 100.0), (1000.0, 1001.0)])
def test_uniform_between_bounds_rounds_once_as_in_jax(dtype, bounds):
    with x64(dtype == "float64"):
        for seed in SEEDS:
            key, reference = keys(seed)
            got = random.uniform(key, (1000,), dtype, *bounds)
            if dtype == "float16":  # whether XLA rounds the product of halves depends on the CPU; we do not
                unit = np.asarray(jax_random.uniform(reference, (1000,), dtype), np.float64)
                low, high = np.array(bounds, np.float16)
                expected = np.maximum(low, (unit * np.float64(high - low) + np.float64(low)).astype(np.float16))
            else:
                expected = jax_random.uniform(reference, (1000,), dtype, *bounds)
            assert_identical(got, expected)


def test_uniform_takes_arrays_as_bounds():
    key, reference = keys(4)
    low, high = np.float32([[0.1], [0.7]]), np.float32([1.0, 2.0, 9.3])
    expected = jax_random.uniform(reference, (2, 3), "float32", low, high)
    assert_identical(random.uniform(key, (2, 3), "float32", low, high), expected)
    assert_identical(random.uniform(key, (2, 3), "float32", jnp.asarray(low), jnp.asarray(high)), expected)


@pytest.mark.parametrize("dtype", [*INTS, "int64", "uint64"])
def test_randint(dtype):
    bounds = [(0, 10), (-5, 100), (3, 3), (5, 2), (0, 2**31 - 1), (-1000, 1000), (-128, 128), (-(2**31), 2**31 - 1)]
    with x64(dtype.endswith("64")):
        for seed in SEEDS[:2]:
            key, reference = keys(seed)
            for shape in ((), (2, 3, 4)):
                for low, high in bounds:
                    expected = jax_random.randint(reference, shape, low, high, dtype)
                    assert_identical(random.randint(key, shape, low, high, dtype), expected)


def test_randint_takes_arrays_as_bounds():
    key, reference = keys(4)
    low, high = np.int32([[0], [-50]]), np.int32([1, 2, 1000])
    expected = jax_random.randint(reference, (2, 3), low, high)
    assert_identical(random.randint(key, (2, 3), low, high), expected)
    assert_identical(random.randint(key, (2, 3), jnp.asarray(low), jnp.asarray(high)), expected)


@pytest.mark.parametrize("mode", ["low", "high"])
def test_bernoulli(mode):
    for seed in SEEDS:
        key, reference = keys(seed)
        for shape in SHAPES:
            assert_identical(random.bernoulli(key, 0.3, shape, mode), jax_random.bernoulli(reference, 0.3, shape, mode))
    p = np.float16([0.1, 0.5, 0.9])
    assert_identical(random.bernoulli(key, p, mode=mode), jax_random.bernoulli(reference, p, mode=mode))


def test_rademacher():
    key, reference = keys(8)
    for dtype in ("int32", "int8", "float32"):
        assert_identical(random.rademacher(key, (20,), dtype), jax_random.rademacher(reference, (20,), dtype))


def test_permutation():
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    for seed in SEEDS:
        key, reference = keys(seed)
        assert_identical(random.permutation(key, 50), jax_random.permutation(reference, 50))
        for axis in (0, 1, -1):
            for independent in (False, True):
                got = random.permutation(key, x, axis, independent)
                assert_identical(got, jax_random.permutation(reference, x, axis, independent))


def test_permutation_of_many_sorts_twice():
    key, reference = keys(2)
    assert_identical(random.permutation(key, 3000), jax_random.permutation(reference, 3000))


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_choice(replace, weighted):
    x = np.arange(12, dtype=np.int32).reshape(3, 4)
    p = np.float32([0.1, 0.2, 0.3, 0.4]) if weighted else None
    for seed in SEEDS:
        key, reference = keys(seed)
        for shape in ((), (3,), (2, 2)):
            expected = jax_random.choice(reference, 4, shape, replace, p)
            assert_identical(random.choice(key, 4, shape, replace, p), expected)
            expected = jax_random.choice(reference, x, shape, replace, p, axis=1)
            assert_identical(random.choice(key, x, shape, replace, p, axis=1), expected)


def test_categorical():
    logits = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    for seed in SEEDS:
        key, reference = keys(seed)
        for arguments in ({}, {"axis": 0}, {"shape": (7, 3)}, {"shape": (4, 3), "replace": False}, {"mode": "high"}):
            expected = jax_random.categorical(reference, logits, **arguments)
            assert_identical(random.categorical(key, logits, **arguments), expected)


def test_samplers_under_jit_and_vmap_are_the_same():
    key = random.PRNGKey(6)
    for sample in (
        lambda k: random.uniform(k, (5,), minval=0.1, maxval=0.7),
        lambda k: random.randint(k, (5,), 0, 9),
        lambda k: random.bernoulli(k, 0.2, (5,)),
        lambda k: random.permutation(k, 5),
    ):
        assert_identical(aj.jit(sample)(key), sample(key))
        split = random.split(key, 3)
        assert_identical(aj.vmap(sample)(split), np.stack([sample(split[i]) for i in range(3)]))


def test_samples_have_the_distribution_they_claim():
    draws = np.asarray(random.randint(random.key(0), (60000,), 0, 6))
    counts = np.bincount(draws, minlength=6)
    assert np.sum((counts - 10000) ** 2 / 10000) < 20.5  # chi-squared of 5 degrees of freedom: p = 0.001
    logits = np.log(np.float32([0.5, 0.3, 0.2]))
    share = np.bincount(np.asarray(random.categorical(random.key(1), logits, shape=(30000,)))) / 30000
    np.testing.assert_allclose(share, [0.5, 0.3, 0.2], atol=0.012)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda k: random.uniform(k, (2,), "int32"), DtypeError, "float dtype"),
        (lambda k: random.uniform(k, (2,), minval=np.zeros(3)), ShapeError, r"broadcast to shape=\(2,\)"),
        (lambda k: random.randint(k, (2,), 0, 3, "float32"), DtypeError, "integer dtype"),
        (lambda k: random.bernoulli(k, 1), DtypeError, "float probability"),
        (lambda k: random.bernoulli(k, mode="x"), ValueError, "mode"),
        (lambda k: random.choice(k, 3, (5,), replace=False), ShapeError, "at most 3"),
        (lambda k: random.choice(k, 3, p=np.zeros(2)), ShapeError, "3 probabilities"),
        (lambda k: random.choice(k, 0, (1,)), ShapeError, "nothing"),
        (lambda k: random.categorical(k, np.zeros((2, 3), np.float32), axis=2), ShapeError, "axis"),
        (lambda k: random.categorical(k, np.zeros((2, 3), np.float32), shape=(3,)), ShapeError, "ends in"),
        (lambda k: random.permutation(k, 1.5), DtypeError, "integer or an array"),
        (lambda k: random.permutation(k, np.zeros(3), axis=1), ShapeError, "axis"),
        (lambda k: random.gumbel(k, mode="x"), ValueError, "mode"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call(random.key(0))


def test_jax_is_the_partitionable_generator():
    """What all of the above stands on."""
    counts = jax_numpy.arange(4)
    wide = jax_random.bits(jax_random.PRNGKey(0), (4,), "uint32")
    assert_identical(jax_random.bits(jax_random.PRNGKey(0), (2,), "uint32"), np.asarray(wide)[: counts[2]])
