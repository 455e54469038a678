"""Derivatives of products of updates that meet in one element: of segment_prod and of ``x.at[i].multiply(u)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.ops import segment_prod

IDS = np.array([0, 2, 0, 1, 2, 2, 5, -1, 0], np.int32)
DATA = {
    "no zeros": [1.5, 2, -3, 0.5, 3, 2, 7, 8, 2],
    "one zero in a group": [1.5, 0, -3, 0, 3, 2, 7, 8, 2],
    "two and three zeros in a group": [0, 0, -3, 2, 0, 0, 7, 8, 0],
    "dropped infinities": [1.5, 2, -3, 0.5, 3, 2, np.inf, np.inf, 2],
}
TRANSFORMATIONS: dict[str, Callable[..., Any]] = {
    "gradient": aj.grad,
    "compiled gradient": lambda f: aj.jit(aj.grad(f)),
    "second derivatives": aj.hessian,
    "third derivatives": lambda f: aj.jit(aj.jacfwd(aj.hessian(f))),
}


def one_by_one(x: Any, ids: np.ndarray, updates: Any) -> Any:
    """``x.at[ids].multiply(updates)`` by single products, without the updates whose ids are out of range."""
    rows = [x[i] for i in range(len(x))]
    for i, k in enumerate(ids):
        if 0 <= k < len(rows):
            rows[k] = rows[k] * updates[i]
    return jnp.stack(rows)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("data", DATA)
def test_derivatives_of_segment_prod(data: str, transformation: str) -> None:
    values, weights = np.array(DATA[data], np.float32), np.arange(1.0, 5, dtype=np.float32)
    transformed = TRANSFORMATIONS[transformation]
    got = transformed(lambda v: (segment_prod(v, IDS, 4) * weights).sum())(values)
    want = transformed(lambda v: (one_by_one(jnp.ones(4), IDS, v) * weights).sum())(values)
    np.testing.assert_allclose(got, want, rtol=2e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 64, 65])
def test_derivatives_of_repeated_multiply(count: int) -> None:
    """Of rows, in the operand and in the updates, and under vmap."""
    rng = np.random.default_rng(count)
    ids = rng.integers(0, 3, count).astype(np.int32)
    x, updates = (
        np.array([[1, 2], [0, 3], [4, 0.5]], np.float32),
        rng.choice([-1, 0.5, 0, 2], (count, 2), p=[0.4, 0.3, 0.1, 0.2]),
    )
    updates = updates.astype(np.float32)
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    ours = aj.grad(lambda x, u: (x.at[ids].multiply(u) * weights).sum(), argnums=(0, 1))
    want = aj.grad(lambda x, u: (one_by_one(x, ids, u) * weights).sum(), argnums=(0, 1))(jnp.asarray(x), updates)
    for got, expected in zip(ours(jnp.asarray(x), updates), want):
        np.testing.assert_allclose(got, expected, rtol=2e-6)
    batched = aj.vmap(ours, (None, 0))(jnp.asarray(x), np.stack([updates, updates]))
    for got, expected in zip(batched, want):
        np.testing.assert_allclose(got[1], expected, rtol=2e-6)


def test_products_of_float16_do_not_overflow_on_the_way() -> None:
    values = np.array([256, 256, 256, 2**-10, 2**-10, 1], np.float16)
    got = aj.grad(lambda v: segment_prod(v, np.zeros(6, np.int32), 1).sum())(values)
    np.testing.assert_array_equal(got, np.float16([2**-4, 2**-4, 2**-4, 2**14, 2**14, 2**4]))
