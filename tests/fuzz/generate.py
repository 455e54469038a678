"""Random valid programs: a Graph, its arguments, which of them are donated, and the bounds of its results."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from anejax.core.aval import Aval
from anejax.core.graph import Atom, Graph, Literal
from tests.fuzz import contraction, control, elementwise, movement, weaving
from tests.fuzz.bounds import Bounds, UnfitError
from tests.fuzz.program import DTYPES, FLOAT32, INT32, SIZES, Body, Scope, Value, data_of

OPERATIONS = (
    *elementwise.OPERATIONS, *movement.OPERATIONS, *contraction.OPERATIONS, *control.OPERATIONS, *weaving.OPERATIONS,
)  # fmt: skip
KEEP_SHAPES = (
    contraction.cumulative, contraction.cumulative, contraction.sort, contraction.dot, contraction.dot,
    contraction.fourier, movement.scatter, movement.dynamic_update_slice, movement.rev, movement.transpose,
    control.scan, control.while_, control.cond, movement.barrier, weaving.weave, weaving.weave, weaving.weave,
)  # fmt: skip
SMALL, LARGE = 4096, 200_000  # elements of the largest value
LARGE_SHARE, ALIKE_SHARE = 0.01, 0.35  # of programs


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    graph: Graph
    args: tuple[np.ndarray, ...]
    donated: tuple[bool, ...]
    bounds: dict[Atom, Bounds]  # of every value of the Graph

    def replace(self, **changes: object) -> Program:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def generate(seed: int) -> Program:
    """The program of a seed."""
    rng = random.Random(seed)
    body = Body(_scope(rng))
    for _ in range(rng.randint(1, 4)):
        body.of_aval(_aval(body))
    body.grow(rng.choice((2, 3, 4, 6, 8, 12, 16, 24)))
    outputs = _outputs(body)
    data = np.random.default_rng(seed)
    args = tuple(data_of(data, v.aval, v.bounds) for v in body.inputs)
    share = rng.choice((0, 0.3, 0.8))
    donated = tuple(rng.random() < share for _ in args)
    return Program(body.graph(outputs), args, donated, {v.atom: v.bounds for v in (*body.values, *outputs)})


def _scope(rng: random.Random) -> Scope:
    return _alike(rng) if rng.random() < ALIKE_SHARE else _mixed(rng)


def _mixed(rng: random.Random) -> Scope:
    """Few sizes, dtypes and kinds of operations in each program, so that values fit together and kinds meet."""
    kinds = tuple(rng.sample(OPERATIONS, rng.choice((4, 6, 10, 20))))
    weights = tuple(rng.choice((1.0, 1.0, 3.0)) for _ in kinds)
    sizes = tuple(rng.choice(SIZES) for _ in range(rng.choice((1, 2, 2, 3))))
    dtypes = tuple(rng.choice(DTYPES) for _ in range(rng.choice((1, 1, 2, 3))))
    if rng.random() < 0.6:
        dtypes = (FLOAT32, *dtypes)
    large = rng.random() < LARGE_SHARE
    if large:
        sizes = (*sizes, rng.choice((257, 300, 1021)))
    ranks = (0, 1, 1, 1, 2, 2, 2, 3)
    return Scope(rng, sizes, dtypes, kinds, weights, ranks, LARGE if large else SMALL, rng.choice((1, 2, 2, 3)))


def _alike(rng: random.Random) -> Scope:
    """Values of one shape, which elementwise operations fuse, between few operations that stay by themselves."""
    others = rng.sample(KEEP_SHAPES, rng.choice((1, 2, 3)))
    kinds = (elementwise.binary, elementwise.smooth, elementwise.unary, *others)
    weights = (4.0, 2.0, 1.0, *(5.0 / len(others) for _ in others))
    dtypes = (rng.choice((FLOAT32, FLOAT32, *DTYPES)),)
    return Scope(rng, (rng.choice(SIZES[2:11]),), dtypes, kinds, weights, (rng.choice((1, 2, 2)),), SMALL, 1)


def _aval(body: Body) -> Aval:
    return Aval(body.scope.shape(), body.rng.choice((*body.scope.dtypes, *body.scope.dtypes, INT32)))


def _outputs(body: Body) -> list[Value]:
    """The last value, some others, and now and then one twice, an input, or a constant."""
    made = [v for v in body.values if not isinstance(v.atom, Literal)]
    outputs = [made[-1]]
    for _ in range(body.rng.choice((0, 0, 1, 2, 4))):
        try:
            outputs.append(body.find())
        except UnfitError:
            continue
    if body.rng.random() < 0.15:
        outputs.append(body.rng.choice(outputs))
    if body.rng.random() < 0.15:
        outputs.append(body.rng.choice(body.inputs))
    if body.rng.random() < 0.05:
        outputs.append(body.any_literal(FLOAT32))
    body.rng.shuffle(outputs)
    return outputs
