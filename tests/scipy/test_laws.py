"""scipy.stats beyond what tests/generated draws: edges, large parameters, tails, vectors, and slopes jax has not."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import inspect

import jax
import jax.scipy.stats
import numpy as np
import pytest
import scipy.stats

import anejax as aj
import anejax.numpy as anp
from anejax.errors import DtypeError, RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type

OURS, JAX = aj.scipy.stats, jax.scipy.stats
INF, NAN = np.inf, np.nan
EPS = float(np.finfo(np.float32).eps)

# law: (shapes, outside of the support on both sides)
SUPPORTS = {
    "beta": ((2.5, 0.5), (-0.5, 1.5)), "betabinom": ((3.0, 2.0, 1.5), (-1.0, 4.0)), "binom": ((3.0, 0.3), (-1.0, 4.0)),
    "bernoulli": ((0.3,), (-1.0, 2.0)), "chi2": ((3.0,), (-0.5, INF)), "expon": ((), (-0.5, INF)),
    "gamma": ((2.5,), (-0.5, INF)), "geom": ((0.3,), (0.0, INF)), "nbinom": ((2.5, 0.3), (-1.0, INF)),
    "pareto": ((2.5,), (0.5, INF)), "poisson": ((2.5,), (-1.0, INF)), "truncnorm": ((-1.0, 0.5), (-1.5, 2.0)),
    "uniform": ((), (-0.5, 1.5)), "wrapcauchy": ((0.3,), (-0.5, 7.0)),
}  # fmt: skip
BELOW_AND_ABOVE = {
    "pdf": (0, 0), "logpdf": (-INF, -INF), "pmf": (0, 0), "logpmf": (-INF, -INF), "cdf": (0, 1), "logcdf": (-INF, 0),
    "sf": (1, 0), "logsf": (0, -INF),
}  # fmt: skip


def functions(law):
    """(name, our function) for each of those that depend on where x is. The laws of chi2 are those of gamma."""
    names = ("logpdf", "sf") if law == "chi2" else BELOW_AND_ABOVE
    return [(n, getattr(getattr(OURS, law), n)) for n in names if hasattr(getattr(JAX, law), n)]


@pytest.mark.parametrize("law", SUPPORTS)
def test_outside_of_the_support(law):
    shapes, points = SUPPORTS[law]
    for name, function in functions(law):
        np.testing.assert_array_equal(function(np.float32(points), *shapes), BELOW_AND_ABOVE[name], err_msg=name)


@pytest.mark.parametrize("law", SUPPORTS)
def test_elements_outside_leave_the_others_alone(law):
    shapes, (below, above) = SUPPORTS[law]
    middle = 1.0 if law in ("bernoulli", "binom", "betabinom", "geom", "nbinom", "poisson") else 0.4
    middle += law == "pareto"
    for name, function in functions(law):
        loss = lambda xs, *s: anp.where(anp.isfinite(y := function(xs, *s)), y, 0).sum()  # noqa: B023, E731
        places = tuple(range(1 + len(shapes)))
        alone = aj.grad(loss, places)(np.float32([middle]), *shapes)
        among = aj.grad(loss, places)(np.float32([below, middle, above]), *shapes)
        np.testing.assert_allclose(among[0], [0, alone[0][0], 0], rtol=1e-5, err_msg=name)
        for a, b in zip(among[1:], alone[1:]):
            np.testing.assert_allclose(a, b, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("law", [n for n in dir(JAX) if inspect.ismodule(getattr(JAX, n))])
def test_the_scale_must_be_positive(law):
    shapes = SUPPORTS.get(law, ((2.0,) if law == "t" else (),))[0]
    for name in [n for n in dir(getattr(JAX, law)) if not n.startswith("_")]:
        function = getattr(getattr(OURS, law), name)
        if "scale" in inspect.signature(function).parameters:
            for scale in (0.0, -1.0, NAN):
                assert np.isnan(function(0.5, *shapes, scale=scale)), f"{name} at scale {scale}"
            assert np.isnan(function(NAN, *shapes))


@pytest.mark.parametrize(
    ("call", "shapes"),
    [("beta.logpdf", (-1, 2)), ("beta.cdf", (2, -1)), ("gamma.logpdf", (-0.5,)), ("gamma.sf", (-0.5,)),
     ("chi2.pdf", (-1,)), ("t.logpdf", (-1,)), ("pareto.cdf", (-1,)), ("pareto.sf", (-1,)),
     ("gennorm.pdf", (-1,)), ("binom.pmf", (4, 1.5)), ("binom.pmf", (-4, 0.5)), ("nbinom.pmf", (-1, 0.5)),
     ("geom.pmf", (-0.5,)), ("poisson.pmf", (-1,)), ("poisson.cdf", (-1,)), ("bernoulli.cdf", (1.5,)),
     ("bernoulli.ppf", (1.5,)), ("betabinom.pmf", (4, -1, 2)), ("truncnorm.logpdf", (1, -1)),
     ("truncnorm.cdf", (1, 1)), ("truncnorm.sf", (1, -1)), ("vonmises.pdf", (-1,)), ("wrapcauchy.pdf", (1,))],
)  # fmt: skip
def test_shapes_that_are_none(call, shapes):
    law, name = call.split(".")
    for x in (-2.0, 1.0, 9.0):
        assert np.isnan(getattr(getattr(OURS, law), name)(x, *map(float, shapes))) or (name == "ppf" and x != 1)


N = np.float32([1e3, 1e4, 1e5, 1e6])
NEAR = np.float32([[1.0], [0.99], [1.02], [0.5]])
# call: (arguments, greatest error in float32 eps of the value or of 1); jax's errors are up to 1e6 eps
LARGE = {
    "poisson.logpmf": ((np.round(N * NEAR), N), 16),
    "gamma.logpdf": ((N * NEAR, N), 16),
    "chi2.logpdf": ((N * NEAR, N), 16),
    "beta.logpdf": ((0.25 * NEAR, N, 3 * N), 128),
    "binom.logpmf": ((np.round(0.25 * N * NEAR), N, np.float32(0.25)), 64),
    "nbinom.logpmf": ((np.round(3 * N * NEAR), N, np.float32(0.25)), 64),
    "t.logpdf": ((4 * NEAR, N), 16),
    "vonmises.logpdf": ((0.1 * NEAR / np.sqrt(N), N), 16),
    "gennorm.logpdf": ((NEAR, N / 1000), 64),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_parameters_keep_their_digits(name):
    args, ulps = LARGE[name]
    law, _, function = name.partition(".")
    want = getattr(getattr(scipy.stats, law), function)(*(a.astype(float) for a in args))
    got = np.asarray(getattr(getattr(OURS, law), function)(*args))
    assert (np.abs(got - want) <= ulps * EPS * np.maximum(np.abs(want), 1)).all(), (got - want) / EPS


FAR = np.float32([30, 60, 90])
# values where the naive formula is 0, 1 or NaN: of their own size
TAILS = {
    "cauchy.cdf": (-1e6 * FAR,), "cauchy.sf": (1e6 * FAR,), "cauchy.logcdf": (1e3 * FAR,),
    "cauchy.logsf": (-1e3 * FAR,), "cauchy.ppf": (1e-12 * FAR,), "cauchy.isf": (1e-12 * FAR,),
    "laplace.cdf": (-FAR,), "logistic.sf": (FAR / 2,), "gumbel_r.sf": (FAR / 2,), "gumbel_r.logsf": (5 * FAR,),
    "gumbel_r.logcdf": (FAR,), "gumbel_l.logcdf": (-5 * FAR,), "gumbel_l.cdf": (-FAR / 2,),
    "expon.cdf": (1e-12 * FAR,), "expon.logcdf": (FAR,), "expon.sf": (FAR / 2,),
    "pareto.logcdf": (FAR, np.float32(4)), "pareto.sf": (FAR, np.float32(9)),
    "gennorm.cdf": (-FAR / 4, np.float32(1.5)),
    "beta.sf": (np.float32([1e-30, 1e-12, 0.4]), np.float32([0.1, 0.1, 1]), np.float32([1, 1, 50])),
    "norm.sf": (FAR / 8,), "norm.logsf": (FAR,), "truncnorm.logsf": (FAR, np.float32(-1), 2 * FAR),
    "truncnorm.logcdf": (np.float32(-30), -FAR - 10, np.float32(20)),
    "wrapcauchy.pdf": (1e-3 * FAR / 90, np.float32(0.999)),
}  # fmt: skip


@pytest.mark.parametrize("name", TAILS)
def test_tails_keep_their_digits(name):
    law, _, function = name.partition(".")
    want = getattr(getattr(scipy.stats, law), function)(*(a.astype(float) for a in TAILS[name]))
    got = np.asarray(getattr(getattr(OURS, law), function)(*TAILS[name]))
    limit = 128 if law in ("norm", "truncnorm", "gennorm", "beta") else 32  # of an exponential's argument
    np.testing.assert_array_less(np.abs(got - want), limit * EPS * np.maximum(np.abs(want), 1e-37) * (1 + (want == 0)))


INNER = {
    "beta": ([0.3], [2.5, 0.7]), "gamma": ([1.3], [2.5]), "truncnorm": ([0.3], [-1.2, 0.9]),
    "gennorm": ([0.7], [1.6]), "pareto": ([1.7], [2.5]), "poisson": ([3.0], [2.5]), "expon": ([1.3], []),
    "cauchy": ([1.3], []),
}  # fmt: skip


@pytest.mark.parametrize("law", INNER)
def test_slopes_are_differences_of_scipy(law):
    """In every argument: jax has none in the shapes of the beta distribution and none of Poisson's entropy."""
    (x,), shapes = INNER[law]
    names = [n for n in ("cdf", "sf", "logcdf", "logsf", "logpdf", "logpmf") if hasattr(getattr(JAX, law), n)]
    for name in names:
        ours, exact = getattr(getattr(OURS, law), name), getattr(getattr(scipy.stats, law), name)
        args = [x, *shapes]
        places = tuple(range(law == "poisson", len(args)))
        with aj.enable_x64():
            slopes = aj.grad(ours, places)(*args)
        for i, got in zip(places, slopes):
            h = 1e-4
            moved = lambda s: exact(*[a + s * h * (i == j) for j, a in enumerate(args)])  # noqa: B023, E731
            want = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h)
            assert abs(got - want) <= 1e-8 * max(1, abs(want)), (name, i, got, want)


@pytest.mark.parametrize("mu", [0.3, 5.0, 40.0, 70.0, 1e4])
def test_the_entropy_of_poisson(mu):
    """Against its definition, and its slope against that of the definition."""
    k = np.arange(int(mu + 40 * np.sqrt(mu) + 60))

    def exact(mu):
        terms = scipy.stats.poisson.logpmf(k, mu)
        return -np.sum(np.exp(terms) * terms)

    with aj.enable_x64():
        np.testing.assert_allclose(
            OURS.poisson.entropy(mu), exact(mu), rtol=1e-13 if mu < 100 else 1e-10
        )  # SciPy's logpmf
        h = 1e-3 * mu
        want = (8 * (exact(mu + h) - exact(mu - h)) - (exact(mu + 2 * h) - exact(mu - 2 * h))) / (12 * h)
        np.testing.assert_allclose(aj.grad(OURS.poisson.entropy)(mu), want, rtol=1e-8 if mu < 100 else 1e-6)
    np.testing.assert_allclose(OURS.poisson.entropy(np.float32(mu)), exact(np.float64(np.float32(mu))), rtol=8 * EPS)


def test_the_entropy_of_poisson_at_the_edges():
    got = OURS.poisson.entropy(np.float32([0, -1, NAN]), loc=np.float32([[3], [4]]))
    np.testing.assert_array_equal(got, [[0, NAN, NAN]] * 2)
    assert OURS.poisson.entropy(np.float16(3)).dtype == np.float16


@pytest.mark.parametrize("name", ["ppf", "isf"])
@pytest.mark.parametrize("law", ["norm", "cauchy", "logistic", "gumbel_l", "gumbel_r", "expon", "pareto", "uniform"])
def test_quantiles_are_inverses(law, name):
    module = getattr(OURS, law)
    if not hasattr(module, name):
        pytest.skip("jax has none")
    shapes = (2.5,) if law == "pareto" else ()
    back = module.cdf if name == "ppf" else module.sf
    q = np.array([1e-9, 0.01, 0.3, 0.5, 0.8, 0.999])
    with aj.enable_x64():
        x = getattr(module, name)(q, *shapes, loc=0.5, scale=2.0)
        np.testing.assert_allclose(back(x, *shapes, loc=0.5, scale=2.0), q, rtol=1e-10, atol=1e-15)
    for bad in (-0.1, 1.1, NAN):
        assert np.isnan(getattr(module, name)(bad, *shapes))


def test_the_middle_of_symmetric_laws():
    """Where |x| has no slope."""
    for law, slope in (("laplace", 0.5), ("logistic", 0.25), ("cauchy", 1 / np.pi), ("norm", 1 / np.sqrt(2 * np.pi))):
        np.testing.assert_allclose(aj.grad(getattr(OURS, law).cdf)(0.0), slope, rtol=4 * EPS)
    np.testing.assert_allclose(aj.grad(aj.grad(OURS.logistic.logpdf))(0.0), -0.5, rtol=4 * EPS)


# --- vectors ----------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(1)
ALPHA = np.float32([0.5, 1.0, 3.5, 2.0])
POINTS = RNG.dirichlet(ALPHA, 5).astype(np.float32).T


def test_dirichlet():
    POINTS[-1] = 1 - POINTS[:-1].sum(0)
    want = scipy.stats.dirichlet.logpdf(POINTS / POINTS.sum(0, dtype=float), ALPHA)
    for x in (POINTS, POINTS[:-1], POINTS[:, 0], POINTS[:, :, None]):
        got = OURS.dirichlet.logpdf(x, ALPHA)
        assert_same_type(got, of_jax(JAX.dirichlet.logpdf, x, ALPHA)[0])
        np.testing.assert_allclose(got, want[0] if x.ndim == 1 else want.reshape(got.shape), rtol=2e-6)
    np.testing.assert_allclose(OURS.dirichlet.pdf(POINTS, ALPHA), np.exp(want), rtol=1e-5)
    slopes = aj.grad(lambda x, a: OURS.dirichlet.logpdf(x, a).sum(), (0, 1))(POINTS, ALPHA)
    theirs = of_jax(lambda x, a: jax.grad(lambda x, a: JAX.dirichlet.logpdf(x, a).sum(), (0, 1))(x, a), POINTS, ALPHA)
    for a, b in zip(slopes, theirs):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    off = np.float32([[0.5, -0.5], [0.6, 0.5], [0.1, 0.5], [0.1, 0.5]])
    np.testing.assert_array_equal(OURS.dirichlet.logpdf(off, ALPHA), [-INF, -INF])
    assert not np.isnan(aj.grad(lambda a: OURS.dirichlet.pdf(off, a).sum())(ALPHA)).any()
    with pytest.raises(
        ShapeError, match=r"expected alpha \[n\] and x of n or n - 1 .*, got float32\[2,5\] and float32\[4\]"
    ):
        OURS.dirichlet.logpdf(POINTS[:2], ALPHA)


def test_multinomial():
    p = np.float32([0.25, 0.5, 0.25])
    x = RNG.multinomial(7, p, (2, 4)).astype(np.int32)
    got = OURS.multinomial.logpmf(x, 7, p)
    np.testing.assert_allclose(got, scipy.stats.multinomial.logpmf(x, 7, p.astype(float)), rtol=1e-5)
    np.testing.assert_allclose(OURS.multinomial.pmf(x, 7, p), np.exp(got), rtol=1e-6)
    np.testing.assert_array_equal(OURS.multinomial.logpmf(x, 8, p), np.full((2, 4), -INF))
    logarithm, value = (of_jax(f, x[0, 0], 7, p)[0] for f in (JAX.multinomial.logpmf, JAX.multinomial.pmf))
    assert_close(OURS.multinomial.logpmf(x[0, 0], 7, p), logarithm, ulps=16, scale=8)
    assert_same_type(OURS.multinomial.pmf(x[0, 0], 7, p), value)
    np.testing.assert_allclose(aj.grad(lambda p: OURS.multinomial.logpmf(x[0, 0], 7, p))(p), x[0, 0] / p, rtol=1e-6)
    with pytest.raises(DtypeError, match=r"expected integers x and n, got float32\[2,4,3\]. Use x.astype"):
        OURS.multinomial.logpmf(x.astype(np.float32), 7, p)


A = RNG.standard_normal((2, 3, 3))
COV = (A @ A.transpose(0, 2, 1) + np.eye(3)).astype(np.float32)
X, MEAN = RNG.standard_normal((4, 2, 3)).astype(np.float32), np.float32([0.5, -1, 2])


@pytest.mark.parametrize(
    "args",
    [(X, MEAN, COV[0]), (X, MEAN, COV), (X[0, 0], MEAN, COV[0]), (X[0, 0], X[1], COV[0]), (X[:0], MEAN, COV[0]),
     (X, MEAN, 2.0), (X, 0.5, 2.0), (X, np.float32(0.5), np.abs(X) + 1), (1.5, 0.5, 2), (1.5, MEAN, COV[0]),
     (X[0].astype(np.int32), np.int32([1, 2, 3]), 2 * np.eye(3, dtype=np.int32)), (X, MEAN, -COV[0])],
)  # fmt: skip
def test_multivariate_normal(args):
    for name in ("logpdf", "pdf"):
        ours, theirs = getattr(OURS.multivariate_normal, name), getattr(JAX.multivariate_normal, name)
        got, (want,) = ours(*args), of_jax(theirs, *args)
        assert_same_type(got, want)
        assert_close(got, want, ulps=64, scale=1)
        assert_close(aj.jit(ours)(*args), want, ulps=64, scale=1)
    if np.ndim(args[2]) == 2 and args[1] is MEAN and args[2][0, 0] > 0 and np.ndim(args[0]):
        exact = scipy.stats.multivariate_normal.logpdf(args[0].astype(float), MEAN.astype(float), args[2].astype(float))
        np.testing.assert_allclose(OURS.multivariate_normal.logpdf(*args), exact, rtol=1e-5)


def test_derivatives_and_batches_of_the_multivariate_normal():
    for cov in (COV, COV[0]):
        loss = lambda m: lambda *a: m.multivariate_normal.logpdf(*a).sum()  # noqa: E731
        slopes = of_jax(lambda *a: jax.jit(jax.grad(loss(JAX), (0, 1, 2)))(*a), X, MEAN, cov)  # noqa: B023
        for got, want in zip(aj.grad(loss(OURS), (0, 1, 2))(X, MEAN, cov), slopes):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    got = aj.vmap(OURS.multivariate_normal.logpdf, in_axes=(1, None, 0))(X, MEAN, COV)
    np.testing.assert_allclose(got, OURS.multivariate_normal.logpdf(X, MEAN, COV).T, rtol=1e-6)


def test_errors_of_the_multivariate_normal():
    with pytest.raises(
        ShapeError, match=r"expected cov of shape \[..., 3, 3\] for mean float32\[3\], got float32\[2,2\]"
    ):
        OURS.multivariate_normal.logpdf(X, MEAN, COV[0, :2, :2])
    with pytest.raises(RefusedError, match="allow_singular is not supported"):
        OURS.multivariate_normal.logpdf(X, MEAN, COV, allow_singular=True)


def test_errors_name_the_law():
    with pytest.raises(DtypeError, match=r"\[gamma.logpdf\] expected real arguments, got complex64\[\]"):
        OURS.gamma.logpdf(1j, 2.0)
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        OURS.gamma.logpdf(1.0)
