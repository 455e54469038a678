"""Derivatives of densities where a parameter or the point is at the edge of its range: limits from inside, no NaN."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import math

import numpy as np
import pytest

import anejax as aj
from anejax.scipy import special, stats

INF = math.inf
# law, arguments, which of them is at the edge, its first and second derivative there by hand
EDGES = [
    (stats.gamma.pdf, (0.0, 1.0), 0, -1, 1), (stats.gamma.pdf, (0.0, 2.0), 0, 1, -2),
    (stats.gamma.pdf, (0.0, 3.0), 0, 0, 1), (stats.gamma.pdf, (0.0, 1.5), 0, INF, -INF),
    (stats.gamma.pdf, (0.0, 0.5), 0, -INF, INF), (stats.gamma.logpdf, (0.0, 1.0), 0, -1, 0),
    (stats.gamma.pdf, (1.0, 2.0, 1.0, 4.0), 0, 1 / 16, -1 / 32), (stats.gamma.pdf, (0.0, 20.0), 0, 0, 0),
    (stats.chi2.pdf, (0.0, 2.0), 0, -1 / 4, 1 / 8), (stats.chi2.pdf, (0.0, 4.0), 0, 1 / 4, -1 / 4),
    (stats.beta.pdf, (0.0, 1.0, 1.0), 0, 0, 0), (stats.beta.pdf, (0.0, 2.0, 3.0), 0, 12, -48),
    (stats.beta.pdf, (1.0, 2.0, 1.0), 0, 2, 0), (stats.beta.pdf, (1.0, 2.0, 2.0), 0, -6, -12),
    (stats.poisson.pmf, (0.0, 0.0), 1, -1, 1), (stats.poisson.pmf, (1.0, 0.0), 1, 1, -2),
    (stats.poisson.pmf, (2.0, 0.0), 1, 0, 1), (stats.poisson.pmf, (-1.0, 0.0), 1, 0, 0),
    (stats.poisson.pmf, (1.5, 0.0), 1, 0, 0), (stats.poisson.logpmf, (0.0, 0.0), 1, -1, 0),
    (stats.binom.pmf, (1.0, 3.0, 0.0), 2, 3, -12), (stats.binom.pmf, (2.0, 3.0, 1.0), 2, -3, -12),
    (stats.binom.pmf, (3.0, 3.0, 1.0), 2, 3, 6), (stats.binom.pmf, (4.0, 3.0, 1.0), 2, 0, 0),
    (stats.bernoulli.pmf, (0.0, 0.0), 1, -1, 0), (stats.bernoulli.pmf, (1.0, 0.0), 1, 1, 0),
    (stats.geom.pmf, (2.0, 1.0), 1, -1, -2), (stats.geom.pmf, (2.0, 0.0), 1, 1, -2),
    (stats.nbinom.pmf, (1.0, 2.0, 1.0), 2, -2, -8), (stats.nbinom.pmf, (1.0, 1.0, 0.0), 2, 1, -2),
]  # fmt: skip


@pytest.mark.parametrize(("law", "args", "place", "first", "second"), EDGES)
def test_derivatives_at_an_edge(law, args, place, first, second):
    of = lambda t: law(*args[:place], t, *args[place + 1 :])  # noqa: E731
    at = args[place]
    np.testing.assert_allclose(aj.grad(of)(at), first, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(aj.jvp(of, (at,), (1.0,))[1], first, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(aj.jit(aj.grad(aj.grad(of)))(at), second, rtol=1e-6, atol=1e-6)


def test_an_edge_leaves_other_elements_alone():
    x = np.array([0, 0.5, 1, 2, -1], np.float32)
    alone = [aj.grad(lambda x: stats.beta.pdf(x, 2.0, 3.0))(v) for v in x]
    np.testing.assert_array_equal(aj.grad(lambda x: stats.beta.pdf(x, 2.0, 3.0).sum())(x), alone)
    np.testing.assert_array_equal(alone[3:], [0, 0])
    assert np.isnan(stats.gamma.pdf(0.0, -1.0)) and np.isnan(stats.binom.pmf(1.0, 3.0, 1.5))


def test_multinomial_with_an_impossible_outcome():
    p = np.float32([0, 0.5, 0.5])
    slope = aj.grad(lambda p: stats.multinomial.pmf(np.int32([1, 2, 0]), 3, p))(p)
    np.testing.assert_allclose(slope, [0.75, 0, 0])
    counts = np.int32([[1, 2, 0], [0, 3, 0], [0, 2, 0]])
    np.testing.assert_allclose(stats.multinomial.pmf(counts, 3, p), [0, 0.125, 0])


def test_logarithms_of_nothing_times_nothing():
    for f, pole in ((special.xlogy, 0.0), (special.xlog1py, -1.0)):
        assert float(aj.grad(f, 1)(0.0, pole)) == 0 and float(aj.grad(f)(0.0, pole)) == -INF
        assert float(aj.jvp(lambda y: f(0.0, y), (pole,), (1.0,))[1]) == 0  # noqa: B023
        assert float(aj.grad(aj.grad(f), 1)(0.0, pole + 0.5)) == pytest.approx(2)


def test_entropy_below_zero_is_constant():
    np.testing.assert_array_equal(aj.grad(lambda x: special.entr(x).sum())(np.float32([-1, 1, 0])), [0, -1, INF])


def test_a_rule_of_an_argument_that_is_not_differentiated_is_not_called():
    @aj.custom_jvp
    def f(x, y):
        return x * y

    f.defjvps(lambda t, out, x, y: t * INF, lambda t, out, x, y: t * x)
    at = np.float32(2), np.float32(3)
    for run in (aj.jvp, aj.jit(aj.jvp, static_argnums=0)):
        assert float(run(lambda y: f(at[0], y), (at[1],), (np.float32(1),))[1]) == 2
    assert float(aj.grad(f, 1)(*at)) == 2 and float(aj.grad(f)(*at)) == INF
    assert float(aj.vmap(aj.grad(f, 1), (None, 0))(at[0], np.ones(1, np.float32))[0]) == 2
