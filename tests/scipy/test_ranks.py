"""rankdata, mode and sem: values and types against jax, and against SciPy where that differs."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import jax
import jax.scipy.stats
import numpy as np
import pytest
import scipy.stats

import anejax as aj
from anejax.errors import RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, tree_leaves

OURS, JAX = aj.scipy.stats, jax.scipy.stats
RNG = np.random.default_rng(0)
TIES = RNG.integers(0, 4, (3, 5, 4))
ARRAYS = [
    TIES.astype(np.int32), TIES.astype(np.float32), TIES.astype(np.float16), TIES[0].astype(np.uint8),
    np.float32([[1, np.nan, 0, np.nan], [2, -np.inf, 2, np.inf]]), TIES[:, :, 0] > 1, np.float32([3]),
    np.zeros((0, 3), np.float32), np.zeros((3, 0), np.int32), np.float32([0.0, -0.0, 1.0, 0.0]),
]  # fmt: skip


def same(name, x, *args, ulps=4, **kwargs):
    """A call on both and under our jit."""
    want = of_jax(getattr(JAX, name), x, *args, **kwargs)
    function = lambda x: getattr(OURS, name)(x, *args, **kwargs)  # noqa: E731
    for got in (function(x), aj.jit(function)(x)):
        got = tree_leaves(got)
        assert len(got) == len(want)
        for a, b in zip(got, want):
            assert_same_type(a, b)
            assert_close(a, b, ulps=ulps)


@pytest.mark.parametrize("place", range(len(ARRAYS)))
def test_modes(place):
    x = ARRAYS[place]
    for axis in (None, *range(-x.ndim, x.ndim)):
        for keepdims in (False, True):
            same("mode", x, axis=axis, keepdims=keepdims)


def test_modes_of_numbers():
    same("mode", 2.0)
    same("mode", 3, axis=None)
    got = OURS.mode(TIES, axis=1, keepdims=True)
    want = scipy.stats.mode(TIES, axis=1, keepdims=True)
    np.testing.assert_array_equal(got.mode, want.mode)
    np.testing.assert_array_equal(got.count, want.count)


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
@pytest.mark.parametrize("place", range(len(ARRAYS)))
def test_ranks(place, method):
    x = ARRAYS[place]
    same("rankdata", x, method)
    if not x.size:  # of nothing along an axis jax makes float32 of int32, too
        assert OURS.rankdata(x, method, axis=0).shape == x.shape
        return
    for axis in range(-x.ndim, x.ndim):
        got = OURS.rankdata(x, method, axis=axis)
        want = scipy.stats.rankdata(x, method, axis=axis)
        np.testing.assert_array_equal(got, want)
        assert_same_type(got, of_jax(JAX.rankdata, x, method, axis=axis)[0])


def test_ranks_of_numbers_and_of_batches():
    same("rankdata", 2.0)
    x = TIES.astype(np.float32)
    got = aj.vmap(lambda row: OURS.rankdata(row, axis=1))(x)
    np.testing.assert_array_equal(got, scipy.stats.rankdata(x, axis=2))
    with aj.enable_x64():
        assert OURS.rankdata(x).dtype == np.float64


@pytest.mark.parametrize("ddof", [0, 1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_standard_errors(axis, ddof):
    x = RNG.standard_normal((6, 5)).astype(np.float32)
    gaps = np.where(x > 1, np.nan, x)
    for keepdims in (False, True):
        same("sem", x, axis, ddof, keepdims=keepdims, ulps=16)
        same("sem", gaps, axis, ddof, "omit", keepdims=keepdims, ulps=16)
    for other in (x.astype(np.float16), (8 * x).astype(np.int8), gaps):
        same("sem", other, axis, ddof, ulps=16)
    np.testing.assert_allclose(OURS.sem(x, axis, ddof), scipy.stats.sem(x.astype(float), axis, ddof), rtol=2e-6)
    (slope,) = of_jax(lambda x: jax.grad(lambda x: JAX.sem(x, axis, ddof).sum())(x), x)
    np.testing.assert_allclose(aj.grad(lambda x: OURS.sem(x, axis, ddof).sum())(x), slope, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_a_mode_goes_to_one_element():
    x = np.float32([1, 3, 3, 2])
    got = aj.grad(lambda x: OURS.mode(x).mode)(x)
    (want,) = of_jax(lambda x: jax.grad(lambda x: JAX.mode(x).mode)(x), x)
    np.testing.assert_array_equal(got, want)


def test_errors():
    x = np.float32([1, 2])
    for function in (OURS.mode, OURS.rankdata):
        with pytest.raises(RefusedError, match="nan_policy 'omit' is not supported: look for NaN outside"):
            function(x, nan_policy="omit")
        with pytest.raises(ShapeError, match="expected nan_policy 'propagate', 'omit' or 'raise', got 'drop'"):
            function(x, nan_policy="drop")
    with pytest.raises(ShapeError, match=r"\[rankdata\] expected a method of average, min, .*, got 'mean'"):
        OURS.rankdata(x, "mean")
    with pytest.raises(ShapeError, match=r"\[sem\] expected nan_policy 'propagate' or 'omit', got 'raise'"):
        OURS.sem(x, nan_policy="raise")
    with pytest.raises(ValueError, match=r"\[mode\].*axis"):
        OURS.mode(x, axis=1)
