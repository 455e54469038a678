"""Elementwise functions: arithmetic, comparisons, logic, bits, rounding, exponentials, trigonometry.

Each promotes its operands to one dtype by JAX's rules, broadcasts them by NumPy's, and binds one primitive or a few.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.core.direct import direct
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.numpy.operands import (
    as_array,
    astype,
    broadcast,
    check_device,
    finish,
    is_scalar,
    operand,
    promote,
    promote_inexact,
    refuse,
    result_dtype,
    strong,
)
from anejax.numpy.ufunc import binary_ufunc, ufunc
from anejax.ops import arithmetic, elementwise, reduce, shape
from anejax.ops import complex as complexes

# --- tables: functions that are one primitive ---------------------------------------------------------------------


def _unary(name: str, op: Callable[[Any], Any], what: str, convert: Callable[..., list[Any]]) -> Callable[[Any], Array]:
    def function(x: Any, /) -> Array:
        return op(*convert(name, x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}, element by element.\n\nTakes an array or a number, returns an array of its shape."
    return direct(function, 1)


def _as_it_is(name: str, x: Any) -> list[Any]:
    return [as_array(name, x)]


def _no_bool(name: str, *xs: Any) -> list[Any]:
    """Promoted operands, at least one of which is a number."""
    out = promote(name, *xs)
    if aval_of(out[0]).dtype == dtypes.bool_:
        given = ", ".join(str(aval_of(x)) for x in xs)
        raise DtypeError(f"[{name}] expected numbers, got {given}. Convert with x.astype(...).")
    return out


def _bools_as_ints(name: str, *xs: Any) -> list[Any]:
    """Promoted operands, bools as int32."""
    out = promote(name, *xs)
    return [astype(x, dtypes.int32) for x in out] if aval_of(out[0]).dtype == dtypes.bool_ else out


def _reals(name: str, *xs: Any) -> list[Any]:
    """Operands promoted to floats; complex numbers are refused."""
    out = promote_inexact(name, *xs)
    if aval_of(out[0]).dtype in dtypes.COMPLEX:
        raise DtypeError(f"[{name}] expected real numbers, got {', '.join(str(aval_of(x)) for x in xs)}.")
    return out


def _strong_inexact(name: str, *xs: Any) -> list[Any]:
    """Operands promoted to floats or complex numbers, without a weak type."""
    return [strong(x) for x in promote_inexact(name, *xs)]


def _binary(
    name: str, op: Callable[[Any, Any], Any], what: str, convert: Callable[..., list[Any]]
) -> Callable[..., Array]:
    def function(x: Any, y: Any, /) -> Array:
        return op(*broadcast(name, *convert(name, x, y)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}, element by element.\n\nOperands broadcast and promote to one dtype."
    return direct(function, 2)


exp = _unary("exp", elementwise.exp, "e**x", promote_inexact)
exp2 = _unary("exp2", elementwise.exp2, "2**x", promote_inexact)
expm1 = _unary("expm1", elementwise.expm1, "e**x - 1, accurate near 0", promote_inexact)
log = _unary("log", elementwise.log, "Natural logarithm", promote_inexact)
log2 = _unary("log2", elementwise.log2, "Logarithm to base 2", _strong_inexact)  # as jax's, which divides by log(2)
log1p = _unary("log1p", elementwise.log1p, "log(1 + x), accurate near 0", promote_inexact)
sqrt = _unary("sqrt", elementwise.sqrt, "Square root", promote_inexact)
cbrt = _unary("cbrt", elementwise.cbrt, "Cube root", promote_inexact)
sin = _unary("sin", elementwise.sin, "Sine", promote_inexact)
cos = _unary("cos", elementwise.cos, "Cosine", promote_inexact)
tan = _unary("tan", elementwise.tan, "Tangent", promote_inexact)
arcsin = asin = _unary("arcsin", elementwise.asin, "Arc sine", promote_inexact)
arccos = acos = _unary("arccos", elementwise.acos, "Arc cosine", promote_inexact)
arctan = atan = _unary("arctan", elementwise.atan, "Arc tangent", promote_inexact)
sinh = _unary("sinh", elementwise.sinh, "Hyperbolic sine", promote_inexact)
cosh = _unary("cosh", elementwise.cosh, "Hyperbolic cosine", promote_inexact)
tanh = _unary("tanh", elementwise.tanh, "Hyperbolic tangent", promote_inexact)
arcsinh = asinh = _unary("arcsinh", elementwise.asinh, "Inverse hyperbolic sine", promote_inexact)
arccosh = acosh = _unary("arccosh", elementwise.acosh, "Inverse hyperbolic cosine", promote_inexact)
arctanh = atanh = _unary("arctanh", elementwise.atanh, "Inverse hyperbolic tangent", promote_inexact)
square = _unary("square", arithmetic.square, "x * x", _bools_as_ints)
bitwise_not = bitwise_invert = invert = _unary(
    "bitwise_not", elementwise.bitwise_not, "Complement of the bits", promote
)
fabs = _unary("fabs", arithmetic.abs, "Absolute value, as a float; refuses complex numbers", _reals)

arctan2 = atan2 = _binary("arctan2", arithmetic.atan2, "Angle of the point (y, x)", promote_inexact)
nextafter = _binary("nextafter", arithmetic.nextafter, "The next float after x towards y", promote_inexact)
equal = _binary("equal", arithmetic.eq, "x == y", promote)
not_equal = _binary("not_equal", arithmetic.ne, "x != y", promote)


def _ordering(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``op``, a comparison, of complex numbers by real part, then by imaginary part."""

    def compare(x: Any, y: Any) -> Any:
        if aval_of(x).dtype not in dtypes.COMPLEX:
            return op(x, y)
        re, im = ((part(x), part(y)) for part in (complexes.real, complexes.imag))
        return _select("compare", arithmetic.eq(*re), op(*im), op(*re))

    return compare


less = _binary("less", _ordering(arithmetic.lt), "x < y", promote)
less_equal = _binary("less_equal", _ordering(arithmetic.le), "x <= y", promote)
greater = _binary("greater", _ordering(arithmetic.gt), "x > y", promote)
greater_equal = _binary("greater_equal", _ordering(arithmetic.ge), "x >= y", promote)
left_shift = bitwise_left_shift = _binary("left_shift", arithmetic.shift_left, "x << y", _bools_as_ints)


def _add(x: Any, y: Any) -> Any:
    return arithmetic.or_(x, y) if aval_of(x).dtype == dtypes.bool_ else arithmetic.add(x, y)


def _multiply(x: Any, y: Any) -> Any:
    return arithmetic.and_(x, y) if aval_of(x).dtype == dtypes.bool_ else arithmetic.mul(x, y)


def _truth(name: str, *xs: Any) -> list[Any]:
    return [to_bool(operand(name, x)) for x in xs]


def to_bool(x: Any) -> Any:
    """``x != 0``, as bool."""
    if is_scalar(x):
        return np.asarray(bool(x))
    return x if aval_of(x).dtype == dtypes.bool_ else arithmetic.ne(x, np.zeros((), aval_of(x).dtype))


add = binary_ufunc("add", _add, "x + y; or, for bools", promote, identity=0)
subtract = binary_ufunc("subtract", arithmetic.sub, "x - y", _no_bool, associative=False)
multiply = binary_ufunc("multiply", _multiply, "x * y; and, for bools", promote, identity=1)
maximum = binary_ufunc("maximum", arithmetic.max, "The greater of x and y; NaN wins", promote)
minimum = binary_ufunc("minimum", arithmetic.min, "The lesser of x and y; NaN wins", promote)
bitwise_and = binary_ufunc("bitwise_and", arithmetic.and_, "And of the bits", promote, identity=-1)
bitwise_or = binary_ufunc("bitwise_or", arithmetic.or_, "Or of the bits", promote, identity=0)
bitwise_xor = binary_ufunc("bitwise_xor", arithmetic.xor, "Exclusive or of the bits", promote, identity=0)
logical_and = binary_ufunc("logical_and", arithmetic.and_, "Truth of x and y", _truth, identity=True)
logical_or = binary_ufunc("logical_or", arithmetic.or_, "Truth of x or y", _truth, identity=False)
logical_xor = binary_ufunc("logical_xor", arithmetic.xor, "Truth of exactly one of x and y", _truth, identity=False)


def logical_not(x: Any, /) -> Array:
    """``x == 0``, element by element, as bool."""
    return elementwise.bitwise_not(to_bool(operand("logical_not", x)))


# --- arithmetic ---------------------------------------------------------------------------------------------------


@functools.partial(direct, count=1)
def _negative(x: Any, /) -> Array:
    """``-x``, element by element. Refuses bools."""
    return arithmetic.neg(*_no_bool("negative", x))


negative = ufunc(_negative, 1, 1, name="negative", call=_negative)


def positive(x: Any, /) -> Array:
    """``x`` as an array."""
    return as_array("positive", x)


def absolute(x: Any, /) -> Array:
    """Absolute value, element by element.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.abs(jnp.array([-1.5, 2.0]))
        Array([1.5, 2. ], dtype=float32)
    """
    x = as_array("absolute", x)
    return x if x.dtype == dtypes.bool_ or x.dtype in dtypes.UNSIGNED else arithmetic.abs(x)


abs = absolute


def true_divide(x1: Any, x2: Any, /) -> Array:
    """``x1 / x2`` as floats, element by element."""
    return _quotient(x1, x2)


@functools.partial(direct, count=2)
def _quotient(x1: Any, x2: Any, /) -> Array:
    return arithmetic.div(*broadcast("divide", *promote_inexact("divide", x1, x2)))


divide = true_divide


def floor_divide(x1: Any, x2: Any, /) -> Array:
    """``x1 // x2``: the quotient rounded towards minus infinity. Integers by zero give -1, as the hardware does."""
    x, y = _numbers("floor_divide", x1, x2)
    return _rewrap(_floor_divide(x, y), _both_weak(x, y))


def _floor_divide(x: Any, y: Any) -> Any:
    dtype = aval_of(x).dtype
    if dtype in dtypes.UNSIGNED:
        return arithmetic.div(x, y)
    if dtype in dtypes.FLOATS:
        return _float_divmod(x, y)[0]
    quotient = arithmetic.div(x, y)
    unequal_signs = arithmetic.ne(arithmetic.sign(x), arithmetic.sign(y))
    remains = arithmetic.ne(arithmetic.rem(x, y), np.zeros((), dtype))
    down = arithmetic.sub(quotient, np.ones((), dtype))
    return _select("floor_divide", arithmetic.and_(*broadcast("floor_divide", unequal_signs, remains)), down, quotient)


def _numbers(name: str, *xs: Any) -> list[Any]:
    """Promoted and broadcast operands, bools as integers; complex numbers are refused."""
    out = _bools_as_ints(name, *xs)
    if aval_of(out[0]).dtype in dtypes.COMPLEX:
        raise DtypeError(f"[{name}] expected real numbers, got {', '.join(str(aval_of(x)) for x in xs)}.")
    return broadcast(name, *out)


def _rewrap(out: Any, weak: bool) -> Any:
    """A result with the weak type that constants on the way took from it."""
    aval = aval_of(out)
    return elementwise.convert_element_type(out, aval.dtype, True) if weak and not aval.weak_type else out


def _both_weak(x: Any, y: Any) -> bool:
    return aval_of(x).weak_type and aval_of(y).weak_type


def _select(name: str, condition: Any, x: Any, y: Any) -> Any:
    """``where`` of operands that are promoted already. A condition of rank 0 stays so."""
    return arithmetic.where(*broadcast(name, condition, x, y))


def _float_divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient and remainder; by zero the quotient is that of division, as the remainder is NaN."""
    zero, one = (np.asarray(v, aval_of(x).dtype) for v in (0, 1))
    mod = arithmetic.rem(x, y)
    whole = _select("floor_divide", arithmetic.eq(y, zero), x, arithmetic.sub(x, mod))
    div = arithmetic.div(whole, y)
    adjust = arithmetic.and_(arithmetic.ne(mod, zero), arithmetic.ne(arithmetic.sign(y), arithmetic.sign(mod)))
    mod = _select("divmod", adjust, arithmetic.add(mod, y), mod)
    div = _select("divmod", adjust, arithmetic.sub(div, one), div)
    return arithmetic.round(div), mod


def remainder(x1: Any, x2: Any, /) -> Array:
    """``x1 % x2``: the remainder with the sign of ``x2``, element by element; of integers by zero, 0."""
    x, y = _numbers("remainder", x1, x2)
    return _rewrap(_remainder(x, y), _both_weak(x, y))


def _never_zero(name: str, y: Any) -> Any:
    """The divisor with integers 0 made 1, whose remainders are 0."""
    if aval_of(y).dtype not in dtypes.INTS:
        return y
    zero = np.zeros((), aval_of(y).dtype)
    return _select(name, arithmetic.eq(y, zero), np.ones((), zero.dtype), y)


def _remainder(x: Any, y: Any) -> Any:
    zero = np.zeros((), aval_of(x).dtype)
    y = _never_zero("remainder", y)
    mod = arithmetic.rem(x, y)
    nonzero = arithmetic.ne(mod, zero)
    adjust = arithmetic.ne(*broadcast("remainder", arithmetic.lt(mod, zero), arithmetic.lt(y, zero)))
    return _select("remainder", arithmetic.and_(adjust, nonzero), arithmetic.add(mod, y), mod)


mod = remainder


def fmod(x1: Any, x2: Any, /) -> Array:
    """The remainder with the sign of ``x1``, element by element; of integers by zero, 0."""
    x, y = _numbers("fmod", x1, x2)
    return _rewrap(arithmetic.rem(x, _never_zero("fmod", y)), _both_weak(x, y))


def divmod(x1: Any, x2: Any, /) -> tuple[Array, Array]:
    """``(x1 // x2, x1 % x2)``, element by element."""
    x, y = _numbers("divmod", x1, x2)
    return floor_divide(x, y), remainder(x, y)


def power(x1: Any, x2: Any, /) -> Array:
    """``x1 ** x2``, element by element. A Python integer power multiplies instead of using logarithms.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.power(jnp.arange(4), 2)
        Array([0, 1, 4, 9], dtype=int32)
    """
    x1, x2 = operand("power", x1), operand("power", x2)
    if type(x2) is int:
        (x1,) = (x1,) if is_scalar(x1) else _bools_as_ints("power", x1)
        dtype = aval_of(x1).dtype
        if dtype in dtypes.INEXACT or (dtype in dtypes.INTS and not is_scalar(x1)):
            if x2 < 0 and dtype in dtypes.INTS:
                raise DtypeError(f"[power] integers cannot be raised to negative powers: {aval_of(x1)} ** {x2}.")
            return arithmetic.integer_pow(as_array("power", x1), x2)
    dtype, weak = result_dtype(x1, x2)
    whole = aval_of(x2).dtype in dtypes.INTS and aval_of(x1).dtype not in dtypes.INTS  # such powers stay as they are
    weak = weak and (aval_of(x2).weak_type or not whole)
    if dtype in dtypes.INEXACT:
        return arithmetic.pow(*broadcast("power", astype(x1, dtype, weak), astype(x2, dtype, weak)))
    return _rewrap(_int_power(*_numbers("power", x1, x2)), aval_of(x1).weak_type and aval_of(x2).weak_type)


def _int_power(x: Any, y: Any) -> Any:
    """Square and multiply over six bits of the exponents: more would overflow for every base above 1."""
    dtype = aval_of(x).dtype
    zero, one = np.zeros((), dtype), np.ones((), dtype)
    nothing = arithmetic.and_(*broadcast("power", arithmetic.eq(x, zero), arithmetic.ne(y, zero)))
    acc = shape.broadcast_to(_select("power", nothing, zero, one), _joint(x, y))
    x = shape.broadcast_to(x, _joint(x, y))
    for _ in range(6):
        odd = arithmetic.eq(arithmetic.and_(y, one), one)
        acc = _select("power", odd, arithmetic.mul(acc, x), acc)
        x = arithmetic.mul(x, x)
        y = arithmetic.shift_right_logical(y, one)
    return acc


def _joint(x: Any, y: Any) -> tuple[int, ...]:
    return aval_of(x).shape or aval_of(y).shape


pow = power


def float_power(x: Any, y: Any, /) -> Array:
    """``x ** y`` as floats, element by element."""
    return arithmetic.pow(*broadcast("float_power", *promote_inexact("float_power", x, y)))


def reciprocal(x: Any, /) -> Array:
    """``1 / x`` as floats, element by element."""
    (x,) = promote_inexact("reciprocal", x)
    if aval_of(x).dtype in dtypes.COMPLEX:
        return _rewrap(arithmetic.integer_pow(x, -1), aval_of(x).weak_type)
    return _rewrap(arithmetic.div(np.ones((), aval_of(x).dtype), x), aval_of(x).weak_type)


def sign(x: Any, /) -> Array:
    """-1, 0 or 1, element by element; NaN stays. For complex numbers ``x / |x|``, and 0 at 0."""
    return arithmetic.sign(*_no_bool("sign", x))


def hypot(x1: Any, x2: Any, /) -> Array:
    """``sqrt(x1**2 + x2**2)`` without overflow, element by element."""
    x, y = broadcast("hypot", *_reals("hypot", x1, x2))
    x, y = arithmetic.abs(x), arithmetic.abs(y)
    top, low = arithmetic.max(x, y), arithmetic.min(x, y)
    zero, one = np.zeros((), aval_of(x).dtype), np.ones((), aval_of(x).dtype)
    ratio = arithmetic.div(low, _select("hypot", arithmetic.eq(top, zero), one, top))
    long = arithmetic.mul(top, elementwise.sqrt(arithmetic.add(one, arithmetic.square(ratio))))
    infinite = arithmetic.or_(isinf(x), isinf(y))
    finite = _select("hypot", arithmetic.eq(top, zero), top, long)
    out = _select("hypot", infinite, np.asarray(np.inf, aval_of(x).dtype), finite)
    return _rewrap(out, _both_weak(x, y))


def heaviside(x1: Any, x2: Any, /) -> Array:
    """0 where ``x1 < 0``, ``x2`` where it is 0, 1 where it is greater."""
    x, y = broadcast("heaviside", *promote_inexact("heaviside", x1, x2))
    zero, one = np.zeros((), aval_of(x).dtype), np.ones((), aval_of(x).dtype)
    out = _select("heaviside", arithmetic.lt(x, zero), zero, _select("heaviside", arithmetic.gt(x, zero), one, y))
    weak = _both_weak(x, y) and aval_of(x1).weak_type  # not of integer arrays, though a weak float made them floats
    return _rewrap(_select("heaviside", arithmetic.ne(x, x), x, out), weak)


def fmax(x1: Any, x2: Any) -> Array:
    """The greater of two numbers; of a number and NaN, the number."""
    x, y = broadcast("fmax", *promote("fmax", x1, x2))
    first = _ordering(arithmetic.gt)(x, y)
    if aval_of(x).dtype in dtypes.INEXACT:
        first = arithmetic.or_(first, arithmetic.ne(y, y))
    return _select("fmax", first, x, y)


def fmin(x1: Any, x2: Any) -> Array:
    """The lesser of two numbers; of a number and NaN, the number."""
    x, y = broadcast("fmin", *promote("fmin", x1, x2))
    first = _ordering(arithmetic.lt)(x, y)
    if aval_of(x).dtype in dtypes.INEXACT:
        first = arithmetic.or_(first, arithmetic.ne(y, y))
    return _select("fmin", first, x, y)


# --- exponentials and logarithms ----------------------------------------------------------------------------------


def log10(x: Any, /) -> Array:
    """Logarithm to base 10: ``log(x) / log(10)``, part by part."""
    (x,) = promote_inexact("log10", x)  # 0 / base and inf / base as complex numbers would mix infinities with zeros
    out = elementwise.log(x)
    dtype = aval_of(x).dtype
    base = np.asarray(np.log(10.0), dtypes.real_part(dtype))
    if dtype not in dtypes.COMPLEX:
        return arithmetic.div(out, base)
    return complexes.complex(*(arithmetic.div(part(out), base) for part in (complexes.real, complexes.imag)))


@custom_jvp
def _logaddexp(x: Any, y: Any) -> Any:
    if aval_of(x).dtype in dtypes.COMPLEX:
        return reduce.log_of_sum(x, y)
    top, delta = arithmetic.max(x, y), arithmetic.sub(x, y)
    same = arithmetic.ne(delta, delta)  # equal infinities, or NaN
    out = arithmetic.add(top, elementwise.log1p(elementwise.exp(arithmetic.neg(arithmetic.abs(delta)))))
    return _select("logaddexp", same, arithmetic.add(x, y), out)


@_logaddexp.defjvp
def _logaddexp_jvp(primals: Any, tangents: Any) -> Any:
    out = _logaddexp(*primals)
    finite = lambda v: _select("logaddexp", isposinf(v.real), np.zeros((), aval_of(v).dtype), v)  # noqa: E731
    shares = [elementwise.exp(subtract(finite(x), finite(out))) for x in primals]
    return out, add(*(multiply(t, share) for t, share in zip(tangents, shares)))


def _logaddexp2(x: Any, y: Any) -> Any:
    ln2 = np.asarray(np.log(2.0), aval_of(x).dtype)
    found = arithmetic.div(logaddexp(arithmetic.mul(x, ln2), arithmetic.mul(y, ln2)), ln2)
    weak = aval_of(x).weak_type and aval_of(y).weak_type
    return elementwise.convert_element_type(found, ln2.dtype, weak_type=True) if weak else found


logaddexp = binary_ufunc(
    "logaddexp", _logaddexp, "``log(exp(x) + exp(y))`` without overflow", promote_inexact, identity=-np.inf
)
logaddexp2 = binary_ufunc(
    "logaddexp2", _logaddexp2, "``log2(2**x + 2**y)`` without overflow", promote_inexact, identity=-np.inf
)


def sinc(x: Any, /) -> Array:
    """``sin(pi x) / (pi x)``, 1 at 0, element by element."""
    (x,) = promote_inexact("sinc", x)
    dtype = aval_of(x).dtype
    one = np.ones((), dtype)
    pi_x = arithmetic.mul(np.asarray(np.pi, dtype), x)
    close = arithmetic.lt(arithmetic.abs(pi_x), np.ones((), dtypes.real_part(dtype)))
    safe = _select("sinc", close, one, pi_x)
    # near 0 the series in (pi x)^2: the quotient has no digits left in derivatives of high order
    squared = arithmetic.square(_select("sinc", close, pi_x, np.zeros((), dtype)))
    near: Any = one
    for k in range(10, 0, -1):
        step = arithmetic.mul(squared, np.asarray(1 / (2 * k * (2 * k + 1)), dtype))
        near = arithmetic.sub(one, arithmetic.mul(step, near))
    out = _select("sinc", close, near, arithmetic.div(elementwise.sin(safe), safe))
    return _rewrap(out, aval_of(x).weak_type)


def deg2rad(x: Any, /) -> Array:
    """Degrees to radians, element by element."""
    (x,) = promote_inexact("deg2rad", x)
    return multiply(x, np.pi / 180)


def rad2deg(x: Any, /) -> Array:
    """Radians to degrees, element by element."""
    (x,) = promote_inexact("rad2deg", x)
    return multiply(x, 180 / np.pi)


radians, degrees = deg2rad, rad2deg


# --- rounding -----------------------------------------------------------------------------------------------------


def _rounding(name: str, op: Callable[[Any], Any], what: str) -> Callable[[Any], Array]:
    def function(x: Any, /) -> Array:
        x = as_array(name, x)
        if x.dtype in dtypes.COMPLEX:
            raise DtypeError(f"[{name}] expected real numbers, got {x.aval}. Round x.real and x.imag.")
        return x if x.dtype not in dtypes.FLOATS else op(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}, element by element; integers stay as they are."
    return function


floor = _rounding("floor", arithmetic.floor, "The greatest integer not above x")
ceil = _rounding("ceil", arithmetic.ceil, "The least integer not below x")


def _trunc(x: Any) -> Any:
    zero = np.zeros((), aval_of(x).dtype)
    return arithmetic.select_n(arithmetic.lt(x, zero), arithmetic.floor(x), arithmetic.ceil(x))


_without_fraction = _rounding("trunc", _trunc, "x without its fraction")


def trunc(x: Any) -> Array:
    """x without its fraction, element by element; integers stay as they are."""
    return _without_fraction(x)


fix = trunc


def rint(x: Any, /) -> Array:
    """The nearest integer, halves to even, as a float."""
    x = as_array("rint", x)
    return round(x) if x.dtype in dtypes.INEXACT else strong(astype(x, dtypes.canonical(dtypes.float64)))


def round(a: Any, decimals: int = 0, out: None = None) -> Array:
    """``a`` rounded to ``decimals`` places, halves to even."""
    refuse("round", out=out)
    x, decimals = as_array("round", a), operator.index(decimals)
    if x.dtype in dtypes.COMPLEX:
        return _by_parts(lambda part: round(part, decimals), x)
    if x.dtype not in dtypes.FLOATS:
        if decimals < 0 or x.dtype == dtypes.bool_:
            raise DtypeError(f"[round] expected numbers (floats for negative decimals), got {x.aval}.")
        return x
    if decimals == 0:
        return arithmetic.round(x, 1)
    compute = astype(x, dtypes.float32) if x.dtype in (dtypes.float16, dtypes.bfloat16) else x
    factor = np.asarray(10.0**decimals, aval_of(compute).dtype)
    out_value = arithmetic.div(arithmetic.round(arithmetic.mul(compute, factor), 1), factor)
    return elementwise.convert_element_type(out_value, x.dtype, x.weak_type)


around = round


def modf(x: Any, /, out: None = None) -> tuple[Array, Array]:
    """The fraction and the whole part of ``x``, both with its sign."""
    refuse("modf", out=out)
    (x,) = promote_inexact("modf", x)
    whole = _trunc(x)
    return arithmetic.sub(x, whole), whole


# --- tests --------------------------------------------------------------------------------------------------------


def _float_test(
    name: str, test: Callable[[Any], Any], on_int: bool, what: str, join: Callable[[Any, Any], Any] | None = None
) -> Callable[[Any], Array]:
    """``join`` makes one answer of those for the real and the imaginary part."""

    def function(x: Any, /) -> Array:
        x = operand(name, x)
        aval = aval_of(x)
        if aval.dtype in dtypes.COMPLEX:
            if join is None:
                raise DtypeError(f"[{name}] expected real numbers, got {aval}: complex infinity has no sign.")
            return join(test(complexes.real(x)), test(complexes.imag(x)))
        if aval.dtype not in dtypes.FLOATS:
            return finish(shape.full(aval.shape, np.asarray(on_int)))
        return test(as_array(name, x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Whether x is {what}, element by element, as bool."
    return function


def _infinity(x: Any, sign: int = 1) -> np.ndarray:
    return np.asarray(sign * np.inf, aval_of(x).dtype)


isfinite = _float_test("isfinite", arithmetic.is_finite, True, "neither infinite nor NaN", arithmetic.and_)
isnan = _float_test("isnan", lambda x: arithmetic.ne(x, x), False, "NaN", arithmetic.or_)
isinf = _float_test(
    "isinf", lambda x: arithmetic.eq(arithmetic.abs(x), _infinity(x)), False, "infinite", arithmetic.or_
)
_isposinf = _float_test("isposinf", lambda x: arithmetic.eq(x, _infinity(x)), False, "positive infinity")
_isneginf = _float_test("isneginf", lambda x: arithmetic.eq(x, _infinity(x, -1)), False, "negative infinity")


def isposinf(x: Any, /, out: None = None) -> Array:
    """Whether x is positive infinity, element by element, as bool."""
    refuse("isposinf", out=out)
    return _isposinf(x)


def isneginf(x: Any, /, out: None = None) -> Array:
    """Whether x is negative infinity, element by element, as bool."""
    refuse("isneginf", out=out)
    return _isneginf(x)


# --- complex numbers ----------------------------------------------------------------------------------------------


def isreal(x: Any) -> Array:
    """Whether the imaginary part is 0, element by element."""
    return logical_not(iscomplex(x))


def iscomplex(x: Any) -> Array:
    """Whether the imaginary part is not 0, element by element."""
    return to_bool(imag(x))


def real(val: Any, /) -> Array:
    """The real part; of real numbers ``val`` itself.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.real(jnp.array([1 + 2j, 3.0]))
        Array([1., 3.], dtype=float32)
    """
    x = as_array("real", val)
    return complexes.real(x) if x.dtype in dtypes.COMPLEX else x


def imag(val: Any, /) -> Array:
    """The imaginary part; of real numbers zeros."""
    x = operand("imag", val)
    aval = aval_of(x)
    return (
        complexes.imag(x)
        if aval.dtype in dtypes.COMPLEX
        else _rewrap(finish(shape.full(aval.shape, np.zeros((), aval.dtype))), aval.weak_type)
    )


def conjugate(x: Any, /) -> Array:
    """The complex conjugate; of real numbers ``x`` itself."""
    x = as_array("conjugate", x)
    return complexes.conj(x) if x.dtype in dtypes.COMPLEX else x


conj = conjugate


def angle(z: Any, deg: bool = False) -> Array:
    """The argument of complex numbers in radians, in [-pi, pi], or in degrees; of a real number 0, or pi if negative.

    Integers and scalars give the default float, as in JAX.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.angle(jnp.array([1j, -1.0]), deg=True)
        Array([ 90., 180.], dtype=float32)
    """
    z = operand("angle", z)
    dtype = aval_of(z).dtype
    if dtype not in dtypes.INEXACT or (dtype in dtypes.FLOATS and aval_of(z).ndim == 0):
        z = strong(astype(as_array("angle", z), dtypes.canonical(dtypes.float64)))
    out = arctan2(imag(z), real(z))
    return rad2deg(out) if deg else out


def real_if_close(a: Any, tol: float = 100) -> Array:
    """``a``, or its real part when every imaginary part is within ``tol`` times eps of 0 (``tol`` itself if <= 1).

    The answer decides the dtype, so ``a`` must have a value: under ``jit`` this raises.
    """
    x = as_array("real_if_close", a)
    if x.dtype not in dtypes.COMPLEX:
        return x
    host = np.asarray(x)
    limit = tol * float(dtypes.finfo(x.dtype).eps) if tol > 1 else tol
    return real(x) if (np.abs(np.imag(host)) < limit).all() else x


def squared_size(x: Any) -> Any:
    """``|x|**2``, real for complex numbers too."""
    if aval_of(x).dtype not in dtypes.COMPLEX:
        return arithmetic.square(x)
    return arithmetic.add(arithmetic.square(complexes.real(x)), arithmetic.square(complexes.imag(x)))


def _by_parts(function: Callable[[Any], Any], x: Any) -> Any:
    """``function`` of the real and of the imaginary part."""
    return complexes.complex(function(complexes.real(x)), function(complexes.imag(x)))


# --- conversions --------------------------------------------------------------------------------------------------


def astype_(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Array:
    """``x`` as an array of ``dtype``. NaN becomes 0 and out-of-range floats saturate on the way to integers."""
    check_device("astype", device)
    target = dtypes.canonical(dtypes.float64 if dtype is None else dtype)
    return strong(astype(as_array("astype", x), target))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    """``x`` with NaN as ``nan`` and the infinities as the greatest and least floats, unless given."""
    x = as_array("nan_to_num", x)
    if x.dtype in dtypes.COMPLEX:
        return _by_parts(lambda part: nan_to_num(part, copy, nan, posinf, neginf), x)
    if x.dtype not in dtypes.FLOATS:
        return x
    info = dtypes.finfo(x.dtype)
    high = info.max if posinf is None else posinf
    low = info.min if neginf is None else neginf
    for test, value in ((isnan(x), nan), (isposinf(x), high), (isneginf(x), low)):
        x = _select(
            "nan_to_num", test, astype(value if is_scalar(value) else as_array("nan_to_num", value), x.dtype), x
        )
    return x
