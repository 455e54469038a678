"""The gamma function of complex numbers, against SciPy in double precision."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import anejax as aj
from anejax.scipy import special

rng = np.random.default_rng(5)
WIDE = rng.uniform(-20, 20, 200) + 1j * rng.uniform(-20, 20, 200)
NEAR = rng.uniform(-3, 3, 100) + 1j * rng.uniform(-1, 1, 100)
POINTS = np.array([1, 2, 0.5, 100, 1 + 100j, -0.5, -1.5, complex(-1.5, -0.0), -30.5 - 3j, 1e-3, 1e4 + 1e3j])
Z = np.concatenate([WIDE, NEAR, POINTS])


def test_the_logarithm_has_scipys_branch():
    out = special.loggamma(Z.astype(np.complex64))
    expected = scipy.special.loggamma(Z.astype(np.complex64).astype(np.complex128))
    np.testing.assert_allclose(out, expected, rtol=3e-6, atol=4e-6)
    with aj.enable_x64():
        np.testing.assert_allclose(special.loggamma(Z), scipy.special.loggamma(Z), rtol=1e-13, atol=3e-14)


@pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
def test_values(jit):
    z = np.concatenate([NEAR, POINTS[:3]]).astype(np.complex64)
    np.testing.assert_allclose(jit(special.gamma)(z), scipy.special.gamma(z.astype(np.complex128)), rtol=1e-5)


def test_the_slope_is_that_of_the_factorial():
    """gamma'(n + 1) / gamma(n + 1) = H_n - the Euler constant."""
    slope = aj.grad(special.loggamma, holomorphic=True)(np.complex64(4))
    np.testing.assert_allclose(slope, 1 + 1 / 2 + 1 / 3 - np.euler_gamma, rtol=1e-5)
