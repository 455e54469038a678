"""Rules for Core ML: rests of floats, and angles of points, zeros with signs and infinities included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops.families import expand
from anejax.ops.misc import copy
from anejax.ops.reduce import reduce_or
from anejax.passes.legalize.constants import is_float
from anejax.passes.legalize.elementwise import everywhere
from anejax.passes.legalize.integers import remainder
from anejax.passes.legalize.rules import rule
from anejax.transforms.control.while_loop import while_loop
from anejax.transforms.stage import stage

_CORE_ML = ("coreml",)


def _like(x: Any, value: float) -> Any:
    """A constant in ``x``'s shape and dtype."""
    return expand(np.asarray(value, aval_of(x).dtype), aval_of(x).shape)


def _most(x: Any) -> float:
    return float(dtypes.finfo(aval_of(x).dtype).max)


@rule("rem", targets=_CORE_ML)
def _rem(x: Any, y: Any) -> Any:
    """The remainder of floats by long division, or in one step by a constant power of two; neither rounds.

    The divisor is doubled as long as it is in x, and halved again after it has been taken off where it is.
    """
    if not is_float(x):
        return remainder(x, y)
    constant = everywhere(y)
    shape = aval_of(x).shape or aval_of(y).shape
    x, y = expand(x, shape), expand(y, shape)
    rest, by = A.abs(x), A.abs(y)
    none = A.or_p.bind(A.gt(rest, _like(x, _most(x))), A.eq(y, _like(y, 0)))  # there is no rest by 0 or of infinity
    none = A.or_p.bind(none, A.or_p.bind(A.ne(x, x), A.ne(y, y)))
    if constant is not None and abs(math.frexp(constant)[0]) == 0.5 and abs(constant) >= 1:
        rest = A.sub(rest, A.mul(by, A.floor(A.div(rest, by))))
    else:
        whole = A.or_p.bind(none, A.gt(by, _like(by, _most(by))))  # all of x is left of infinity
        left = _divided(A.select_n(whole, rest, _like(rest, 0)), A.select_n(whole, by, _like(by, 1)))
        rest = A.select_n(whole, left, rest)
    negative = A.lt(A.div(_like(x, 1), x), _like(x, 0))  # -0, too
    return A.select_n(none, A.select_n(negative, rest, A.neg(rest)), _like(x, math.nan))


def _divided(x: Any, by: Any) -> Any:
    """The remainder of ``x`` by ``by``, both finite and not negative."""
    half = A.mul(x, _like(x, 0.5))

    def doubled(times: Any) -> list[Any]:
        return [A.select_n(A.le(times, half), times, A.add(times, times))]

    def taken(times: Any, rest: Any) -> list[Any]:
        fits = A.and_p.bind(A.ge(times, by), A.ge(rest, times))
        return [A.mul(times, _like(times, 0.5)), A.select_n(fits, rest, A.sub(rest, times))]

    (times,) = _while(lambda times: A.le(times, half), doubled, [by])
    return _while(lambda times, _: A.ge(times, by), taken, [times, x])[1]


def _while(test: Callable[..., Any], body: Callable[..., Any], first: Sequence[Any]) -> list[Any]:
    """Turns as long as the test is true of any element, but no more than a dtype has binary digits: a unit that makes
    zeros of the smallest numbers would never end."""
    info = dtypes.finfo(aval_of(first[0]).dtype)
    most = np.int32(info.maxexp - info.minexp + info.nmant + 2)
    axes = tuple(range(aval_of(first[0]).ndim))

    def goes_on(count: Any, *values: Any) -> list[Any]:
        found = test(*values)
        return [A.and_p.bind(A.lt(count, most), reduce_or(found, axes) if axes else found)]

    values = [copy(np.int32(0)), *first]
    avals = [aval_of(v).strong() for v in values]
    test_graph, test_consts = stage(goes_on, avals)
    body_graph, body_consts = stage(lambda count, *v: [A.add(count, np.int32(1)), *body(*v)], avals)
    return while_loop(test_graph, body_graph, test_consts, body_consts, values)[1:]


@rule("atan2", targets=_CORE_ML)
def _atan2(y: Any, x: Any) -> Any:
    """The angle by the quotient of the smaller by the larger one, which neither overflows nor is 0 / 0 or inf / inf."""
    shape = aval_of(A.add(y, x)).shape
    y, x = expand(y, shape), expand(x, shape)
    high, wide = A.abs(y), A.abs(x)
    small, large = A.min(high, wide), A.max(high, wide)
    endless, nothing = A.gt(small, _like(x, _most(x))), A.eq(large, _like(x, 0))
    small, large = (A.select_n(endless, v, _like(v, 1)) for v in (small, large))
    angle = E.atan(A.div(small, A.select_n(nothing, large, _like(large, 1))))
    angle = A.select_n(A.gt(high, wide), angle, A.sub(_like(angle, math.pi / 2), angle))
    angle = A.select_n(_is_negative(x), angle, A.sub(_like(angle, math.pi), angle))
    angle = A.select_n(_is_negative(y), angle, A.neg(angle))
    return A.select_n(A.or_p.bind(A.ne(x, x), A.ne(y, y)), angle, A.add(x, y))


def _is_negative(x: Any) -> Any:
    """Whether the sign is that, of zeros, too."""
    zero = _like(x, 0)
    below = A.and_p.bind(A.eq(x, zero), A.lt(A.div(_like(x, 1), x), zero))
    return A.or_p.bind(A.lt(x, zero), below)
