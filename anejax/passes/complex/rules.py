"""One rule for each primitive that takes pairs and real arrays, and returns them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import REGISTRY, Primitive
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as ar
from anejax.ops import elementwise as el
from anejax.ops.complex import of_parts
from anejax.ops.families import expand, full_like, zeros
from anejax.ops.fft import fft_parts_p
from anejax.ops.linalg_parts import FORMS
from anejax.ops.linear import dot_general_p
from anejax.ops.reduce import highest, kept, lowest
from anejax.ops.shape import concatenate, reshape, rev, slice_in_dim, transpose
from anejax.ops.sort import sort_p
from anejax.passes.complex import functions, pairs
from anejax.passes.complex.pairs import Pair, as_pair, enter, leave
from anejax.passes.complex.scatters import scattered

Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule for primitives."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


RULES.update(
    {name: getattr(functions, name) for name in (
        "exp", "exp2", "expm1", "log", "log2", "log1p", "sqrt", "rsqrt", "pow", "sin", "cos", "tan", "sinh", "cosh",
        "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2", "logistic",
    )},
    neg=pairs.neg, add=pairs.add, sub=pairs.sub, mul=pairs.mul, div=pairs.div, square=pairs.square,
    abs=pairs.size, sign=pairs.sign, integer_pow=pairs.integer_pow,
    real=lambda z: z.re, imag=lambda z: z.im,
    eq=lambda z, w: ar.and_(ar.eq(z.re, w.re), ar.eq(z.im, w.im)),
    ne=lambda z, w: ar.or_(ar.ne(z.re, w.re), ar.ne(z.im, w.im)),
)  # fmt: skip

# --- making and taking apart ------------------------------------------------------------------------------------------


@rule("complex")
def _complex(re: Any, im: Any) -> Pair:
    shape = aval_of(re).shape or aval_of(im).shape
    return Pair(expand(re, shape), expand(im, shape))


@rule("conj")
def _conj(z: Any) -> Pair:
    return pairs.conj(z) if isinstance(z, Pair) else as_pair(z)


@rule("convert_element_type")
def _convert(z: Any, *, dtype: np.dtype, weak_type: bool = False) -> Any:
    part = dtypes.real_part(dtype)
    if not isinstance(z, Pair):
        return as_pair(el.convert_element_type(z, part))
    if dtype == dtypes.bool_:
        return ar.or_(*(ar.ne(p, pairs.constant(p, 0)) for p in (z.re, z.im)))
    if dtype not in dtypes.COMPLEX:
        return el.convert_element_type(z.re, dtype)
    if aval_of(z.re).dtype == part:
        return z
    return Pair(el.convert_element_type(z.re, part), el.convert_element_type(z.im, part))


@rule("iota")
def _iota(*, dtype: np.dtype, **params: Any) -> Pair:
    return as_pair(REGISTRY["iota"].bind(dtype=dtypes.real_part(dtype), **params))


# --- linear: the same on either part ----------------------------------------------------------------------------------


def part(args: Sequence[Any], name: str) -> list[Any]:
    """The arguments with ``re`` or ``im`` of each pair."""
    return [getattr(a, name) if isinstance(a, Pair) else a for a in args]


def _by_parts(prim: Primitive) -> Rule:
    def on_parts(*args: Any, **params: Any) -> Any:
        return Pair(prim.bind(*part(args, "re"), **params), prim.bind(*part(args, "im"), **params))

    return on_parts


_LINEAR = (
    "reshape", "transpose", "broadcast_in_dim", "slice", "concatenate", "pad", "rev", "copy", "select_n", "reduce_sum",
    "cumsum", "reduce_window_sum", "scatter", "scatter_add", "dynamic_slice", "dynamic_update_slice",
)  # fmt: skip
RULES.update((name, _by_parts(REGISTRY[name])) for name in _LINEAR)


@rule("gather")
def _gather(x: Pair, indices: Any, *, fill_value: Any, **params: Any) -> Pair:
    """Windows out of bounds read NaN, that is NaN + 0i, when no value is given."""
    re, im = (None, 0) if fill_value is None else (complex(fill_value).real, complex(fill_value).imag)
    bind = REGISTRY["gather"].bind
    return Pair(bind(x.re, indices, fill_value=re, **params), bind(x.im, indices, fill_value=im, **params))


@rule("optimization_barrier")
def _barrier(*xs: Any) -> list[Any]:
    flat = [p for x in xs for p in ((x.re, x.im) if isinstance(x, Pair) else (x,))]
    through = iter(REGISTRY["optimization_barrier"].bind(*flat))
    return [Pair(next(through), next(through)) if isinstance(x, Pair) else next(through) for x in xs]


# --- bilinear: four products ------------------------------------------------------------------------------------------


def _bilinear(prim: Primitive) -> Rule:
    def product(x: Any, y: Any, *, preferred_element_type: Any = None, **params: Any) -> Pair:
        if preferred_element_type is not None:
            params["preferred_element_type"] = dtypes.real_part(preferred_element_type)
        else:
            params["preferred_element_type"] = None
        x, y = as_pair(x), as_pair(y)
        bind = lambda a, b: prim.bind(a, b, **params)  # noqa: E731
        return Pair(ar.sub(bind(x.re, y.re), bind(x.im, y.im)), ar.add(bind(x.re, y.im), bind(x.im, y.re)))

    return product


RULES.update((p.name, _bilinear(p)) for p in (dot_general_p, REGISTRY["conv_general_dilated"]))

# --- products and extremes over an axis, in log2(n) steps -------------------------------------------------------------


def _cut(z: Pair, start: int, stop: int, axis: int) -> Pair:
    return Pair(*(slice_in_dim(p, start, stop, axis=axis) for p in (z.re, z.im)))


def _joined(z: Pair, w: Pair, axis: int) -> Pair:
    return Pair(concatenate([z.re, w.re], axis), concatenate([z.im, w.im], axis))


Combine = Callable[[Pair, Pair], Pair]


def _reduced(z: Pair, axes: Sequence[int], combine: Combine, empty: complex) -> Pair:
    """Halves combined until one element is left; ``empty`` where there is none."""
    shape = aval_of(z.re).shape
    rest = kept(len(shape), axes)
    lead, n = tuple(shape[i] for i in rest), math.prod(shape[i] for i in axes)
    z = Pair(*(reshape(transpose(p, (*rest, *axes)), (*lead, n)) for p in (z.re, z.im)))
    last = len(lead)
    if n == 0:
        none = zeros(Aval(lead, aval_of(z.re).dtype))
        return Pair(full_like(none, empty.real), full_like(none, empty.imag))
    while n > 1:
        half = n // 2
        both = combine(_cut(z, 0, half, last), _cut(z, half, 2 * half, last))
        z = _joined(both, _cut(z, n - 1, n, last), last) if n % 2 else both
        n = half + n % 2
    return Pair(reshape(z.re, lead), reshape(z.im, lead))


def _running(z: Pair, axis: int, reverse: bool, combine: Combine) -> Pair:
    flip = lambda p: rev(p, (axis,)) if reverse else p  # noqa: E731
    z = Pair(flip(z.re), flip(z.im))
    n, step = aval_of(z.re).shape[axis], 1
    while step < n:
        later = combine(_cut(z, step, n, axis), _cut(z, 0, n - step, axis))
        z = _joined(_cut(z, 0, step, axis), later, axis)
        step *= 2
    return Pair(flip(z.re), flip(z.im))


_COMBINED: dict[str, tuple[Combine, complex]] = {
    "prod": (pairs.mul, 1),
    "max": (pairs.greater, lowest(dtypes.complex64)),
    "min": (pairs.less, highest(dtypes.complex64)),
}
RULES.update(max=pairs.greater, min=pairs.less)
for _name, (_combine, _empty) in _COMBINED.items():
    RULES[f"reduce_{_name}"] = lambda z, *, axes, c=_combine, e=_empty: _reduced(z, axes, c, complex(e))
    RULES[f"cum{_name}"] = lambda z, *, axis, reverse, c=_combine: _running(z, axis, reverse, c)
RULES.update(scatter_mul=scattered(pairs.mul), scatter_max=scattered(pairs.greater), scatter_min=scattered(pairs.less))
RULES["cumlogsumexp"] = lambda z, *, axis, reverse: _running(z, axis, reverse, functions.log_of_sum)

# --- sort, Fourier transforms, factorizations -------------------------------------------------------------------------


@rule("sort")
def _sort(*xs: Any, dimension: int, num_keys: int) -> list[Any]:
    """Sorts by real part, then by imaginary part."""
    widths = [2 if isinstance(x, Pair) else 1 for x in xs]
    flat = [p for x in xs for p in ((x.re, x.im) if isinstance(x, Pair) else (x,))]
    outs = iter(sort_p.bind(*flat, dimension=dimension, num_keys=sum(widths[:num_keys])))
    return [Pair(next(outs), next(outs)) if w == 2 else next(outs) for w in widths]


@rule("fft")
def _fft(z: Any, **params: Any) -> Any:
    outs = fft_parts_p.bind(*((z.re, z.im) if isinstance(z, Pair) else (z,)), **params)
    return Pair(*outs) if len(outs) == 2 else outs[0]


def _factorization(prim: Primitive, form: Primitive) -> Rule:
    def on_parts(*args: Any, **params: Any) -> Any:
        is_complex = any(isinstance(a, Pair) for a in args)
        xs = [leave(as_pair(a)) for a in args] if is_complex else list(args)
        types = [of_parts(aval_of(x)) if is_complex else aval_of(x) for x in xs]
        outs = form.bind(*xs, complex=is_complex, **params)
        if not prim.multiple_results:
            return enter(outs, prim.abstract(*types, **params))
        return [enter(o, t) for o, t in zip(outs, prim.abstract(*types, **params), strict=True)]

    return on_parts


RULES.update((name, _factorization(REGISTRY[name], form)) for name, form in FORMS.items())
