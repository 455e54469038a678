"""Loops and branches of random programs, and calls of Graphs, all of which may be inside one another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from anejax.core.aval import Aval
from tests.fuzz import bounds as b
from tests.fuzz.bounds import TRUTH, Bounds, UnfitError, epsilon, every, is_float
from tests.fuzz.program import BOOL, INT32, Body, Value

TURNS = (0, 1, 1, 2, 3, 5)


def _inside(body: Body) -> Body:
    if body.depth >= body.scope.deepest:
        raise UnfitError
    return Body(body.scope, body.depth + 1)


def _some(body: Body, most: int) -> list[Value]:
    return [body.find() for _ in range(body.rng.randint(0, most))]


def _size(body: Body) -> int:
    return body.rng.choice((1, 2, 2, 3, 4, 6))


# --- what a loop carries ----------------------------------------------------------------------------------------------


def _carried(x: Value) -> Bounds:
    """Bounds that hold in every turn: a range that the body's result is clamped to, or scaled into."""
    if not is_float(x.dtype):
        return every(x.dtype)
    size = 2.0 ** math.ceil(math.log2(max(x.bounds.size, 2.0)))
    greatest = b.FLOATS[x.dtype][1]
    if size > greatest / 4:
        raise UnfitError
    grid = min(x.bounds.step, 0.25)
    if x.bounds.exact and grid and size <= grid * 2 ** (b.digits(x.dtype) - 1):
        return Bounds(-size, size, grid)
    error = max(2 * x.bounds.error, 64 * epsilon(x.dtype) * size)
    if error > b.FLOATS[x.dtype][2]:
        raise UnfitError
    return Bounds(-size, size, 0, error)


def _next(body: Body, carry: Value) -> Value:
    """A value of the body that has the carry's type, made to keep the carry's bounds."""
    for _ in range(4):
        try:
            x = body.find(lambda v: v.aval == carry.aval and v is not carry, 12)
            return _kept(body, x, carry.bounds)
        except UnfitError:
            pass
    return carry


def _kept(body: Body, x: Value, wanted: Bounds) -> Value:
    if not is_float(x.dtype):
        return x
    if wanted.exact:
        if not x.bounds.exact or x.bounds.step < wanted.step:
            raise UnfitError
        return body.fit(x, wanted.low, wanted.high)
    for factor in (1.0, 0.5, 0.125, 2.0**-6):
        scaled = x
        if factor < 1:
            half = body.literal(x.dtype, factor)
            scaled = body.emit("mul", [x, half], b.mul(x.bounds, Bounds(factor, factor)))
        if scaled.bounds.error <= wanted.error:
            return body.fit(scaled, wanted.low, wanted.high)
    raise UnfitError


# --- loops ------------------------------------------------------------------------------------------------------------


def scan(body: Body) -> None:
    inner = _inside(body)
    xs = _some(body, 0)
    length = body.rng.choice(TURNS)
    if body.rng.random() < 0.7:
        first = body.find(lambda v: len(v.shape) > 0 and v.shape[0] <= 17)
        length, xs = first.shape[0], [first]
        while len(xs) < 3 and body.rng.random() < 0.4:
            xs.append(body.find(lambda v: v.shape[:1] == (length,)))
    consts, carry = _some(body, 3), _some(body, 3)
    for v in consts:
        inner.input(v.aval, v.bounds)
    carried = [inner.input(v.aval, _carried(v)) for v in carry]
    for v in xs:
        inner.input(Aval(v.shape[1:], v.dtype), v.bounds)
    inner.grow(_size(body))
    ys = [inner.find() for _ in range(body.rng.randint(0 if carry else 1, 2))] if inner.values else []
    last = [_next(inner, c) for c in carried]
    if not last and not ys:
        raise UnfitError
    graph = inner.graph([*last, *ys])
    found = [*(c.bounds for c in carried), *(y.bounds for y in ys)]
    if not length:
        found = [*(c.bounds for c in carry), *(y.bounds for y in ys)]
    body.emit_all("scan", [*consts, *carry, *xs], found, 0, body=graph, num_consts=len(consts), num_carry=len(carry),
                  length=length, reverse=body.rng.random() < 0.3)  # fmt: skip


def while_(body: Body) -> None:
    """Counts up to a constant or to a clamped value of the program; a second condition may end it."""
    inner, asked = _inside(body), Body(body.scope, body.depth + 1)
    carry, consts, limits = _some(body, 3), _some(body, 2), _some(body, 1)
    start = body.literal(INT32, 0)
    wanted = [Bounds(0, 8, 1), *map(_carried, carry)]

    for v in limits:
        asked.input(v.aval, v.bounds)
    counter = asked.input(Aval((), INT32), wanted[0])
    for v, at in zip(carry, wanted[1:]):
        asked.input(v.aval, at)
    asked.grow(body.rng.choice((0, 0, 1, 2)))
    goes_on = asked.emit("lt", [counter, _limit(asked)], TRUTH)
    if body.rng.random() < 0.4:
        try:
            also = asked.find(lambda v: v.dtype == BOOL and not v.shape and v is not goes_on)
            goes_on = asked.emit("and", [goes_on, also], TRUTH)
        except UnfitError:
            pass

    for v in consts:
        inner.input(v.aval, v.bounds)
    counter = inner.input(Aval((), INT32), wanted[0])
    carried = [inner.input(v.aval, at) for v, at in zip(carry, wanted[1:])]
    inner.grow(_size(body))
    count = inner.emit("add", [counter, inner.literal(INT32, 1)], Bounds(1, 9, 1))
    outputs = [count, *(_next(inner, c) for c in carried)]
    body.emit_all("while", [*limits, *consts, start, *carry], wanted, 0, cond=asked.graph([goes_on]),
                  body=inner.graph(outputs), num_cond_consts=len(limits), num_body_consts=len(consts))  # fmt: skip


def _limit(asked: Body) -> Value:
    try:
        found = asked.find(lambda v: v.aval == Aval((), INT32) and v is not asked.inputs[0])
    except UnfitError:
        return asked.literal(INT32, asked.rng.choice(TURNS))
    return asked.fit(found, 0, asked.rng.choice((1, 2, 4)))


# --- branches ---------------------------------------------------------------------------------------------------------


def cond(body: Body) -> None:
    index = body.find(lambda v: v.dtype in (BOOL, INT32) and not v.shape, 12)
    if index.dtype == BOOL:
        index = body.emit("convert_element_type", [index], TRUTH, dtype=INT32, weak_type=False)
    operands = _some(body, 4)
    branches = []
    for _ in range(body.rng.choice((1, 2, 2, 2, 3))):
        branch = _inside(body)
        for v in operands:
            branch.input(v.aval, v.bounds)
        branch.grow(body.rng.choice((0, 1, 2, 3)))
        branches.append(branch)
    results = _results(branches)
    found = [b.either(*(o.bounds for o in outs)) for outs in zip(*results)]
    graphs = tuple(branch.graph(outs) for branch, outs in zip(branches, results))
    body.emit_all("cond", [index, *operands], found, 0, branches=graphs)


def _results(branches: Sequence[Body]) -> list[list[Value]]:
    """Results of the same types from every branch."""
    first = branches[0]
    count = first.rng.randint(1, 3)
    results = [[first.find() if first.values else _constant(first) for _ in range(count)]]
    for branch in branches[1:]:
        results.append([branch.of_aval(v.aval) for v in results[0]])
    return results


def _constant(branch: Body) -> Value:
    return branch.any_literal(branch.rng.choice(branch.scope.dtypes))


# --- calls ------------------------------------------------------------------------------------------------------------


def call(body: Body) -> None:
    """A jitted or checkpointed function, which the passes inline."""
    inner = _inside(body)
    operands = _some(body, 3)
    for v in operands:
        inner.input(v.aval, v.bounds)
    inner.grow(_size(body))
    if not inner.values:
        raise UnfitError
    outputs = [inner.find() for _ in range(body.rng.randint(1, 2))]
    name, params = body.rng.choice(CALLS)
    body.emit_all(name, operands, [o.bounds for o in outputs], 0, graph=inner.graph(outputs), **params)


CALLS = (
    ("jit", {"name": "f", "donated": ()}),
    ("checkpoint", {"name": "f", "prevent_cse": True, "policy": None}),
)
OPERATIONS = (scan, scan, while_, cond, cond, call)
