"""Reductions, means, quantiles and cumulative functions against jax.numpy."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anejax as aj
import anejax.numpy as anp
from anejax.errors import ShapeError
from tests.answers import of_jax
from tests.numpy.compare import DTYPES, assert_same_type, check, sample

SHAPES = [(3,), (2, 3), (2, 1, 4), (), (0, 3), (4, 0)]
SUMS = ["sum", "prod", "mean", "var", "std"]
EXTREMA = ["max", "min"]
LOGIC = ["all", "any", "count_nonzero"]
NANS = ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"]
CUMULATIVE = ["cumsum", "cumprod", "nancumsum", "nancumprod"]
POSITIONS = ["argmax", "argmin", "nanargmax", "nanargmin"]


def reduction_check(f, x, **kwargs):
    """Within 8 sqrt(K) eps of the sum of magnitudes."""
    k = max(x.size, 1)
    check(f, x, ulps=8 * math.sqrt(k), scale=float(np.abs(np.nan_to_num(x.astype(np.float64))).sum()) or None, **kwargs)


@st.composite
def reductions(draw):
    shape = draw(st.sampled_from(SHAPES))
    rank = len(shape)
    axes = st.none() | (st.integers(-rank, rank - 1) if rank else st.none())
    if rank > 1:
        axes |= st.sampled_from([(0, 1), (-1, 0)])
    return shape, draw(axes), draw(st.booleans())


@pytest.mark.parametrize("name", SUMS + LOGIC + EXTREMA)
@settings(max_examples=12, deadline=None)
@given(case=reductions(), dtype=st.sampled_from(["float32", "int32"]))
def test_reduction(name, case, dtype):
    shape, axis, keepdims = case
    reduction_check(lambda m, x: getattr(m, name)(x, axis=axis, keepdims=keepdims), sample(shape, dtype))


@pytest.mark.parametrize("name", NANS)
def test_nan_reduction(name):
    x = sample((3, 4))
    x[0, 1] = x[2] = np.nan
    for axis in (None, 0, 1):
        reduction_check(lambda m, x, axis=axis: getattr(m, name)(x, axis=axis), x)
    reduction_check(lambda m, x: getattr(m, name)(x, axis=0, keepdims=True), sample((3, 4), "int32"))


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "all", "any"])
def test_where(name):
    x, mask = sample((2, 3)), sample((2, 3), "bool")
    mask[1] = [True, False, True]
    for axis in (None, 1):
        check(lambda m, x, w, axis=axis: getattr(m, name)(x, axis=axis, where=w), x, mask, ulps=16)
    check(lambda m, x, w: getattr(m, name)(x, where=w), x, mask[1], ulps=16)


def test_initial():
    x, mask = sample((2, 3)), sample((2, 3), "bool")
    for name in ("sum", "prod", "max", "min"):
        check(lambda m, x, name=name: getattr(m, name)(x, axis=0, initial=2), x)
        check(lambda m, x, w, name=name: getattr(m, name)(x, axis=1, initial=0.5, where=w), x, mask)
    check(lambda m, x, w: m.max(x, where=w), x, mask)
    check(lambda m, x: m.max(x, axis=0, initial=-1), sample((0, 3)))


def test_ddof():
    x = sample((2, 4))
    for ddof in (0, 1, 4):
        check(lambda m, x, d=ddof: m.var(x, axis=1, ddof=d), x, ulps=16)
        check(lambda m, x, d=ddof: m.std(x, axis=1, correction=d), x, ulps=16)
    check(lambda m, x: m.var(x, axis=0, mean=m.zeros((1, 4))), x)


@pytest.mark.parametrize(
    "name", SUMS + EXTREMA + LOGIC + CUMULATIVE + ["nansum", "ptp", "median", "average", "nanmean"]
)
def test_types(name):
    for dtype in DTYPES:
        if name in ("ptp",) and dtype == "bool":
            continue
        args = jnp.ones(3, dtype)
        try:
            theirs = jax.eval_shape(getattr(jnp, name), args)
        except TypeError:
            with pytest.raises(TypeError):
                getattr(anp, name)(anp.ones(3, dtype))
            continue
        assert_same_type(getattr(anp, name)(anp.ones(3, dtype)), theirs, f"{name}({dtype})")
    if name in ("sum", "mean", "cumsum"):
        check(lambda m, x: getattr(m, name)(x, dtype="float32"), np.ones(2, np.int8))


@pytest.mark.parametrize("name", POSITIONS)
def test_positions(name):
    x = np.array([[1.0, 3.0, 3.0], [np.nan, 2.0, -np.inf], [np.nan] * 3], np.float32)
    for axis in (None, 0, 1, -1):
        check(lambda m, x, axis=axis: getattr(m, name)(x, axis=axis), x)
    check(lambda m, x: getattr(m, name)(x, axis=0, keepdims=True), sample((2, 3), "int32"))


@pytest.mark.parametrize("name", CUMULATIVE)
def test_cumulative(name):
    x = sample((2, 4))
    for axis in (None, 0, 1):
        reduction_check(lambda m, x, axis=axis: getattr(m, name)(x, axis=axis), x)
    check(lambda m, x: m.cumulative_sum(x, axis=1, include_initial=True), sample((2, 3), "int32"))
    check(lambda m, x: m.cumulative_prod(x, include_initial=True), sample((3,), "int32"))


def test_half_precision_sums_in_float32():
    x = np.full(4096, 0.1, np.float16)
    assert abs(float(anp.sum(x)) - float(np.sum(x.astype(np.float32)))) < 0.5
    np.testing.assert_allclose(anp.mean(np.full(10000, 100.0, np.float16)), 100.0)


def test_average():
    x, w = sample((2, 3)), np.abs(sample((2, 3), seed=1))
    check(lambda m, x, w: m.average(x, weights=w), x, w, ulps=16)
    check(lambda m, x, w: m.average(x, axis=1, weights=w, returned=True), x, w[0], ulps=16)
    check(lambda m, x: m.average(x, axis=0, returned=True), x)
    check(lambda m, x, w: m.average(x, weights=w), x, w[0])


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantile(method):
    x = sample((3, 5))
    check(lambda m, x: m.quantile(x, 0.3, method=method), x)
    check(lambda m, x: m.quantile(x, m.asarray([0.1, 0.5, 1.0]), axis=1, method=method, keepdims=True), x)
    x[1, 2] = np.nan
    check(lambda m, x: m.quantile(x, 0.7, axis=1, method=method), x)
    check(lambda m, x: m.nanquantile(x, m.asarray([0.25, 0.8]), axis=1, method=method), x)
    check(lambda m, x: m.percentile(x, 30, axis=0, method=method), sample((4, 2), "int32"))


def test_median():
    for shape, axis in (((5,), None), ((4,), 0), ((3, 4), 1), ((3, 4), (0, 1))):
        check(lambda m, x, axis=axis: m.median(x, axis=axis), sample(shape))
    x = sample((3, 4))
    x[0] = x[1, 2] = np.nan
    check(lambda m, x: m.nanmedian(x, axis=1), x)


def test_comparisons_of_arrays():
    x = np.array([1.0, np.nan, np.inf, 1e-9], np.float32)
    y = np.array([1.00001, np.nan, np.inf, 0.0], np.float32)
    for equal_nan in (False, True):
        check(lambda m, x, y, e=equal_nan: m.isclose(x, y, equal_nan=e), x, y)
        check(lambda m, x, y, e=equal_nan: m.allclose(x, y, equal_nan=e), x, y)
        check(lambda m, x, y, e=equal_nan: m.array_equal(x, x, equal_nan=e), x, y)
    check(lambda m, x, y: m.array_equal(x, y), x, y[:2])
    check(lambda m, x, y: m.array_equiv(x, y), sample((1, 3)), sample((2, 3)))
    check(lambda m, x, y: m.isclose(x, y), np.arange(3), np.array([0, 1, 3]))


def test_differences():
    x = sample((3, 5))
    check(lambda m, x: m.diff(x), x)
    check(lambda m, x: m.diff(x, n=2, axis=0), x)
    check(lambda m, x: m.diff(x, prepend=1.0, append=x[:, :2]), x)
    check(lambda m, x: m.diff(x > 0), x)
    check(lambda m, x: m.ediff1d(x, to_end=5.0, to_begin=m.asarray([1.0, 2.0])), x)
    check(lambda m, x: m.trapezoid(x, dx=0.5), x, ulps=16)
    check(lambda m, x: m.trapezoid(x, m.arange(5.0), axis=1), x, ulps=16)
    check(lambda m, x: m.ptp(x, axis=1), x)


def test_under_transformations():
    x = anp.asarray(sample((3, 4)))
    for name in ("sum", "mean", "var", "max", "prod", "cumsum", "median"):
        f = lambda m, x, name=name: getattr(m, name)(x, axis=-1).sum()  # noqa: E731
        ours = aj.grad(lambda x, f=f: f(anp, x))(x)
        (theirs,) = of_jax(lambda x, f: jax.grad(lambda x: f(jnp, x))(jnp.asarray(x)), np.asarray(x), f)
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(
            aj.vmap(getattr(anp, name))(x), getattr(anp, name)(x, axis=1), rtol=1e-5
        ) if name != "cumsum" else None


def test_errors():
    with pytest.raises(ShapeError, match=r"\[sum\].*axis"):
        anp.sum(anp.ones(3), axis=1)
    with pytest.raises(ShapeError, match=r"\[max\].*no elements"):
        anp.max(anp.ones((0,)))
    with pytest.raises(ValueError, match="initial"):
        anp.max(anp.ones(3), where=anp.ones(3, bool))
    with pytest.raises(ShapeError, match="distinct"):
        anp.sum(anp.ones((2, 2)), axis=(0, 0))
