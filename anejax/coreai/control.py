"""Translates loops and branches to regions, in which the values around them are visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from anejax.coreai.operands import Operation, writes
from anejax.coreai.program import run
from anejax.coreai.text import Tensor
from anejax.coreai.words import Writer
from anejax.mil.program import NUMPY_DTYPES

Body = Callable[[Writer, list[Tensor]], Sequence[Tensor]]


def _loop(w: Writer, first: Sequence[Tensor], test: Body, body: Body) -> list[Tensor]:
    """A while loop; ``test`` returns whether to go on. The values that the body passes on are copied: Core AI
    overwrites carries in place, which spoils swapped ones and results of inner loops and branches (hazard 18)."""

    def condition(block: Writer, values: list[Tensor]) -> list[Tensor]:
        return [*test(block, values), *values]

    def copies(block: Writer, values: list[Tensor]) -> list[Tensor]:
        return list(map(block.copied, body(block, values)))

    out = [Tensor(w.text.new(), v.shape, v.dtype) for v in first]
    w.regions("while", first, [w.region(condition, first, "condition"), w.region(copies, first, "yield")], out)
    return out


@writes("aj_while")
def _while(w: Writer, op: Operation) -> list[Tensor]:
    (cond,), (body,) = op.callees("cond"), op.callees("body")
    cond_consts, body_consts = op.tensors("cond_consts"), op.tensors("body_consts")
    return _loop(
        w, op.tensors("carry"),
        lambda block, values: run(block, cond, [*cond_consts, *values], op.functions),
        lambda block, values: run(block, body, [*body_consts, *values], op.functions),
    )  # fmt: skip


@writes("aj_scan")
def _scan(w: Writer, op: Operation) -> list[Tensor]:
    """A while loop over a counter, the carry, and the stacked outputs, which are written row by row."""
    (body,) = op.callees("body")
    consts, carry, xs = (op.tensors(n) for n in ("consts", "carry", "xs"))
    length, kept = op.const("length"), len(op.tensors("carry"))
    stacked = [w.broadcast(w.constant(np.zeros((), NUMPY_DTYPES[o.type.dtype])), (length, *o.type.shape))
               for o in body.outputs[kept:]]  # fmt: skip
    if length == 0:
        return [*carry, *stacked]

    def turn(block: Writer, values: list[Tensor]) -> list[Tensor]:
        count, state, rows = values[0], values[1 : 1 + kept], values[1 + kept :]
        at = block.sub(block.index(length - 1), count) if op.const("reverse") else count
        slices = [_row(block, x, at) for x in xs]
        outs = run(block, body, [*consts, *state, *slices], op.functions)
        new = [_with_row(block, row, at, o) for row, o in zip(rows, outs[kept:])]
        return [block.add(count, block.index(1)), *outs[:kept], *new]

    first = [w.index(0), *carry, *stacked]
    return _loop(w, first, lambda block, values: [block.greater(block.index(length), values[0])], turn)[1:]


def _bounds(w: Writer, x: Tensor, at: Tensor) -> list[Tensor]:
    rest = [w.index([0] * (x.rank - 1))] if x.rank > 1 else []
    begin = w.concat([w.reshape(at, (1,)), *rest], 0)
    return [begin, w.add(begin, w.index([1, *x.shape[1:]])), w.index([1] * x.rank)]


def _row(w: Writer, x: Tensor, at: Tensor) -> Tensor:
    row = w.op("slice", x, *_bounds(w, x, at), out=((1, *x.shape[1:]), x.dtype))
    return w.reshape(row, x.shape[1:])


def _with_row(w: Writer, x: Tensor, at: Tensor, row: Tensor) -> Tensor:
    if 0 in x.shape:
        return x
    return w.op("slice_update", x, *_bounds(w, x, at), w.reshape(row, (1, *row.shape)), out=(x.shape, x.dtype))


@writes("aj_cond")
def _cond(w: Writer, op: Operation) -> list[Tensor]:
    """Nested ifs. A value that a branch only returns is not lowered, so the first branch selects between it and itself
    (hazard 17)."""
    branches, operands = op.callees("branches"), op.tensors("operands")
    index = op.tensor("index")

    def choose(block: Writer, k: int) -> list[Tensor]:
        if k == len(branches) - 1:
            return run(block, branches[k], operands, op.functions)
        here = block.greater(block.index(k + 1), index)
        chosen: Body = lambda b, _: [  # noqa: E731
            b.where(here, o, o) for o in run(b, branches[k], operands, op.functions)
        ]
        other: Body = lambda b, _: choose(b, k + 1)  # noqa: E731
        out = [Tensor(block.text.new(), o.type.shape, NUMPY_DTYPES[o.type.dtype]) for o in branches[k].outputs]
        block.regions("if", [here], [block.region(chosen, [], "yield"), block.region(other, [], "yield")], out)
        return out

    return choose(w, 0)
