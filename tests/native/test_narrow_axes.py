"""Axes of few elements, such as coordinates: sums over the axis before them, and arrays that are repeated along it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp

RNG = np.random.default_rng(0)
LENGTHS = (0, 1, 2, 3, 5, 16, 17, 255, 256, 1031, 20011)
PAIRS = [(1, 5, 3), (7, 1, 3), (13, 11, 1), (37, 29, 3), (5, 700, 7), (3, 41, 255), (3, 5, 257), (2, 3, 1100),
         (0, 4, 3), (1031, 2, 2)]  # fmt: skip
INNER = (1, 2, 3, 5, 7, 31, 63, 64, 65, 300)


def alone(op: str) -> Any:
    """A reduction that no elementwise operation precedes, so that it is a step of its own."""
    return aj.jit(lambda x: getattr(jnp, op)(x, 1))


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("length", LENGTHS)
def test_sums_over_the_axis_before(length: int, inner: int) -> None:
    outer = 2 if length * inner > 100_000 else 5
    x = RNG.standard_normal((outer, length, inner)).astype("float32")
    found, expected = np.asarray(alone("sum")(x)), x.sum(1, dtype="float64")
    np.testing.assert_allclose(found, expected, rtol=0, atol=8 * np.sqrt(length + 1) * 6e-8 * (1 + np.sqrt(length)))
    whole = RNG.integers(-(2**31), 2**31, (outer, length, inner)).astype("int32")
    np.testing.assert_array_equal(np.asarray(alone("sum")(whole)), whole.sum(1, dtype="int32"))
    if length:
        np.testing.assert_array_equal(np.asarray(alone("max")(x)), x.max(1))
        np.testing.assert_array_equal(np.asarray(alone("min")(whole)), whole.min(1))


def test_a_nan_stays_in_its_column() -> None:
    x = RNG.standard_normal((3, 100, 3)).astype("float32")
    x[1, 77, 2], x[2, 99, 0] = np.nan, np.inf
    for op in ("sum", "max", "min"):
        np.testing.assert_array_equal(np.isnan(alone(op)(x)), np.isnan(getattr(x, op)(1)))


@pytest.mark.parametrize("shape", [(2, 1 << 19, 3), (1, 1 << 20, 3), (1, 1 << 18, 10), (1, 3_000_017, 1)])
def test_long_sums_are_no_long_chains(shape: tuple[int, ...]) -> None:
    """0.1 is rounded to the same side by each addition, so errors of a chain would add up."""
    x = np.full(shape, 0.1, "float32")
    np.testing.assert_allclose(np.asarray(alone("sum")(x)), x.sum(1, dtype="float64"), rtol=5e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "float16"])
@pytest.mark.parametrize(("rows", "times", "inner"), PAIRS)
def test_differences_of_all_pairs(rows: int, times: int, inner: int, dtype: str) -> None:
    with aj.enable_x64(True):
        a = RNG.integers(-9, 9, (rows, inner)).astype(dtype)
        b = RNG.integers(-9, 9, (times, inner)).astype(dtype)
        np.testing.assert_array_equal(aj.jit(lambda a, b: a[:, None] - b[None])(a, b), a[:, None] - b[None])
        products = lambda a, b: (a[:, None, :, None] * b[None, :, None, :]).max(3)  # noqa: E731
        np.testing.assert_array_equal(aj.jit(products)(a, b), products(a, b))


@pytest.mark.parametrize(("n", "vectors"), [(5, 127), (5, 128), (33, 129), (40, 400), (3, 513), (1, 700), (7, 1025)])
def test_systems_with_many_right_hand_sides(n: int, vectors: int) -> None:
    a = np.tril(RNG.standard_normal((2, n, n)) / n) + 2 * np.eye(n)
    b = RNG.standard_normal((2, n, vectors))
    solve = aj.lax.linalg.triangular_solve
    left = aj.jit(lambda a, b: solve(a, b, left_side=True, lower=True))(a.astype("float32"), b.astype("float32"))
    np.testing.assert_allclose(a @ np.asarray(left), b, rtol=0, atol=2e-5)
    right = aj.jit(lambda a, b: solve(a, b, left_side=False, lower=True, transpose_a=True))
    found = np.asarray(right(a.astype("float32"), b.swapaxes(1, 2).astype("float32")))
    np.testing.assert_allclose(found @ a.swapaxes(1, 2), b.swapaxes(1, 2), rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 65, 100])
def test_cholesky_takes_both_triangles_or_one(n: int) -> None:
    x = RNG.standard_normal((n, n)) + 1j * RNG.standard_normal((n, n))
    x = x @ x.conj().T + n * np.eye(n)
    skew = np.triu(RNG.standard_normal((n, n)), 1)
    for matrix, kind in ((x.real, "float32"), (x, "complex64")):
        uneven = matrix + (skew - skew.T)  # the mean of both triangles is the matrix
        found = np.asarray(aj.jit(aj.lax.linalg.cholesky)(uneven.astype(kind)))
        np.testing.assert_allclose(found @ found.conj().T, matrix, rtol=0, atol=2e-6 * n * n + 1e-5)
        assert not np.triu(found, 1).any()
        one = aj.jit(lambda x: aj.lax.linalg.cholesky(x, symmetrize_input=False))
        found = np.asarray(one((np.tril(matrix) + skew).astype(kind)))
        np.testing.assert_allclose(found @ found.conj().T, matrix, rtol=0, atol=2e-6 * n * n + 1e-5)
