"""Rules for loops and branches: neither target's programs jump, so loops are unrolled and all branches computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.core.graph import Graph
from anejax.core.trace import aval_of
from anejax.ops.arithmetic import eq, select_n
from anejax.ops.families import expand
from anejax.ops.shape import concatenate, expand_dims, reshape, slice_in_dim
from anejax.passes.inline import inline
from anejax.passes.legalize.rules import refuse, rule
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.parts import parts


@rule("scan")
def _scan(*args: Any, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool) -> list[Any]:
    """Turn after turn; ys are stacked at the end."""
    consts, carry, xs = parts(args, num_consts, num_carry)
    body = inline(body)
    rows: list[list[Any]] = [[] for _ in body.outputs[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        slices = [reshape(slice_in_dim(x, i, i + 1), aval_of(x).shape[1:]) for x in xs]
        outs = eval_graph(body, [*consts, *carry, *slices])
        carry = outs[:num_carry]
        for row, y in zip(rows, outs[num_carry:]):
            row.append(expand_dims(y, (0,)))
    return [*carry, *(concatenate(row[::-1] if reverse else row, 0) for row in rows)]


@rule("cond")
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


refuse("its number of turns is not known before it runs, and neither target's programs jump", "while")
