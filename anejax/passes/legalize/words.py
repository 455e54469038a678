"""Rules for Core ML: integers of 32 bits without a sign, and operations on the bits of integers.

MIL has neither unsigned numbers of 32 bits nor operations on bits. So uint32 is written as int32 of the same bits
(``signed_words`` at the end of legalization), which is all that moving elements needs. Arithmetic and bits are computed
on halves: the upper and the lower 16 bits of each element, as numbers of int32, in which no sum and no product here
overflows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import DeviceArray
from anejax.core.trace import Tracer, aval_of
from anejax.errors import RefusedError
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.families import expand
from anejax.ops.index import GatherDimensionNumbers, gather_p
from anejax.passes.legalize.rules import as_it_is, note, noted

HALF = 1 << 16
I32 = np.dtype(np.int32)


@dataclass(frozen=True)
class Halves:
    """The bits of integers: ``rows`` is int32 [2, n], the upper 16 bits of each element and the lower ones.

    All bits from ``bits`` on are 0. ``lead`` is a constant that was put above the bits of ``rest``, if that is known.
    """

    rows: Any
    bits: int = 32
    lead: int = 0
    rest: Halves | None = None


# ---- int32 arithmetic that does not overflow


def number(x: Any, value: int) -> Any:
    """A constant of int32 in ``x``'s shape."""
    return expand(np.int32(value), aval_of(x).shape)


def floor(x: Any, by: Any) -> Any:
    """The quotient of numbers that are not negative."""
    if not isinstance(x, Tracer) and not isinstance(by, Tracer):
        return np.asarray(x) // np.asarray(by)
    return as_it_is(A.div_p, x, by if isinstance(by, Tracer) or np.shape(by) else number(x, by))


def rest(x: Any, by: Any) -> Any:
    """The remainder of numbers that are not negative."""
    if not isinstance(x, Tracer) and not isinstance(by, Tracer):
        return np.asarray(x) % np.asarray(by)
    return as_it_is(A.rem_p, x, by if isinstance(by, Tracer) or np.shape(by) else number(x, by))


def times(x: Any, factor: int) -> Any:
    return x if factor == 1 else A.mul(x, number(x, factor))


def whether(condition: Any) -> Any:
    """0 or 1."""
    return E.convert_element_type(condition, I32)


def below(x: Any, value: int) -> Any:
    return A.lt(x, number(x, value))


def looked_up(table: np.ndarray, at: Any) -> Any:
    """Elements of a table: Core ML's gather along its only axis."""
    shape = aval_of(at).shape
    numbers = GatherDimensionNumbers((), (0,), (0,))
    found = as_it_is(gather_p, table, S.reshape(at, (math.prod(shape), 1)), dimension_numbers=numbers, slice_sizes=(1,),
                     mode="clip", fill_value=None, unique_indices=False)  # fmt: skip
    return S.reshape(found, shape)


# ---- elements and halves


def width(dtype: np.dtype) -> int:
    return 8 * dtype.itemsize


def halves(x: Any) -> Halves:
    """The halves of integers of at most 32 bits."""
    known = noted(x, Halves)
    if known is not None:
        return known
    aval = aval_of(x)
    bits = width(aval.dtype)
    if bits > 32:
        raise RefusedError(f"[legalize] MIL has no integers of 64 bits, got {aval}.")
    if not isinstance(x, Tracer):
        value = np.asarray(x.value if isinstance(x, DeviceArray) else x).ravel()
        wide = value.view(f"u{aval.dtype.itemsize}").astype(np.int64)
        return Halves(np.stack([wide // HALF, wide % HALF]).astype(np.int32), int(wide.max(initial=0)).bit_length())
    y = S.reshape(_as_int32(x), (1, aval.size))
    if bits < 32:
        negative = whether(below(y, 0)) if aval.dtype.kind == "i" else None
        low = y if negative is None else A.add(y, times(negative, 1 << bits))
        return Halves(S.concatenate([number(y, 0), low], 0), bits)
    negative = whether(below(y, 0))
    y = A.add(A.add(y, times(negative, 2**31 - 1)), negative)  # without the first bit
    upper = A.add(floor(y, HALF), times(negative, HALF // 2))
    return Halves(S.concatenate([upper, rest(y, HALF)], 0))


def _as_int32(x: Any) -> Any:
    return x if aval_of(x).dtype == I32 else E.convert_element_type_p.bind(x, dtype=I32, weak_type=False)


def whole(h: Halves, shape: Sequence[int], dtype: np.dtype) -> Any:
    """Elements of ``dtype`` with these bits."""
    bits, size = width(dtype), math.prod(shape)
    h = h if h.bits <= bits else truncated(h, bits)
    upper, lower = parts(h)
    if bits < 32:
        out = lower
        if dtype.kind == "i":
            out = A.sub(out, times(whether(A.ge(out, number(out, 1 << (bits - 1)))), 1 << bits))
    else:
        if h.bits == 32:
            upper = A.sub(upper, times(whether(A.ge(upper, number(upper, HALF // 2))), HALF))
        out = A.add(times(upper, HALF), lower)
    out = expand(S.reshape(out, ()), tuple(shape)) if aval_of(out).size != size else S.reshape(out, tuple(shape))
    if dtype != I32:
        out = E.convert_element_type_p.bind(out, dtype=dtype, weak_type=False)
    return note(out, h) if aval_of(h.rows).shape[1] == size else out


def truncated(h: Halves, bits: int) -> Halves:
    """The lowest bits, of which there are at most 16."""
    _, lower = parts(h)
    return Halves(S.concatenate([number(lower, 0), rest(lower, 1 << bits)], 0), bits)


def parts(h: Halves) -> tuple[Any, Any]:
    """The upper and the lower half: int32 [1, n] each."""
    upper, lower = (S.slice_in_dim(h.rows, i, i + 1) for i in (0, 1))
    return upper, lower


def alike(*given: Any) -> list[Any]:
    """Arrays of two rows, of which those of one column are repeated as often as the others are long."""
    n = max(aval_of(g).shape[1] for g in given)
    return [g if aval_of(g).shape[1] == n else S.broadcast_in_dim(g, (2, n), (0, 1)) for g in given]


def raised(rows: Any) -> Any:
    """The lower halves in the place of the upper ones."""
    _, lower = parts(Halves(rows))
    return S.concatenate([lower, number(lower, 0)], 0)


def lowered(rows: Any) -> Any:
    """The upper halves in the place of the lower ones."""
    upper, _ = parts(Halves(rows))
    return S.concatenate([number(upper, 0), upper], 0)


# ---- bits


_PAIRS = np.arange(1 << 8, dtype=np.int32)
_XOR = (_PAIRS[:, None] ^ _PAIRS).ravel()  # exclusive or of two bytes a and b, at 256 a + b


def xor(a: Halves, b: Halves) -> Halves:
    x, y = alike(a.rows, b.rows)
    if not isinstance(x, Tracer) and not isinstance(y, Tracer):
        return Halves(np.asarray(x) ^ np.asarray(y), max(a.bits, b.bits))
    low, other = rest(x, 256), rest(y, 256)
    upper = A.add(A.sub(x, low), floor(y, 256))
    lower = A.add(times(low, 256), other)
    return Halves(A.add(times(looked_up(_XOR, upper), 256), looked_up(_XOR, lower)), max(a.bits, b.bits))


def both(a: Halves, b: Halves) -> Halves:
    x, y = alike(a.rows, b.rows)
    return Halves(floor(A.sub(A.add(x, y), xor(a, b).rows), 2), min(a.bits, b.bits))


def either(a: Halves, b: Halves) -> Halves:
    for lead, small in ((_constant(a), b), (_constant(b), a)):
        if lead is not None and lead % (1 << small.bits) == 0:
            return Halves(A.add(*alike(a.rows, b.rows)), max(a.bits, b.bits), lead, small)
    x, y = alike(a.rows, b.rows)
    return Halves(floor(A.add(A.add(x, y), xor(a, b).rows), 2), max(a.bits, b.bits))


def _constant(h: Halves) -> int | None:
    """The number that all elements are."""
    if isinstance(h.rows, Tracer) or not np.size(h.rows):
        return None
    first = np.asarray(h.rows)[:, :1]
    return int(first[0, 0]) * HALF + int(first[1, 0]) if (h.rows == first).all() else None


def opposite(h: Halves) -> Halves:
    """All 32 bits changed."""
    return Halves(A.sub(number(h.rows, HALF - 1), h.rows))


def expand_rows(column: np.ndarray, like: Any) -> Any:
    """Two numbers, of int32 [2, 1], in ``like``'s shape."""
    return S.broadcast_in_dim(column, aval_of(like).shape, (0, 1))


def left(h: Halves, count: int) -> Halves:
    rows, count = (raised(h.rows), count - 16) if count >= 16 else (h.rows, count)
    return Halves(_left(rows, 1 << count, HALF >> count) if count else rows)


def _left(rows: Any, power: Any, room: Any) -> Any:
    up = rest(rows, room)
    up = times(up, power) if isinstance(power, int) else A.mul(up, power)
    return A.add(up, raised(floor(rows, room)))


def right(h: Halves, count: int) -> Halves:
    rows, by = (lowered(h.rows), count - 16) if count >= 16 else (h.rows, count)
    return Halves(_right(rows, 1 << by, HALF >> by) if by else rows, max(h.bits - count, 0))


def _right(rows: Any, power: Any, room: Any) -> Any:
    down = rest(rows, power)
    down = times(down, room) if isinstance(room, int) else A.mul(down, room)
    return A.add(floor(rows, power), lowered(down))


def rotated(h: Halves, by: int) -> Halves:
    """To the left; what leaves at one end comes in at the other."""
    over = lambda rows: S.rev(rows, (0,))  # noqa: E731
    rows, by = (over(h.rows), by - 16) if by >= 16 else (h.rows, by)
    if not by:
        return Halves(rows)
    return Halves(A.add(times(rest(rows, HALF >> by), 1 << by), over(floor(rows, HALF >> by))))


_POWERS = (1 << np.arange(16)).astype(np.int32)


def shifted(h: Halves, count: Any, to_left: bool) -> Halves:
    """Bits moved by ``count``, int32 [1, n] from 0 to 31."""
    doubled = S.concatenate([count, count], 0)
    rows, doubled = alike(h.rows, doubled)
    moved = raised(rows) if to_left else lowered(rows)
    rows = A.select_n(A.ge(doubled, number(doubled, 16)), rows, moved)
    power = looked_up(_POWERS, rest(doubled, 16))
    room = floor(number(power, HALF), power)
    return Halves((_left if to_left else _right)(rows, power, room))


# ---- arithmetic


def carried(rows: Any) -> Halves:
    """Sums of halves, of which each half's upper bits belong to the next one."""
    rows = A.add(rows, raised(floor(rows, HALF)))
    return Halves(rest(rows, HALF))


def plus(a: Halves, b: Halves) -> Halves:
    return carried(A.add(*alike(a.rows, b.rows)))


def minus(a: Halves, b: Halves) -> Halves:
    x, y = alike(a.rows, b.rows)
    difference = A.add(A.sub(x, y), expand_rows(np.array([[HALF - 1], [HALF]], np.int32), x))
    return carried(difference)


def product(a: Halves, b: Halves) -> Halves:
    """A product by bytes of ``b``, since products of halves have 32 bits."""
    x, y = alike(a.rows, b.rows)
    upper, lower = parts(Halves(x))
    of_lower = _times_half(lower, parts(Halves(y))[1])
    cross = [_times_half(v, w)[1] for v, w in ((upper, parts(Halves(y))[1]), (lower, parts(Halves(y))[0]))]
    high = A.add(of_lower[0], A.add(*cross))
    return Halves(S.concatenate([rest(high, HALF), of_lower[1]], 0))


def _times_half(x: Any, y: Any) -> tuple[Any, Any]:
    """The halves of a product of two halves."""
    by_low, by_high = A.mul(x, rest(y, 256)), A.mul(x, floor(y, 256))
    low = A.add(rest(by_low, HALF), times(rest(by_high, 256), 256))
    high = A.add(A.add(floor(by_low, HALF), floor(by_high, 256)), floor(low, HALF))
    return high, rest(low, HALF)


def as_float(h: Halves, shape: Sequence[int], dtype: np.dtype) -> Any:
    """The nearest float32, or that one's nearest float16."""
    return E.convert_element_type(S.reshape(nearest_single(h), tuple(shape)), dtype)


def nearest_single(h: Halves) -> Any:
    """The nearest float32: [1, n]. It is exact for numbers of at most 24 bits."""
    upper, lower = (E.convert_element_type(p, dtypes.float32) for p in parts(h))
    return A.add(A.mul(upper, expand(np.float32(HALF), aval_of(upper).shape)), lower)


def of_float(x: Any) -> Halves:
    """Truncated, and saturated as lax does."""
    x = E.convert_element_type(x, dtypes.float32)
    x = S.reshape(x, (1, aval_of(x).size))
    wide = lambda v: expand(np.float32(v), aval_of(x).shape)  # noqa: E731
    x = A.select_n(A.gt(x, wide(0)), wide(0), x)  # NaN, too, is 0
    most = np.nextafter(np.float32(2.0**32), np.float32(0))
    size = A.floor(A.min(x, wide(most)))
    upper = A.floor(A.mul(size, wide(1 / HALF)))
    lower = A.sub(size, A.mul(upper, wide(HALF)))
    rows = S.concatenate([E.convert_element_type(upper, I32), E.convert_element_type(lower, I32)], 0)
    full = S.concatenate([A.ge(x, wide(2.0**32))] * 2, 0)
    return Halves(A.select_n(full, rows, number(rows, HALF - 1)))
