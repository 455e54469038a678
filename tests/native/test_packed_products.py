"""Products with weights that stay the same in every turn of a loop, which are packed once: values on awkward shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import lax
from anejax.runtime import library

RNG = np.random.default_rng(0)
SHAPES = [  # rows, columns, what is summed over
    (2, 8, 8), (3, 64, 64), (5, 65, 9), (7, 127, 33), (32, 40, 96), (33, 128, 97), (31, 17, 200), (256, 24, 16),
    (257, 16, 16), (1, 64, 64), (4, 7, 64), (4, 64, 7), (6, 200, 1000),
]  # fmt: skip


def values(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def close(found: Any, expected: np.ndarray, terms: int) -> None:
    """Within 8 sqrt(K) eps of what was summed, which is of the order of sqrt(K)."""
    eps = np.finfo(np.asarray(found).dtype).eps
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=8 * terms**0.5 * eps * (1 + terms**0.5))


def plan(f: Any, *args: Any) -> str:
    return aj.jit(f).lower(*args).compile().as_text()


def packs() -> bool:
    """Apple's library is left to itself."""
    return not aj.jit(lambda x: x + 1).lower(1.0).compile().cost_analysis()["blas"].startswith("accelerate")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
def test_products_in_a_scan(m: int, n: int, k: int, dtype: str) -> None:
    with aj.enable_x64(dtype == "float64"):
        x, w = values(3, m, k, dtype=dtype), values(k, n, dtype=dtype)
        f = lambda x, w: lax.scan(lambda c, x: (c + 1, x @ w), 0, x)[1]  # noqa: E731
        close(aj.jit(f)(x, w), np.einsum("tmk,kn->tmn", x.astype("float64"), w.astype("float64")), k)
        packed = packs() and 2 <= m <= 256 and n >= 8 and k >= 8
        assert (f"packed gemm {m}x{n}x{k}" in plan(f, x, w)) is packed


@pytest.mark.parametrize(("m", "n", "k"), [(3, 64, 65), (33, 129, 40)])
def test_weights_may_lie_in_any_way(m: int, n: int, k: int) -> None:
    x, w = values(4, m, k), values(n, k)
    expected = np.einsum("tmk,nk->tmn", x.astype("float64"), w.astype("float64"))
    transposed = lambda x, w: lax.scan(lambda c, x: (c, x @ w.T), 0, x)[1]  # noqa: E731
    assert ("packed gemm" in plan(transposed, x, w)) is packs()
    close(aj.jit(transposed)(x, w), expected, k)
    columns = lambda x, w: lax.scan(lambda c, x: (c, w @ x.T), 0, x)[1]  # noqa: E731
    close(aj.jit(columns)(x, w), expected.swapaxes(1, 2), k)
    wide = values(n, 3 * k)
    some = lambda x, w: lax.scan(lambda c, x: (c, x @ w[:, k : 2 * k].T), 0, x)[1]  # noqa: E731
    close(aj.jit(some)(x, wide), np.einsum("tmk,nk->tmn", x.astype("float64"), wide[:, k : 2 * k].astype("float64")), k)
    folded = lambda x, w: lax.scan(lambda c, x: (c, x.reshape(m, -1)[:, ::-1] @ w.T), 0, x)[1]  # noqa: E731
    close(aj.jit(folded)(x, w), np.einsum("tmk,nk->tmn", x[:, :, ::-1].astype("float64"), w.astype("float64")), k)


def test_what_a_loop_carries_is_packed_nowhere() -> None:
    """Each turn has other weights."""
    h, w = values(4, 16), np.eye(16, dtype="float32")
    f = lambda h, w: lax.scan(lambda c, _: ((c[0] @ c[1], c[1] * 2), None), (h, w), None, length=3)[0][0]  # noqa: E731
    assert "packed" not in plan(f, h, w)
    np.testing.assert_array_equal(np.asarray(aj.jit(f)(h, w)), h * 8)


def test_while_loops_nested_loops_and_no_turn_at_all() -> None:
    h, w = values(5, 24), values(24, 24) / 5

    def power(h: Any, w: Any, n: Any) -> Any:
        return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] @ w), (0, h))[1]

    assert ("packed gemm 5x24x24" in plan(power, h, w, 3)) is packs()
    f, wide = aj.jit(power), w.astype("float64")
    for n in range(5):
        close(f(h, w, n), h @ np.linalg.matrix_power(wide, n), 24)

    def nested(h: Any, ws: Any) -> Any:
        return lax.scan(lambda h, w: (lax.scan(lambda h, _: (h @ w, None), h, None, length=2)[0], None), h, ws)[0]

    ws = values(3, 24, 24) / 5
    assert ("packed gemm" in plan(nested, h, ws)) is packs()
    expected = h.astype("float64")
    for w in ws.astype("float64"):
        expected = expected @ w @ w
    close(aj.jit(nested)(h, ws), expected, 24)
    once = lambda h, ws: lax.scan(lambda h, _: (h @ ws[0], None), h, None, length=1)[0]  # noqa: E731
    assert "packed" not in plan(once, h, ws)


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    x, w = values(3, 32, 300), values(300, 520)
    f = aj.jit(lambda x, w: lax.scan(lambda c, x: (c, x @ w), 0, x)[1])
    before, found = library.num_threads(), []
    try:
        for threads in (1, 2, 3):
            library.set_num_threads(threads)
            found.append(np.asarray(f(x, w)))
    finally:
        library.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_infinities_and_nan_stay_where_they_are() -> None:
    x, w = values(2, 4, 16), values(16, 70)
    w[3, 5], w[2, 69], x[1, 2, 0] = np.inf, np.nan, np.inf
    f = aj.jit(lambda x, w: lax.scan(lambda c, x: (c, x @ w), 0, x)[1])
    with np.errstate(all="ignore"):
        expected = np.einsum("tmk,kn->tmn", x, w)
    found = np.asarray(f(x, w))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isposinf(found), np.isposinf(expected))
