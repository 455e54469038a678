"""gaussian_kde: values against jax and SciPy, derivatives, transformations, errors."""

from __future__ import annotations

import jax
import jax.scipy.stats
import numpy as np
import pytest
import scipy.stats

import anejax as aj
import anejax.numpy as anp
from anejax.errors import DtypeError, RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_same_type

OURS, JAX, EXACT = aj.scipy.stats.gaussian_kde, jax.scipy.stats.gaussian_kde, scipy.stats.gaussian_kde
RNG = np.random.default_rng(0)
DATA = {1: RNG.standard_normal(20).astype(np.float32), 2: RNG.standard_normal((2, 15)).astype(np.float32)}
DATA[2][1] += 0.5 * DATA[2][0]
POINTS = {1: np.float32([-2, 0, 0.5, 30]), 2: RNG.standard_normal((2, 4)).astype(np.float32)}
CASES = [(1, None, False), (1, "silverman", True), (2, "scott", True), (2, 0.4, False), (2, np.float32(0.4), True),
         (2, lambda kde: 0.5 * kde.neff ** (-1 / 6), True)]  # fmt: skip
MEAN, COV = np.float32([0.3, -0.2]), np.float32([[0.5, 0.1], [0.1, 0.3]])


PARTS = ("neff", "dataset", "weights", "covariance", "inv_cov")
CALLS = ("pdf", "evaluate", "logpdf", "__call__")


def weights(d, on):
    return np.random.default_rng(d).uniform(0.5, 2, DATA[d].shape[-1]).astype(np.float32) if on else None


def made(kde, d, method=None, weighted=False):
    w = weights(d, weighted)
    if kde is EXACT:
        return EXACT(DATA[d].astype(float), method, None if w is None else w.astype(float))
    return kde(DATA[d], method, w)


def all_of(kde, points, mean, cov, other):
    """Every array that an estimate gives."""
    values = [getattr(kde, name)(x) for x in points for name in CALLS]
    parts = [getattr(kde, name) for name in PARTS]
    return [*parts, *values, kde.integrate_gaussian(mean, cov), kde.integrate_kde(other)]


@pytest.mark.parametrize(("d", "method", "weighted"), CASES)
def test_values(d, method, weighted):
    points, moments = (POINTS[d], POINTS[d][..., :1]), (MEAN[:d], COV[:d, :d])
    near = DATA[d][..., :7] + 1

    def of(kde, dtype=np.float32):
        at = [x.astype(dtype) for x in points]
        return all_of(made(kde, d, method, weighted), at, *moments, kde(near.astype(dtype)))

    ours, theirs, exact = of(OURS), of_jax(of, JAX), of(EXACT, float)
    for name, a, b, value in zip((*PARTS, *CALLS, *CALLS, "gaussian", "kde"), ours, theirs, exact, strict=True):
        assert_same_type(a, b, name)
        rtol, atol = (1e-4, 1e-30) if name in CALLS else (4e-6, 1e-7)
        np.testing.assert_allclose(a, value, rtol=rtol, atol=atol, err_msg=name)


def test_one_point_of_several_dimensions():
    ours, exact = made(OURS, 2), made(EXACT, 2)
    np.testing.assert_allclose(ours.pdf(POINTS[2][:, 0]), exact.pdf(POINTS[2][:, 0]), rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals(weighted):
    ours, theirs, exact = (made(kde, 1, None, weighted) for kde in (OURS, JAX, EXACT))
    for low, high in ((-1.0, 0.5), (0.25, 9.0), (-np.inf, np.inf), (1.0, -1.0)):
        got = ours.integrate_box_1d(low, high)
        np.testing.assert_allclose(got, exact.integrate_box_1d(low, high), rtol=2e-6, atol=1e-7)
        assert_same_type(got, theirs.integrate_box_1d(low, high))


def test_whole_numbers_and_double_precision():
    data = RNG.integers(-5, 5, (2, 9)).astype(np.int32)
    got, want = OURS(data).pdf(data[:, :3]), EXACT(data.astype(float)).pdf(data[:, :3])
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert got.dtype == np.float32
    with aj.enable_x64():
        got, want = (kde(DATA[2].astype(float)).logpdf(POINTS[2].astype(float)) for kde in (OURS, EXACT))
        np.testing.assert_allclose(got, want, rtol=1e-11)


@pytest.mark.parametrize("d", [1, 2])
def test_derivatives_in_data_weights_and_points(d):
    def loss(m, kde):
        return lambda data, w, x: (m.numpy.cos(kde(data, weights=w).logpdf(x)) + kde(data, weights=w).pdf(x)).sum()

    args = DATA[d], weights(d, True), POINTS[d][..., :3]
    got = aj.grad(loss(aj, OURS), (0, 1, 2))(*args)
    want = of_jax(lambda: jax.jit(jax.grad(loss(jax, JAX), (0, 1, 2)))(*args))
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_it_is_a_pytree():
    kde = OURS(DATA[2])
    again = aj.tree_util.tree_map(lambda x: x, kde)
    assert isinstance(again, OURS) and len(aj.tree_util.tree_leaves(kde)) == 5
    np.testing.assert_allclose(aj.jit(lambda k, x: k.pdf(x))(kde, POINTS[2]), again.pdf(POINTS[2]), rtol=1e-6)
    got = aj.vmap(lambda data: OURS(data).pdf(POINTS[1]))(DATA[2])
    np.testing.assert_allclose(got, [OURS(row).pdf(POINTS[1]) for row in DATA[2]], rtol=1e-5)
    with pytest.raises(AttributeError):
        kde.neff = 3


@pytest.mark.parametrize("d", [1, 2])
def test_samples(d):
    kde = OURS(DATA[d], weights=weights(d, True))
    key = aj.random.key(0)
    for shape in ((), (3,), (2, 3)):
        assert kde.resample(key, shape).shape == (d, *shape)
        if len(shape) < 2:  # more than that jax cannot add up
            assert JAX(DATA[d]).resample(jax.random.key(0), shape).shape == (d, *shape)
    drawn = np.asarray(kde.resample(key, (40_000,)), float)
    centre = np.atleast_2d(DATA[d].astype(float)) @ np.asarray(kde.weights, float)
    off = np.atleast_2d(DATA[d]) - centre[:, None]
    spread = np.asarray(kde.covariance, float) + (np.asarray(kde.weights) * off) @ off.T
    assert (np.abs(drawn.mean(1) - centre) < 5 * np.sqrt(np.diag(spread) / 40_000)).all()
    np.testing.assert_allclose(np.atleast_2d(np.cov(drawn)), spread, atol=0.05)


def test_errors():
    kde = OURS(DATA[2])
    with pytest.raises(ShapeError, match=r"expected a dataset \[d, n\] or \[n\] of several elements, got float32\[1\]"):
        OURS(DATA[1][:1])
    with pytest.raises(ShapeError, match=r"expected weights \[20\], one for each point, got float32\[3\]"):
        OURS(DATA[1], weights=anp.ones(3))
    with pytest.raises(ShapeError, match="expected bw_method 'scott', 'silverman', a number or a function, got 'wide'"):
        OURS(DATA[1], "wide")
    with pytest.raises(DtypeError, match=r"\[gaussian_kde\] expected real arguments, got complex64\[3\]"):
        OURS(np.complex64([1, 2, 3j]))
    with pytest.raises(ShapeError, match=r"\[gaussian_kde.evaluate\] expected points \[2, m\], .* got float32\[3,4\]"):
        kde.pdf(np.zeros((3, 4), np.float32))
    with pytest.raises(ShapeError, match=r"\[gaussian_kde.logpdf\] expected points"):
        kde.logpdf(np.zeros((3, 4), np.float32))
    with pytest.raises(ShapeError, match="expected one dimension and two numbers, got d = 2"):
        kde.integrate_box_1d(0.0, 1.0)
    with pytest.raises(ShapeError, match=r"expected mean \[2\] and cov \[2, 2\], got float32\[3\] and float32\[2,2\]"):
        kde.integrate_gaussian(np.zeros(3, np.float32), COV)
    with pytest.raises(ShapeError, match="expected 2 dimensions, got 1"):
        kde.integrate_kde(OURS(DATA[1]))
    with pytest.raises(RefusedError, match="Use integrate_box_1d"):
        kde.integrate_box([0, 0], [1, 1])
    with pytest.raises(RefusedError, match="estimates do not change"):
        kde.set_bandwidth("scott")
