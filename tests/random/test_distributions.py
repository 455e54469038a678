"""Distributions by float functions: within 4 ulp of jax.random, or of the exact value where jax itself is further off.

The unit is eps of the dtype times |value|; for distributions whose value is a difference (gumbel, logistic), times
max(|value|, 1), since an ulp of what is subtracted is all that can be asked.
"""

import functools
import math

import jax
import numpy as np
import pytest
from scipy import special

import anejax as aj
import anejax.numpy as jnp
from anejax import random
from anejax.errors import DtypeError, ShapeError, TypePromotionError
from tests.answers import of_jax
from tests.random.reference import distance, jax_random, x64

COUNT = 1000  # 4 KB each on record
PARAMETERS = {
    "normal": (),
    "truncated_normal": (-2.0, 2.0),
    "exponential": (),
    "laplace": (),
    "cauchy": (),
    "gumbel": (),
    "logistic": (),
    "pareto": (2.5,),
    "rayleigh": (1.5,),
    "lognormal": (0.7,),
    "maxwell": (),
    "triangular": (-1.0, 0.25, 3.0),
}
DIFFERENCES = ("gumbel", "logistic")
# jax's own functions of float16 are that far off, the last where the CPU makes it round after each operation
FAR_IN_JAX = {("float16", "gumbel"): 8, ("float16", "logistic"): 16, ("float16", "truncated_normal"): 64}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_is_within_4_ulp_of_jax(name, dtype):
    parameters = [np.asarray(p, dtype) for p in PARAMETERS[name]]
    for seed in (0, 5):
        got = getattr(random, name)(random.PRNGKey(seed), *parameters, shape=(COUNT,), dtype=dtype)
        expected = getattr(jax_random, name)(jax_random.PRNGKey(seed), *parameters, shape=(COUNT,), dtype=dtype)
        assert got.dtype == expected.dtype
        assert np.isfinite(np.asarray(got, np.float64)).all()
        finite = np.isfinite(np.asarray(expected, np.float64))  # jax's rayleigh is infinite where a uniform number is 0
        limit = FAR_IN_JAX.get((dtype, name), 4)
        assert (
            distance(np.asarray(got)[finite], np.asarray(expected)[finite], 1.0 if name in DIFFERENCES else 0.0)
            <= limit
        )


EXACT = {
    "normal": lambda u: math.sqrt(2) * special.erfinv((2 * u.astype(np.longdouble) - (1 - 2**-53)).astype(float)),
    "exponential": lambda u: -np.log1p(-u.astype(np.longdouble)),
    "gumbel": lambda u: -np.log(-np.log(np.maximum(u, np.finfo(np.float64).tiny).astype(np.longdouble))),
    "logistic": lambda u: np.log(u.astype(np.longdouble)) - np.log1p(-u.astype(np.longdouble)),
}


@pytest.mark.parametrize("name", EXACT)
def test_float64_is_within_4_ulp_of_the_exact_value(name):
    with x64(True):
        u = np.asarray(jax_random.uniform(jax_random.PRNGKey(3), (COUNT,)))
        got = getattr(random, name)(random.PRNGKey(3), (COUNT,))
        assert got.dtype == np.float64
        assert distance(got, EXACT[name](u).astype(np.float64), 1.0 if name in DIFFERENCES else 0.0) <= 4


def test_wald_and_geometric_and_weibull():
    key, reference = random.PRNGKey(2), jax_random.PRNGKey(2)
    got, expected = random.wald(key, np.float32(1.5), (1000,)), jax_random.wald(reference, np.float32(1.5), (1000,))
    np.testing.assert_allclose(got, expected, rtol=1e-4)  # its formula cancels: no ulp can be promised
    got, expected = random.geometric(key, 0.2, (1000,)), jax_random.geometric(reference, 0.2, (1000,))
    assert np.mean(np.asarray(got) == np.asarray(expected)) > 0.998
    got, expected = random.weibull_min(key, 1.5, 2.5, (1000,)), jax_random.weibull_min(reference, 1.5, 2.5, (1000,))
    assert distance(got, expected) <= 8
    got = random.double_sided_maxwell(key, 0.5, 2.0, (1000,))
    np.testing.assert_allclose(got, jax_random.double_sided_maxwell(reference, 0.5, 2.0, (1000,)), rtol=1e-5, atol=1e-6)


def test_the_default_dtype_and_shape_are_those_of_jax():
    for wide in (False, True):
        with x64(wide):
            for name in ("normal", "exponential", "gumbel"):
                got, expected = getattr(random, name)(random.key(0)), getattr(jax_random, name)(jax_random.key(0))
                assert (got.shape, got.dtype) == (expected.shape, expected.dtype)


def test_jit_is_within_4_ulp_of_eager():
    key = random.PRNGKey(1)
    for name, parameters in PARAMETERS.items():
        sample = functools.partial(getattr(random, name), shape=(500,))
        assert (
            distance(aj.jit(sample)(key, *parameters), sample(key, *parameters), 1.0 if name in DIFFERENCES else 0.0)
            <= 4
        )


def test_gradients_with_respect_to_parameters_are_those_of_jax():
    def total(library, numpy):
        key = library.PRNGKey(1)
        bounded = lambda a, b: numpy.sum(library.truncated_normal(key, a, b, (50,)) ** 2)  # noqa: E731
        spread = lambda a, b: numpy.sum(library.uniform(key, (50,), minval=a, maxval=b) ** 2)  # noqa: E731
        return lambda a, b: bounded(a, b) + spread(a, b)

    at = (np.float32(-1.2), np.float32(0.7))
    got = aj.grad(total(random, jnp), (0, 1))(*at)
    expected = of_jax(lambda a, b: jax.grad(total(jax.random, jax.numpy), (0, 1))(a, b), *at)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_truncated_normal_stays_strictly_inside():
    draws = np.asarray(random.truncated_normal(random.key(0), -0.5, 0.25, (20000,)))
    assert draws.min() > -0.5 and draws.max() < 0.25


def test_normal_has_the_moments_of_a_normal():
    draws = np.asarray(random.normal(random.key(4), (100000,)), np.float64)
    assert abs(draws.mean()) < 0.01 and abs(draws.var() - 1) < 0.02 and abs((draws**4).mean() - 3) < 0.15


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda k: random.normal(k, (2,), "int8"), DtypeError, r"\[normal\] expected a float dtype, got int8"),
        (lambda k: random.pareto(k, np.ones(3), (2,)), ShapeError, r"\[pareto\].*broadcast"),
        (lambda k: random.triangular(k, np.ones(3), np.ones(2), 1.0), ShapeError, "each other"),
        (lambda k: random.geometric(k, 0.5, (2,), "float32"), DtypeError, "integer dtype"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call(random.key(0))


OF_GAMMAS = {"gamma": (2.0,), "loggamma": (2.0,), "beta": (1.0, 2.0), "chisquare": (3.0,), "f": (3.0, 4.0), "t": (3.0,)}
WITH_PARAMETERS = {n: p for n, p in (PARAMETERS | OF_GAMMAS | {"wald": (1.0,)}).items() if p}


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_parameters_wider_than_the_dtype_are_refused_where_jax_does(name):
    def found(module, lib, kind, type_of):
        parameters = [kind(lib, p) for p in WITH_PARAMETERS[name]]
        try:
            return str(type_of(lambda: getattr(module, name)(module.key(0), *parameters, (), "float16")).dtype)
        except ValueError:
            return "refused"

    theirs = lambda kind: found(jax.random, jax.numpy, kind, jax.eval_shape)  # noqa: E731
    kinds = (lambda lib, p: lib.float32(p), lambda lib, p: lib.int32(p), lambda lib, p: lib.float16(p), lambda _, p: p)
    for kind in kinds:
        assert found(random, jnp, kind, lambda f: f()) == theirs(kind)
    if theirs(kinds[0]) == "refused":
        with pytest.raises(
            TypePromotionError, match=rf"\[{name}\] expected parameters that fit into float16, got float32"
        ):
            parameters = [jnp.float32(p) for p in WITH_PARAMETERS[name]]
            getattr(random, name)(random.key(0), *parameters, (), "float16")
