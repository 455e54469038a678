"""Vectors with a covariance and orthogonal matrices, against jax.random."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from anejax import random
from anejax.errors import ShapeError
from tests.random.reference import jax_random

KEY, THEIRS = random.PRNGKey(3), jax.random.PRNGKey(3)
MEAN = np.array([1.0, -2.0, 0.5], np.float32)
COV = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]], np.float32)


def test_multivariate_normal_as_jax():
    got = random.multivariate_normal(KEY, MEAN, COV, (50,))
    np.testing.assert_allclose(got, jax_random.multivariate_normal(THEIRS, MEAN, COV, (50,)), atol=4e-6)
    assert random.multivariate_normal(KEY, np.stack([MEAN] * 4), COV).shape == (4, 3)


@pytest.mark.parametrize("method", ["cholesky", "eigh", "svd"])
def test_every_method_takes_a_root_of_the_covariance(method):
    """The columns of a root are free in sign and order: its product with its transpose says it all."""
    draw = lambda mean: random.multivariate_normal(KEY, mean, COV, (3,), method=method)  # noqa: E731
    z = np.asarray(random.normal(KEY, (3, 3)), np.float64)  # what is drawn is z @ root.T
    root = np.linalg.solve(z, np.asarray(draw(np.zeros(3, np.float32)), np.float64)).T
    np.testing.assert_allclose(root @ root.T, COV, atol=1e-4)
    np.testing.assert_allclose(draw(MEAN) - draw(np.zeros(3, np.float32)), np.tile(MEAN, (3, 1)), atol=1e-6)


@pytest.mark.parametrize(("n", "m"), [(4, None), (5, 2), (2, 5), (1, 1)])
def test_orthogonal_as_jax(n, m):
    got = np.asarray(random.orthogonal(KEY, n, (3,), m=m))
    np.testing.assert_allclose(got, jax_random.orthogonal(THEIRS, n, (3,), m=m), atol=2e-6)
    few = min(got.shape[-2:])
    product = got @ got.swapaxes(-1, -2) if got.shape[-2] == few else got.swapaxes(-1, -2) @ got
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(few), product.shape), atol=2e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"\[multivariate_normal\] expected method"):
        random.multivariate_normal(KEY, MEAN, COV, method="lu")
    with pytest.raises(ShapeError, match=r"expected mean \[..., n\] and cov .*got float32\[3\] and float32\[2,3\]"):
        random.multivariate_normal(KEY, MEAN, COV[:2])


@pytest.mark.parametrize("n, m", [(3, 3), (2, 4), (4, 2)])
def test_unitary_as_jax(n, m):
    got = np.asarray(random.orthogonal(KEY, n, (3,), complex, m=m))
    np.testing.assert_allclose(got, jax_random.orthogonal(THEIRS, n, (3,), complex, m=m), atol=2e-6)
    tall = got if n >= m else got.swapaxes(-1, -2)
    np.testing.assert_allclose(tall.conj().swapaxes(-1, -2) @ tall, [np.eye(min(n, m))] * 3, atol=2e-6)


def test_complex_normal_as_jax():
    got = np.asarray(random.normal(KEY, (1000,), complex))
    np.testing.assert_allclose(got, jax_random.normal(THEIRS, (1000,), complex), rtol=4e-7)
    assert got.dtype == np.complex64 and abs(np.mean(abs(got) ** 2) - 1) < 0.15  # five deviations
