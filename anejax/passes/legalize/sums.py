"""Sums for the engine. Its reduce_sum rounds to float16 at each step, so that integers are exact to 2048 only (e5rt 8),
while products accumulate wide: long sums are products with ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import shape as S
from anejax.ops.linear import dot_general
from anejax.ops.reduce import kept, reduce_sum_p
from anejax.passes.legalize.constants import const, is_float, scalar
from anejax.passes.legalize.rules import as_it_is, note, noted, rule

FEW = 64  # terms that reduce_sum may add: off by n / 2 units of the last place at the very most
PARTIAL = 1024  # terms of a mean added at a time: below the wall of 32768 (e5rt 8) up to a mean size of 32


@dataclass(frozen=True)
class _Sum:
    """What is a sum, maybe seen in another shape."""

    x: Any
    axes: tuple[int, ...]
    shape: tuple[int, ...]


@rule("reduce_sum", targets=("ane",))
def _sum(x: Any, *, axes: tuple[int, ...]) -> Any:
    if not axes or not is_float(x):
        return NotImplemented if axes else x
    shape = aval_of(x).shape
    total = _Sum(x, axes, tuple(shape[i] for i in kept(len(shape), axes)))
    return note(_added(total, 1.0), total)


@rule("reshape", targets=("ane",))
def _reshape(x: Any, *, new_sizes: tuple[int, ...]) -> Any:
    total = noted(x)
    if total is None:
        return NotImplemented
    return note(as_it_is(S.reshape_p, x, new_sizes=new_sizes), _Sum(total.x, total.axes, new_sizes))


def scaled(prim: Primitive, x: Any, y: Any) -> Any:
    """A "mul" or "div" of a long sum and a scalar that makes it less: a mean, mostly. The factor is taken part by part
    on the way, so that nothing overflows. NotImplemented for any other.

    Asked before constants become float16, which many a count is too large for.
    """
    for total, other in ((noted(x), scalar(y)), (noted(y), scalar(x) if prim.name == "mul" else None)):
        if total is not None and other:
            factor = 1 / other if prim.name == "div" else other
            return _added(total, factor) if abs(factor) < 1 and _count(total) > FEW else NotImplemented
    return NotImplemented


def _count(total: _Sum) -> int:
    return math.prod(aval_of(total.x).shape[a] for a in total.axes)


def _added(total: _Sum, factor: float) -> Any:
    """The sum times ``factor``: one run of neighbouring axes after another, the last first."""
    x, left = total.x, abs(factor)
    for first, last in reversed(list(_runs(total.axes))):
        shape = aval_of(x).shape
        count = math.prod(shape[first : last + 1])
        inner = _divisor(count, PARTIAL) if factor != 1 else count
        parts = (inner,) if inner == count else (count // inner, inner)
        x = S.reshape(x, (*shape[:first], *parts, *shape[last + 1 :]))
        for axis, terms in reversed(list(enumerate(parts, first))):
            x = _along(x, axis)
            step = max(left, 1 / terms)
            x = A.div(x, const(x, 1 / step)) if step < 1 else x
            left /= step
    x = A.mul(x, const(x, math.copysign(left, factor))) if left < 1 or factor < 0 else x
    return S.reshape(x, total.shape)


def _runs(axes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(first, last) of neighbouring axes."""
    for _, run in itertools.groupby(enumerate(sorted(axes)), lambda pair: pair[1] - pair[0]):
        found = [axis for _, axis in run]
        yield found[0], found[-1]


def _divisor(count: int, most: int) -> int:
    """The largest divisor of ``count`` up to ``most``."""
    return next(d for d in range(min(count, most), 0, -1) if count % d == 0)


def _along(x: Any, axis: int) -> Any:
    """The sum of ``x`` along one axis."""
    shape = aval_of(x).shape
    rest = shape[:axis] + shape[axis + 1 :]
    if shape[axis] == 1:
        return S.reshape(x, rest)
    if shape[axis] <= FEW:
        return as_it_is(reduce_sum_p, x, axes=(axis,))
    one = np.ones((), aval_of(x).dtype)
    if axis == len(shape) - 1:
        ones = S.broadcast_in_dim(one, (shape[axis], 1), ())
        return S.reshape(dot_general(x, ones, (((axis,), (0,)), ((), ()))), rest)
    ones = S.broadcast_in_dim(one, (1, shape[axis]), ())
    return S.reshape(dot_general(ones, x, (((1,), (axis,)), ((), ()))), rest)
