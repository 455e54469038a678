"""Specs of the elementwise functions of anejax.numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.generated.draw import ANY, BOOL, FLOATS, INTS, NUMBERS, Call, Draw, is_array
from tests.generated.families import binary, pair, unary
from tests.generated.spec import spec

VALUE: dict[str, Any] = {"size": "value"}

spec("np.exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh "
     "arctanh asin acos atan asinh acosh atanh reciprocal deg2rad rad2deg degrees radians sinc rint fabs abs absolute "
     "negative sign square floor ceil trunc isfinite isnan isinf isposinf isneginf logical_not signbit positive "
     "conj conjugate real imag isreal iscomplex spacing", unary(), **VALUE)  # fmt: skip
spec("np.bitwise_not bitwise_invert invert bitwise_count", unary(INTS + BOOL), **VALUE)
spec("np.angle", lambda d, n: d.call(n, d.array(d.shape(), d.dtype(NUMBERS)), **d.options(deg=(True,))), **VALUE)
spec("np.add subtract multiply floor_divide remainder mod float_power maximum "
     "minimum fmax fmin equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor "
     "arctan2 atan2 hypot copysign heaviside nextafter divmod", binary(), **VALUE)  # fmt: skip
spec("np.fmod", binary(NUMBERS), **VALUE)  # True by False is 1 in jax, which makes 1 by 0 a 0 as NumPy does
spec("np.logaddexp logaddexp2", binary(FLOATS))
spec("np.bitwise_and bitwise_or bitwise_xor gcd lcm", binary(INTS + BOOL), **VALUE)
spec("np.left_shift right_shift bitwise_left_shift bitwise_right_shift", binary(INTS, -1, 9), **VALUE)
spec("np.modf frexp", unary(FLOATS), **VALUE)


def _divide(d: Draw, name: str) -> Call:
    x, y = pair(d, ANY)
    if {np.result_type(x), np.result_type(y)} == {np.dtype(bool)}:
        # jax makes a choice of bool / bool at times: 0 / 0 is 0
        y = np.ones_like(y) if is_array(y) else True
    return d.call(name, x, y)


def _power(d: Draw, name: str) -> Call:
    x, y = pair(d, ANY)
    y = y.reshape(1) if getattr(y, "ndim", 1) == 0 else y  # jax takes an integer array of rank 0 for a Python number
    return d.call(name, x, y)


spec("np.divide true_divide", _divide, **VALUE)
spec("np.power pow", _power, **VALUE)


def _nan_to_num(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype())
    return d.call(name, x, **d.options(nan=(0.5, 2), posinf=(9.0,), neginf=(-9.0, -1)))


def _ldexp(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype(FLOATS), 0.25, 3)  # at 0 jax gives the derivative 1
    return d.call(name, x, d.array(d.partner(x.shape), "int32", -9, 9, special=False))


def _round(d: Draw, name: str) -> Call:
    return d.call(name, d.array(d.shape(), d.dtype(NUMBERS), -30, 30), **d.options(decimals=(0, 1, -1, 2)))


def _clip(d: Draw, name: str) -> Call:
    x, low = pair(d, NUMBERS)
    return d.call(name, x, low, d.pick(None, 2, 0.5, low))


def _where(d: Draw, name: str) -> Call:
    x, y = pair(d, ANY)
    shape = next(a.shape for a in (x, y) if hasattr(a, "shape"))
    return d.call(name, d.array(d.partner(shape), d.dtype(("bool", "bool", "int32", "float32"))), x, y)


def _select(d: Draw, name: str) -> Call:
    shape = d.shape()
    conditions = [d.array(shape, "bool") for _ in range(2)]
    choices = [d.array(d.partner(shape)[-len(shape) :] if shape else (), d.dtype(NUMBERS)) for _ in range(2)]
    return d.call(name, conditions, choices, **d.options(default=(0, 7, 1.5)))


def _choose(d: Draw, name: str) -> Call:
    shape = d.shape()
    choices = [d.array(shape, d.dtype(NUMBERS)) for _ in range(3)]
    return d.call(name, d.array(shape, "int32", -2, 5, special=False), choices, mode=d.pick("clip", "wrap"))


def _piecewise(d: Draw, name: str) -> Call:
    x = d.array(d.shape(1), "float32")

    def of(m: Any, x: Any) -> Any:
        return m.np.piecewise(x, [x < 0, x > 1], [lambda v: v * v, 2.0, lambda v: m.np.sin(v)])

    return d.call(name, x, of=of)


spec("np.nan_to_num", _nan_to_num, **VALUE)
spec("np.ldexp", _ldexp, **VALUE)
spec("np.round around", _round, **VALUE)
spec("np.clip", _clip, **VALUE)
spec("np.where", _where, **VALUE)
spec("np.select", _select, **VALUE)
spec("np.choose", _choose, **VALUE)
spec("np.piecewise", _piecewise, **VALUE)
spec("np.astype", lambda d, n: d.call(n, d.array(d.shape(), d.dtype()), d.pick(*ANY)), **VALUE)
spec(
    "np.isclose",
    lambda d, n: d.call(n, *pair(d, NUMBERS), **d.options(rtol=(0.1, 1e-3), atol=(0.5,), equal_nan=(True,))),
)
spec(
    "np.unwrap",
    lambda d, n: d.call(n, d.array(d.filled(1), d.dtype(FLOATS), -9, 9), **d.options(axis=(0,), period=(2.0,))),
)
