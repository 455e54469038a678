"""Initial values are jax.nn.initializers', for the same key."""

import jax.nn.initializers as reference
import numpy as np
import pytest
from jax import random as jax_random

from anejax import jit, random
from anejax.errors import ShapeError
from anejax.nn import initializers
from tests.answers import of_jax
from tests.random.reference import distance

FAMILY = [f"{who}_{kind}" for who in ("glorot", "he", "lecun") for kind in ("uniform", "normal")]
CASES = [
    ("float32", (40, 30), {}),
    ("float32", (16, 8, 3, 3), {"in_axis": 1, "out_axis": 0}),
    ("bfloat16", (4, 20, 10), {"batch_axis": 0}),
]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(("dtype", "shape", "axes"), CASES)
def test_scaled_by_fans(name, dtype, shape, axes):
    got = getattr(initializers, name)(**axes)(random.PRNGKey(3), shape, dtype)
    (expected,) = of_jax(lambda *a: getattr(reference, name)(**axes)(jax_random.PRNGKey(3), *a), shape, dtype)
    assert got.dtype == expected.dtype
    assert distance(got, expected) <= 4


def test_other_names_of_the_family():
    assert initializers.xavier_normal is initializers.glorot_normal
    assert initializers.kaiming_uniform is initializers.he_uniform


def test_the_others():
    key, other = random.PRNGKey(3), jax_random.PRNGKey(3)
    for name, arguments in {
        "uniform": (0.3,),
        "normal": (2.0,),
        "truncated_normal": (0.5,),
        "constant": (1.5,),
    }.items():
        got = getattr(initializers, name)(*arguments)(key, (50, 7))
        assert distance(got, getattr(reference, name)(*arguments)(other, (50, 7))) <= 4
    assert np.array_equal(initializers.zeros(key, (2, 3)), np.zeros((2, 3), np.float32))
    assert np.array_equal(initializers.ones(key, (2,), np.float16), np.ones(2, np.float16))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
def test_variance_scaling(mode, distribution):
    got = initializers.variance_scaling(1.7, mode, distribution)(random.PRNGKey(0), (30, 50))
    scaled = lambda shape: reference.variance_scaling(1.7, mode, distribution)(jax_random.PRNGKey(0), shape)  # noqa: E731
    (expected,) = of_jax(scaled, (30, 50))
    assert distance(got, expected) <= 4


@pytest.mark.parametrize("name", ["orthogonal", "normal", "uniform", "truncated_normal", "constant"])
def test_a_scale_may_be_traced(name):
    at = jit(lambda scale: getattr(initializers, name)(scale)(random.key(0), (4, 3)))
    assert distance(at(1.5), getattr(reference, name)(1.5)(jax_random.key(0), (4, 3))) <= 8


def test_a_scale_by_fans_may_be_traced():
    at = jit(lambda scale: initializers.variance_scaling(scale, "fan_in", "normal")(random.key(0), (4, 3)))
    expected = reference.variance_scaling(1.5, "fan_in", "normal")(jax_random.key(0), (4, 3))
    assert distance(at(1.5), expected) <= 4


def test_misuse_is_explained():
    with pytest.raises(ValueError, match="expected a mode"):
        initializers.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ValueError, match="got distribution"):
        initializers.variance_scaling(1.0, "fan_in", "other")
    with pytest.raises(ShapeError, match="at least two axes"):
        initializers.he_normal()(random.key(0), (3,))
