"""Products of a matrix and a vector, in every layout, against NumPy in float64: within 8 sqrt(K) eps of |A| |x|."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj

LENGTHS = [0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 288, 1000]


@pytest.mark.parametrize("k", LENGTHS)
@pytest.mark.parametrize("n", [1, 2, 5, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layout(k, n, dtype):
    rng = np.random.default_rng([k, n])
    by_rows, x = rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(1, k)).astype(dtype)
    wide = rng.normal(size=(n, k + 3)).astype(dtype)
    with aj.enable_x64():

        def products(a: Any, at: Any, x: Any, xt: Any, wide: Any) -> Any:
            return (
                x @ a.T,
                a @ x.T,
                x @ at,
                at.T @ x.T,
                xt.T @ a.T,
                a @ xt,
                x[0] @ wide[:, 2 : k + 2].T,
                wide[:, :k] @ x[0],
            )

        outs = aj.jit(products)(by_rows, by_rows.T.copy(), x, x.T.copy(), wide)
    plain = by_rows.astype(np.float64) @ x[0].astype(np.float64)
    cut, first = (wide[:, s].astype(np.float64) @ x[0].astype(np.float64) for s in (slice(2, k + 2), slice(0, k)))
    size = (np.abs(by_rows) + np.abs(wide[:, 2 : k + 2]) + np.abs(wide[:, :k])) @ np.abs(x[0])
    bound = 8 * np.sqrt(max(1, k)) * np.finfo(dtype).eps * size
    for out, expected in zip(outs, [plain] * 6 + [cut, first], strict=True):
        assert out.dtype == dtype and (np.abs(np.ravel(out) - expected) <= bound).all()


def test_infinities_and_nan_go_through():
    a = np.ones((3, 40), np.float32)
    a[0, 5], a[1, 39] = np.inf, np.nan
    x = np.ones(40, np.float32)
    assert np.array_equal(aj.jit(lambda a, x: a @ x)(a, x), np.array([np.inf, np.nan, 40], np.float32), equal_nan=True)


def test_long_rows_are_shared_among_threads():
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(3001, 301)).astype(np.float32), rng.normal(size=301).astype(np.float32)
    out = aj.jit(lambda a, x: a @ x)(a, x)
    bound = 8 * np.sqrt(301) * np.finfo(np.float32).eps * (np.abs(a) @ np.abs(x))
    assert (np.abs(out - a.astype(np.float64) @ x) <= bound).all()
