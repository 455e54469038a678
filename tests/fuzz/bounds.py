"""Bounds of every value of a random program: its range, its grid, and how far two right results may be apart.

The generator computes them by interval arithmetic while it writes a program. They keep floats finite, they decide where
an operation that jumps (a comparison, a sort, a conversion to integers) may stand, and they are the tolerance of the
comparison: a value with ``error`` 0 must agree in every bit.
"""

from __future__ import annotations

import dataclasses
import math

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
# dtype -> digits of its significand, and the greatest magnitude and error that a value may have
FLOATS: dict[np.dtype, tuple[int, float, float]] = {
    np.dtype(np.float64): (53, 1e6, 1e-2),
    np.dtype(np.float32): (24, 1e6, 1e-2),
    np.dtype(np.float16): (11, 1e4, 0.25),
    BFLOAT16: (8, 1e6, 0.5),
}
SMALLEST = {np.dtype(np.float16): 1e-6}  # below it numbers lose digits
SUMS_COUNTED = 64  # terms of a sum whose roundings are all supposed to point one way


class UnfitError(Exception):
    """The operation that was drawn does not fit the values there are; the generator draws another one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of a value's elements.

    Attributes:
        low, high: the range.
        step: every element is a multiple of this power of two; 0 if there is no such grid.
        error: the greatest difference between the oracle's element and the device's.
    """

    low: float
    high: float
    step: float = 0.0
    error: float = 0.0

    @property
    def size(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def exact(self) -> bool:
        return self.error == 0

    def within(self, low: float, high: float) -> bool:
        return low <= self.low and self.high <= high


TRUTH = Bounds(0, 1, 1)


def is_float(dtype: np.dtype) -> bool:
    return dtype in FLOATS


def digits(dtype: np.dtype) -> int:
    return FLOATS[dtype][0]


def epsilon(dtype: np.dtype) -> float:
    return 2.0 ** (1 - digits(dtype))


def every(dtype: np.dtype) -> Bounds:
    """All numbers of an integer dtype, or both truth values."""
    if dtype == np.bool_:
        return TRUTH
    info = np.iinfo(dtype)
    return Bounds(info.min, info.max, 1)


def settled(dtype: np.dtype, found: Bounds, roundings: float = 1) -> Bounds:
    """The bounds of a result, once rounded to ``dtype``; raises UnfitError where floats leave their limits.

    A float on a grid that its digits resolve is exact, and so is one that is moved or chosen (``roundings`` 0).
    Integers wrap around, so their range is all or as computed.
    """
    if not is_float(dtype):
        return found if found.within(every(dtype).low, every(dtype).high) else every(dtype)
    count, greatest, coarsest = FLOATS[dtype]
    size = found.size
    if not math.isfinite(size) or size > greatest:
        raise UnfitError
    if not roundings:
        return found
    smallest = SMALLEST.get(dtype, 1e-30)
    if found.exact and found.step > smallest and size <= found.step * 2.0**count:
        return found
    error = found.error + roundings * epsilon(dtype) * size + smallest
    if error > coarsest:
        raise UnfitError
    return Bounds(found.low - error, found.high + error, 0, error)


def add(x: Bounds, y: Bounds) -> Bounds:
    return Bounds(x.low + y.low, x.high + y.high, min(x.step, y.step), x.error + y.error)


def sub(x: Bounds, y: Bounds) -> Bounds:
    return Bounds(x.low - y.high, x.high - y.low, min(x.step, y.step), x.error + y.error)


def mul(x: Bounds, y: Bounds) -> Bounds:
    ends = [a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    error = x.error * y.size + y.error * x.size + x.error * y.error
    return Bounds(min(ends), max(ends), x.step * y.step, error)


def either(*xs: Bounds) -> Bounds:
    """Of an element of any of the values."""
    return Bounds(min(x.low for x in xs), max(x.high for x in xs), min(x.step for x in xs), max(x.error for x in xs))


def greater(x: Bounds, y: Bounds) -> Bounds:
    return Bounds(max(x.low, y.low), max(x.high, y.high), min(x.step, y.step), max(x.error, y.error))


def lesser(x: Bounds, y: Bounds) -> Bounds:
    return Bounds(min(x.low, y.low), min(x.high, y.high), min(x.step, y.step), max(x.error, y.error))


def summed(dtype: np.dtype, term: Bounds, count: int) -> Bounds:
    """Of a sum of ``count`` terms; floats of 16 bits are added up in float32."""
    total = Bounds(term.low * count, term.high * count, term.step, term.error * count)
    if count > 1 and is_float(dtype) and not _resolved(dtype, total):
        one = min(epsilon(dtype), 2.0**-23)
        extra = min(count, SUMS_COUNTED) * one * max(term.size * count, 1e-6)
        total = dataclasses.replace(total, step=0, error=total.error + extra)
    return total


def _resolved(dtype: np.dtype, x: Bounds) -> bool:
    """Whether every partial sum is exact in the dtype in which sums are formed."""
    return x.exact and x.step > 0 and x.size <= x.step * 2.0 ** max(digits(dtype), 24)
