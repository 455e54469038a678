"""Strands of elementwise operations and others by turns, woven into each other.

Groups of elementwise operations that a planner fuses depend on one another in both directions here, by way of the
operations between them; drawn one by one, operations hardly ever do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from anejax.core.aval import Aval
from anejax.ops.index import GatherDimensionNumbers
from tests.fuzz import bounds as b
from tests.fuzz.bounds import Bounds, is_float
from tests.fuzz.program import BOOL, INT32, Body, Value


def weave(body: Body) -> None:
    x = body.find_ranked(1, lambda v: v.dtype != BOOL and v.aval.size > 0)
    made = [x, body.of_aval(x.aval)]
    strands = [_strand(body, body.rng.choice(made[:2])) for _ in range(body.rng.choice((2, 2, 3)))]
    made = [v for strand in strands for v in strand]
    body.rng.shuffle(made)
    total = None
    while len(made) > 1:
        product = _combined(body, made.pop(), made.pop())
        total = product if total is None else _combined(body, total, product)


def _strand(body: Body, x: Value) -> list[Value]:
    """A value, and another operation's result of it; sometimes a third of that."""
    made = [_near(body, x)]
    made.append(body.rng.choice(OTHERS)(body, made[0]))
    if body.rng.random() < 0.3:
        made.append(_near(body, made[1]))
    return made


def _near(body: Body, x: Value) -> Value:
    """An elementwise function of ``x`` whose magnitude is small."""
    if not is_float(x.dtype):
        return body.emit("add", [x, body.any_literal(x.dtype)], b.every(x.dtype))
    if x.bounds.exact and x.bounds.step:
        return body.fit(body.emit("neg", [x], Bounds(-x.bounds.high, -x.bounds.low, x.bounds.step), 0), -2, 2)
    name = body.rng.choice(("tanh", "sin", "logistic"))
    x = body.fit(x, -16, 16)
    return body.emit(name, [x], Bounds(-1, 1, 0, x.bounds.error), 8)


def _combined(body: Body, x: Value, y: Value) -> Value:
    name = body.rng.choice(("add", "mul", "sub", "max"))
    found = {"add": b.add, "mul": b.mul, "sub": b.sub, "max": b.greater}[name](x.bounds, y.bounds)
    return body.emit(name, [x, y], found, name != "max")


def _summed(body: Body, x: Value) -> Value:
    axis = body.rng.randrange(len(x.shape))
    total = b.summed(x.dtype, x.bounds, x.shape[axis])
    found = dataclasses.replace(b.either(total, x.bounds), error=total.error, step=total.step)
    return body.emit("cumsum", [x], found, axis=axis, reverse=body.rng.random() < 0.5)


def _times_matrix(body: Body, x: Value) -> Value:
    n = x.shape[0]
    matrix = body.of_aval(Aval((n, n), x.dtype))
    found = b.summed(x.dtype, b.mul(x.bounds, matrix.bounds), n)
    numbers = (((1,), (0,)), ((), ()))
    return body.emit("dot_general", [matrix, x], found, dimension_numbers=numbers, preferred_element_type=None)


def _sorted(body: Body, x: Value) -> Value:
    if not x.bounds.exact:
        return _rolled(body, x)
    return body.emit_all("sort", [x], [x.bounds], 0, dimension=0, num_keys=1)[0]


def _rolled(body: Body, x: Value) -> Value:
    n, rest = x.shape[0], x.shape[1:]
    at = body.rng.randint(0, n)
    ends = [((at, n), (0, at)), ((0, at), (at, n))][body.rng.random() < 0.5]
    parts = [body.emit("slice", [x], x.bounds, 0, start_indices=(a, *[0] * len(rest)), limit_indices=(z, *rest),
                       strides=(1,) * len(x.shape)) for a, z in ends]  # fmt: skip
    return body.emit("concatenate", parts, x.bounds, 0, dimension=0)


def _taken(body: Body, x: Value) -> Value:
    indices = body.of_aval(Aval((x.shape[0], 1), INT32))
    offset = tuple(range(1, len(x.shape)))
    return body.emit("gather", [x, indices], x.bounds, 0, dimension_numbers=GatherDimensionNumbers(offset, (0,), (0,)),
                     slice_sizes=(1, *x.shape[1:]), mode="clip", fill_value=None, unique_indices=False)  # fmt: skip


OTHERS: tuple[Callable[[Body, Value], Value], ...] = (_summed, _times_matrix, _sorted, _rolled, _taken)
OPERATIONS = (weave,)
