"""First and second derivatives at ties, kinks and zeros, against jax on the CPU in float32.

Where a derivative is not determined jax's convention counts: an extremum shares among equals, |x| and relu have 0 or
the share that jax gives them, a norm of zeros has NaN, as has the chain of a root at 0. jax takes a minute for all of
them, so what it gives is in a file, which ``ANEJAX_GOLDEN=write`` writes anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

import anejax as aj

POINTS = {
    "all equal": [1.0, 1.0, 1.0, 1.0],
    "in pairs": [1.0, 2.0, 2.0, 1.0],
    "of squares": [1.0, -1.0, 1.0, 3.0],
}
RECORDED = Path(__file__).parent / "ties.json"
LIMITS = ("xlogy", "xlog1py")  # u log u at 0, where jax has NaN: the slope from above is -inf
PAIRS = np.array([0, 0, 1, 1])


def functions(m):
    """Scalar functions of a vector of four; most at 1, where they have ties, kinks or zeros."""
    n, lax, special, nn = m.numpy, m.lax, m.scipy.special, m.nn
    w = np.arange(4.0, dtype=np.float32)
    extremes = {
        "max": lambda v: n.max(v * v),
        "min": lambda v: n.min(v * v),
        "ptp": lambda v: n.ptp(v * v),
        "nanmax": lambda v: n.nanmax(v * v),
        "max of rows": lambda v: n.max(n.outer(v, v), 0).sum(),
        "maximum": lambda v: n.maximum(v * v, n.flip(v)).sum(),
        "minimum": lambda v: n.minimum(v * v, v).sum(),
        "fmax": lambda v: n.fmax(v * v, v).sum(),
        "fmin": lambda v: n.fmin(v * v, v).sum(),
        "clip": lambda v: n.clip(v * v, 1.0, 1.0).sum(),
        "clip below": lambda v: n.clip(v * v, 1.0, 4.0).sum(),
        "clip above": lambda v: n.clip(v * v, 0.0, 1.0).sum(),
        "clamp": lambda v: lax.clamp(1.0, v * v, 1.0).sum(),
        "window": lambda v: lax.reduce_window(v * v, -np.inf, lax.max, (2,), (1,), "VALID").sum(),
        "segment_max": lambda v: m.ops.segment_max(v * v, PAIRS, 2).sum(),
        "at max": lambda v: (n.zeros(2).at[PAIRS].max(v) ** 2).sum(),
    }
    ordered = {
        "sort": lambda v: (n.sort(v * v) * w).sum(),
        "median": lambda v: n.median(v * v),
        "median of three": lambda v: n.median((v * v)[:3]),
        "nanmedian": lambda v: n.nanmedian(v * v),
        "quantile": lambda v: n.quantile(v * v, 0.3),
        "percentile": lambda v: n.percentile(v * v, 60.0),
        "top_k": lambda v: (lax.top_k(v * v, 2)[0] * w[:2]).sum(),
        "sort of two": lambda v: (lax.sort((v, v * v), num_keys=1)[1] * w).sum(),
        "cummax": lambda v: (lax.cummax(v * v) * w).sum(),
        "cummin": lambda v: (lax.cummin(v * v) * w).sum(),
        "cummax back": lambda v: (lax.cummax(v * v, reverse=True) * w).sum(),
        "cummax of seven": lambda v: (lax.cummax(n.concatenate([v, v[:3]]) * 2) * np.arange(7.0, dtype="f")).sum(),
    }
    kinks = {
        "abs": lambda v: (n.abs(v - 1) * v).sum(),
        "fabs": lambda v: n.fabs(v - 1).sum(),
        "sign": lambda v: (n.sign(v - 1) * v).sum(),
        "relu": lambda v: (nn.relu(v - 1) * v).sum(),
        "relu6": lambda v: (nn.relu6(v - 1) * v).sum(),
        "leaky": lambda v: (nn.leaky_relu(v - 1) * v).sum(),
        "elu": lambda v: (nn.elu(v - 1) * v).sum(),
        "selu": lambda v: (nn.selu(v - 1) * v).sum(),
        "hard_tanh": lambda v: (nn.hard_tanh(v) * v).sum(),
        "hypot": lambda v: n.hypot(v - 1, v - 1).sum(),
        "arctan2": lambda v: n.arctan2(v - 1, v - 1).sum(),
        "mod": lambda v: (n.mod(v, 1.0) * v).sum(),
        "interp": lambda v: n.interp(v, n.array([0.0, 1.0, 2.0]), n.array([0.0, 2.0, 3.0])).sum(),
        "norm": lambda v: n.linalg.norm(v - 1),
        "norm 1": lambda v: n.linalg.norm(v - 1, 1),
        "norm inf": lambda v: n.linalg.norm(v, np.inf),
        "std": lambda v: n.std(v),
        "cbrt": lambda v: n.cbrt(v - 1).sum(),
        "norm of columns": lambda v: n.linalg.norm((v - 1).reshape(2, 2), axis=0).sum(),
    }
    logarithms = {
        "logsumexp": special.logsumexp,
        "softmax": lambda v: (nn.softmax(v) * w).sum(),
        "cumlogsumexp": lambda v: (lax.cumlogsumexp(v) * w).sum(),
        "logsumexp b": lambda v: special.logsumexp(v, b=np.array([1, 0, 1, 2], np.float32)),
        "logaddexp": lambda v: n.logaddexp(v, v[::-1]).sum(),
        "xlogy": lambda v: special.xlogy(v - 1, v - 1).sum(),
        "xlogy in x": lambda v: special.xlogy(v - 1, v).sum(),
        "xlogy in y": lambda v: special.xlogy(v, v - 1).sum(),
        "xlogy of 0": lambda v: special.xlogy(0 * v, v - 1).sum(),
        "xlog1py": lambda v: special.xlog1py(v - 1, v - 2).sum(),
        "xlog1py in y": lambda v: special.xlog1py(v, v - 2).sum(),
        "kl_div": lambda v: special.kl_div(v - 1, v).sum(),
        "rel_entr": lambda v: special.rel_entr(v - 1, v).sum(),
        "entr": lambda v: special.entr(n.abs(v) - 1).sum(),
    }
    products = {
        "prod": lambda v: n.prod(v - 1),
        "cumprod": lambda v: (n.cumprod(v - 1) * w).sum(),
        "power": lambda v: ((v - 1) ** 2.0).sum(),
    }
    return {**extremes, **ordered, **kinks, **logarithms, **products}


def derivatives(m, name):
    function = functions(m)[name]
    return lambda v: (m.grad(function)(v), m.hessian(function)(v))


def by_jax(name):
    """For each point the gradient and the Hessian, as lists of lists."""
    run = jax.jit(derivatives(jax, name))
    return {where: [np.asarray(d).tolist() for d in run(np.array(point, "f"))] for where, point in POINTS.items()}


@pytest.fixture(scope="module")
def recorded():
    if os.environ.get("ANEJAX_GOLDEN") == "write":
        lines = [f'"{name}": {json.dumps(by_jax(name))}' for name in functions(jax)]
        RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("name", functions(jax))
def test_as_jax_at_ties(name, recorded):
    assert set(recorded) == set(functions(jax)), "ANEJAX_GOLDEN=write pytest tests/numpy/test_ties.py"
    eager, compiled = derivatives(aj, name), aj.jit(derivatives(aj, name))
    for where, point in POINTS.items():
        x = np.array(point, np.float32)
        for found in (eager(x), compiled(x)):
            for a, b in zip(found, recorded[name][where], strict=True):
                known = ~np.isnan(b) if name in LIMITS else np.ones_like(b, bool)
                a, b = np.asarray(a)[known], np.asarray(b)[known]
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=f"{name}, {where}")


@pytest.mark.parametrize("name", LIMITS)
def test_slopes_at_zero_are_the_limits_from_above(name):
    at_zero = np.ones(4, np.float32)
    assert np.asarray(aj.grad(functions(aj)[name])(at_zero)).tolist() == [-np.inf] * 4


def check_recorded(name, recorded):
    for where, values in by_jax(name).items():
        for a, b in zip(values, recorded[name][where], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=f"{name}, {where}")


def test_what_is_recorded_of_some_is_what_jax_gives(recorded):
    for name in ("median", "cummax back", "norm"):
        check_recorded(name, recorded)


@pytest.mark.long
@pytest.mark.parametrize("name", functions(jax))
def test_what_is_recorded_is_what_jax_gives(name, recorded):
    check_recorded(name, recorded)
