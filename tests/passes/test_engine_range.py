"""Norms and their like keep their numbers on the engine at every size of their inputs, and so do their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.lower.to_mil import lower
from anejax.passes.pipeline import optimize
from tests.native.run import Runner
from tests.passes.norms import IMAGES, ROWS, errors, inputs

MOST = 8  # UNITs
SPREADS = (1e-3, 0.03, 1.0, 8.0, 30.0, 256.0, 1000.0)

# Float16 has no normal number for the result: the square of a spread of 256 or more or of a small one, a small mean.
BEYOND = {("variance", s) for s in (1e-3, 256.0, 1000.0)} | {("mean", 1e-3)}
# Weights of rows that are all on one element: the gradient is the difference between that element and 1.
SATURATED = {("softmax", s) for s in (30.0, 256.0, 1000.0)}


def there(*args: Any, **options: Any) -> np.ndarray:
    """``inputs`` that float16 has."""
    x = inputs(*args, **options)
    assert x is not None
    return x


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str, spread: float) -> None:
    if (name, spread) in BEYOND:
        pytest.skip("float16 does not have the result")
    for width, spike in ((5, False), (64, False), (767, False), (767, True)):
        x = inputs((3, width), spread, spike=spike)
        if x is None or (spike and name == "variance"):
            continue
        forward, backward = errors(ROWS[name], x)
        assert forward <= MOST, (width, spike)
        assert backward <= MOST or (name, spread) in SATURATED, (width, spike)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str, spread: float) -> None:
    for shape in ((2, 8, 9, 7), (4, 8, 40, 40)):  # the second has more elements in a channel than one sum may have
        for spike in (False, True):
            x = inputs(shape, spread, spike=spike)
            if x is not None:
                assert max(errors(IMAGES[name], x)) <= MOST, (shape, spike)


@pytest.mark.parametrize("width", [4096, 8192])
@pytest.mark.parametrize("name", ["RMSNorm", "LayerNorm", "x / norm(x)", "softmax", "log_softmax"])
def test_wide_rows(name: str, width: int) -> None:
    for spread in (1e-3, 8.0, 256.0):
        forward, backward = errors(ROWS[name], there((2, width), spread))
        assert forward <= MOST
        assert backward <= MOST or (name, spread) in SATURATED


@pytest.mark.parametrize("name", ["LayerNorm", "nn.standardize", "standard deviation"])
@pytest.mark.parametrize("mean", [10.0, 100.0, 1000.0])
def test_a_mean_far_from_zero(name: str, mean: float) -> None:
    """The mean is taken off in two parts: rounded to float16 it is as far off as the elements are from each other."""
    assert max(errors(ROWS[name], there((3, 640), 1.0, mean=mean))) <= MOST


@pytest.mark.parametrize("width", [1, 2])
def test_short_rows(width: int) -> None:
    """The gradients of such rows are differences of equal numbers, so only values are held to a bound."""
    for name in ("RMSNorm", "LayerNorm", "x / norm(x)", "softmax", "variance"):
        for spread in (1e-2, 1.0, 100.0):
            assert errors(ROWS[name], there((3, width), spread))[0] <= MOST


def test_rows_of_zeros() -> None:
    x = np.zeros((3, 64), np.float16)
    for name in ("RMSNorm", "RMSNorm, eps 1e-12", "LayerNorm", "x / max(norm(x), eps)"):
        assert errors(ROWS[name], x)[0] == 0


def run(f, *args: np.ndarray) -> list[np.ndarray]:
    program = lower(optimize(aj.jit(f).trace(*(a.astype(np.float32) for a in args)).graph, "ane"), "ane")
    given = [a.astype(np.float16).reshape(v.type.shape) for a, v in zip(args, program.main.inputs)]
    return Runner(program, device="cpu-fp16")(*given)


@pytest.mark.parametrize("count", [3, 64, 1000, 4097])
def test_means_end_where_float16_does(count: int) -> None:
    """A sum ends at 32768, a mean only where its result does."""
    x = np.full((2, count), 60000.0)
    (got,) = run(lambda x: jnp.mean(x, -1), x)
    np.testing.assert_allclose(got.astype(np.float64), 60000, rtol=2**-9)


def test_scores_of_attention_end_where_float16_does() -> None:
    """The product is 144000; divided by 8 it is a number of float16's."""
    q = np.full((2, 4, 64), 30.0)
    k = np.full((2, 5, 64), 75.0)
    for f in (lambda q, k: jnp.einsum("bqd,bkd->bqk", q, k) / 8, lambda q, k: (q @ k.mT) * 0.125):
        (got,) = run(f, q, k)
        np.testing.assert_allclose(got.astype(np.float64), 18000, rtol=2**-10)


def test_a_row_that_is_used_twice_is_measured_once() -> None:
    """Forward and backward of a norm share the scale of the row."""
    x = aj.ShapeDtypeStruct((4, 64), "float32")
    norm = lambda x: ROWS["RMSNorm"](aj, x)  # noqa: E731
    graph = optimize(aj.jit(lambda x, g: aj.vjp(norm, x)[1](g)[0]).trace(x, x).graph, "ane")
    assert [e.primitive.name for e in graph.eqns].count("reduce_max") == 1


@pytest.mark.parametrize("axis", [-1, 0, (0, 2), (1, 2)])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 8.0])
def test_variances_by_squares_that_keep_their_axes(axis: int | tuple[int, ...], spread: float) -> None:
    """mean(x**2) - mean(x)**2, with axes of length 1, as ``nn.standardize`` has them."""
    x, g = (np.random.default_rng(i).normal(size=(3, 5, 7)).astype(np.float32) for i in range(2))
    x = x * np.float32(spread) + np.float32(spread)
    slope = aj.grad(lambda x: jnp.sum(g * aj.nn.standardize(x, axis)))
    for f in (lambda x: aj.nn.standardize(x, axis), slope):
        got, want = (np.asarray(aj.jit(f, precision=p)(x)) for p in ("fp16", "float32"))
        np.testing.assert_allclose(got, want, atol=6e-3 * np.abs(want).max())
