"""Computes the result shapes of MIL's own operations, by name or by the family that opset.py gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anejax.mil.view import Rule, Shape, View

PAD_TYPES = ("valid", "custom", "same", "same_lower")
PAD_MODES = ("constant", "reflect", "replicate")
GELU_MODES = ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")
SCATTER_MODES = ("add", "div", "max", "min", "mul", "sub", "update")


def broadcast_shapes(v: View, *shapes: Shape) -> Shape:
    """NumPy's broadcasting."""
    rank = max(map(len, shapes))
    result: list[int] = []
    for sizes in zip(*((1,) * (rank - len(s)) + s for s in shapes)):
        wide = {n for n in sizes if n != 1}
        v.expect(len(wide) <= 1, "shapes that broadcast")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def same(v: View) -> list[Shape]:
    return [v.shape("x")]


def broadcast(v: View) -> list[Shape]:
    return [broadcast_shapes(v, v.shape("x"), v.shape("y"))]


def select(v: View) -> list[Shape]:
    return [broadcast_shapes(v, v.shape("cond"), v.shape("a"), v.shape("b"))]


def reduce(v: View) -> list[Shape]:
    return [_reduced(v.shape("x"), v.axes("axes", v.type("x").rank), v.flag("keep_dims"))]


def reduce_arg(v: View) -> list[Shape]:
    shape = v.shape("x")
    axis = v.axis("axis", len(shape))
    v.expect(shape[axis] > 0, f"at least one element on axis {axis}")
    return [_reduced(shape, [axis], v.flag("keep_dims"))]


def _reduced(shape: Shape, axes: list[int], keep_dims: bool) -> Shape:
    kept = (1 if i in axes else n for i, n in enumerate(shape))
    return tuple(kept) if keep_dims else tuple(n for i, n in enumerate(shape) if i not in axes)


def scan(v: View) -> list[Shape]:
    v.axis("axis", v.type("x").rank)
    return same(v)


def reverse(v: View) -> list[Shape]:
    v.axes("axes", v.type("x").rank)
    return same(v)


# ---- movement


def reshape(v: View) -> list[Shape]:
    shape = tuple(v.sizes("shape"))
    v.expect(math.prod(shape) == v.type("x").size, f"as many elements as shape {list(shape)} has")
    return [shape]


def transpose(v: View) -> list[Shape]:
    rank = v.type("x").rank
    perm = v.axes("perm", rank, negative=False)
    v.expect(len(perm) == rank, f"perm to name each axis once, not {perm}")
    return [tuple(v.shape("x")[p] for p in perm)]


def expand_dims(v: View) -> list[Shape]:
    rank = v.type("x").rank + len(v.ints("axes"))
    axes = v.axes("axes", rank)
    rest = iter(v.shape("x"))
    return [tuple(1 if i in axes else next(rest) for i in range(rank))]


def squeeze(v: View) -> list[Shape]:
    shape = v.shape("x")
    axes = v.axes("axes", len(shape)) if v.has("axes") else [i for i, n in enumerate(shape) if n == 1]
    v.expect(all(shape[a] == 1 for a in axes), f"size 1 at the axes {axes}")
    return [tuple(n for i, n in enumerate(shape) if i not in axes)]


def tile(v: View) -> list[Shape]:
    shape = v.shape("x")
    return [tuple(n * r for n, r in zip(shape, v.sizes("reps", len(shape), low=1)))]


def pad(v: View) -> list[Shape]:
    """`pad` may name the last axes only, as (low, high) each."""
    shape, amounts = v.shape("x"), v.sizes("pad")
    mode = v.text("mode", PAD_MODES)
    v.expect(len(amounts) % 2 == 0 and len(amounts) <= 2 * len(shape), f"pairs in pad, not {amounts}")
    amounts = [0] * (2 * len(shape) - len(amounts)) + amounts
    pairs = list(zip(amounts[::2], amounts[1::2]))
    if mode == "reflect":
        v.expect(all(max(p) < max(n, 1) for n, p in zip(shape, pairs)), f"pad below the sizes, not {amounts}")
    return [tuple(n + low + high for n, (low, high) in zip(shape, pairs))]


def fill(v: View) -> list[Shape]:
    return [tuple(v.sizes("shape"))]


def concat(v: View) -> list[Shape]:
    shapes = v.shapes("values")
    axis = v.axis("axis", len(shapes[0]))
    others = {s[:axis] + s[axis + 1 :] for s in shapes}
    v.expect(len(others) == 1 and len({*map(len, shapes)}) == 1, f"shapes that differ on axis {axis} only")
    if v.flag("interleave"):
        v.expect(len({*shapes}) == 1, "equal shapes to interleave")
    return [(*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])]


def stack(v: View) -> list[Shape]:
    shapes = v.shapes("values")
    axis = v.axis("axis", len(shapes[0]) + 1)
    v.expect(len({*shapes}) == 1, "equal shapes")
    return [(*shapes[0][:axis], len(shapes), *shapes[0][axis:])]


def split(v: View) -> list[Shape]:
    shape = v.shape("x")
    axis = v.axis("axis", len(shape))
    v.expect(v.has("num_splits") or v.has("split_sizes"), "num_splits or split_sizes")
    if v.has("split_sizes"):
        sizes = v.sizes("split_sizes")
    else:
        count = v.integer("num_splits")
        v.expect(0 < count <= shape[axis] and shape[axis] % count == 0, f"axis {axis} to divide by {count}")
        sizes = [shape[axis] // count] * count
    v.expect(sum(sizes) == shape[axis], f"parts {sizes} to make up axis {axis}")
    return [(*shape[:axis], n, *shape[axis + 1 :]) for n in sizes]


def slice_by_size(v: View) -> list[Shape]:
    """A size of -1 takes the rest."""
    shape = v.shape("x")
    begin, size = v.ints("begin", len(shape)), v.ints("size", len(shape))
    taken = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size)]
    inside = all(b >= 0 and s >= 0 and b + s <= n for n, b, s in zip(shape, begin, taken))
    v.expect(inside, f"begin {begin} and size {size} inside x")
    return [tuple(taken)]


def slice_by_index(v: View) -> list[Shape]:
    """Python's slices: negative positions count from the end; a mask drops a bound or an axis."""
    shape = v.shape("x")
    rank = len(shape)
    begin, end, stride = v.ints("begin", rank), v.ints("end", rank), v.ints("stride", rank, 1)
    no_begin, no_end, squeezed = (v.flags(f"{n}_mask", rank) for n in ("begin", "end", "squeeze"))
    v.expect(all(s or q for s, q in zip(stride, squeezed)), f"no stride of 0 in {stride}")
    result: list[int] = []
    for i, n in enumerate(shape):
        if squeezed[i]:
            v.expect(-n <= begin[i] < n, f"begin {begin[i]} inside axis {i}")
            continue
        start, stop = None if no_begin[i] else begin[i], None if no_end[i] else end[i]
        result.append(len(range(*slice(start, stop, stride[i]).indices(n))))
    return [tuple(result)]


# ---- gather and scatter


def gather(v: View) -> list[Shape]:
    x, indices = v.shape("x"), v.shape("indices")
    axis, batch = v.axis("axis", len(x)), v.integer("batch_dims")
    fits = 0 <= batch <= min(axis, len(indices)) and x[:batch] == indices[:batch]
    v.expect(fits, f"x and indices to agree on {batch} batch axes before axis {axis}")
    return [(*x[:axis], *indices[batch:], *x[axis + 1 :])]


def gather_nd(v: View) -> list[Shape]:
    x, indices = v.shape("x"), v.shape("indices")
    batch = v.integer("batch_dims")
    v.expect(0 <= batch < len(indices) and x[:batch] == indices[:batch], f"{batch} equal batch axes")
    v.expect(batch + indices[-1] <= len(x), "an index vector no longer than the rank of x")
    return [(*indices[:-1], *x[batch + indices[-1] :])]


def scatter_nd(v: View) -> list[Shape]:
    data, indices, updates = v.shape("data"), v.shape("indices"), v.shape("updates")
    v.text("mode", SCATTER_MODES)
    v.expect(bool(indices), "indices of rank 1 or more")
    v.expect(indices[-1] <= len(data), "an index vector no longer than the rank of data")
    expected = (*indices[:-1], *data[indices[-1] :])
    v.expect(updates == expected, f"updates of shape {list(expected)}")
    return [data]


# ---- linear algebra, windows and normalisation


def matmul(v: View) -> list[Shape]:
    x, y = v.shape("x"), v.shape("y")
    v.expect(len(x) > 0 and len(y) > 0, "operands of rank 1 or more")
    v.expect(len(x) > 1 or not v.flag("transpose_x"), "rank 2 or more to transpose x")
    v.expect(len(y) > 1 or not v.flag("transpose_y"), "rank 2 or more to transpose y")
    rows, inner = _matrix(x if len(x) > 1 else (1, *x), v.flag("transpose_x"))
    other, columns = _matrix(y if len(y) > 1 else (*y, 1), v.flag("transpose_y"))
    v.expect(inner == other, f"equal contracted sizes, not {inner} and {other}")
    batch = broadcast_shapes(v, x[:-2], y[:-2]) if x[:-2] or y[:-2] else ()
    return [(*batch, *((rows,) if len(x) > 1 else ()), *((columns,) if len(y) > 1 else ()))]


def _matrix(shape: Shape, transposed: bool) -> Shape:
    return (shape[-1], shape[-2]) if transposed else shape[-2:]


def conv(v: View) -> list[Shape]:
    x, weight, groups = v.shape("x"), v.shape("weight"), v.integer("groups")
    _expect_spatial(v)
    v.expect(groups > 0 and weight[0] % groups == 0, f"the output channels to divide by {groups} groups")
    v.expect(x[1] == weight[1] * groups, f"x to have {weight[1]} channels in each of {groups} groups")
    _expect_bias(v, weight[0])
    spatial = _windows(v, x[2:], weight[2:], v.sizes("dilations", len(x) - 2, 1, low=1))
    return [(x[0], weight[0], *spatial)]


def conv_transpose(v: View) -> list[Shape]:
    x, weight, groups = v.shape("x"), v.shape("weight"), v.integer("groups")
    _expect_spatial(v)
    v.expect(groups > 0 and x[1] == weight[0] and x[1] % groups == 0, f"channels that fit {groups} groups")
    n = len(x) - 2
    out = (x[0], weight[1] * groups)
    _expect_bias(v, out[1])
    if v.has("output_shape"):
        shape = tuple(v.sizes("output_shape", n + 2))
        v.expect(shape[:2] == out, f"output_shape to begin with {list(out)}")
        return [shape]
    pad_type = v.text("pad_type", ("valid", "custom", "same"))
    strides, dilations = v.sizes("strides", n, 1, low=1), v.sizes("dilations", n, 1, low=1)
    if pad_type == "same":
        return [(*out, *(d * s for d, s in zip(x[2:], strides)))]
    pads = v.sizes("pad", 2 * n, 0) if pad_type == "custom" else [0] * 2 * n
    reach = (d * (k - 1) + 1 for d, k in zip(dilations, weight[2:]))
    spatial = (s * (d - 1) + r - low - high for s, d, r, low, high in zip(strides, x[2:], reach, pads[::2], pads[1::2]))
    return [_positive(v, (*out, *spatial))]


def _expect_spatial(v: View) -> None:
    rank = v.type("x").rank
    v.expect(rank == v.type("weight").rank and rank > 2, "x [N, C, spatial...] and weight of the same rank")
    v.expect(0 not in v.shape("weight")[2:], "a window that is not empty")


def _expect_bias(v: View, channels: int) -> None:
    if v.has("bias"):
        v.expect(v.shape("bias") == (channels,), f"a bias of {channels} elements")


def pool(v: View) -> list[Shape]:
    x = v.shape("x")
    v.expect(len(x) > 2, "x [N, C, spatial...]")
    kernel = tuple(v.sizes("kernel_sizes", len(x) - 2, low=1))
    return [(*x[:2], *_windows(v, x[2:], kernel, [1] * len(kernel), v.flag("ceil_mode")))]


def _windows(v: View, sizes: Shape, kernel: Shape, dilations: list[int], ceil_mode: bool = False) -> Shape:
    """The number of window positions along each spatial axis."""
    n = len(sizes)
    pad_type, strides = v.text("pad_type", PAD_TYPES), v.sizes("strides", n, 1, low=1)
    if pad_type.startswith("same"):
        v.expect(not ceil_mode, "ceil_mode false for this pad_type")
        return tuple(-(-size // s) for size, s in zip(sizes, strides))
    pads = v.sizes("pad", 2 * n, 0) if pad_type == "custom" else [0] * 2 * n
    v.expect(not ceil_mode or pads[::2] == pads[1::2], f"equal low and high pad for ceil_mode, not {pads}")
    result: list[int] = []
    for size, k, s, d, low, high in zip(sizes, kernel, strides, dilations, pads[::2], pads[1::2]):
        room = size + low + high - (d * (k - 1) + 1)
        count = (room + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and low > 0 and (count - 1) * s >= size + low:
            count -= 1  # the last window would lie in the padding
        result.append(count)
    return _positive(v, tuple(result))


def _positive(v: View, shape: Shape) -> Shape:
    v.expect(all(n >= 0 for n in shape), f"windows that fit, not a result of shape {list(shape)}")
    return shape


def batch_norm(v: View) -> list[Shape]:
    """One statistic for each channel, axis 1."""
    v.expect(v.type("x").rank > 1, "x [N, C, ...]")
    channels = v.shape("x")[1]
    for name in ("mean", "variance", "gamma", "beta", "alpha"):
        v.expect(not v.has(name) or v.shape(name) == (channels,), f"{name} of {channels} elements")
    return same(v)


def gelu(v: View) -> list[Shape]:
    v.text("mode", GELU_MODES)
    return same(v)


def layer_norm(v: View) -> list[Shape]:
    axes = sorted(v.axes("axes", v.type("x").rank))
    expected = tuple(v.shape("x")[a] for a in axes)
    for name in ("gamma", "beta"):
        v.expect(not v.has(name) or v.shape(name) == expected, f"{name} of shape {list(expected)}")
    return same(v)


def l2_norm(v: View) -> list[Shape]:
    v.expect(v.type("x").rank >= 3, "x of rank 3 or more")
    return same(v)


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        same, broadcast, select, reduce, reduce_arg, reverse, scan, reshape, transpose, expand_dims, squeeze,
        tile, pad, fill, concat, stack, split, slice_by_size, slice_by_index, gather, gather_nd, scatter_nd,
        matmul, conv, conv_transpose, pool, batch_norm, layer_norm, l2_norm, gelu,
    )
} | {"prelu": batch_norm, "instance_norm": batch_norm}  # fmt: skip
