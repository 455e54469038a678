# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
"""Complex functions at zeros, infinities, NaN, and tiny and huge numbers, eager and compiled.

The values are those of C99's Annex G, which the Array API standard repeats for each function and NumPy takes from the C
library. A sign that Annex G leaves open is not compared.
"""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp

C = complex
INF, NAN = np.inf, np.nan
NONE, UNBOUNDED = complex(NAN, NAN), complex(INF, NAN)
PARTS = [0.0, 0.5, 1.0, 2.0, 100.0, 1e-40, 1e-30, 3e-5, 1e20, 3e38, INF]
NAMES = "exp log log2 log10 sqrt sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh sign"


def made(re, im, dtype=np.complex64):
    out = np.empty(np.broadcast(re, im).shape, dtype)
    out.real, out.imag = re, im
    return out


def grid(dtype=np.complex64):
    parts = np.array([*PARTS, *(-p for p in PARTS), NAN])
    return made(*(v.ravel() for v in np.meshgrid(parts, parts)), dtype)


def assert_parts(z, ours, expected):
    """Parts within a few digits of the number's size; signs where both parts of ``z`` are finite."""
    size = np.maximum(np.abs(expected.real), np.abs(expected.imag))
    size = np.where(np.isfinite(size), size, 0)
    finite = np.isfinite(z.real) & np.isfinite(z.imag)
    for a, b in ((ours.real, expected.real), (ours.imag, expected.imag)):
        both = np.isfinite(a) & np.isfinite(b)
        near = np.abs(np.where(both, a, 0) - np.where(both, b, 0)) <= 3e-6 * np.maximum(np.abs(b), size) + 1e-43
        same = np.where(both, near, (np.abs(a) == np.abs(b)) | (np.isnan(a) & np.isnan(b)))
        same &= ~finite | np.isnan(b) | (np.signbit(a) == np.signbit(b))
        assert same.all(), [(z[i], ours[i], expected[i]) for i in np.flatnonzero(~same)[:5]]


def assert_near(z, ours, expected, tolerance):
    """Parts within ``tolerance`` of the number's size; infinities and NaN are the same."""
    size = np.where(np.isfinite(expected), np.abs(expected), 0)
    for a, b in ((ours.real, expected.real), (ours.imag, expected.imag)):
        both = np.isfinite(a) & np.isfinite(b)
        near = np.abs(np.where(both, a, 0) - np.where(both, b, 0)) <= tolerance * size + 1e-43
        same = np.where(both, near, (a == b) | (np.isnan(a) & np.isnan(b)))
        assert same.all(), [(z[i], ours[i], expected[i]) for i in np.flatnonzero(~same)[:5]]


def modes(function, *args):
    return [np.asarray(function(*args)), np.asarray(aj.jit(function)(*args))]


@pytest.mark.parametrize("name", NAMES.split())
def test_functions_on_a_grid_of_corners(name):
    z = grid()
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(z.astype(np.complex128)).astype(np.complex64)
    if name == "sign":  # zeros keep their signs here
        expected = np.where(z == 0, z, expected)
    for ours in modes(getattr(anp, name), z):
        assert_parts(z, ours, expected)


def check_table(name, table):
    args = [np.array(column, np.complex64) for column in zip(*(case[:-1] for case in table), strict=True)]
    expected = np.array([case[-1] for case in table], np.complex64)
    for ours in modes(getattr(anp, name), *args):
        size = np.where(np.isfinite(expected), np.abs(expected), 0)
        for part in ("real", "imag"):
            a, b = (np.abs(getattr(v, part)) for v in (ours, expected))
            near = np.abs(np.where(np.isfinite(a), a, 0) - np.where(np.isfinite(b), b, 0)) <= 1e-6 * size
            same = np.where(np.isfinite(a) & np.isfinite(b), near, (a == b) | (np.isnan(a) & np.isnan(b)))
            assert same.all(), [(case, o) for case, o, s in zip(table, ours, same, strict=True) if not s]


def test_expm1():
    check_table("expm1", [
        (0j, 0j), (C(1, INF), NONE), (C(1, NAN), NONE), (C(INF, 0), C(INF, 0)),
        (C(-INF, 2), -1 + 0j), (C(INF, 2), C(-INF, INF)), (C(-INF, INF), -1 + 0j),
        (C(INF, INF), UNBOUNDED), (C(-INF, NAN), -1 + 0j), (UNBOUNDED, UNBOUNDED),
        (C(NAN, 0), C(NAN, 0)), (C(NAN, 1), NONE), (NONE, NONE),
        (1e-30 + 1e-30j, 1e-30 + 1e-30j), (C(100, 0), C(INF, 0)), (C(100, 1e-40), C(INF, 2688.1025)),
    ])  # fmt: skip


def test_log1p():
    check_table("log1p", [
        (-1 + 0j, C(-INF, 0)), (C(1, INF), C(INF, np.pi / 2)), (C(1, NAN), NONE),
        (C(-INF, 2), C(INF, np.pi)), (C(INF, 2), C(INF, 0)),
        (C(-INF, INF), C(INF, 3 * np.pi / 4)), (C(INF, INF), C(INF, np.pi / 4)),
        (C(-INF, NAN), UNBOUNDED), (UNBOUNDED, UNBOUNDED), (C(NAN, 1), NONE),
        (C(NAN, INF), UNBOUNDED), (NONE, NONE), (1e-30 + 1e-30j, 1e-30 + 1e-30j),
        (3e38 + 3e38j, C(88.94342, np.pi / 4)),
    ])  # fmt: skip


def test_square():
    check_table("square", [
        (3e38 + 3e38j, C(0, INF)), (C(3e38, 1e20), C(INF, INF)), (C(INF, 1e20), C(INF, INF)),
        (C(1e20, -INF), C(-INF, -INF)), (C(INF, INF), C(NAN, INF)), (1 + 1j, 2j), (C(NAN, 1), NONE),
    ])  # fmt: skip


def test_quotients():
    check_table("divide", [
        (1 + 1j, C(INF, INF), 0j), (1 + 1j, UNBOUNDED, 0j), (C(INF, INF), 1 + 0j, C(INF, INF)),
        (UNBOUNDED, 2 + 0j, UNBOUNDED), (C(INF, INF), 2 + 2j, UNBOUNDED), (1 + 0j, 0j, UNBOUNDED),
        (C(INF, INF), 0j, C(INF, INF)), (0j, 0j, NONE), (1 + 0j, 1e-40 + 0j, C(INF, 0)),
        (1e-40 + 0j, 1e-40 + 0j, 1 + 0j), (3e38 + 3e38j, 3e38 + 3e38j, 1 + 0j),
    ])  # fmt: skip


def test_reciprocals():
    check_table("reciprocal", [
        (C(INF, 1), 0j), (C(1, INF), 0j), (C(INF, INF), 0j), (UNBOUNDED, 0j), (0j, UNBOUNDED),
        (1 + 0j, 1 + 0j), (2 + 2j, 0.25 - 0.25j), (C(NAN, 1), NONE), (C(1e20, 1e20), 5e-21 - 5e-21j),
    ])  # fmt: skip
    for ours in modes(anp.reciprocal, made(1.0, np.zeros(1))):
        assert np.signbit(ours.imag)[0], "the conjugate of a real number has the zero -0"


def test_powers():
    check_table("power", [
        (0j, 0j, 1 + 0j), (0j, 1 + 0j, 0j), (2 + 0j, 0j, 1 + 0j), (1j, 2 + 0j, -1 + 0j), (C(NAN, 0), 0j, 1 + 0j),
        (4 + 0j, 0.5 + 0j, 2 + 0j), (C(INF, 1e20), 2 + 0j, C(INF, INF)), (C(1, INF), 0.5 + 0j, C(INF, INF)),
        (C(-INF, 2), -1 + 0j, 0j), (C(0, INF), 1 + 0j, C(0, INF)),
    ])  # fmt: skip


def test_powers_are_the_same_eager_and_compiled():
    exponents = np.array([0, 1, 2, 3, 0.5, -1, -2, -3, 1j, 1 + 1j, -0.7 + 2j], np.complex64)
    z, w = (v.ravel() for v in np.meshgrid(grid(), exponents))
    moderate = (np.abs(z) > 1e-12) & (np.abs(z) < 1e12)  # the phase of what overflows is lost in a logarithm
    within = moderate | np.isin(w, [0, 1, 2, 0.5, -1])
    eager, compiled = modes(anp.power, z[within], w[within])
    assert_near(z[within], eager, compiled, 3e-5)


@pytest.mark.parametrize("power", [-5, -3, -2, -1, 3, 4, 7])
@pytest.mark.parametrize("wide", [False, True])
def test_integer_powers_leave_no_part_to_overflow(power, wide):
    """Against Python's integers; 0 times an infinite factor is 0, since neither part of the true value is NaN."""
    dtype, bits = (np.complex128, 700) if wide else (np.complex64, 90)
    z = np.array([1j * 2.0**bits, 2.0**bits * (1 + 1j), 2.0**-bits * 1j, 2.0**-bits * (1 - 1j), -1 + 2j], dtype)
    with aj.enable_x64(wide), np.errstate(all="ignore"):
        turned = np.array([1j, 1 + 1j, 1j, 1 - 1j, -1 + 2j]) ** power
        scale = np.ldexp(1.0, bits * power * np.array([1, 1, -1, -1, 0]))
        part = lambda p: np.where(p == 0, 0, p * scale)  # noqa: E731
        expected = made(part(turned.real), part(turned.imag), np.complex128).astype(dtype)
        for ours in modes(lambda z: z**power, anp.asarray(z)):
            assert_near(z, ours, expected, 1e-6)


def test_a_reciprocal_of_the_greatest_numbers():
    for ours in modes(anp.reciprocal, np.array([3e38 + 3e38j], np.complex64)):
        np.testing.assert_allclose(ours, 1 / (6e38 + 0j) * (1 - 1j), rtol=1e-5)


@pytest.mark.parametrize("name", ["log", "sqrt", "arcsin", "arctanh", "exp"])
def test_double_precision_at_its_own_limits(name):
    with aj.enable_x64(True), np.errstate(all="ignore"):
        z = made(
            np.array([1.5e308, -1.5e308, 1e-320, 1e160, INF]), np.array([1.5e308, 1.0, 1e-320, -1e160, NAN]), complex
        )
        expected = getattr(np, name)(z)
        for ours in modes(getattr(anp, name), z):
            assert_parts(z, ours, expected)


@pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
def test_activations_and_entropies_of_complex_numbers(jit):
    z = np.complex64([1 + 2j, -2 + 1j, 0.5 + 3j, -3 - 2j, 0.3 - 7j, 2.5 + 1j, -1j, 0])
    w, special = z.astype(complex), aj.scipy.special
    soft = np.log1p(np.exp(w))
    for function, expected in (
        (aj.nn.softplus, soft),
        (aj.nn.log_sigmoid, -np.log1p(np.exp(-w))),
        (aj.nn.mish, w * np.tanh(soft)),
        (special.expit, 1 / (1 + np.exp(-w))),
        (lambda z: special.logit(z[:-1]), np.log(w[:-1] / (1 - w[:-1]))),
        (lambda z: special.xlogy(z, z + 1), w * np.log(w + 1)),
        (lambda z: special.xlog1py(z, z), w * np.log1p(w)),
        (lambda z: special.boxcox(z[:-1], 2.0), (w[:-1] ** 2 - 1) / 2),
        (lambda z: special.boxcox1p(z, 1 + 0j), w),
    ):
        np.testing.assert_allclose(jit(function)(z), expected, rtol=2e-5, atol=2e-6)
    slope = jit(aj.grad(lambda z: aj.nn.softplus(z).real.sum()))(z)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-w)), rtol=2e-5, atol=2e-6)
    with pytest.raises(TypeError, match=r"\[standardize\] expected real numbers"):
        aj.nn.standardize(z)
