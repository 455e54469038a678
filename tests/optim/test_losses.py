"""Losses against optax's: values and gradients."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

import operator

import jax
import numpy as np
import optax
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import optim
from anejax.errors import DtypeError, ShapeError
from tests.answers import of_jax

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 5)).astype(np.float32) * 4
LABELS = RNG.integers(0, 5, size=6).astype(np.int32)
SOFT = RNG.dirichlet(np.ones(5), 6).astype(np.float32)
CASES = {
    "softmax_cross_entropy": (SOFT,),
    "softmax_cross_entropy_with_integer_labels": (LABELS,),
    "sigmoid_binary_cross_entropy": ((SOFT > 0.2),),
    "squared_error": (SOFT,),
    "l2_loss": (SOFT,),
    "huber_loss": (SOFT,),
    "log_cosh": (SOFT,),
    "safe_softmax_cross_entropy": (SOFT,),
    "kl_divergence": (SOFT * (SOFT > 0.05),),
    "generalized_kl_divergence": (SOFT,),
    "losses.kl_divergence_with_log_targets": (np.log(SOFT),),
    "losses.poly_loss_cross_entropy": (SOFT,),
    "losses.perceptron_loss": (np.sign(SOFT - 0.2),),
    "hinge_loss": (np.sign(SOFT - 0.2),),
    "sigmoid_focal_loss": ((SOFT > 0.2),),
    "cosine_similarity": (SOFT,),
    "cosine_distance": (SOFT,),
    "ntxent": (np.int32([0, 1, 0, 1, 2, 0]),),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_optax(name):
    f, g, rest = operator.attrgetter(name)(optim), operator.attrgetter(name)(optax), CASES[name]
    (expected,) = of_jax(g, LOGITS, *rest)
    got = f(LOGITS, *rest)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got, expected, rtol=3e-6, atol=1e-6)
    (expected,) = of_jax(lambda x: jax.grad(lambda x: g(x, *rest).sum())(x), LOGITS)
    np.testing.assert_allclose(aj.grad(lambda x: jnp.sum(f(x, *rest)))(LOGITS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["l2_loss", "huber_loss", "log_cosh"])
def test_derivative_where_the_error_is_zero(name):
    f, g = getattr(optim, name), getattr(optax, name)
    at = np.float32([0.0, 1.0, -1.0, 30.0])
    (expected,) = of_jax(lambda x: jax.vmap(jax.grad(g))(x), at)
    for x, slope in zip(at, np.asarray(expected)):
        assert float(aj.grad(f)(x)) == pytest.approx(float(slope), abs=1e-6)


def test_options_are_those_of_optax():
    mask = SOFT > 0.05
    cross = optim.softmax_cross_entropy
    np.testing.assert_allclose(cross(LOGITS, SOFT, 0), optax.softmax_cross_entropy(LOGITS, SOFT, 0), rtol=1e-5)
    got, expected = (o.softmax_cross_entropy_with_integer_labels(LOGITS.T, LABELS, 0) for o in (optim, optax))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    got, expected = (
        o.softmax_cross_entropy_with_integer_labels(LOGITS, np.argmax(mask, 1), where=mask) for o in (optim, optax)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(optim.huber_loss(LOGITS, delta=0.5), optax.huber_loss(LOGITS, delta=0.5), rtol=1e-6)
    np.testing.assert_allclose(optim.smooth_labels(SOFT, 0.1), optax.smooth_labels(SOFT, 0.1), rtol=1e-6)


def test_ctc_is_that_of_optax_with_paddings_and_repeated_labels():
    logits, labels = RNG.normal(size=(3, 7, 5)).astype(np.float32), np.int32([[1, 1, 2], [3, 2, 0], [4, 0, 0]])
    frames = np.float32([[0] * 7, [0] * 5 + [1] * 2, [0] * 6 + [1]])
    padded = np.float32([[0, 0, 0], [0, 0, 1], [0, 1, 1]])

    def seen(o, grad, *arrays):
        losses = o.ctc_loss_with_forward_probs(*arrays, blank_id=0)
        return *losses, grad(lambda x: o.ctc_loss(x, *arrays[1:]).sum())(arrays[0])

    expected = of_jax(lambda *a: seen(optax, jax.grad, *a), logits, frames, labels, padded)
    for got, value in zip(seen(optim, aj.grad, logits, frames, labels, padded), expected, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5)
    with pytest.raises(ShapeError, match=r"\[ctc_loss\] expected logits"):
        optim.ctc_loss(logits, frames, labels[:2], padded)


def test_losses_where_a_probability_is_zero():
    logits, labels = np.float32([[0.0, -np.inf, 1.0]]), np.float32([[0.5, 0.0, 0.5]])
    loss = aj.value_and_grad(lambda x: optim.safe_softmax_cross_entropy(x, labels).sum())
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in loss(logits))
    slope = aj.grad(lambda t: optim.kl_divergence(np.log(SOFT), t).sum())(SOFT * (SOFT > 0.2))
    assert np.isfinite(np.asarray(slope)).all()
    focal, weighed = (optim.sigmoid_focal_loss(LOGITS, SOFT > 0.2, alpha=a, gamma=1.0) for a in (None, 0.25))
    expected = optax.sigmoid_focal_loss(LOGITS, SOFT > 0.2, alpha=0.25, gamma=1.0)
    np.testing.assert_allclose(weighed, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weighed, np.where(SOFT > 0.2, 0.25, 0.75) * focal, rtol=1e-5)


def test_large_logits_stay_finite():
    big = np.float32([[1e4, -1e4]])
    assert float(optim.softmax_cross_entropy_with_integer_labels(big, np.int32([1]))[0]) == 2e4
    assert float(optim.sigmoid_binary_cross_entropy(big, np.float32([[0, 1]])).sum()) == 2e4


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.softmax_cross_entropy(LABELS, SOFT), DtypeError, r"float logits, got int32\[6\]"),
        (lambda: optim.softmax_cross_entropy_with_integer_labels(LOGITS, SOFT), DtypeError, "integer labels"),
        (lambda: optim.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS[:, None]), ShapeError, r"\(6,\)"),
        (lambda: optim.l2_loss(LOGITS, SOFT[:2]), ShapeError, r"\[l2_loss\] expected one shape"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
