"""scipy.special and scipy.stats.norm: values against SciPy in float64, dtypes and derivatives against jax."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false, reportAttributeAccessIssue=false
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

import jax
import jax.scipy.special
import jax.scipy.stats
import numpy as np
import pytest
import scipy.special
import scipy.stats

import anejax as aj
from tests.answers import of_jax

EPS = np.finfo(np.float64).eps
WIDE = np.array([-30.0, -11.0, -5.1, -4.9, -2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5, 5.1, 9.0, 30.0])
PLUS = np.array([0.1, 0.5, 1.0, 1.5, 2.0, 3.3, 7.0, 20.5])
UNIT = np.array([1e-300, 1e-20, 1e-5, 0.02, 0.09, 0.11, 0.3, 0.5, 0.7, 0.95, 0.999])
NONE = np.zeros((0, 3))
N = np.arange(5.0)

# name: (arguments, greatest error in eps, arguments to differentiate)
CALLS = {
    "erf": ([WIDE], 16, (0,)), "erfc": ([WIDE[:-1]], 16, (0,)), "erfinv": ([UNIT[2:]], 16, (0,)),
    "expit": ([WIDE], 16, (0,)), "logit": ([UNIT], 16, (0,)), "gammaln": ([PLUS], 64, (0,)), "digamma": ([PLUS], 64, (0,)),
    "gamma": ([np.concatenate([PLUS, -PLUS[[0, 1, 3, 5]]])], 256, (0,)), "gammasgn": ([np.array([2.5, -0.5, -1.5, 0.0, -0.0, -3.0, np.nan])], 0, ()),
    "factorial": ([N], 64, ()), "betaln": ([PLUS, PLUS[::-1]], 64, (0, 1)), "beta": ([PLUS, PLUS[::-1]], 256, (0, 1)),
    "poch": ([PLUS, PLUS[::-1]], 512, ()), "zeta": ([PLUS + 1, PLUS[::-1]], 64, ()), "polygamma": ([np.array([0, 1, 2, 3, 1, 2, 0, 4.0]), PLUS], 64, ()),
    "xlogy": ([PLUS - 0.5, PLUS], 16, (0, 1)), "xlog1py": ([PLUS - 0.5, PLUS], 16, (0, 1)), "entr": ([np.append(PLUS, [0, -1])], 16, ()),
    "rel_entr": ([np.append(PLUS, [0, -1, 1]), np.append(PLUS[::-1], [0, 1, 0])], 16, ()), "kl_div": ([PLUS, PLUS[::-1]], 64, (0, 1)),
    "ndtr": ([WIDE], 16, (0,)), "log_ndtr": ([WIDE], 32, (0,)), "ndtri": ([UNIT], 32, (0,)), "logsumexp": ([WIDE], 16, (0,)),
    "i0": ([WIDE], 16, (0,)), "i0e": ([WIDE], 16, (0,)), "i1": ([WIDE], 16, (0,)), "i1e": ([WIDE], 16, (0,)),
    "erfcx": ([WIDE[2:]], 32, (0,)), "dawsn": ([WIDE], 64, (0,)), "loggamma": ([PLUS], 64, (0,)),
    "exp1": ([PLUS], 64, (0,)), "expi": ([np.concatenate([PLUS, -PLUS, [38.0]])], 64, (0,)), "spence": ([PLUS], 32, ()),
    "expn": ([np.array([0, 1, 2, 3, 1, 2, 7, 30.0]), PLUS], 64, ()), "owens_t": ([WIDE / 3, WIDE[::-1]], 16, (0, 1)),
    "boxcox": ([PLUS, PLUS[::-1] - 3.2], 16, (0, 1)), "boxcox1p": ([PLUS, PLUS[::-1] - 3.2], 16, (0, 1)),
    "comb": ([PLUS + 3.5, PLUS[::-1] / 5], 64, (0, 1)),
    "gammainc": ([PLUS, PLUS[::-1]], 128, (0, 1)), "gammaincc": ([PLUS, PLUS[::-1]], 128, (0, 1)),
    "betainc": ([PLUS, PLUS[::-1], np.linspace(0.05, 0.95, 8)], 128, (2,)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values(name):
    args, limit, _ = CALLS[name]
    want = getattr(scipy.special, {"digamma": "psi"}.get(name, name))(
        *(args if name != "polygamma" else [args[0].astype(int), args[1]])
    )
    function = getattr(aj.scipy.special, name)
    with aj.enable_x64():
        for got in (function(*map(aj.numpy.asarray, args)), aj.jit(function)(*args)):
            np.testing.assert_allclose(got, want, rtol=limit * EPS, atol=limit * EPS)


@pytest.mark.parametrize("name", CALLS)
def test_float32_values(name):
    args, limit, _ = CALLS[name]
    narrow = [a.astype(np.float32) for a in args]
    args = [a.astype(np.float64) for a in narrow]
    if name == "polygamma":
        args[0] = args[0].astype(int)
    want = np.asarray(getattr(scipy.special, {"digamma": "psi"}.get(name, name))(*args))
    got = getattr(aj.scipy.special, name)(*narrow)
    limit *= float(np.finfo(np.float32).eps)
    seen = ~(np.abs(want) < np.finfo(np.float32).tiny)
    np.testing.assert_allclose(got[seen], want[seen], rtol=limit, atol=limit)


@pytest.mark.parametrize("name", CALLS)
def test_types_are_jax(name):
    args = [a.astype(np.float32) for a in CALLS[name][0]]
    if name == "polygamma":
        args[0] = args[0].astype(np.int32)
    got, (want,) = getattr(aj.scipy.special, name)(*args), of_jax(getattr(jax.scipy.special, name), *args)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    if name != "logsumexp":
        empty = getattr(aj.scipy.special, name)(*[NONE.astype(np.float32)] * len(args))
        assert empty.shape == NONE.shape


@pytest.mark.parametrize("name", [n for n, c in CALLS.items() if c[2]])
def test_derivatives_are_jax(name):
    args, _, places = CALLS[name]
    args = [a[(np.abs(args[0]) > 1e-6) & (np.abs(args[0]) < 9.5)] for a in args]
    loss = lambda m: lambda *a: (getattr(m.scipy.special, name)(*a) * m.numpy.cos(a[0])).sum()  # noqa: E731
    with jax.enable_x64(True):
        want = of_jax(lambda *a: jax.jit(jax.grad(loss(jax), places))(*map(jax.numpy.asarray, a)), *args)
    with aj.enable_x64():
        got = aj.grad(loss(aj), places)(*map(aj.numpy.asarray, args))
    for g, w in zip(got, want):
        # jax differentiates a series for betaln, which costs it digits: psi(a) - psi(a + b) sides with us
        np.testing.assert_allclose(g, w, rtol=2e-7 if "beta" in name else 2e-10, atol=1e-11)


def test_softmax_and_multigammaln():
    x = WIDE.reshape(2, 7)
    with aj.enable_x64():
        for axis in (None, 0, -1):
            np.testing.assert_allclose(
                aj.scipy.special.softmax(x, axis=axis), scipy.special.softmax(x, axis), rtol=1e-14
            )
            np.testing.assert_allclose(
                aj.scipy.special.log_softmax(x, axis=axis), scipy.special.log_softmax(x, axis), rtol=1e-14
            )
        np.testing.assert_allclose(
            aj.scipy.special.multigammaln(PLUS + 2, 4), scipy.special.multigammaln(PLUS + 2, 4), rtol=1e-13
        )


@pytest.mark.parametrize("name", ["pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf"])
def test_the_normal_distribution(name):
    x = UNIT if name in ("ppf", "isf") else WIDE
    with aj.enable_x64():
        got = getattr(aj.scipy.stats.norm, name)(x, 0.5, 2.0)
    np.testing.assert_allclose(got, getattr(scipy.stats.norm, name)(x, 0.5, 2.0), rtol=1e-12, atol=1e-300)
