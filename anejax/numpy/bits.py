"""Functions of bits: shifts, counts, the parts of a float; and divisors of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.numpy import elementwise as ew
from anejax.numpy.operands import as_array, astype, broadcast, finish, operand, promote, promote_inexact, strong
from anejax.ops import arithmetic, elementwise, shape


def right_shift(x1: Any, x2: Any, /) -> Array:
    """``x1 >> x2``, element by element; signed integers keep their sign."""
    x, y = ew._numbers("right_shift", x1, x2)
    unsigned = aval_of(x).dtype in dtypes.UNSIGNED
    return (arithmetic.shift_right_logical if unsigned else arithmetic.shift_right_arithmetic)(x, y)


bitwise_right_shift = right_shift


def bitwise_count(x: Any, /) -> Array:
    """The number of set bits of ``|x|``, as uint8."""
    x = as_array("bitwise_count", x)
    if x.dtype == dtypes.bool_:
        return astype(x, dtypes.uint8)
    if x.dtype not in dtypes.INTS:
        raise DtypeError(f"[bitwise_count] expected integers, got {x.aval}.")
    return strong(astype(elementwise.population_count(ew.absolute(x)), dtypes.uint8))


_FLOAT_BITS = {dtypes.float16: (dtypes.uint16, 10, 15), dtypes.bfloat16: (dtypes.uint16, 7, 127),
               dtypes.float32: (dtypes.uint32, 23, 127), dtypes.float64: (dtypes.uint64, 52, 1023)}  # fmt: skip


def signbit(x: Any, /) -> Array:
    """Whether the sign bit is set, element by element: True for -0.0."""
    x = as_array("signbit", x)
    if x.dtype in dtypes.FLOATS:
        bits = _FLOAT_BITS[x.dtype][0]
        top = np.asarray(bits.itemsize * 8 - 1, bits)
        return ew.to_bool(arithmetic.shift_right_logical(elementwise.bitcast_convert_type(x, bits), top))
    if x.dtype == dtypes.bool_ or x.dtype in dtypes.UNSIGNED:
        return finish(shape.full(x.shape, np.asarray(False)))
    return arithmetic.lt(x, np.zeros((), x.dtype))


def copysign(x1: Any, x2: Any, /) -> Array:
    """``|x1|`` with the sign of ``x2``, element by element."""
    x, y = broadcast("copysign", *promote_inexact("copysign", x1, x2))
    magnitude = arithmetic.abs(x)
    return ew._select("copysign", signbit(y), arithmetic.neg(magnitude), magnitude)


def frexp(x: Any, /) -> tuple[Array, Array]:
    """(mantissa in [0.5, 1), int32 exponent) with ``x = mantissa * 2**exponent``."""
    (x,) = ew._reals("frexp", x)
    return _frexp(x)


@custom_jvp
def _frexp(x: Any) -> tuple[Array, Array]:
    dtype = aval_of(x).dtype
    bits, mantissa_bits, bias = _FLOAT_BITS[dtype]
    subnormal = arithmetic.lt(arithmetic.abs(x), np.asarray(dtypes.finfo(dtype).smallest_normal, dtype))
    shift = mantissa_bits + 1
    raw = elementwise.bitcast_convert_type(ew._select("frexp", subnormal, ldexp(x, shift), x), bits)
    width = bits.itemsize * 8 - 1 - mantissa_bits
    field = arithmetic.and_(
        arithmetic.shift_right_logical(raw, np.asarray(mantissa_bits, bits)), np.asarray((1 << width) - 1, bits)
    )
    excess = ew._select("frexp", subnormal, np.asarray(bias - 1 + shift, np.int32), np.asarray(bias - 1, np.int32))
    exponent = arithmetic.sub(astype(field, dtypes.int32), excess)
    keep = np.asarray(((1 << (bits.itemsize * 8)) - 1) ^ (((1 << width) - 1) << mantissa_bits), bits)
    half = arithmetic.or_(arithmetic.and_(raw, keep), np.asarray((bias - 1) << mantissa_bits, bits))
    mantissa = elementwise.bitcast_convert_type(half, dtype)
    plain = arithmetic.or_(arithmetic.eq(x, np.zeros((), dtype)), elementwise.bitwise_not(ew.isfinite(x)))
    exponent = ew._select("frexp", plain, np.zeros((), np.int32), exponent)
    return ew._select("frexp", plain, x, mantissa), exponent


@_frexp.defjvp
def _frexp_jvp(primals: Any, tangents: Any) -> Any:
    """The exponent is constant almost everywhere, so the mantissa grows ``2**-exponent`` times as fast as ``x``."""
    (x,), (t,) = primals, tangents
    mantissa, exponent = _frexp(x)
    return (mantissa, exponent), (ldexp(t, arithmetic.neg(exponent)), np.zeros(aval_of(x).shape, dtypes.float0))


def ldexp(x1: Any, x2: Any, /) -> Array:
    """``x1 * 2**x2``, element by element, rounded once; ``x2`` holds integers."""
    exponent, number = aval_of(operand("ldexp", x2)), aval_of(operand("ldexp", x1))
    if exponent.dtype not in (dtypes.bool_, *dtypes.INTS) or number.dtype in dtypes.COMPLEX:
        raise DtypeError(f"[ldexp] expected real numbers and integer exponents, got {number} and {exponent}.")
    x2 = astype(x2, dtypes.int32) if exponent.dtype == dtypes.bool_ else x2
    (x,) = promote_inexact("ldexp", as_array("ldexp", x1))
    for factor in reversed(_powers_of_two(as_array("ldexp", x2), aval_of(x).dtype)):
        x = ew.multiply(x, factor)
    return x


def _powers_of_two(n: Any, dtype: np.dtype) -> list[Any]:
    """Three normal floats whose product is ``2**n``, as far as any finite product with it goes.

    The first is as near to ``2**n`` as it can be: multiplied with last, it is the only one that rounds.
    """
    bits, mantissa_bits, bias = _FLOAT_BITS[dtype]
    limit = np.float32(8 * bias)
    n = astype(arithmetic.clamp(-limit, astype(n, dtypes.float32), limit), dtypes.int32)
    factors = []
    for _ in range(3):
        step = arithmetic.clamp(np.int32(1 - bias), n, np.int32(bias))
        n = arithmetic.sub(n, step)
        field = astype(arithmetic.add(step, np.int32(bias)), bits)
        raw = arithmetic.shift_left(field, np.asarray(mantissa_bits, bits))
        factors.append(elementwise.bitcast_convert_type(raw, dtype))
    return factors


def spacing(x: Any, /) -> Array:
    """The distance from ``x`` to the next float away from 0; of float16 to the next greater float, as in NumPy."""
    (x,) = promote_inexact("spacing", x)
    dtype = aval_of(x).dtype
    towards = np.asarray(np.inf, dtype)
    towards = towards if dtype == dtypes.float16 else copysign(towards, x)
    return arithmetic.sub(ew.nextafter(x, towards), x)


def gcd(x1: Any, x2: Any) -> Array:
    """The greatest common divisor of integers, element by element."""
    x, y = _integers("gcd", x1, x2)
    x, y = ew.absolute(x), ew.absolute(y)
    weak = _stays_weak(x, y, x1, x2)
    zero = np.zeros((), x.dtype)
    # Euclid on the worst case, consecutive Fibonacci numbers: 1.45 steps per bit
    for _ in range(int(x.dtype.itemsize * 8 * 1.45) + 1):
        done = arithmetic.eq(y, zero)
        x, y = (
            ew._select("gcd", done, x, y),
            ew._select("gcd", done, y, arithmetic.rem(x, ew._select("gcd", done, np.ones((), x.dtype), y))),
        )
    return elementwise.convert_element_type(x, x.dtype, weak)


def _stays_weak(x: Any, y: Any, *given: Any) -> bool:
    """Weak operands stay weak, except those that had to be broadcast, as in JAX."""
    return x.weak_type and y.weak_type and len({aval_of(g).shape for g in given}) == 1


def _integers(name: str, *xs: Any) -> list[Any]:
    xs_ = broadcast(name, *promote(name, *xs))
    if aval_of(xs_[0]).dtype not in dtypes.INTS:
        raise DtypeError(f"[{name}] expected integers, got {', '.join(str(aval_of(x)) for x in xs)}.")
    return [as_array(name, x) for x in xs_]


def lcm(x1: Any, x2: Any) -> Array:
    """The least common multiple of integers, element by element."""
    x, y = _integers("lcm", x1, x2)
    x, y = ew.absolute(x), ew.absolute(y)
    divisor = gcd(x, y)
    zero = np.zeros((), x.dtype)
    safe = ew._select("lcm", arithmetic.eq(divisor, zero), np.ones((), x.dtype), divisor)
    out = ew._select("lcm", arithmetic.eq(divisor, zero), zero, arithmetic.mul(x, arithmetic.div(y, safe)))
    return elementwise.convert_element_type(out, out.dtype, _stays_weak(x, y, x1, x2))
