"""Rules for sums on the engine.

The engine's reduce_sum rounds to float16 at each step, so sums of integers are exact up to 2048 only. Its products
accumulate in a wider format (docs/sources.md, "Sums"), so long sums become products with ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.ops import shape as S
from anejax.ops.linear import dot_general
from anejax.ops.reduce import kept, reduce_sum_p
from anejax.passes.legalize.constants import is_float, scalar, times
from anejax.passes.legalize.rules import as_it_is, note, noted, rule

FEW = 8  # terms that reduce_sum may add: off by n / 2 units of the last place at the very most
MOST = 4096  # terms of moderate size in one product, whose sums overflow at 32768 (docs/sources.md, "Sums")
PART = 1024  # terms of any size that are added at a time, each divided by twice their number


@dataclass(frozen=True)
class Total:
    """``factor`` times the sum of ``x`` along ``axes``; if ``spread``, repeated in the shape of ``x``."""

    x: Any
    axes: tuple[int, ...]
    factor: float = 1.0
    spread: bool = False

    @property
    def count(self) -> int:
        return math.prod(aval_of(self.x).shape[a] for a in self.axes)

    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes without the axes, and with axes of length 1 in their place."""
        shape = aval_of(self.x).shape
        return [tuple(n for a, n in enumerate(shape) if a not in self.axes),
                tuple(1 if a in self.axes else n for a, n in enumerate(shape))]  # fmt: skip


def mean_noted(x: Any) -> Total | None:
    """The operand of the mean that produced ``x``, or None if ``x`` is not known to be a mean."""
    total = noted(x, Total)
    return total if total is not None and math.isclose(total.factor * total.count, 1, rel_tol=1e-6) else None


@rule("reduce_sum", targets=("ane",))
def _sum(x: Any, *, axes: tuple[int, ...]) -> Any:
    if not axes or not is_float(x):
        return NotImplemented if axes else x
    return note(added(x, axes), Total(x, axes))


def reshaped(x: Any, new_sizes: tuple[int, ...]) -> Any:
    """A reshape of a total that only drops the axes of its sum or gives them length 1. NotImplemented for any other."""
    total = noted(x, Total)
    if total is None or total.spread or new_sizes not in total.shapes():
        return NotImplemented
    return note(as_it_is(S.reshape_p, x, new_sizes=new_sizes), total)


def repeated(x: Any, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> Any:
    """A total in every element of the array it is of. NotImplemented for any other broadcast."""
    total = noted(x, Total)
    if total is None or total.spread or shape != aval_of(total.x).shape:
        return NotImplemented
    if broadcast_dimensions not in (kept(len(shape), total.axes), tuple(range(len(shape)))):
        return NotImplemented
    out = as_it_is(S.broadcast_in_dim_p, x, shape=shape, broadcast_dimensions=broadcast_dimensions)
    return note(out, replace(total, spread=True))


def averaged(prim: Primitive, x: Any, y: Any) -> Any:
    """A "mul" or "div" of a sum and a scalar that makes it less: a mean, mostly. The factor goes into
    the sum part by part, so that no part overflows. Returns NotImplemented for any other operands.

    Asked before constants become float16, which many a count is too large for.
    """
    if prim.name == "mul" and scalar(x) is not None:
        x, y = y, x
    total, by = noted(x, Total), scalar(y)
    if total is None or total.spread or not by:
        return NotImplemented
    factor = total.factor * (1 / by if prim.name == "div" else by)
    if abs(factor) >= 1 or total.count == 1:
        return NotImplemented
    out = S.reshape(added(total.x, total.axes, factor), aval_of(x).shape)
    return note(out, replace(total, factor=factor))


def added(x: Any, axes: tuple[int, ...], factor: float = 1.0) -> Any:
    """The sum of ``x`` along ``axes`` times ``factor``: one run of neighbouring axes after another, the last first.

    A factor below 1 goes into the sums, before anything is added: each part is multiplied by a power of two
    that no part of a sum of float16's numbers overflows with.
    """
    left, sign = abs(factor), math.copysign(1.0, factor)
    for first, last in reversed(list(_runs(axes))):
        shape = aval_of(x).shape
        count = math.prod(shape[first : last + 1])
        inner = _divisor(count, PART) if left < 1 else count
        parts = (inner,) if inner == count else (count // inner, inner)
        x = S.reshape(x, (*shape[:first], *parts, *shape[last + 1 :]))
        for axis, terms in reversed(list(enumerate(parts, first))):
            share = max(2.0 ** -math.ceil(math.log2(2 * terms)), _power_of_two(left / 2)) if left < 1 else 1.0
            x = _along(x, axis, share)
            left /= share
    return times(x, left * sign)


def total(x: Any, axes: tuple[int, ...]) -> tuple[Any, float]:
    """The sum of ``x``, whose elements are of a size near 1, along ``axes`` as an array and a factor."""
    count = math.prod(aval_of(x).shape[a] for a in axes)
    factor = 2.0 ** max(0, math.ceil(math.log2(count / MOST)))
    return added(x, axes, 1 / factor), factor


def _runs(axes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(first, last) of neighbouring axes."""
    for _, run in itertools.groupby(enumerate(sorted(axes)), lambda pair: pair[1] - pair[0]):
        found = [axis for _, axis in run]
        yield found[0], found[-1]


def _power_of_two(x: float) -> float:
    """The largest power of two that is ``x`` or less."""
    return 2.0 ** math.floor(math.log2(x))


def _divisor(count: int, most: int) -> int:
    """The largest divisor of ``count`` up to ``most``."""
    return next(d for d in range(min(count, most), 0, -1) if count % d == 0)


def _along(x: Any, axis: int, factor: float = 1.0) -> Any:
    """The sum of ``x`` times ``factor`` along one axis."""
    shape = aval_of(x).shape
    rest = shape[:axis] + shape[axis + 1 :]
    if shape[axis] == 1:
        return times(S.reshape(x, rest), factor)
    if shape[axis] <= FEW:
        return as_it_is(reduce_sum_p, times(x, factor), axes=(axis,))
    weight = np.asarray(factor, aval_of(x).dtype)
    if axis == len(shape) - 1:
        ones = S.broadcast_in_dim(weight, (shape[axis], 1), ())
        return S.reshape(dot_general(x, ones, (((axis,), (0,)), ((), ()))), rest)
    ones = S.broadcast_in_dim(weight, (1, shape[axis]), ())
    return S.reshape(dot_general(ones, x, (((1,), (axis,)), ((), ()))), rest)
