"""Operations of random programs that move elements: shapes, slices, gathers and scatters."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from anejax.core.aval import Aval
from anejax.ops.index import GatherDimensionNumbers, ScatterDimensionNumbers
from tests.fuzz import bounds as b
from tests.fuzz.bounds import Bounds, UnfitError, every, is_float
from tests.fuzz.program import BOOL, FLOAT32, INT32, Body, Value

Dims = tuple[int, ...]
INDEX_DTYPES = (INT32, INT32, INT32, *map(np.dtype, (np.int64, np.uint8, np.int8)))


def reshape(body: Body) -> None:
    x = body.find()
    size = math.prod(x.shape)
    shapes: list[Dims] = [(size,), (*x.shape, 1), (1, *x.shape), tuple(n for n in x.shape if n != 1)]
    shapes += [(n, size // n) for n in body.scope.sizes if n and size % n == 0]
    if len(x.shape) > 1:
        shapes.append((x.shape[0] * x.shape[1], *x.shape[2:]))
    body.emit("reshape", [x], x.bounds, 0, new_sizes=body.rng.choice(shapes))


def transpose(body: Body) -> None:
    x = body.find_ranked(2)
    permutation = list(range(len(x.shape)))
    body.rng.shuffle(permutation)
    body.emit("transpose", [x], x.bounds, 0, permutation=tuple(permutation))


def broadcast(body: Body) -> None:
    x = body.find()
    shape = list(x.shape)
    dims: list[int] = list(range(len(shape)))
    for _ in range(body.rng.choice((0, 1, 1, 2))):
        at = body.rng.randrange(len(shape) + 1)
        shape.insert(at, body.rng.choice(body.scope.sizes))
        dims = [d + (d >= at) for d in dims]
    stretched = [d for d, n in zip(dims, x.shape) if n == 1]
    for d in stretched:
        shape[d] = body.rng.choice((1, *body.scope.sizes))
    body.broadcast(x, tuple(shape), tuple(dims))


def slice_(body: Body) -> None:
    x = body.find_ranked()
    start, limit, strides = [], [], []
    for n in x.shape:
        whole = body.rng.random() < 0.4
        a = 0 if whole else body.rng.randint(0, n)
        start.append(a)
        limit.append(n if whole else body.rng.randint(a, n))
        strides.append(body.rng.choice((1, 1, 1, 2, 3)))
    body.emit("slice", [x], x.bounds, 0, start_indices=tuple(start), limit_indices=tuple(limit),
              strides=tuple(strides))  # fmt: skip


def concatenate(body: Body) -> None:
    x = body.find_ranked()
    axis = body.rng.randrange(len(x.shape))
    rest = lambda v: (v.dtype, v.shape[:axis], v.shape[axis + 1 :])  # noqa: E731
    fits = lambda v: len(v.shape) == len(x.shape) and rest(v) == rest(x)  # noqa: E731
    parts = [x] + [body.find(fits, 16) for _ in range(body.rng.choice((1, 1, 2)))]
    body.rng.shuffle(parts)
    body.emit("concatenate", parts, b.either(*(p.bounds for p in parts)), 0, dimension=axis)


def pad(body: Body) -> None:
    x = body.find_ranked()
    config = []
    for n in x.shape:
        interior = body.rng.choice((0, 0, 0, 1, 2))
        whole = n + max(n - 1, 0) * interior
        low = body.rng.randint(-min(whole, 2), 3)
        config.append((low, max(body.rng.randint(-2, 3), -(whole + low)), interior))
    fill = body.any_literal(x.dtype)
    body.emit("pad", [x, fill], b.either(x.bounds, fill.bounds), 0, padding_config=tuple(config))


def rev(body: Body) -> None:
    x = body.find_ranked()
    count = body.rng.randint(1, len(x.shape))
    body.emit("rev", [x], x.bounds, 0, dimensions=tuple(sorted(body.rng.sample(range(len(x.shape)), count))))


def iota(body: Body) -> Value:
    shape = body.scope.shape() or (3,)
    dtype = body.rng.choice([d for d in body.scope.dtypes if d != BOOL] or [FLOAT32])
    axis = body.rng.randrange(len(shape))
    last = max(shape[axis] - 1, 0)
    if last > every(np.dtype(np.int8)).high and dtype.itemsize == 1:
        raise UnfitError
    return body.emit("iota", [], Bounds(0, last, 1), dtype=dtype, shape=shape, dimension=axis)


def barrier(body: Body) -> None:
    operands = [body.find() for _ in range(body.rng.choice((1, 2)))]
    body.emit_all("optimization_barrier", operands, [o.bounds for o in operands], 0)


# --- places that are known at run time --------------------------------------------------------------------------------


def _starts(body: Body, rank: int) -> list[Value]:
    return [_number(body) for _ in range(rank)]


def _number(body: Body) -> Value:
    """An integer of rank 0."""
    if body.rng.random() < 0.3:
        return body.any_literal(INT32)
    return body.of_aval(Aval((), body.rng.choice(INDEX_DTYPES)))


def dynamic_slice(body: Body) -> None:
    x = body.find()
    sizes = tuple(body.rng.randint(min(n, 1), n) for n in x.shape)
    body.emit("dynamic_slice", [x, *_starts(body, len(sizes))], x.bounds, 0, slice_sizes=sizes)


def dynamic_update_slice(body: Body) -> None:
    x = body.find()
    fits = lambda v: v.dtype == x.dtype and len(v.shape) == len(x.shape)  # noqa: E731
    update = body.find(lambda v: fits(v) and all(a <= n for a, n in zip(v.shape, x.shape)), 16)
    body.emit("dynamic_update_slice", [x, update, *_starts(body, len(x.shape))], b.either(x.bounds, update.bounds), 0)


@dataclasses.dataclass(frozen=True)
class Windows:
    """How a gather reads and a scatter writes an operand: the dimension numbers, in their order, and the sizes."""

    numbers: tuple[Dims, Dims, Dims, Dims, Dims]
    sizes: Dims
    indices: Dims  # the shape of the indices
    result: Dims


def _rows(body: Body, shape: Dims) -> Windows:
    """Slices along one axis, that axis left out."""
    axis, count = body.rng.randrange(len(shape)), body.rng.choice(body.scope.sizes)
    offset = tuple(a for a in range(len(shape)) if a != axis)
    sizes = tuple(1 if a == axis else n for a, n in enumerate(shape))
    return Windows((offset, (axis,), (axis,), (), ()), sizes, (count, 1), (*shape[:axis], count, *shape[axis + 1 :]))


def _elements(body: Body, shape: Dims) -> Windows:
    """Single elements, each found by all its coordinates."""
    every_axis, count = tuple(range(len(shape))), body.rng.choice(body.scope.sizes)
    return Windows(((), every_axis, every_axis, (), ()), (1,) * len(shape), (count, len(shape)), (count,))


def _blocks(body: Body, shape: Dims) -> Windows:
    """Windows whose axes all stay."""
    axis, count = body.rng.randrange(len(shape)), body.rng.choice(body.scope.sizes)
    sizes = tuple(body.rng.randint(min(n, 1), n) if a == axis else n for a, n in enumerate(shape))
    offset = tuple(range(1, len(shape) + 1))
    return Windows((offset, (), (axis,), (), ()), sizes, (count, 1), (count, *sizes))


def _along(body: Body, shape: Dims) -> Windows:
    """Elements along the last axis, row by row."""
    last, count = len(shape) - 1, body.rng.choice(body.scope.sizes)
    batch = tuple(range(last))
    result = (*shape[:-1], count)
    return Windows(((), (last,), (last,), batch, batch), (1,) * len(shape), (*result, 1), result)


def _windows(body: Body, shape: Dims) -> Windows:
    found = body.rng.choice((_rows, _rows, _elements, _blocks, _along))(body, shape)
    if any(s > n for s, n in zip(found.sizes, shape)):
        raise UnfitError  # an element of nothing
    return found


def _indices(body: Body, shape: Dims) -> Value:
    """Integers of this shape: some that there are, reshaped, or new ones."""
    dtype = body.rng.choice(INDEX_DTYPES)
    if body.rng.random() < 0.3:
        size = math.prod(shape)
        x = body.find(lambda v: not is_float(v.dtype) and v.dtype != BOOL and math.prod(v.shape) == size)
        return x if x.shape == shape else body.emit("reshape", [x], x.bounds, 0, new_sizes=shape)
    if body.depth and shape[-1] == 1 and math.prod(shape) <= 100:
        return body.emit("iota", [], Bounds(0, math.prod(shape), 1), dtype=dtype, shape=shape, dimension=0)
    return body.of_aval(Aval(shape, dtype))


def _mode(body: Body, windows: Windows, shape: Dims, indices: Value) -> str:
    """Indices are promised to be in bounds where they are known to be."""
    last = min((shape[d] - windows.sizes[d] for d in windows.numbers[2]), default=0)
    if indices.bounds.within(0, last) and body.rng.random() < 0.5:
        return "promise_in_bounds"
    return body.rng.choice(("clip", "fill"))


def gather(body: Body) -> None:
    x = body.find_ranked()
    windows = _windows(body, x.shape)
    indices = _indices(body, windows.indices)
    mode = _mode(body, windows, x.shape, indices)
    found = x.bounds if mode != "fill" else b.either(x.bounds, Bounds(0, 3, 1))
    body.emit("gather", [x, indices], found, 0, dimension_numbers=GatherDimensionNumbers(*windows.numbers),
              slice_sizes=windows.sizes, mode=mode, fill_value=1, unique_indices=False)  # fmt: skip


def scatter(body: Body) -> None:
    x = body.find_ranked()
    windows = _windows(body, x.shape)
    indices = _indices(body, windows.indices)
    updates = body.of_aval(Aval(windows.result, x.dtype))
    name = body.rng.choice(("scatter", "scatter_add", "scatter_min", "scatter_max", "scatter_mul"))
    if x.dtype == BOOL and name in ("scatter_add", "scatter_mul"):
        raise UnfitError
    found, roundings = b.either(x.bounds, updates.bounds), 0
    if name == "scatter_add":
        count = math.prod(windows.indices[:-1]) * math.prod(windows.sizes)
        found, roundings = b.add(x.bounds, b.summed(x.dtype, updates.bounds, max(count, 1))), 1
        found = dataclasses.replace(b.either(found, x.bounds), error=found.error)
    elif name == "scatter_mul":
        if is_float(x.dtype) and math.prod(windows.indices[:-1]) > 1:
            raise UnfitError
        found, roundings = b.either(b.mul(x.bounds, updates.bounds), x.bounds), 1
    numbers = ScatterDimensionNumbers(*windows.numbers)
    mode = _mode(body, windows, x.shape, indices)
    body.emit(name, [x, indices, updates], found, roundings, dimension_numbers=numbers, mode=mode,
              unique_indices=False)  # fmt: skip


OPERATIONS = (
    reshape, transpose, broadcast, slice_, concatenate, pad, rev, iota, barrier, dynamic_slice, dynamic_update_slice,
    gather, scatter,
)  # fmt: skip
