"""Pairs of real arrays that represent complex arrays, and their arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as ar
from anejax.ops import elementwise as el
from anejax.ops.families import full_like
from anejax.ops.shape import concatenate, reshape, slice_in_dim


class Pair(NamedTuple):
    """Real and imaginary part, of one shape. ``whole`` is the program's input that holds both, when it is one."""

    re: Any
    im: Any
    whole: Any = None


def as_pair(x: Any) -> Pair:
    """A real array as a pair."""
    return x if isinstance(x, Pair) else Pair(x, full_like(x, 0))


def enter(x: Any, aval: Aval) -> Any:
    """An array with real and imaginary parts along its last axis as a pair; itself where ``aval`` is real."""
    if aval.dtype not in dtypes.COMPLEX:
        return x
    re, im = (reshape(slice_in_dim(x, i, i + 1, axis=-1), aval.shape) for i in (0, 1))
    return Pair(re, im, x)


def leave(x: Any) -> Any:
    """A pair as an array with its parts along the last axis; real arrays as they are."""
    if not isinstance(x, Pair):
        return x
    if x.whole is not None:
        return x.whole
    shape = aval_of(x.re).shape
    return concatenate([reshape(p, (*shape, 1)) for p in (x.re, x.im)], len(shape))


def constant(x: Any, value: float) -> np.ndarray:
    """``value`` in the dtype of the real array ``x``."""
    return np.asarray(value, aval_of(x).dtype)


def scaled(z: Pair, by: Any) -> Pair:
    return Pair(ar.mul(z.re, by), ar.mul(z.im, by))


def neg(z: Pair) -> Pair:
    return Pair(ar.neg(z.re), ar.neg(z.im))


def conj(z: Pair) -> Pair:
    return Pair(z.re, ar.neg(z.im))


def times_i(z: Pair) -> Pair:
    return Pair(ar.neg(z.im), z.re)


def over_i(z: Pair) -> Pair:
    return Pair(z.im, ar.neg(z.re))


def add(z: Pair, w: Pair) -> Pair:
    return Pair(ar.add(z.re, w.re), ar.add(z.im, w.im))


def sub(z: Pair, w: Pair) -> Pair:
    return Pair(ar.sub(z.re, w.re), ar.sub(z.im, w.im))


def mul(z: Pair, w: Pair) -> Pair:
    return Pair(
        ar.sub(ar.mul(z.re, w.re), ar.mul(z.im, w.im)),
        ar.add(ar.mul(z.re, w.im), ar.mul(z.im, w.re)),
    )


def square(z: Pair) -> Pair:
    """(|x| - |y|)(|x| + |y|) + 2ixy: the difference of squares keeps its digits, and overflows only where it must."""
    x, y, zero = ar.abs(z.re), ar.abs(z.im), constant(z.re, 0)
    less, product = ar.sub(x, y), ar.mul(z.re, z.im)
    return Pair(ar.where(ar.eq(less, zero), zero, ar.mul(less, ar.add(x, y))), ar.add(product, product))


def div(z: Pair, w: Pair) -> Pair:
    """Smith's division (1962, "Algorithm 116"): scaled by the greater part of the divisor; huge operands by 1/4."""
    given, by = (z, w), constant(w.re, np.finfo(aval_of(w.re).dtype).max / 4)
    huge = ar.gt(ar.max(*map(greatest, given)), by)
    down = ar.where(huge, constant(w.re, 0.25), constant(w.re, 1))
    z, w = scaled(z, down), scaled(w, down)
    real_first = ar.ge(ar.abs(w.re), ar.abs(w.im))
    greater, less = ar.where(real_first, w.re, w.im), ar.where(real_first, w.im, w.re)
    zero = constant(greater, 0)
    ratio = ar.where(ar.eq(greater, zero), zero, ar.div(less, greater))
    scale = ar.add(greater, ar.mul(less, ratio))
    re = ar.where(real_first, ar.add(z.re, ar.mul(z.im, ratio)), ar.add(ar.mul(z.re, ratio), z.im))
    im = ar.where(real_first, ar.sub(z.im, ar.mul(z.re, ratio)), ar.sub(ar.mul(z.im, ratio), z.re))
    return _with_infinities(Pair(ar.div(re, scale), ar.div(im, scale)), *given)


def _with_infinities(q: Pair, z: Pair, w: Pair) -> Pair:
    """The quotient where Smith's loses an infinite operand or a divisor of 0 to NaN (C99, G.5.1, example 2)."""
    zero, one, inf = (constant(q.re, v) for v in (0, 1, np.inf))
    lost = ar.and_(ar.ne(q.re, q.re), ar.ne(q.im, q.im))
    unbounded = lambda v: ar.or_(*(ar.eq(ar.abs(p), inf) for p in (v.re, v.im)))  # noqa: E731
    bounded = lambda v: ar.and_(*(ar.lt(ar.abs(p), inf) for p in (v.re, v.im)))  # noqa: E731

    def box(p: Any) -> Any:
        """Infinite parts as 1, others as 0, with their signs."""
        return ar.mul(ar.where(ar.eq(ar.abs(p), inf), one, zero), ar.where(ar.lt(p, zero), ar.neg(one), one))

    over, under = ar.and_(unbounded(z), bounded(w)), ar.and_(unbounded(w), bounded(z))
    a, b = (ar.where(over, box(p), p) for p in (z.re, z.im))
    c, d = (ar.where(under, box(p), p) for p in (w.re, w.im))
    factor = ar.where(over, inf, zero)
    re = ar.mul(factor, ar.add(ar.mul(a, c), ar.mul(b, d)))
    im = ar.mul(factor, ar.sub(ar.mul(b, c), ar.mul(a, d)))
    found = ar.and_(lost, ar.or_(over, under))
    by_zero = ar.and_(ar.eq(w.re, zero), ar.eq(w.im, zero))
    pole = ar.div(one, ar.where(by_zero, w.re, one))
    return Pair(
        ar.where(by_zero, ar.mul(pole, z.re), ar.where(found, re, q.re)),
        ar.where(by_zero, ar.mul(pole, z.im), ar.where(found, im, q.im)),
    )


def one_over(z: Pair) -> Pair:
    """1 / z: Smith's division without the terms of an imaginary part of 0, whose sign would be lost.

    It divides huge numbers by 4 first, since the sum of two parts may overflow.
    """
    inf, zero, one = (constant(z.re, v) for v in (np.inf, 0, 1))
    down = ar.where(
        ar.gt(greatest(z), constant(z.re, np.finfo(aval_of(z.re).dtype).max / 4)), constant(z.re, 0.25), one
    )
    z = scaled(z, down)
    real_first = ar.ge(ar.abs(z.re), ar.abs(z.im))
    greater, less = ar.where(real_first, z.re, z.im), ar.where(real_first, z.im, z.re)
    ratio = ar.where(ar.eq(greater, zero), zero, ar.div(less, greater))
    scale = ar.add(greater, ar.mul(less, ratio))
    large, small = ar.mul(ar.div(one, scale), down), ar.mul(ar.div(ratio, scale), down)
    out = Pair(ar.where(real_first, large, small), ar.neg(ar.where(real_first, small, large)))
    gone = ar.or_(ar.eq(ar.abs(z.re), inf), ar.eq(ar.abs(z.im), inf))
    nothing = lambda p: ar.where(ar.lt(p, zero), ar.neg(zero), zero)  # noqa: E731
    return Pair(ar.where(gone, nothing(z.re), out.re), ar.where(gone, ar.neg(nothing(z.im)), out.im))


def size(z: Pair) -> Any:
    """``|z|`` without overflow; infinite where a part is."""
    x, y = ar.abs(z.re), ar.abs(z.im)
    top, low = ar.max(x, y), ar.min(x, y)
    zero, one, inf = (constant(top, v) for v in (0, 1, np.inf))
    ratio = ar.div(low, ar.where(ar.eq(top, zero), one, top))
    long = ar.mul(top, el.sqrt(ar.add(one, ar.mul(ratio, ratio))))
    infinite = ar.or_(ar.eq(x, inf), ar.eq(y, inf))
    return ar.where(infinite, inf, long)


def sign(z: Pair) -> Pair:
    """z / |z|, of z divided by its greater part, so that nothing over- or underflows; of one infinite part its sign."""
    x, y = ar.abs(z.re), ar.abs(z.im)
    top, one, inf = ar.max(x, y), constant(z.re, 1), constant(z.re, np.inf)
    top = ar.where(ar.eq(top, constant(top, 0)), one, top)
    alone = ar.ne(ar.eq(x, inf), ar.eq(y, inf))

    def part(p: Any) -> Any:
        zero = constant(p, 0)
        direction = ar.where(ar.eq(ar.abs(p), inf), ar.where(ar.lt(p, zero), ar.neg(one), one), zero)
        return ar.where(alone, direction, ar.div(p, top))

    w = Pair(part(z.re), part(z.im))
    length = size(w)
    return scaled(w, ar.div(one, ar.where(ar.eq(length, constant(length, 0)), one, length)))


def integer_pow(z: Pair, y: int) -> Pair:
    """Repeated squaring, and the reciprocal for negative ``y``. If that leaves the range, (z / |z|)**y |z|**y."""
    direct = _by_squaring(z, y)
    if -1 <= y <= 2:
        return direct
    zero, one, inf = (constant(z.re, v) for v in (0, 1, np.inf))
    info = np.finfo(aval_of(z.re).dtype)
    power = greatest(_by_squaring(z, abs(y)))
    top = greatest(z)
    fair = ar.and_(ar.gt(power, constant(power, info.tiny**0.5)), ar.lt(power, inf))
    kept = ar.or_(fair, ar.or_(ar.eq(top, zero), ar.or_(ar.eq(top, inf), ar.ne(top, top))))
    length = ar.where(kept, one, ar.min(size(z), constant(top, info.max)))
    turned = _by_squaring(Pair(ar.div(z.re, length), ar.div(z.im, length)), y)
    scale = ar.integer_pow(length, y)
    part = lambda p, d: ar.where(kept, d, ar.where(ar.eq(p, zero), p, ar.mul(p, scale)))  # noqa: E731
    return Pair(part(turned.re, direct.re), part(turned.im, direct.im))


def _by_squaring(z: Pair, y: int) -> Pair:
    if y < 0:
        return one_over(_by_squaring(z, -y))
    out: Pair | None = None
    while y:
        if y & 1:
            out = z if out is None else mul(out, z)
        y >>= 1
        z = square(z) if y else z
    return out or Pair(full_like(z.re, 1), full_like(z.re, 0))


def greater(z: Pair, w: Pair) -> Pair:
    """The one of greater real part, of equal ones that of greater imaginary part; NaN wins."""
    return _extreme(z, w, ar.gt)


def less(z: Pair, w: Pair) -> Pair:
    """The one of less real part, of equal ones that of less imaginary part; NaN wins."""
    return _extreme(z, w, ar.lt)


def _extreme(z: Pair, w: Pair, better: Any) -> Pair:
    none = [ar.or_(ar.ne(v.re, v.re), ar.ne(v.im, v.im)) for v in (z, w)]
    ahead = ar.or_(better(z.re, w.re), ar.and_(ar.eq(z.re, w.re), better(z.im, w.im)))
    first = ar.or_(none[0], ar.and_(ahead, el.bitwise_not(none[1])))
    return Pair(ar.where(first, z.re, w.re), ar.where(first, z.im, w.im))


def greatest(z: Pair) -> Any:
    """The greater magnitude of the two parts."""
    return ar.max(ar.abs(z.re), ar.abs(z.im))
