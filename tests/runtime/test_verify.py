"""An engine that is wrong is caught: zeros, NaN, shifted and stale data; one that rounds is not."""

from __future__ import annotations

import numpy as np
import pytest

from anejax.core.array import from_numpy
from anejax.runtime import library
from anejax.runtime.engine import SELF_TEST
from anejax.runtime.verify import difference

X = np.linspace(-3, 3, 64).astype(np.float16).reshape(1, 64)
TWICE = 2 * np.eye(64, dtype=np.float16)  # the other operand of SELF_TEST


def found(y: np.ndarray, x: np.ndarray = X) -> str | None:
    """What is said of ``y`` as the result of y = 2x."""
    y = np.ascontiguousarray(y, np.float16)
    return difference(
        library.NativeProgram("cpu", SELF_TEST), [from_numpy(a).pointer for a in (x, TWICE)], [from_numpy(y).pointer]
    )


@pytest.mark.parametrize("noise", [0, 1e-3, 0.1])
def test_rounding_passes(noise: float) -> None:
    assert found(2 * X * (1 + noise * np.where(np.arange(64) % 2, 1, -1))) is None


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.zeros_like(X), "is off by 28.1, at a norm of 28.1"),
        (X, "is off by 14.1"),
        (np.roll(2 * X, 16), "is off by"),
        (np.full_like(X, np.nan), "is infinite or NaN at 64 of 64 places"),
        (np.where(np.arange(64) < 40, np.inf, 2 * X), "is infinite or NaN at 40 of 64 places"),
    ],
    ids=["zeros", "factor", "shifted", "nan", "infinite"],
)
def test_wrong_results_are_told(y: np.ndarray, said: str) -> None:
    assert said in (found(y) or "")


def test_what_overflows_and_what_is_flushed_passes() -> None:
    """Infinities are left out where they are few; numbers below the smallest normal one may be zero."""
    y = 2 * X
    y[0, :20] = np.inf
    assert found(y) is None
    assert found(np.zeros_like(X), X * np.float16(1e-6)) is None
    assert found(np.full_like(X, np.inf), np.full_like(X, np.inf)) is None
