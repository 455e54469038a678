"""Elementwise primitives of one argument. Each block has the function, its derivative, and MIL's operation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.ops import complex_values
from anejax.ops.arithmetic import add, div, face, floor, in_float32, integer_pow, lt, mul, neg, select_n, square, sub
from anejax.ops.families import (
    BOOL_INT,
    FLOAT,
    INEXACT,
    INT,
    INTEGER_OUTPUT,
    ElementwiseMil,
    check_domain,
    elementwise_batch,
    expand,
    is_python_scalar,
    primitive,
    unary,
    zero_jvp,
)


def in_float64(f: Any) -> Any:
    """``f`` of Python floats applied to each element in double precision and rounded once."""
    each = np.vectorize(f, otypes=[np.float64])

    def impl(x: np.ndarray) -> np.ndarray:
        return each(x.astype(np.float64)).astype(x.dtype) if x.size else x

    return impl


def _guarded(f: Any, at_pole: float = math.nan) -> Any:
    def safe(v: float) -> float:
        try:
            return f(v)
        except ValueError:
            return math.nan if math.isnan(v) else at_pole
        except OverflowError:
            return math.inf

    return safe


def _times(g: Any, c: float) -> Any:
    return mul(g, np.asarray(c, aval_of(g).dtype))


def _one_like(x: Any) -> Any:
    return np.ones((), aval_of(x).dtype)


def _log1p(x: np.ndarray) -> np.ndarray:
    return complex_values.log1p(x) if x.dtype in dtypes.COMPLEX else np.log1p(x)


def _expm1(x: np.ndarray) -> np.ndarray:
    return complex_values.expm1(x) if x.dtype in dtypes.COMPLEX else np.expm1(x)


# --- exponentials and logarithms --------------------------------------------------------------------------------------

exp_p = unary("exp", domain=INEXACT, impl=in_float32(np.exp), jvp=lambda g, y, x: mul(g, y), mil="exp")
exp2_p = unary("exp2", domain=INEXACT, impl=in_float32(np.exp2),
               jvp=lambda g, y, x: mul(g, _times(y, math.log(2))), mil="exp2")  # fmt: skip
log_p = unary("log", domain=INEXACT, impl=in_float32(np.log), jvp=lambda g, y, x: div(g, x),
              mil=ElementwiseMil("log", ("x",), {"epsilon": 0.0}))  # fmt: skip
log2_p = unary("log2", domain=INEXACT, impl=in_float32(np.log2), jvp=lambda g, y, x: div(g, _times(x, math.log(2))))
log1p_p = unary("log1p", domain=INEXACT, impl=in_float32(_log1p),
                jvp=lambda g, y, x: div(g, add(x, _one_like(x))))  # fmt: skip
expm1_p = unary("expm1", domain=INEXACT, impl=in_float32(_expm1),
                jvp=lambda g, y, x: mul(g, add(y, _one_like(y))))  # fmt: skip

# --- roots ------------------------------------------------------------------------------------------------------------

sqrt_p = unary("sqrt", domain=INEXACT, impl=in_float32(np.sqrt), jvp=lambda g, y, x: div(_times(g, 0.5), y),
               mil="sqrt")  # fmt: skip
rsqrt_p = unary("rsqrt", domain=INEXACT, impl=in_float32(lambda x: (1 / np.sqrt(x)).astype(x.dtype)),
                jvp=lambda g, y, x: mul(mul(mul(_times(g, -0.5), y), y), y),  # y / x overflows in float16 below 6e-4
                mil=ElementwiseMil("rsqrt", ("x",), {"epsilon": 0.0}))  # fmt: skip
cbrt_p = unary("cbrt", domain=FLOAT, impl=in_float32(np.cbrt),
               jvp=lambda g, y, x: mul(g, _times(integer_pow(y, -2), 1 / 3)))  # fmt: skip

# --- trigonometric and hyperbolic -------------------------------------------------------------------------------------

sin_p = unary("sin", domain=INEXACT, impl=in_float32(np.sin), jvp=lambda g, y, x: mul(g, cos(x)), mil="sin")
cos_p = unary("cos", domain=INEXACT, impl=in_float32(np.cos), jvp=lambda g, y, x: neg(mul(g, sin(x))), mil="cos")
tan_p = unary("tan", domain=INEXACT, impl=in_float32(np.tan),
              jvp=lambda g, y, x: mul(g, add(square(y), _one_like(y))), mil="tan")  # fmt: skip
asin_p = unary("asin", domain=INEXACT, impl=in_float32(np.arcsin),
               jvp=lambda g, y, x: mul(g, rsqrt(sub(_one_like(x), square(x)))), mil="asin")  # fmt: skip
acos_p = unary("acos", domain=INEXACT, impl=in_float32(np.arccos),
               jvp=lambda g, y, x: neg(mul(g, rsqrt(sub(_one_like(x), square(x))))), mil="acos")  # fmt: skip
atan_p = unary("atan", domain=INEXACT, impl=in_float32(np.arctan),
               jvp=lambda g, y, x: div(g, add(square(x), _one_like(x))), mil="atan")  # fmt: skip
sinh_p = unary("sinh", domain=INEXACT, impl=in_float32(np.sinh), jvp=lambda g, y, x: mul(g, cosh(x)),
               mil="sinh")  # fmt: skip
cosh_p = unary("cosh", domain=INEXACT, impl=in_float32(np.cosh), jvp=lambda g, y, x: mul(g, sinh(x)),
               mil="cosh")  # fmt: skip
tanh_p = unary("tanh", domain=INEXACT, impl=in_float32(np.tanh),
               jvp=lambda g, y, x: mul(g, sub(_one_like(y), square(y))), mil="tanh")  # fmt: skip
asinh_p = unary("asinh", domain=INEXACT, impl=in_float32(np.arcsinh),
                jvp=lambda g, y, x: mul(g, rsqrt(add(square(x), _one_like(x)))))  # fmt: skip
acosh_p = unary("acosh", domain=INEXACT, impl=in_float32(np.arccosh),
                jvp=lambda g, y, x: mul(g, rsqrt(mul(sub(x, _one_like(x)), add(x, _one_like(x))))))  # fmt: skip
atanh_p = unary("atanh", domain=INEXACT, impl=in_float32(np.arctanh),
                jvp=lambda g, y, x: div(g, sub(_one_like(x), square(x))), mil="atanh")  # fmt: skip


def _logistic(x: np.ndarray) -> np.ndarray:
    if x.dtype in dtypes.COMPLEX:
        return 1 / (1 + np.exp(-x))
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


logistic_p = unary("logistic", domain=INEXACT, impl=in_float32(_logistic),
                   jvp=lambda g, y, x: mul(g, mul(y, sub(_one_like(y), y))), mil="sigmoid")  # fmt: skip

# --- error function and gamma -----------------------------------------------------------------------------------------


def _gauss(g: Any, x: Any, scale: float) -> Any:
    return mul(_times(g, scale), exp(neg(square(x))))


def _erf_inv(v: float) -> float:
    """Two Newton steps in double precision from Giles' approximation (2010, "Approximating the erfinv function")."""
    if not -1 < v < 1:
        return math.copysign(math.inf, v) if abs(v) == 1 else math.nan
    w = -math.log1p(-v * v)
    if w < 5:
        w -= 2.5
        coefficients = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                        -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
    else:
        w = math.sqrt(w) - 3
        coefficients = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)  # fmt: skip
    p = 0.0
    for c in coefficients:
        p = p * w + c
    y = p * v
    for _ in range(2):
        residual = (
            math.erf(y) - v if abs(v) < 0.5 else math.copysign(1 - abs(v), v) - math.copysign(math.erfc(abs(y)), y)
        )
        y -= residual / (2 / math.sqrt(math.pi) * math.exp(-y * y))
    return y


erf_p = unary("erf", domain=FLOAT, impl=in_float64(math.erf),
              jvp=lambda g, y, x: _gauss(g, x, 2 / math.sqrt(math.pi)), mil="erf")  # fmt: skip
erfc_p = unary("erfc", domain=FLOAT, impl=in_float64(math.erfc),
               jvp=lambda g, y, x: _gauss(g, x, -2 / math.sqrt(math.pi)))  # fmt: skip
erf_inv_p = unary("erf_inv", domain=FLOAT, impl=in_float64(_erf_inv),
                  jvp=lambda g, y, x: mul(_times(g, math.sqrt(math.pi) / 2), exp(square(y))))  # fmt: skip


def _digamma(v: float) -> float:
    """Reflection, recurrence to v >= 10, then the asymptotic series (DLMF 5.5.2, 5.5.4, 5.11.2)."""
    if math.isinf(v) or math.isnan(v):
        return v if v > 0 else math.nan
    if v <= 0 and v == math.floor(v):
        return math.nan
    if v < 0:
        return _digamma(1 - v) - math.pi / math.tan(math.pi * (v - round(v)))  # the distance from a pole is exact
    shift = 0.0
    while v < 10:
        shift -= 1 / v
        v += 1
    inv2 = 1 / (v * v)
    series = 0.0
    for c in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        series = (series + c) * inv2
    return shift + math.log(v) - 0.5 / v - series


lgamma_p = unary("lgamma", domain=FLOAT, impl=in_float64(_guarded(math.lgamma, math.inf)),
                 jvp=lambda g, y, x: mul(g, digamma(x)))  # fmt: skip
digamma_p = unary("digamma", domain=FLOAT, impl=in_float64(_digamma),
                  jvp=lambda g, y, x: mul(g, polygamma_1(x)))  # fmt: skip


def polygamma_1(x: Any) -> Any:
    """The trigamma function: reflection, recurrence to x >= 12, the asymptotic series (DLMF 5.15.6, 5.15.5, 5.15.8)."""
    one, below = _one_like(x), lt(x, _times(_one_like(x), 0.0))
    x_fair = select_n(below, x, sub(one, x))
    off = sub(x, floor(add(x, _times(one, 0.5))))  # from the nearest pole, exactly
    off = select_n(below, expand(_times(one, 0.5), aval_of(x).shape), off)
    reflected = square(div(_times(one, math.pi), sin(_times(off, math.pi))))
    value = _polygamma_1_right(x_fair)
    return select_n(below, value, sub(reflected, value))


def _polygamma_1_right(x: Any) -> Any:
    """``polygamma_1`` for x >= 0."""
    one = _one_like(x)
    total = div(one, square(x))
    for _ in range(11):
        x = add(x, one)
        total = add(total, div(one, square(x)))
    inv = div(one, add(x, one))
    inv2 = square(inv)
    series = _times(inv2, 7 / 6)  # Bernoulli numbers, the last first
    for b in (-691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6):
        series = mul(add(series, _times(one, b)), inv2)
    return add(total, add(mul(inv, add(one, series)), _times(inv2, 0.5)))


# --- bits -------------------------------------------------------------------------------------------------------------

not_p = unary("not", domain=BOOL_INT, impl=np.invert, jvp=None, mil={"bool": "logical_not"})
population_count_p = unary("population_count", domain=INT, impl=lambda x: np.bitwise_count(_bits(x)).astype(x.dtype),
                           jvp=None)  # fmt: skip


def _bits(x: np.ndarray) -> np.ndarray:
    return x.view(f"uint{x.dtype.itemsize * 8}")


def _clz(x: np.ndarray) -> np.ndarray:
    bits, n = _bits(x).copy(), x.dtype.itemsize * 8
    count = np.full(x.shape, n, np.int64)
    for i in range(n):
        count = np.where(bits >> np.array(i, bits.dtype) != 0, n - 1 - i, count)
    return count.astype(x.dtype)


clz_p = unary("clz", domain=INT, impl=_clz, jvp=None)

# --- conversions ------------------------------------------------------------------------------------------------------


def convert_ndarray(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """JAX's conversion: NaN to integer is 0, out of range saturates, to bool is x != 0, to real the real part."""
    if dtype == dtypes.bool_:
        return x != 0
    if x.dtype in dtypes.COMPLEX and dtype not in dtypes.COMPLEX:
        x = np.real(x)
    if x.dtype in FLOAT and dtype in INT:
        info = np.iinfo(dtype)
        wide = x.astype(np.float64)
        clean = np.where(np.isnan(wide), 0.0, np.trunc(wide))
        low, high = clean <= float(info.min), clean >= float(info.max)
        inside = np.where(low | high, 0.0, clean).astype(dtype)
        return np.where(low, dtype.type(info.min), np.where(high, dtype.type(info.max), inside)).astype(dtype)
    return x.astype(dtype)


convert_element_type_p = primitive("convert_element_type")


def _convert_abstract(x: Aval, *, dtype: np.dtype, weak_type: bool = False) -> Aval:
    return Aval(x.shape, dtype, weak_type)


def _convert_jvp(primals: Any, tangents: Any, *, dtype: np.dtype, weak_type: bool = False) -> Any:
    (x,), (t,) = primals, tangents
    out = convert_element_type_p.bind(x, dtype=dtype, weak_type=weak_type)
    target = aval_of(out).tangent()
    if isinstance(t, Zero) or target.dtype == dtypes.float0:
        return out, Zero(target)
    return out, convert_element_type_p.bind(t, dtype=dtype, weak_type=weak_type)


def _convert_transpose(ct: Any, x: Any, *, dtype: np.dtype, weak_type: bool = False) -> Any:
    return [convert_element_type_p.bind(ct, dtype=x.aval.dtype, weak_type=x.aval.weak_type)]


def _convert_mil(ctx: Any, x: Any, *, dtype: np.dtype, weak_type: bool = False) -> Any:
    if ctx.in_avals[0].dtype == dtype:
        return x  # only the weak type changes
    if ctx.takes("cast", {"x": x}, out=True):
        return ctx.emit("cast", x=x, dtype=ctx.dtype_name(dtype))
    return ctx.emit_aj(x=x)


convert_element_type_p.fill(
    abstract=_convert_abstract,
    impl=lambda x, *, dtype, weak_type=False: convert_ndarray(x, dtype),
    jvp=_convert_jvp,
    transpose=_convert_transpose,
    batch=elementwise_batch(convert_element_type_p),
    elementwise=True,
    mil=_convert_mil,
)


def convert_element_type(x: Any, dtype: Any, weak_type: bool = False) -> Any:
    """``x`` with elements of ``dtype``. NaN becomes 0 and out-of-range values saturate on the way to integers."""
    dtype = dtypes.canonical(dtype)
    aval = aval_of(x)
    if aval.dtype == dtype and aval.weak_type == weak_type and not is_python_scalar(x):
        return x
    return convert_element_type_p.bind(x, dtype=dtype, weak_type=weak_type)


bitcast_convert_type_p = primitive("bitcast_convert_type")


def _bitcast_abstract(x: Aval, *, dtype: np.dtype) -> Aval:
    if dtypes.itemsize_bits(x.dtype) != dtypes.itemsize_bits(dtype):
        raise DtypeError(f"[bitcast_convert_type] expected a dtype as wide as {x}, got {dtype.name}.")
    return Aval(x.shape, dtype)


bitcast_convert_type_p.fill(
    abstract=_bitcast_abstract,
    impl=lambda x, *, dtype: x.view(dtype),
    jvp=zero_jvp(bitcast_convert_type_p),
    transpose=INTEGER_OUTPUT,
    batch=elementwise_batch(bitcast_convert_type_p),
    mil=lambda ctx, x, *, dtype: ctx.emit_aj(x=x),
)


def bitcast_convert_type(x: Any, dtype: Any) -> Any:
    """The bits of ``x`` read as ``dtype``, which must have the same width."""
    return bitcast_convert_type_p.bind(x, dtype=dtypes.canonical(dtype))


# --- faces ------------------------------------------------------------------------------------------------------------


exp, exp2, log = face(exp_p, "e**x"), face(exp2_p, "2**x"), face(log_p, "natural logarithm")
log2 = face(log2_p, "logarithm to base 2, exact at powers of 2")
log1p, expm1 = face(log1p_p, "log(1 + x), exact near 0"), face(expm1_p, "e**x - 1, exact near 0")
sqrt, rsqrt, cbrt = (
    face(sqrt_p, "square root"),
    face(rsqrt_p, "1 / sqrt(x)"),
    face(cbrt_p, "cube root"),
)
sin, cos, tan = face(sin_p, "sine"), face(cos_p, "cosine"), face(tan_p, "tangent")
asin, acos, atan = face(asin_p, "arc sine"), face(acos_p, "arc cosine"), face(atan_p, "arc tangent")
sinh, cosh, tanh = face(sinh_p, "sinh"), face(cosh_p, "cosh"), face(tanh_p, "tanh")
asinh, acosh, atanh = face(asinh_p, "arsinh"), face(acosh_p, "arcosh"), face(atanh_p, "artanh")
logistic = face(logistic_p, "1 / (1 + e**-x)")
erf, erfc, erf_inv = (
    face(erf_p, "error function"),
    face(erfc_p, "1 - erf(x)"),
    face(erf_inv_p, "inverse of erf"),
)
lgamma, digamma = face(lgamma_p, "log |gamma(x)|"), face(digamma_p, "derivative of lgamma")
bitwise_not = face(not_p, "complement of bits, or logical not of bools")
population_count, clz = (
    face(population_count_p, "number of set bits"),
    face(clz_p, "number of leading zero bits"),
)


def check_float(name: str, x: Any) -> None:
    """Raises DtypeError unless ``x`` has a float dtype."""
    check_domain(name, aval_of(x), FLOAT)
