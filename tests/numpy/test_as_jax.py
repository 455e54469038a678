# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportAssignmentType=false
"""Calls that random comparisons with jax once told apart: values from NumPy, LAPACK or jax, and what jax refuses."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.linalg

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

rng = np.random.default_rng(16)
BOTH = pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
A = np.arange(6.0, dtype=np.float32).reshape(2, 3)
Z, W = (np.complex64(rng.integers(0, 2, 7) + 1j * rng.integers(0, 3, 7)) for _ in range(2))
REFUSED = (TypeError, ValueError, NotImplementedError)


@BOTH
@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (4, 4), (1, 1), (5, 1), (1, 4), (2, 3, 2), (0, 2), (3, 0)], ids=str)
def test_reflections_are_those_of_lapack(shape, jit):
    a = rng.normal(size=shape).astype(np.float32)
    if shape == (4, 4):
        a[1:, 0] = 0  # a reflection that does nothing
    for x in (a, (a + 1j * rng.normal(size=shape)).astype(np.complex64)):
        h, tau = jit(functools.partial(jnp.linalg.qr, mode="raw"))(x)
        m, n = shape[-2:]
        assert (h.shape, tau.shape) == ((*shape[:-2], n, m), (*shape[:-2], min(m, n)))
        for i in np.ndindex(shape[:-2]) if x.size else ():
            (expected, taus), _ = scipy.linalg.qr(x[i].astype(complex if x.dtype.kind == "c" else float), mode="raw")
            np.testing.assert_allclose(h[i], expected.T, rtol=2e-5, atol=2e-6)
            np.testing.assert_allclose(tau[i], taus, rtol=2e-5, atol=2e-6)


def test_sets_of_complex_numbers():
    for name in ("intersect1d", "setdiff1d", "setxor1d", "union1d", "isin"):
        np.testing.assert_array_equal(getattr(jnp, name)(Z, W), getattr(np, name)(Z, W))
    ordered, nan = np.sort(np.append(Z, complex(np.nan, 1))), np.complex64([np.nan, complex(np.nan, 2), 1j])
    for side in ("left", "right"):
        for values in (W, nan):
            expected = np.searchsorted(ordered, values, side)
            np.testing.assert_array_equal(jnp.searchsorted(ordered, values, side), expected)


@BOTH
def test_polynomials_of_matrices(jit):
    for a in (np.float32([[2, 1], [1, 3]]), np.float32([[0, -1, 2], [1, 0, 1], [0, 1, 1]]), np.float32([[5]])):
        np.testing.assert_allclose(jit(jnp.poly)(a), np.poly(a.astype(float)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jnp.poly(2.0), [1, -2])
    both = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([[10, 20]])
    np.testing.assert_array_equal(jnp.polysub(*both), [[1, 2], [3, 4], [-5, -14]])


def test_sizes_of_0_and_arrays_without_elements():
    assert [p.shape for p in jnp.nonzero(A, size=0)] == [(0,), (0,)]
    assert jnp.setxor1d(np.arange(3), np.arange(2), size=0).shape == (0,)
    assert jnp.unique(A, size=0).shape == (0,)
    values, counts = jnp.unique(np.zeros((0, 3), np.int32), return_counts=True, size=4, fill_value=7)
    assert values.tolist() == [7] * 4 and counts.tolist() == [0] * 4
    assert jnp.ix_(np.zeros(0, np.float32))[0].dtype == "int32"
    assert jnp.fft.fftfreq(-1).shape == jnp.fft.fftfreq(0).shape == (0,)
    assert jnp.fft.rfftfreq(-2).shape == (0,) and np.isnan(jnp.fft.rfftfreq(0)).tolist() == [True]


def test_ends_of_ranges():
    x = np.float32([0, 1, 2, 3])
    for q, expected in ((150, 3), (-5, 0), (np.float32([101, 50]), [3, 1.5])):
        for function in (jnp.percentile, jnp.nanpercentile):
            np.testing.assert_array_equal(function(x, q), expected)
    assert np.isnan(jnp.geomspace(0, 10, 5)).all() and np.isnan(jnp.geomspace(-1, 10, 5)).all()
    np.testing.assert_allclose(jnp.geomspace(-1, -16, 5), [-1, -2, -4, -8, -16], rtol=1e-6)
    np.testing.assert_allclose(jnp.geomspace(1, np.float32([16, 81]), 5), np.geomspace(1, [16, 81], 5), rtol=1e-6)


def test_bounds_of_loops():
    assert lax.fori_loop(0.0, 3.0, lambda i, x: x + i, 1.0) == 4
    assert lax.map(lambda x: x * 2, np.arange(3), batch_size=0).tolist() == [0, 2, 4]
    unrolled = lambda n: lax.fori_loop(0, n, lambda i, x: x + i, 0, unroll=3)  # noqa: E731
    assert unrolled(4) == unrolled(jnp.asarray(4)) == 6
    for call in (lambda: aj.jit(unrolled)(4), lambda: lax.fori_loop(0, 3.0, lambda i, x: x, 0)):
        with pytest.raises((TypeError, ValueError), match=r"\[fori_loop\] expected bounds"):
            call()


def test_conditions_and_exponents_of_other_dtypes():
    conditions = [np.float32([0, 2, 0]), np.int32([1, 1, 0])]
    assert jnp.select(conditions, [1, 2], 3).tolist() == [2, 1, 3]
    assert jnp.ldexp(np.float32([1.5, 3]), np.array([True, False])).tolist() == [3, 3]
    assert jnp.isposinf(np.inf, out=None) and jnp.isneginf(-np.inf, out=None)


CALLS = {
    "take_along_axis of a mode": lambda: jnp.take_along_axis(A, np.array([[7]]), 1, mode="wrap"),
    "lists as quantiles": lambda: jnp.quantile(A, [0.2, 0.5]),
    "lists as percentiles": lambda: jnp.percentile(A, [20, 50]),
    "searchsorted of a method": lambda: jnp.searchsorted(A[0], 1, method="nearest"),
    "isin of a method": lambda: jnp.isin(A, A, method="nearest"),
    "polyval of an unroll": lambda: jnp.polyval(A[0], 1.0, unroll=-1),
    "covariances of integers": lambda: jnp.cov(A, dtype=int),
    "differences of bools": lambda: jnp.ediff1d(A > 2),
    "no fill value": lambda: jnp.unique(A[:0], size=2),
    "weights of another shape": lambda: jnp.histogram2d(A[0], A[0], weights=np.ones(2)),
    "weights of another length": lambda: jnp.histogram(A[0], weights=np.ones(2)),
    "matvec of two vectors": lambda: jnp.matvec(A[0], A[0]),
    "vecmat of two vectors": lambda: jnp.vecmat(A[0], A[0]),
    "triangles of other ranks": lambda: jnp.triu_indices_from(np.zeros((2, 3, 3))),
    "permute_dims of no axes": lambda: jnp.permute_dims(A, None),
    "counts of bools": lambda: lax.iota(bool, 3),
    "exponents of complex numbers": lambda: jnp.ldexp(Z, 2),
    "exponents that are floats": lambda: jnp.ldexp(A, 2.0),
    "polynomials of matrices that are not square": lambda: jnp.poly(A),
}


@pytest.mark.parametrize("name", CALLS)
def test_refused_as_by_jax(name):
    with pytest.raises(REFUSED, match=r"\[\w+\] expected"):
        CALLS[name]()
