"""Operations on the bits of integers and floats, and random bits.

Core AI has neither shifts nor a bit cast, so they are written as arithmetic.
"""

from __future__ import annotations

import numpy as np

from anejax.coreai.operands import Operation, writes
from anejax.coreai.text import Tensor, absent
from anejax.coreai.words import I32, U32, Writer

_SINGLE = np.dtype(np.float32)
_FIRST_NORMAL, _QUIET_NAN, _INFINITY = 2.0**-126, 0x7FC00000, 0x7F800000


@writes("aj_shift_left", "aj_shift_right_logical", "aj_shift_right_arithmetic")
def _shift(w: Writer, op: Operation) -> Tensor:
    """A shift by products and quotients with powers of two; shifts by the width or more give 0, or the sign."""
    x, count = op.tensor("x"), op.tensor("y")
    bits, given = 8 * x.dtype.itemsize, x.dtype
    unsigned, signed = np.dtype(f"uint{bits}"), np.dtype(f"int{bits}")
    count = w.cast(count, I32) if bits < 64 else count
    far = w.either(w.is_negative(count), w.greater(count, w.like(bits - 1, count)))
    count = w.where(far, w.like(0, count), count)

    def power(dtype: np.dtype) -> Tensor:
        table = (np.uint64(1) << np.arange(bits, dtype=np.uint64)).astype(unsigned).view(dtype)
        return w.taken(w.constant(table), w.cast(count, I32))

    if op.name == "aj_shift_left":
        return w.where(far, w.like(0, x), w.mul(x, power(given)))
    if op.name == "aj_shift_right_logical":
        y = w.cast(x, unsigned)
        return w.cast(w.where(far, w.like(0, y), w.divide(y, power(unsigned))), given)
    y = w.cast(x, signed)
    last = w.either(far, w.equal(count, w.like(bits - 1, count)))  # 2 ** (bits - 1) is negative there
    sign = w.where(w.is_negative(y), w.like(-1, y), w.like(0, y))
    part = w.binary("floor_divide", y, w.where(last, w.like(1, y), power(signed)))
    return w.cast(w.where(last, sign, part), given)


def _u(w: Writer, value: int) -> Tensor:
    return w.constant(np.uint32(value))


def _right(w: Writer, x: Tensor, count: int) -> Tensor:
    """uint32 shifted right by a constant."""
    return w.divide(x, _u(w, 1 << count))


def _population(w: Writer, x: Tensor) -> Tensor:
    """The number of set bits of uint32 (Warren, Hacker's Delight, 5-1)."""
    masked = lambda v, mask: w.binary("bitwise_and", v, _u(w, mask))  # noqa: E731
    x = w.sub(x, masked(_right(w, x, 1), 0x55555555))
    x = w.add(masked(x, 0x33333333), masked(_right(w, x, 2), 0x33333333))
    x = masked(w.add(x, _right(w, x, 4)), 0x0F0F0F0F)
    return _right(w, w.mul(x, _u(w, 0x01010101)), 24)


def _as_uint32(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    if x.dtype.itemsize > 4:
        absent(f"{op.name.removeprefix('aj_')} of 64 bits")
    return w.cast(w.cast(x, f"uint{8 * x.dtype.itemsize}"), U32)


@writes("aj_population_count")
def _population_count(w: Writer, op: Operation) -> Tensor:
    return w.cast(_population(w, _as_uint32(w, op)), op.dtype)


@writes("aj_clz")
def _clz(w: Writer, op: Operation) -> Tensor:
    x = _as_uint32(w, op)
    for count in (1, 2, 4, 8, 16):  # all bits below the first one are set
        x = w.binary("bitwise_or", x, _right(w, x, count))
    return w.cast(w.sub(_u(w, 8 * op.dtype.itemsize), _population(w, x)), op.dtype)


@writes("aj_bitcast_convert_type")
def _bitcast(w: Writer, op: Operation) -> Tensor:
    x, dtype = op.tensor(), op.dtype
    if not x.is_float and dtype.kind in "iu":
        return w.cast(x, dtype)
    if dtype == _SINGLE:
        return _from_bits(w, w.cast(x, U32))
    if x.dtype == _SINGLE:
        return w.cast(_to_bits(w, x), dtype)
    return absent(f"bits of {x.dtype} as {dtype}")


def _from_bits(w: Writer, bits: Tensor) -> Tensor:
    """The float32 of uint32: (mantissa + 1) times a power of two from a table."""
    mantissa = w.cast(w.binary("bitwise_and", bits, _u(w, 0x7FFFFF)), _SINGLE)
    exponent = w.cast(w.binary("bitwise_and", _right(w, bits, 23), _u(w, 255)), I32)
    table = np.array([_FIRST_NORMAL, *(2.0 ** (k - 127) for k in range(1, 255)), np.inf], _SINGLE)
    lead = w.cast(w.greater(exponent, w.index(0)), _SINGLE)
    value = w.mul(w.add(w.mul(mantissa, w.like(2.0**-23, mantissa)), lead), w.taken(w.constant(table), exponent))
    nan = w.both(w.equal(exponent, w.index(255)), w.greater(mantissa, w.like(0, mantissa)))
    value = w.where(nan, w.like(np.nan, value), value)
    return w.where(w.greater(bits, _u(w, 0x7FFFFFFF)), w.neg(value), value)


def _to_bits(w: Writer, x: Tensor) -> Tensor:
    """float32 as int32: the exponent by comparisons with powers of two, the mantissa by an exact cast. Exact except
    for the payload of NaN."""
    size = w.unary("abs", x)
    tiny, infinite = w.greater(w.like(_FIRST_NORMAL, x), size), w.equal(size, w.like(np.inf, x))
    number = w.equal(x, x)
    rest = w.where(w.both(number, w.opposite(w.either(tiny, infinite))), size, w.like(1, x))
    exponent = w.broadcast(w.index(127), x.shape)
    for k in (64, 32, 16, 8, 4, 2, 1):
        large = w.greater(rest, w.like(np.nextafter(np.float32(2.0**k), np.float32(0)), x))
        rest = w.where(large, w.mul(rest, w.like(2.0**-k, x)), rest)
        exponent = w.where(large, w.add(exponent, w.index(k)), exponent)
    for k in (64, 32, 16, 8, 4, 2, 1):
        small = w.greater(w.like(2.0 ** (1 - k), x), rest)
        rest = w.where(small, w.mul(rest, w.like(2.0**k, x)), rest)
        exponent = w.where(small, w.sub(exponent, w.index(k)), exponent)
    whole = lambda v: w.op("cast", v, out=(v.shape, I32))  # noqa: E731
    one = w.index(1 << 23)
    normal = w.add(w.mul(exponent, one), w.sub(whole(w.mul(rest, w.like(2.0**23, x))), one))
    scaled = w.mul(w.where(tiny, size, w.like(0, x)), w.like(2.0**100, x))
    scaled = w.binary("maximum", scaled, w.like(-1, x))  # or both factors are folded into 2 ** 149 (hazard 2)
    bits = w.where(tiny, whole(w.mul(scaled, w.like(2.0**49, x))), normal)
    bits = w.where(infinite, w.index(_INFINITY), bits)
    negative = w.either(w.is_negative(x), w.is_negative(w.divide(w.like(1, x), x)))
    bits = w.where(negative, w.add(bits, w.index(-(2**31))), bits)
    return w.where(number, bits, w.index(_QUIET_NAN))


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


@writes("aj_threefry2x32")
def _threefry(w: Writer, op: Operation) -> list[Tensor]:
    """Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011): 20 rounds."""
    k0, k1, x0, x1 = (op.tensor(n) for n in ("k0", "k1", "x0", "x1"))
    xor = lambda a, b: w.binary("bitwise_xor", a, b)  # noqa: E731
    keys = [k0, k1, xor(xor(k0, k1), _u(w, _PARITY))]
    x0, x1 = w.add(x0, keys[0]), w.add(x1, keys[1])
    for i in range(5):
        for count in _ROTATIONS[i % 2]:
            x0 = w.add(x0, x1)
            rotated = w.binary("bitwise_or", w.mul(x1, _u(w, 1 << count)), _right(w, x1, 32 - count))
            x1 = xor(rotated, x0)
        x0, x1 = w.add(x0, keys[(i + 1) % 3]), w.add(w.add(x1, keys[(i + 2) % 3]), _u(w, i + 1))
    return [x0, x1]
