"""Computes along a long axis, such as that of a vocabulary, in parts, each of which is a separate array.

    logits = h @ w.T                            logits_i = h @ w[i].T       for each part i of the rows of w
    max(logits, -1)                             max(max(logits_i, -1), ...)
    sum(exp(logits - m), -1)           ->       sum(exp(logits_i - m), -1) + ...
    logits[label]                               sum(where(label_i == iota, logits_i, 0), -1) + ...
    d @ w,  d.T @ h                             d_i @ w[i] + ...,  concatenate(d_i.T @ h)

An engine may not have axes as long as that (limits.py), and arrays of the whole axis do not stay in its SRAM. Elements
that are taken or added at positions made by integers are compared with positions, so that the logits need not leave the
engine for it. The arrays that parts are cut of, and those that they are joined to, are the CPU device's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.context import base_trace, current_mark, recording, set_mark
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, expanded
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import reduce as R
from anejax.ops import shape as S
from anejax.ops.index import gather_p
from anejax.ops.linear import free_dims
from anejax.passes.inline import INLINED
from anejax.passes.simplify import simplify
from anejax.transforms.composite import composite_p
from anejax.transforms.evaluate import bind_eqn, read, write
from anejax.transforms.stage import StageTrace

LONG = 8192  # shorter axes are never taken apart
PART = 4096  # longest part: float16 counts that many positions, from -2048 on
MOST = 65504  # longest axis: a sum of that many ones fits float16
NOWHERE = 30000  # a position that is in no part
MOVES = ("transpose", "reshape", "convert_element_type", "broadcast_in_dim")
COMBINED: dict[str, Callable[[Any, Any], Any]] = {"reduce_sum": A.add, "reduce_max": A.max, "reduce_min": A.min}


@dataclass(frozen=True, eq=False)
class Parts:
    """An array as the parts that join to it along ``axis``."""

    axis: int
    arrays: tuple[Any, ...]


@dataclass(frozen=True)
class InParts:
    """A Graph that computes in parts, and which of its equations cut and join arrays, by index."""

    graph: Graph
    borders: frozenset[int]


def in_parts(graph: Graph, longest: int, resident_bytes: float) -> InParts | None:
    """``graph`` with products by weights that have a long axis, and what follows from them, in parts; None where there
    are no such products.

    Args:
        longest: the longest axis that there may be.
        resident_bytes: of an array at most, where as many parts as that takes are not too short to be worth it.
    """
    makers = {v: e for e in graph.eqns for v in e.outputs}
    lengths: dict[int, tuple[tuple[int, int], ...]] = {}
    for eqn in graph.eqns:
        for _, axis in _seeds(eqn, makers):
            shape = eqn.outputs[0].aval.shape
            lengths.setdefault(shape[axis], _cuts(shape[axis], 2 * math.prod(shape), longest, resident_bytes))
    lengths = {n: cuts for n, cuts in lengths.items() if len(cuts) > 1}
    if not lengths:
        return None
    graph = expanded(graph, INLINED, lambda e: e.primitive is composite_p and not _is_long(e, lengths))
    makers = {v: e for e in graph.eqns for v in e.outputs}
    trace = _PartsTrace(base_trace())
    with recording(trace):
        outs = _Walk(graph, makers, lengths).run(*(trace.new_input(a) for a in graph.in_avals))
    found = simplify(trace.finish(outs)[0])
    borders = frozenset(i for i, e in enumerate(found.eqns) if _is_border(e, lengths))
    return InParts(found, borders)


def _is_long(eqn: Eqn, lengths: dict[int, Any]) -> bool:
    return any(n in lengths for v in eqn.outputs for n in v.aval.shape)


def _cuts(n: int, nbytes: int, longest: int, resident_bytes: float) -> tuple[tuple[int, int], ...]:
    """(begin, end) of each part of an axis of length ``n``, in an array of ``nbytes``."""
    few = math.ceil(n / min(PART, longest))
    many = math.ceil(nbytes / resident_bytes)
    count = max(few, min(many, 2 * few))
    size = min(PART, math.ceil(n / count / 32) * 32)  # rows of the last axis are padded to 32 elements
    return tuple((i, min(i + size, n)) for i in range(0, n, size))


def _seeds(eqn: Eqn, makers: dict[Var, Eqn]) -> list[tuple[int, int]]:
    """(number of the operand, axis of the result) of long axes that a product has of a weight."""
    if eqn.primitive.name != "dot_general":
        return []
    found = []
    for side, axis in ((1, 0), (0, 1)):
        operand = eqn.inputs[axis]
        for at, out in _free_of(eqn, axis).items():
            n = operand.aval.shape[at]
            if LONG <= n <= MOST and dtypes.is_float(operand.aval.dtype) and _is_given(operand, makers):
                found.append((1 - side, out))
    return found


def _is_given(atom: Atom, makers: dict[Var, Eqn]) -> bool:
    """Whether ``atom`` shows an input or a constant."""
    while isinstance(atom, Var) and atom in makers:
        eqn = makers[atom]
        if eqn.primitive.name not in MOVES or eqn.primitive.name == "broadcast_in_dim":
            return False
        (atom,) = eqn.inputs
    return True


def _free_of(eqn: Eqn, side: int) -> dict[int, int]:
    """The axes of one operand of a product that the result has, and where, without those of the batch."""
    (xc, yc), (xb, yb) = eqn.params["dimension_numbers"]
    x, y = (a.aval.ndim for a in eqn.inputs)
    xf, yf = free_dims(x, xc, xb), free_dims(y, yc, yb)
    first = len(xb) if side == 0 else len(xb) + len(xf)
    return {a: first + i for i, a in enumerate(yf if side else xf)}


def _is_border(eqn: Eqn, lengths: dict[int, Any]) -> bool:
    """Whether an equation cuts or joins parts."""
    if eqn.primitive.name == "concatenate":
        axis = eqn.params["dimension"]
        n = eqn.outputs[0].aval.shape[axis]
        return n in lengths and len(eqn.inputs) == len(lengths[n])
    if eqn.primitive.name != "slice":
        return False
    shapes = zip(eqn.inputs[0].aval.shape, eqn.outputs[0].aval.shape)
    return any(n in lengths and m in {e - b for b, e in lengths[n]} for n, m in shapes)


class _PartsTrace(StageTrace):
    """Stages the Graph of parts."""

    array_literals = True


class _Walk:
    """Evaluates a Graph. Values of ``env`` are arrays or Parts."""

    def __init__(self, graph: Graph, makers: dict[Var, Eqn], lengths: dict[int, tuple[tuple[int, int], ...]]) -> None:
        self.graph, self.makers, self.lengths = graph, makers, lengths
        self.env: dict[Any, Any] = {}
        self.split_at: dict[tuple[Atom, int], list[Any]] = {}
        self.joined: dict[Atom, Any] = {}
        self.found_at: dict[tuple[Atom, tuple[int, ...], int, str], list[Any]] = {}

    def run(self, *args: Any) -> list[Any]:
        self.env.update(zip(self.graph.inputs, args, strict=True))
        outer = current_mark()
        try:
            for eqn in self.graph.eqns:
                set_mark(eqn.mark.within(outer))
                made = self.made(eqn)
                write(self.env, eqn.outputs, [made] if isinstance(made, Parts) else made)
        finally:
            set_mark(outer)
        return [self.whole(a) for a in self.graph.outputs]

    def made(self, eqn: Eqn) -> Any:
        """The results of an equation: a list of arrays, or the one result in parts."""
        rule = RULES.get(eqn.primitive.name, _Walk.elementwise if eqn.primitive.elementwise else None)
        found = rule(self, eqn) if rule is not None else None
        return bind_eqn(eqn, [self.whole(a) for a in eqn.inputs]) if found is None else found

    def parts(self, atom: Atom) -> Parts | None:
        found = self.env.get(atom) if isinstance(atom, Var) else None
        return found if isinstance(found, Parts) else None

    def whole(self, atom: Atom) -> Any:
        """``atom`` as one array."""
        parts = self.parts(atom)
        if parts is None:
            return read(self.env, atom)
        if atom not in self.joined:
            self.joined[atom] = S.concatenate(parts.arrays, parts.axis)
        return self.joined[atom]

    def split(self, atom: Atom, axis: int) -> list[Any]:
        """The parts of ``atom`` along an axis of a length that is taken apart. If a value only moves the elements of
        another array, its parts come from that array's parts."""
        parts = self.parts(atom)
        if parts is not None and parts.axis == axis:
            return list(parts.arrays)
        if (atom, axis) not in self.split_at:
            self.split_at[atom, axis] = self.moved(atom, axis) or [
                S.slice_in_dim(self.whole(atom), b, e, axis=axis) for b, e in self.lengths[atom.aval.shape[axis]]
            ]
        return self.split_at[atom, axis]

    def moved(self, atom: Atom, axis: int) -> list[Any] | None:
        """The parts of ``atom``, if it only moves elements of another array, from the array's parts; else None."""
        eqn = self.makers.get(atom) if isinstance(atom, Var) else None
        if eqn is None or eqn.primitive.name not in MOVES:
            return None
        (operand,) = eqn.inputs
        inner = _axis_before(eqn, axis)
        if inner is None:
            if eqn.primitive.name != "broadcast_in_dim":
                return None
            x, cuts = self.whole(operand), self.lengths[atom.aval.shape[axis]]
            return [bind_eqn(_resized(eqn, axis, e - b), [x])[0] for b, e in cuts]
        arrays = self.split(operand, inner)
        return [bind_eqn(_resized(eqn, axis, aval_of(x).shape[inner]), [x])[0] for x in arrays]

    def is_ready(self, atom: Atom, axis: int) -> bool:
        """Whether ``atom`` is there in parts, or can be cut without being computed first."""
        parts = self.parts(atom)
        if parts is not None:
            return parts.axis == axis
        eqn = self.makers.get(atom) if isinstance(atom, Var) else None
        if eqn is None:
            return True
        if eqn.primitive.name not in MOVES:
            return False
        inner = _axis_before(eqn, axis)
        return eqn.primitive.name == "broadcast_in_dim" if inner is None else self.is_ready(eqn.inputs[0], inner)

    def axis_of(self, eqn: Eqn) -> int | None:
        """The axis of the parts among the operands."""
        return next((p.axis for p in map(self.parts, eqn.inputs) if p is not None), None)

    # ---- results of parts

    def elementwise(self, eqn: Eqn) -> Parts | None:
        axis = self.axis_of(eqn)
        if axis is None or not all(self.is_ready(a, axis) for a in eqn.inputs if a.aval.shape):
            return None
        columns = [self.split(a, axis) if a.aval.shape else None for a in eqn.inputs]
        count = max(len(c) for c in columns if c is not None)
        rows = [[self.whole(a) if c is None else c[i] for a, c in zip(eqn.inputs, columns)] for i in range(count)]
        return Parts(axis, tuple(bind_eqn(eqn, row)[0] for row in rows))

    def moves(self, eqn: Eqn) -> Parts | None:
        parts = self.parts(eqn.inputs[0])
        axis = None if parts is None else _axis_behind(eqn, parts.axis)
        if parts is None or axis is None:
            return None
        made = (bind_eqn(_resized(eqn, axis, aval_of(x).shape[parts.axis]), [x])[0] for x in parts.arrays)
        return Parts(axis, tuple(made))

    def reduced(self, eqn: Eqn) -> Any:
        parts = self.parts(eqn.inputs[0])
        if parts is None:
            return None
        arrays = [bind_eqn(eqn, [x])[0] for x in parts.arrays]
        axes = eqn.params["axes"]
        if parts.axis not in axes:
            return Parts(parts.axis - sum(a < parts.axis for a in axes), tuple(arrays))
        return [_in_pairs(COMBINED[eqn.primitive.name], arrays)]

    def product(self, eqn: Eqn) -> Any:
        (xc, yc), (xb, yb) = eqn.params["dimension_numbers"]
        for side in (0, 1):
            parts = self.parts(eqn.inputs[side])
            if parts is None:
                continue
            for axes, adds in (((xc, yc), True), ((xb, yb), False)):
                mine, theirs = axes[side], axes[1 - side]
                if parts.axis in mine:
                    at = mine.index(parts.axis)
                    made = self.multiplied(eqn, side, parts.arrays, self.split(eqn.inputs[1 - side], theirs[at]))
                    return [_in_pairs(A.add, made)] if adds else Parts(at, tuple(made))
            made = self.multiplied(eqn, side, parts.arrays, None)
            return Parts(_free_of(eqn, side)[parts.axis], tuple(made))
        for side, out in _seeds(eqn, self.makers):
            if eqn.outputs[0].aval.shape[out] in self.lengths:
                at = next(a for a, o in _free_of(eqn, side).items() if o == out)
                return Parts(out, tuple(self.multiplied(eqn, side, self.split(eqn.inputs[side], at), None)))
        return None

    def multiplied(self, eqn: Eqn, side: int, mine: Sequence[Any], theirs: Sequence[Any] | None) -> list[Any]:
        if theirs is None:
            theirs = [self.whole(eqn.inputs[1 - side])] * len(mine)
        pairs = zip(mine, theirs) if side == 0 else zip(theirs, mine)
        return [bind_eqn(eqn, pair)[0] for pair in pairs]

    # ---- single elements

    def gathered(self, eqn: Eqn) -> Any:
        """Gathers one element of each row: a sum over the row with zeros elsewhere, plus reads out of bounds."""
        x, indices = eqn.inputs
        parts, dn = self.parts(x), eqn.params["dimension_numbers"]
        if parts is None or not _picks(x.aval, indices.aval, parts.axis, dn, eqn.params["slice_sizes"]):
            return None
        at = self.is_at(indices, x.aval.shape, parts.axis, eqn.params["mode"])
        zero = np.zeros((), x.aval.dtype)
        rows = [
            A.select_n(here, S.broadcast_in_dim(zero, aval_of(v).shape, ()), v) for here, v in zip(at, parts.arrays)
        ]
        found = _in_pairs(A.add, [R.reduce_sum(row, (parts.axis,)) for row in _added(rows)])
        out = eqn.outputs[0].aval
        zeros = S.broadcast_in_dim(zero, (x.aval.shape[parts.axis],), ())
        numbers = dn._replace(collapsed_slice_dims=(0,), start_index_map=(0,), operand_batching_dims=(),
                              start_indices_batching_dims=())  # fmt: skip
        outside = gather_p.bind(zeros, self.whole(indices), **{**eqn.params, "dimension_numbers": numbers,
                                                               "slice_sizes": (1,)})  # fmt: skip
        return [A.add(S.reshape(found, out.shape), outside)]

    def scattered(self, eqn: Eqn) -> Parts | None:
        """Scatters to one element of each row by adding an array that is zero at all other elements."""
        x, indices, updates = eqn.inputs
        dn = eqn.params["dimension_numbers"]
        (axis,) = dn.scatter_dims_to_operand_dims if len(dn.scatter_dims_to_operand_dims) == 1 else (-1,)
        fits = axis >= 0 and x.aval.shape[axis] in self.lengths and self.is_ready(x, axis)
        if not fits or not _picks(x.aval, indices.aval, axis, dn, (1,) * x.aval.ndim):
            return None
        at = self.is_at(indices, x.aval.shape, axis, eqn.params["mode"])
        rows = S.reshape(self.whole(updates), (*x.aval.shape[:axis], 1, *x.aval.shape[axis + 1 :]))
        zero = np.zeros((), x.aval.dtype)
        shapes = [aval_of(here).shape for here in at]
        wide = [S.broadcast_in_dim(rows, shape, tuple(range(len(shape)))) for shape in shapes]
        made = [A.select_n(h, S.broadcast_in_dim(zero, n, ()), w) for h, n, w in zip(at, shapes, wide)]
        if not _is_zero(x, self.makers):
            made = map(A.add, self.split(x, axis), made)
        return Parts(axis, tuple(made))

    def is_at(self, indices: Atom, shape: tuple[int, ...], axis: int, mode: str) -> list[Any]:
        """A mask for each part: the elements of the rows of an array of ``shape`` that the indices name."""
        key = (indices, shape, axis, mode)
        if key not in self.found_at:
            n = shape[axis]
            rows = (*shape[:axis], *shape[axis + 1 :])
            numbers = S.reshape(E.convert_element_type(self.whole(indices), np.int32), rows)
            if mode == "clip":
                numbers = _clipped(numbers, n)
            self.found_at[key] = [_is_in(numbers, b, e, shape, axis) for b, e in self.lengths[n]]
        return self.found_at[key]


RULES: dict[str, Callable[[_Walk, Eqn], Any]] = {
    **dict.fromkeys(MOVES, _Walk.moves),
    **dict.fromkeys(COMBINED, _Walk.reduced),
    "dot_general": _Walk.product,
    "gather": _Walk.gathered,
    "scatter_add": _Walk.scattered,
}


def _in_pairs(combine: Callable[[Any, Any], Any], arrays: Sequence[Any]) -> Any:
    """All of ``arrays`` as one, by halves, so that rounding errors do not pile up."""
    if len(arrays) <= 2:
        return functools.reduce(combine, arrays)
    half = len(arrays) // 2
    return combine(_in_pairs(combine, arrays[:half]), _in_pairs(combine, arrays[half:]))


def _added(rows: Sequence[Any]) -> list[Any]:
    """The sums of rows of a length, where at most one element of all is not zero: fewer sums along rows follow."""
    of_length: dict[tuple[int, ...], Any] = {}
    for row in rows:
        shape = aval_of(row).shape
        of_length[shape] = A.add(of_length[shape], row) if shape in of_length else row
    return list(of_length.values())


def _is_zero(atom: Atom, makers: dict[Var, Eqn]) -> bool:
    """Whether ``atom`` is zero everywhere, as the Graph shows."""
    eqn = makers.get(atom) if isinstance(atom, Var) else None
    source = eqn.inputs[0] if eqn is not None and eqn.primitive.name == "broadcast_in_dim" else None
    return isinstance(source, Literal) and not np.any(source.value)


def _clipped(numbers: Any, n: int) -> Any:
    shape = aval_of(numbers).shape
    low, high = (S.broadcast_in_dim(np.int32(v), shape, ()) for v in (0, n - 1))
    return A.min(A.max(numbers, low), high)


def _is_in(numbers: Any, begin: int, end: int, shape: tuple[int, ...], axis: int) -> Any:
    """A mask of the elements of one part that ``numbers`` names for each row. Positions count from -2048, in float16,
    which has all integers up to 2048."""
    rows, part = aval_of(numbers).shape, (*shape[:axis], end - begin, *shape[axis + 1 :])
    whole = lambda v: S.broadcast_in_dim(np.int32(v), rows, ())  # noqa: E731
    inside = A.and_p.bind(A.ge(numbers, whole(begin)), A.lt(numbers, whole(end)))
    place = A.select_n(inside, whole(NOWHERE), A.sub(numbers, whole(begin + PART // 2)))
    place = E.convert_element_type(place, dtypes.float16)
    wide = S.reshape(place, tuple(1 if a == axis else n for a, n in enumerate(shape)))
    wide = S.broadcast_in_dim(wide, part, tuple(range(len(shape))))
    counted = S.broadcasted_iota(np.int32, (end - begin,), 0)
    half = S.broadcast_in_dim(np.int32(PART // 2), (end - begin,), ())
    positions = E.convert_element_type(A.sub(counted, half), dtypes.float16)
    return A.eq(wide, S.broadcast_in_dim(positions, part, (axis,)))


def _picks(x: Aval, indices: Aval, axis: int, dn: Any, sizes: tuple[int, ...]) -> bool:
    """Whether one element along ``axis`` is meant for each position along the other axes of ``x``, in order."""
    others = tuple(a for a in range(x.ndim) if a != axis)
    window, dropped, mapped, batch, theirs = dn
    rows = math.prod(x.shape[a] for a in others)
    return (
        (tuple(window), tuple(dropped), tuple(mapped)) == ((), (axis,), (axis,))
        and (tuple(batch), list(theirs)) == (others, sorted(theirs))
        and math.prod(indices.shape[:-1]) == rows
        and set(sizes) == {1}
    )


def _axis_before(eqn: Eqn, axis: int) -> int | None:
    """The axis of the operand of one of MOVES that becomes ``axis`` of the result."""
    shape = eqn.inputs[0].aval.shape
    return next((a for a in range(len(shape)) if _axis_behind(eqn, a) == axis), None)


def _axis_behind(eqn: Eqn, axis: int) -> int | None:
    """The axis of the result that ``axis`` of the operand of one of MOVES becomes as a whole."""
    shape, new = eqn.inputs[0].aval.shape, eqn.outputs[0].aval.shape
    if eqn.primitive.name == "transpose":
        return eqn.params["permutation"].index(axis)
    if eqn.primitive.name == "broadcast_in_dim":
        found = eqn.params["broadcast_dimensions"][axis]
        return found if shape[axis] == new[found] else None
    if eqn.primitive.name == "convert_element_type":
        return axis
    before = math.prod(shape[:axis])
    return next((a for a, n in enumerate(new) if n == shape[axis] > 1 and math.prod(new[:a]) == before), None)


def _resized(eqn: Eqn, axis: int, size: int) -> Eqn:
    """One of MOVES, whose result has ``size`` elements along ``axis``."""
    name = {"reshape": "new_sizes", "broadcast_in_dim": "shape"}.get(eqn.primitive.name)
    if name is None:
        return eqn
    shape = list(eqn.params[name])
    shape[axis] = size
    return eqn.replace(params={**eqn.params, name: tuple(shape)})
