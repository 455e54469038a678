"""Convolutions, windows, gathers and scatters drawn at random: derivatives, batching and the device on each.

Their parameters have too many combinations for a table. Values are held against plain loops that are obviously right.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import anejax as aj
from anejax.ops.conv import ConvDimensionNumbers, conv_general_dilated
from anejax.ops.index import GatherDimensionNumbers, ScatterDimensionNumbers, gather, scatter_add
from anejax.ops.windows import reduce_window_sum
from tests.ops.checks import wide

Draw = Any


def small(low: int, high: int) -> Any:
    return st.integers(low, high)


@st.composite
def convolutions(draw: Draw) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    n = draw(small(0, 2))
    kind, groups = draw(st.sampled_from(("plain", "feature", "batch"))), draw(small(1, 3))
    fg, bg = groups if kind == "feature" else 1, groups if kind == "batch" else 1
    sizes = [draw(small(1, 6)) for _ in range(n)]
    kernel = [draw(small(1, 3)) for _ in range(n)]
    lhs = (bg * draw(small(1, 2)), fg * draw(small(1, 2)), *sizes)
    rhs = (fg * bg * draw(small(1, 2)), lhs[1] // fg, *kernel)
    specs = [tuple(draw(st.permutations(range(n + 2)))) for _ in range(3)]
    rng = np.random.default_rng(draw(small(0, 2**20)))
    place = lambda shape, spec: rng.normal(size=[shape[spec.index(a)] for a in range(n + 2)])  # noqa: E731
    several = lambda low, high: tuple(draw(small(low, high)) for _ in range(n))  # noqa: E731
    params = {
        "window_strides": several(1, 3), "padding": tuple(zip(several(-1, 2), several(-1, 2))),
        "lhs_dilation": several(1, 2), "rhs_dilation": several(1, 2),
        "dimension_numbers": ConvDimensionNumbers(*specs), "feature_group_count": fg, "batch_group_count": bg,
    }  # fmt: skip
    return place(lhs, specs[0]), place(rhs, specs[1]), params


def plain_convolution(x: np.ndarray, w: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """The definition: a sum over input features and kernel places, for each output element."""
    numbers, bg, fg = p["dimension_numbers"], p["batch_group_count"], p["feature_group_count"]
    x, w = x.transpose(numbers.lhs_spec), w.transpose(numbers.rhs_spec)
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], p["rhs_dilation"])]
    spread = [(n - 1) * d + 1 for n, d in zip(x.shape[2:], p["lhs_dilation"])]
    counts = [max((n + lo + hi - k) // s + 1, 0) if n + lo + hi >= k else 0
              for n, k, s, (lo, hi) in zip(spread, reach, p["window_strides"], p["padding"])]  # fmt: skip
    batch, per = x.shape[0] // bg, w.shape[0] // (bg * fg)
    out = np.zeros((batch, w.shape[0], *counts))
    for b, o, *at in itertools.product(*map(range, out.shape)):
        group = o // per
        row = b + (group * batch if bg > 1 else 0)
        first = (group * w.shape[1]) if fg > 1 else 0
        for i, *k in itertools.product(*map(range, w.shape[1:])):
            spot = [a * s + j * d - lo for a, s, j, d, (lo, _) in
                    zip(at, p["window_strides"], k, p["rhs_dilation"], p["padding"])]  # fmt: skip
            inside = all(0 <= v < n and v % d == 0 for v, n, d in zip(spot, spread, p["lhs_dilation"]))
            if inside:
                place = tuple(v // d for v, d in zip(spot, p["lhs_dilation"]))
                out[(b, o, *at)] += x[(row, first + i, *place)] * w[(o, i, *k)]
    return out.transpose(np.argsort(numbers.out_spec))


def check(function: Any, args: list[np.ndarray], want: np.ndarray) -> None:
    """Value, pairing, batching over the arguments at once and one by one, and the device."""
    near = {"rtol": 1e-10, "atol": 1e-10}
    out, pull_back = aj.vjp(function, *args)
    np.testing.assert_allclose(out, want, **near)
    rng = np.random.default_rng(0)
    vs = [rng.normal(size=a.shape) for a in args]
    ct = rng.normal(size=want.shape)
    tangent = np.asarray(aj.jvp(function, tuple(args), tuple(vs))[1])
    left = np.sum(ct * tangent)
    right = sum(np.sum(v * np.asarray(g)) for v, g in zip(vs, pull_back(aj.numpy.asarray(ct))))
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9)
    for which in [*range(len(args)), None]:
        axes = tuple(0 if which in (i, None) else None for i in range(len(args)))
        pairs = [np.stack([a, v]) if ax == 0 else a for a, v, ax in zip(args, vs, axes)]
        got = aj.vmap(function, in_axes=axes)(*pairs)
        second = function(*(v if ax == 0 else a for a, v, ax in zip(args, vs, axes)))
        np.testing.assert_allclose(got, np.stack([want, np.asarray(second)]), **near)
    np.testing.assert_allclose(aj.jit(function)(*args), want, **near)
    grad = aj.grad(lambda *xs: (function(*xs) * ct).sum(), argnums=tuple(range(len(args))))
    for compiled, eager in zip(aj.jit(grad)(*args), grad(*args)):
        np.testing.assert_allclose(compiled, eager, **near)


@given(convolutions())
def test_convolution(drawn: tuple[np.ndarray, np.ndarray, dict[str, Any]]) -> None:
    x, w, p = drawn
    with wide():
        check(lambda x, w: conv_general_dilated(x, w, **p), [x, w], plain_convolution(x, w, p))


@st.composite
def window_sums(draw: Draw) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    n = draw(small(1, 3))
    axes = [(draw(small(1, 3)), draw(small(1, 3)), (draw(small(-1, 2)), draw(small(0, 2))), draw(small(1, 2)),
             draw(small(1, 2))) for _ in range(n)]  # fmt: skip
    shape = [draw(small(2, 5)) for _ in range(n)]
    return np.random.default_rng(draw(small(0, 2**20))).normal(size=shape), axes


@given(window_sums())
def test_window_sums_are_convolutions_with_ones(drawn: tuple[np.ndarray, list[tuple[Any, ...]]]) -> None:
    x, axes = drawn
    kernel, strides, padding, base, dilation = zip(*axes)
    plain = tuple(range(x.ndim + 2))
    p = {"window_strides": strides, "padding": padding, "lhs_dilation": base, "rhs_dilation": dilation,
         "dimension_numbers": ConvDimensionNumbers(plain, plain, plain), "feature_group_count": 1,
         "batch_group_count": 1}  # fmt: skip
    want = plain_convolution(x[None, None], np.ones((1, 1, *kernel)), p)[0, 0]
    with wide():
        check(lambda x: reduce_window_sum(x, kernel, strides, padding, base, dilation), [x], want)


@st.composite
def gathers(draw: Draw) -> tuple[np.ndarray, np.ndarray, GatherDimensionNumbers, tuple[int, ...], str]:
    shared = [draw(small(1, 3)) for _ in range(draw(small(0, 2)))]
    own, more = ([draw(small(1, 4)) for _ in range(draw(small(low, 2)))] for low in (1, 0))
    operand_order = draw(st.permutations(range(len(shared) + len(own))))
    index_order = draw(st.permutations(range(len(shared) + len(more))))
    axes, index_axes = [*shared, *own], [*shared, *more]
    shape = [axes[i] for i in operand_order]
    batch = [index_axes[i] for i in index_order]
    free = [d for d, i in enumerate(operand_order) if i >= len(shared)]
    index_map = tuple(draw(st.permutations(free))[: draw(small(1, len(free)))])
    collapsed = tuple(sorted(draw(st.permutations(free))[: draw(small(0, len(free)))]))
    window = [d for d in free if d not in collapsed]
    sizes = tuple(draw(small(1, n)) if d in window else 1 for d, n in enumerate(shape))
    rank = len(batch) + len(window)
    offset = tuple(sorted(draw(st.permutations(range(rank)))[: len(window)]))
    mine = tuple(d for d, i in enumerate(operand_order) if i < len(shared))
    theirs = tuple(index_order.index(operand_order[d]) for d in mine)
    rng = np.random.default_rng(draw(small(0, 2**20)))
    indices = rng.integers(-2, 5, (*batch, len(index_map))).astype(np.int32)
    numbers = GatherDimensionNumbers(offset, collapsed, index_map, mine, theirs)
    return rng.normal(size=shape), indices, numbers, sizes, draw(st.sampled_from(("clip", "fill")))


def plain_gather(x: np.ndarray, indices: np.ndarray, numbers: GatherDimensionNumbers, sizes: tuple[int, ...],
                 mode: str) -> tuple[np.ndarray, dict[tuple[int, ...], tuple[int, ...]]]:  # fmt: skip
    """(the result, where each of its elements was read), window by window."""
    window = [d for d in range(x.ndim) if d not in numbers.collapsed_slice_dims + numbers.operand_batching_dims]
    rank = indices.ndim - 1 + len(window)
    outer = [a for a in range(rank) if a not in numbers.offset_dims]
    shape = [0] * rank
    for a, n in zip([*outer, *numbers.offset_dims], [*indices.shape[:-1], *(sizes[d] for d in window)]):
        shape[a] = n
    out, read = np.zeros(shape), {}
    for b in itertools.product(*map(range, indices.shape[:-1])):
        start = [0] * x.ndim
        for d, v in zip(numbers.start_index_map, indices[b]):
            start[d] = int(v)
        for d, a in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims):
            start[d] = b[a]
        if mode == "clip":
            start = [min(max(v, 0), n - s) for v, n, s in zip(start, x.shape, sizes)]
        elif any(not 0 <= v <= n - s for v, n, s in zip(start, x.shape, sizes)):
            continue
        for k in itertools.product(*(range(sizes[d]) for d in window)):
            at, to = list(start), [0] * rank
            for d, a, v in zip(window, numbers.offset_dims, k):
                at[d], to[a] = at[d] + v, v
            for a, v in zip(outer, b):
                to[a] = v
            out[tuple(to)] = x[tuple(at)]
            read[tuple(to)] = tuple(at)
    return out, read


@given(gathers())
def test_gather_and_its_scatter(drawn: Any) -> None:
    x, indices, numbers, sizes, mode = drawn
    want, read = plain_gather(x, indices, numbers, sizes, mode)
    updates = np.random.default_rng(1).normal(size=want.shape)
    added = x.copy()
    for to, at in read.items():
        added[at] += updates[to]
    back = ScatterDimensionNumbers(*numbers)
    with wide():
        check(lambda x: gather(x, indices, numbers, sizes, mode=mode, fill_value=0), [x], want)
        check(lambda x, u: scatter_add(x, indices, u, back, mode=mode), [x, updates], added)
