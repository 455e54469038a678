"""Elementary functions of complex numbers, on pairs. Branch cuts and signs of zero are those of C99's Annex G.

Inverse functions follow Kahan 1987, "Branch cuts for complex elementary functions".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anejax.ops import arithmetic as ar
from anejax.ops import elementwise as el
from anejax.passes.complex import pairs
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
    square,
    sub,
    times_i,
)


def _infinite(x: Any) -> Any:
    return ar.eq(ar.abs(x), constant(x, np.inf))


def _product(x: Any, y: Any) -> Any:
    """``x * y`` that is 0 where either is, even when the other is infinite or NaN."""
    zero, one, inf = (constant(x, v) for v in (0, 1, np.inf))

    def calm(v: Any) -> Any:
        return ar.where(ar.lt(ar.abs(v), inf), v, ar.where(ar.lt(v, zero), ar.neg(one), one))

    is_zero = ar.or_(ar.eq(x, zero), ar.eq(y, zero))
    return ar.mul(ar.where(is_zero, calm(x), x), ar.where(is_zero, calm(y), y))


def _turn(z: Pair) -> Any:
    """The angle for a cosine: 0 where both parts are not finite, since an infinite modulus has no angle there."""
    return ar.where(ar.and_(_infinite(z.re), el.bitwise_not(ar.is_finite(z.im))), constant(z.im, 0), z.im)


def _plus(z: Pair, real: float) -> Pair:
    return Pair(ar.add(z.re, constant(z.re, real)), z.im)


def _negative(x: Any) -> Any:
    """Whether the sign bit is set (NaN aside)."""
    zero = constant(x, 0)
    return ar.or_(ar.lt(x, zero), ar.lt(ar.div(constant(x, 1), x), zero))


def exp(z: Pair) -> Pair:
    """In two factors exp(x / 2), since exp(x) may overflow where its product with a small sine does not."""
    zero, none = constant(z.re, 0), constant(z.re, -np.inf)
    h = el.exp(ar.mul(z.re, constant(z.re, 0.5)))
    turn = _turn(z)
    s = el.sin(ar.where(ar.eq(z.re, none), turn, z.im))
    factor = ar.where(ar.eq(s, zero), constant(h, 1), h)  # 0 stays 0 beside infinity and NaN
    return Pair(ar.mul(ar.mul(el.cos(turn), h), h), ar.mul(ar.mul(s, factor), factor))


def exp2(z: Pair) -> Pair:
    return exp(scaled(z, constant(z.re, math.log(2))))


def expm1(z: Pair) -> Pair:
    """The real part is expm1(x) cos y - 2 sin(y/2)**2, and that of exp where 1 is beyond its digits."""
    power, turn = exp(z), _turn(z)
    half = el.sin(ar.mul(turn, constant(turn, 0.5)))
    less = ar.mul(constant(half, 2), ar.mul(half, half))
    near = ar.sub(ar.mul(el.expm1(z.re), el.cos(turn)), less)
    return Pair(ar.where(ar.gt(z.re, constant(z.re, 60)), power.re, near), power.im)


def _log_size(z: Pair) -> Any:
    """log |z| = log m + log1p((n / m)**2) / 2 with the greater part m, near |z| = 1 from (m - 1)(m + 1) + n**2."""
    x, y = ar.abs(z.re), ar.abs(z.im)
    m, n = ar.max(x, y), ar.min(x, y)
    zero, one, half = (constant(m, v) for v in (0, 1, 0.5))
    near = ar.and_(ar.gt(m, half), ar.lt(m, constant(m, 1.5)))
    excess = ar.add(ar.mul(ar.sub(m, one), ar.add(m, one)), ar.mul(n, n))
    ratio = ar.where(ar.eq(m, zero), zero, ar.div(n, m))
    tail = ar.mul(half, el.log1p(ar.where(near, excess, ar.mul(ratio, ratio))))
    long = ar.where(near, tail, ar.add(el.log(ar.where(near, one, m)), tail))
    return ar.where(ar.or_(_infinite(x), _infinite(y)), constant(m, np.inf), long)


def log(z: Pair) -> Pair:
    return Pair(_log_size(z), ar.atan2(z.im, z.re))


def log2(z: Pair) -> Pair:
    return scaled(log(z), constant(z.re, 1 / math.log(2)))


def log1p(z: Pair) -> Pair:
    """Near 0 from |1 + z|**2 - 1 = x (2 + x) + y**2."""
    one, half = constant(z.re, 1), constant(z.re, 0.5)
    shifted = _plus(z, 1)
    near = ar.lt(ar.add(ar.abs(z.re), ar.abs(z.im)), half)
    excess = ar.add(ar.mul(z.re, ar.add(z.re, ar.add(one, one))), ar.mul(z.im, z.im))
    close = ar.mul(half, el.log1p(ar.where(near, excess, constant(z.re, 0))))
    return Pair(ar.where(near, close, _log_size(shifted)), ar.atan2(shifted.im, shifted.re))


def log_of_sum(z: Pair, w: Pair) -> Pair:
    """log(exp(z) + exp(w)) without overflow, with the imaginary part between -pi and pi."""
    top = pairs.greater(z, w)
    less = pairs.sub(pairs.less(z, w), top)
    out = pairs.add(top, log1p(exp(less)))
    lost = ar.or_(ar.ne(less.re, less.re), ar.ne(less.im, less.im))  # equal infinities, or NaN
    total = pairs.add(z, w)
    out = Pair(ar.where(lost, total.re, out.re), ar.where(lost, total.im, out.im))
    turned = ar.atan2(el.sin(out.im), el.cos(out.im))
    inside = ar.le(ar.abs(out.im), pairs.constant(out.im, np.pi))
    return Pair(out.re, ar.where(inside, out.im, turned))


def sqrt(z: Pair) -> Pair:
    """The root with a real part that is not negative, from s = sqrt((|x| + |z|) / 2).

    That of z / 16 where |z| may overflow, of a multiple where it is subnormal.
    """
    half, zero, inf = (constant(z.re, v) for v in (0.5, 0, np.inf))
    limits, top = np.finfo(half.dtype), ar.max(ar.abs(z.re), ar.abs(z.im))
    root = 2.0**limits.nmant
    large, little = ar.gt(top, constant(top, limits.max / 4)), ar.lt(top, constant(top, limits.tiny * root))

    def factor(of_large: float, of_little: float) -> Any:
        return ar.where(large, constant(top, of_large), ar.where(little, constant(top, of_little), constant(top, 1)))

    w, up = scaled(z, factor(0.0625, root * root)), factor(4, 1 / root)
    s = el.sqrt(ar.add(ar.mul(half, ar.abs(w.re)), ar.mul(half, size(w))))
    is_zero, unbounded = ar.eq(s, zero), ar.eq(ar.abs(z.im), inf)
    other = ar.where(is_zero, ar.abs(w.im), ar.div(ar.mul(half, ar.abs(w.im)), s))
    s, other = ar.mul(s, up), ar.mul(other, up)
    left = ar.lt(z.re, zero)
    upper = ar.where(left, s, other)
    return Pair(
        ar.where(unbounded, inf, ar.where(left, other, s)),
        ar.where(unbounded, z.im, ar.where(_negative(z.im), ar.neg(upper), upper)),
    )


def rsqrt(z: Pair) -> Pair:
    return one_over(sqrt(z))


def pow(z: Pair, w: Pair) -> Pair:
    """exp(w log z), but z, its square, root and reciprocal as such.

    0 to the power of 0 is 1, of a positive real part 0, of any other NaN. A real w multiplies both parts of log z,
    since 0 times an infinite part would be NaN.
    """
    zero, one = constant(z.re, 0), constant(z.re, 1)
    base_zero = ar.and_(ar.eq(z.re, zero), ar.eq(z.im, zero))
    real = ar.eq(w.im, zero)
    log_z = log(Pair(ar.where(base_zero, one, z.re), z.im))
    both, along = mul(w, log_z), scaled(log_z, w.re)
    out = exp(Pair(ar.where(real, along.re, both.re), ar.where(real, along.im, both.im)))
    of_zero = ar.where(ar.gt(w.re, zero), zero, constant(z.re, np.nan))
    out = Pair(ar.where(base_zero, of_zero, out.re), ar.where(base_zero, of_zero, out.im))
    for power, value in ((0, Pair(one, zero)), (1, z), (2, square(z)), (0.5, sqrt(z)), (-1, one_over(z))):
        here = ar.and_(real, ar.eq(w.re, constant(w.re, power)))
        out = Pair(ar.where(here, value.re, out.re), ar.where(here, value.im, out.im))
    return out


def _hyperbolic(z: Pair) -> tuple[Any, Any, Any]:
    """(cosh x, sinh x, a factor): beyond 40 both are exp(|x| / 2) / 2 and the factor is exp(|x| / 2), else 1."""
    x, half = ar.abs(z.re), constant(z.re, 0.5)
    far = ar.gt(x, constant(x, 40))
    e = el.exp(ar.mul(half, x))
    large = ar.mul(half, e)
    signed = ar.where(ar.lt(z.re, constant(x, 0)), ar.neg(large), large)
    return ar.where(far, large, el.cosh(z.re)), ar.where(far, signed, el.sinh(z.re)), ar.where(far, e, constant(x, 1))


def sinh(z: Pair) -> Pair:
    c, s, factor = _hyperbolic(z)
    return Pair(_product(_product(s, el.cos(_turn(z))), factor), _product(_product(c, el.sin(z.im)), factor))


def cosh(z: Pair) -> Pair:
    c, s, factor = _hyperbolic(z)
    return Pair(_product(_product(c, el.cos(_turn(z))), factor), _product(_product(s, el.sin(z.im)), factor))


def tanh(z: Pair) -> Pair:
    """(h (1 + t**2) + i t / cosh(x)**2) / (1 + (h t)**2) with h = tanh x and t = tan y; a part of 0 stays 0."""
    one, zero = constant(z.re, 1), constant(z.re, 0)
    h, t, c = el.tanh(z.re), el.tan(_turn(z)), ar.div(one, el.cosh(z.re))
    below = ar.add(one, ar.mul(ar.mul(h, t), ar.mul(h, t)))
    re = ar.div(ar.mul(h, ar.add(one, ar.mul(t, t))), below)
    im = ar.div(ar.mul(t, ar.mul(c, c)), below)
    return Pair(ar.where(ar.eq(z.re, zero), z.re, re), ar.where(ar.eq(t, zero), t, im))


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


def _far(z: Pair) -> Any:
    """Whether 1 is beyond the digits of z**2: there asin(z) is that of the angle, and log(2 |z|)."""
    limit = constant(z.re, 2 / np.sqrt(np.finfo(constant(z.re, 0).dtype).eps))
    return ar.or_(ar.gt(ar.abs(z.re), limit), ar.gt(ar.abs(z.im), limit))


def _log_twice(z: Pair, side: Any) -> Any:
    """log(2 |z|) with the sign of ``side``."""
    long = ar.add(_log_size(z), constant(z.re, math.log(2)))
    return ar.where(_negative(side), ar.neg(long), long)


def _within(far: Any, z: Pair) -> Pair:
    """``z``, and 0 where another formula is taken."""
    zero = constant(z.re, 0)
    return Pair(ar.where(far, zero, z.re), ar.where(far, zero, z.im))


def asin(z: Pair) -> Pair:
    far = _far(z)
    less, more = _around_one(_within(far, z))
    near = Pair(ar.atan2(z.re, mul(less, more).re), el.asinh(mul(conj(less), more).im))
    re = ar.where(far, ar.atan2(z.re, ar.abs(z.im)), near.re)
    return Pair(ar.where(ar.eq(z.re, constant(z.re, 0)), z.re, re), ar.where(far, _log_twice(z, z.im), near.im))


def acos(z: Pair) -> Pair:
    far = _far(z)
    less, more = _around_one(_within(far, z))
    near = ar.mul(constant(z.re, 2), ar.atan2(less.re, more.re))
    re = ar.where(far, ar.atan2(ar.abs(z.im), z.re), near)
    re = ar.where(ar.eq(z.re, constant(z.re, 0)), constant(z.re, math.pi / 2), re)
    return Pair(re, ar.where(far, ar.neg(_log_twice(z, z.im)), el.asinh(mul(conj(more), less).im)))


def acosh(z: Pair) -> Pair:
    far = _far(z)
    w = _within(far, z)
    less, more = sqrt(_plus(w, -1)), sqrt(_plus(w, 1))
    im = ar.where(far, ar.atan2(z.im, z.re), ar.mul(constant(z.re, 2), ar.atan2(less.im, more.re)))
    right = ar.where(_negative(z.im), constant(z.re, -math.pi / 2), constant(z.re, math.pi / 2))
    im = ar.where(ar.eq(z.re, constant(z.re, 0)), right, im)
    return Pair(ar.where(far, _log_twice(z, ar.abs(z.re)), el.asinh(mul(conj(less), more).re)), im)


def asinh(z: Pair) -> Pair:
    return over_i(asin(times_i(z)))


def atanh(z: Pair) -> Pair:
    """log1p(4x / ((1 - x)**2 + y**2)) / 4, odd in x; and half the angle of (1 - x)(1 + x) - y**2 + 2iy.

    Far out x / |z|**2 and a right angle.
    """
    zero, one, quarter, half, nan = (constant(z.re, v) for v in (0, 1, 0.25, 0.5, np.nan))
    limit = constant(z.re, 1 / np.finfo(one.dtype).eps)
    far = ar.or_(ar.gt(ar.abs(z.re), limit), ar.gt(ar.abs(z.im), limit))
    w, left = _within(far, z), _negative(z.re)
    x = ar.abs(w.re)
    distance = ar.sub(one, x)
    y2 = ar.mul(w.im, w.im)
    ratio = ar.div(ar.mul(constant(x, 4), x), ar.add(ar.mul(distance, distance), y2))
    re = ar.mul(quarter, el.log1p(ratio))
    pole = ar.and_(ar.eq(distance, zero), ar.lt(ar.abs(w.im), constant(x, np.finfo(one.dtype).eps)))
    re = ar.where(pole, ar.mul(half, ar.sub(constant(x, math.log(2)), el.log(ar.abs(w.im)))), re)
    angle = ar.atan2(ar.add(w.im, w.im), ar.sub(ar.mul(distance, ar.add(one, x)), y2))
    re = ar.where(far, _inverse_part(z), re)
    right = ar.where(_negative(z.im), constant(x, -math.pi / 2), constant(x, math.pi / 2))
    right = ar.where(ar.or_(ar.ne(z.im, z.im), ar.and_(ar.ne(z.re, z.re), el.bitwise_not(_infinite(z.im)))), nan, right)
    re = ar.where(left, ar.neg(re), re)
    return Pair(ar.where(ar.eq(z.re, zero), z.re, re), ar.where(far, right, ar.mul(half, angle)))


def _inverse_part(z: Pair) -> Any:
    """|x| / |z|**2 of large numbers, without overflow."""
    x, y = ar.abs(z.re), ar.abs(z.im)
    m = ar.max(x, y)
    u, v = ar.div(x, m), ar.div(y, m)
    inverse = ar.div(ar.div(u, ar.add(ar.mul(u, u), ar.mul(v, v))), m)
    return ar.where(ar.or_(_infinite(x), _infinite(y)), constant(x, 0), inverse)


def atan(z: Pair) -> Pair:
    return over_i(atanh(times_i(z)))


def atan2(y: Pair, x: Pair) -> Pair:
    """-i log((x + iy) / sqrt(x**2 + y**2))."""
    return over_i(log(div(add(x, times_i(y)), sqrt(sub(mul(x, x), neg(mul(y, y)))))))
