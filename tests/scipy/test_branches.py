"""Choices that rounding must not make: the side of a branch cut, the signs and phases of eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

import anejax as aj
import anejax.numpy as anp
import anejax.scipy.linalg


def with_eigenvalues(values, seed):
    q = np.random.default_rng(seed).normal(size=(len(values), len(values)))
    return (q @ np.diag(values) @ np.linalg.inv(q)).astype(np.float32)


def near(ours, expected):
    np.testing.assert_allclose(ours, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("values", [(-4.0, -1.0), (-9.0, 4.0, -1.0), (-1.0, -2.0, -3.0, 5.0, 6.0)], ids=len)
def test_the_square_root_of_a_negative_eigenvalue_lies_on_the_positive_imaginary_axis(values, seed):
    x = with_eigenvalues(values, seed)
    expected = scipy.linalg.sqrtm(x.astype(np.float64))
    near(anejax.scipy.linalg.sqrtm(x), expected)
    near(aj.jit(anejax.scipy.linalg.sqrtm)(x), expected)


def test_square_roots_of_conjugate_pairs_beside_negative_eigenvalues():
    x = np.zeros((5, 5), np.float32)
    x[0, 0], x[1:3, 1:3], x[3:, 3:] = -2, [[1, 2], [-3, 1]], [[-1, 4], [-4, -1]]
    q = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
    x = (q @ x @ q.T).astype(np.float32)
    near(anejax.scipy.linalg.sqrtm(x), scipy.linalg.sqrtm(x.astype(np.float64)))


def test_functions_of_matrices_with_negative_eigenvalues_take_the_principal_branch():
    x = with_eigenvalues((-4.0, 1.0, 9.0), 1)
    root = anejax.scipy.linalg.funm(x, lambda v: anp.sqrt(v))
    near(root, scipy.linalg.sqrtm(x.astype(np.float64)))


FACTORIZATIONS = {
    "eigh": anp.linalg.eigh,
    "eig": anp.linalg.eig,
    "svd": anp.linalg.svd,
    "qr": anp.linalg.qr,
    "schur": anejax.scipy.linalg.schur,
}


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_eager_and_compiled_factors_have_the_same_signs_and_phases(name, dtype):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 7, 7))
    x = (x + 1j * rng.normal(size=x.shape)).astype(dtype) if dtype == "complex64" else x.astype(dtype)
    run = lambda v: tuple(FACTORIZATIONS[name](v))  # noqa: E731
    for eager, compiled in zip(run(x), aj.jit(run)(x), strict=True):
        np.testing.assert_allclose(eager, compiled, atol=1e-5)
