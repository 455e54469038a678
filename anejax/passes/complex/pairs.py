"""Pairs of real arrays that stand for a complex one, and their arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as ar
from anejax.ops import elementwise as el
from anejax.ops.families import expand, full_like
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


def where(condition: Any, x: Any, y: Any) -> Any:
    """``x`` where ``condition`` holds, else ``y``; rank-0 operands stand for every element."""
    shape = next((aval_of(v).shape for v in (condition, x, y) if aval_of(v).shape), ())
    return ar.select_n(expand(condition, shape), expand(y, shape), expand(x, shape))


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
    product = ar.mul(z.re, z.im)
    return Pair(ar.mul(ar.sub(z.re, z.im), ar.add(z.re, z.im)), ar.add(product, product))


def div(z: Pair, w: Pair) -> Pair:
    """Smith's division (1962, "Algorithm 116"): scaled by the greater part of the divisor, so nothing overflows."""
    real_first = ar.ge(ar.abs(w.re), ar.abs(w.im))
    greater, less = where(real_first, w.re, w.im), where(real_first, w.im, w.re)
    zero = constant(greater, 0)
    ratio = where(ar.eq(greater, zero), zero, ar.div(less, greater))
    scale = ar.add(greater, ar.mul(less, ratio))
    re = where(real_first, ar.add(z.re, ar.mul(z.im, ratio)), ar.add(ar.mul(z.re, ratio), z.im))
    im = where(real_first, ar.sub(z.im, ar.mul(z.re, ratio)), ar.sub(ar.mul(z.im, ratio), z.re))
    return Pair(ar.div(re, scale), ar.div(im, scale))


def one_over(z: Pair) -> Pair:
    return div(Pair(constant(z.re, 1), constant(z.re, 0)), z)


def size(z: Pair) -> Any:
    """``|z|`` without overflow; infinite where a part is."""
    x, y = ar.abs(z.re), ar.abs(z.im)
    top, low = ar.max(x, y), ar.min(x, y)
    zero, one, inf = (constant(top, v) for v in (0, 1, np.inf))
    ratio = ar.div(low, where(ar.eq(top, zero), one, top))
    long = ar.mul(top, el.sqrt(ar.add(one, ar.mul(ratio, ratio))))
    infinite = ar.or_(ar.eq(x, inf), ar.eq(y, inf))
    return where(infinite, inf, long)


def sign(z: Pair) -> Pair:
    length = size(z)
    zero = ar.eq(length, constant(length, 0))
    return scaled(z, ar.div(constant(length, 1), where(zero, constant(length, 1), length)))


def integer_pow(z: Pair, y: int) -> Pair:
    """By repeated squaring; the reciprocal for negative ``y``."""
    if y < 0:
        return one_over(integer_pow(z, -y))
    out: Pair | None = None
    while y:
        if y & 1:
            out = z if out is None else mul(out, z)
        y >>= 1
        z = square(z) if y else z
    return out or Pair(full_like(z.re, 1), full_like(z.re, 0))
