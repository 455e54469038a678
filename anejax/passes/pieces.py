"""Turns a sum of arrays, each of which is zero except for one piece, into a concatenation of the pieces.

    pad(a, 0, [(0, 3)]) + pad(b, 0, [(2, 0)])     ->     concatenate(a, b)          a of length 2, b of 3

Derivatives make such sums: what is cut in pieces, as the gates of an LSTM are, gets its cotangent piece by piece. The
value is the same except for zeros: a piece keeps its -0, which adding 0 makes 0. It is what jax's ``split`` gives.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.ops.arithmetic import add_p
from anejax.ops.shape import concatenate_p, pad_p


class Piece(NamedTuple):
    """``atom`` lies from ``begin`` to ``end`` of an axis."""

    begin: int
    end: int
    atom: Atom


class Pieces(NamedTuple):
    """The pieces of an array along ``axis``, in order; between them the array is zero."""

    axis: int
    pieces: tuple[Piece, ...]


def join_pieces(graph: Graph) -> Graph:
    """``graph`` whose sums of pieces that fill an axis are concatenations; ``simplify`` drops the pads."""
    made: dict[Var, Pieces] = {}
    eqns = []
    for eqn in graph.eqns:
        found = _padded(eqn) if eqn.primitive is pad_p else _sum(eqn, made) if eqn.primitive is add_p else None
        if found is not None:
            made[eqn.outputs[0]] = found
            eqn = _joined(eqn, found)
        eqns.append(eqn)
    return graph.replace(eqns=tuple(eqns))


def _padded(eqn: Eqn) -> Pieces | None:
    """A piece that only zeros were added to, along one axis."""
    x, value = eqn.inputs
    config = eqn.params["padding_config"]
    axes = [axis for axis, added in enumerate(config) if added != (0, 0, 0)]
    if len(axes) != 1 or not isinstance(value, Literal) or value.value != 0:
        return None
    low, high, interior = config[axes[0]]
    size = x.aval.shape[axes[0]]
    if low < 0 or high < 0 or interior or not size:
        return None
    return Pieces(axes[0], (Piece(low, low + size, x),))


def _sum(eqn: Eqn, made: dict[Var, Pieces]) -> Pieces | None:
    """The pieces of both terms, where no two of them overlap."""
    terms = [made.get(a) if isinstance(a, Var) else None for a in eqn.inputs]
    if terms[0] is None or terms[1] is None or terms[0].axis != terms[1].axis:
        return None
    pieces = tuple(sorted(terms[0].pieces + terms[1].pieces, key=lambda p: p.begin))
    overlap = any(left.end > right.begin for left, right in itertools.pairwise(pieces))
    return None if overlap else Pieces(terms[0].axis, pieces)


def _joined(eqn: Eqn, found: Pieces) -> Eqn:
    """``eqn`` as a concatenation, where the pieces fill the axis."""
    filled = sum(p.end - p.begin for p in found.pieces)
    if filled < eqn.outputs[0].aval.shape[found.axis]:
        return eqn
    inputs = tuple(p.atom for p in found.pieces)
    return eqn.replace(primitive=concatenate_p, inputs=inputs, params={"dimension": found.axis})
