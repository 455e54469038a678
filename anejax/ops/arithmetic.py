"""Elementwise primitives of two or more arguments: arithmetic, comparisons, bit operations and selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.callers import user_called_lax
from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.primitive import REGISTRY, Primitive, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops import complex_values
from anejax.ops.families import (
    ANY,
    BOOL_INT,
    FLOAT,
    INEXACT,
    INT,
    NOT_LINEAR,
    NUMBER,
    ORDERED,
    REAL_NUMBER,
    ElementwiseMil,
    add_any,
    align_elementwise,
    binary,
    expand,
    is_linear,
    is_python_scalar,
    joint_dtype,
    primitive,
    stretch,
    sum_to,
    unary,
    zeros,
)

_WIDER = {dtypes.float16: np.float32, dtypes.bfloat16: np.float32, dtypes.complex64: np.complex128}


def in_float32(f: Any) -> Any:
    """``f`` with 16-bit floats computed in float32, complex64 in complex128, and rounded once."""

    def impl(x: np.ndarray, **params: Any) -> np.ndarray:
        wide = _WIDER.get(x.dtype)
        return f(x, **params) if wide is None else f(x.astype(wide), **params).astype(x.dtype)

    return impl


def face(prim: Primitive, what: str) -> Any:
    def function(x: Any) -> Any:
        return prim.bind(x)

    function.__name__ = function.__qualname__ = prim.name
    function.__doc__ = f"Elementwise {what}. Takes and returns an array of one shape and dtype."
    return function


# --- linear in one or both arguments ----------------------------------------------------------------------------------


def _add_transpose(ct: Any, x: Any, y: Any) -> Any:
    return [sum_to(ct, v.aval) if is_linear(v) else None for v in (x, y)]


def _sub_transpose(ct: Any, x: Any, y: Any) -> Any:
    return [
        sum_to(ct, x.aval) if is_linear(x) else None,
        sum_to(neg(ct), y.aval) if is_linear(y) else None,
    ]


def _mul_transpose(ct: Any, x: Any, y: Any) -> Any:
    if is_linear(x):
        return [sum_to(mul(ct, y), x.aval), None]
    return [None, sum_to(mul(ct, x), y.aval)]


def _div_transpose(ct: Any, x: Any, y: Any) -> Any:
    return [sum_to(div(ct, y), x.aval), None]


def _int_div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Truncating division; by zero it gives all ones (-1 when signed), and the least integer by -1 is itself."""
    least = np.iinfo(x.dtype).min if x.dtype.kind == "i" else None
    unsafe = (y == 0) if least is None else (y == 0) | ((x == least) & (y == -1))
    safe = np.where(unsafe, x.dtype.type(1), y)
    quotient = np.floor_divide(x, safe)
    if x.dtype.kind == "i":
        quotient = quotient + ((quotient < 0) & (quotient * safe != x))
    all_ones = x.dtype.type(-1) if x.dtype.kind == "i" else np.iinfo(x.dtype).max
    return np.where(y == 0, all_ones, quotient).astype(x.dtype)


def _div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype in dtypes.COMPLEX:
        wide = np.complex128  # the quotient by a subnormal number would overflow on the way
        return complex_values.divide(x.astype(wide), y.astype(wide)).astype(x.dtype)
    return _int_div(x, y) if x.dtype in INT else np.divide(x, y)


def _int_rem(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    unsafe = (y == 0) | ((y == -1) if x.dtype.kind == "i" else False)
    safe = np.where(unsafe, x.dtype.type(1), y)
    return np.where(y == 0, x, np.where(unsafe, x.dtype.type(0), np.fmod(x, safe))).astype(x.dtype)


def _rem_y(g: Any, out: Any, x: Any, y: Any) -> Any:
    quotient = div(x, y)
    return mul(neg(g), mul(sign(quotient), floor(abs(quotient))))


neg_p = unary(
    "neg",
    domain=NUMBER,
    impl=np.negative,
    jvp=lambda g, y, x: neg(g),
    linear=lambda ct, x: [neg(ct)],
)
square_p = unary("square", domain=NUMBER,
                 impl=lambda x: complex_values.square(x) if x.dtype in dtypes.COMPLEX else np.square(x),
                 jvp=lambda g, y, x: mul(g, mul(x, np.asarray(2, aval_of(x).dtype))), mil="square")  # fmt: skip


def _numbers(mil: str) -> dict[str, str]:
    return {"float": mil, "int": mil}


add_p = binary("add", domain=NUMBER, impl=np.add, jvp=(lambda g, o, x, y: g, lambda g, o, x, y: g),
               mil=_numbers("add"), linear=_add_transpose)  # fmt: skip
sub_p = binary("sub", domain=NUMBER, impl=np.subtract, jvp=(lambda g, o, x, y: g, lambda g, o, x, y: neg(g)),
               mil=_numbers("sub"), linear=_sub_transpose)  # fmt: skip
mul_p = binary("mul", domain=NUMBER, impl=np.multiply,
               jvp=(lambda g, o, x, y: mul(g, y), lambda g, o, x, y: mul(g, x)),
               mil=_numbers("mul"), linear=_mul_transpose)  # fmt: skip
div_p = binary("div", domain=NUMBER, impl=_div,
               jvp=(lambda g, o, x, y: div(g, y), lambda g, o, x, y: mul(neg(g), div(o, y))),
               mil=ElementwiseMil({"float": "real_div"}, ("x", "y"), counts="floor_div"),
               linear=_div_transpose)  # fmt: skip


def _half_share(g: Any, out: Any, x: Any, y: Any) -> Any:
    """The part of a maximum's or minimum's tangent: all where x wins, half where both are equal, as in JAX."""
    shape = aval_of(out).shape
    one, zero, half = (np.asarray(v, aval_of(g).dtype) for v in (1, 0, 0.5))
    mask = eq(x, out)
    both = eq(y, out)
    share = select_n(
        expand(mask, shape),
        expand(zero, shape),
        select_n(expand(both, shape), expand(one, shape), expand(half, shape)),
    )
    return mul(g, share)


def _pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return complex_values.power(x, y) if x.dtype in dtypes.COMPLEX else np.power(x, y)


def _pow_x(g: Any, out: Any, x: Any, y: Any) -> Any:
    """0 to the power of 0 is a constant in x: y times the infinite power is not NaN there."""
    zero, one = zeros(Aval((), aval_of(x).dtype)), np.ones((), aval_of(y).dtype)
    if not (isinstance(y, np.ndarray | np.generic) and np.all(y != 0)):
        constant = and_(*(expand(eq(v, zero), aval_of(out).shape) for v in (x, y)))
        x = select_n(constant, expand(x, aval_of(out).shape), expand(one, aval_of(out).shape))
    return mul(g, mul(y, pow(x, sub(y, one))))


def _pow_y(g: Any, out: Any, x: Any, y: Any) -> Any:
    dtype = aval_of(x).dtype
    zero = zeros(Aval((), dtype))
    x_is_zero = eq(x, zero)
    safe_x = select_n(x_is_zero, x, expand(np.ones((), dtype), aval_of(x).shape))
    log_x = REGISTRY["log"].bind(safe_x)
    return mul(g, mul(out, log_x))


def _shift(op: Any) -> Any:
    """A shift by less than 0 or by the width or more gives 0, or the sign for arithmetic shifts."""

    def impl(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        bits = x.dtype.itemsize * 8
        amount = y.astype(f"u{x.dtype.itemsize}")
        inside = amount < bits
        return op(x, np.where(inside, amount, 0), inside).astype(x.dtype)

    return impl


def _unsigned(x: np.ndarray) -> np.ndarray:
    return x.view(f"u{x.dtype.itemsize}")


def _signed(x: np.ndarray) -> np.ndarray:
    return x.view(f"i{x.dtype.itemsize}")


_left = _shift(
    lambda x, n, ok: (
        np.where(ok, _unsigned(x) << n.astype(_unsigned(x).dtype), 0).astype(_unsigned(x).dtype).view(x.dtype)
    )
)
_right_logical = _shift(
    lambda x, n, ok: (
        np.where(ok, _unsigned(x) >> n.astype(_unsigned(x).dtype), 0).astype(_unsigned(x).dtype).view(x.dtype)
    )
)
_right_arithmetic = _shift(
    lambda x, n, ok: (_signed(x) >> np.where(ok, n, x.dtype.itemsize * 8 - 1).astype(_signed(x).dtype)).view(x.dtype)
)

rem_p = binary("rem", domain=REAL_NUMBER, impl=lambda x, y: _int_rem(x, y) if x.dtype in INT else np.fmod(x, y),
               jvp=(lambda g, o, x, y: g, _rem_y), mil=ElementwiseMil({}, ("x", "y"), counts="mod"))  # fmt: skip
pow_p = binary("pow", domain=INEXACT, impl=_pow, jvp=(_pow_x, _pow_y), mil="pow")
max_p = binary("max", domain=ANY, impl=np.maximum,
               jvp=(_half_share, lambda g, o, x, y: _half_share(g, o, y, x)), mil=_numbers("maximum"))  # fmt: skip
min_p = binary("min", domain=ANY, impl=np.minimum,
               jvp=(_half_share, lambda g, o, x, y: _half_share(g, o, y, x)), mil=_numbers("minimum"))  # fmt: skip


def _atan2_part(g: Any, numerator: Any, x: Any, y: Any) -> Any:
    return mul(g, div(numerator, add(square(x), square(y))))


def _atan2(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """For complex numbers, -i log((x + iy) / sqrt(x**2 + y**2)), as in XLA."""
    if y.dtype not in dtypes.COMPLEX:
        return np.arctan2(y, x)
    y, x = y.astype(np.complex128), x.astype(np.complex128)
    with np.errstate(all="ignore"):
        return -1j * np.log((x + 1j * y) / np.sqrt(x * x + y * y))


atan2_p = binary("atan2", domain=INEXACT, impl=_atan2,
                 jvp=(lambda g, o, x, y: _atan2_part(g, y, x, y),
                      lambda g, o, x, y: _atan2_part(g, neg(x), x, y)))  # fmt: skip


def _nextafter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """C's nextafter: ``y`` where both are equal, which NumPy's of float16 does not give for zeros."""
    return np.where(x == y, y, np.nextafter(x, y)).astype(x.dtype)


nextafter_p = binary("nextafter", domain=FLOAT, impl=_nextafter, jvp=None)

# --- bits and logic ---------------------------------------------------------------------------------------------------

and_p = binary("and", domain=BOOL_INT, impl=np.bitwise_and, jvp=None, mil={"bool": "logical_and"})
or_p = binary("or", domain=BOOL_INT, impl=np.bitwise_or, jvp=None, mil={"bool": "logical_or"})
xor_p = binary("xor", domain=BOOL_INT, impl=np.bitwise_xor, jvp=None, mil={"bool": "logical_xor"})
shift_left_p = binary("shift_left", domain=INT, impl=_left, jvp=None)
shift_right_logical_p = binary("shift_right_logical", domain=INT, impl=_right_logical, jvp=None)
shift_right_arithmetic_p = binary("shift_right_arithmetic", domain=INT, impl=_right_arithmetic, jvp=None)

# --- comparisons ------------------------------------------------------------------------------------------------------


def _comparison(name: str, impl: Any, mil: str, domain: Sequence[np.dtype] = ORDERED) -> Primitive:
    return binary(name, domain=domain, impl=impl, jvp=None, mil=_numbers(mil), out_dtype=dtypes.bool_)


eq_p, ne_p = _comparison("eq", np.equal, "equal", ANY), _comparison("ne", np.not_equal, "not_equal", ANY)
lt_p, le_p = _comparison("lt", np.less, "less"), _comparison("le", np.less_equal, "less_equal")
gt_p, ge_p = (
    _comparison("gt", np.greater, "greater"),
    _comparison("ge", np.greater_equal, "greater_equal"),
)

# --- an integer power known when tracing ------------------------------------------------------------------------------


def _integer_pow(x: np.ndarray, *, y: int) -> np.ndarray:
    if x.dtype in _WIDER:
        return _integer_pow(x.astype(_WIDER[x.dtype]), y=y).astype(x.dtype)
    if x.dtype in dtypes.COMPLEX:
        return complex_values.integer_pow(x, y)
    if y < 0:
        return (1 / _integer_pow(x, y=-y)).astype(x.dtype)
    result = np.ones_like(x)
    while y:
        result = result * x if y & 1 else result
        y >>= 1
        if y:
            x = x * x
    return result


def _integer_pow_jvp(g: Any, out: Any, x: Any, *, y: int) -> Any:
    if y == 0:
        return Zero(aval_of(out).tangent())
    return mul(g, mul(np.asarray(y, aval_of(x).dtype), integer_pow(x, y - 1)))


integer_pow_p = unary("integer_pow", domain=NUMBER, impl=_integer_pow, jvp=_integer_pow_jvp,
                      mil=lambda ctx, x, *, y: ctx.emit_aj(x=x, y=y))  # fmt: skip

# --- signs and rounding: their derivative is zero almost everywhere ---------------------------------------------------

floor_p = unary("floor", domain=FLOAT, impl=in_float32(np.floor), jvp=None, mil="floor")
ceil_p = unary("ceil", domain=FLOAT, impl=in_float32(np.ceil), jvp=None, mil="ceil")


def _sign(x: np.ndarray) -> np.ndarray:
    """0 keeps its sign."""
    size = complex_values.unit if x.dtype in dtypes.COMPLEX else np.sign
    return np.where(x == 0, x, size(x))


sign_p = unary("sign", domain=NUMBER, impl=_sign, jvp=None, mil="sign")


def _abs_jvp(g: Any, out: Any, x: Any) -> Any:
    dtype = aval_of(x).dtype
    if dtype in dtypes.COMPLEX:  # re(g conj(x)) / |x|, and 0 at 0
        size = select_n(eq(out, np.zeros((), aval_of(out).dtype)), out, expand(_one(out), aval_of(out).shape))
        along = div(REGISTRY["conj"].bind(x), REGISTRY["convert_element_type"].bind(size, dtype=dtype))
        return REGISTRY["real"].bind(mul(g, along))
    return select_n(ge(x, np.zeros((), aval_of(x).dtype)), neg(g), g)


def _one(x: Any) -> Any:
    return np.ones((), aval_of(x).dtype)


abs_p = unary("abs", domain=NUMBER, impl=np.abs, jvp=_abs_jvp, mil="abs", out_dtype=dtypes.real_part)


round_p = unary("round", domain=FLOAT, impl=in_float32(np.rint), jvp=None, mil="round")  # halves to even

is_finite_p = unary("is_finite", domain=FLOAT, impl=lambda x: np.isfinite(x), jvp=None, out_dtype=dtypes.bool_)

# --- selection --------------------------------------------------------------------------------------------------------

select_n_p = primitive("select_n")


def _select_abstract(which: Aval, *cases: Aval) -> Aval:
    if not cases:
        raise ShapeError("[select_n] expected at least one case.")
    shape = cases[0].shape
    if len({c.shape for c in cases}) > 1 or (which.shape and which.shape != shape):
        raise ShapeError(
            f"[select_n] expected cases of one shape and `which` of that shape or rank 0, got {which} for"
            f" {', '.join(map(str, cases))}."
        )
    if which.dtype not in (dtypes.bool_, dtypes.int32):
        raise DtypeError(f"[select_n] expected `which` of bool or integers, got {which}.")
    if which.dtype == dtypes.bool_ and len(cases) > 2:
        raise ShapeError(f"[select_n] a bool `which` selects between two cases, got {len(cases)}.")
    dtype = joint_dtype("select_n", cases)
    return Aval(shape, dtype, all(c.weak_type for c in cases))


def _select_impl(which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    out = cases[0]
    for i, case in enumerate(cases[1:], 1):
        out = np.where(which.astype(np.int32) >= i, case, out)
    return out


def _select_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    out = select_n_p.bind(*primals)
    if all(isinstance(t, Zero) for t in tangents[1:]):
        return out, Zero(aval_of(out).tangent())
    return out, select_n_p.bind(primals[0], *(zeros(t.aval) if isinstance(t, Zero) else t for t in tangents[1:]))


def _select_transpose(ct: Any, which: Any, *cases: Any) -> Any:
    zero = zeros(aval_of(ct))
    return [None] + [
        select_n_p.bind(which, *(ct if i == j else zero for j in range(len(cases)))) if is_linear(c) else None
        for i, c in enumerate(cases)
    ]


def _select_batch(size: int, args: Sequence[Any], dims: Sequence[int | None]) -> Any:
    if dims[0] is None and aval_of(args[0]).ndim == 0:
        cases, axis = align_elementwise(size, args[1:], dims[1:])
        shape = next(aval_of(c).shape for c in cases if aval_of(c).shape)
        return select_n_p.bind(args[0], *(expand(c, shape) for c in cases)), axis
    aligned, axis = align_elementwise(size, args, dims)
    shape = next(aval_of(a).shape for a in aligned if aval_of(a).shape)
    return select_n_p.bind(*(expand(a, shape) for a in aligned)), axis


def _select_mil(ctx: Any, which: Any, *cases: Any) -> Any:
    if len(cases) == 2 and ctx.in_avals[0].dtype == dtypes.bool_:
        operands = {"cond": which, "a": cases[1], "b": cases[0]}
        if ctx.takes("select", operands):
            return ctx.emit("select", **operands)
    return ctx.emit_aj(which=which, cases=cases)


select_n_p.fill(abstract=_select_abstract, impl=_select_impl, jvp=_select_jvp, transpose=_select_transpose,
                batch=_select_batch, elementwise=True, mil=_select_mil)  # fmt: skip

clamp_p = primitive("clamp")


def _clamp_abstract(low: Aval, x: Aval, high: Aval) -> Aval:
    joint_dtype("clamp", (low, x, high))
    for bound in (low, high):
        if bound.shape and bound.shape != x.shape:
            raise ShapeError(f"[clamp] expected bounds of shape {x.shape} or rank 0, got {bound} for {x}.")
    return Aval(x.shape, x.dtype, x.weak_type)


def _clamp_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    low, x, high = primals
    out = clamp_p.bind(low, x, high)
    shape, aval = aval_of(out).shape, aval_of(out)
    inside = and_(gt(x, low), lt(x, high))
    below, above = gt(low, x), lt(high, x)
    total: Any = Zero(aval.tangent())
    for mask, t in zip((below, inside, above), tangents):
        if not isinstance(t, Zero):
            total = add_any(total, select_n(expand(mask, shape), zeros(aval.strong()), expand(t, shape)))
    return out, total


def _clamp_batch(size: int, args: Sequence[Any], dims: Sequence[int | None]) -> Any:
    aligned, axis = align_elementwise(size, args, dims)
    shape = next(aval_of(a).shape for a in aligned if aval_of(a).shape)
    return clamp_p.bind(aligned[0], expand(aligned[1], shape), aligned[2]), axis


clamp_p.fill(
    abstract=_clamp_abstract,
    impl=lambda low, x, high: np.minimum(np.maximum(x, low), high),
    jvp=_clamp_jvp,
    transpose=NOT_LINEAR,
    batch=_clamp_batch,
    elementwise=True,
    mil=lambda ctx, low, x, high: ctx.emit_aj(min=low, x=x, max=high),
)

# --- faces ------------------------------------------------------------------------------------------------------------


def _operands(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Python scalars take the dtype of the array beside them, when they are of its kind."""
    if is_python_scalar(x) and not is_python_scalar(y):
        return scalar_as(name, x, aval_of(y)), y
    if is_python_scalar(y) and not is_python_scalar(x):
        return x, scalar_as(name, y, aval_of(x))
    return x, y


def scalar_as(name: str, value: complex, aval: Aval) -> Any:
    """A Python scalar as a weak rank-0 array of ``aval``'s dtype, which a user's must have itself, as in jax.lax."""
    dtype, weak = dtypes.of_python(value)  # type: ignore[misc]
    if dtype == aval.dtype:
        return DeviceArray(Aval((), dtype, weak), np.asarray(value, dtype))
    fits = dtypes.promote([(dtype, weak), (aval.dtype, aval.weak_type)])[0] == aval.dtype
    if not fits or user_called_lax():
        raise DtypeError(
            f"[{name}] a Python {type(value).__name__} ({dtype.name}) does not fit {aval}. Convert one of them."
        )
    try:
        return DeviceArray(Aval((), aval.dtype, weak), np.asarray(value, aval.dtype))
    except OverflowError:
        raise OverflowError(f"[{name}] the Python integer {value} does not fit {aval.dtype.name}.") from None


def _face2(prim: Primitive, what: str, name: str | None = None) -> Any:
    def function(x: Any, y: Any) -> Any:
        x, y = _operands(prim.name, x, y)
        if getattr(x, "shape", None) != getattr(y, "shape", None):
            x, y = stretch(x, y)
        return prim.bind(x, y)

    function.__name__ = function.__qualname__ = name or prim.name
    function.__doc__ = (
        f"Elementwise {what}. Operands have one dtype, and one shape (axes of length 1 are stretched) or rank 0."
    )
    return function


add, sub, _product = _face2(add_p, "x + y"), _face2(sub_p, "x - y"), _face2(mul_p, "x * y")


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """Elementwise x * y; both operands are converted to ``out_dtype`` if it is given.

    Operands have one dtype, and one shape (axes of length 1 are stretched) or rank 0.
    """
    if out_dtype is None:
        return _product(x, y)
    convert, target = REGISTRY["convert_element_type"].bind, dtypes.canonical(out_dtype)
    x, y = _operands("mul", x, y)
    joint_dtype("mul", (aval_of(x), aval_of(y)))
    return _product(*(convert(v, dtype=target) if aval_of(v).dtype != target else v for v in (x, y)))


div, rem = (
    _face2(div_p, "x / y, truncating for integers"),
    _face2(rem_p, "remainder with the sign of x"),
)
_pow_of_one_dtype = _face2(pow_p, "x ** y")


def pow(x: Any, y: Any) -> Any:
    """Elementwise ``x ** y`` of floats or complex numbers; ``y`` may have integers, which become numbers of x's dtype.

    Operands have one shape (axes of length 1 are stretched) or rank 0.
    """
    one, two = aval_of(x), aval_of(y)
    if two.dtype in INT and one.dtype in INEXACT and two.dtype != one.dtype:
        y = REGISTRY["convert_element_type"].bind(y, dtype=one.dtype, weak_type=two.weak_type)
    return _pow_of_one_dtype(x, y)


max = _face2(max_p, "maximum; NaN wins; of complex numbers by real part, then by imaginary part")
min = _face2(min_p, "minimum; NaN wins; of complex numbers by real part, then by imaginary part")
atan2 = _face2(atan2_p, "angle of (y, x); of complex numbers -i log((x + iy) / sqrt(x**2 + y**2))")
_next_float = _face2(nextafter_p, "next float")


def nextafter(x1: Any, x2: Any) -> Any:
    """Elementwise the next float after ``x1`` towards ``x2``.

    Operands have one dtype, and one shape (axes of length 1 are stretched) or rank 0.
    """
    return _next_float(x1, x2)


and_, or_ = _face2(and_p, "and of bits", "bitwise_and"), _face2(or_p, "or of bits", "bitwise_or")
xor = _face2(xor_p, "exclusive or of bits", "bitwise_xor")
shift_left = _face2(shift_left_p, "x << y; 0 when y reaches the width")
shift_right_logical = _face2(shift_right_logical_p, "x >> y filling with zeros")
shift_right_arithmetic = _face2(shift_right_arithmetic_p, "x >> y filling with the highest bit")

eq, ne = _face2(eq_p, "x == y, as bool"), _face2(ne_p, "x != y, as bool")
lt, le = _face2(lt_p, "x < y, as bool"), _face2(le_p, "x <= y, as bool")
gt, ge = _face2(gt_p, "x > y, as bool"), _face2(ge_p, "x >= y, as bool")
neg, square = face(neg_p, "-x"), face(square_p, "x * x")
floor, ceil, sign = (
    face(floor_p, "floor"),
    face(ceil_p, "ceiling"),
    face(sign_p, "sign: -1, 0 or 1"),
)
abs = face(abs_p, "absolute value")
is_finite = face(is_finite_p, "test for neither infinity nor NaN, as bool")


def round(x: Any, rounding_method: int = 0) -> Any:
    """Elementwise rounding: 0 halves away from zero (lax's default), 1 halves to even."""
    if rounding_method == 1:
        return round_p.bind(x)
    size = abs(x)
    whole = floor(size)
    aval = aval_of(x)
    half, one = (np.asarray(v, aval.dtype) for v in (0.5, 1))
    found = mul(sign(x), select_n(ge(sub(size, whole), half), whole, add(whole, one)))
    return REGISTRY["convert_element_type"].bind(found, dtype=aval.dtype, weak_type=True) if aval.weak_type else found


def integer_pow(x: Any, y: int) -> Any:
    """Elementwise ``x ** y`` for a Python integer ``y``; negative powers are for floats."""
    if y < 0 and aval_of(x).dtype in INT:
        raise DtypeError(f"[integer_pow] a negative power ({y}) of integers {aval_of(x)} is not an integer.")
    return integer_pow_p.bind(x, y=int(y))


def where(test: Any, x: Any, y: Any) -> Any:
    """``x`` where ``test`` holds, else ``y``; operands of rank 0 stand for every element."""
    shape = next((aval_of(v).shape for v in (test, x, y) if aval_of(v).shape), ())
    return select_n(test, expand(y, shape), expand(x, shape))


def select_n(which: Any, *cases: Any) -> Any:
    """``cases[which]``, element by element; False takes the first of two cases."""
    kind = aval_of(which).dtype
    if kind in INT and kind != dtypes.int32:
        which = REGISTRY["convert_element_type"].bind(which, dtype=dtypes.int32)
    return select_n_p.bind(which, *cases)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """``x`` limited to [min, max], bounds of x's shape or rank 0. NaN stays."""
    aval = aval_of(x)
    low, high = (scalar_as("clamp", b, aval) if is_python_scalar(b) else b for b in (min, max))
    return clamp_p.bind(low, x, high)
