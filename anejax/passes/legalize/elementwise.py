"""Rules that write elementwise primitives as operations of MIL."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import DeviceArray
from anejax.core.graph import Literal, Var
from anejax.core.trace import Tracer, aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops.families import expand
from anejax.passes.legalize.bools import number
from anejax.passes.legalize.constants import const, is_float, scalar
from anejax.passes.legalize.integers import quotient
from anejax.passes.legalize.rules import as_it_is, maker, refuse, rule

ROUNDING = ("floor", "ceil", "round")
FRACTIONS_END = 1024.0  # float16 has integers only from here on

rule("neg")(lambda x: A.mul(x, const(x, -1)))


@rule("mul", targets=("ane",))
def _mul(x: Any, y: Any) -> Any:
    shape = aval_of(x).shape or aval_of(y).shape
    for array, factor in ((x, everywhere(y)), (y, everywhere(x))):
        if factor is not None and is_float(array):
            found = _scaled(array, factor)
            return found if found is NotImplemented else expand(found, shape)
    return NotImplemented


def everywhere(x: Any) -> float | None:
    """The value of a constant that is the same everywhere."""
    made = maker(x)
    while made is not None and made.primitive.name in ("broadcast_in_dim", "reshape"):
        (x,) = made.inputs
        if isinstance(x, Literal):
            return _same(x.value)
        made = maker(x)
    return None if isinstance(x, (Var, Tracer)) else _same(x.value if isinstance(x, DeviceArray) else x)


def _same(array: Any) -> float | None:
    """The number that all elements are."""
    value = np.asarray(array)
    first = value.ravel()[0] if value.size else None
    return float(first) if first is not None and (value == first).all() else None


def _scaled(x: Any, factor: float) -> Any:
    """A product with a constant, in forms that compile and keep the factor.

    ``mul`` by 0 after a reduction fails to compile (docs/sources.md, "Compiler failures"), so zeros are x - x. ``mul``
    by a scalar after a rounding operation loses the factor ("Rounding"), so the factor becomes an array.
    """
    if factor == 0:
        return A.sub(x, x)
    made = maker(x)
    if made is not None and made.primitive.name in ROUNDING:
        return A.mul(x, A.add(A.sub(x, x), const(x, factor)))
    return NotImplemented


@rule("round", targets=("ane",))
def _round(x: Any) -> Any:
    """The engine's round is wrong from 1024 on (docs/sources.md, "Rounding")."""
    return A.select_n(A.lt(A.abs(x), const(x, FRACTIONS_END)), x, as_it_is(A.round_p, x))


@rule("square", targets=("ane",))
def _square(x: Any) -> Any:
    """square before a nonlinearity fails to compile at some widths (docs/sources.md, "Compiler failures")."""
    return A.mul(x, x)


@rule("rsqrt", targets=("ane",))
def _rsqrt(x: Any) -> Any:
    """rsqrt after a reduction may fail; working code writes pow(x, -0.5) (docs/sources.md, "Compiler failures")."""
    return A.pow(x, const(x, -0.5))


@rule("pow", targets=("ane",))
def _pow(x: Any, y: Any) -> Any:
    """The engine takes constant exponents only: |x| ** y is exp(y log|x|) for others. Below zero the sign is that of an
    integer y, and no fraction of one is NaN."""
    if scalar(y) is not None:
        return NotImplemented
    one, zero = const(x, 1), const(x, 0)
    base = scalar(x)
    size = A.abs(x)
    is_zero = A.eq(size, zero)
    positive = A.select_n(is_zero, size, expand(one, aval_of(x).shape)) if base is None else size
    result = E.exp(A.mul(y, E.log(positive)))
    if base is not None and base > 0:
        return result
    shape = aval_of(result).shape
    half = A.mul(y, const(y, 0.5))
    odd = A.mul(A.sub(half, A.floor(half)), const(y, 2))  # 1 for an odd y
    result = A.mul(result, A.sub(one, A.mul(A.mul(const(x, 2), odd), number(A.lt(x, zero)))))
    most = const(x, float(dtypes.finfo(aval_of(x).dtype).max))
    at_zero = A.add(A.sub(one, number(A.gt(y, zero))), A.mul(number(A.lt(y, zero)), most))  # 0, 1, infinity
    return A.select_n(expand(is_zero, shape), result, expand(at_zero, shape))


@rule("integer_pow")
def _integer_pow(x: Any, *, y: int) -> Any:
    if y < 0:
        return A.div(const(x, 1), _integer_pow(x, y=-y))
    if y == 0:
        return expand(const(x, 1), aval_of(x).shape)
    result = None
    while y:
        if y & 1:
            result = x if result is None else A.mul(result, x)
        y >>= 1
        x = A.mul(x, x) if y else x
    return result


@rule("log2")
def _log2(x: Any) -> Any:
    return A.mul(E.log(x), const(x, 1 / math.log(2)))


@rule("cbrt", targets=("ane",))
def _cbrt(x: Any) -> Any:
    return A.mul(A.sign(x), A.pow(A.abs(x), const(x, 1 / 3)))


def _half(x: Any) -> Any:
    return A.mul(x, const(x, 0.5))


rule("tan", targets=("ane",))(lambda x: A.div(E.sin(x), E.cos(x)))
rule("cosh", targets=("ane",))(lambda x: _half(A.add(E.exp(x), E.exp(A.neg(x)))))
rule("asin", targets=("ane",))(lambda x: E.atan(A.div(x, E.sqrt(A.sub(const(x, 1), A.mul(x, x))))))
rule("acos", targets=("ane",))(lambda x: A.sub(const(x, math.pi / 2), E.asin(x)))


@rule("atan2", targets=("ane",))
def _atan2(y: Any, x: Any) -> Any:
    shape = aval_of(A.add(y, x)).shape
    y, x = expand(y, shape), expand(x, shape)
    zero = const(x, 0)
    side = A.sub(const(x, 1), A.mul(E.convert_element_type(A.lt(y, zero), aval_of(x).dtype), const(x, 2)))
    angle = E.atan(A.div(y, x))
    behind = A.add(angle, A.mul(side, const(x, math.pi)))
    upright = A.mul(A.sign(y), const(x, math.pi / 2))
    return A.select_n(A.gt(x, zero), A.select_n(A.lt(x, zero), upright, behind), angle)


@rule("is_finite")
def _is_finite(x: Any) -> Any:
    return A.le(A.abs(x), const(x, float(dtypes.finfo(aval_of(x).dtype).max)))


@rule("rem", targets=("ane",))
def _rem(x: Any, y: Any) -> Any:
    """Loses the digits of the quotient; for Core ML see divisions.py."""
    ratio = A.div(x, y)
    truncated = A.mul(A.sign(ratio), A.floor(A.abs(ratio)))
    return A.sub(x, A.mul(y, truncated))


@rule("div")
def _div(x: Any, y: Any) -> Any:
    return NotImplemented if is_float(x) else quotient(x, y)


@rule("clamp")
def _clamp(low: Any, x: Any, high: Any) -> Any:
    return A.min(A.max(x, low), high)


@rule("select_n")
def _select_n(which: Any, *cases: Any) -> Any:
    if len(cases) == 2 and aval_of(which).dtype == dtypes.bool_:
        return NotImplemented
    which = E.convert_element_type(which, np.int32)
    out = cases[0]
    for i, case in enumerate(cases[1:], 1):
        out = A.select_n(A.ge(which, const(which, i)), out, case)
    return out


@rule("copy", targets=("coreml", "ane"))
def _copy(x: Any) -> Any:
    return A.mul(x, const(x, 1)) if is_float(x) else NotImplemented


@rule("optimization_barrier")
def _barrier(*xs: Any) -> Any:
    return xs


refuse("the engine has no integers", "population_count", "clz", "shift_left", "shift_right_logical",
       "shift_right_arithmetic", "bitcast_convert_type", targets=("ane",))  # fmt: skip
refuse("the CPU device sends to other processes", "process_sum", "process_gather", "process_exchange",
       "process_permute", "process_cut", "process_join", "process_enter", "process_leave", "process_index")  # fmt: skip
refuse("the engine has no integers; random bits are drawn on the CPU device", "threefry2x32", targets=("ane",))
refuse("MIL has no such function, and no composition of its functions is accurate", "lgamma", "digamma")
refuse("MIL has no such function, and no composition of the engine's functions is accurate", "erf_inv",
       targets=("ane",))  # fmt: skip
refuse("the engine has no integers, and so no bits of floats", "nextafter", targets=("ane",))
