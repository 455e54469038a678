"""Translates elementwise operations to Core AI."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.coreai.operands import WRITERS, Operation, writes
from anejax.coreai.text import Tensor
from anejax.coreai.words import I32, Writer
from anejax.dtypes import finfo
from anejax.mil.tails import ERFC_FROM_TWO, ERFC_TO_TWO

TINY = 1e-30  # an epsilon below it is none: 1e-45 is no normal number

# ---- those that Core AI has

_SAME = "exp sqrt tanh atan erf sin cos tan asin acos atanh sinh cosh round abs asinh acosh log rsqrt relu silu sigmoid"
for _name in _SAME.split():
    WRITERS[_name] = WRITERS[f"aj_{_name}"] = lambda w, op, name=_name: w.unary(name, op.tensor())
WRITERS["aj_logistic"] = WRITERS["sigmoid"]
for _name in ("add", "sub", "mul"):
    WRITERS[_name] = WRITERS[f"aj_{_name}"] = lambda w, op, name=_name: w.binary(name, op.tensor("x"), op.tensor("y"))
for _name, _does in (("maximum", "maximum"), ("minimum", "minimum")):
    WRITERS[_name] = lambda w, op, name=_does: w.binary(name, op.tensor("x"), op.tensor("y"))
for _name in ("and", "or", "xor"):
    WRITERS[f"logical_{_name}"] = lambda w, op, name=_name: w.binary(name, op.tensor("x"), op.tensor("y"))
    WRITERS[f"aj_{_name}"] = lambda w, op, name=_name: w.binary(f"bitwise_{name}", op.tensor("x"), op.tensor("y"))


@writes("aj_abs")
def _abs(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return x if x.dtype.kind == "u" else w.unary("abs", x)


@writes("aj_max")
def _max(w: Writer, op: Operation) -> Tensor:
    x, y = op.tensor("x"), op.tensor("y")
    return w.binary("or" if x.is_bool else "maximum", x, y)


@writes("aj_min")
def _min(w: Writer, op: Operation) -> Tensor:
    x, y = op.tensor("x"), op.tensor("y")
    return w.binary("and" if x.is_bool else "minimum", x, y)


@writes("logical_not", "aj_not")
def _not(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.opposite(x) if x.is_bool else w.flipped(x)


# ---- arithmetic


@writes("real_div", "aj_div")
def _div(w: Writer, op: Operation) -> Tensor:
    """As lax.div: of integers, x / 0 is -1 (all ones), and the least value over -1 is itself."""
    x, y = op.tensor("x"), op.tensor("y")
    if x.is_float:
        return w.divide(x, y)
    zero = w.equal(y, w.like(0, y))
    if x.dtype.kind == "u":
        return w.where(zero, w.like(np.iinfo(x.dtype).max, x), w.divide(x, w.divisor(y)))
    minus = w.equal(y, w.like(-1, y))
    quotient = w.divide(x, w.where(w.either(zero, minus), w.like(1, y), y))
    return w.where(zero, w.like(-1, x), w.where(minus, w.neg(quotient), quotient))


@writes("floor_div")
def _floor_div(w: Writer, op: Operation) -> Tensor:
    x, y = op.tensor("x"), op.tensor("y")
    return w.binary("floor_divide", x, y if x.is_float else w.divisor(y))


@writes("aj_rem")
def _rem(w: Writer, op: Operation) -> Tensor:
    """As lax.rem: of integers, the rest of x by 0 is x."""
    x, y = op.tensor("x"), op.tensor("y")
    if x.is_float:
        return w.binary("modulo", x, y)
    zero = w.equal(y, w.like(0, y))
    lethal = zero if x.dtype.kind == "u" else w.either(zero, w.equal(y, w.like(-1, y)))
    rest = w.binary("modulo", x, w.where(lethal, w.like(1, y), y))
    return w.where(zero, x, rest)


@writes("mod")
def _mod(w: Writer, op: Operation) -> Tensor:
    """MIL's has the divisor's sign, Core AI's the dividend's (hazard 9)."""
    x, y = op.tensor("x"), op.tensor("y")
    y = y if x.is_float else w.divisor(y)
    rest = w.binary("modulo", x, y)
    apart = w.binary("xor", w.is_negative(rest), w.is_negative(y))
    return w.where(w.both(w.opposite(w.equal(rest, w.like(0, rest))), apart), w.add(rest, y), rest)


@writes("pow")
def _pow(w: Writer, op: Operation) -> Tensor:
    return w.binary("pow", op.tensor("x"), op.tensor("y"))


@writes("aj_pow")
def _aj_pow(w: Writer, op: Operation) -> Tensor:
    x = op.tensor("x")
    return w.binary("pow", x, w.cast(op.tensor("y"), x.dtype))


@writes("aj_integer_pow")
def _integer_pow(w: Writer, op: Operation) -> Tensor:
    x, exponent = op.tensor(), op.const("y")
    power, rest, result = x, abs(exponent), None
    while rest:
        if rest & 1:
            result = power if result is None else w.mul(result, power)
        rest >>= 1
        power = w.mul(power, power) if rest else power
    if result is None:
        result = w.broadcast(w.like(1, x), x.shape)
    return w.divide(w.like(1, x), result) if exponent < 0 else result


@writes("aj_neg")
def _neg(w: Writer, op: Operation) -> Tensor:
    return w.neg(op.tensor())


@writes("square", "aj_square")
def _square(w: Writer, op: Operation) -> Tensor:
    return w.mul(op.tensor(), op.tensor())


@writes("inverse")
def _inverse(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.divide(w.like(1, x), w.add(x, w.like(op.const("epsilon"), x)))


def _epsilon(name: str) -> Callable[[Writer, Operation], Tensor]:
    def write(w: Writer, op: Operation) -> Tensor:
        x, epsilon = op.tensor(), op.const("epsilon")
        return w.unary(name, w.add(x, w.like(epsilon, x)) if epsilon > TINY else x)

    return write


writes("log")(_epsilon("log"))
writes("rsqrt")(_epsilon("rsqrt"))


@writes("exp2", "aj_exp2")
def _exp2(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.binary("pow", w.like(2, x), x)


@writes("floor", "aj_floor")
def _floor(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.binary("floor_divide", x, w.like(1, x))


@writes("ceil", "aj_ceil")
def _ceil(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.neg(w.binary("floor_divide", w.neg(x), w.like(1, x)))


@writes("sign", "aj_sign")
def _sign(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    side = w.sub(w.cast(w.greater(x, w.like(0, x)), x.dtype), w.cast(w.is_negative(x), x.dtype))
    return w.where(w.equal(x, x), side, x) if x.is_float else side


@writes("aj_log2")
def _log2(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.mul(w.unary("log", x), w.like(1 / math.log(2), x))


@writes("aj_log1p")
def _log1p(w: Writer, op: Operation) -> Tensor:
    """Near 0 by 2 atanh(x / (2 + x)): the usual correction of log(1 + x) is folded away (hazard 2)."""
    x = op.tensor()
    near = w.greater(w.like(0.5, x), w.unary("abs", x))
    small = w.where(near, x, w.like(0, x))
    inner = w.mul(w.unary("atanh", w.divide(small, w.add(small, w.like(2, x)))), w.like(2, x))
    return w.where(near, inner, w.unary("log", w.add(x, w.like(1, x))))


@writes("aj_expm1")
def _expm1(w: Writer, op: Operation) -> Tensor:
    """Near 0 by 2 sinh(x / 2) exp(x / 2) (hazard 2)."""
    x = op.tensor()
    near = w.greater(w.like(1, x), w.unary("abs", x))
    half = w.mul(w.where(near, x, w.like(0, x)), w.like(0.5, x))
    inner = w.mul(w.mul(w.unary("sinh", half), w.unary("exp", half)), w.like(2, x))
    return w.where(near, inner, w.sub(w.unary("exp", x), w.like(1, x)))


@writes("aj_cbrt")
def _cbrt(w: Writer, op: Operation) -> Tensor:
    """A power, less what the exponent is off from a third."""
    x = op.tensor()
    size, third = w.unary("abs", x), w.like(1 / 3, x)
    off = 1 / 3 - float(np.asarray(1 / 3).astype(x.dtype))
    logarithm = w.unary("log", w.binary("maximum", size, w.like(finfo(x.dtype).smallest_normal, x)))
    root = w.mul(w.binary("pow", size, third), w.add(w.mul(logarithm, w.like(off, x)), w.like(1, x)))
    root = w.where(w.is_negative(x), w.neg(root), root)
    return w.where(w.equal(x, w.like(0, x)), x, root)


@writes("aj_erfc")
def _erfc(w: Writer, op: Operation) -> Tensor:
    """Cephes' tail from 1 on, where 1 - erf(x) cancels. The square of a is that of a number h of few bits, which is
    exact, and (a - h) (a + h)."""
    x = op.tensor()
    one, two = w.like(1, x), w.like(2, x)
    size = w.binary("minimum", w.binary("maximum", x, one), w.like(64, x))
    short = w.mul(w.binary("floor_divide", w.mul(size, w.like(16, x)), one), w.like(1 / 16, x))
    rest = w.mul(w.sub(size, short), w.add(size, short))
    power = w.mul(*(w.unary("exp", w.neg(v)) for v in (w.mul(short, short), rest)))
    inverse = w.divide(one, size)
    square = w.mul(inverse, inverse)
    series = (_polynomial(w, c, square) for c in (ERFC_FROM_TWO, ERFC_TO_TWO))
    tail = w.mul(w.mul(power, inverse), w.where(w.greater(two, size), *reversed([*series])))
    return w.where(w.greater(one, x), w.sub(one, w.unary("erf", x)), tail)


def _polynomial(w: Writer, coefficients: Sequence[float], x: Tensor) -> Tensor:
    """Horner's rule."""
    first, *rest = (w.like(c, x) for c in coefficients)
    return functools.reduce(lambda total, c: w.add(w.mul(total, x), c), rest, first)


@writes("aj_is_finite")
def _is_finite(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.greater(w.like(np.inf, x), w.unary("abs", x))


@writes("aj_atan2")
def _atan2(w: Writer, op: Operation) -> Tensor:
    """atan of the smaller over the larger; the signs of zeros are those of 1 over them."""
    y, x = op.tensor("x"), op.tensor("y")
    zero, one, sizes = w.like(0, x), w.like(1, x), (w.unary("abs", x), w.unary("abs", y))
    low, high = w.binary("minimum", *sizes), w.binary("maximum", *sizes)
    angle = w.unary("atan", w.divide(low, w.where(w.equal(high, zero), one, high)))
    angle = w.where(w.greater(sizes[1], sizes[0]), w.sub(w.like(math.pi / 2, x), angle), angle)
    angle = w.where(w.greater(zero, w.divide(one, x)), w.sub(w.like(math.pi, x), angle), angle)
    return w.where(w.greater(zero, w.divide(one, y)), w.neg(angle), angle)


# ---- comparisons and choices


def _comparison(compare: Callable[[Writer, Tensor, Tensor], Tensor], *names: str) -> None:
    def write(w: Writer, op: Operation) -> Tensor:
        x, y = (w.cast(v, I32) if v.is_bool else v for v in (op.tensor("x"), op.tensor("y")))
        return compare(w, x, y)

    writes(*names)(write)


_comparison(lambda w, x, y: w.equal(x, y), "equal", "aj_eq")
_comparison(lambda w, x, y: w.binary("not_equal", x, y, np.bool_), "not_equal", "aj_ne")
_comparison(lambda w, x, y: w.greater(x, y), "greater", "aj_gt")
_comparison(lambda w, x, y: w.greater(y, x), "less", "aj_lt")
_comparison(lambda w, x, y: w.either(w.greater(x, y), w.equal(x, y)), "greater_equal", "aj_ge")  # NaN: not its opposite
_comparison(lambda w, x, y: w.either(w.greater(y, x), w.equal(x, y)), "less_equal", "aj_le")


@writes("select")
def _select(w: Writer, op: Operation) -> Tensor:
    return w.broadcast(w.where(op.tensor("cond"), op.tensor("a"), op.tensor("b")), op.shape)


@writes("aj_select_n")
def _select_n(w: Writer, op: Operation) -> Tensor:
    which, cases = op.tensor("which"), op.tensors("cases")
    if which.is_bool:
        return w.where(which, cases[1], cases[0]) if len(cases) == 2 else cases[0]
    result = cases[-1]
    for i in reversed(range(len(cases) - 1)):
        result = w.where(w.greater(w.like(i + 1, which), which), cases[i], result)
    return result


@writes("clip")
def _clip(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.binary("minimum", w.binary("maximum", x, w.like(op.const("alpha"), x)), w.like(op.const("beta"), x))


@writes("aj_clamp")
def _clamp(w: Writer, op: Operation) -> Tensor:
    x, low, high = op.tensor("x"), op.tensor("min"), op.tensor("max")
    if x.is_bool:
        return w.both(w.either(x, low), high)
    return w.binary("minimum", w.binary("maximum", x, low), high)


# ---- casts and copies


@writes("cast", "aj_convert_element_type")
def _cast(w: Writer, op: Operation) -> Tensor:
    return w.cast(op.tensor(), op.dtype)


@writes("identity", "aj_copy")
def _copy(w: Writer, op: Operation) -> Tensor:
    return op.tensor()


@writes("aj_optimization_barrier")
def _barrier(w: Writer, op: Operation) -> list[Tensor]:
    return op.tensors("values")


# ---- activations


@writes("gelu")
def _gelu(w: Writer, op: Operation) -> Tensor:
    x, mode = op.tensor(), op.const("mode")
    if mode == "SIGMOID_APPROXIMATION":
        return w.mul(x, w.unary("sigmoid", w.mul(x, w.like(1.702, x))))
    return w.unary("gelu", x, f"approximate = #coreai.approximate<{'none' if mode == 'EXACT' else 'tanh'}>")


@writes("softplus")
def _softplus(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    tail = w.unary("log", w.add(w.like(1, x), w.unary("exp", w.neg(w.unary("abs", x)))))
    return w.add(w.unary("relu", x), tail)


@writes("softsign")
def _softsign(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.divide(x, w.add(w.unary("abs", x), w.like(1, x)))


@writes("relu6")
def _relu6(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.binary("minimum", w.unary("relu", x), w.like(6, x))


@writes("leaky_relu")
def _leaky(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.where(w.is_negative(x), w.mul(x, w.like(op.const("alpha"), x)), x)


@writes("elu")
def _elu(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    below = w.sub(w.unary("exp", w.binary("minimum", x, w.like(0, x))), w.like(1, x))
    return w.where(w.greater(x, w.like(0, x)), x, w.mul(below, w.like(op.const("alpha"), x)))


@writes("threshold")
def _threshold(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.binary("maximum", x, w.like(op.const("alpha"), x))


@writes("linear_activation")
def _linear(w: Writer, op: Operation) -> Tensor:
    x: Any = op.tensor()
    return w.add(w.mul(x, w.like(op.const("alpha"), x)), w.like(op.const("beta"), x))


@writes("scaled_tanh")
def _scaled_tanh(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.mul(w.unary("tanh", w.mul(x, w.like(op.const("beta"), x))), w.like(op.const("alpha"), x))
