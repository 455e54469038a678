"""Products with one row or one column, however they lie in memory, against float64."""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj

# Each makes (a [m, k], b [k, n]) of the arrays it is given, as views that the planner folds into the product.
LAYOUTS = {
    "plain": (lambda m, k, n: ((m, k), (k, n)), lambda a, b: (a, b)),
    "transposed": (lambda m, k, n: ((k, m), (n, k)), lambda a, b: (a.T, b.T)),
    "cut": (lambda m, k, n: ((m + 2, k + 3), (k + 1, n + 5)), lambda a, b: (a[1:-1, 2:-1], b[1:, 3:-2])),
    "cut and transposed": (
        lambda m, k, n: ((k + 3, m + 2), (n + 5, k + 1)),
        lambda a, b: (a.T[1:-1, 2:-1], b.T[1:, 3:-2]),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_row_or_one_column(layout, dtype):
    shapes, view = LAYOUTS[layout]
    rng = np.random.default_rng(0)
    product = aj.jit(lambda a, b: (lambda x, y: x @ y)(*view(a, b)))
    with aj.enable_x64(dtype is np.float64):
        for m, k, n in [(1, 7, 1), (1, 1, 5), (1, 289, 257), (131, 64, 1), (1, 5000, 33), (1, 16, 40_000), (1, 0, 3)]:
            a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes(m, k, n))
            x, y = view(a.astype(np.float64), b.astype(np.float64))
            bound = 8 * np.sqrt(k) * np.finfo(dtype).eps * (np.abs(x) @ np.abs(y))
            assert (np.abs(np.asarray(product(a, b)) - x @ y) <= bound).all()


def test_nan_and_infinity_pass():
    a = np.array([[1, np.nan, 0]], np.float32)
    b = np.array([[1, np.inf], [0, 1], [np.inf, 2]], np.float32)
    np.testing.assert_array_equal(aj.jit(lambda a, b: a @ b)(a, b), [[np.nan, np.nan]])
    np.testing.assert_array_equal(aj.jit(lambda a, b: a @ b)(a[:, ::2].copy(), b[::2]), [[np.nan, np.inf]])
