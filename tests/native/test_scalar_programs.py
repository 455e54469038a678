"""Loops and branches of single numbers, which are lists of instructions: each against the same program in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

TURNS = (0, 1, 2, 3, 4, 7, 50)


@pytest.mark.parametrize("turns", TURNS)
def test_a_branch_in_a_loop(turns: int) -> None:
    f = aj.jit(
        lambda c: lax.fori_loop(0, turns, lambda i, c: lax.cond(i % 3 == 0, lambda c: c + 5, lambda c: c * 2, c), c)
    )
    expected = 3
    for i in range(turns):
        expected = expected + 5 if i % 3 == 0 else expected * 2
    assert int(f(jnp.int32(3))) == np.int64(expected).astype("int32")


@pytest.mark.parametrize("turns", TURNS)
def test_while_loops_whose_carries_change_places(turns: int) -> None:
    f = aj.jit(lambda n: lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[2], c[1] + c[2]), (0, 0, 1))[1:])
    a, b = 0, 1
    for _ in range(turns):
        a, b = b, a + b
    assert [int(v) for v in f(turns)] == [np.int64(v).astype("int32") for v in (a, b)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("turns", TURNS)
def test_slices_are_read_and_stacked_in_their_order(turns: int, reverse: bool) -> None:
    xs = np.arange(turns, dtype="float32") + 1

    def body(c: Any, x: Any) -> Any:
        c = lax.cond(x > 3, lambda: c - x, lambda: c + 2 * x)
        return c, (c * x, x)

    total, (products, same) = aj.jit(lambda c, xs: lax.scan(body, c, xs, reverse=reverse))(jnp.float32(1), xs)
    c, expected = np.float32(1), np.zeros(turns, "float32")
    for t in range(turns)[:: -1 if reverse else 1]:
        c = c - xs[t] if xs[t] > 3 else c + 2 * xs[t]
        expected[t] = c * xs[t]
    assert float(total) == c
    np.testing.assert_array_equal(np.asarray(products), expected)
    np.testing.assert_array_equal(np.asarray(same), xs)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "float16", "float32", "float64"]
)
def test_branches_of_every_width(dtype: str) -> None:
    """Several branches, an index out of range, constants and choices within choices."""
    with aj.enable_x64(True):
        numbers = np.asarray([3, 1, 2], dtype)

        def inner(x: Any) -> Any:
            return lax.cond(x > 4, lambda x: x - 3, lambda x: x * 2 + 1, x)

        branches = (inner, lambda x: x + numbers[0], lambda x: -x if dtype[0] != "u" else x + 7)

        def f(x: Any) -> Any:
            return lax.fori_loop(0, 9, lambda i, x: lax.switch(i - 2, branches, x), x)

        def plain(x: Any) -> Any:
            for i in range(9):
                which = min(max(i - 2, 0), 2)
                with np.errstate(over="ignore"):
                    if which == 0:
                        x = x - numbers.dtype.type(3) if x > 4 else x * numbers.dtype.type(2) + numbers.dtype.type(1)
                    elif which == 1:
                        x = x + numbers[0]
                    else:
                        x = -x if dtype[0] != "u" else x + numbers.dtype.type(7)
            return x

        for start in (0, 4, 5, 9):
            x = numbers.dtype.type(start)
            assert aj.jit(f)(x) == plain(x)


def test_branches_may_read_one_element_of_an_array() -> None:
    table = jnp.arange(6, dtype=jnp.float32)

    def f(table: Any, n: Any) -> Any:
        step = lambda i, c: lax.cond(i % 2 == 0, lambda c: c + table[4], lambda c: c * table[1] - table[0], c)  # noqa: E731
        return lax.fori_loop(0, 5, step, n)

    assert float(aj.jit(f)(table, jnp.float32(2))) == 14.0


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_choices_that_would_be_too_much_code_are_steps(depth: int) -> None:
    """Each level holds the one below it twice; beyond some level the code is no list any more."""

    def level(d: int, x: Any, i: Any) -> Any:
        if d == 0:
            for k in range(20):
                x = x * 3 + k
            return x
        return lax.cond(
            (i >> d) & 1 == 1, lambda x, i: level(d - 1, x + d, i), lambda x, i: level(d - 1, x - d, i), x, i
        )

    def plain(d: int, x: int, i: int) -> int:
        if d == 0:
            for k in range(20):
                x = x * 3 + k
            return x
        return plain(d - 1, x + d if (i >> d) & 1 else x - d, i)

    f = aj.jit(lambda x: lax.fori_loop(0, 6, lambda i, x: level(depth, x, i), x))
    expected = 5
    for i in range(6):
        expected = plain(depth, expected, i)
    assert int(f(jnp.int32(5))) == (expected + 2**31) % 2**32 - 2**31


def test_profiles_show_the_steps_of_branches() -> None:
    f = aj.jit(lambda x: lax.fori_loop(0, 4, lambda i, x: lax.cond(i > 1, lambda x: x + 1, lambda x: x * 2, x), x))
    f(jnp.float32(1))
    with aj.profiler.profile() as found:
        assert float(f(jnp.float32(1))) == 6.0
    names = [row.name for row in found.rows("primitive")]
    assert {"add", "mul"} <= set(names)
