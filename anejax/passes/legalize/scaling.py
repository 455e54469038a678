"""Keeps sums of squares, and everything computed from them, within float16's range on the engine.

The engine's sums end at 32768 and its elementwise results at 65504 (docs/engine.md), so the square of 256 is infinite
there, and so is every norm of a row that has such an element. The rules in this file run before all others. They carry
a value as a *mantissa* of moderate size and powers of *scales*, one positive number for each row:

    value = factor * mantissa * scale ** exponent

For example, the sum of the squares of x is the sum of the squares of x * t, where t is the inverse of the largest
element of the row, and t ** -2 is kept aside. The scales cancel when x is multiplied by the inverse root of that sum,
so that a norm is computed without them. If an equation has no rule here, it takes the value itself: each rule stages
that as well, and simplification drops it when nothing reads it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anejax.core.primitive import Primitive
from anejax.core.trace import Tracer, aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import shape as S
from anejax.ops.reduce import kept, reduce_max, reduce_sum
from anejax.passes.legalize import sums
from anejax.passes.legalize.constants import const, is_float, scalar, times
from anejax.passes.legalize.rules import as_it_is, note, noted, remembered, unscaled

Dims = tuple[int, ...]
Powers = tuple[tuple["Scale", int], ...]

LEAST, MOST = 2.0**-14, 2.0**14  # bounds of a scale: normal numbers of float16 whose inverses are normal, too


@dataclass(frozen=True)
class Scale:
    """A positive number for each row of a value, as an array of the value's rank, of length 1 along the row.

    Attributes:
        key: an object that identifies the scale when its array changes shape.
        value: the array.
        under: the key of a larger scale and the ratio of this one to it, if this one was made from it.
    """

    key: Any
    value: Any
    under: tuple[Any, Any] | None = None

    def changed(self, change: Callable[[Any], Any]) -> Scale:
        under = self.under and (self.under[0], change(self.under[1]))
        return Scale(self.key, change(self.value), under)


@dataclass(frozen=True)
class Scaled:
    """``factor * mantissa * (scale ** exponent for each of powers)``; no mantissa stands for 1.

    Attributes:
        squares: x, axes and a number, if the value is ``factor / number`` times the sum of the squares of x along
            the axes.
    """

    mantissa: Any
    powers: Powers = ()
    factor: float = 1.0
    squares: tuple[Any, Dims, float] | None = None

    def changed(self, change: Callable[[Any], Any], of_scale: Callable[[Any], Any]) -> Scaled:
        """The same in another shape."""
        powers = tuple((s.changed(of_scale), e) for s, e in self.powers)
        mantissa = None if self.mantissa is None else change(self.mantissa)
        return replace(self, mantissa=mantissa, powers=powers)


@dataclass(frozen=True)
class _Product:
    """A value that is the product of two arrays."""

    x: Any
    y: Any


@dataclass(frozen=True)
class _Shares:
    """A value whose elements along ``axes`` add up to 1: an array divided by its sum, as in softmax."""

    axes: Dims


# --- values -----------------------------------------------------------------------------------------------------------


def _scaled(x: Any) -> Scaled | None:
    return noted(x, Scaled)


def _as_scaled(x: Any) -> Scaled:
    constant = scalar(x)
    return Scaled(None, factor=constant) if constant is not None else _scaled(x) or Scaled(x)


def _array(x: Scaled, shape: Dims) -> Any:
    """The mantissa times the factor, as an array."""
    mantissa = x.mantissa
    if mantissa is None:
        some = x.powers[0][0].value
        return S.broadcast_in_dim(const(some, x.factor), shape, ())
    return times(mantissa, x.factor)


def _value(x: Scaled, shape: Dims) -> Any:
    """The value. Large and small scales alternate, since their product is nearer to 1 than each of them."""
    if x.mantissa is None and x.factor == 1 and [e for _, e in x.powers] == [1]:
        scale = _spread(x.powers[0][0].value, shape)
        return as_it_is(S.reshape_p, scale, new_sizes=shape)  # another variable, since this one gets the note
    up = [s.value for s, e in x.powers for _ in range(e)]
    down = [s.value for s, e in x.powers for _ in range(-e)]
    out = _array(x, shape)
    while up or down:
        if up:
            out = unscaled(A.mul_p, out, _spread(up.pop(), shape))
        if down:
            out = unscaled(A.div_p, out, _spread(down.pop(), shape))
    return out


def _result(x: Scaled, shape: Dims) -> Any:
    """The value of ``x``, of which later rules find the parts."""
    out = _value(x, shape)
    return note(out, x) if x.powers or x.factor != 1 else out


def _spread(x: Any, shape: Dims) -> Any:
    return x if aval_of(x).shape == shape else S.broadcast_in_dim(x, shape, tuple(range(len(shape))))


def _powers(*given: Iterable[tuple[Scale, int]]) -> Powers:
    """The powers of a product."""
    found: dict[Any, tuple[Scale, int]] = {}
    for scale, exponent in itertools.chain(*given):
        scale, known = found.get(scale.key, (scale, 0))
        found[scale.key] = (scale, known + exponent)
    return tuple((s, e) for s, e in found.values() if e)


def _same_powers(a: Scaled, b: Scaled) -> bool:
    """Whether two values have the same scales, with the same exponents."""
    return {(s.key, e) for s, e in a.powers} == {(s.key, e) for s, e in b.powers}


# --- rows -------------------------------------------------------------------------------------------------------------


def _units(x: Any) -> list[tuple[Dims, Scale, Any]]:
    """The scales that ``x`` was brought to so far: (axes of the rows, scale, x times the scale)."""
    return remembered(("units", x.var), list)


def _unit(x: Any, axes: Dims) -> tuple[Scale, Any]:
    """The inverse of the largest magnitude of each row of ``x``, and ``x`` times that."""
    for rows, scale, unit in _units(x):
        if rows == axes:
            return scale, unit
    shape = aval_of(x).shape
    largest = S.reshape(reduce_max(A.abs(x), axes), _ones_at(shape, axes))
    inverse = A.div(const(x, 1), A.max(largest, const(x, LEAST)))
    return _bring(x, axes, Scale(object(), A.max(inverse, const(x, LEAST))))


def _bring(x: Any, axes: Dims, scale: Scale) -> tuple[Scale, Any]:
    unit = A.mul(x, _spread(scale.value, aval_of(x).shape))
    _units(x).append((axes, scale, unit))
    return scale, unit


def _ones_at(shape: Dims, axes: Dims) -> Dims:
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


def _rows(x: Any, scale: Scale) -> Scaled | None:
    """``x`` as unit and scale, if it was brought to ``scale`` or to one that ``scale`` was made from."""
    for axes, mine, unit in reversed(_units(x)):
        if mine.key == scale.key:
            return Scaled(unit, ((mine, -1),))
        if scale.under and scale.under[0] == mine.key and aval_of(scale.value).shape == aval_of(mine.value).shape:
            closer = A.mul(unit, _spread(scale.under[1], aval_of(x).shape))
            _units(x).append((axes, scale, closer))
            return Scaled(closer, ((scale, -1),))
    total = noted(x, sums.Total)  # a mean of the rows has the size of their elements
    if total is not None and any(m.key == scale.key for _, m, _ in _units(total.x)) and _is_of(scale, aval_of(x).shape):
        return Scaled(A.mul(x, scale.value), ((scale, -1),))
    return None


def _is_of(scale: Scale, shape: Dims) -> bool:
    """Whether a value of ``shape`` has one element for each row."""
    return aval_of(scale.value).shape == shape


def _seen_from(x: Scaled, other: Scaled) -> Scaled:
    """``x``, which is to be multiplied by ``other``: brought to a scale of the other's if it can be."""
    if x.powers or x.mantissa is None:
        return x
    found = (_rows(x.mantissa, scale) for scale, _ in other.powers)
    return replace(next((f for f in found if f is not None), x), factor=x.factor)


# --- rules: products --------------------------------------------------------------------------------------------------

Rule = Callable[..., Any]
_RULES: dict[str, Rule] = {}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, function))
        return function

    return register


def rewritten(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The result of an equation in whose operands or result scales play a part; NotImplemented for any other."""
    found = _RULES.get(prim.name)
    if found is None or not is_float(args[-1]):
        return NotImplemented
    return found(prim, *args, **params)


@_rule("mul")
def _mul(prim: Primitive, x: Any, y: Any) -> Any:
    if scalar(x) is not None:
        x, y = y, x
    by = scalar(y)
    if by is not None:
        return _times(x, by)
    if aval_of(x).shape != aval_of(y).shape or not (isinstance(x, Tracer) and isinstance(y, Tracer)):
        return NotImplemented
    a, b = _as_scaled(x), _as_scaled(y)
    if not a.powers and not b.powers:
        return note(unscaled(prim, x, y), _Product(x, y))
    a, b = _seen_from(a, b), _seen_from(b, a)
    made = [m for m in (a.mantissa, b.mantissa) if m is not None]
    mantissa = functools.reduce(A.mul, made) if made else None
    return _result(Scaled(mantissa, _powers(a.powers, b.powers), a.factor * b.factor), aval_of(x).shape)


def _times(x: Any, by: float) -> Any:
    """The factor stays aside, so that no mantissa leaves float16's range for it."""
    if not by or not math.isfinite(by) or not isinstance(x, Tracer):
        return NotImplemented
    mine = _as_scaled(x)
    if mine.powers:
        return _result(replace(mine, factor=mine.factor * by), aval_of(x).shape)
    out = unscaled(A.mul_p, x, np.float32(by))
    return out if noted(x, sums.Total) else note(out, replace(mine, factor=mine.factor * by))


@_rule("square")
def _square(prim: Primitive, x: Any) -> Any:
    return A.mul(x, x)


@_rule("neg")
def _neg(prim: Primitive, x: Any) -> Any:
    return _times(x, -1.0)


@_rule("abs")
def _abs(prim: Primitive, x: Any) -> Any:
    mine = _scaled(x)
    if mine is None or not mine.powers or mine.mantissa is None:
        return NotImplemented
    return _result(replace(mine, mantissa=A.abs(mine.mantissa), factor=abs(mine.factor)), aval_of(x).shape)


@_rule("div")
def _div(prim: Primitive, x: Any, y: Any) -> Any:
    by = scalar(y)
    if by is not None:
        return _times(x, 1 / by) if by else NotImplemented
    total = noted(y, sums.Total)
    if total is not None and total.spread and total.x is x and total.factor == 1:
        return note(unscaled(prim, x, y), _Shares(total.axes))
    a, b = _as_scaled(x), _as_scaled(y)
    if not (a.powers or b.powers) or (a.mantissa is not None and aval_of(x).shape != aval_of(y).shape):
        return NotImplemented
    inverse = tuple((s, -e) for s, e in b.powers)
    a = _seen_from(a, Scaled(None, inverse))
    mantissa = a.mantissa
    if b.mantissa is not None:
        mantissa = A.div(const(b.mantissa, 1) if mantissa is None else mantissa, b.mantissa)
    return _result(Scaled(mantissa, _powers(a.powers, inverse), a.factor / b.factor), aval_of(y).shape)


@_rule("rsqrt", "sqrt", "pow", "integer_pow")
def _power(prim: Primitive, x: Any, *exponents: Any, **params: Any) -> Any:
    exponent = {"rsqrt": -0.5, "sqrt": 0.5}.get(prim.name, params.get("y", scalar(exponents[0]) if exponents else None))
    mine = _scaled(x)
    if mine is None or not mine.powers or exponent is None:
        return NotImplemented
    powers = [(s, e * exponent) for s, e in mine.powers]
    if any(e != int(e) for _, e in powers):
        return NotImplemented
    shape = aval_of(x).shape
    out = Scaled(prim.bind(_array(mine, shape), *exponents, **params), tuple((s, int(e)) for s, e in powers))
    if abs(exponent) == 0.5 and [e for _, e in mine.powers] == [-2] and _is_of(mine.powers[0][0], shape):
        scale = remembered(("root", x.var), lambda: _inverse_root(mine, shape))
        root = Scaled(None, ((scale, -1 if exponent > 0 else 1),))
        return note(_value(root if exponent < 0 else out, shape), root)
    return _result(out, shape)


def _inverse_root(squares: Scaled, shape: Dims) -> Scale:
    """The inverse root of a row's sum or mean of squares. It is the best scale for the row: under it all that a norm
    and its gradient compute has a size near 1, whatever the row is."""
    ((scale, _),) = squares.powers
    ratio = E.rsqrt(_array(squares, shape))
    return _made_from(scale, A.mul(ratio, scale.value), ratio)


def _made_from(scale: Scale, value: Any, ratio: Any) -> Scale:
    key, above = scale.under or (scale.key, None)
    return Scale(object(), value, (key, ratio if above is None else A.mul(ratio, above)))


# --- rules: sums ------------------------------------------------------------------------------------------------------


@_rule("add", "sub")
def _add(prim: Primitive, x: Any, y: Any) -> Any:
    constant = scalar(y) if scalar(x) is None else scalar(x)
    if constant is not None:
        if prim.name == "sub":
            return NotImplemented if scalar(x) is not None else _with_constant(A.add, x, -constant)
        return _with_constant(A.add, y if scalar(x) is not None else x, constant)
    if aval_of(x).shape != aval_of(y).shape or not (isinstance(x, Tracer) and isinstance(y, Tracer)):
        return NotImplemented
    found = _centred(x, y) if prim.name == "sub" else _gradient_of_shares(x, y)
    if found is not NotImplemented:
        return found
    a, b, shape = _as_scaled(x), _as_scaled(y), aval_of(x).shape
    if not _same_powers(a, b):
        scale = next((s for s, _ in a.powers + b.powers), None)
        if scale is None or not _is_of(scale, shape):
            return NotImplemented
        powers = a.powers or b.powers
        a, b = (Scaled(_under(v, m, powers, shape), powers) for v, m in ((x, a), (y, b)))
    if not a.powers:
        return NotImplemented
    if a.factor == b.factor and a.mantissa is not None and b.mantissa is not None:
        return _result(replace(a, mantissa=prim.bind(a.mantissa, b.mantissa), squares=None), shape)
    return _result(Scaled(prim.bind(_array(a, shape), _array(b, shape)), a.powers), shape)


def _under(x: Any, mine: Scaled, powers: Powers, shape: Dims) -> Any:
    """``x`` divided by ``powers``."""
    inverse = tuple((s, -e) for s, e in powers)
    product = noted(x, _Product)
    if product is not None and not mine.powers:  # divide one operand, since the product may be too large
        return A.mul(_value(Scaled(product.x, inverse), shape), product.y)
    return _value(replace(mine, powers=_powers(mine.powers, inverse)), shape)


@_rule("max")
def _max(prim: Primitive, x: Any, y: Any) -> Any:
    if scalar(x) is not None:
        x, y = y, x
    constant = scalar(y)
    return NotImplemented if constant is None else _with_constant(A.max, x, constant)


def _with_constant(combine: Callable[[Any, Any], Any], x: Any, constant: float) -> Any:
    """``x`` and a constant, added or the larger of both, for a sum of squares or its root, ``x``.

    The constant under the scale of ``x`` is ``constant / scale ** exponent``. If that is more than 1 the scale
    becomes less, so that the constant is 1 under it. The root of the constant is scaled, since an epsilon may be below
    float16's numbers while its root is not.
    """
    mine, shape = _scaled(x), aval_of(x).shape
    if mine is None or len(mine.powers) != 1 or mine.factor <= 0 or not 0 <= constant < math.inf:
        return NotImplemented
    ((scale, exponent),) = mine.powers
    if exponent not in (-1, -2) or (constant and not _is_of(scale, shape)):
        return NotImplemented
    mantissa = _array(mine, shape)
    if constant == 0:
        return _result(Scaled(combine(mantissa, const(mantissa, 0)), mine.powers), shape)
    root = constant ** (-1 / exponent)
    if root * MOST > 1:
        lower = A.min(scale.value, const(mantissa, 1 / root))
        ratio = A.div(lower, scale.value)
        mantissa = functools.reduce(A.mul, [ratio] * -exponent, mantissa)
        scale = _made_from(scale, lower, ratio)
    share = times(scale.value, root)
    share = A.mul(share, share) if exponent == -2 else share
    return _result(Scaled(combine(mantissa, share), ((scale, exponent),)), shape)


@_rule("reduce_sum")
def _sum(prim: Primitive, x: Any, *, axes: Dims) -> Any:
    mine, product = _scaled(x), noted(x, _Product)
    squares = None
    if product is not None:
        mine = _along_rows(product, axes)
        squares = (product.x, axes) if product.x is product.y else None
    if not axes or mine is None or not mine.powers or mine.mantissa is None:
        return NotImplemented
    if any(aval_of(s.value).shape[a] != 1 for s, _ in mine.powers for a in axes):
        return NotImplemented
    total, part = sums.total(mine.mantissa, axes)
    left = kept(aval_of(x).ndim, axes)
    without = lambda t: S.reshape(t, tuple(aval_of(t).shape[a] for a in left))  # noqa: E731
    found = Scaled(total, mine.powers, mine.factor * part, squares and (*squares, mine.factor * part))
    return _result(found.changed(lambda t: t, without), aval_of(total).shape)


def _along_rows(product: _Product, axes: Dims) -> Scaled | None:
    """A product whose rows along ``axes`` will be added up. A square scales its operand by its rows; another product
    uses the scales that its operands already have."""
    if product.x is product.y:
        scale, unit = _unit(product.x, axes)
        return Scaled(A.mul(unit, unit), ((scale, -2),))
    parts = [_known_rows(x, axes) for x in (product.x, product.y)]
    mantissa = functools.reduce(A.mul, (p.mantissa for p in parts))
    return Scaled(mantissa, _powers(*(p.powers for p in parts)), math.prod(p.factor for p in parts))


def _known_rows(x: Any, axes: Dims) -> Scaled:
    mine = _as_scaled(x)
    if mine.powers:
        return mine
    known = [Scaled(unit, ((scale, -1),)) for rows, scale, unit in _units(mine.mantissa) if rows == axes]
    return replace(known[-1] if known else mine, factor=mine.factor)


def _centred(x: Any, y: Any) -> Any:
    """``x`` less its mean; and the mean of squares less the square of the mean, as the mean of squares of that."""
    mean = sums.mean_noted(y)
    if mean is not None and mean.x is x and mean.spread:
        return _less_mean(x, y, mean.axes)
    mine, product = _scaled(x), noted(y, _Product)
    if mine is None or mine.squares is None or product is None or product.x is not product.y:
        return NotImplemented
    of, axes, part = mine.squares
    mean = sums.mean_noted(product.x)
    if mean is None or mean.spread or mean.x is not of or mean.axes != axes:
        return NotImplemented
    shape = aval_of(of).shape
    count = math.prod(shape[a] for a in axes)
    if not math.isclose(mine.factor * count, part, rel_tol=1e-3):
        return NotImplemented
    whole = aval_of(product.x).ndim == len(shape)  # a mean that keeps its axes
    dims = tuple(range(len(shape))) if whole else kept(len(shape), axes)
    centred = _less_mean(of, S.broadcast_in_dim(product.x, shape, dims), axes)
    variance = times(reduce_sum(A.mul(centred, centred), axes), 1 / count)
    ((_, scale, _), *_) = _units(centred)
    _bring(of, axes, scale)
    return S.reshape(variance, aval_of(x).shape) if whole else variance


def _gradient_of_shares(x: Any, y: Any) -> Any:
    """``g * p - sum(g * p) * p``, the gradient of softmax: the factors of p are subtracted first, and their mean with
    weights p a second time, since both terms are nearly equal if one of the shares is nearly 1."""
    first, second = noted(x, _Product), noted(y, _Product)
    if first is None or second is None or first.y is not second.y:
        return NotImplemented
    shares, total = noted(first.y, _Shares), noted(second.x, sums.Total)
    if shares is None or total is None or not total.spread or total.axes != shares.axes:
        return NotImplemented
    added = _as_scaled(total.x)
    if added.mantissa is not x or added.powers or added.factor * total.factor != -1:
        return NotImplemented
    rest = as_it_is(A.add_p, first.x, second.x)
    shape = aval_of(rest).shape
    left = S.reshape(sums.added(A.mul(rest, first.y), total.axes), _ones_at(shape, total.axes))
    return A.mul(as_it_is(A.sub_p, rest, _spread(left, shape)), first.y)


def _less_mean(x: Any, mean: Any, axes: Dims) -> Any:
    """``x`` less its mean. The mean is rounded to float16, by more than all of the row differs from it if that is
    large and of little spread. So the mean of the difference is subtracted as well. A second subtraction, as in the row
    that a variance normalises, is the same value, with the scales that it was brought to."""
    return remembered(("less mean", x.var, axes), lambda: _difference(x, mean, axes))


def _difference(x: Any, mean: Any, axes: Dims) -> Any:
    rest = as_it_is(A.sub_p, x, mean)
    shape = aval_of(x).shape
    left = S.reshape(sums.added(rest, axes, 1 / math.prod(shape[a] for a in axes)), _ones_at(shape, axes))
    return as_it_is(A.sub_p, rest, _spread(left, shape))


# --- rules: comparisons and choices -----------------------------------------------------------------------------------


@_rule("gt", "ge", "lt", "le", "eq", "ne")
def _compare(prim: Primitive, x: Any, y: Any) -> Any:
    """Scales are positive, so the mantissa has the sign."""
    if scalar(x) == 0 or scalar(y) == 0:
        args = [_sign_of(a) for a in (x, y)]
        return prim.bind(*args) if any(a is not b for a, b in zip(args, (x, y))) else NotImplemented
    a, b = _scaled(x), _scaled(y)
    if a is None or b is None or not a.powers or not _same_powers(a, b):
        return NotImplemented
    return prim.bind(_array(a, aval_of(x).shape), _array(b, aval_of(y).shape))


def _sign_of(x: Any) -> Any:
    mine = _scaled(x)
    return x if mine is None or mine.mantissa is None or mine.factor < 0 else mine.mantissa


@_rule("select_n")
def _select(prim: Primitive, which: Any, *cases: Any) -> Any:
    mine = [_scaled(c) for c in cases]
    first = next((m for m in mine if m is not None and m.powers), None)
    if first is None or any(not (m and _same_powers(m, first)) and scalar(c) != 0 for c, m in zip(cases, mine)):
        return NotImplemented
    shape = next(aval_of(c).shape for c, m in zip(cases, mine) if m is first)
    arrays = [c if m is None else _array(m, shape) for c, m in zip(cases, mine)]
    return _result(Scaled(prim.bind(which, *arrays), first.powers), shape)


# --- rules: shapes ----------------------------------------------------------------------------------------------------


@_rule("reshape")
def _reshape(prim: Primitive, x: Any, *, new_sizes: Dims) -> Any:
    mine, old = _scaled(x), aval_of(x).shape
    if mine is None or not mine.powers:
        return sums.reshaped(x, new_sizes)
    if all(_is_of(s, old) for s, _ in mine.powers):
        to = lambda t: S.reshape(t, new_sizes)  # noqa: E731
        return _result(mine.changed(to, to), new_sizes)
    if [n for n in old if n != 1] != [n for n in new_sizes if n != 1]:
        return NotImplemented
    of_scale = lambda t: _with_other_ones(t, old, new_sizes)  # noqa: E731
    return _result(mine.changed(lambda t: S.reshape(t, new_sizes), of_scale), new_sizes)


def _with_other_ones(scale: Any, old: Dims, new: Dims) -> Any:
    """``scale`` of a value that goes from ``old`` to ``new``, which differ in axes of length 1."""
    sizes = iter([m for n, m in zip(old, aval_of(scale).shape) if n != 1])
    return S.reshape(scale, tuple(1 if n == 1 else next(sizes) for n in new))


@_rule("broadcast_in_dim")
def _broadcast(prim: Primitive, x: Any, *, shape: Dims, broadcast_dimensions: Dims) -> Any:
    mine = _scaled(x)
    if mine is None or not mine.powers:
        return sums.repeated(x, shape, broadcast_dimensions)
    if mine.mantissa is not None:  # the factor is taken where there are fewer elements
        mine = replace(mine, mantissa=_array(mine, aval_of(x).shape), factor=1.0)

    def of_scale(t: Any) -> Any:
        sizes = dict(zip(broadcast_dimensions, aval_of(t).shape))
        return S.reshape(t, tuple(sizes.get(a, 1) for a in range(len(shape))))

    return _result(mine.changed(lambda t: S.broadcast_in_dim(t, shape, broadcast_dimensions), of_scale), shape)


@_rule("transpose")
def _transpose(prim: Primitive, x: Any, *, permutation: Dims) -> Any:
    mine = _scaled(x)
    if mine is None or not mine.powers:
        return NotImplemented
    turn = lambda t: S.transpose(t, permutation)  # noqa: E731
    return _result(mine.changed(turn, turn), tuple(aval_of(x).shape[a] for a in permutation))
