"""Samplers where floats end: in tails, at parameters that are subnormal, at a uniform 0."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import anejax as aj

N = 20_000
INF = np.inf


@pytest.mark.parametrize(
    "bounds", [(5.0, INF), (-INF, -6.0), (3.5, 9.0), (8.0, 8.25), (20.0, 21.0), (-30.0, -25.0)], ids=str
)
@pytest.mark.parametrize("traced", [False, True])
def test_truncated_normal_numbers_of_a_tail(bounds, traced):
    """As many values as floats allow, of the right distribution; the sampler through erf had ten, or one."""
    draw = lambda low, high: aj.random.truncated_normal(aj.random.key(3), low, high, (N,))  # noqa: E731
    drawn = np.asarray((aj.jit(draw) if traced else draw)(*bounds)).astype(np.float64)
    assert (drawn > bounds[0]).all() and (drawn < bounds[1]).all()
    assert len(np.unique(drawn)) > 5_000
    law = scipy.stats.truncnorm(*bounds)
    assert scipy.stats.kstest(drawn, law.cdf).pvalue > 1e-4


def test_bounds_of_which_some_leave_a_tail_keep_the_numbers_of_the_others():
    key, low = aj.random.key(1), np.array([-1.0, 6.0], np.float32)
    both = np.asarray(aj.random.truncated_normal(key, low, INF, (500, 2)))
    other = np.asarray(aj.random.truncated_normal(key, np.array([-1.0, 0.0], np.float32), INF, (500, 2)))
    np.testing.assert_array_equal(both[:, 0], other[:, 0])
    assert len(np.unique(both[:, 1])) > 490


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_dirichlet_of_subnormal_concentrations_gives_all_to_one(dtype):
    least = float(np.finfo(dtype).smallest_subnormal)
    alpha = np.array([least * 3, least, 0], dtype)
    drawn = np.asarray(aj.random.dirichlet(aj.random.key(1), alpha, (2000,), dtype=dtype)).astype(np.float64)
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn.sum(-1), 1, atol=2e-3)
    assert np.mean(drawn.max(-1) > 0.99) > 0.99
    np.testing.assert_allclose(drawn.mean(0), [0.75, 0.25, 0], atol=0.05)


def test_rayleigh_numbers_are_finite():
    """float16 has 2048 uniform numbers, so that one of these is 0."""
    drawn = np.asarray(aj.random.rayleigh(aj.random.key(0), np.float16(1), (N,), dtype=np.float16))
    assert np.isfinite(drawn).all()
