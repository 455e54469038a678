"""Computes the result shapes of `aj_` operations. They follow lax, and their axes are never negative."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anejax.mil.program import Type
from anejax.mil.view import Rule, Shape, View

GATHER_MODES = ("clip", "fill", "promise_in_bounds")


def aj_binary(v: View) -> list[Shape]:
    """Equal shapes, or one of rank 0."""
    return [_common(v, v.shape("x"), v.shape("y"))]


def _common(v: View, *shapes: Shape) -> Shape:
    wide = {s for s in shapes if s}
    v.expect(len(wide) <= 1, "equal shapes or rank 0")
    return wide.pop() if wide else ()


def aj_select_n(v: View) -> list[Shape]:
    cases = v.shapes("cases")
    v.expect(len({*cases}) == 1, "cases of equal shapes")
    v.expect(v.shape("which") in ((), cases[0]), "which of the shape of the cases or rank 0")
    v.expect(v.type("which").dtype != "bool" or len(cases) <= 2, "at most two cases for a bool which")
    return [cases[0]]


def aj_clamp(v: View) -> list[Shape]:
    x = v.shape("x")
    v.expect(v.shape("min") in ((), x) and v.shape("max") in ((), x), "bounds of the shape of x or rank 0")
    return [x]


def aj_reduce(v: View) -> list[Shape]:
    shape, axes = v.shape("x"), v.axes("axes", v.type("x").rank, negative=False)
    return [tuple(n for i, n in enumerate(shape) if i not in axes)]


def aj_reduce_arg(v: View) -> list[Shape]:
    shape = v.shape("x")
    axis = v.axis("axis", len(shape), negative=False)
    v.expect(shape[axis] > 0, f"at least one element on axis {axis}")
    return [shape[:axis] + shape[axis + 1 :]]


def aj_cumulative(v: View) -> list[Shape]:
    v.axis("axis", v.type("x").rank, negative=False)
    return [v.shape("x")]


# ---- movement


def aj_reshape(v: View) -> list[Shape]:
    shape = tuple(v.sizes("shape"))
    v.expect(math.prod(shape) == v.type("x").size, f"as many elements as shape {list(shape)} has")
    return [shape]


def aj_transpose(v: View) -> list[Shape]:
    rank = v.type("x").rank
    perm = v.axes("perm", rank, negative=False)
    v.expect(len(perm) == rank, f"perm to name each axis once, not {perm}")
    return [tuple(v.shape("x")[p] for p in perm)]


def aj_broadcast_in_dim(v: View) -> list[Shape]:
    x, shape = v.shape("x"), tuple(v.sizes("shape"))
    to = v.axes("broadcast_dimensions", len(shape), negative=False)
    v.expect(len(to) == len(x) and to == sorted(to), f"one rising axis for each axis of x, not {to}")
    v.expect(all(n in (1, shape[a]) for n, a in zip(x, to)), f"sizes that broadcast to {list(shape)}")
    return [shape]


def aj_slice(v: View) -> list[Shape]:
    x = v.shape("x")
    start, limit = v.sizes("start_indices", len(x)), v.sizes("limit_indices", len(x))
    strides = v.sizes("strides", len(x), low=1)
    v.expect(all(a <= b <= n for a, b, n in zip(start, limit, x)), f"{start} to {limit} inside x")
    return [tuple(-(-(b - a) // s) for a, b, s in zip(start, limit, strides))]


def aj_concatenate(v: View) -> list[Shape]:
    shapes = v.shapes("values")
    axis = v.axis("dimension", len(shapes[0]), negative=False)
    others = {(*s[:axis], -1, *s[axis + 1 :]) for s in shapes}
    v.expect(len(others) == 1 and len({*map(len, shapes)}) == 1, f"shapes that differ on axis {axis} only")
    return [(*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])]


def aj_pad(v: View) -> list[Shape]:
    x = v.shape("x")
    low, high, interior = v.ints("low", len(x)), v.ints("high", len(x)), v.sizes("interior", len(x))
    shape = tuple(a + n + max(n - 1, 0) * i + b for n, a, b, i in zip(x, low, high, interior))
    v.expect(all(n >= 0 for n in shape), f"no negative size in the result {list(shape)}")
    return [shape]


def aj_rev(v: View) -> list[Shape]:
    v.axes("dimensions", v.type("x").rank, negative=False)
    return [v.shape("x")]


def aj_iota(v: View) -> list[Shape]:
    shape = tuple(v.sizes("shape"))
    v.axis("dimension", len(shape), negative=False)
    return [shape]


def aj_dynamic_slice(v: View) -> list[Shape]:
    x = v.shape("x")
    sizes = v.sizes("slice_sizes", len(x))
    v.expect(len(v.values("start_indices")) == len(x), "one start for each axis of x")
    v.expect(all(s <= n for s, n in zip(sizes, x)), f"slice sizes {sizes} inside x")
    return [tuple(sizes)]


def aj_dynamic_update_slice(v: View) -> list[Shape]:
    x, update = v.shape("x"), v.shape("update")
    v.expect(len(v.values("start_indices")) == len(x) == len(update), "one start for each axis of x and update")
    v.expect(all(s <= n for s, n in zip(update, x)), "an update that fits into x")
    return [x]


# ---- linear algebra and windows


def aj_dot_general(v: View) -> list[Shape]:
    x, y = v.shape("x"), v.shape("y")
    batch, free_x = _dot_side(v, "x", len(x))
    other, free_y = _dot_side(v, "y", len(y))
    v.expect([x[a] for a in batch[0]] == [y[a] for a in other[0]], "equal batch sizes")
    v.expect([x[a] for a in batch[1]] == [y[a] for a in other[1]], "equal contracted sizes")
    return [(*(x[a] for a in batch[0]), *(x[a] for a in free_x), *(y[a] for a in free_y))]


def _dot_side(v: View, name: str, rank: int) -> tuple[tuple[list[int], list[int]], list[int]]:
    batch = v.axes(f"{name}_batch", rank, negative=False)
    contracting = v.axes(f"{name}_contracting", rank, negative=False)
    v.expect(not {*batch} & {*contracting}, f"distinct axes in {name}_batch and {name}_contracting")
    return (batch, contracting), [a for a in range(rank) if a not in batch and a not in contracting]


def aj_conv_general_dilated(v: View) -> list[Shape]:
    x, weight = v.shape("x"), v.shape("weight")
    rank = len(x)
    v.expect(rank == len(weight) and rank > 1, "x and weight of the same rank, 2 or more")
    specs = {name: v.axes(name, rank, negative=False) for name in ("lhs_spec", "rhs_spec", "out_spec")}
    for name, spec in specs.items():
        v.expect(len(spec) == rank, f"{name} to name each axis once, not {spec}")
    n = rank - 2
    batch, features, *sizes = (x[a] for a in specs["lhs_spec"])
    out_features, in_features, *kernel = (weight[a] for a in specs["rhs_spec"])
    groups, batch_groups = v.integer("feature_group_count"), v.integer("batch_group_count")
    v.expect(groups > 0 and batch_groups > 0 and 1 in (groups, batch_groups), "one of the two group counts to be 1")
    v.expect(features == in_features * groups, f"x to have {in_features} features in each of {groups} groups")
    v.expect(out_features % (groups * batch_groups) == 0, "output features that divide by the group count")
    v.expect(batch % batch_groups == 0, f"a batch that divides by {batch_groups} groups")
    strides, dilation = v.sizes("strides", n, low=1), v.sizes("rhs_dilation", n, low=1)
    sizes = [_dilated(s, d) for s, d in zip(sizes, v.sizes("lhs_dilation", n, low=1))]
    kernel = [_dilated(k, d) for k, d in zip(kernel, dilation)]
    padding = v.ints("padding", 2 * n)
    padded = [s + low + high for s, low, high in zip(sizes, padding[::2], padding[1::2])]
    v.expect(all(s >= 0 for s in padded), f"no more negative padding than there is, not {padding}")
    spatial = _window_counts(sizes, kernel, strides, padding)
    result = dict(zip(specs["out_spec"], (batch // batch_groups, out_features, *spatial)))
    return [tuple(result[a] for a in range(rank))]


def _dilated(size: int, dilation: int) -> int:
    return (size - 1) * dilation + 1 if size else 0


def _window_counts(sizes: list[int], windows: list[int], strides: list[int], padding: list[int]) -> list[int]:
    """The number of positions of each window along its padded axis; 0 if it does not fit, as in lax."""
    padded = [n + low + high for n, low, high in zip(sizes, padding[::2], padding[1::2])]
    return [max((n - w) // s + 1, 0) if n >= w else 0 for n, w, s in zip(padded, windows, strides)]


def aj_reduce_window(v: View) -> list[Shape]:
    x = v.shape("x")
    n = len(x)
    base, dilation = v.sizes("base_dilation", n, low=1), v.sizes("window_dilation", n, low=1)
    windows = [_dilated(w, d) for w, d in zip(v.sizes("window_dimensions", n, low=1), dilation)]
    sizes = [_dilated(size, d) for size, d in zip(x, base)]
    return [tuple(_window_counts(sizes, windows, v.sizes("window_strides", n, low=1), v.ints("padding", 2 * n)))]


def aj_select_and_scatter_add(v: View) -> list[Shape]:
    operand = v.shape("operand")
    n = len(operand)
    v.text("select", ("ge", "le"))
    windows, strides = v.sizes("window_dimensions", n, low=1), v.sizes("window_strides", n, low=1)
    counts = _window_counts(list(operand), windows, strides, v.ints("padding", 2 * n))
    v.expect(list(v.shape("source")) == counts, f"a source of shape {counts}")
    return [operand]


# ---- gather, scatter, sort, random bits


def aj_gather(v: View) -> list[Shape]:
    """lax.gather, the index vector on the last axis of indices."""
    x, indices = v.shape("x"), v.shape("indices")
    v.text("mode", GATHER_MODES)
    v.expect(len(indices) > 0, "indices of rank 1 or more")
    sizes = v.sizes("slice_sizes", len(x))
    v.expect(all(s <= n for s, n in zip(sizes, x)), f"slice sizes {sizes} inside x")
    collapsed = _rising(v, "collapsed_slice_dims", len(x))
    batching = _batching(v, "start_indices_batching_dims", "start_index_map", x, indices)
    dropped = {*collapsed, *batching}
    v.expect(len(dropped) == len(collapsed) + len(batching), "distinct collapsed and batching axes")
    v.expect(all(sizes[a] == 1 for a in collapsed), f"slice size 1 on the axes {collapsed}")
    v.expect(all(sizes[a] <= 1 for a in batching), f"slice size 1 or 0 on the axes {batching}")
    window = [s for a, s in enumerate(sizes) if a not in dropped]
    rank = len(indices) - 1 + len(window)
    offsets = _rising(v, "offset_dims", rank)
    v.expect(len(offsets) == len(window), f"{len(window)} axes in offset_dims, not {offsets}")
    slices, batch = iter(window), iter(indices[:-1])
    return [tuple(next(slices) if a in offsets else next(batch) for a in range(rank))]


def aj_scatter(v: View) -> list[Shape]:
    """lax.scatter, the index vector on the last axis of indices."""
    x, indices, updates = v.shape("x"), v.shape("indices"), v.shape("updates")
    v.text("mode", GATHER_MODES)
    v.expect(len(indices) > 0, "indices of rank 1 or more")
    inserted = _rising(v, "inserted_window_dims", len(x))
    batching = _batching(v, "scatter_indices_batching_dims", "scatter_dims_to_operand_dims", x, indices)
    v.expect(not {*inserted} & {*batching}, "distinct inserted and batching axes")
    window = _rising(v, "update_window_dims", len(updates))
    kept = [a for a in range(len(x)) if a not in inserted and a not in batching]
    v.expect(len(window) == len(kept), f"{len(kept)} axes in update_window_dims, not {window}")
    fits = all(updates[w] <= x[a] for w, a in zip(window, kept))
    v.expect(fits, "updates whose windows fit into x")
    batch = tuple(n for a, n in enumerate(updates) if a not in window)
    v.expect(batch == indices[:-1], f"updates with the batch sizes {list(indices[:-1])} of indices")
    return [x]


def _rising(v: View, name: str, rank: int) -> list[int]:
    axes = v.axes(name, rank, negative=False)
    v.expect(axes == sorted(axes), f"rising axes in {name}, not {axes}")
    return axes


def _batching(v: View, paired: str, index_map: str, x: Shape, indices: Shape) -> list[int]:
    """The operand's batching axes, checked against those of indices and the map of the index vector."""
    axes = _rising(v, "operand_batching_dims", len(x))
    pairs = v.axes(paired, len(indices) - 1, negative=False)
    sizes = [x[a] for a in axes], [indices[a] for a in pairs]
    v.expect(sizes[0] == sizes[1], f"equal sizes on operand_batching_dims and {paired}")
    mapped = v.axes(index_map, len(x), negative=False)
    v.expect(not {*mapped} & {*axes}, f"distinct axes in operand_batching_dims and {index_map}")
    count = len(mapped)
    v.expect(count == indices[-1], f"index vectors of {count} numbers, as many as {index_map} names")
    return axes


def aj_same_each(v: View) -> list[Type]:
    """As many results as values, of their types; a sort wants one shape."""
    shapes = v.shapes("values")
    if v.has("num_keys"):
        v.axis("dimension", len(shapes[0]), negative=False)
        v.expect(len({*shapes}) == 1, "values of equal shapes")
        v.expect(1 <= v.integer("num_keys") <= len(shapes), f"num_keys from 1 to {len(shapes)}")
    return v.types("values")


def aj_threefry2x32(v: View) -> list[Shape]:
    return [_common(v, *map(v.shape, ("k0", "k1", "x0", "x1")))] * 2


def aj_fft(v: View) -> list[Shape]:
    """Real and imaginary part, or one of them where the signal is real."""
    kind = v.text("kind", ("fft", "ifft", "rfft", "irfft"))
    parts, lengths = v.shapes("values"), v.ints("lengths")
    v.expect(len(parts) == (1 if kind == "rfft" else 2), "one array for rfft, a real and an imaginary part for others")
    v.expect(len({*parts}) == 1, "parts of one shape")
    v.expect(0 < len(lengths) <= len(parts[0]) and min(lengths) > 0, "a positive length for each of some trailing axes")
    half = (*lengths[:-1], lengths[-1] // 2 + 1)
    lead, given = parts[0][: -len(lengths)], half if kind == "irfft" else tuple(lengths)
    v.expect(parts[0][len(lead) :] == given, f"trailing axes {given} for {kind} of lengths {tuple(lengths)}")
    return [lead + (half if kind == "rfft" else tuple(lengths))] * (1 if kind == "irfft" else 2)


def aj_process_sum(v: View) -> list[Shape]:
    return v.shapes("values")


def aj_process_gather(v: View) -> list[Shape]:
    """One block for each of ``size`` processes."""
    v.expect(v.integer("size") >= 1, "a size of 1 or more")
    return [(v.integer("size"), *v.shape("x"))]


def aj_process_exchange(v: View) -> list[Shape]:
    v.expect(len(v.shape("x")) > 0, "x of rank 1 or more: one block for each process")
    return [v.shape("x")]


def aj_process_cut(v: View) -> list[Shape]:
    length, rest, size = _blocks(v)
    v.expect(length % size == 0, f"a first axis of x that {size} divides")
    return [(length // size, *rest)]


def aj_process_join(v: View) -> list[Shape]:
    length, rest, size = _blocks(v)
    return [(length * size, *rest)]


def _blocks(v: View) -> tuple[int, Shape, int]:
    """The first axis of x, its other axes, and the number of processes."""
    x, size = v.shape("x"), v.integer("size")
    rank = len(x)
    v.expect(rank > 0 and size >= 1, "x of rank 1 or more, and a size of 1 or more")
    return x[0], x[1:], size


def aj_process_permute(v: View) -> list[Shape]:
    sources, targets = v.ints("sources"), v.ints("targets")
    v.expect(len(sources) == len(targets), "as many sources as targets")
    for name, numbers in (("sources", sources), ("targets", targets)):
        v.expect(len({*numbers}) == len(numbers) and min(numbers, default=0) >= 0, f"distinct numbers in {name}")
    return [v.shape("x")]


def aj_process_index(v: View) -> list[Shape]:
    return [()]


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        aj_binary, aj_select_n, aj_clamp, aj_reduce, aj_reduce_arg, aj_cumulative, aj_reshape, aj_transpose,
        aj_broadcast_in_dim, aj_slice, aj_concatenate, aj_pad, aj_rev, aj_iota, aj_dynamic_slice,
        aj_dynamic_update_slice, aj_dot_general, aj_conv_general_dilated, aj_reduce_window,
        aj_select_and_scatter_add, aj_gather, aj_scatter, aj_same_each, aj_threefry2x32,
        aj_fft, aj_process_sum, aj_process_gather, aj_process_exchange, aj_process_cut,
        aj_process_join, aj_process_permute, aj_process_index,
    )
}  # fmt: skip
