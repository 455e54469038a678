# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false
"""scipy.special where formulas change hands: edges of domains, wide ranges, tails, 16-bit floats, vmap, jit, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.errors import AbsentError, DtypeError, ShapeError
from anejax.scipy import special

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(5)
INF, NAN = np.inf, np.nan
LINE = np.array([0.0, -0.0, INF, -INF, NAN, 1e-300, -1e-300, 1e-12, -1e-12, 1e300, -1e300, 800.0, -800.0, 1.0, -1.0])
POINTS = np.concatenate([np.linspace(-12, 60, 331), LINE])
HALF = np.where(POINTS < 0, -POINTS, POINTS)
PAIRS = [g.ravel() for g in np.meshgrid(*[[0.0, 0.5, 1.0, 3.0, 250.0, INF, -1.0, -INF, NAN]] * 2)]


def errors(got, want):
    """In eps of the result; 0 where both are NaN, or equal."""
    got, want = np.asarray(got), np.asarray(want)
    with np.errstate(all="ignore"):
        relative = np.abs(got - want) / np.abs(want) / np.finfo(got.dtype).eps
    return np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0, np.nan_to_num(relative, nan=INF))


# name: (points, greatest relative error in eps, and in eps of 1 where the result passes through 0)
LINES = {
    "i0": (POINTS, 16, 0), "i0e": (POINTS, 16, 0), "i1": (POINTS, 16, 0), "i1e": (POINTS, 16, 0),
    "erfcx": (POINTS[POINTS > -5], 32, 0), "dawsn": (POINTS, 64, 0), "exp1": (HALF, 64, 0),
    "expi": (POINTS[~(POINTS > 39)], 64, 16), "spence": (POINTS, 32, 64),
    "sici": (POINTS, 16, 64), "fresnel": (POINTS[~(np.abs(POINTS) > 12)], 32, 16),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_the_whole_line(name):
    x, relative, absolute = LINES[name]
    want = getattr(scipy.special, name)(x)
    with aj.enable_x64():
        got = getattr(special, name)(x)
    for g, w in zip(*((got, want) if isinstance(got, tuple) else ([got], [want]))):
        with np.errstate(invalid="ignore"):
            near = np.abs(np.asarray(g) - w) <= absolute * EPS
        worst = np.where(near, 0, errors(g, w))
        assert worst.max() <= relative, (x[worst.argmax()], np.asarray(g)[worst.argmax()], w[worst.argmax()])


def test_zeta_of_infinity():
    np.testing.assert_array_equal(lax.zeta(jnp.asarray([7.5, 1.0, 0.5]), jnp.asarray([INF, INF, INF])), [0, INF, NAN])


def test_numpy_has_the_same_i0():
    x = np.linspace(-60, 60, 241)
    with aj.enable_x64():
        np.testing.assert_allclose(jnp.i0(x), scipy.special.i0(x), rtol=32 * EPS)


def logarithmic(low, high, size=500):
    return 10 ** RNG.uniform(low, high, size)


def assert_tail(got, want, limit):
    """Within ``limit`` eps, and as many more for every unit of the logarithm: what exp makes of its argument."""
    seen = want > 1e-290
    worst = errors(got, want)[seen] / (1 - np.log(want[seen]))
    assert worst.max() <= limit


@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_incomplete_gamma_over_ten_decades(name):
    a = logarithmic(-8, 2.3)
    x = np.where(np.arange(500) % 2, logarithmic(-5, 3), a * RNG.uniform(0, 2, 500))
    with aj.enable_x64():
        assert_tail(getattr(special, name)(a, x), getattr(scipy.special, name)(a, x), 96)  # 60 of them SciPy's
        large = logarithmic(2.3, 9)
        near = large + np.sqrt(large) * RNG.uniform(-1, 1, 500)
        assert_tail(getattr(special, name)(large, near), getattr(scipy.special, name)(large, near), 64)


def test_incomplete_beta_over_decades():
    a, b = logarithmic(-2, 3.5), logarithmic(-1, 3.5)
    x = np.clip(RNG.beta(a, b), 1e-200, 0.95)
    with aj.enable_x64():
        assert_tail(special.betainc(a, b, x), scipy.special.betainc(a, b, x), 64)
        np.testing.assert_allclose(
            special.betainc(a, b, 0.97), scipy.special.betainc(a, b, 0.97), rtol=0, atol=256 * EPS
        )


def test_log_beta_keeps_digits_where_gammas_are_large():
    a = np.array([1e3, 1e5, 1e8])
    with aj.enable_x64():
        for whole in (1, 2, 3):  # B(a, 2) = 1 / (a (a + 1)) and so on
            want = np.log(np.prod([1 / (a + k) for k in range(whole)], 0) * np.prod(range(1, whole)))
            np.testing.assert_allclose(special.betaln(a, float(whole)), want, rtol=16 * EPS)


@pytest.mark.parametrize("name", ["gammainc", "gammaincc", "boxcox", "owens_t"])
def test_edges_of_two(name):
    first, second = PAIRS
    want = getattr(scipy.special, name)(first, second)
    if "gamma" in name:  # SciPy says 0 or 1 for infinite a and NaN x
        want = np.where(np.isnan(second), NAN, want)
    with aj.enable_x64():
        worst = errors(getattr(special, name)(first, second), want)
    tail = np.where(want > 0, want, 1)
    assert np.max(worst / np.maximum(1, -np.log(tail))) <= 64


def test_edges_of_betainc():
    a, b, x = (
        g.ravel()
        for g in np.meshgrid([0, 0.5, 3, INF, -1, NAN], [0, 0.5, 3, INF, -1, NAN], [0, 0.3, 1, -0.1, 1.1, NAN])
    )
    with aj.enable_x64():
        assert errors(special.betainc(a, b, x), scipy.special.betainc(a, b, x)).max() <= 64


@pytest.mark.parametrize("n", [0, 1, 2, 5, 30, 200])
def test_expn(n):
    with aj.enable_x64():
        assert errors(special.expn(n, HALF[HALF > 0]), scipy.special.expn(n, HALF[HALF > 0])).max() <= 64
        np.testing.assert_allclose(special.expn(n, 0.0), 1 / (n - 1) if n > 1 else INF, rtol=EPS)
        assert np.isnan(special.expn(n, -1.0)) and np.isnan(special.expn(-1, 1.0)) and np.isnan(special.expn(1.5, 1.0))
        slope = aj.grad(special.expn, 1)(float(n), 0.7)
    below = -np.exp(-0.7) * (1 + 1 / 0.7) / 0.7 if n == 0 else -scipy.special.expn(n - 1, 0.7)
    np.testing.assert_allclose(slope, below, rtol=64 * EPS)


def test_comb():
    n, k = (g.ravel() for g in np.meshgrid(np.arange(-2.0, 45), np.arange(-2.0, 45)))
    with aj.enable_x64():
        got = special.comb(n, k)
        want = [math.comb(int(i), int(j)) if i >= 0 <= j else 0 for i, j in zip(n, k)]
        np.testing.assert_array_equal(got, want)
        again = special.comb(np.arange(6.0), 3.0, repetition=True)
        np.testing.assert_array_equal(again, [0, 1, 4, 10, 20, 35])
        np.testing.assert_array_equal(special.comb(0.0, 0.0, repetition=True), 1)
        assert np.isnan(special.comb(NAN, 1.0))
        slope = aj.grad(special.comb)(5.0, 2.0)  # n (n - 1) / 2
    np.testing.assert_allclose(slope, 4.5, rtol=64 * EPS)


def test_bernoulli():
    want = [1, -1 / 2, 1 / 6, 0, -1 / 30, 0, 1 / 42, 0, -1 / 30, 0, 5 / 66, 0, -691 / 2730]
    with aj.enable_x64():
        np.testing.assert_array_equal(special.bernoulli(12), want)
        last = np.asarray(special.bernoulli(262))
        scale = 2 * np.exp(scipy.special.gammaln(259) - 258 * np.log(2 * np.pi))
        np.testing.assert_allclose(last[258], scale, rtol=1e-12)
        np.testing.assert_array_equal(last[259:], [0, -INF, 0, INF])
    assert special.bernoulli(0).shape == (1,)
    with pytest.raises(ShapeError, match="n >= 0"):
        special.bernoulli(-1)


def test_bessel_jn():
    z = np.concatenate([np.linspace(-20, 20, 161), [0.0, 1e-300, 1.0, -1.0]])
    with aj.enable_x64():
        got = special.bessel_jn(z, v=6)
        want = np.stack([scipy.special.jv(order, z) for order in range(7)])
        np.testing.assert_allclose(got, want, rtol=0, atol=16 * EPS)
        slope = aj.vmap(aj.grad(lambda x: special.bessel_jn(x, v=1)[0]))(jnp.asarray(z))
        np.testing.assert_allclose(slope, -want[1], rtol=0, atol=256 * EPS)
    got = special.bessel_jn(z.astype(np.float32), v=2)
    np.testing.assert_allclose(got, want[:3], rtol=0, atol=32 * np.finfo(np.float32).eps)
    for wrong in ({"v": -1}, {"v": 50}, {"v": 3, "n_iter": 3}):
        with pytest.raises(ShapeError, match="0 <= v < n_iter"):
            special.bessel_jn(1.0, **wrong)


# --- derivatives ------------------------------------------------------------------------------------------------------


def central(function, x, step=1e-4):
    """The derivative by differences of order 4."""
    difference = lambda h: (function(x + h) - function(x - h)) / (2 * h)  # noqa: E731
    return (4 * difference(step / 2) - difference(step)) / 3


@pytest.mark.parametrize(
    "a, x", [(0.3, 0.2), (0.3, 2.0), (5.0, 3.0), (5.0, 9.0), (300.0, 290.0), (300.0, 320.0), (300.0, 100.0)]
)
def test_the_slope_in_the_shape(a, x):
    with aj.enable_x64():
        got = lax.igamma_grad_a(a, x)
        moved = lax.random_gamma_grad(a, x)
        np.testing.assert_allclose(aj.grad(special.gammaincc)(a, x), -got, rtol=1e-14)  # of other programs
    want = central(lambda a: scipy.special.gammainc(a, x), a)
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)
    density = np.exp((a - 1) * np.log(x) - x - scipy.special.gammaln(a))
    np.testing.assert_allclose(moved, -np.asarray(got) / density, rtol=1e-11)


@pytest.mark.parametrize(
    "a, b, x", [(2.0, 3.0, 0.3), (2.0, 3.0, 0.7), (0.4, 0.6, 0.8), (40.0, 25.0, 0.6), (0.5, 20.0, 0.01)]
)
def test_slopes_of_betainc(a, b, x):
    with aj.enable_x64():
        got = aj.grad(special.betainc, (0, 1))(a, b, x)
    want = central(lambda a: scipy.special.betainc(a, b, x), a), central(lambda b: scipy.special.betainc(a, b, x), b)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


def test_digamma_and_its_slope_between_and_beside_poles():
    beside = np.array([-1e-12, 1e-12, -1.000001, -2.9999, -1e5 - 0.25, 1e-200, 1e6])
    x = np.concatenate([-RNG.uniform(0, 40, 200), RNG.uniform(0, 40, 100), beside])
    with aj.enable_x64():
        for f in (lax.digamma, aj.jit(lax.digamma)):
            np.testing.assert_allclose(f(x), scipy.special.psi(x), rtol=4e-13, atol=2e-13)  # SciPy's near poles
            np.testing.assert_allclose(
                f(beside[:4]),
                [999999999999.4229, -1000000000000.5773, 1000000.4228639568, -9998.743581706345],
                rtol=8 * EPS,
            )
        slope = aj.vmap(aj.grad(lax.digamma))(jnp.asarray(x))
    assert errors(slope[:-2], scipy.special.polygamma(1, x[:-2])).max() <= 16
    np.testing.assert_allclose(slope[-2:], [INF, 1 / 1e6 + 0.5 / 1e12], rtol=1e-12)


@pytest.mark.parametrize("name", ["sici", "fresnel"])
def test_slopes_of_pairs(name):
    x = np.array([0.3, 1.2, 1.7, 3.9, 4.1, 7.0])
    tangents = {
        "sici": (np.sin(x) / x, np.cos(x) / x),
        "fresnel": (np.sin(np.pi * x * x / 2), np.cos(np.pi * x * x / 2)),
    }[name]
    with aj.enable_x64():
        for place, want in enumerate(tangents):
            slope = aj.vmap(aj.grad(lambda x: getattr(special, name)(x)[place]))(jnp.asarray(x))  # noqa: B023
            np.testing.assert_allclose(slope, want, rtol=0, atol=64 * EPS)


def test_second_derivatives():
    x = np.array([0.4, 1.7, 3.0])
    f = {name: getattr(scipy.special, name)(x) for name in ("i0e", "i1e", "erfcx", "dawsn")}
    root = 2 / np.sqrt(np.pi)
    want = {
        "i0e": 2 * f["i0e"] - (2 + 1 / x) * f["i1e"],
        "erfcx": (2 + 4 * x * x) * f["erfcx"] - 2 * x * root,
        "dawsn": -2 * f["dawsn"] - 2 * x * (1 - 2 * x * f["dawsn"]),
        "expi": np.exp(x) * (1 / x - 1 / x**2),
        "spence": 1 / (x * (1 - x)) + np.log(x) / (1 - x) ** 2,
    }
    with aj.enable_x64():
        for name, slope in want.items():
            got = aj.vmap(aj.grad(aj.grad(getattr(special, name))))(jnp.asarray(x))
            np.testing.assert_allclose(got, slope, rtol=1e-12, atol=1e-13, err_msg=name)
        got = aj.grad(aj.grad(special.boxcox, 1), 1)(2.0, 0.0)  # of log x + power log^2 x / 2 + power^2 log^3 x / 6
    np.testing.assert_allclose(got, np.log(2.0) ** 3 / 3, rtol=16 * EPS)


def test_the_second_slope_in_the_shape_is_forward_over_reverse():
    with aj.enable_x64():
        got = aj.jacfwd(aj.grad(special.gammainc))(2.0, 3.0)
    want = central(lambda a: central(lambda b: scipy.special.gammainc(b, 3.0), a, 1e-2), 2.0, 1e-2)
    np.testing.assert_allclose(got, want, rtol=1e-7)


def test_derivatives_where_rules_meet():
    with aj.enable_x64():
        assert float(aj.grad(special.i1e)(0.0)) == 0.5
        assert float(aj.grad(special.spence)(1.0)) == -1.0
        np.testing.assert_allclose(aj.grad(special.spence)(1.7), np.log(1.7) / -0.7, rtol=4 * EPS)
        np.testing.assert_allclose(aj.grad(special.boxcox, 1)(2.0, 0.0), np.log(2.0) ** 2 / 2, rtol=4 * EPS)


# --- transformations, types, errors -----------------------------------------------------------------------------------

SAMPLES = {
    "i0e": 1, "i1e": 1, "erfcx": 1, "dawsn": 1, "exp1": 1, "expi": 1, "spence": 1, "gammainc": 2, "gammaincc": 2,
    "betainc": 3, "boxcox": 2, "owens_t": 2, "comb": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_vmap_jit_and_narrow_floats(name):
    function = getattr(special, name)
    args = [np.float32([[0.2, 0.9, 3.1], [0.5, 7.0, 0.7]]) for _ in range(SAMPLES[name])]
    if name == "betainc":
        args[2] = args[2] / 8
    eager = np.asarray(function(*args))
    eps = float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(aj.jit(function)(*args), eager, rtol=8 * eps)
    np.testing.assert_allclose(aj.jit(aj.vmap(function, 1, 1))(*args), eager, rtol=8 * eps)
    first = aj.vmap(lambda x: function(x, *(a[0, 0] for a in args[1:])))(args[0].ravel())
    np.testing.assert_allclose(first[0], eager[0, 0], rtol=8 * eps)  # of another program
    for kind in (
        (aj.dtypes.float16, aj.dtypes.bfloat16) if name != "spence" else ()
    ):  # which jax has of wide floats only
        narrow = [a.astype(kind) for a in args]
        got = function(*narrow)
        want = function(*(a.astype(np.float32) for a in narrow))
        assert got.dtype == kind
        if name != "comb" and name != "boxcox":  # compositions, which round more than once
            np.testing.assert_array_equal(np.asarray(got), np.asarray(want.astype(kind)))


def test_lax_neither_promotes_nor_broadcasts():
    x = np.float32([0.5, 1.5])
    np.testing.assert_array_equal(lax.igamma(2.0, x), special.gammainc(2.0, x))
    for function, name in ((lax.igamma, "igamma"), (lax.zeta, "zeta"), (lax.polygamma, "polygamma")):
        with pytest.raises(
            ShapeError, match=rf"\[{name}\] expected operands of one shape, got float32\[2\], float32\[3\]"
        ):
            function(x, np.ones(3, np.float32))
        with pytest.raises(DtypeError, match=rf"\[{name}\] expected operands of one float dtype"):
            function(x, np.ones(2, np.float16))
        with pytest.raises(DtypeError, match="one float dtype"):
            function(np.int32([1, 2]), np.int32([1, 2]))


def test_python_numbers_stay_weak():
    for value in (special.i0(2.0), special.gammainc(1.0, 2.0), lax.bessel_i1e(2.0), special.betainc(1.0, 2.0, 0.5)):
        assert (value * jnp.ones((), aj.dtypes.bfloat16)).dtype == aj.dtypes.bfloat16
    assert not lax.igamma(2.0, jnp.ones(2)).weak_type


def test_what_is_absent_says_what_to_use():
    for name, hint in (
        ("hyp1f1", "gammainc"),
        ("hyp2f1", "betainc"),
        ("sph_harm_y", "scipy.special"),
    ):
        with pytest.raises(AbsentError, match=hint):
            getattr(special, name)
    with pytest.raises(DtypeError, match=r"\[dawsn\] expected real arguments"):
        special.dawsn(1j)


def test_zeta_and_polygamma_below_zero():
    """SciPy's values; jax sums too few terms below -10."""
    x = np.float32([-0.5, -1.5, -9.5, -10.25, -100.3, -1000.75, -1e-3, 0.25])
    for order in (2, 3, 4, 7):
        want = scipy.special.zeta(float(order), x.astype(np.float64))
        terms = np.maximum(scipy.special.zeta(order, x % 1), scipy.special.zeta(order, -x % 1.0 + (x > 0)))
        found = np.asarray(lax.zeta(np.full_like(x, order), x), np.float64)
        assert (np.abs(found - want) <= 64 * 2.0**-23 * np.maximum(np.abs(want), terms)).all(), order
        sign = 1 if order % 2 == 0 else -1
        want = sign * math.factorial(order - 1) * want
        np.testing.assert_allclose(aj.scipy.special.polygamma(order - 1, x[3:]), want[3:], rtol=2e-4)
    assert np.isnan(lax.zeta(jnp.float32(2.5), jnp.float32(-0.5))) and lax.zeta(jnp.float32(3), jnp.float32(-2)) == INF
    slope = aj.grad(lambda v: lax.polygamma(jnp.float32(1), v))(jnp.float32(-2.3))
    assert abs(float(slope) / 68.7137925 - 1) < 1e-4  # polygamma(2, -2.3), by mpmath
