"""Layers of transformers against formulas in jax and NumPy."""

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, random
from anejax.errors import ShapeError

KEY = random.PRNGKey(0)
X = np.random.default_rng(0).normal(size=(2, 6, 16)).astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"kv_heads": 2, "causal": True}, {"head_size": 3}])
def test_multi_head_attention(options):
    layer = nn.MultiHeadAttention(4, **options)
    params, state = layer.init(KEY, X)
    w = {n: np.asarray(p) for n, p in params.items()}
    size = options.get("head_size", 4)
    q, k, v = ((X @ w[n]).reshape(2, 6, -1, size) for n in "qkv")
    heads = jax.nn.dot_product_attention(q, k, v, is_causal=options.get("causal", False))
    expected = np.asarray(heads).reshape(2, 6, -1) @ w["o"]
    np.testing.assert_allclose(layer.apply(params, state, X)[0], expected, rtol=2e-5, atol=2e-6)


def test_causal_attention_does_not_look_ahead():
    layer = nn.MultiHeadAttention(4, causal=True, rotary_base=10000.0)
    params, _ = layer.init(KEY, X)
    changed = X.copy()
    changed[:, 4:] += 1
    before, after = (np.asarray(layer.apply(params, (), x)[0]) for x in (X, changed))
    np.testing.assert_allclose(before[:, :4], after[:, :4], rtol=1e-5, atol=1e-6)
    assert np.abs(before[:, 4:] - after[:, 4:]).max() > 1e-3


def test_rotary_is_a_rotation_of_complex_numbers():
    x = X.reshape(2, 6, 2, 8)
    turned = np.asarray(nn.rotary(x))
    pairs = x[..., 0::2] + 1j * x[..., 1::2]
    angles = np.arange(6)[:, None, None] * 10000.0 ** (-np.arange(4) / 4)
    expected = pairs * np.exp(1j * angles)
    np.testing.assert_allclose(turned[..., 0::2], expected.real, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(turned[..., 1::2], expected.imag, rtol=1e-5, atol=1e-6)
    moved = np.asarray(nn.rotary(x, jnp.arange(6) + 100))
    products = [np.einsum("nthi,nshi->nhts", t, t) for t in (turned, moved)]
    np.testing.assert_allclose(products[0], products[1], rtol=1e-3, atol=1e-3)
    by_row = nn.rotary(x, np.stack([np.arange(6), np.arange(6) + 100]))
    np.testing.assert_allclose(by_row[1], moved[1], rtol=1e-6)


def test_swiglu():
    layer = nn.SwiGLU(24)
    params, _ = layer.init(KEY, X)
    gate, up, down = (np.asarray(params[n]) for n in ("gate", "up", "down"))
    expected = np.asarray(jax.nn.silu(X @ gate)) * (X @ up) @ down
    np.testing.assert_allclose(layer.apply(params, (), X)[0], expected, rtol=2e-5, atol=2e-6)


def test_a_transformer_block_trains():
    block = nn.Sequential(
        nn.Embedding(11, 16),
        nn.Residual(nn.Sequential(nn.RMSNorm(), nn.MultiHeadAttention(4, 2, causal=True, rotary_base=10000.0))),
        nn.Residual(nn.Sequential(nn.RMSNorm(), nn.SwiGLU(24))),
        nn.Linear(11, bias=False),
    )
    tokens = np.random.default_rng(0).integers(0, 11, (2, 6)).astype(np.int32)
    params, state = block.init(KEY, tokens)

    def loss(p):
        return -jnp.mean(nn.one_hot(tokens, 11) * nn.log_softmax(block.apply(p, state, tokens)[0]))

    value, grads = aj.jit(aj.value_and_grad(loss))(params)
    stepped = aj.tree.map(lambda p, g: p - 0.5 * g, params, grads)
    assert float(loss(stepped)) < float(value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MultiHeadAttention(4, 3), ValueError, "kv_heads to divide heads"),
        (lambda: nn.MultiHeadAttention(3).init(KEY, X), ShapeError, "divide the 16 features"),
        (lambda: nn.MultiHeadAttention(4).init(KEY, X[0]), ShapeError, "sequences"),
        (lambda: nn.rotary(X), ShapeError, "even size"),
        (lambda: nn.MultiHeadAttention(4).cache({}, 1, 1), ValueError, "expected causal=True"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
