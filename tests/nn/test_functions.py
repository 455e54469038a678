"""Functions of anejax.nn against jax.nn: values, derivatives (at kinks too), dtypes."""

import jax
import jax.numpy as jax_numpy
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn
from anejax.errors import DtypeError, ShapeError
from tests.answers import of_jax
from tests.random.reference import distance

KINKS = np.float32([-6.5, -3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 3.0, 6.0, 7.5, 30.0, -40.0])
LINE = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32) * 3
ELEMENTWISE = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "sigmoid", "silu", "swish", "softplus",
    "log_sigmoid", "mish", "squareplus", "soft_sign", "sparse_plus", "sparse_sigmoid", "hard_tanh", "hard_sigmoid",
    "hard_silu", "hard_swish", "tanh", "identity",
]  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_is_that_of_jax(name):
    f, g = getattr(nn, name), getattr(jax.nn, name)
    for x in (KINKS, LINE, KINKS.astype(np.float16)):
        expected = np.asarray(of_jax(g, x)[0])
        got = np.asarray(f(x))
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(got.dtype).eps, atol=4 * np.finfo(got.dtype).eps)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_that_of_jax(name):
    f, g = getattr(nn, name), getattr(jax.nn, name)
    (expected,) = of_jax(lambda x: jax.vmap(jax.grad(g))(x), KINKS)
    np.testing.assert_allclose(aj.vmap(aj.grad(f))(jnp.asarray(KINKS)), expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "tanh", "elu", "mish"])
def test_second_derivative_is_that_of_jax(name):
    f, g = getattr(nn, name), getattr(jax.nn, name)
    (expected,) = of_jax(lambda x: jax.vmap(jax.grad(jax.grad(g)))(x), KINKS[:8])
    np.testing.assert_allclose(aj.vmap(aj.grad(aj.grad(f)))(jnp.asarray(KINKS[:8])), expected, rtol=2e-5, atol=1e-6)


def test_exact_gelu():
    np.testing.assert_allclose(
        nn.gelu(LINE, approximate=False), jax.nn.gelu(LINE, approximate=False), rtol=1e-6, atol=1e-6
    )


def test_integers_become_floats():
    x = np.arange(-2, 3, dtype=np.int32)
    assert nn.gelu(x).dtype == nn.softmax(x).dtype == np.float32
    np.testing.assert_allclose(nn.softmax(x), jax.nn.softmax(x.astype(np.float32)), rtol=1e-6)
    assert nn.relu(x).dtype == jax.nn.relu(x).dtype == np.int32


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "standardize", "glu", "logsumexp", "logmeanexp"])
@pytest.mark.parametrize("axis", [-1, 0])
def test_along_an_axis_is_that_of_jax(name, axis):
    f, g = getattr(nn, name), getattr(jax.nn, name)
    (value,) = of_jax(g, LINE, axis=axis)
    np.testing.assert_allclose(f(LINE, axis=axis), value, rtol=1e-5, atol=1e-6)
    weight = np.random.default_rng(1).normal(size=np.shape(value)).astype(np.float32)
    got = aj.grad(lambda x: jnp.sum(weight * f(x, axis=axis)))(LINE)
    (expected,) = of_jax(lambda x: jax.grad(lambda x: jax_numpy.sum(weight * g(x, axis=axis)))(x), LINE)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "standardize"])
def test_where_masks_as_in_jax(name):
    f, g = getattr(nn, name), getattr(jax.nn, name)
    mask = LINE > -1
    (expected,) = of_jax(g, LINE, axis=-1, where=mask)
    np.testing.assert_allclose(f(LINE, axis=-1, where=mask), expected, rtol=3e-6, atol=1e-6)


def test_softmax_of_large_numbers_and_of_infinities():
    x = np.float32([[1e4, 1e4 - 1], [-np.inf, 0.0], [-1e30, 1e30]])
    np.testing.assert_allclose(nn.softmax(x), jax.nn.softmax(x), rtol=1e-6)
    np.testing.assert_allclose(nn.log_softmax(x), jax.nn.log_softmax(x), rtol=1e-6)
    assert np.asarray(nn.logsumexp(np.float32([-np.inf, -np.inf]))) == -np.inf
    assert np.asarray(nn.logsumexp(np.float32([np.inf, 0]))) == np.inf


def test_logsumexp_takes_weights_and_gives_signs():
    b = np.float32([1, -2, 3, 0, 1, -1])
    got, expected = nn.logsumexp(LINE, 1, b, return_sign=True), jax.nn.logsumexp(LINE, 1, b, return_sign=True)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-5)
    assert np.array_equal(got[1], expected[1])
    assert nn.logsumexp(LINE, (0, 1), keepdims=True).shape == (1, 1)


def test_one_hot_is_that_of_jax():
    x = np.int32([[0, 2], [5, -1]])
    for axis in (-1, 0, 1):
        assert np.array_equal(nn.one_hot(x, 4, axis=axis), jax.nn.one_hot(x, 4, axis=axis))
    assert nn.one_hot(x, 4, dtype=jnp.int8).dtype == np.int8


ATTENTION = [
    {},
    {"is_causal": True},
    {"scale": 0.3, "bias": True},
    {"mask": True, "is_causal": True},
    {"local_window_size": (2, 1)},
    {"local_window_size": 1, "key_value_seq_lengths": True, "query_seq_lengths": True},
]


@pytest.mark.parametrize("options", ATTENTION)
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_attention_is_that_of_jax(options, kv_heads):
    rng = np.random.default_rng(kv_heads)
    q, k, v = (rng.normal(size=(2, t, n, 8)).astype(np.float32) for t, n in ((5, 4), (6, kv_heads), (6, kv_heads)))
    arguments = dict(options)
    for name, value in {
        "bias": rng.normal(size=(2, 4, 5, 6)).astype(np.float32),
        "mask": rng.random((2, 1, 5, 6)) < 0.7,
        "query_seq_lengths": np.int32([5, 3]),
        "key_value_seq_lengths": np.int32([4, 6]),
    }.items():
        if name in arguments:
            arguments[name] = value
    (expected,) = of_jax(jax.nn.dot_product_attention, q, k, v, **arguments)
    np.testing.assert_allclose(nn.dot_product_attention(q, k, v, **arguments), expected, rtol=1e-5, atol=2e-6)


def test_attention_without_a_batch_and_in_16_bits():
    q = np.random.default_rng(0).normal(size=(5, 2, 8)).astype(np.float16)
    got, expected = nn.dot_product_attention(q, q, q), jax.nn.dot_product_attention(q, q, q)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert distance(got, np.asarray(expected), 1.0) <= 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.glu(np.zeros((2, 3), np.float32)), ShapeError, r"\[glu\].*float32\[2,3\]"),
        (lambda: nn.one_hot(np.int32([1]), 3, axis=5), ShapeError, r"\[one_hot\]"),
        (lambda: nn.dot_product_attention(*[np.zeros((2, 3), np.float32)] * 3), ShapeError, "dot_product_attention"),
        (
            lambda: nn.dot_product_attention(*[np.zeros((1, 2, 2, 4), np.float32)] * 3, mask=np.zeros((1, 1, 2, 2))),
            DtypeError,
            "bool mask",
        ),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ["softplus", "log_sigmoid", "mish"])
@pytest.mark.parametrize("x", [2, 2.0])
def test_python_numbers_stay_weak(name, x):
    want, got = getattr(jax.nn, name)(x), getattr(nn, name)(x)
    assert (got.dtype, got.weak_type) == (want.dtype, want.weak_type)
    np.testing.assert_allclose(got, want, rtol=1e-6)
