"""Rules for Core ML's uint32: its arithmetic on halves (words.py), its order, and its casts.

Operations that only move elements stay on uint32, until ``signed_words`` makes int32 of the same bits of every uint32
in the Graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.core.array import DeviceArray
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, map_subgraphs
from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.dtypes import FLOATS, bool_, float32, float64, int32, uint16, uint32
from anejax.errors import RefusedError
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import reduce as R
from anejax.ops import shape as S
from anejax.ops.families import INT, expand
from anejax.ops.sort import sort_p
from anejax.passes.legalize import words as W
from anejax.passes.legalize.rules import maker, traced
from anejax.passes.legalize.words import Halves, halves, number, parts, whole

Params = dict[str, Any]
MOVES = {
    "reshape", "transpose", "broadcast_in_dim", "slice", "concatenate", "pad", "rev", "select_n", "gather", "scatter",
    "dynamic_slice", "dynamic_update_slice", "copy", "iota", "cond", "while", "scan", "composite",
    "optimization_barrier", "eq", "ne", "convert_element_type",
}  # on elements of which only their equality matters  # fmt: skip
LONGEST = 1 << 15  # so many halves have a sum in int32


def is_word(x: Any) -> bool:
    return aval_of(x).dtype == uint32


def rewritten(prim: Primitive, args: Sequence[Any], params: Params) -> Any:
    """The equation, where it computes with uint32; NotImplemented for what moves elements, and for everything else."""
    if prim.name == "convert_element_type":
        return _converted(args[0], params["dtype"])
    if prim.name in _NARROW and any(map(_is_narrow, args)):
        return _through_words(prim, args, params)
    if not any(map(is_word, args)):
        return NotImplemented
    if prim.name in _ORDER:
        return _ordered(prim, args, params)
    found = _ARITHMETIC.get(prim.name)
    return NotImplemented if found is None else found(*args, **params)


def check(prim: Primitive, args: Sequence[Any]) -> None:
    """Raises RefusedError for an equation on uint32 that would be wrong on int32."""
    if prim.name not in MOVES and any(map(is_word, args)):
        raise RefusedError(
            f"[legalize] {prim.name} of uint32 cannot be had on coreml: MIL has no unsigned numbers of 32 bits, and no"
            " rule writes this on halves of 16. Compute it with int32 or float32."
        )


# ---- arithmetic


def _binary(combine: Callable[[Halves, Halves], Halves]) -> Callable[..., Any]:
    def of_words(x: Any, y: Any) -> Any:
        return whole(combine(halves(x), halves(y)), aval_of(x).shape or aval_of(y).shape, uint32)

    return of_words


def _wide(x: Any, y: Any) -> tuple[Any, Any]:
    """Both in one shape, as the bits of int32."""
    shape = aval_of(x).shape or aval_of(y).shape
    return tuple(_bits(expand(v, shape)) for v in (x, y))  # type: ignore[return-value]


def _bits(x: Any) -> Any:
    if not isinstance(x, (np.ndarray, np.generic, DeviceArray)):
        return E.convert_element_type_p.bind(x, dtype=int32, weak_type=False)
    return np.asarray(x.value if isinstance(x, DeviceArray) else x).view(np.int32)


def _as_word(x: Any) -> Any:
    return E.convert_element_type_p.bind(x, dtype=uint32, weak_type=False)


def _divided(x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient and rest: half of x is divided as int32, and the last bit is brought down (Warren, Hacker's Delight,
    9-3). A divisor of 2**31 and more is in x once or not at all; one of 0 gives what lax says."""
    shape = aval_of(x).shape or aval_of(y).shape
    x, y = expand(x, shape), expand(y, shape)
    n, d = _wide(x, y)
    zero, large = A.eq(d, number(d, 0)), A.lt(d, number(d, 0))
    by = A.select_n(A.or_p.bind(zero, large), d, number(d, 1))
    h = halves(x)
    half = _bits(whole(W.right(h, 1), shape, uint32))
    last = S.reshape(W.rest(parts(h)[1], 2), shape)
    last = last if aval_of(last).shape == shape else expand(last, shape)
    quotient, left = W.floor(half, by), W.rest(half, by)
    over = A.ge(left, A.sub(A.sub(by, left), last))
    left = A.add(A.add(left, A.select_n(over, left, A.sub(left, by))), last)
    doubled = W.left(halves(_as_word(quotient)), 1).rows
    over_row = S.reshape(W.whether(over), (1, aval_of(over).size))
    quotient = whole(Halves(A.add(doubled, S.concatenate([number(over_row, 0), over_row], 0))), shape, uint32)
    once = A.ge(_flipped(n), _flipped(d))
    below = A.sub(n, A.select_n(A.and_p.bind(once, large), number(d, 0), d))
    quotient = A.select_n(large, quotient, _as_word(W.whether(once)))
    left = A.select_n(large, left, below)
    full = expand(np.uint32(2**32 - 1), shape)
    return A.select_n(zero, quotient, full), A.select_n(zero, _as_word(left), x)


def _sum(x: Any, *, axes: tuple[int, ...]) -> Any:
    shape = aval_of(x).shape
    return _of_rows(x, lambda rows: R.reduce_sum(rows, axes), int(np.prod([shape[a] for a in axes])))


def _cumsum(x: Any, *, axis: int, reverse: bool) -> Any:
    return _of_rows(x, lambda rows: R.cumsum_p.bind(rows, axis=axis, reverse=reverse), aval_of(x).shape[axis])


def _of_rows(x: Any, add: Callable[[Any], Any], count: int) -> Any:
    """A sum of so many elements, of the upper halves and of the lower ones."""
    if count > LONGEST:
        raise RefusedError(
            f"[legalize] a sum of uint32 over {count} elements cannot be had on coreml, only of {LONGEST}."
        )
    sums = [add(S.reshape(p, aval_of(x).shape)) for p in parts(halves(x))]
    shape = aval_of(sums[0]).shape
    upper, lower = (S.reshape(s, (1, aval_of(s).size)) for s in sums)
    upper = A.add(W.rest(upper, W.HALF), W.floor(lower, W.HALF))
    return whole(Halves(S.concatenate([W.rest(upper, W.HALF), W.rest(lower, W.HALF)], 0)), shape, uint32)


def _sign(x: Any) -> Any:
    return _as_word(W.whether(A.ne(_bits(x), number(x, 0))))


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": _binary(W.plus), "sub": _binary(W.minus), "mul": _binary(W.product),
    "neg": lambda x: whole(W.minus(halves(np.uint32(0)), halves(x)), aval_of(x).shape, uint32),
    "square": lambda x: whole(W.product(halves(x), halves(x)), aval_of(x).shape, uint32),
    "not": lambda x: whole(W.opposite(halves(x)), aval_of(x).shape, uint32),
    "abs": lambda x: x, "sign": _sign,
    "div": lambda x, y: _divided(x, y)[0], "rem": lambda x, y: _divided(x, y)[1],
    "reduce_sum": _sum, "cumsum": _cumsum,
}  # fmt: skip


# ---- integers of 8 and 16 bits, which MIL has, but computes nothing with

_PRODUCTS = ("mul", "square", "integer_pow")  # those of uint16 have 32 bits
_NARROW = {
    *_PRODUCTS, "add", "sub", "neg", "not", "abs", "sign", "div", "rem", "max", "min", "clamp", "lt", "le", "gt", "ge",
    "eq", "ne", "reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "cumsum", "cummax", "cummin", "cumprod",
    "argmax", "argmin", "sort",
}  # fmt: skip


def _is_narrow(x: Any) -> bool:
    dtype = aval_of(x).dtype
    return dtype in INT and dtype.itemsize < 4


def _through_words(prim: Primitive, args: Sequence[Any], params: Params) -> Any:
    """The equation on 32 bits; its results are cut to the dtype's width, as in lax."""
    wants = prim.out_avals([aval_of(a) for a in args], params)
    wide = uint32 if prim.name in _PRODUCTS and aval_of(args[0]).dtype == uint16 else int32
    out = prim.bind(*(E.convert_element_type(a, wide) if _is_narrow(a) else a for a in args), **params)
    outs = [o if aval_of(o).dtype == w.dtype else whole(halves(o), w.shape, w.dtype)
            for o, w in zip(out if prim.multiple_results else [out], wants)]  # fmt: skip
    return outs if prim.multiple_results else outs[0]


# ---- order

_ORDER = {
    **dict.fromkeys(("max", "min", "reduce_max", "reduce_min", "cummax", "cummin", "clamp"), True),
    **dict.fromkeys(("lt", "le", "gt", "ge", "argmax", "argmin"), False), "sort": True,
}  # whether the results are elements, too  # fmt: skip


def _flipped(bits: Any) -> Any:
    """int32 whose order is that of the uint32 with these bits, and the way back: the first bit changes."""
    negative = A.lt(bits, number(bits, 0))
    shift = A.select_n(negative, number(bits, -(2**31)), number(bits, 2**31 - 1))
    return A.add(A.add(bits, shift), W.whether(negative))


def _ordered(prim: Primitive, args: Sequence[Any], params: Params) -> Any:
    """The equation on int32 in the order of uint32."""
    given = [_flipped(_bits(a)) if is_word(a) else a for a in args]
    if prim is sort_p:
        outs = prim.bind(*given, **params)
        return [_as_word(_flipped(o)) if is_word(a) else o for a, o in zip(args, outs)]
    out = prim.bind(*given, **params)
    return _as_word(_flipped(out)) if _ORDER[prim.name] else out


# ---- casts


def _converted(x: Any, dtype: np.dtype) -> Any:
    have, shape = aval_of(x).dtype, aval_of(x).shape
    if have == float64 and dtype == float32:
        return _multiplied_and_added(x)
    if have == uint32:
        if dtype in FLOATS:
            return W.as_float(halves(x), shape, dtype)
        if dtype == bool_:
            return A.ne(_bits(x), number(x, 0))
        return whole(halves(x), shape, dtype) if dtype.itemsize < 4 else NotImplemented
    if dtype == uint32:
        if have in FLOATS:
            return whole(W.of_float(x), shape, uint32)
        return NotImplemented if have == int32 else _as_word(E.convert_element_type(x, int32))
    return NotImplemented


def _multiplied_and_added(x: Any) -> Any:
    """``a * b + c`` of float32 that is computed in float64 and rounded once (random/samplers.py), as pairs of float32
    (Dekker, 1971; Knuth, The Art of Computer Programming 2, 4.2.2)."""
    total = maker(x)
    if total is None or total.primitive.name != "add":
        return NotImplemented
    for product, c in (total.inputs, total.inputs[::-1]):
        made = maker(product)
        if made is None or made.primitive.name != "mul":
            continue
        singles = [_single(v) for v in (*made.inputs, c)]
        if all(s is not None for s in singles):
            return _fused(*(expand(s, aval_of(x).shape) for s in singles))
    return NotImplemented


def _single(atom: Atom) -> Any:
    """The float32 from which a float64 was converted, or None."""
    if isinstance(atom, Literal):
        value = np.asarray(atom.value, np.float32)
        return value if np.array_equal(value, atom.value) else None
    made = maker(atom)
    if made is None or made.primitive.name not in ("convert_element_type", "broadcast_in_dim"):
        return None
    (inner,) = made.inputs
    if made.primitive.name == "convert_element_type":
        inside = inner.value if isinstance(inner, Literal) else traced(inner)
        return inside if aval_of(inside).dtype == float32 else None
    found = _single(inner)
    return found if not made.params["broadcast_dimensions"] else None


def _fused(a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once, except if the sum is half-way between two numbers in all digits that are kept."""
    product = A.mul(a, b)
    (a1, a2), (b1, b2) = _split(a), _split(b)
    off = A.sub(A.mul(a2, b2), A.sub(A.sub(A.sub(product, A.mul(a1, b1)), A.mul(a2, b1)), A.mul(a1, b2)))
    total = A.add(product, c)
    part = A.sub(total, product)
    rest = A.add(A.sub(product, A.sub(total, part)), A.sub(c, part))
    return A.add(total, A.add(rest, off))


def _split(x: Any) -> tuple[Any, Any]:
    """Two floats of 12 bits whose sum is ``x``."""
    spread = A.mul(x, expand(np.float32(4097), aval_of(x).shape))
    high = A.sub(spread, A.sub(spread, x))
    return high, A.sub(x, high)


# ---- the end


def signed_words(graph: Graph) -> Graph:
    """``graph`` with int32 of the same bits for every uint32, in inner Graphs, too."""
    new: dict[Var, Var] = {}

    def atom(a: Any) -> Any:
        if a.aval.dtype != uint32:
            return a
        if isinstance(a, Literal):
            return Literal(np.asarray(a.value).view(np.int32), a.aval.update(dtype=int32))
        if a not in new:
            new[a] = Var(a.aval.update(dtype=int32))
        return new[a]

    def equation(eqn: Eqn) -> Eqn:
        params = {k: int32 if isinstance(v, np.dtype) and v == uint32 else v for k, v in eqn.params.items()}
        params = {k: v.view(np.int32) if isinstance(v, (np.ndarray, np.generic)) and v.dtype == uint32 else v
                  for k, v in params.items()}  # fmt: skip
        return eqn.replace(inputs=tuple(map(atom, eqn.inputs)), outputs=tuple(map(atom, eqn.outputs)),
                           params=map_subgraphs(params, signed_words))  # fmt: skip

    return graph.replace(inputs=tuple(map(atom, graph.inputs)), eqns=tuple(map(equation, graph.eqns)),
                         outputs=tuple(map(atom, graph.outputs)))  # fmt: skip
