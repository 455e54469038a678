"""Products of few rows with weights of one byte, which the CPU device reads as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp

RNG = np.random.default_rng(0)
SIZES = [(1, 64, 64), (1, 65, 257), (2, 1031, 31), (3, 4096, 1), (4, 1, 4099), (1, 300, 515), (4, 128, 256)]


def operands(rows: int, k: int, n: int, dtype: Any = np.int8) -> tuple[np.ndarray, np.ndarray]:
    info = np.iinfo(dtype)
    x = RNG.standard_normal((rows, k)).astype(np.float32)
    return x, RNG.integers(info.min, info.max + 1, (k, n)).astype(dtype)


def check(f: Callable[..., Any], wanted: Any, *args: np.ndarray, terms: int, narrow: bool = True) -> None:
    """``wanted`` in float64, within what float32 rounds in so many terms, by a step of its own."""
    jitted = aj.jit(f)
    got = np.asarray(jitted(*args), np.float64)
    want, size = wanted
    assert got.shape == want.shape
    assert (np.abs(got - want) <= 8 * np.sqrt(terms) * 2.0**-24 * size + 1e-30).all()
    executable = jitted.executables()[-1]
    if not any(1 in a.shape and a.ndim == 2 and a.dtype != np.float32 for a in args):  # vectors have forms of their own
        assert ("gemm of " in executable.describe("plan")) == narrow, executable.describe("plan")


def product(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x @ w and what its terms add up to in magnitude."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    return x @ w, np.abs(x) @ np.abs(w)


@pytest.mark.parametrize(("rows", "k", "n"), SIZES)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_integers_and_scales(rows: int, k: int, n: int, dtype: Any) -> None:
    x, q = operands(rows, k, n, dtype)
    s = (RNG.uniform(0.1, 2, n)).astype(np.float32)
    f32 = jnp.float32
    check(lambda x, q: x @ q.astype(f32), product(x, q), x, q, terms=k)
    check(lambda x, q, s: x @ (q.astype(f32) * s), product(x, q * s.astype(np.float64)), x, q, s, terms=k)
    check(lambda x, q: x @ (0.25 * q.astype(f32)), product(x, q * 0.25), x, q, terms=k)
    turned = np.ascontiguousarray(q.T)
    check(lambda x, t: x @ t.astype(f32).T, product(x, q), x, turned, terms=k)
    wide = turned * s[:, None].astype(np.float64)
    check(lambda x, t, s: x @ (t.astype(f32) * s[:, None]).T, product(x, wide.T), x, turned, s, terms=k)
    by_input = RNG.uniform(0.1, 2, k).astype(np.float32)
    check(lambda x, t, s: x @ (t.astype(f32) * s).T, product(x, (turned * by_input.astype(np.float64)).T), x, turned,
          by_input, terms=k)  # fmt: skip


@pytest.mark.parametrize(("rows", "k", "n"), SIZES)
def test_vectors_on_the_right(rows: int, k: int, n: int) -> None:
    x, q = operands(rows, k, n)
    turned, columns = np.ascontiguousarray(q.T), np.ascontiguousarray(x.T)
    s = RNG.uniform(0.1, 2, n).astype(np.float32)
    want, size = product(x, q * s.astype(np.float64))
    scaled = lambda t, s: t.astype(jnp.float32) * s[:, None]  # noqa: E731
    check(lambda t, s, c: scaled(t, s) @ c, (want.T, size.T), turned, s, columns, terms=k)
    want, size = product(x[:1], q * s.astype(np.float64))
    check(lambda t, s, v: scaled(t, s) @ v, (want[0], size[0]), turned, s, x[0], terms=k)


def test_scales_of_blocks() -> None:
    x, q = operands(2, 96, 130)
    s = RNG.uniform(0.1, 2, (3, 130)).astype(np.float32)
    wide = q.reshape(3, 32, 130) * s[:, None].astype(np.float64)

    def f(x: Any, q: Any, s: Any) -> Any:
        return x @ (q.reshape(3, 32, 130).astype(jnp.float32) * s[:, None]).reshape(96, 130)

    check(f, product(x, wide.reshape(96, 130)), x, q, s, terms=96)


def test_strided_operands_and_results() -> None:
    x, q = operands(2, 300, 515)
    check(lambda x, q: (x[:, ::-1] @ q.astype(jnp.float32)).T, tuple(a.T for a in product(x[:, ::-1], q)), x, q,
          terms=300)  # fmt: skip
    check(lambda x, q: x.T.reshape(300, 2).T @ q.astype(jnp.float32), product(x, q), x, q, terms=300)
    check(lambda x, q: x[:, None] @ q.astype(jnp.float32), tuple(a[:, None] for a in product(x, q)), x, q, terms=300)


def test_numbers_are_those_of_the_scaled_matrix() -> None:
    """Infinities and NaN come of x * (q * s), term by term, not of the sum."""
    x, q = np.array([[1e38, -1e38] * 40], np.float32), np.tile(np.array([[100], [100]], np.int8), (40, 60))
    s = np.full(60, 1e-3, np.float32)
    s[1], q[0, 2], s[2] = np.inf, 0, np.inf
    jitted = aj.jit(lambda x, q, s: x @ (q.astype(jnp.float32) * s))
    got = np.asarray(jitted(x, q, s))[0]
    assert "gemm of int8 scaled" in jitted.executables()[0].describe("plan")
    assert np.isfinite(got[0])
    assert np.isnan(got[[1, 2]]).all()


def test_what_stays_as_it_was() -> None:
    """More rows, other readers of the matrix, parts of it, wider integers."""
    x, q = operands(5, 64, 80)
    f = lambda x, q: x @ q.astype(jnp.float32)  # noqa: E731
    check(f, product(x, q), x, q, terms=64, narrow=False)
    check(f, product(x[:1], q), x[:1], q.astype(np.int16), terms=64, narrow=False)
    check(lambda x, q: x @ q.astype(jnp.float32)[:, 1:], product(x[:1], q[:, 1:]), x[:1], q, terms=64, narrow=False)
    both = aj.jit(lambda x, q: (x @ (w := q.astype(jnp.float32)), w + 1))
    got = both(x[:1], q)
    np.testing.assert_allclose(got[0], product(x[:1], q)[0], rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(got[1], q.astype(np.float32) + 1)
    empty = aj.jit(f)(x[:0], q)
    assert empty.shape == (0, 80)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bits_do_not_depend_on_threads(threads: int) -> None:
    from anejax.runtime import library

    x, q = operands(3, 515, 3000)
    f = aj.jit(lambda x, q: x @ q.astype(jnp.float32))
    before = library.num_threads()
    want = np.asarray(f(x, q)).tobytes()
    try:
        library.set_num_threads(threads)
        assert np.asarray(f(x, q)).tobytes() == want
    finally:
        library.set_num_threads(before)
