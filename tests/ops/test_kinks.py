"""Where derivatives jump or do not exist, they are what jax has: at ties, zeros, bounds and infinities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import lax as ours
from tests.answers import of_jax
from tests.ops.checks import wide

INF = np.inf
Lax = Any
# name -> (function of (lax, *arrays), arrays)
KINKS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "abs at 0": (lambda lax, x: lax.abs(x), ([0.0, -0.0, 1.0],)),
    "sign at 0": (lambda lax, x: lax.sign(x), ([0.0, 2.0],)),
    "max at ties": (lambda lax, x, y: lax.max(x, y), ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])),
    "min at ties": (lambda lax, x, y: lax.min(x, y), ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])),
    "clamp at its bounds": (lambda lax, a, x, b: lax.clamp(a, x, b), ([0.0] * 4, [0.0, 1.0, 0.5, 2.0], [1.0] * 4)),
    "sqrt at 0": (lambda lax, x: lax.sqrt(x), ([0.0, 1.0],)),
    "pow at 0": (lambda lax, x, y: lax.pow(x, y), ([0.0, 0.0, 2.0, 0.0], [1.0, 2.0, 0.0, 0.5])),
    "pow of negatives": (lambda lax, x, y: lax.pow(x, y), ([-2.0, -1.0], [2.0, 3.0])),
    "integer_pow at 0": (lambda lax, x: lax.integer_pow(x, 2) + lax.integer_pow(x, 1), ([0.0, 3.0],)),
    "rem": (lambda lax, x, y: lax.rem(x, y), ([5.5, -5.5, 4.0, 4.0], [2.0, 2.0, -3.0, 2.0])),
    "div by infinity": (lambda lax, x, y: lax.div(x, y), ([1.0, 2.0], [INF, 4.0])),
    "reduce_max at ties": (lambda lax, x: lax.reduce_max(x, (0,)), ([[1.0, 2.0], [1.0, 3.0], [0.0, 3.0]],)),
    "reduce_min at ties": (lambda lax, x: lax.reduce_min(x, (0,)), ([[1.0, 2.0], [1.0, 3.0], [4.0, 2.0]],)),
    "reduce_prod with one zero": (lambda lax, x: lax.reduce_prod(x, (0,)), ([2.0, 0.0, 3.0],)),
    "reduce_prod with two zeros": (lambda lax, x: lax.reduce_prod(x, (0,)), ([2.0, 0.0, 0.0],)),
    "cumprod with a zero": (lambda lax, x: lax.cumprod(x, 0), ([2.0, 0.0, 3.0, 4.0],)),
    "cumlogsumexp": (lambda lax, x: lax.cumlogsumexp(x, 0), ([1.0, 1.0, -50.0, 60.0],)),
    "sort with ties": (lambda lax, x: lax.sort(x), ([2.0, 1.0, 2.0, 1.0],)),
    "atan2 on the axes": (lambda lax, x, y: lax.atan2(x, y), ([0.0, 1.0, -1.0], [1.0, 0.0, 0.0])),
    "logistic far out": (lambda lax, x: lax.logistic(x), ([-800.0, 800.0, 0.0],)),
    "tanh far out": (lambda lax, x: lax.tanh(x), ([-400.0, 400.0],)),
    "log1p near 0": (lambda lax, x: lax.log1p(x), ([1e-18, 0.0],)),
    "erf_inv near 1": (lambda lax, x: lax.erf_inv(x), ([0.999, -0.9999],)),
    "rsqrt small": (lambda lax, x: lax.rsqrt(x), ([1e-10, 4.0],)),
    "conversion to integers stops it": (
        lambda lax, x: lax.convert_element_type(lax.convert_element_type(x, np.int32), np.float64) * x, ([2.5, -1.5],)),
    "reduce_window_max at ties": (
        lambda lax, x: lax.reduce_window(x, np.float64(-INF), lax.max, (2,), (1,), "SAME"), ([1.0, 1.0, 0.0, 1.0],)),
    "select_n": (lambda lax, x: lax.select_n(np.array([True, False]), x, x * x), ([3.0, 4.0],)),
}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks_are_jax(name: str) -> None:
    import jax

    function, points = KINKS[name]
    xs = [np.array(p) for p in points]
    weights = np.arange(1.0, 50.0)

    def loss(lax: Lax) -> Callable[..., Any]:
        def scalar(*at: Any) -> Any:
            out = function(lax, *at)
            return (out * weights[: out.size].reshape(out.shape)).sum()

        return scalar

    places = tuple(range(len(xs)))
    with jax.enable_x64(True):
        want = of_jax(lambda: jax.grad(loss(jax.lax), places)(*map(jax.numpy.asarray, xs)))
    with wide():
        got = aj.grad(loss(ours), places)(*map(aj.numpy.asarray, xs))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12)
