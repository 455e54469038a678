"""Distributions drawn by rejection: counts equal jax.random's, floats are 99 % within 8 ulp of them.

Every number comes from the same accepted candidate; logarithms, powers and sums of two libraries differ by a few ulp.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import special

import anejax as aj
import anejax.numpy as jnp
from anejax import random
from anejax.errors import DtypeError, ShapeError
from anejax.random.gamma import random_gamma_grad
from tests.answers import of_jax
from tests.random.reference import assert_identical, distance, jax_random, x64

KEY, THEIRS = random.PRNGKey(3), jax.random.PRNGKey(3)
F = np.float32
FLOATS = {
    "gamma_small": ("gamma", F(0.1)),
    "gamma": ("gamma", np.linspace(0.5, 60, 600).astype(F)),
    "loggamma_small": ("loggamma", F(0.001)),
    "loggamma": ("loggamma", F(3.5)),
    "beta": ("beta", F(0.5), F(2.0)),
    "f": ("f", F(3.0), F(5.0)),
    "t": ("t", F(2.5)),
    "generalized_normal": ("generalized_normal", 1.5),
}


@pytest.mark.parametrize("name", FLOATS)
def test_floats_as_jax(name):
    op, *parameters = FLOATS[name]
    got = getattr(random, op)(KEY, *parameters, shape=(600,))
    expected = getattr(jax_random, op)(THEIRS, *parameters, shape=(600,))
    assert got.dtype == expected.dtype and got.shape == expected.shape
    scale = np.maximum(np.abs(expected), 1.0 if op == "loggamma" else 1e-30)
    ulps = np.abs(np.asarray(got, np.float64) - np.asarray(expected, np.float64)) / scale / 2.0**-23
    assert np.quantile(ulps, 0.99) <= 8 and ulps.max() <= 100


def test_vectors_as_jax():
    alpha = np.array([[0.5, 1, 3], [9, 0.1, 2]], F)
    expected = jax_random.dirichlet(THEIRS, alpha, (4, 2))
    np.testing.assert_allclose(random.dirichlet(KEY, alpha, (4, 2)), expected, rtol=3e-6)
    got = random.ball(KEY, 3, 2, (500,))
    np.testing.assert_allclose(got, jax_random.ball(THEIRS, 3, 2, (500,)), rtol=3e-6)
    assert float(jnp.max(jnp.sum(got**2, -1))) <= 1


COUNTS = {
    "poisson_few": lambda r, k: r.poisson(k, F(3.0), (600,)),
    "poisson_many": lambda r, k: r.poisson(k, np.linspace(8, 1000, 2000).astype(F)),
    "poisson_edges": lambda r, k: r.poisson(k, np.array([0, np.nan, 1e-3, 10], F)),
    "poisson_int8": lambda r, k: r.poisson(k, F(4.0), (50,), "int8"),
    "poisson_none": lambda r, k: r.poisson(k, np.zeros((0, 3), F)),
    "binomial_few": lambda r, k: r.binomial(k, 10, 0.3, (600,)),
    "binomial_many": lambda r, k: r.binomial(k, 1000, 0.3, (600,)),
    "binomial_often": lambda r, k: r.binomial(k, np.arange(100), F(0.8)),
    "binomial_edges": lambda r, k: r.binomial(
        k, np.array([5, -1, np.nan, np.inf, 7, 8, 9], F), np.array([0.5, 0.5, 0.5, 0.5, 1.5, np.nan, 1], F)
    ),
    "multinomial": lambda r, k: r.multinomial(k, 100, np.array([[0.2, 0.3, 0.5], [0.1, 0.9, 0]], F)),
    "multinomial_shape": lambda r, k: r.multinomial(k, np.array([5, 50]), np.array([0.2, 0.8], F), shape=(2, 2)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_equal_those_of_jax(name):
    assert_identical(COUNTS[name](random, KEY), COUNTS[name](jax_random, THEIRS))


def test_float64_and_keys():
    with x64(True):
        got, expected = random.gamma(KEY, 2.5, (1000,)), jax_random.gamma(THEIRS, 2.5, (1000,))
        assert got.dtype == np.float64 and distance(got, expected) <= 64
        assert_identical(random.poisson(KEY, 20.0, (500,)), jax_random.poisson(THEIRS, 20.0, (500,)))
    typed = random.key(3)
    assert_identical(random.gamma(typed, 2.0, (5,)), random.gamma(KEY, 2.0, (5,)))


def test_under_transformations():
    plain = random.gamma(KEY, jnp.arange(1.0, 5.0))
    assert_identical(aj.jit(random.gamma)(KEY, jnp.arange(1.0, 5.0)), plain)
    assert_identical(aj.jit(lambda k: random.poisson(k, 5.0, (20,)))(KEY), random.poisson(KEY, 5.0, (20,)))
    keys = random.split(KEY, 3)
    samples = aj.vmap(lambda k: random.gamma(k, 0.5, (2,)))
    single = jnp.stack([random.gamma(k, 0.5, (2,)) for k in keys])
    assert_identical(aj.jit(samples)(keys), single)
    # Mapped eagerly, powers of few elements are NumPy's, whose last bit depends on the processor.
    np.testing.assert_allclose(samples(keys), single, rtol=4 * np.finfo(F).eps)
    mapped = aj.vmap(lambda k: random.binomial(k, 100, 0.4, (2,)))(keys)
    assert_identical(mapped, jnp.stack([random.binomial(k, 100, 0.4, (2,)) for k in keys]))


@pytest.mark.parametrize("a", [0.05, 0.5, 1.0, 3.0, 30.0, 900.0])
def test_derivative_of_a_sample_is_that_of_the_quantile(a):
    """P(a, x) stays what it is, so dx/da is the derivative of the inverse of P in a."""
    with aj.enable_x64():
        q = np.array([0.001, 0.1, 0.5, 0.9, 0.999])
        h = a * 1e-5
        expected = (special.gammaincinv(a + h, q) - special.gammaincinv(a - h, q)) / (2 * h)
        np.testing.assert_allclose(random_gamma_grad(a, special.gammaincinv(a, q)), expected, rtol=1e-6)


def test_gradients_as_jax():
    a = np.array([0.1, 0.8, 2.0, 17.0, 200.0], F)
    total = lambda r, k, op: lambda v: getattr(r, op)(k, v).sum()  # noqa: E731
    ours = aj.grad(total(random, KEY, "gamma"))(a)
    (theirs,) = of_jax(lambda a: jax.grad(total(jax.random, THEIRS, "gamma"))(a), a)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    np.testing.assert_allclose(aj.jit(aj.grad(total(random, KEY, "gamma")))(a), ours, rtol=1e-6)
    logarithms = aj.grad(total(random, KEY, "loggamma"))(a)
    np.testing.assert_allclose(logarithms * random.gamma(KEY, a), ours, rtol=2e-4)
    assert np.isnan(np.asarray(random_gamma_grad(np.array([-1.0, 1.0], F), np.array([1.0, -1.0], F)))).all()


def test_errors():
    with pytest.raises(ShapeError, match=r"\[gamma\] expected parameters that broadcast to shape=\(2,\)"):
        random.gamma(KEY, np.ones(3, F), (2,))
    with pytest.raises(DtypeError, match=r"\[poisson\] expected an integer dtype, got float32"):
        random.poisson(KEY, 2.0, dtype="float32")
    with pytest.raises(ShapeError, match=r"\[dirichlet\] expected alpha with an axis"):
        random.dirichlet(KEY, 1.0)
