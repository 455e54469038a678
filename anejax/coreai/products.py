"""Translates matrix products, convolutions and windows to Core AI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.coreai.operands import Operation, writes
from anejax.coreai.text import Dims, Tensor, absent
from anejax.coreai.words import Writer, extreme

MOST_AXES = 3  # axes of a convolution or a window


@writes("matmul")
def _matmul(w: Writer, op: Operation) -> Tensor:
    sides: list[Tensor] = []
    for name, missing in (("x", -2), ("y", -1)):
        x = op.tensor(name)
        if x.rank == 1:
            x = w.reshape(x, (1, *x.shape) if missing == -2 else (*x.shape, 1))
        elif op.const(f"transpose_{name}"):
            x = w.transpose(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])
        sides.append(x)
    return w.reshape(w.matmul(*sides), op.shape)


@writes("aj_dot_general")
def _dot_general(w: Writer, op: Operation) -> Tensor:
    """Batch axes first, then the kept axes and the contracted axes, each as one axis."""
    if op.dtype.kind == "b":
        absent("products of bools")
    x, y = (w.cast(op.tensor(n), op.dtype) for n in ("x", "y"))
    x_batch, y_batch, x_sum, y_sum = (op.const(n) for n in ("x_batch", "y_batch", "x_contracting", "y_contracting"))
    x_kept = [d for d in range(x.rank) if d not in x_batch + x_sum]
    y_kept = [d for d in range(y.rank) if d not in y_batch + y_sum]
    size = lambda v, axes: math.prod(v.shape[d] for d in axes)  # noqa: E731
    batch = [x.shape[d] for d in x_batch]
    left = w.reshape(w.transpose(x, x_batch + x_kept + x_sum), (*batch, size(x, x_kept), size(x, x_sum)))
    right = w.reshape(w.transpose(y, y_batch + y_sum + y_kept), (*batch, size(y, y_sum), size(y, y_kept)))
    return w.reshape(w.matmul(left, right), op.shape)


# ---- convolutions


def convolved(
    w: Writer, x: Tensor, weight: Tensor, strides: Sequence[int], dilations: Sequence[int], groups: int
) -> Tensor:
    """x [N, C, ...] with weight [O, C / groups, ...], without padding, over up to three axes."""
    axes = x.rank - 2
    if axes > MOST_AXES:
        absent(f"convolution over {axes} axes")
    lead = [1] * max(0, 2 - axes)
    wide = lambda v: w.reshape(v, (*v.shape[:2], *lead, *v.shape[2:]))  # noqa: E731
    x, weight, strides, dilations = wide(x), wide(weight), [*lead, *strides], [*lead, *dilations]
    places = [
        (n - by * (k - 1) - 1) // step + 1 for n, k, step, by in zip(x.shape[2:], weight.shape[2:], strides, dilations)
    ]
    out = (x.shape[0], weight.shape[0], *places)
    if 0 in x.shape or 0 in weight.shape:
        y = w.broadcast(w.like(0, x), out)
    else:
        y = w.op(f"conv{len(places)}d", x, weight, w.sizes(strides), w.sizes(dilations), w.sizes(groups),
                 out=(out, x.dtype))  # fmt: skip
    return w.reshape(y, (*y.shape[:2], *y.shape[2 + len(lead) :]))


@writes("conv")
def _conv(w: Writer, op: Operation) -> Tensor:
    x, axes = op.tensor(), op.tensor().rank - 2
    ones = [1] * axes
    x = w.pad(x, *_mil_padding(op, axes), 0)
    y = convolved(w, x, op.tensor("weight"), op.const("strides", ones), op.const("dilations", ones),
                  op.const("groups"))  # fmt: skip
    bias = op.optional("bias")
    return y if bias is None else w.add(y, w.reshape(bias, (y.shape[1], *ones)))


def _mil_padding(op: Operation, axes: int) -> tuple[list[int], list[int]]:
    kind = op.const("pad_type")
    if kind not in ("valid", "custom"):
        absent(f"padding of type {kind}", "write it as custom")
    amounts = op.const("pad", [0] * (2 * axes)) if kind == "custom" else [0] * (2 * axes)
    return [0, 0, *amounts[::2]], [0, 0, *amounts[1::2]]


@writes("aj_conv_general_dilated")
def _conv_general(w: Writer, op: Operation) -> Tensor:
    """Integers go through float32, since Core AI refuses to convolve them (hazard 14)."""
    floats = op.dtype if op.dtype.kind not in "iu" else np.dtype(np.float32)
    x = w.cast(w.transpose(op.tensor(), op.const("lhs_spec")), floats)
    weight = w.cast(w.transpose(op.tensor("weight"), op.const("rhs_spec")), floats)
    amounts, groups, batches = op.const("padding"), op.const("feature_group_count"), op.const("batch_group_count")
    x = w.stuffed(x, w.like(0, x), [0, 0, *(d - 1 for d in op.const("lhs_dilation"))])
    x = w.pad(x, [0, 0, *amounts[::2]], [0, 0, *amounts[1::2]], 0)
    if batches > 1:
        n, c, *places = x.shape
        parts = w.transpose(w.reshape(x, (batches, n // batches, c, *places)), [1, 0, *range(2, x.rank + 1)])
        x, groups = w.reshape(parts, (n // batches, batches * c, *places)), batches
    y = convolved(w, x, weight, op.const("strides"), op.const("rhs_dilation"), groups)
    spec = op.const("out_spec")
    return w.cast(w.transpose(y, [spec.index(a) for a in range(y.rank)]), op.dtype)


@writes("conv_transpose")
def _conv_transpose(w: Writer, op: Operation) -> Tensor:
    """The gradient of a convolution: stuffed, padded, and convolved with the reversed kernel."""
    x, weight = op.tensor(), op.tensor("weight")  # weight [C, O / groups, ...]
    axes, groups = x.rank - 2, op.const("groups")
    ones = [1] * axes
    strides, dilations = op.const("strides", ones), op.const("dilations", ones)
    low, high = _mil_padding(op, axes)
    c, o, *kernel = weight.shape
    weight = w.reverse(weight, range(2, 2 + axes))
    weight = w.transpose(w.reshape(weight, (groups, c // groups, o, *kernel)), [0, 2, 1, *range(3, 3 + axes)])
    weight = w.reshape(weight, (groups * o, c // groups, *kernel))
    x = w.stuffed(x, w.like(0, x), [0, 0, *(s - 1 for s in strides)])
    full = [0, 0, *(by * (k - 1) for k, by in zip(kernel, dilations))]
    x = w.pad(x, [f - n for f, n in zip(full, low)], [f - n for f, n in zip(full, high)], 0)
    y = convolved(w, x, weight, ones, dilations, groups)
    bias = op.optional("bias")
    return w.reshape(y if bias is None else w.add(y, w.reshape(bias, (y.shape[1], *ones))), op.shape)


# ---- windows


def pooled(
    w: Writer, how: str, x: Tensor, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Tensor:
    """The "sum" or "max" of windows over any axes, up to three of them longer than 1; the others are joined."""
    long = [a for a in range(x.rank) if sizes[a] > 1 or strides[a] > 1]
    if len(long) > MOST_AXES:
        absent(f"windows over {len(long)} axes")
    rest = [a for a in range(x.rank) if a not in long]
    lead = [1] * max(0, 2 - len(long))
    y = w.transpose(x, rest + long)
    joined = (1, math.prod(x.shape[a] for a in rest), *lead, *(x.shape[a] for a in long))
    given = [[*lead, *(v[a] for a in long)] for v in (sizes, strides, dilations)]
    places: Dims = tuple((n - (k - 1) * by - 1) // step + 1 for n, k, step, by in zip(joined[2:], *given))
    flags = [w.constant(False)] if how == "max" else []  # not rounded up
    y = w.op(f"{how}_pool_{len(places)}d", w.reshape(y, joined), *map(w.sizes, given), *flags,
             out=((*joined[:2], *places), x.dtype))  # fmt: skip
    y = w.reshape(y, [*(x.shape[a] for a in rest), *places[len(lead) :]])
    return w.transpose(y, np.argsort(rest + long).tolist())


def _window(w: Writer, op: Operation, how: str) -> Tensor:
    x, amounts = op.tensor(), op.const("padding")
    if x.is_bool:
        absent("windows of bools")
    flip = w.neg if x.is_float else w.flipped
    x = flip(x) if how == "min" else x
    empty: Any = 0 if how == "sum" else extreme(x.dtype, lowest=True)
    x = w.stuffed(x, w.like(empty, x), [d - 1 for d in op.const("base_dilation")])
    x = w.pad(x, amounts[::2], amounts[1::2], empty)
    y = pooled(w, "sum" if how == "sum" else "max", x, op.const("window_dimensions"), op.const("window_strides"),
               op.const("window_dilation"))  # fmt: skip
    return flip(y) if how == "min" else y


writes("aj_reduce_window_sum")(lambda w, op: _window(w, op, "sum"))
writes("aj_reduce_window_max")(lambda w, op: _window(w, op, "max"))
writes("aj_reduce_window_min")(lambda w, op: _window(w, op, "min"))


@writes("max_pool", "avg_pool")
def _pool(w: Writer, op: Operation) -> Tensor:
    x, axes = op.tensor(), op.tensor().rank - 2
    if op.const("ceil_mode"):
        absent("pooling with ceil_mode")
    sizes, strides = [1, 1, *op.const("kernel_sizes")], [1, 1, *op.const("strides", [1] * axes)]
    low, high = _mil_padding(op, axes)
    ones = [1] * x.rank
    if op.name == "max_pool":
        return pooled(w, "max", w.pad(x, low, high, -np.inf), sizes, strides, ones)
    total = pooled(w, "sum", w.pad(x, low, high, 0), sizes, strides, ones)
    if not op.const("exclude_padding_from_average"):
        return w.divide(total, w.like(math.prod(sizes), total))
    places = w.broadcast(w.like(1, x), (1, 1, *x.shape[2:]))
    return w.divide(total, pooled(w, "sum", w.pad(places, low, high, 0), sizes, strides, ones))


@writes("aj_select_and_scatter_add")
def _select_and_scatter_add(w: Writer, op: Operation) -> Tensor:
    """Adds, for each place in the windows in order, the source to the first greatest element."""
    x, source = op.tensor("operand"), op.tensor("source")
    sizes, strides, amounts = op.const("window_dimensions"), op.const("window_strides"), op.const("padding")
    x = x if op.const("select") == "ge" else w.neg(x)
    wide = w.pad(x, amounts[::2], amounts[1::2], extreme(x.dtype, lowest=True))
    top = pooled(w, "max", wide, sizes, strides, [1] * x.rank)
    zero = w.like(0, source)
    taken: Tensor | None = None
    total: Tensor | None = None
    for place in np.ndindex(*sizes):
        ends = [at + (n - 1) * by + 1 for at, n, by in zip(place, source.shape, strides)]
        hit = w.equal(w.slice(wide, place, ends, strides), top)
        first = hit if taken is None else w.both(hit, w.opposite(taken))
        taken = hit if taken is None else w.either(taken, hit)
        given = w.stuffed(w.where(first, source, zero), zero, [by - 1 for by in strides])
        given = w.pad(given, place, [n - at - m for n, at, m in zip(wide.shape, place, given.shape)], 0)
        total = given if total is None else w.add(total, given)
    assert total is not None, "a window has a place"
    ends = [n - max(0, high) for n, high in zip(wide.shape, amounts[1::2])]
    return w.reshape(w.slice(total, [max(0, low) for low in amounts[::2]], ends), op.shape)
