"""What has an order among complex numbers: by real part, then by imaginary part, as in NumPy; sums of exponentials."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import functools

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

rng = np.random.default_rng(3)
Z, W = (
    (rng.integers(-2, 3, (3, 5)) + 1j * rng.integers(-2, 3, (3, 5)) / 2).astype(np.complex64) for _ in range(2)
)  # with ties of real parts
BOTH = pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])


@BOTH
@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_the_greater_of_two(name, jit):
    z = Z.copy()
    z[0, 0] = complex(np.nan, 1)
    np.testing.assert_array_equal(jit(getattr(jnp, name))(z, W), getattr(np, name)(z, W))


@BOTH
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_greatest_of_many(axis, jit):
    for name in ("max", "min"):
        out = jit(functools.partial(getattr(jnp, name), axis=axis))(Z)
        np.testing.assert_array_equal(out, getattr(np, name)(Z, axis=axis))
    if axis is not None:
        np.testing.assert_array_equal(jit(lambda z: lax.cummax(z, axis))(Z), np.maximum.accumulate(Z, axis))
        backwards = jit(lambda z: lax.cummin(z, axis, reverse=True))(Z)
        np.testing.assert_array_equal(backwards, np.flip(np.minimum.accumulate(np.flip(Z, axis), axis), axis))
        assert jnp.ptp(Z, axis).dtype == "complex64"


def test_derivatives_at_ties_are_shared():
    z = np.complex64([1 + 2j, 1 + 2j, 0])
    out, tangent = aj.jvp(jnp.max, (z,), (np.complex64([2, 4, 8]),))
    assert out == z[0] and tangent == 3
    assert aj.jvp(jnp.maximum, (z[0], z[1]), (np.complex64(2), np.complex64(4)))[1] == 3


def test_of_segments():
    ids = np.array([0, 2, 0])
    np.testing.assert_array_equal(aj.ops.segment_sum(Z, ids, 3), [Z[0] + Z[2], 0 * Z[0], Z[1]])


@BOTH
@pytest.mark.parametrize("name, ufunc", [("prod", np.multiply), ("max", np.maximum), ("min", np.minimum)])
def test_updates_of_one_element_are_combined(name, ufunc, jit):
    for count, length in ((7, 3), (1, 1), (5, 9), (0, 2)):
        z = (rng.integers(-2, 3, (count, 2)) + 1j * rng.integers(-2, 3, (count, 2))).astype(np.complex64)
        ids = rng.integers(-1, length + 1, count)  # those outside are dropped
        kept = (ids >= 0) & (ids < length)
        empty = {"prod": 1, "max": -np.inf, "min": np.inf}[name]
        expected = np.full((length, 2), empty, np.complex64)
        ufunc.at(expected, ids[kept], z[kept])
        segments = functools.partial(getattr(aj.ops, f"segment_{name}"), num_segments=length)
        np.testing.assert_array_equal(jit(segments)(z, ids), expected)
        start = (rng.integers(-2, 3, (length, 2)) + 1j).astype(np.complex64)
        expected = start.copy()
        ufunc.at(expected, ids[kept], z[kept])
        method = {"prod": "multiply"}.get(name, name)
        change = jit(lambda x, i, u: getattr(x.at[i], method)(u, mode="drop", wrap_negative_indices=False))  # noqa: B023
        np.testing.assert_array_equal(change(jnp.asarray(start), ids, z), expected)


@BOTH
def test_the_derivative_of_a_product_of_segments(jit):
    z, ids = Z[0] + 1, np.array([1, 0, 1, 3, 1])
    slope = jit(aj.grad(lambda z: aj.ops.segment_prod(z, ids, 3)[1].real))(z)
    others = np.array([z[2] * z[4], 0, z[0] * z[4], 0, z[0] * z[2]])
    np.testing.assert_allclose(slope, others, rtol=1e-6)


@BOTH
def test_arc_tangents_of_two(jit):
    y, x = Z + 0.3, W + 0.1j
    expected = -1j * np.log((x + 1j * y) / np.sqrt(x.astype(complex) ** 2 + y.astype(complex) ** 2))
    np.testing.assert_allclose(jit(jnp.arctan2)(y, x), expected, rtol=2e-6, atol=1e-6)
    slope = jit(aj.grad(lambda y, x: jnp.arctan2(y, x).real.sum(), (0, 1)))(y, x)
    np.testing.assert_allclose(slope, (x / (x * x + y * y), -y / (x * x + y * y)), rtol=2e-5)


def log_of_sum(z, w):
    return np.log(np.exp(z.astype(np.complex128)) + np.exp(w.astype(np.complex128)))


@BOTH
def test_logarithms_of_sums_of_exponentials(jit):
    z, w = (rng.normal(size=(4, 5)) + 1j * rng.normal(size=(4, 5)) for _ in range(2))
    z, w = z.astype(np.complex64), w.astype(np.complex64)
    np.testing.assert_allclose(jit(jnp.logaddexp)(z, w), log_of_sum(z, w), rtol=1e-4, atol=1e-5)
    two = np.log(2)
    np.testing.assert_allclose(jit(jnp.logaddexp2)(z, w), log_of_sum(z * two, w * two) / two, rtol=1e-4, atol=1e-5)
    running = np.log(np.cumsum(np.exp(z.astype(np.complex128)), 0))
    np.testing.assert_allclose(jit(lax.cumlogsumexp)(z), running, rtol=1e-4, atol=1e-5)
    rows = np.stack([z, z])
    along = jit(lambda x: lax.cumlogsumexp(x, 1))(rows)
    np.testing.assert_allclose(along, np.stack([running] * 2), rtol=1e-4, atol=1e-5)
    assert jit(lambda x: lax.cumlogsumexp(x, 1))(rows[:0]).shape == (0, *z.shape)
    np.testing.assert_allclose(jit(aj.nn.logsumexp)(z), np.log(np.exp(z.astype(np.complex128)).sum()), rtol=1e-4)
    huge = jit(jnp.logaddexp)(np.complex64(200 + 1j), np.complex64(200 - 1j))
    np.testing.assert_allclose(huge, 200 + np.log(2 * np.cos(1)), rtol=1e-6)
    nothing = jit(jnp.logaddexp)(np.complex64(-np.inf), np.complex64(-np.inf))
    assert nothing.real == -np.inf


def test_the_slope_of_a_logarithm_of_a_sum():
    z, w = np.complex64(0.3 + 1j), np.complex64(-0.5 + 0.2j)
    for f in (jnp.logaddexp, lambda z, w: lax.cumlogsumexp(jnp.stack([z, w]))[1]):
        slope = aj.grad(f, holomorphic=True)(jnp.asarray(z), jnp.asarray(w))
        np.testing.assert_allclose(slope, np.exp(z) / (np.exp(z) + np.exp(w)), rtol=1e-5)


def test_what_has_no_order_is_refused():
    for f in (lambda z: jnp.clip(z, 0, 1), lambda z: lax.lt(z, z), lambda z: jnp.median(z)):
        with pytest.raises((TypeError, ValueError)):
            f(Z)


@pytest.mark.parametrize("name, bound", [("lecun_normal", 2 / 0.953), ("he_uniform", 2**0.5), ("glorot_normal", 2.1)])
def test_initial_values_in_the_plane(name, bound):
    """Of variance scale / n (2 % more where a normal distribution is cut, as jax has it), within a circle."""
    key, n = aj.random.key(0), 400
    z = np.asarray(getattr(aj.nn.initializers, name)()(key, (n, n), "complex64"))
    size = np.abs(z) * np.sqrt(n / (2 if name == "he_uniform" else 1))
    assert z.dtype == "complex64" and size.max() < bound * 1.001
    assert abs(np.mean(size**2) - 1) < 0.02 and abs(np.mean(z)) < 1e-3


def test_eigenvalues_of_a_hermitian_tridiagonal_matrix():
    d, e = np.complex64([1, 2, 3, 5]), np.complex64([1j, 2 - 1j, 0.5])
    whole = np.diag(d) + np.diag(e, -1) + np.diag(e.conj(), 1)
    values, vectors = aj.scipy.linalg.eigh_tridiagonal(d, e)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(whole), rtol=1e-5)
    np.testing.assert_allclose(whole @ vectors, np.asarray(vectors) * values, atol=1e-5)
