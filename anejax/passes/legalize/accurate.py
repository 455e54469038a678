"""Rules that keep the digits of functions which MIL lacks, where the plain formula cancels or overflows.

The forms for the engine are for float16, and have polynomials where those for Core ML have tanh and atanh: the engine
has no atanh, and takes tanh from a table.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.mil.tails import ERF_INV_CENTRE, ERF_INV_ROOTS, ERF_INV_TAIL, ERFC_FROM_TWO, ERFC_TO_TWO
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops.families import expand
from anejax.passes.legalize.constants import const
from anejax.passes.legalize.rules import rule

_CORE_ML = ("coreml",)
_ENGINE = ("ane",)


@rule("log1p", targets=_CORE_ML)
def _log1p(x: Any) -> Any:
    """2 atanh(x / (2 + x)) near 0, where 1 + x loses the digits of x."""
    inner = A.max(A.min(x, const(x, 0.5)), const(x, -0.5))
    close = A.mul(const(x, 2), E.atanh(A.div(inner, A.add(inner, const(x, 2)))))
    return A.where(A.lt(A.abs(x), const(x, 0.5)), close, E.log(A.add(x, const(x, 1))))


@rule("expm1", targets=_CORE_ML)
def _expm1(x: Any) -> Any:
    """tanh(x / 2) (exp(x) + 1) near 0, where exp(x) - 1 cancels."""
    power = E.exp(x)
    close = A.mul(E.tanh(A.mul(x, const(x, 0.5))), A.add(power, const(x, 1)))
    return A.where(A.lt(A.abs(x), const(x, 1)), close, A.sub(power, const(x, 1)))


@rule("log1p", targets=_ENGINE)
def _narrow_log1p(x: Any) -> Any:
    """The series of 2 atanh(x / (2 + x)) near 0."""
    inner = A.max(A.min(x, const(x, 0.5)), const(x, -0.5))
    ratio = A.div(inner, A.add(inner, const(x, 2)))
    close = A.mul(A.mul(const(x, 2), ratio), _polynomial((1 / 7, 1 / 5, 1 / 3, 1), A.mul(ratio, ratio)))
    return A.where(A.lt(A.abs(x), const(x, 0.5)), close, E.log(A.add(x, const(x, 1))))


@rule("expm1", targets=_ENGINE)
def _narrow_expm1(x: Any) -> Any:
    """tanh(x / 2) (exp(x) + 1) near 0, with the continued fraction of tanh."""
    power, one = E.exp(x), const(x, 1)
    half = A.mul(A.max(A.min(x, one), const(x, -1)), const(x, 0.5))
    square = A.mul(half, half)
    over = A.mul(half, A.add(A.mul(square, const(x, 1 / 15)), one))
    tanh = A.div(over, A.add(A.mul(square, const(x, 6 / 15)), one))
    close = A.mul(tanh, A.add(power, one))
    return A.where(A.lt(A.abs(x), one), close, A.sub(power, one))


@rule("sinh", targets=_ENGINE)
def _narrow_sinh(x: Any) -> Any:
    """Its series near 0, where exp(x) - exp(-x) cancels. Halves are subtracted, for exp overflows before sinh does."""
    one = const(x, 1)
    inner = A.max(A.min(x, one), const(x, -1))
    close = A.mul(inner, _polynomial((1 / 5040, 1 / 120, 1 / 6, 1), A.mul(inner, inner)))
    power = E.exp(A.mul(x, const(x, 0.5)))
    inverse = E.exp(A.mul(x, const(x, -0.5)))
    half = const(x, 0.5)
    far = A.sub(A.mul(A.mul(power, half), power), A.mul(A.mul(inverse, half), inverse))
    return A.where(A.lt(A.abs(x), one), close, far)


@rule("atanh", targets=_ENGINE)
def _narrow_atanh(x: Any) -> Any:
    """Its series near 0, where (1 + x) / (1 - x) loses the digits of x."""
    one, half = const(x, 1), const(x, 0.5)
    inner = A.max(A.min(x, half), A.neg(half))
    close = A.mul(inner, _polynomial((1 / 9, 1 / 7, 1 / 5, 1 / 3, 1), A.mul(inner, inner)))
    return A.where(A.lt(A.abs(x), half), close, A.mul(half, E.log(A.div(A.add(one, x), A.sub(one, x)))))


@rule("cbrt", targets=_CORE_ML)
def _cbrt(x: Any) -> Any:
    """A power, less what the exponent is off from a third."""
    size, third = A.abs(x), const(x, 1 / 3)
    least = const(x, float(dtypes.finfo(aval_of(x).dtype).smallest_normal))
    off = A.mul(E.log(A.max(size, least)), const(x, 1 / 3 - float(third)))
    return A.mul(A.mul(A.sign(x), A.pow(size, third)), A.add(off, const(x, 1)))


def _root_end(x: Any) -> float:
    """The number from which on adding 1 to its square changes less than rounding does."""
    return 2.0 ** (7 if aval_of(x).dtype == dtypes.float16 else 13)


@rule("asinh")
def _asinh(x: Any) -> Any:
    """log1p(a + a^2 / (1 + sqrt(a^2 + 1))) with the sign of x; log(a) + log(2) where the square may overflow."""
    size, one, end = A.abs(x), const(x, 1), const(x, _root_end(x))
    small = A.min(size, end)
    square = A.mul(small, small)
    close = E.log1p(A.add(small, A.div(square, A.add(E.sqrt(A.add(square, one)), one))))
    far = A.add(E.log(A.max(size, one)), const(x, math.log(2)))
    return A.mul(A.sign(x), A.where(A.lt(size, end), close, far))


@rule("acosh")
def _acosh(x: Any) -> Any:
    """log1p(d + sqrt(d (d + 2))) with d = x - 1; log(x) + log(2) where the square may overflow."""
    end = const(x, _root_end(x))
    over = A.sub(A.min(x, end), const(x, 1))
    close = E.log1p(A.add(over, E.sqrt(A.mul(over, A.add(over, const(x, 2))))))
    return A.where(A.lt(x, end), close, A.add(E.log(x), const(x, math.log(2))))


@rule("erfc")
def _erfc(x: Any) -> Any:
    """Cephes' tail from 1 on, where 1 - erf(x) cancels. The square of a is that of a number h of few bits, which is
    exact, and (a - h) (a + h)."""
    narrow = aval_of(x).dtype == dtypes.float16
    steps = 8 if narrow else 16
    one, two = const(x, 1), const(x, 2)
    size = A.min(A.max(x, one), const(x, 8 if narrow else 64))
    short = A.mul(A.floor(A.mul(size, const(x, steps))), const(x, 1 / steps))
    rest = A.mul(A.sub(size, short), A.add(size, short))
    power = A.mul(E.exp(A.mul(const(x, -1), A.mul(short, short))), E.exp(A.mul(const(x, -1), rest)))
    inverse = A.div(one, size)
    square = A.mul(inverse, inverse)
    series = A.where(A.lt(size, two), _polynomial(ERFC_TO_TWO, square), _polynomial(ERFC_FROM_TWO, square))
    tail = A.mul(A.mul(power, inverse), series)
    return A.where(A.lt(x, one), A.sub(one, E.erf(x)), tail)


@rule("erf_inv", targets=_CORE_ML)
def _erf_inv(x: Any) -> Any:
    """x times a polynomial of w = -log(1 - x^2) in the middle, of sqrt(w) in the tails (mil/tails.py). 1 - x^2 is a
    product, as the square would lose the digits of 1 - |x|. float16 is computed in float32 and rounded once."""
    dtype = aval_of(x).dtype
    if dtype == dtypes.float16:
        return E.convert_element_type(E.erf_inv(E.convert_element_type(x, dtypes.float32)), dtype)
    one, size = const(x, 1), A.abs(x)
    inside = A.min(size, const(x, 1 - float(dtypes.finfo(dtype).eps) / 2))  # the last number below 1
    w = A.neg(E.log(A.mul(A.sub(one, inside), A.add(one, inside))))
    root, (low, high) = E.sqrt(w), ERF_INV_ROOTS
    centre = _polynomial(ERF_INV_CENTRE, A.mul(A.sub(w, const(x, 2.5)), const(x, 1 / 2.5)))
    tail = _polynomial(ERF_INV_TAIL, A.mul(A.sub(root, const(x, (low + high) / 2)), const(x, 2 / (high - low))))
    value = A.mul(x, A.where(A.lt(w, const(x, 5)), centre, tail))
    edge = A.div(x, A.sub(one, size))  # no constant is infinite
    outside = expand(const(x, math.nan), aval_of(x).shape)
    return A.where(A.lt(size, one), value, A.where(A.eq(size, one), edge, outside))


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Horner's rule."""
    first, *rest = (const(x, c) for c in coefficients)
    return functools.reduce(lambda total, c: A.add(A.mul(total, x), c), rest, first)
