"""Rules for cumulative operations.

Sums become products with a triangle of ones. The others combine elements at distances 1, 2, 4, ... (Hillis and Steele,
1986).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.families import expand
from anejax.ops.linear import dot_general
from anejax.passes.legalize.constants import const
from anejax.passes.legalize.rules import rule


@rule("cumsum", targets=("ane",))
def _cumsum(x: Any, *, axis: int, reverse: bool) -> Any:
    aval = aval_of(x)
    n = aval.shape[axis]
    row, column = (S.broadcast_in_dim(S.iota(dtypes.float32, n), (n, n), (d,)) for d in (0, 1))
    upper = A.ge(row, column) if reverse else A.le(row, column)
    out = dot_general(x, E.convert_element_type(upper, aval.dtype), (((axis,), (0,)), ((), ())))
    last = aval.ndim - 1
    return S.transpose(out, (*range(axis), last, *range(axis, last)))


def _by_doubling(combine: Callable[[Any, Any], Any], start: Callable[[np.dtype], float]) -> Callable[..., Any]:
    def cumulative(x: Any, *, axis: int, reverse: bool) -> Any:
        n, distance = aval_of(x).shape[axis], 1
        while distance < n:
            x = combine(x, _shifted(x, axis, distance, reverse, start(aval_of(x).dtype)))
            distance *= 2
        return x

    return cumulative


def _shifted(x: Any, axis: int, distance: int, back: bool, fill: float) -> Any:
    """``x`` moved along ``axis``; ``fill`` takes the free places."""
    shape = aval_of(x).shape
    block = expand(const(x, fill), (*shape[:axis], distance, *shape[axis + 1 :]))
    if back:
        return S.concatenate([S.slice_in_dim(x, distance, shape[axis], axis=axis), block], axis)
    return S.concatenate([block, S.slice_in_dim(x, 0, shape[axis] - distance, axis=axis)], axis)


def _logaddexp(x: Any, y: Any) -> Any:
    return A.add(A.max(x, y), E.log(A.add(E.exp(A.neg(A.abs(A.sub(x, y)))), const(x, 1))))


def _least(dtype: np.dtype) -> float:
    return float(dtypes.finfo(dtype).min if dtype in dtypes.FLOATS else np.iinfo(dtype).min)


def _greatest(dtype: np.dtype) -> float:
    return float(dtypes.finfo(dtype).max if dtype in dtypes.FLOATS else np.iinfo(dtype).max)


rule("cumprod")(_by_doubling(A.mul, lambda d: 1))
rule("cummax")(_by_doubling(A.max, _least))
rule("cummin")(_by_doubling(A.min, _greatest))
rule("cumlogsumexp")(_by_doubling(_logaddexp, _least))
