"""Divides long scans for the engine, which has no jumps, into chunks of as many turns as one program holds.

All full chunks are one program, and a shorter last chunk is another. consts and the first carry come in the form in
which values cross the border, and carries pass from chunk to chunk in this form. A chunk reads its rows of xs and
writes its rows of ys in place. A carry that the body only adds to is a sum: each chunk begins it at zero, and the CPU
device adds the chunks in float32. So float16 adds the terms of one chunk only, however long the scan is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.context import base_trace, tracing
from anejax.core.graph import Eqn, Graph, Literal, Var
from anejax.core.trace import aval_of
from anejax.ops.arithmetic import add
from anejax.ops.families import expand
from anejax.ops.shape import reshape
from anejax.partition.border import BORDER, border_aval, enter, leave
from anejax.partition.levels import readers_of
from anejax.passes.bodies import with_own_outputs
from anejax.transforms.control.scan import scan, stacked
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.parts import Flags, parts
from anejax.transforms.stage import stage

LITTLE = 1.05  # by this factor a scan may take longer, if it needs one program less for it
SUM_TURNS = 64  # most turns of a chunk with sums: that many float16 additions are off by 64 / 2 units at worst


@dataclass(frozen=True, eq=False)
class Chunked:
    """A scan that the engine has in chunks.

    Attributes:
        eqn: over values in the form in which they cross, but for sums, which stay float32; without literals.
        turns: of a chunk.
    """

    eqn: Eqn
    turns: int


def sums(eqn: Eqn) -> Flags:
    """Whether each carry of a scan is a float32 sum: the body only adds to it, and nothing else reads it."""
    body, num_consts, num_carry = (eqn.params[k] for k in ("body", "num_consts", "num_carry"))
    _, carry, _ = parts(body.inputs, num_consts, num_carry)
    readers = readers_of(body)
    return tuple(
        v.aval.dtype == dtypes.float32 and _is_sum(body, readers, v, out) for v, out in zip(carry, body.outputs)
    )


def _is_sum(body: Graph, readers: dict[Var, list[int]], var: Var, out: Any) -> bool:
    """Whether additions, each the one reader of the value before, lead from ``var`` to ``out``."""
    while readers.get(var) and var not in body.outputs:
        (i, *others) = readers[var]
        eqn = body.eqns[i]
        if others or eqn.primitive.name != "add" or eqn.inputs[0] is eqn.inputs[1]:
            return False
        var = eqn.outputs[0]
        if var is out:
            return not readers.get(var) and body.outputs.count(var) == 1
    return False


def crossing_form(eqn: Eqn) -> Eqn:
    """A scan with new variables, and casts in its body, as ``Chunked`` has it."""
    body, num_consts, num_carry, length = (eqn.params[k] for k in ("body", "num_consts", "num_carry", "length"))
    avals = body.in_avals
    stays = [False] * num_consts + [*sums(eqn)] + [False] * (len(avals) - num_consts - num_carry)
    fixed = [isinstance(a, Literal) and i < num_consts for i, a in enumerate(eqn.inputs)]
    is_slice = [i >= num_consts + num_carry for i in range(len(avals))]
    ports = [a if s else Aval(a.shape, BORDER) if x else border_aval(a) for a, s, x in zip(avals, stays, is_slice)]

    def turn(*args: Any) -> list[Any]:
        given = iter(args)
        values = [
            atom.value if f else x if s else enter(x, a)  # type: ignore[union-attr]
            for atom, f, s, a in zip(eqn.inputs, fixed, stays, avals)
            for x in [None if f else next(given)]
        ]
        outs = eval_graph(body, values)
        carry = [o if s else leave(o, border_aval(aval_of(o)).shape) for o, s in zip(outs, stays[num_consts:])]
        return [*carry[:num_carry], *(leave(o, aval_of(o).shape) for o in outs[num_carry:])]

    inner = _staged(turn, [p for p, f in zip(ports, fixed) if not f])
    xs = [stacked(p, length) if x else p for p, x in zip(ports, is_slice)]
    outputs = [*inner.out_avals[:num_carry], *(stacked(a, length) for a in inner.out_avals[num_carry:])]
    return eqn.replace(
        inputs=tuple(Var(a) for a, f in zip(xs, fixed) if not f),
        outputs=tuple(map(Var, outputs)),
        params={**eqn.params, "body": inner, "num_consts": num_consts - sum(fixed)},
    )


def chunk(eqn: Eqn, turns: int) -> Graph:
    """(consts, carry, ``turns`` rows of each xs) -> (carry, as many of each ys), of a scan in crossing form."""
    body, num_consts, num_carry = (eqn.params[k] for k in ("body", "num_consts", "num_carry"))
    inputs = [v.aval for v in eqn.inputs]
    consts, carry, _ = parts(inputs, num_consts, num_carry)
    rows = [stacked(a, turns) for a in body.in_avals[num_consts + num_carry :]]
    is_sum = [a.dtype != BORDER for a in carry]

    def run(*args: Any) -> list[Any]:
        consts, first, xs = parts(args, num_consts, num_carry)
        if turns == 1:
            turn = [*consts, *first, *(reshape(x, aval_of(x).shape[1:]) for x in xs)]
            outs = eval_graph(body, turn)
            return [*outs[:num_carry], *(reshape(y, (1, *aval_of(y).shape)) for y in outs[num_carry:])]
        begin = [expand(np.zeros((), a.dtype), a.shape) if s else c for a, s, c in zip(carry, is_sum, first)]
        outs = scan(body, consts, begin, xs, turns, eqn.params["reverse"])
        last = [add(c, o) if s else o for c, o, s in zip(first, outs, is_sum)]
        return [*last, *outs[num_carry:]]

    return _staged(run, [*consts, *carry, *rows])


def turns_at_once(length: int, most: int, floor_us: float, turn_us: float) -> int:
    """The number of turns of a chunk, at most ``most``: few dispatches, of one program if that takes little more.

    A dispatch is predicted to take ``floor_us`` and ``turn_us`` for each turn.
    """
    dispatches = -(-length // most)
    even = -(-length // dispatches)
    bound = LITTLE * (dispatches * floor_us + length * turn_us)
    exact = (t for t in range(most, 0, -1) if length % t == 0)
    return next((t for t in exact if length // t * floor_us + length * turn_us <= bound), even)


def _staged(function: Any, avals: Sequence[Any]) -> Graph:
    with tracing(base_trace()):
        graph, captured = stage(lambda *args: function(*args), avals)
    assert not captured, "literals have no axes"
    return with_own_outputs(graph)
