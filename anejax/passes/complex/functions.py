"""Elementary functions of complex numbers, on pairs. Branch cuts and signs of zero are those of C99's Annex G.

Inverse functions are Kahan's (1987, "Branch cuts for complex elementary functions").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anejax.ops import arithmetic as ar
from anejax.ops import elementwise as el
from anejax.passes.complex.pairs import (
    Pair,
    add,
    conj,
    constant,
    div,
    mul,
    neg,
    one_over,
    over_i,
    scaled,
    size,
    sub,
    times_i,
    where,
)


def _times(x: Any, by: Any) -> Any:
    """``x * by`` that is ``x`` where ``x`` is 0, even when ``by`` is infinite."""
    return where(ar.eq(x, constant(x, 0)), x, ar.mul(x, by))


def _plus(z: Pair, real: float) -> Pair:
    return Pair(ar.add(z.re, constant(z.re, real)), z.im)


def _negative(x: Any) -> Any:
    """Whether the sign bit is set (NaN aside)."""
    zero = constant(x, 0)
    return ar.or_(ar.lt(x, zero), ar.lt(ar.div(constant(x, 1), x), zero))


def exp(z: Pair) -> Pair:
    e = el.exp(z.re)
    return Pair(ar.mul(e, el.cos(z.im)), _times(el.sin(z.im), e))


def exp2(z: Pair) -> Pair:
    return exp(scaled(z, constant(z.re, math.log(2))))


def expm1(z: Pair) -> Pair:
    """The real part is expm1(x) cos y - 2 sin(y/2)**2."""
    half = el.sin(ar.mul(z.im, constant(z.im, 0.5)))
    less = ar.mul(constant(half, 2), ar.mul(half, half))
    return Pair(ar.sub(ar.mul(el.expm1(z.re), el.cos(z.im)), less), _times(el.sin(z.im), el.exp(z.re)))


def _log_size(z: Pair) -> Any:
    """log |z|, near |z| = 1 from |z|**2 - 1 = (m - 1)(m + 1) + n**2 with the greater part m."""
    x, y = ar.abs(z.re), ar.abs(z.im)
    m, n = ar.max(x, y), ar.min(x, y)
    one, half = constant(m, 1), constant(m, 0.5)
    near = ar.and_(ar.gt(m, half), ar.lt(m, constant(m, 1.5)))
    excess = ar.add(ar.mul(ar.sub(m, one), ar.add(m, one)), ar.mul(n, n))
    close = ar.mul(half, el.log1p(where(near, excess, constant(m, 0))))
    return where(near, close, el.log(size(z)))


def log(z: Pair) -> Pair:
    return Pair(_log_size(z), ar.atan2(z.im, z.re))


def log1p(z: Pair) -> Pair:
    """Near 0 from |1 + z|**2 - 1 = x (2 + x) + y**2."""
    one, half = constant(z.re, 1), constant(z.re, 0.5)
    shifted = _plus(z, 1)
    near = ar.lt(ar.add(ar.abs(z.re), ar.abs(z.im)), half)
    excess = ar.add(ar.mul(z.re, ar.add(z.re, ar.add(one, one))), ar.mul(z.im, z.im))
    close = ar.mul(half, el.log1p(where(near, excess, constant(z.re, 0))))
    return Pair(where(near, close, _log_size(shifted)), ar.atan2(shifted.im, shifted.re))


def sqrt(z: Pair) -> Pair:
    """The root with a real part that is not negative, from s = sqrt((|x| + |z|) / 2)."""
    half, zero, inf = (constant(z.re, v) for v in (0.5, 0, np.inf))
    s = el.sqrt(ar.add(ar.mul(half, ar.abs(z.re)), ar.mul(half, size(z))))
    is_zero, unbounded = ar.eq(s, zero), ar.eq(ar.abs(z.im), inf)
    other = where(is_zero, ar.abs(z.im), ar.div(ar.mul(half, ar.abs(z.im)), s))
    left = ar.lt(z.re, zero)
    upper = where(left, s, other)
    return Pair(
        where(unbounded, inf, where(left, other, s)),
        where(unbounded, z.im, where(_negative(z.im), ar.neg(upper), upper)),
    )


def rsqrt(z: Pair) -> Pair:
    return one_over(sqrt(z))


def pow(z: Pair, w: Pair) -> Pair:
    """exp(w log z); 0 to the power of 0 is 1, of a positive real part 0, of any other NaN."""
    zero, one = constant(z.re, 0), constant(z.re, 1)
    base_zero = ar.and_(ar.eq(z.re, zero), ar.eq(z.im, zero))
    power_zero = ar.and_(ar.eq(w.re, zero), ar.eq(w.im, zero))
    out = exp(mul(w, log(Pair(where(base_zero, one, z.re), z.im))))
    of_zero = where(ar.gt(w.re, zero), zero, constant(z.re, np.nan))
    out = Pair(where(base_zero, of_zero, out.re), where(base_zero, of_zero, out.im))
    return Pair(where(power_zero, one, out.re), where(power_zero, zero, out.im))


def sinh(z: Pair) -> Pair:
    return Pair(ar.mul(el.sinh(z.re), el.cos(z.im)), _times(el.sin(z.im), el.cosh(z.re)))


def cosh(z: Pair) -> Pair:
    return Pair(ar.mul(el.cosh(z.re), el.cos(z.im)), _times(el.sin(z.im), el.sinh(z.re)))


def tanh(z: Pair) -> Pair:
    """(h (1 + t**2) + i t / cosh(x)**2) / (1 + (h t)**2) with h = tanh x and t = tan y."""
    one = constant(z.re, 1)
    h, t, c = el.tanh(z.re), el.tan(z.im), ar.div(one, el.cosh(z.re))
    below = ar.add(one, ar.mul(ar.mul(h, t), ar.mul(h, t)))
    return Pair(ar.div(ar.mul(h, ar.add(one, ar.mul(t, t))), below), ar.div(ar.mul(t, ar.mul(c, c)), below))


def sin(z: Pair) -> Pair:
    return over_i(sinh(times_i(z)))


def cos(z: Pair) -> Pair:
    return cosh(times_i(z))


def tan(z: Pair) -> Pair:
    return over_i(tanh(times_i(z)))


def logistic(z: Pair) -> Pair:
    return one_over(_plus(exp(neg(z)), 1))


def _around_one(z: Pair) -> tuple[Pair, Pair]:
    """(sqrt(1 - z), sqrt(1 + z))."""
    return sqrt(_plus(neg(z), 1)), sqrt(_plus(z, 1))


def asin(z: Pair) -> Pair:
    less, more = _around_one(z)
    return Pair(ar.atan2(z.re, mul(less, more).re), el.asinh(mul(conj(less), more).im))


def acos(z: Pair) -> Pair:
    less, more = _around_one(z)
    return Pair(ar.mul(constant(z.re, 2), ar.atan2(less.re, more.re)), el.asinh(mul(conj(more), less).im))


def acosh(z: Pair) -> Pair:
    less, more = sqrt(_plus(z, -1)), sqrt(_plus(z, 1))
    return Pair(el.asinh(mul(conj(less), more).re), ar.mul(constant(z.re, 2), ar.atan2(less.im, more.re)))


def asinh(z: Pair) -> Pair:
    return over_i(asin(times_i(z)))


def atanh(z: Pair) -> Pair:
    """log1p(4x / ((1 - x)**2 + y**2)) / 4, odd in x; and half the angle of (1 - x)(1 + x) - y**2 + 2iy."""
    one, quarter, half = (constant(z.re, v) for v in (1, 0.25, 0.5))
    x, left = ar.abs(z.re), _negative(z.re)
    distance = ar.sub(one, x)
    y2 = ar.mul(z.im, z.im)
    ratio = ar.div(ar.mul(constant(x, 4), x), ar.add(ar.mul(distance, distance), y2))
    re = ar.mul(quarter, el.log1p(ratio))
    angle = ar.atan2(ar.add(z.im, z.im), ar.sub(ar.mul(distance, ar.add(one, x)), y2))
    return Pair(where(left, ar.neg(re), re), ar.mul(half, angle))


def atan(z: Pair) -> Pair:
    return over_i(atanh(times_i(z)))


def atan2(y: Pair, x: Pair) -> Pair:
    """-i log((x + iy) / sqrt(x**2 + y**2))."""
    return over_i(log(div(add(x, times_i(y)), sqrt(sub(mul(x, x), neg(mul(y, y)))))))
