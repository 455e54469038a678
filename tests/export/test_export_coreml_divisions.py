"""Core ML's rests and angles of floats: element by element, at numbers of all sizes, zeros, infinities and NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import anejax.numpy as jnp
from anejax import lax
from tests.export.accuracy import BOUNDS
from tests.export.test_export_coreml_operations import results

RNG = np.random.default_rng(0)


def numbers(dtype: str) -> np.ndarray:
    """Of all sizes and both signs, and special ones."""
    kind = np.finfo(dtype)
    sizes = np.exp2(RNG.uniform(np.log2(float(kind.smallest_normal)), np.log2(float(kind.max)) - 1e-3, 400))
    small = RNG.uniform(-9, 9, 200)
    return np.concatenate([sizes * RNG.choice([-1, 1], 400), small, [0, 1, 2, 3, kind.max, kind.smallest_subnormal]]
                          ).astype(dtype)  # fmt: skip


def special(dtype: str) -> tuple[np.ndarray, ...]:
    values = np.array([0.0, -0.0, 1, -1, 3.5, np.inf, -np.inf, np.nan], dtype)
    return tuple(v.ravel() for v in np.meshgrid(values, values))


@pytest.mark.parametrize("dtype", BOUNDS)
def test_rests_are_exact(tmp_path: Path, dtype: str) -> None:
    x, y = numbers(dtype), RNG.permutation(numbers(dtype))
    x, y = (np.concatenate(pair) for pair in zip((x, y), special(dtype)))
    by = lambda c: lambda v: lax.rem(v, jnp.asarray(c, v.dtype))  # noqa: E731
    functions = {"both": (lax.rem, (x, y)), "two": (by(2), (x,)), "third": (by(1 / 3), (x,)), "minus": (by(-8), (x,))}
    got = results(tmp_path, functions)
    with np.errstate(all="ignore"):
        for name, c in (("both", y), ("two", 2), ("third", 1 / 3), ("minus", -8)):
            want = np.fmod(x, np.asarray(c, dtype))
            np.testing.assert_array_equal(got[name][0], want)
            np.testing.assert_array_equal(np.signbit(got[name][0][want == 0]), np.signbit(want[want == 0]))


@pytest.mark.parametrize("dtype", BOUNDS)
def test_angles(tmp_path: Path, dtype: str) -> None:
    y, x = (np.concatenate(pair) for pair in zip((numbers(dtype), RNG.permutation(numbers(dtype))), special(dtype)))
    got = results(tmp_path, {"main": (lax.atan2, (y, x))})["main"][0].astype(np.float64)
    want = np.arctan2(y.astype(np.float64), x.astype(np.float64))
    kind = np.finfo(dtype)
    with np.errstate(invalid="ignore"):
        tiny = np.abs(want) < float(kind.smallest_normal)
        off = np.abs(got - want) / np.maximum(np.abs(want), float(kind.smallest_normal)) / float(kind.eps)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    assert np.nanmax(np.where(tiny, 0, off)) <= 2
    zero = (want == 0) | tiny
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))
