"""Reductions by two halves at a time, for targets that have the operation of two arrays and not its reduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.trace import aval_of
from anejax.ops import reduce as R
from anejax.ops import shape as S


def reduced(x: Any, axes: Sequence[int], combine: Callable[[Any, Any], Any]) -> Any:
    """``x`` without ``axes``, along which ``combine``, an associative function of two arrays, joins the elements."""
    shape = aval_of(x).shape
    for axis in axes:
        x = _along(x, axis, combine)
    return S.reshape(x, [shape[i] for i in R.kept(len(shape), tuple(axes))])


def _along(x: Any, axis: int, combine: Callable[[Any, Any], Any]) -> Any:
    """The reduction along one axis, of which length 1 is left."""
    n = aval_of(x).shape[axis]
    part = lambda start, end: S.slice_in_dim(x, start, end, axis=axis)  # noqa: E731
    if n == 1:
        return x
    half = n // 2
    pairs = combine(part(0, half), part(half, 2 * half))
    return _along(S.concatenate([pairs, part(n - 1, n)], axis) if n % 2 else pairs, axis, combine)
