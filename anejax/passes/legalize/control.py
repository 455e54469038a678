"""Rules for loops and branches.

The engine's programs cannot jump, so loops are unrolled and all branches are computed. Core ML has both: short scans
are unrolled there, and longer ones become while loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.core.graph import Graph
from anejax.core.trace import aval_of
from anejax.ops.arithmetic import add, eq, lt, select_n, sub
from anejax.ops.families import expand
from anejax.ops.index import dynamic_slice, dynamic_update_slice
from anejax.ops.misc import copy
from anejax.ops.shape import broadcast_in_dim, concatenate, expand_dims, reshape, slice_in_dim
from anejax.passes.inline import inline
from anejax.passes.legalize.rules import refuse, rule, target
from anejax.transforms.control.while_loop import while_loop
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.parts import parts
from anejax.transforms.stage import stage

UNROLLED = 400  # equations of all turns: as many as Core ML compiles in a moment, and units other than the CPU can run


@rule("scan", targets=("coreml",))
def _scan_or_loop(*args: Any, body: Graph, length: int, **params: Any) -> list[Any]:
    turns = _unrolled if length * len(inline(body, "coreml").eqns) <= UNROLLED else _loop
    return turns(*args, body=body, length=length, **params)


def _loop(*args: Any, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool) -> list[Any]:
    """A while loop over a counter, the carry, and the stacked ys, which are written row by row."""
    consts, carry, xs = parts(args, num_consts, num_carry)
    ys = [broadcast_in_dim(np.zeros((), a.dtype), (length, *a.shape), ()) for a in body.out_avals[num_carry:]]

    def turn(*values: Any) -> list[Any]:
        count, state, rows = values[0], values[1 : 1 + num_carry], values[1 + num_carry :]
        at = sub(np.int32(length - 1), count) if reverse else count
        slices = [_row(x, at) for x in xs]
        outs = eval_graph(body, [*consts, *state, *slices])
        new = [dynamic_update_slice(y, expand_dims(o, (0,)), _start(y, at)) for y, o in zip(rows, outs[num_carry:])]
        return [add(count, np.int32(1)), *outs[:num_carry], *new]

    first = [copy(np.int32(0)), *carry, *ys]
    avals = [aval_of(v).strong() for v in first]
    loop_body, body_consts = stage(turn, avals)
    test, test_consts = stage(lambda count, *rest: [lt(count, np.int32(length))], avals)
    return while_loop(test, loop_body, test_consts, body_consts, first)[1:]


def _start(x: Any, at: Any) -> list[Any]:
    return [at, *[np.int32(0)] * (aval_of(x).ndim - 1)]


def _row(x: Any, at: Any) -> Any:
    shape = aval_of(x).shape
    return reshape(dynamic_slice(x, _start(x, at), (1, *shape[1:])), shape[1:])


@rule("scan", targets=("ane",))
def _unrolled(*args: Any, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool) -> list[Any]:
    """Turn after turn; ys are stacked at the end."""
    consts, carry, xs = parts(args, num_consts, num_carry)
    body = inline(body, target())
    rows: list[list[Any]] = [[] for _ in body.outputs[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        slices = [reshape(slice_in_dim(x, i, i + 1), aval_of(x).shape[1:]) for x in xs]
        outs = eval_graph(body, [*consts, *carry, *slices])
        carry = outs[:num_carry]
        for row, y in zip(rows, outs[num_carry:]):
            row.append(expand_dims(y, (0,)))
    return [*carry, *(concatenate(row[::-1] if reverse else row, 0) for row in rows)]


@rule("cond", targets=("ane",))
def _cond(index: Any, *operands: Any, branches: Sequence[Graph]) -> list[Any]:
    """All branches, and the results of the chosen one; those before the first and past the last are clamped."""
    outs = [eval_graph(inline(b), operands) for b in branches]
    return [_chosen(index, cases) for cases in zip(*outs)]


def _chosen(index: Any, cases: Sequence[Any]) -> Any:
    from_last = cases[-1]
    for i, case in reversed(list(enumerate(cases[:-1]))):
        here = eq(index, np.int32(i))
        from_last = select_n(expand(here, aval_of(case).shape), from_last, case)
    return from_last


refuse("its number of turns is not known before it runs, and the engine's programs do not jump", "while",
       targets=("ane",))  # fmt: skip
