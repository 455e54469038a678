"""Combines all prefixes of arrays by an associative function, in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anejax.core.trace import aval_of
from anejax.ops import shape as shapes
from anejax.ops.elementwise import convert_element_type

Arrays = Sequence[Any]


def prefixes(combine: Callable[[Arrays, Arrays], Arrays], xs: Arrays, axes: Sequence[int]) -> Arrays:
    """The combined prefixes of ``xs`` along ``axes``, an axis for each, all of one length.

    Neighbours are combined, and the half as many results scanned; the other half is one step from those. jax has the
    same order, which shows where ``combine`` is not quite associative: in rounding, and in derivatives at ties.
    """
    n = aval_of(xs[0]).shape[axes[0]]
    if n < 2:
        return xs
    cut = lambda ys, *bounds: [shapes.slice_in_dim(y, *bounds, axis=a) for y, a in zip(ys, axes)]  # noqa: E731
    join = lambda *lists: [shapes.concatenate(ys, a) for a, *ys in zip(axes, *lists)]  # noqa: E731
    odd = prefixes(combine, combine(cut(xs, 0, n - 1, 2), cut(xs, 1, n, 2)), axes)
    last = aval_of(odd[0]).shape[axes[0]] - (n % 2 == 0)
    even = join(cut(xs, 0, 1), combine(cut(odd, 0, last), cut(xs, 2, n, 2)))
    return [_interleaved(e, o, a) for e, o, a in zip(even, odd, axes)]


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """``even`` at positions 0, 2, ... of ``axis`` and ``odd`` at 1, 3, ..."""
    short = aval_of(odd).shape[axis]
    first = shapes.slice_in_dim(even, 0, short, axis=axis)
    pair = shapes.concatenate([shapes.expand_dims(x, (axis + 1,)) for x in (first, odd)], axis + 1)
    shape = aval_of(odd).shape
    both = shapes.reshape(pair, (*shape[:axis], 2 * short, *shape[axis + 1 :]))
    rest = shapes.slice_in_dim(even, short, aval_of(even).shape[axis], axis=axis)
    return convert_element_type(shapes.concatenate([both, rest], axis), aval_of(even).dtype)  # strong, as jax's are
