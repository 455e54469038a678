"""Loops over single numbers, which run as one list of instructions, against the same arithmetic in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.core.array import Array

NUMBERS = ("int8", "uint8", "int16", "int32", "uint32", "float16", "bfloat16", "float32")
LENGTHS = (0, 1, 2, 7)


def eagerly(f: Callable[..., Any], length: int, carry: Any) -> tuple[Any, list[Any]]:
    """What ``lax.scan(f, carry, jnp.arange(length))`` means, turn by turn, each operation by NumPy."""
    stacked = []
    for t in range(length):
        carry, y = f(carry, jnp.int32(t))
        stacked.append(y)
    return carry, stacked


def bits(x: Array) -> tuple[Any, bytes]:
    return x.aval, np.asarray(x).tobytes()


@pytest.mark.parametrize("dtype", NUMBERS)
def test_each_type_wraps_or_rounds_as_numpy_does(dtype: str) -> None:
    number = lambda v: jnp.asarray(v, dtype)  # noqa: E731

    def turn(carry: Any, t: Any) -> Any:
        a, b = carry
        c = a * number(3) + t.astype(dtype) - b
        c = jnp.where((c > b) & (t % 2 == 0) | (a == b), jnp.maximum(c, a), jnp.abs(c) if dtype[0] != "u" else c)
        return (b, c), (a, c < b)

    for length in LENGTHS:
        start = number(5), number(2)
        carry, stacked = aj.jit(lambda s, n=length: lax.scan(turn, s, jnp.arange(n)))(start)
        expected, rows = eagerly(turn, length, start)
        assert [bits(x) for x in carry] == [bits(x) for x in expected]
        for t, row in enumerate(rows):
            assert [bits(s[t]) for s in stacked] == [bits(x) for x in row]


def test_carries_that_change_places() -> None:
    for n in LENGTHS:
        fibonacci = aj.jit(lambda a, b, n=n: lax.fori_loop(0, n, lambda i, c: (c[1], c[0] + c[1]), (a, b)))
        a, b = 0, 1
        for _ in range(n):
            a, b = b, a + b
        assert tuple(map(int, fibonacci(0, 1))) == (a, b)
        turned = aj.jit(lambda a, b, c, n=n: lax.fori_loop(0, n, lambda i, v: (v[2], v[0], v[1]), (a, b, c)))(1, 2, 3)
        assert tuple(map(int, turned)) == tuple(np.roll([1, 2, 3], n))


def test_while_ends_where_python_does() -> None:
    step = lambda c: (jnp.where(c[0] % 2 == 0, c[0] // 2, 3 * c[0] + 1), c[1] + 1)  # noqa: E731
    collatz = aj.jit(lambda n: lax.while_loop(lambda c: c[0] != 1, step, (n, 0)))
    for n in (1, 2, 27, 97):
        steps, m = 0, n
        while m != 1:
            m, steps = (m // 2 if m % 2 == 0 else 3 * m + 1), steps + 1
        assert tuple(map(int, collatz(n))) == (1, steps)


def test_branches_and_functions_of_numbers_in_a_loop() -> None:
    def turn(i: Any, x: Any) -> Any:
        x = lax.cond(i % 3 == 0, lambda v: v + 1.5, lambda v: 0.5 * (v + 2.0 / v), x)
        return jnp.where(jnp.isfinite(x), jnp.sqrt(x), 1.0) + jnp.exp(-x)

    got = aj.jit(lambda x: lax.fori_loop(0, 12, turn, x))(jnp.float32(3.0))
    x = 3.0
    for i in range(12):
        x = x + 1.5 if i % 3 == 0 else 0.5 * (x + 2.0 / x)
        x = np.sqrt(x) + np.exp(-x)
    np.testing.assert_allclose(float(got), x, rtol=1e-5)
    assert np.isnan(float(aj.jit(lambda x: lax.fori_loop(0, 3, lambda i, v: v - v, x))(jnp.float32(np.inf))))


def test_arrays_of_one_element_and_constants() -> None:
    x, k = jnp.full((1, 1), 2.0), np.array([[3.0]], np.float32)
    grown, stacked = aj.jit(lambda x: lax.scan(lambda c, _: (c * k + 1, c.reshape(1)), x, None, length=5))(x)
    expected = [2.0]
    for _ in range(5):
        expected.append(expected[-1] * 3 + 1)
    np.testing.assert_array_equal(np.asarray(grown), [[expected[-1]]])
    np.testing.assert_array_equal(np.asarray(stacked)[:, 0], expected[:-1])


def test_derivatives_and_maps_of_such_loops() -> None:
    power = lambda x: lax.fori_loop(0, 5, lambda i, c: c * x, jnp.float32(1.0))  # noqa: E731
    np.testing.assert_allclose(float(aj.jit(aj.grad(power))(jnp.float32(1.5))), 5 * 1.5**4, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(aj.jit(aj.vmap(power))(jnp.arange(3.0))), np.arange(3.0) ** 5)
