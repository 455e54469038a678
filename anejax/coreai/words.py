"""The building blocks from which operations are translated to Core AI, safe from rewrites of its compiler.

The compiler rewrites some arithmetic wrongly. docs/export.md numbers these hazards, the remedies here have the same
numbers, and a test for each runs the text on Apple's runtime. Hazard 2 is avoided here for all operations: the compiler
reassociates sums and products of floats with constants, so ``(x + c) - c`` becomes x. If such an operation made a value
(``shifted``), the value is copied before the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from anejax.coreai.text import Block, Dims, Tensor
from anejax.dtypes import finfo

BROADCASTING = "decomposable.broadcasting_"  # coreai.NAME itself wants equal shapes
ASSOCIATED = frozenset({"add", "sub", "mul", "divide"})
MOVES = frozenset({"reshape", "broadcast_to", "transpose", "slice", "reverse"})
I32, U32, BOOL = np.dtype(np.int32), np.dtype(np.uint32), np.dtype(np.bool_)
EMPTY_REDUCTIONS = {"reduce_sum": 0, "reduce_product": 1, "all": True, "any": False, "reduce_mean": np.nan}


class Writer(Block):
    """A block, and words that write one or several operations into it."""

    # ---- constants

    def like(self, value: Any, x: Tensor) -> Tensor:
        """A scalar of the dtype of ``x``."""
        return self.constant(np.asarray(value).astype(x.dtype))

    def index(self, values: Any) -> Tensor:
        """Axes, begins and ends, indices."""
        return self.constant(np.asarray(values, I32))

    def sizes(self, values: Any) -> Tensor:
        """Permutations, repetitions, paddings, strides."""
        return self.constant(np.asarray(values, U32))

    # ---- elementwise

    def unary(self, name: str, x: Tensor, attributes: str = "") -> Tensor:
        return self.op(name, x, out=(x.shape, x.dtype), attributes=attributes)

    def binary(self, name: str, x: Tensor, y: Tensor, dtype: Any = None) -> Tensor:
        shape = np.broadcast_shapes(x.shape, y.shape)
        if name not in ASSOCIATED or not x.is_float or not (x.fixed or y.fixed):
            return self.op(BROADCASTING + name, x, y, out=(shape, dtype or x.dtype))
        x, y = (self.copied(v) if v.shifted else v for v in (x, y))
        made = self.op(BROADCASTING + name, x, y, out=(shape, x.dtype))
        made.shifted = True
        return made

    def op(self, name: str, *operands: Tensor, out: tuple[Iterable[int], Any], attributes: str = "") -> Tensor:
        """As Block.op; moved elements are as fixed, or as shifted, as they were."""
        made = super().op(name, *operands, out=out, attributes=attributes)
        if name in MOVES:
            made.fixed, made.shifted = operands[0].fixed, operands[0].shifted
        return made

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return self.binary("add", x, y)

    def sub(self, x: Tensor, y: Tensor) -> Tensor:
        return self.binary("sub", x, y)

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        return self.binary("mul", x, y)

    def neg(self, x: Tensor) -> Tensor:
        return self.sub(self.like(0, x), x) if x.dtype.kind == "u" else self.mul(x, self.like(-1, x))

    def greater(self, x: Tensor, y: Tensor) -> Tensor:
        return self.binary("greater", x, y, BOOL)

    def equal(self, x: Tensor, y: Tensor) -> Tensor:
        if x.is_bool:
            return self.opposite(self.binary("xor", x, y))
        return self.binary("equal", x, y, BOOL)

    def opposite(self, x: Tensor) -> Tensor:
        return self.unary("not", x)

    def both(self, x: Tensor, y: Tensor) -> Tensor:
        return self.binary("and", x, y)

    def either(self, x: Tensor, y: Tensor) -> Tensor:
        return self.binary("or", x, y)

    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
        shape = np.broadcast_shapes(condition.shape, x.shape, y.shape)
        return self.op(f"{BROADCASTING}where", condition, x, y, out=(shape, x.dtype))

    def flipped(self, x: Tensor) -> Tensor:
        """All bits of integers turned round."""
        return self.binary("bitwise_xor", x, self.constant(~np.zeros((), x.dtype)))

    def is_negative(self, x: Tensor) -> Tensor:
        return self.greater(self.like(0, x), x)

    def divide(self, x: Tensor, y: Tensor) -> Tensor:
        """x / y; of integers the quotient without its fraction, for y that is neither 0 nor, with the least x, -1.

        Integers are divided by floor_divide: constant factors of divide are folded (hazard 1).
        """
        if x.is_float:
            return self.binary("divide", x, y)
        quotient = self.binary("floor_divide", x, y)
        if x.dtype.kind == "u":
            return quotient
        inexact = self.opposite(self.equal(self.binary("modulo", x, y), self.like(0, x)))
        apart = self.binary("xor", self.is_negative(x), self.is_negative(y))
        return self.where(self.both(inexact, apart), self.add(quotient, self.like(1, quotient)), quotient)

    def divisor(self, y: Tensor) -> Tensor:
        """``y`` with 1 in place of 0, because integer division by zero ends the process (hazard 5)."""
        return self.where(self.equal(y, self.like(0, y)), self.like(1, y), y)

    def copied(self, x: Tensor) -> Tensor:
        """Copies ``x`` by an operation, because a loop must compute its carries in the last turn (hazard 18)."""
        return self.binary("bitwise_or" if x.is_bool else "maximum", x, x)

    def cast(self, x: Tensor, dtype: Any) -> Tensor:
        """As lax.convert_element_type: integers wrap, floats lose their fraction and saturate."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        if dtype == BOOL:
            return self.binary("not_equal", x, self.like(0, x), BOOL)
        if x.dtype.kind in "iu" and dtype.kind in "iu" and not np.can_cast(x.dtype, dtype):
            return self._wrapped(x, dtype)
        if x.is_float and dtype.kind in "iu" and dtype.itemsize >= x.dtype.itemsize:
            x = self._whole(x, dtype)
        return self.op("cast", x, out=(x.shape, dtype))

    def _wrapped(self, x: Tensor, dtype: np.dtype) -> Tensor:
        """Core AI's cast of integers saturates (hazard 8): the low bits are taken of 64."""
        bits = 8 * dtype.itemsize
        wide = x if x.dtype.itemsize == 8 else self.op("cast", x, out=(x.shape, np.int64))
        if bits == 64:
            return self._other_sign(wide, dtype)
        wide = self.binary("bitwise_and", wide, self.like(2**bits - 1, wide))
        if dtype.kind == "i":
            high = self.greater(wide, self.like(2 ** (bits - 1) - 1, wide))
            wide = self.where(high, self.sub(wide, self.like(2**bits, wide)), wide)
        return self.op("cast", wide, out=(x.shape, dtype))

    def _other_sign(self, x: Tensor, dtype: np.dtype) -> Tensor:
        """int64 as uint64 or back: what the other one lacks is moved by 2 ** 63 before the cast and after it."""
        outside = self.greater(x, self.like(2**63 - 1, x)) if x.dtype.kind == "u" else self.is_negative(x)
        top = lambda t: self.constant(np.asarray(1 << 63, np.uint64).astype(t))  # noqa: E731
        moved = self.op("cast", self.binary("bitwise_xor", x, top(x.dtype)), out=(x.shape, dtype))
        back = self.binary("bitwise_xor", moved, top(dtype))
        return self.where(outside, back, self.op("cast", x, out=(x.shape, dtype)))

    def _whole(self, x: Tensor, dtype: np.dtype) -> Tensor:
        """``x`` without its fraction, inside the bounds of ``dtype``, and 0 for NaN: float to integer and back is
        folded to nothing otherwise (hazard 3)."""
        has_fraction = self.greater(self.like(2.0 ** finfo(x.dtype).nmant, x), self.unary("abs", x))
        x = self.where(self.equal(x, x), x, self.like(0, x))
        x = self.where(has_fraction, self.sub(x, self.binary("modulo", x, self.like(1, x))), x)
        bounds = np.iinfo(dtype)
        return self.binary("minimum", self.binary("maximum", x, self.like(bounds.min, x)), self.like(bounds.max, x))

    # ---- movement

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        shape = tuple(shape)
        return x if x.shape == shape else self.op("reshape", x, self.index(shape), out=(shape, x.dtype))

    def transpose(self, x: Tensor, perm: Sequence[int]) -> Tensor:
        if list(perm) == list(range(x.rank)):
            return x
        return self.op("transpose", x, self.sizes(perm), out=([x.shape[p] for p in perm], x.dtype))

    def broadcast(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        shape = tuple(shape)
        return x if x.shape == shape else self.op("broadcast_to", x, self.sizes(shape), out=(shape, x.dtype))

    def slice(self, x: Tensor, begin: Sequence[int], end: Sequence[int], strides: Sequence[int] = ()) -> Tensor:
        """A slice with positive strides; negative ones have odd ends (hazard 13)."""
        strides = strides or [1] * x.rank
        shape = tuple(max(0, -(-(hi - lo) // by)) for lo, hi, by in zip(begin, end, strides))
        if shape == x.shape:
            return x
        return self.op("slice", x, *map(self.index, (begin, end, strides)), out=(shape, x.dtype))

    def along(self, x: Tensor, axis: int, begin: int, end: int) -> Tensor:
        """A slice of one axis."""
        ends = [end if a == axis else n for a, n in enumerate(x.shape)]
        return self.slice(x, [begin if a == axis else 0 for a in range(x.rank)], ends)

    def reverse(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return self.op("reverse", x, self.index(axes), out=(x.shape, x.dtype)) if len(axes) else x

    def concat(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        full = [x for x in xs if x.shape[axis]] or list(xs[:1])
        if len(full) == 1:
            return full[0]
        shape = list(full[0].shape)
        shape[axis] = sum(x.shape[axis] for x in full)
        return self.op("concat", self.index(axis), *full, out=(shape, full[0].dtype))

    def pad(self, x: Tensor, low: Sequence[int], high: Sequence[int], value: Any, mode: str = "constant") -> Tensor:
        """Negative amounts cut off."""
        if any(n < 0 for n in (*low, *high)):
            begin, end = [max(0, -n) for n in low], [n + min(0, h) for n, h in zip(x.shape, high)]
            x = self.slice(x, begin, [max(b, e) for b, e in zip(begin, end)])
            low, high = [max(0, n) for n in low], [max(0, n) for n in high]
        if not any((*low, *high)):
            return x
        filler = value if isinstance(value, Tensor) else self.like(value, x)
        shape = [n + lo + hi for n, lo, hi in zip(x.shape, low, high)]
        if 0 in x.shape:
            return self.broadcast(filler, shape)
        amounts = self.sizes([n for pair in zip(low, high) for n in pair])
        return self.op("pad", x, amounts, filler, out=(shape, x.dtype),
                       attributes=f"padding_mode = #coreai.padding_mode<{mode}>")  # fmt: skip

    def stuffed(self, x: Tensor, value: Tensor, gaps: Sequence[int]) -> Tensor:
        """``gaps[a]`` times ``value`` between neighbours along each axis a."""
        for axis, gap in enumerate(gaps):
            if gap > 0 and x.shape[axis]:
                shape = x.shape
                column = self.reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
                high = [gap if a == axis + 1 else 0 for a in range(column.rank)]
                wide = self.pad(column, [0] * column.rank, high, value)
                wide = self.reshape(wide, (*shape[:axis], shape[axis] * (gap + 1), *shape[axis + 1 :]))
                x = self.along(wide, axis, 0, wide.shape[axis] - gap)
        return x

    def iota(self, shape: Sequence[int], axis: int, dtype: Any) -> Tensor:
        row = np.arange(shape[axis], dtype=np.int64).astype(dtype)
        return self.broadcast(self.constant(row.reshape([-1 if a == axis else 1 for a in range(len(shape))])), shape)

    def taken(self, x: Tensor, at: Tensor) -> Tensor:
        """The elements (or rows) of ``x`` at indices ``at`` of its first axis. The indices must be in range (hazard
        6)."""
        return self.op("gather_nd", x, self.reshape(at, (*at.shape, 1)), out=((*at.shape, *x.shape[1:]), x.dtype))

    # ---- reductions and products

    def reduce(self, name: str, x: Tensor, axes: Sequence[int], keep: bool = False) -> Tensor:
        """A reduction; Core AI keeps the axes as 1, and leaves reductions of nothing unset (hazard 7)."""
        axes = sorted({a % x.rank for a in axes}) if x.rank else []
        if not axes:
            return x
        kept = [1 if a in axes else n for a, n in enumerate(x.shape)]
        if any(x.shape[a] == 0 for a in axes):
            first = EMPTY_REDUCTIONS.get(name)
            if first is None:
                first = extreme(x.dtype, lowest=name == "reduce_max")
            result = self.broadcast(self.like(first, x), kept)
        else:
            result = self.op(name, x, self.index(axes), out=(kept, x.dtype))
        return result if keep else self.reshape(result, [n for a, n in enumerate(x.shape) if a not in axes])

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        batch: Dims = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        shape = (*batch, x.shape[-2], y.shape[-1])
        if x.shape[-1] == 0:
            return self.broadcast(self.like(0, x), shape)
        return self.op(f"{BROADCASTING}batch_matmul", x, y, out=(shape, x.dtype))


def extreme(dtype: np.dtype, lowest: bool) -> Any:
    """The least value of a dtype, or the greatest."""
    if dtype.kind == "b":
        return not lowest
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if lowest else np.iinfo(dtype).max
    return -np.inf if lowest else np.inf
