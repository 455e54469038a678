"""Bounds masks that a softmax reads from below, by -40000.

A softmax subtracts the largest score. A mask of -65504 then overflows in float16 as soon as that score is above 16, and
the engine is reported to mishandle infinity there. Apple's rules for authors of models ask for -40000 (docs/sources.md,
"Constants"), which leaves room for scores up to 25,000 (the rule "mask" of mil/hazards.py). Constant masks are
replaced. Masks that are inputs or computed (a logarithm, a large factor) are bounded by one operation, before they are
added to scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.mil.limits import MASK
from anejax.ops.arithmetic import max_p
from anejax.transforms.composite import title

LAYOUT = ("reshape", "broadcast_in_dim", "transpose", "squeeze", "expand_dims")
MASKING = ("select_n", "add")
SOFTMAX, LOG_SUM = (
    "softmax",
    "reduce_log_sum_exp",
)  # MIL's, and the first that of nn, which read the scores as their first operand
ATTENTION, ATTENTION_MASK = "scaled_dot_product_attention", 3  # a composite, and which operand of it is the mask
FACTOR = 1000.0  # numbers times at least this much may be masks, as in (1 - kept) * -1e9


def with_masks(graph: Graph) -> Graph:
    """``graph``, which computes in float16 or will, with the masks that softmax reads as Apple asks for them."""
    return _Masks(graph).rewritten()


def bounded(graph: Graph) -> set[Var]:
    """The values of ``graph`` that ``with_masks`` bounds from below, since they may be masks."""
    masks = _Masks(graph)
    masks.rewritten()
    return {*masks.bounded}


def _moves(eqn: Eqn) -> bool:
    """Whether ``eqn`` moves the elements of its first operand, or changes the dtype of floats."""
    casts = eqn.primitive.name == "convert_element_type" and eqn.inputs[0].aval.dtype.kind == "f"
    return casts or eqn.primitive.name in LAYOUT


def _behind(atom: Atom, made: dict[Var, Eqn], also: tuple[str, ...] = ()) -> Eqn | None:
    """The equation that makes ``atom``, behind what moves its elements."""
    eqn = made.get(atom) if isinstance(atom, Var) else None
    while eqn is not None and (_moves(eqn) or eqn.primitive.name in also):
        eqn = made.get(eqn.inputs[0]) if isinstance(eqn.inputs[0], Var) else None
    return eqn


def _masking(eqn: Eqn, made: dict[Var, Eqn]) -> Iterator[Eqn]:
    """The equations that mask the scores of the softmax that ``eqn`` is, or is the exponential of."""
    open_ = [_scores(eqn, made)]
    if _is_attention(eqn):
        yield eqn
        open_.append(_behind(eqn.inputs[ATTENTION_MASK], made))
    while open_:
        mask = open_.pop()
        if mask is not None and mask.primitive.name in MASKING:
            yield mask
            open_ += [_behind(a, made) for a in mask.inputs]


def _is_attention(eqn: Eqn) -> bool:
    return eqn.params.get("name") == ATTENTION and len(eqn.inputs) > ATTENTION_MASK


def _scores(eqn: Eqn, made: dict[Var, Eqn]) -> Eqn | None:
    """The equation that makes the scores of a softmax: a composite, or what is exponentiated behind the subtraction of
    its greatest element."""
    if title(eqn) == SOFTMAX:
        return _behind(eqn.inputs[0], made)
    exponential = eqn.primitive.name == "exp" or eqn.params.get("name") == LOG_SUM
    less = _behind(eqn.inputs[0], made) if exponential else None
    if less is None or less.primitive.name != "sub":
        return None
    top = _behind(less.inputs[1], made, ("max",))  # with the initial value
    return _behind(less.inputs[0], made) if top is not None and top.primitive.name == "reduce_max" else None


class _Masks:
    """A Graph whose equations that mask scores get other masks. ``bounded`` are values, and what stands for them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made = {out: e for e in graph.eqns for out in e.outputs}
        self._masking = {e for eqn in graph.eqns for e in _masking(eqn, self._made)}
        self._eqns: list[Eqn] = []
        self.bounded: dict[Var, Var] = {}

    def rewritten(self) -> Graph:
        if not self._masking:
            return self._graph
        for eqn in self._graph.eqns:
            self._eqns.append(self._masked(eqn) if eqn in self._masking else eqn)
        return self._graph.replace(eqns=tuple(self._eqns))

    def _masked(self, eqn: Eqn) -> Eqn:
        if _is_attention(eqn):
            mask = self._finite(eqn.inputs[ATTENTION_MASK], eqn, added=True)
            return replace(eqn, inputs=(*eqn.inputs[:ATTENTION_MASK], mask, *eqn.inputs[ATTENTION_MASK + 1 :]))
        added = eqn.primitive.name == "add"
        return replace(eqn, inputs=tuple(self._finite(a, eqn, added) for a in eqn.inputs))

    def _finite(self, atom: Atom, reader: Eqn, added: bool) -> Atom:
        """``atom``, or one that is nowhere below ``MASK`` if it may be a mask. Operations that move its elements are
        repeated, since others may read their results."""
        if isinstance(atom, Literal):
            value = np.asarray(atom.value)
            masks = value.dtype.kind == "f" and value < MASK
            return Literal(np.where(masks, np.asarray(MASK, value.dtype), value), atom.aval) if np.any(masks) else atom
        eqn = self._made.get(atom)
        if eqn is not None and _moves(eqn):
            source = self._finite(eqn.inputs[0], reader, added)
            if source is eqn.inputs[0]:
                return atom
            out = Var(atom.aval)
            self._eqns.append(replace(eqn, inputs=(source, *eqn.inputs[1:]), outputs=(out,)))
            return out
        return self._bound(atom, reader) if added and _may_be_mask(atom, eqn) else atom

    def _bound(self, mask: Var, reader: Eqn) -> Var:
        if mask not in self.bounded:
            self.bounded[mask] = Var(mask.aval)
            least = Literal(np.asarray(MASK, mask.aval.dtype), Aval((), mask.aval.dtype))
            self._eqns.append(Eqn(max_p, (mask, least), (self.bounded[mask],), {}, reader.mark))
        return self.bounded[mask]


def _may_be_mask(atom: Var, eqn: Eqn | None) -> bool:
    """Whether something added to scores, which ``eqn`` makes or which is an input, may be far below them."""
    if atom.aval.dtype.kind != "f":
        return False
    if eqn is None or eqn.primitive.name == "log":
        return True
    if eqn.primitive.name != "mul":
        return False
    return any(isinstance(a, Literal) and np.any(np.abs(a.value) >= FACTOR) for a in eqn.inputs)
