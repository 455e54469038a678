"""Schedules against optax's at every step, for Python and traced counts: within 4 ulp of the largest value."""

import jax
import numpy as np
import optax
import pytest

import anejax as aj
from anejax import optim
from tests.answers import of_jax

SCHEDULES = {
    "constant": lambda o: o.constant_schedule(0.3),
    "polynomial": lambda o: o.polynomial_schedule(1.0, 0.1, 2, 20, 3),
    "polynomial without steps": lambda o: o.polynomial_schedule(1.0, 0.1, 2, 0),
    "linear": lambda o: o.linear_schedule(0.1, 1.0, 20),
    "piecewise": lambda o: o.piecewise_constant_schedule(1.0, {5: 0.5, 20: 0.1}),
    "exponential": lambda o: o.exponential_decay(1.0, 7, 0.5, 2),
    "exponential staircase": lambda o: o.exponential_decay(1.0, 7, 0.5, staircase=True, end_value=0.2),
    "exponential growth": lambda o: o.exponential_decay(1.0, 7, 1.5, end_value=3.0),
    "cosine": lambda o: o.cosine_decay_schedule(1.0, 25, 0.1, 1.5),
    "warmup constant": lambda o: o.warmup_constant_schedule(0.1, 1.0, 10),
    "warmup cosine": lambda o: o.warmup_cosine_decay_schedule(0.0, 1.0, 10, 30, 0.05),
    "warmup exponential": lambda o: o.warmup_exponential_decay_schedule(0.0, 1.0, 5, 10, 0.5, end_value=0.1),
    "join": lambda o: o.join_schedules([o.constant_schedule(0.1), o.linear_schedule(1.0, 0.0, 10)], [15]),
    "sgdr": lambda o: o.sgdr_schedule(
        [{"init_value": 0.0, "peak_value": p, "warmup_steps": 3, "decay_steps": 12} for p in (1.0, 0.5)]
    ),
    "linear onecycle": lambda o: o.linear_onecycle_schedule(30, 1.0),
    "cosine onecycle": lambda o: o.cosine_onecycle_schedule(30, 1.0, pct_start=0.2),
    "interpolated": lambda o: o.piecewise_interpolate_schedule("linear", 1.0, {10: 0.5, 20: 3.0}),
}
COUNTS = np.arange(35, dtype=np.int32)


@pytest.mark.parametrize("name", SCHEDULES)
def test_is_that_of_optax(name):
    ours = SCHEDULES[name](optim)
    values = lambda make, counts, version: [make(optax)(c) for c in counts]  # noqa: E731
    expected = np.asarray(of_jax(values, SCHEDULES[name], COUNTS, optax.__version__), np.float32)
    limit = 4 * np.finfo(np.float32).eps * np.max(np.abs(expected))
    np.testing.assert_allclose([np.asarray(ours(c)) for c in COUNTS], expected, rtol=0, atol=limit)
    np.testing.assert_allclose([float(ours(int(c))) for c in COUNTS], expected, rtol=0, atol=limit)
    mapped = np.broadcast_to(aj.jit(aj.vmap(lambda c: ours(c) * np.float32(1)))(COUNTS), COUNTS.shape)
    np.testing.assert_allclose(mapped, expected, rtol=0, atol=limit)


def test_values_may_be_traced():
    got = aj.jit(lambda peak, n: optim.linear_schedule(0.0, peak, 10)(n))(np.float32(2.0), np.int32(5))
    expected = jax.jit(lambda peak, n: optax.linear_schedule(0.0, peak, 10)(n))(np.float32(2.0), np.int32(5))
    assert float(got) == float(expected) == 1.0


def test_misuse_is_explained():
    with pytest.raises(ValueError, match="positive decay_steps"):
        optim.cosine_decay_schedule(1.0, 0)
    with pytest.raises(ValueError, match="scales of 0 or more"):
        optim.piecewise_constant_schedule(1.0, {5: -1.0})
    with pytest.raises(ValueError, match="positive transition_steps"):
        optim.cosine_onecycle_schedule(0, 1.0)
    with pytest.raises(ValueError, match="'linear' or 'cosine'"):
        optim.piecewise_interpolate_schedule("square", 1.0)
