"""Scatters of complex products and extremes: combines the updates of each element first, and stores the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anejax.core.trace import aval_of
from anejax.ops import arithmetic as ar
from anejax.ops.index import ScatterDimensionNumbers, read_updates, scatter_p
from anejax.ops.reduce import shifted
from anejax.ops.shape import broadcasted_iota, reshape
from anejax.ops.sort import sort_p, take_along
from anejax.passes.complex.pairs import Pair

_NOWHERE = 0  # the target of updates that are dropped; the elements of the operand count from 1


def scattered(combine: Callable[[Pair, Pair], Pair]) -> Callable[..., Pair]:
    """The rule for a scatter that combines each element with its updates by an associative function ``combine``.

    The updates are sorted by their element, in the order in which they are given. Those of one element are combined in
    log2(n) steps, so that the last of them has the result of all, and only the last one is stored.
    """

    def rule(x: Pair, indices: Any, updates: Pair, **params: Any) -> Pair:
        operand, aval = aval_of(x.re), aval_of(updates.re)
        if not operand.size or not aval.size:
            return x
        names = reshape(broadcasted_iota(np.int32, (operand.size,), 0), operand.shape)
        targets = reshape(read_updates(ar.add(names, np.int32(1)), indices, aval, **params), (aval.size,))
        targets, order = sort_p.bind(targets, broadcasted_iota(np.int32, (aval.size,), 0), dimension=0, num_keys=1)
        values = _each(updates, lambda p: take_along(reshape(p, (aval.size,)), order, 0))
        by = 1
        while by < aval.size:
            same = ar.eq(shifted(targets, by, 0, -1), targets)
            both = combine(_each(values, lambda p, by=by: shifted(p, by, 0, 0)), values)
            values = _chosen(same, both, values)
            by *= 2
        return _stored(combine, x, targets, values)

    return rule


def _stored(combine: Callable[[Pair, Pair], Pair], x: Pair, targets: Any, values: Pair) -> Pair:
    """``x`` combined with the last one of the ``values`` of each target."""
    operand, count = aval_of(x.re), aval_of(targets).size
    stored = ar.and_(ar.ne(shifted(targets, -1, 0, -1), targets), ar.ne(targets, np.int32(_NOWHERE)))
    at = reshape(ar.where(stored, ar.sub(targets, np.int32(1)), np.int32(operand.size)), (count, 1))
    params = {"dimension_numbers": ScatterDimensionNumbers((), (0,), (0,)), "mode": "fill", "unique_indices": False}
    flat = _each(x, lambda p: reshape(p, (operand.size,)))
    total = combine(_each(flat, lambda p: read_updates(p, at, aval_of(values.re), **params)), values)
    new = Pair(scatter_p.bind(flat.re, at, total.re, **params), scatter_p.bind(flat.im, at, total.im, **params))
    return _each(new, lambda p: reshape(p, operand.shape))


def _each(z: Pair, function: Callable[[Any], Any]) -> Pair:
    return Pair(function(z.re), function(z.im))


def _chosen(condition: Any, z: Pair, w: Pair) -> Pair:
    return Pair(ar.where(condition, z.re, w.re), ar.where(condition, z.im, w.im))
