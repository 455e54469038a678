"""Operations of random programs that combine elements: reductions, cumulative ones, sorts, products, windows, FFT."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from anejax.core.aval import Aval
from anejax.ops.conv import ConvDimensionNumbers
from anejax.ops.fft import FftType
from tests.fuzz import bounds as b
from tests.fuzz.bounds import Bounds, UnfitError, every, is_float
from tests.fuzz.elementwise import ULPS
from tests.fuzz.program import BOOL, FLOAT32, INT32, Body, Value

UINT32 = np.dtype(np.uint32)
WIDE = (FLOAT32, np.dtype(np.float64))


def reduce(body: Body) -> None:
    x = body.find()
    rank = len(x.shape)
    axes = tuple(sorted(body.rng.sample(range(rank), body.rng.randint(min(rank, 1), rank))))
    count = math.prod(x.shape[a] for a in axes)
    if x.dtype == BOOL:
        body.emit(f"reduce_{body.rng.choice(('and', 'or', 'xor', 'max', 'min'))}", [x], x.bounds, axes=axes)
        return
    name = body.rng.choice(("sum", "sum", "max", "min", "prod", *(() if is_float(x.dtype) else ("and", "or", "xor"))))
    if name == "sum":
        body.emit("reduce_sum", [x], b.summed(x.dtype, x.bounds, count), axes=axes)
    elif not is_float(x.dtype):
        body.emit(f"reduce_{name}", [x], every(x.dtype) if name != "max" or not count else x.bounds, axes=axes)
    elif name == "prod":
        body.emit("reduce_prod", [x], _product(x, count), count + 1, axes=axes)
    elif not count:
        raise UnfitError  # an infinity
    else:
        body.emit(f"reduce_{name}", [x], x.bounds, 0, axes=axes)


def _product(x: Value, count: int) -> Bounds:
    """Of any number of elements up to ``count``."""
    if count > 4 and x.bounds.size > 1:
        raise UnfitError
    size = max(x.bounds.size, 1) ** min(count, 4)
    error = count * size * x.bounds.error * 2
    return Bounds(-size, size, x.bounds.step**count if count < 5 and x.bounds.exact else 0, error)


def position(body: Body) -> None:
    x = body.find_ranked(1, lambda v: v.bounds.exact)
    axis = body.rng.randrange(len(x.shape))
    if not x.shape[axis]:
        raise UnfitError
    dtype = body.rng.choice((INT32, INT32, np.dtype(np.int64)))
    body.emit(body.rng.choice(("argmax", "argmin")), [x], Bounds(0, x.shape[axis] - 1, 1), axis=axis, index_dtype=dtype)


def cumulative(body: Body) -> None:
    x = body.find_ranked(1, lambda v: v.dtype != BOOL)
    axis = body.rng.randrange(len(x.shape))
    count, at = x.shape[axis], x.bounds
    names = ("cumsum", "cumsum", "cummax", "cummin", "cumprod", *(("cumlogsumexp",) if is_float(x.dtype) else ()))
    name = body.rng.choice(names)
    found, roundings = at, 0.0
    if name == "cumsum":
        found = b.summed(x.dtype, at, max(count, 1))
        found, roundings = dataclasses.replace(b.either(found, at), error=found.error), 1
    elif name == "cumprod":
        found, roundings = (_product(x, count), count + 1) if is_float(x.dtype) else (every(x.dtype), 1)
    elif name == "cumlogsumexp":
        x = body.fit(x, -8, 8)
        found, roundings = Bounds(-8, 8 + math.log(count + 1), 0, x.bounds.error), ULPS + count
    body.emit(name, [x], found, roundings, axis=axis, reverse=body.rng.random() < 0.4)


def sort(body: Body) -> None:
    x = body.find_ranked(1, lambda v: v.bounds.exact)
    axis = body.rng.randrange(len(x.shape))
    operands = [x]
    if body.rng.random() < 0.5:
        operands.append(body.find(lambda v: v.shape == x.shape, 12))
    keys = len(operands) if body.rng.random() < 0.3 and operands[-1].bounds.exact else 1
    body.emit_all("sort", operands, [o.bounds for o in operands], 0, dimension=axis, num_keys=keys)


# --- products ---------------------------------------------------------------------------------------------------------


def dot(body: Body) -> None:
    x = body.find_ranked(1, lambda v: v.dtype != BOOL)
    xc = body.rng.randrange(len(x.shape))
    fits = lambda v: v.dtype == x.dtype and x.shape[xc] in v.shape  # noqa: E731
    if body.rng.random() < 0.7:
        y = body.find(fits, 12)
    else:
        free = [body.rng.choice(body.scope.sizes) for _ in range(body.rng.choice((0, 1)))]
        y = body.of_aval(Aval((x.shape[xc], *free), x.dtype))
    yc = body.rng.choice([a for a, n in enumerate(y.shape) if n == x.shape[xc]])
    pairs = [(i, j) for i, n in enumerate(x.shape) for j, m in enumerate(y.shape) if n == m and i != xc and j != yc]
    batch = (body.rng.choice(pairs),) if pairs and body.rng.random() < 0.4 else ()
    numbers = (((xc,), (yc,)), (tuple(i for i, _ in batch), tuple(j for _, j in batch)))
    if math.prod(x.shape) * math.prod(y.shape) > 2**22:
        raise UnfitError
    found = b.summed(x.dtype, b.mul(x.bounds, y.bounds), x.shape[xc])
    body.emit("dot_general", [x, y], found, dimension_numbers=numbers, preferred_element_type=None)


def convolve(body: Body) -> None:
    """One or two spatial axes, batch and features in front or behind, in groups or not."""
    x = body.find_float()
    spatial = body.rng.choice((1, 1, 2))
    batch, features, groups = body.rng.choice((1, 2)), body.rng.choice((1, 2, 3)), body.rng.choice((1, 1, 2))
    sizes = [body.rng.choice([n for n in body.scope.sizes if n <= 17] or [5]) for _ in range(spatial)]
    kernel = [body.rng.choice((1, 2, 3)) for _ in range(spatial)]
    last = body.rng.random() < 0.3
    shape = (batch, *sizes, features * groups) if last else (batch, features * groups, *sizes)
    spec = (0, spatial + 1, *range(1, spatial + 1)) if last else tuple(range(spatial + 2))
    x = body.of_aval(Aval(shape, x.dtype))
    w = body.of_aval(Aval((groups * body.rng.choice((1, 2, 3)), features, *kernel), x.dtype))
    params = {
        "window_strides": tuple(body.rng.choice((1, 1, 2)) for _ in kernel),
        "padding": tuple((body.rng.randint(0, 2), body.rng.randint(0, 2)) for _ in kernel),
        "lhs_dilation": tuple(body.rng.choice((1, 1, 1, 2)) for _ in kernel),
        "rhs_dilation": tuple(body.rng.choice((1, 1, 2)) for _ in kernel),
        "dimension_numbers": ConvDimensionNumbers(spec, tuple(range(spatial + 2)), spec),
        "feature_group_count": groups,
        "batch_group_count": 1,
        "preferred_element_type": None,
    }
    term = b.either(b.mul(x.bounds, w.bounds), Bounds(0, 0, 1))
    term = dataclasses.replace(term, step=x.bounds.step * w.bounds.step)
    body.emit("conv_general_dilated", [x, w], b.summed(x.dtype, term, features * math.prod(kernel)), **params)


def window(body: Body) -> None:
    x = body.find_ranked(1, lambda v: v.dtype != BOOL)
    rank = len(x.shape)
    sizes = tuple(body.rng.choice((1, 2, 3)) for _ in range(rank))
    name = body.rng.choice(("sum", "max", "min"))
    low_high = [(body.rng.randint(0, 1), body.rng.randint(0, 1)) for _ in range(rank)]
    if name != "sum" and is_float(x.dtype):  # a window of padding alone is an infinity
        low_high = [(0, 0)] * rank
    params = {
        "window_dimensions": sizes,
        "window_strides": tuple(body.rng.choice((1, 1, 2)) for _ in range(rank)),
        "padding": tuple(low_high),
        "base_dilation": (1,) * rank,
        "window_dilation": tuple(body.rng.choice((1, 1, 2)) for _ in range(rank)),
    }
    found = x.bounds
    if name == "sum":
        terms = b.summed(x.dtype, x.bounds, math.prod(sizes))
        found = dataclasses.replace(b.either(terms, x.bounds, Bounds(0, 0, 1)), error=terms.error, step=terms.step)
    elif not is_float(x.dtype):
        found = every(x.dtype)
    body.emit(f"reduce_window_{name}", [x], found, name == "sum", **params)


# --- transforms -------------------------------------------------------------------------------------------------------


def fourier(body: Body) -> None:
    x = body.find(lambda v: v.dtype in WIDE and len(v.shape) > 0 and v.shape[-1] > 0)
    n = x.shape[-1]
    kind = body.rng.choice((FftType.FFT, FftType.IFFT, FftType.RFFT))
    operands = [x] if kind == FftType.RFFT else [x, body.find(lambda v: v.aval == x.aval, 12)]
    size, error = max(o.bounds.size for o in operands) * 2 * n, max(o.bounds.error for o in operands) * 2 * n
    found = Bounds(-size, size, 0, error)
    body.emit_all("fft_parts", operands, [found, found], ULPS * (1 + math.log2(n)), fft_type=kind, fft_lengths=(n,))


def threefry(body: Body) -> None:
    x = body.of_aval(Aval(body.scope.shape(), UINT32))
    words = [x, *(body.partner(x) for _ in range(3))]
    body.emit_all("threefry2x32", words, [every(UINT32)] * 2)


OPERATIONS = (
    reduce, reduce, position, cumulative, sort, dot, dot, convolve, window, fourier, threefry,
)  # fmt: skip
