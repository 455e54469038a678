"""Rules for Core ML: operations on the bits of integers and floats, and random bits, on halves (words.py)."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.primitive import Refused
from anejax.core.trace import aval_of
from anejax.errors import RefusedError
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import reduce as R
from anejax.ops import shape as S
from anejax.ops.families import INT, expand
from anejax.ops.random import PARITY, ROTATIONS
from anejax.passes.legalize import words as W
from anejax.passes.legalize.bools import is_bool
from anejax.passes.legalize.elementwise import everywhere
from anejax.passes.legalize.halving import reduced
from anejax.passes.legalize.rules import RULES, rule
from anejax.passes.legalize.words import Halves, halves, number, parts, whole

COREML = ("coreml",)


def _logic(name: str, combine: Any) -> None:
    @rule(name, targets=COREML)
    def of_integers(x: Any, y: Any) -> Any:
        if is_bool(x):
            return NotImplemented
        return whole(combine(halves(x), halves(y)), aval_of(x).shape or aval_of(y).shape, aval_of(x).dtype)


for _name, _combine in (("and", W.both), ("or", W.either), ("xor", W.xor)):
    _logic(_name, _combine)


def _shift(name: str, to_left: bool) -> None:
    @rule(name, targets=COREML)
    def shift(x: Any, y: Any) -> Any:
        dtype, shape = aval_of(x).dtype, aval_of(x).shape or aval_of(y).shape
        count, h = everywhere(y), halves(x)
        if count is not None:
            far = not 0 <= count < W.width(dtype)
            moved = Halves(number(h.rows, 0), 0) if far else (W.left if to_left else W.right)(h, int(count))
            return whole(moved, shape, dtype)
        counts, outside = _counts(y, W.width(dtype))
        moved = W.shifted(h, counts, to_left).rows
        _, outside, moved = W.alike(moved, S.concatenate([outside, outside], 0), moved)
        return whole(Halves(A.select_n(outside, moved, number(moved, 0))), shape, dtype)


def _counts(y: Any, bits: int) -> tuple[Any, Any]:
    """The distances of a shift, [1, n], with 0 for distances that shift all bits out, and a mask of these."""
    counts = E.convert_element_type(y, np.int32)
    counts = S.reshape(counts, (1, aval_of(counts).size))
    inside = A.and_p.bind(A.ge(counts, number(counts, 0)), A.lt(counts, number(counts, bits)))
    return A.select_n(inside, number(counts, 0), counts), A.eq(W.whether(inside), number(counts, 0))


_shift("shift_left", True)
_shift("shift_right_logical", False)


@rule("shift_right_arithmetic", targets=COREML)
def _arithmetic(x: Any, y: Any) -> Any:
    """Numbers below 0 are shifted as their opposites, which are not."""
    aval = aval_of(x)
    shape = aval.shape or aval_of(y).shape
    signed = np.dtype(f"int{W.width(aval.dtype)}")
    x, y = expand(x, shape), expand(y, shape)
    wide = E.convert_element_type(same_bits(x, signed), np.int32)
    negative = A.lt(wide, number(wide, 0))
    size = A.select_n(negative, wide, A.sub(number(wide, -1), wide))
    counts, outside = _counts(y, W.width(aval.dtype))
    counts = S.reshape(A.select_n(outside, counts, number(counts, 31)), shape)
    moved = A.shift_right_logical_p.bind(size, counts)
    moved = A.select_n(negative, moved, A.sub(number(moved, -1), moved))
    return same_bits(E.convert_element_type(moved, signed), aval.dtype)


def same_bits(x: Any, dtype: np.dtype) -> Any:
    """The same bits as another integer."""
    return x if aval_of(x).dtype == dtype else E.bitcast_convert_type(x, dtype)


def _bytes(h: Halves) -> Any:
    """int32 [4, n], the highest byte first."""
    upper, lower = parts(h)
    return S.concatenate([W.floor(upper, 256), W.rest(upper, 256), W.floor(lower, 256), W.rest(lower, 256)], 0)


_COUNTS = np.array([n.bit_count() for n in range(256)], np.int32)
_LENGTHS = np.array([n.bit_length() for n in range(256)], np.int32)
_BELOW = np.array([[24], [16], [8], [0]], np.int32)


@rule("population_count", targets=COREML)
def _population_count(x: Any) -> Any:
    aval = aval_of(x)
    count = R.reduce_sum(W.looked_up(_COUNTS, _bytes(halves(x))), (0,))
    return E.convert_element_type(S.reshape(count, aval.shape), aval.dtype)


@rule("clz", targets=COREML)
def _clz(x: Any) -> Any:
    aval = aval_of(x)
    length = W.looked_up(_LENGTHS, _bytes(halves(x)))
    below = S.broadcast_in_dim(_BELOW, aval_of(length).shape, (0, 1))
    length = R.reduce_max(A.select_n(A.gt(length, number(length, 0)), length, A.add(length, below)), (0,))
    return E.convert_element_type(S.reshape(A.sub(number(length, W.width(aval.dtype)), length), aval.shape), aval.dtype)


# ---- reductions


def _reduction(name: str, prim: Any) -> None:
    through_numbers = RULES.get((name, "coreml"))

    @rule(name, targets=COREML)
    def reduction(x: Any, *, axes: tuple[int, ...]) -> Any:
        if is_bool(x) and through_numbers is not None and not isinstance(through_numbers, Refused):
            return through_numbers(x, axes=axes)
        return reduced(x, axes, prim.bind)


for _name, _prim in (("reduce_and", A.and_p), ("reduce_or", A.or_p), ("reduce_xor", A.xor_p)):
    _reduction(_name, _prim)


# ---- bits of floats


@rule("bitcast_convert_type", targets=COREML)
def _bitcast(x: Any, *, dtype: np.dtype) -> Any:
    have, shape = aval_of(x).dtype, aval_of(x).shape
    if have == dtype:
        return x
    if {have, dtype} == {np.dtype(np.int32), np.dtype(np.uint32)}:
        return E.convert_element_type_p.bind(x, dtype=dtype, weak_type=False)
    if dtype in INT and have in INT:
        return whole(halves(x), shape, dtype)
    if dtype in _FLOATS and have in INT:
        return S.reshape(_float_of(halves(x), dtype), shape)
    if have in _FLOATS and dtype in INT:
        return whole(_bits_of(S.reshape(x, (1, aval_of(x).size))), shape, dtype)
    raise RefusedError(f"[legalize] MIL has no {have if dtype in INT else dtype}, whose bits are asked for.")


_FLOATS = (dtypes.float32, dtypes.float16)


@rule("nextafter", targets=COREML)
def _nextafter(x: Any, y: Any) -> Any:
    """The bits of x as an integer, one more for a larger size and one less for a smaller one (IEEE 754, 5.3.1)."""
    dtype, shape = aval_of(x).dtype, aval_of(x).shape or aval_of(y).shape
    if dtype not in _FLOATS:
        raise RefusedError(f"[legalize] MIL has no {dtype}, whose next number is asked for.")
    x, y = expand(x, shape), expand(y, shape)
    bits = np.dtype(f"int{W.width(dtype)}")
    at = E.convert_element_type(E.bitcast_convert_type(x, bits), np.int32)
    zero = expand(np.zeros((), dtype), shape)
    grows = A.eq(W.whether(A.gt(y, x)), W.whether(A.gt(x, zero)))
    moved = A.add(at, A.select_n(grows, number(at, -1), number(at, 1)))
    least = A.select_n(A.lt(y, zero), number(at, 1), number(at, 1 - 2 ** (W.width(dtype) - 1)))
    moved = A.select_n(A.eq(x, zero), moved, least)
    found = E.bitcast_convert_type(E.convert_element_type(moved, bits), dtype)
    known = A.and_p.bind(A.eq(x, x), A.eq(y, y))
    return A.select_n(A.eq(x, y), A.select_n(known, A.add(x, y), found), y)


def _float_of(h: Halves, dtype: np.dtype) -> Any:
    """The floats of these bits, [1, n]. Exact, except for the payload of NaN."""
    info = np.finfo(dtype)
    if h.rest is not None and h.rest.bits <= info.nmant and h.lead % (1 << info.nmant) == 0:
        lead = np.asarray(h.lead, f"uint{info.bits}").view(dtype)
        if np.isfinite(lead) and abs(lead) >= info.smallest_normal:
            return _above(h.rest, float(lead), dtype)
    upper, lower = parts(h)
    if dtype == dtypes.float16:
        sign, rest, exponent = W.floor(lower, 1 << 15), W.rest(lower, 1 << 10), W.floor(lower, 1 << 10)
        size = E.convert_element_type(rest, dtype)
    else:
        sign, rest, exponent = W.floor(upper, 1 << 15), W.rest(upper, 1 << 7), W.floor(upper, 1 << 7)
        size = W.nearest_single(Halves(S.concatenate([rest, lower], 0)))
    last = 2 ** (info.bits - 1 - info.nmant) - 1
    exponent = W.rest(exponent, last + 1)
    normal, special = A.gt(exponent, number(exponent, 0)), A.eq(exponent, number(exponent, last))
    powers = np.array([info.smallest_normal, *(2.0 ** (k - last // 2) for k in range(1, last)), 2.0 ** (last // 2)])
    like = lambda v: expand(np.asarray(v, dtype), aval_of(size).shape)  # noqa: E731
    fraction = A.add(A.mul(size, like(2.0**-info.nmant)), E.convert_element_type(normal, dtype))
    value = A.mul(fraction, W.looked_up(powers.astype(dtype), exponent))
    value = A.select_n(special, value, A.mul(value, like(2)))  # infinity: the greatest power of two, doubled
    value = A.select_n(A.and_p.bind(special, A.gt(size, like(0))), value, like(np.nan))
    return A.select_n(A.gt(sign, number(sign, 0)), value, A.neg(value))


def _above(h: Halves, lead: float, dtype: np.dtype) -> Any:
    """``lead`` with these bits as its mantissa."""
    step = abs(lead) * 2.0 ** -np.finfo(dtype).nmant
    size = W.nearest_single(h) if dtype == dtypes.float32 else E.convert_element_type(parts(h)[1], dtype)
    like = lambda v: expand(np.asarray(v, dtype), aval_of(size).shape)  # noqa: E731
    return A.add(like(lead), A.mul(size, like(np.copysign(step, lead))))


def _bits_of(x: Any) -> Halves:
    """The bits of floats [1, n]: the exponent by comparisons with powers of two. A NaN is the quiet one."""
    half = aval_of(x).dtype == dtypes.float16
    info = np.finfo(np.float16 if half else np.float32)
    x = E.convert_element_type(x, dtypes.float32)
    like = lambda v: expand(np.float32(v), aval_of(x).shape)  # noqa: E731
    size = A.abs(x)
    tiny, number_ = A.lt(size, like(info.smallest_normal)), A.eq(x, x)
    infinite = A.gt(size, like(float(info.max)))
    ordinary = A.and_p.bind(A.ge(size, like(info.smallest_normal)), A.le(size, like(float(info.max))))
    left = A.select_n(ordinary, like(1), size)
    exponent = expand(np.int32(2 ** (info.bits - 2 - info.nmant) - 1), aval_of(x).shape)
    for k in (64, 32, 16, 8, 4, 2, 1):
        large, small = A.ge(left, like(2.0**k)), A.lt(left, like(2.0 ** (1 - k)))
        change = A.sub(W.whether(large), W.whether(small))
        exponent = A.add(exponent, W.times(change, k))
        left = A.select_n(large, A.select_n(small, left, A.mul(left, like(2.0**k))), A.mul(left, like(2.0**-k)))
    steps = 2.0**info.nmant
    mantissa = A.mul(A.sub(left, like(1)), like(steps))
    below = A.mul(A.mul(A.select_n(tiny, like(0), size), like(1 / info.smallest_normal)), like(steps))
    mantissa = A.select_n(tiny, A.select_n(ordinary, like(0), mantissa), below)
    exponent = A.select_n(tiny, A.select_n(ordinary, number(exponent, 2 ** (info.bits - 1 - info.nmant) - 1), exponent),
                          number(exponent, 0))  # fmt: skip
    mantissa = A.select_n(number_, like(steps / 2), mantissa)
    exponent = A.select_n(
        A.or_p.bind(infinite, A.ne(x, x)), exponent, number(exponent, 2 ** (info.bits - 1 - info.nmant) - 1)
    )
    sign = A.or_p.bind(A.lt(x, like(0)), A.and_p.bind(A.eq(x, like(0)), A.lt(A.div(like(1), x), like(0))))
    return _packed(W.whether(sign), exponent, mantissa, info)


def _packed(sign: Any, exponent: Any, mantissa: Any, info: Any) -> Halves:
    """The parts of floats as bits."""
    if info.bits == 16:
        low = E.convert_element_type(mantissa, np.int32)
        low = A.add(A.add(low, W.times(exponent, 1 << 10)), W.times(sign, 1 << 15))
        return Halves(S.concatenate([number(low, 0), low], 0), 16)
    like = lambda v: expand(np.float32(v), aval_of(mantissa).shape)  # noqa: E731
    upper = A.floor(A.mul(mantissa, like(1 / W.HALF)))
    lower = E.convert_element_type(A.sub(mantissa, A.mul(upper, like(W.HALF))), np.int32)
    upper = A.add(E.convert_element_type(upper, np.int32), W.times(exponent, 1 << 7))
    return Halves(S.concatenate([A.add(upper, W.times(sign, 1 << 15)), lower], 0))


# ---- random bits


@rule("threefry2x32", targets=COREML)
def _threefry(*words: Any) -> list[Any]:
    """As ops/random.py has it, on halves."""
    shape = next((aval_of(w).shape for w in words if aval_of(w).shape), ())
    k0, k1, x0, x1 = map(halves, words)
    keys = (k0, k1, W.xor(W.xor(k0, k1), halves(PARITY)))
    a, b = W.plus(x0, keys[0]), W.plus(x1, keys[1])
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            a = W.plus(a, b)
            b = W.xor(W.rotated(b, by), a)
        a = W.plus(a, keys[(group + 1) % 3])
        b = W.plus(b, W.plus(keys[(group + 2) % 3], halves(np.uint32(group + 1))))
    return [whole(out, shape, np.dtype(np.uint32)) for out in (a, b)]
