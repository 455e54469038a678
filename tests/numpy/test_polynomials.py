"""numpy.polyfit and numpy.roots against jax and NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax.errors import ConcretizationError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, sample, tree_leaves

X, Y, YS, W = sample((9,)), sample((9,), seed=1), sample((9, 3), seed=2), sample((9,), seed=3, low=1, high=2)


@pytest.mark.parametrize("y", [Y, YS], ids=["one", "three"])
@pytest.mark.parametrize(
    "options",
    [{}, {"w": W}, {"full": True}, {"cov": True}, {"cov": "unscaled", "w": W}, {"rcond": 0.3, "full": True}],
    ids=str,
)
def test_polyfit(y, options):
    for deg in (0, 1, 3):
        got = tree_leaves(anp.polyfit(X, y, deg, **options))
        want = of_jax(jnp.polyfit, X, y, deg, **options)
        assert len(got) == len(want)
        for a, b in zip(got, want):
            assert_same_type(a, b)
            assert_close(a, b, ulps=512, scale=max(1, float(np.abs(np.asarray(b)).max())))
    jitted = aj.jit(lambda x, y: anp.polyfit(x, y, 2, **options))(X, y)
    for a, b in zip(tree_leaves(jitted), tree_leaves(anp.polyfit(X, y, 2, **options))):
        assert_close(a, b, ulps=128, scale=8)


def test_polyfit_transformed_and_exact():
    f = lambda m: lambda x, y: m.polyfit(x, y, 2).sum()  # noqa: E731
    for a, b in zip(aj.grad(f(anp), (0, 1))(X, Y), jax.grad(f(jnp), (0, 1))(X, Y)):
        assert_close(a, b, ulps=2048, scale=1)
    batch = sample((4, 9), seed=5)
    got = aj.vmap(lambda y: anp.polyfit(X, y, 2))(batch)
    with aj.enable_x64(True):
        wide = anp.polyfit(X.astype(np.float64), Y.astype(np.float64), 3)
    np.testing.assert_allclose(wide, np.polyfit(X.astype(np.float64), Y.astype(np.float64), 3), rtol=1e-11)
    np.testing.assert_allclose(got, np.polyfit(X, batch.T, 2).T, rtol=1e-4)


def test_errors_of_polyfit():
    bad = {"deg >= 0": (X, Y, -1), "one or more points": (X[:0], Y[:0], 1), "expected x": (X[:3], Y, 1)}
    for words, args in bad.items():
        with pytest.raises((TypeError, ValueError)):
            jnp.polyfit(*args)
        with pytest.raises((ShapeError, ValueError), match=rf"\[polyfit\] .*{words}"):
            anp.polyfit(*args)
    with pytest.raises(ShapeError, match="a weight for each of the 9 points"):
        anp.polyfit(X, Y, 1, w=W[:3])
    with pytest.raises(ValueError, match="more than 2 points"):
        anp.polyfit(X[:2], Y[:2], 1, cov=True)


def by_place(r):
    return sorted(np.asarray(r).tolist(), key=lambda z: (round(z.real, 3), z.imag))


COEFFICIENTS = (
    [1, -3, 2],
    [2.0, 0, 1],
    [0, 0, 3, 1, -4],
    [1, 0, 0],
    [5.0],
    [0.0, 0.0, 0.0],
    [],
    [1, 2, 3, 4, 5, 6],
    [0, 2],
)


@pytest.mark.parametrize("strip_zeros", [True, False])
@pytest.mark.parametrize("p", COEFFICIENTS, ids=str)
def test_roots(p, strip_zeros):
    got = anp.roots(anp.array(p), strip_zeros=strip_zeros)
    (want,) = of_jax(lambda p: jnp.roots(jnp.array(p), strip_zeros=strip_zeros), p)
    assert_same_type(got, want)
    a, b = np.asarray(got), np.asarray(want)
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    np.testing.assert_allclose(by_place(a[~np.isnan(a)]), by_place(b[~np.isnan(b)]), atol=2e-5)


def test_roots_in_x64_and_of_complex_coefficients():
    z = np.array([1, 2 - 1j, 0.5j, -3], np.complex64)
    np.testing.assert_allclose(by_place(anp.roots(z)), by_place(np.roots(z)), atol=1e-5)
    with aj.enable_x64(True):
        got = anp.roots(np.array([1.0, -6, 11, -6]))
        assert got.dtype == np.complex128
        np.testing.assert_allclose(by_place(got), [1, 2, 3], rtol=1e-12)


def test_derivatives_of_roots():
    p, t = np.float32([1, 2, 3, -4]), np.float32([0.3, -1, 0.5, 2])
    got, want = (m.jvp(lambda p, m=m: (abs(m.numpy.roots(p)) ** 2).sum(), (p,), (t,)) for m in (aj, jax))
    assert_close(got[1], want[1], ulps=64, scale=8)
    grads = [m.grad(lambda p, m=m: (abs(m.numpy.roots(p)) ** 2).sum())(p) for m in (aj, jax)]
    assert_close(*grads, ulps=64, scale=8)


def test_roots_needs_values():
    for transformed, shape in ((aj.jit(anp.roots), (3,)), (aj.vmap(anp.roots), (3, 3))):
        with pytest.raises(ConcretizationError, match=r"\[roots\] .* Call it outside of jit and vmap"):
            transformed(anp.ones(shape))
    with pytest.raises(ShapeError, match="rank-1"):
        anp.roots(anp.ones((2, 2)))
