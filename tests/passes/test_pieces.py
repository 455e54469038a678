"""Sums of padded pieces become concatenations, only where the pieces fill an axis and nothing else is added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.passes.pipeline import optimize

RNG = np.random.default_rng(0)


def names(f: Any, *args: Any) -> list[str]:
    graph = aj.make_jaxpr(f)(*args).graph
    return [e.primitive.name for e in optimize(graph).eqns]


def pieces(*sizes: int, rows: int = 3) -> list[np.ndarray]:
    return [RNG.standard_normal((rows, n)).astype("float32") for n in sizes]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_pieces_in_any_order(order: tuple[int, ...]) -> None:
    parts = pieces(2, 5, 1)
    low = (0, 2, 7)

    def f(*parts: Any) -> Any:
        padded = [lax.pad(p, 0.0, [(0, 0, 0), (low[i], 8 - low[i] - p.shape[1], 0)]) for i, p in enumerate(parts)]
        return sum((padded[i] for i in order[1:]), padded[order[0]])

    assert names(f, *parts) == ["concatenate"]
    parts[0][0, 0] = -0.0
    np.testing.assert_array_equal(aj.jit(f)(*parts), np.concatenate(parts, 1))


def test_the_gradient_of_a_split_is_one_concatenation() -> None:
    x = RNG.standard_normal((4, 12)).astype("float32")

    def loss(x: Any) -> Any:
        i, f, g = jnp.split(x, 3, -1)
        return jnp.sum(i * jnp.tanh(f) * g)

    found = names(aj.grad(loss), x)
    assert found.count("concatenate") == 1 and "pad" not in found and "add" not in found
    i, f, g = np.split(x.astype("float64"), 3, -1)
    expected = np.concatenate([np.tanh(f) * g, i * g / np.cosh(f) ** 2, i * np.tanh(f)], -1)
    np.testing.assert_allclose(aj.jit(aj.grad(loss))(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "configs"),
    [
        (0.0, [(0, 4, 0), (2, 2, 0)]),  # they leave a gap
        (0.0, [(0, 4, 0), (1, 3, 0), (3, 1, 0)]),  # two overlap
        (1.0, [(0, 2, 0), (2, 0, 0)]),  # what is around is added
        (0.0, [(0, 1, 1), (1, 0, 1)]),  # they are interleaved
        (0.0, [(-1, 3, 0), (1, 1, 0)]),  # one is cut
    ],
)
def test_other_sums_stay(value: float, configs: list[tuple[int, int, int]]) -> None:
    parts = pieces(*[2] * len(configs), rows=1)

    def f(*parts: Any) -> Any:
        padded = [lax.pad(p, value, [(0, 0, 0), c]) for p, c in zip(parts, configs)]
        return sum(padded[1:], padded[0])

    assert "concatenate" not in names(f, *parts)
    np.testing.assert_array_equal(aj.jit(f)(*parts), np.asarray(f(*map(jnp.asarray, parts))))


def test_what_is_used_otherwise_stays_as_well() -> None:
    a, b = pieces(2, 3)

    def f(a: Any, b: Any) -> Any:
        left = lax.pad(a, 0.0, [(0, 0, 0), (0, 3, 0)])
        return left + lax.pad(b, 0.0, [(0, 0, 0), (2, 0, 0)]), left * 2, left + jnp.ones((3, 5))

    whole, twice, more = aj.jit(f)(a, b)
    left = np.pad(a, [(0, 0), (0, 3)])
    np.testing.assert_array_equal(whole, np.concatenate([a, b], 1))
    np.testing.assert_array_equal(twice, 2 * left)
    np.testing.assert_array_equal(more, left + 1)


@pytest.mark.parametrize("dtype", ["bool", "int8", "complex64"])
def test_bools_integers_and_complex_numbers(dtype: str) -> None:
    a, b = (RNG.integers(0, 2, (2, n)).astype(dtype) for n in (3, 4))
    zero = np.zeros((), dtype)

    def f(a: Any, b: Any) -> Any:
        return lax.pad(a, zero, [(0, 0, 0), (0, 4, 0)]) + lax.pad(b, zero, [(0, 0, 0), (3, 0, 0)])

    np.testing.assert_array_equal(aj.jit(f)(a, b), np.concatenate([a, b], 1))
