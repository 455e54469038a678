"""Derivatives at removable singularities, at ties and at the ends of domains, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax import lax, nn
from anejax.custom_batching import custom_vmap
from anejax.scipy import special

INF = np.inf


def derivatives(function, x, count):
    out = []
    for _ in range(count):
        function = aj.grad(function)
        out.append(float(function(x)))
    return out


def test_all_derivatives_of_sinc_at_0():
    """sinc(x) = sum of (-1)^k (pi x)^(2k) / (2k + 1)!"""
    expected = [0 if n % 2 else (-1) ** (n // 2) * math.pi**n / (n + 1) for n in range(1, 7)]
    np.testing.assert_allclose(derivatives(anp.sinc, 0.0, 6), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(derivatives(anp.sinc, 1e-3, 4)[3], math.pi**4 / 5, rtol=1e-4)


@pytest.mark.parametrize("x", [0.0, 1e-4, 0.2, 1 / math.pi, 0.32, 1.0, -0.25, -3.3])
def test_sinc_near_the_border_of_its_series(x):
    np.testing.assert_allclose(float(anp.sinc(x)), np.sinc(x), rtol=3e-7, atol=1e-7)
    slope = (math.cos(math.pi * x) - np.sinc(x)) / x if abs(x) > 0.1 else -(math.pi**2) / 3 * x
    np.testing.assert_allclose(derivatives(anp.sinc, x, 1)[0], slope, rtol=1e-5, atol=1e-6)


def test_entropy_is_infinitely_steep_at_0():
    assert derivatives(special.entr, 0.0, 2) == [INF, -INF]
    np.testing.assert_allclose(derivatives(special.entr, 0.5, 2), [-math.log(0.5) - 1, -2], rtol=1e-5)


def softmax_hessian(x):
    p = np.exp(x - np.max(x))
    p /= p.sum()
    return np.diag(p) - np.outer(p, p)


@pytest.mark.parametrize("x", [[1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 2.0, 2.0, 1.0], [-INF, 0.0, 0.0]], ids=str)
@pytest.mark.parametrize("compiled", [False, True])
def test_second_derivatives_of_sums_of_exponentials_at_ties(x, compiled):
    run = aj.jit if compiled else lambda f: f
    values = np.array(x, np.float32)
    total = lambda v: lax.cumlogsumexp(v)[-1]  # noqa: E731
    np.testing.assert_allclose(run(aj.hessian(total))(values), softmax_hessian(values), atol=1e-6)
    np.testing.assert_allclose(run(aj.hessian(special.logsumexp))(values), softmax_hessian(values), atol=1e-6)


def test_logaddexp_at_a_tie():
    hessian = aj.hessian(lambda v: anp.logaddexp(v[0], v[1]))(np.ones(2, np.float32))
    np.testing.assert_allclose(hessian, [[0.25, -0.25], [-0.25, 0.25]], atol=1e-6)


def test_logsumexp_has_derivatives_in_weights_of_0_and_of_nothing():
    a = np.array([1.0, 2.0], np.float32)
    weights = np.array([0.0, 1.0], np.float32)
    np.testing.assert_allclose(aj.grad(lambda b: special.logsumexp(a, b=b))(weights), [math.exp(-1), 1], rtol=1e-6)
    assert float(special.logsumexp(np.array([3.0, 500.0], np.float32), b=weights[::-1].copy())) == 3
    nothing = np.full(2, -INF, np.float32)
    assert float(special.logsumexp(nothing)) == -INF
    np.testing.assert_array_equal(aj.grad(special.logsumexp)(nothing), [0, 0])
    np.testing.assert_array_equal(aj.grad(lambda v: special.logsumexp(v, where=np.zeros(2, bool)))(a), [0, 0])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_great_unsigned_indices_are_beyond_the_end(compiled, dtype):
    """They are clamped when read and dropped when written, as every integer beyond the end is; jax wraps them."""
    run = aj.jit if compiled else lambda f: f
    x, top = np.arange(5, dtype=np.float32), np.iinfo(dtype).max
    i = np.array([top, top // 2 + 2, 4, 0], dtype)
    for index in (i, anp.asarray(i)):
        np.testing.assert_array_equal(run(lambda x, i: x[i])(anp.asarray(x), index), [4, 4, 4, 0])
        np.testing.assert_array_equal(run(lambda x, i: x.at[i].add(1))(anp.asarray(x), index), [1, 1, 2, 3, 5])
        filled = run(lambda x, i: anp.take(x, i))(x, index)
        np.testing.assert_array_equal(filled, [np.nan, np.nan, 4, 0])
    np.testing.assert_array_equal(run(lambda x: x.at[i].add(1))(anp.asarray(x)), [1, 1, 2, 3, 5])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32"])
def test_indices_of_every_integer_type(compiled, dtype):
    """Types that cannot hold the axis' length, and values that int32 cannot hold."""
    run = aj.jit if compiled else lambda f: f
    x, top = np.arange(300, dtype=np.float32), int(np.iinfo(dtype).max)
    i = np.array([top, 5, 100], dtype)
    inside = [top < 300, True, True]
    start = min(top, 298)
    slices = run(lambda x, s: lax.dynamic_slice_in_dim(x, s, 2))
    np.testing.assert_array_equal(slices(x, i[0]), x[start : start + 2])
    np.testing.assert_array_equal(slices(x, anp.asarray(i[0])), x[start : start + 2])
    moved = run(lambda x, s: lax.dynamic_update_slice(x, np.float32([-1, -1]), (s,)))(x, anp.asarray(i[0]))
    assert int(moved.argmin()) == start
    np.testing.assert_array_equal(
        run(lambda x, i: anp.take(x, i, mode="clip"))(x, i), np.minimum(i.astype(np.int64), 299)
    )
    np.testing.assert_array_equal(run(lambda x, i: anp.take(x, i, mode="wrap"))(x, i), i.astype(np.int64) % 300)
    np.testing.assert_array_equal(
        run(lambda x, i: anp.take_along_axis(x, i, 0))(x, i),
        np.where(inside, np.minimum(i.astype(np.int64), 299), np.nan),
    )
    np.testing.assert_array_equal(run(lambda i: nn.one_hot(i, 300))(i).sum(-1), inside)
    np.testing.assert_array_equal(run(anp.searchsorted)(np.array([1, 5, top], dtype), i), [2, 1, 2])


def test_forward_mode_under_vmap_differentiates_the_rule_of_custom_vmap():
    @custom_vmap
    def cubic(x, y):
        return x * x * y

    @cubic.def_vmap
    def rule(axis_size, in_batched, x, y):
        return 100 * x * x * y, True

    slope = lambda x, t: aj.jvp(lambda x: cubic(x, 2.0), (x,), (t,))  # noqa: E731
    x = np.array([1.0, 2.0], np.float32)
    for run in (lambda f: f, aj.jit):
        value, tangent = run(aj.vmap(slope))(x, np.ones(2, np.float32))
        np.testing.assert_array_equal(value, 200 * x * x)
        np.testing.assert_array_equal(tangent, 400 * x)
        value, tangent = run(aj.vmap(slope, (None, 0)))(np.float32(3), x)  # only the tangent is mapped
        np.testing.assert_array_equal(np.broadcast_to(value, (2,)), [1800, 1800])
        np.testing.assert_array_equal(tangent, 1200 * x)
        assert float(run(aj.grad(cubic))(3.0, 2.0)) == 12
        assert [float(v) for v in slope(3.0, 1.0)] == [18, 12]
    assert float(aj.hessian(cubic)(3.0, 2.0)) == 4
    np.testing.assert_array_equal(aj.vmap(aj.grad(cubic), (0, None))(x, 2.0), 4 * x)


def bessel_at_0(order, count):
    """Derivatives at 0 of I_order by its power series (DLMF 10.25.2)."""
    out = []
    for n in range(count):
        k, odd = divmod(n - order, 2)
        here = 0.0 if odd or k < 0 else math.factorial(n) / (2**n * math.factorial(k) * math.factorial(k + order))
        out.append(here)
    return out


@pytest.mark.parametrize("order", [0, pytest.param(1, marks=pytest.mark.long)])
def test_all_derivatives_of_modified_bessel_functions_at_0(order):
    """They are smooth; scaled, they count exp(-|x|) as flat at its kink."""
    plain, scaled = (getattr(special, f"i{order}{suffix}") for suffix in ("", "e"))
    for function in (plain, scaled):
        assert float(function(0.0)) == bessel_at_0(order, 1)[0]
        np.testing.assert_allclose(derivatives(function, 0.0, 5), bessel_at_0(order, 6)[1:], atol=1e-6)
    np.testing.assert_allclose(derivatives(anp.i0, 0.0, 4), bessel_at_0(0, 5)[1:], atol=1e-6)


def test_derivatives_of_modified_bessel_functions_elsewhere():
    """I_0''(x) = I_0(x) - I_1(x) / x (DLMF 10.25.1); of 16-bit floats too."""
    with aj.enable_x64(True):
        for x in (1e-3, 0.7, -2.0, 19.0, 21.0):
            i0, i1 = float(special.i0(x)), float(special.i1(x))
            first, second = derivatives(special.i0, x, 2)
            np.testing.assert_allclose([first, second], [i1, i0 - i1 / x], rtol=1e-13)
            np.testing.assert_allclose(derivatives(special.i1, x, 1)[0], i0 - i1 / x, rtol=1e-12)
            lean = derivatives(special.i0e, x, 1)[0]
            np.testing.assert_allclose(lean, (i1 - np.sign(x) * i0) * math.exp(-abs(x)), rtol=1e-10)
    half = aj.grad(special.i1)(np.float16(0))
    assert half.dtype == np.float16 and float(half) == 0.5


def test_all_derivatives_of_spence_at_1():
    """Of Li_2(1 - x) = sum of (1 - x)^k / k^2."""
    with aj.enable_x64(True):
        expected = [(-1) ** n * math.factorial(n) / n**2 for n in range(1, 6)]
        np.testing.assert_allclose(derivatives(special.spence, 1.0, 5), expected, rtol=1e-12)
        below, above = (derivatives(special.spence, x, 3) for x in (1.25 - 1e-9, 1.25 + 1e-9))
        np.testing.assert_allclose(below, above, rtol=1e-7)  # on either side of where the series ends


def test_incomplete_gamma_functions_have_slopes_at_0():
    assert derivatives(lambda x: special.gammainc(0.5, x), 0.0, 1) == [INF]
    assert derivatives(lambda a: special.gammainc(a, 0.0), 2.0, 1) == [0]


@pytest.mark.long  # its programs take 40 s to trace
def test_incomplete_gamma_and_beta_functions_have_derivatives_at_their_ends():
    gamma = aj.jit(lambda x: special.gammainc(2.0, x))
    np.testing.assert_allclose(derivatives(gamma, 0.0, 3), [0, 1, -2], rtol=1e-5)
    np.testing.assert_allclose(derivatives(aj.jit(lambda x: special.gammaincc(1.0, x)), 0.0, 3), [-1, 1, -1], rtol=1e-5)
    beta = aj.jit(lambda x: special.betainc(2.0, 3.0, x))
    np.testing.assert_allclose(derivatives(beta, 0.0, 3), [0, 12, -48], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(derivatives(beta, 1.0, 3), [0, 0, 24], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_powers_at_0_have_derivatives_of_every_order(compiled):
    """From the third on jax's of x ** 2.0 are NaN: 0 times the infinite power of -1."""
    run = aj.jit if compiled else lambda f: f
    for power in (0.0, 1.0, 2.0, 3.0):
        expected = [math.factorial(n) if n == power else 0 for n in range(1, 5)]
        assert derivatives(run(lambda x, p=power: x**p), 0.0, 4) == expected
        assert derivatives(run(lambda x, p=power: anp.power(x, anp.asarray(p))), 0.0, 4) == expected
    assert derivatives(run(lambda x: x**0.5), 0.0, 2) == [INF, -INF]
    mixed = aj.grad(aj.grad(anp.power), 1)  # d/dy of y x^(y - 1), at y = 0 too
    np.testing.assert_allclose(run(mixed)(2.0, 0.0), 0.5, rtol=1e-6)
    slope = run(aj.grad(anp.power, holomorphic=True))(np.complex64(0), np.complex64(1))
    assert complex(slope) == 1
