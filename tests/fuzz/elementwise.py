"""Elementwise operations of random programs, with the bounds of their results."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.fuzz import bounds as b
from tests.fuzz.bounds import TRUTH, Bounds, UnfitError, every, is_float
from tests.fuzz.program import BOOL, FLOAT32, HALVES, INT32, Body, Value

WIDE_FLOATS = (FLOAT32, np.dtype(np.float64))

# name -> (range of the operand, greatest slope there, range of the result)
SMOOTH: dict[str, tuple[tuple[float, float], float, tuple[float, float]]] = {
    "exp": ((-4, 4), 55, (0.018, 55)),
    "exp2": ((-4, 4), 12, (0.0625, 16)),
    "expm1": ((-4, 4), 55, (-1, 55)),
    "log": ((0.125, 1e6), 8, (-2.1, 14)),
    "log2": ((0.125, 1e6), 12, (-3, 20)),
    "log1p": ((-0.5, 1e6), 2, (-0.7, 14)),
    "sqrt": ((0.125, 1e6), 1.5, (0.35, 1001)),
    "rsqrt": ((0.125, 1e6), 12, (0.001, 2.9)),
    "cbrt": ((0.125, 1e6), 1.4, (0.5, 101)),
    "sin": ((-64, 64), 1, (-1, 1)),
    "cos": ((-64, 64), 1, (-1, 1)),
    "tan": ((-1, 1), 3.5, (-1.6, 1.6)),
    "asin": ((-0.875, 0.875), 2.1, (-1.1, 1.1)),
    "acos": ((-0.875, 0.875), 2.1, (0.5, 2.7)),
    "atan": ((-1e6, 1e6), 1, (-1.6, 1.6)),
    "sinh": ((-4, 4), 28, (-28, 28)),
    "cosh": ((-4, 4), 28, (1, 28)),
    "tanh": ((-1e6, 1e6), 1, (-1, 1)),
    "asinh": ((-1e6, 1e6), 1, (-15, 15)),
    "acosh": ((1.5, 1e6), 0.9, (0.9, 15)),
    "atanh": ((-0.875, 0.875), 4.3, (-1.4, 1.4)),
    "logistic": ((-64, 64), 0.25, (0, 1)),
    "erf": ((-1e6, 1e6), 1.2, (-1, 1)),
    "erfc": ((-4, 1e6), 1.2, (0, 2)),
    "erf_inv": ((-0.875, 0.875), 3, (-1.1, 1.1)),
    "lgamma": ((2.5, 64), 4.2, (0.2, 200)),
    "digamma": ((2, 64), 0.65, (0.4, 4.2)),
}
ULPS = 8  # of a smooth function, on either side
STEEP_ULPS = 64  # of those that are sums or series


def smooth(body: Body) -> None:
    name = body.rng.choice(tuple(SMOOTH))
    (low, high), slope, (least, most) = SMOOTH[name]
    x = body.find_float()
    if high == 1e6:
        high = min(high, b.FLOATS[x.dtype][1])
    x = body.fit(x, low, high)
    ulps = STEEP_ULPS if name in ("lgamma", "digamma", "erf_inv", "tan", "acosh", "atanh") else ULPS
    body.emit(name, [x], Bounds(least, most, 0, slope * x.bounds.error), ulps)


def _mapped(f: Callable[[float], float], x: Bounds, step: float) -> Bounds:
    """Of a function that never falls."""
    return Bounds(f(x.low), f(x.high), step)


def unary(body: Body) -> None:
    """Operations that round nothing."""
    x = body.find(lambda v: v.dtype != BOOL)
    at, numbers = x.bounds, is_float(x.dtype)
    jumps = ("sign", "floor", "ceil", "round") if numbers and at.exact else () if numbers else ("sign",)
    name = body.rng.choice(("neg", "abs", "copy", *jumps))
    if name in ("floor", "ceil", "round"):
        f = {"floor": math.floor, "ceil": math.ceil, "round": round}[name]
        body.emit(name, [x], _mapped(f, at, 1))
        return
    found = {
        "neg": Bounds(-at.high, -at.low, at.step, at.error),
        "abs": Bounds(0, at.size, at.step, at.error),
        "copy": at,
        "sign": Bounds(-1, 1, 1),
    }[name]
    body.emit(name, [x], found if numbers or name == "copy" else _whole(x, found), 0 if numbers else 1)


def _whole(x: Value, found: Bounds) -> Bounds:
    """Of negated and absolute integers: the least one has no opposite, and unsigned ones wrap."""
    return found if found.within(every(x.dtype).low, every(x.dtype).high) else every(x.dtype)


def power(body: Body) -> None:
    x = body.find(lambda v: v.dtype != BOOL)
    at = x.bounds
    if body.rng.random() < 0.5:
        body.emit("square", [x], Bounds(0, at.size**2, at.step**2, 2 * at.size * at.error + at.error**2), 2)
        return
    y = body.rng.choice((0, 1, 2, 3))
    if is_float(x.dtype) and body.rng.random() < 0.2:
        x = body.fit(x, 0.5, 4)
        body.emit("integer_pow", [x], Bounds(0.06, 4, 0, 8 * x.bounds.error), 8, y=-body.rng.choice((1, 2)))
        return
    size = at.size**y
    error = y * max(at.size, 1) ** max(y - 1, 0) * at.error * 2
    body.emit("integer_pow", [x], Bounds(-size, size, at.step**y, error), 4, y=y)


def bits(body: Body) -> None:
    """Of integers and truth values."""
    x = body.find(lambda v: not is_float(v.dtype))
    if x.dtype == BOOL:
        name = body.rng.choice(("not", "and", "or", "xor"))
    else:
        name = body.rng.choice(("not", "population_count", "clz", "and", "or", "xor", "shift_left",
                                "shift_right_logical", "shift_right_arithmetic"))  # fmt: skip
    operands = [x] if name in ("not", "population_count", "clz") else [x, body.partner(x)]
    body.emit(name, operands, every(x.dtype))


def binary(body: Body) -> None:
    x = body.find(lambda v: v.dtype != BOOL)
    y = body.partner(x)
    name = body.rng.choice(("add", "sub", "mul", "max", "min", "add", "mul"))
    found = {"add": b.add, "sub": b.sub, "mul": b.mul, "max": b.greater, "min": b.lesser}[name](x.bounds, y.bounds)
    if body.rng.random() < 0.3 and name != "sub":
        x, y = y, x
    elif body.rng.random() < 0.3 and name == "sub":
        x, y, found = y, x, b.sub(y.bounds, x.bounds)
    body.emit(name, [x, y], found, 0 if name in ("max", "min") else 1)


def quotient(body: Body) -> None:
    x = body.find(lambda v: v.dtype != BOOL)
    y = body.partner(x)
    if not is_float(x.dtype):
        body.emit(body.rng.choice(("div", "rem")), [x, y], every(x.dtype))
        return
    if x.bounds.exact and y.bounds.exact and x.bounds.step and y.bounds.step and body.rng.random() < 0.5:
        y = body.fit(y, 0.5, 4)
        size = min(x.bounds.size, y.bounds.high)
        body.emit("rem", [x, y], Bounds(-size, size, min(x.bounds.step, y.bounds.step)))
        return
    y = body.fit(y, 0.5, 64)
    size, low = x.bounds.size, y.bounds.low
    error = x.bounds.error / low + size * y.bounds.error / low**2
    body.emit("div", [x, y], Bounds(-size / low, size / low, 0, 2 * error), 2)


def transcendental(body: Body) -> None:
    x = body.find_float()
    y = body.partner(x)
    if body.rng.random() < 0.5:
        x, y = body.fit(x, 0.5, 2), body.fit(y, -2, 2)
        body.emit("pow", [x, y], Bounds(0.25, 4, 0, 16 * x.bounds.error + 4 * y.bounds.error), ULPS)
    else:
        y = body.fit(y, 0.5, 64)
        body.emit("atan2", [x, y], Bounds(-1.6, 1.6, 0, 2 * x.bounds.error + 2 * y.bounds.error), ULPS)


def compare(body: Body) -> None:
    x = body.find(lambda v: v.bounds.exact)
    y = body.partner(x, lambda v: v.bounds.exact)
    body.emit(body.rng.choice(("eq", "ne", "lt", "le", "gt", "ge")), [x, y], TRUTH)


def is_finite(body: Body) -> None:
    body.emit("is_finite", [body.find_float()], TRUTH)


def select(body: Body) -> None:
    which = body.find(lambda v: v.dtype in (BOOL, INT32))
    cases = [body.find(lambda v: v.shape == which.shape or not which.shape, 12)]
    while len(cases) < 2 or (which.dtype == INT32 and len(cases) < 4 and body.rng.random() < 0.3):
        try:
            cases.append(body.find(lambda v: v.aval == cases[0].aval, 12))
        except UnfitError:
            constant = body.any_literal(cases[0].dtype)
            cases.append(body.broadcast(constant, cases[0].shape, ()) if cases[0].shape else constant)
    body.emit("select_n", [which, *cases], b.either(*(c.bounds for c in cases)), 0)


def clamp(body: Body) -> None:
    x = body.find(lambda v: v.dtype != BOOL)
    low, high = body.partner(x), body.partner(x)
    kinds = {low.shape, high.shape}
    if len(kinds) > 1 or (low.shape and low.shape != x.shape):
        raise UnfitError
    found = b.lesser(b.greater(low.bounds, x.bounds), high.bounds)
    body.emit("clamp", [low, x, high], found, 0)


def convert(body: Body) -> None:
    x = body.find(tries=4)
    dtype = body.rng.choice(body.scope.dtypes)
    if dtype == x.dtype:
        raise UnfitError
    body.emit("convert_element_type", [x], converted(x, dtype), dtype=dtype, weak_type=False)


def converted(x: Value, dtype: np.dtype) -> Bounds:
    at = x.bounds
    if is_float(dtype):
        return at
    if not at.exact:
        raise UnfitError  # a truncated number jumps
    if dtype == BOOL:
        return TRUTH
    if not is_float(x.dtype):
        return at
    top = every(dtype)
    clip = lambda v: min(max(math.trunc(v), top.low), top.high)  # noqa: E731
    return Bounds(clip(at.low), clip(at.high), 1)


def bitcast(body: Body) -> None:
    x = body.find(lambda v: v.dtype in (FLOAT32, *HALVES) and v.bounds.exact)
    dtype = INT32 if x.dtype == FLOAT32 else np.dtype(np.int16)
    x = body.emit("abs", [x], Bounds(0, x.bounds.size, x.bounds.step), 0)  # the sign of a zero is not compared
    body.emit("bitcast_convert_type", [x], every(dtype), dtype=dtype)


OPERATIONS = (
    smooth, smooth, unary, power, bits, binary, binary, binary, quotient, transcendental, compare, is_finite, select,
    clamp, convert, bitcast,
)  # fmt: skip
