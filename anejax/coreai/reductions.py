"""Translates reductions, cumulative operations, sorting and normalisations to Core AI."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from anejax.coreai.operands import WRITERS, Operation, writes
from anejax.coreai.text import Tensor, absent
from anejax.coreai.words import I32, U32, Writer

_NAMES = {"reduce_sum": "reduce_sum", "reduce_max": "reduce_max", "reduce_min": "reduce_min",
          "reduce_prod": "reduce_product"}  # fmt: skip
_OF_BOOLS = {"reduce_max": "any", "reduce_min": "all"}


def _axes(op: Operation, x: Tensor) -> list[int]:
    return list(op.const("axes", list(range(x.rank))))


def _reduction(name: str, theirs: str) -> None:
    @writes(name)
    def mil(w: Writer, op: Operation) -> Tensor:
        x = op.tensor()
        return w.reduce(theirs, x, _axes(op, x), op.const("keep_dims"))

    @writes(f"aj_{name}")
    def aj(w: Writer, op: Operation) -> Tensor:
        x = op.tensor()
        return w.reduce(_OF_BOOLS.get(name, theirs) if x.is_bool else theirs, x, op.const("axes"))


for _name, _theirs in _NAMES.items():
    _reduction(_name, _theirs)


def _bits(name: str, theirs: str) -> None:
    @writes(f"aj_reduce_{name}")
    def write(w: Writer, op: Operation) -> Tensor:
        x, axes = op.tensor(), op.const("axes")
        return w.reduce(theirs, x, axes) if x.is_bool else _halves(w, f"bitwise_{name}", x, axes)


_bits("and", "all")
_bits("or", "any")


@writes("aj_reduce_xor")
def _xor(w: Writer, op: Operation) -> Tensor:
    x, axes = op.tensor(), op.const("axes")
    if not x.is_bool:
        return _halves(w, "bitwise_xor", x, axes)
    odd = w.binary("modulo", w.reduce("reduce_sum", w.cast(x, I32), axes), w.constant(np.int32(2)))
    return w.equal(odd, w.constant(np.int32(1)))


def _halves(w: Writer, name: str, x: Tensor, axes: Sequence[int]) -> Tensor:
    """A reduction of integers bit by bit, which Core AI lacks: halves are joined until one element is left."""
    kept = [n for a, n in enumerate(x.shape) if a not in axes]
    unit = -1 if name == "bitwise_and" else 0
    for axis in axes:
        if x.shape[axis] == 0:
            shape = [1 if a == axis else n for a, n in enumerate(x.shape)]
            x = w.broadcast(w.constant(np.asarray(unit).astype(x.dtype)), shape)
        while x.shape[axis] > 1:
            half = x.shape[axis] // 2
            pairs = w.binary(name, w.along(x, axis, 0, half), w.along(x, axis, half, 2 * half))
            x = w.concat([pairs, w.along(x, axis, 2 * half, x.shape[axis])], axis)
    return w.reshape(x, kept)


def mean(w: Writer, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    """The mean; of integers the sum over the count, since Core AI refuses them (hazard 14)."""
    if x.is_float:
        return w.reduce("reduce_mean", x, axes, keep)
    return w.divide(w.reduce("reduce_sum", x, axes, keep), w.like(math.prod(x.shape[a] for a in axes), x))


@writes("reduce_mean")
def _mean(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return mean(w, x, _axes(op, x), op.const("keep_dims"))


@writes("reduce_sum_square")
def _sum_square(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.reduce("reduce_sum", w.mul(x, x), _axes(op, x), op.const("keep_dims"))


@writes("reduce_log_sum_exp")
def _log_sum_exp(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    axes = _axes(op, x)
    most = w.reduce("reduce_max", x, axes, True)
    total = w.reduce("reduce_sum", w.unary("exp", w.sub(x, most)), axes, True)
    return w.reshape(w.add(most, w.unary("log", total)), op.shape)


@writes("reduce_argmax", "reduce_argmin", "aj_argmax", "aj_argmin")
def _argmax(w: Writer, op: Operation) -> Tensor:
    """As lax.argmax: the first of equals, and NaN before all, which Core AI's passes over (hazard 10)."""
    x = op.tensor()
    axis = op.const("axis") % x.rank
    out = ([1 if a == axis else n for a, n in enumerate(x.shape)], U32)
    x = w.cast(x, I32) if x.is_bool else x
    if op.name.endswith("min"):
        x = w.neg(x) if x.is_float else w.flipped(x)
    at = w.op("argmax", x, w.index(axis), out=out)
    if x.is_float:
        nan = w.opposite(w.equal(x, x))
        first = w.op("argmax", w.cast(nan, I32), w.index(axis), out=out)
        at = w.where(w.reduce("any", nan, [axis], True), first, at)
    return w.reshape(w.cast(at, op.dtype), op.shape)


# ---- scans and sorting

_SCANS = {"cumsum": 0, "cumprod": 1, "cummin": 2, "cummax": 3}


def _scan(w: Writer, x: Tensor, axis: int, reverse: bool, code: int) -> Tensor:
    return w.op("scan", x, w.sizes(axis), w.constant(bool(reverse)), out=(x.shape, x.dtype),
                attributes=f"scan_op = {code} : i32")  # fmt: skip


for _name, _code in _SCANS.items():
    WRITERS[f"aj_{_name}"] = lambda w, op, code=_code: _scan(
        w, op.tensor(), op.const("axis"), op.const("reverse"), code
    )


@writes("cumsum")
def _cumsum(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    total = _scan(w, x, op.const("axis") % x.rank, op.const("reverse"), _SCANS["cumsum"])
    return w.sub(total, x) if op.const("exclusive") else total


@writes("aj_cumlogsumexp")
def _cumlogsumexp(w: Writer, op: Operation) -> Tensor:
    """Relative to the greatest so far would be exact; relative to the greatest of all is what Core AI can scan."""
    x, axis = op.tensor(), op.const("axis")
    most = w.reduce("reduce_max", x, [axis], True)
    total = _scan(w, w.unary("exp", w.sub(x, most)), axis, op.const("reverse"), _SCANS["cumsum"])
    return w.add(most, w.unary("log", total))


@writes("aj_sort")
def _sort(w: Writer, op: Operation) -> list[Tensor]:
    """Sorts by one key after the other with stable orders, the last key first."""
    values, axis = op.tensors("values"), w.index(op.const("dimension"))
    order: Tensor | None = None
    along = lambda x, at: w.op("gather_along_axis", x, at, axis, out=(x.shape, x.dtype))  # noqa: E731
    for key in reversed(values[: op.const("num_keys")]):
        key = w.cast(key, I32) if key.is_bool else key
        key = key if order is None else along(key, order)
        mine = w.op("argsort", key, axis, w.constant(False), w.constant(True), out=(key.shape, I32))
        order = mine if order is None else along(order, mine)
    if order is None:
        absent("sorting without keys")
    return [along(x, order) for x in values]


@writes("argsort")
def _argsort(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.op("argsort", x, w.index(op.const("axis") % x.rank), w.constant(not op.const("ascending")),
                w.constant(True), out=(x.shape, I32))  # fmt: skip


# ---- normalisations


@writes("softmax")
def _softmax(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return w.op("softmax", x, w.index(op.const("axis") % x.rank), out=(x.shape, x.dtype))


def _normalized(w: Writer, op: Operation, x: Tensor, axes: Sequence[int], affine: Sequence[int]) -> Tensor:
    """(x - mean) / deviation over ``axes``, times gamma plus beta, which have the lengths of x along ``affine``."""
    centred = w.sub(x, mean(w, x, axes, True))
    variance = mean(w, w.mul(centred, centred), axes, True)
    scale = w.unary("rsqrt", w.add(variance, w.like(op.const("epsilon"), x)))
    return _affine(w, op, w.mul(centred, scale), affine)


def _affine(w: Writer, op: Operation, y: Tensor, axes: Sequence[int]) -> Tensor:
    shape = [n if a in axes else 1 for a, n in enumerate(y.shape)]
    gamma, beta = op.optional("gamma"), op.optional("beta")
    y = y if gamma is None else w.mul(y, w.reshape(gamma, shape))
    return y if beta is None else w.add(y, w.reshape(beta, shape))


@writes("layer_norm")
def _layer_norm(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    axes = [a % x.rank for a in _axes(op, x)]
    return _normalized(w, op, x, axes, axes)


@writes("instance_norm")
def _instance_norm(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    return _normalized(w, op, x, list(range(2, x.rank)), [1])


@writes("batch_norm")
def _batch_norm(w: Writer, op: Operation) -> Tensor:
    x = op.tensor()
    shape = [n if a == 1 else 1 for a, n in enumerate(x.shape)]
    centre, variance = (w.reshape(op.tensor(n), shape) for n in ("mean", "variance"))
    scale = w.unary("rsqrt", w.add(variance, w.like(op.const("epsilon"), x)))
    return _affine(w, op, w.mul(w.sub(x, centre), scale), [1])
