"""jax.random on the CPU beside anejax.random, and how far apart two arrays of floats are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.random
import ml_dtypes
import numpy as np

import anejax as aj
from tests.answers import Namespace

jax_random = Namespace(jax.random)  # what it draws is on record

SEEDS = (0, 1, 42, -7, 2**31 - 1)
SHAPES = ((), (7,), (2, 3, 4), (0, 2))


@contextlib.contextmanager
def x64(on: bool) -> Iterator[None]:
    """Both libraries with 64-bit types, or without."""
    with jax.enable_x64(on), aj.enable_x64(on):
        yield


def assert_identical(got: Any, expected: Any) -> None:
    """Equal dtype, shape and bytes."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if got.tobytes() != expected.tobytes():
        different = np.nonzero(got != expected)
        raise AssertionError(
            f"{len(different[0])} of {got.size} differ: {got[different][:4]} {expected[different][:4]}"
        )


def distance(got: Any, expected: Any, at_least: float = 0.0) -> float:
    """The largest difference in eps of the dtype times max(|expected|, at_least). Infinities must agree."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    eps = float(ml_dtypes.finfo(got.dtype).eps)
    a, b = got.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(b)
    assert np.array_equal(a[~finite], b[~finite], equal_nan=True)
    a, b = a[finite], b[finite]
    scale = np.maximum(np.maximum(np.abs(b), at_least), float(ml_dtypes.finfo(got.dtype).tiny))
    return float(np.max(np.abs(a - b) / scale, initial=0.0)) / eps
