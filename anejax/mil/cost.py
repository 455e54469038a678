"""Predicts the time of a program on a chip's Neural Engine, from published timings (chips.py).

    time = floor + sum over operations of
           border bytes / transfer rate + max(FLOP / peak, weight bytes / weight rate) + extra

*Border bytes* are inputs at their first reader, outputs at their producer, and values too large for the SRAM at their
producer and once for each pass that reads them. Rows count as padded to 64 bytes. groups.py decides on passes: inside a
pass, values and elementwise operations are free, and reshapes move no bytes. *Weights* are constant operands of
products, and inputs that products read first. *extra* is the additional time of norms, softmax and reductions, and of
constants beyond the SRAM on M1. A matrix product of two computed operands takes at least as long as a square product of
as many FLOP took on that chip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anejax.errors import MilError, fail
from anejax.mil.chips import BY_FEATURE, EXTRA_NS_PER_BYTE, FREE_OP_US, MEDIAN_ERROR, ROW_BYTES, Chip, Points, chip_of
from anejax.mil.groups import ALIASES, groups
from anejax.mil.opset import OPSET
from anejax.mil.program import NUMPY_DTYPES, Function, Op, Program, Type, Value
from anejax.mil.view import View

CONVOLUTIONS = ("conv", "conv_transpose")
SLICES = ("slice_by_size", "slice_by_index")
FEW = 16  # features of a group, below which a convolution goes feature by feature
LATE_BYTES = 2e6  # constants from here on take Chip.late_weight


@dataclass(frozen=True)
class OpCost:
    """The predicted time of one operation: `us` in microseconds, above the floor."""

    op: str
    result: str
    flops: int  # 2 per multiply-add of products; other operations count none
    constant_bytes: int
    border_bytes: int
    us: float
    bound: str  # the cause of most of the time: transfer, compute, weights, extra; "" if nothing is charged
    runs: int = 1  # the number of runs that the figures add up

    def times(self, runs: int) -> OpCost:
        """The cost of running the operation several times."""
        return replace(
            self, flops=runs * self.flops, constant_bytes=runs * self.constant_bytes,
            border_bytes=runs * self.border_bytes, us=runs * self.us, runs=runs * self.runs,
        )  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """The predicted time of a program on a chip, as one dispatch or several in sequence."""

    chip: str
    floor_us: float
    ops: tuple[OpCost, ...]

    def times(self, runs: int) -> Cost:
        """The cost of several dispatches."""
        return Cost(self.chip, runs * self.floor_us, tuple(op.times(runs) for op in self.ops))

    @property
    def us(self) -> float:
        """Microseconds of one run."""
        return self.floor_us + sum(op.us for op in self.ops)

    @property
    def most_us(self) -> float:
        """The prediction and the stated error, were each uncharged operation to take what it can."""
        free = sum(op.runs for op in self.ops if op.us == 0)
        return self.us * (1 + MEDIAN_ERROR) + FREE_OP_US * free

    @property
    def flops(self) -> int:
        """Floating-point operations of products, 2 per multiply-add."""
        return sum(op.flops for op in self.ops)

    @property
    def constant_bytes(self) -> int:
        return sum(op.constant_bytes for op in self.ops)

    @property
    def border_bytes(self) -> int:
        """Bytes that cross the program's border or do not fit the SRAM, padding included."""
        return sum(op.border_bytes for op in self.ops)

    def by_operation(self) -> list[tuple[str, int, float, int]]:
        """Rows (operation, count, microseconds, FLOP), the longest time first."""
        rows: dict[str, tuple[int, float, int]] = {}
        for op in self.ops:
            count, us, flops = rows.get(op.op, (0, 0.0, 0))
            rows[op.op] = count + op.runs, us + op.us, flops + op.flops
        return sorted(((name, *row) for name, row in rows.items()), key=lambda r: -r[2])

    def to_json(self) -> dict[str, Any]:
        """Totals and the table by operation, for JSON."""
        keys = ("operation", "count", "us", "flops")
        return {
            "chip": self.chip, "us": self.us, "most_us": self.most_us, "floor_us": self.floor_us,
            "flops": self.flops, "border_bytes": self.border_bytes, "constant_bytes": self.constant_bytes,
            "operations": [dict(zip(keys, row)) for row in self.by_operation()],
        }  # fmt: skip


def in_sequence(chip: str, costs: Iterable[Cost]) -> Cost:
    """All of ``costs`` as one: times, FLOP and bytes add up, and its floor is that of all dispatches."""
    costs = list(costs)
    return Cost(chip, sum(c.floor_us for c in costs), tuple(op for c in costs for op in c.ops))


def predict(program: Program, chip: str) -> Cost:
    """The predicted time of one run of ``program``, which verifies for target ane, on ``chip`` ("M1" ... "M6").

    Raises MilError for a chip that is not known and for operations that the engine does not have.
    """
    figures = chip_of(chip)
    return Cost(chip, figures.floor_us, tuple(_Costs(program.main, figures).all()))


class _Costs:
    """Walks one function and remembers what each pass has read."""

    def __init__(self, function: Function, chip: Chip) -> None:
        self.chip, self.function = chip, function
        self.groups = groups(function)
        source = self.groups.source
        self.inputs = {*function.inputs}
        self.unread = {*function.inputs}
        self.outputs = {source.get(v, v) for v in function.outputs}
        made = (v for op in function.ops for v in op.results)
        images = self.groups.images
        self.spilled = {v for v in (*function.inputs, *made) if v.type.nbytes / images.get(v, 1) > chip.resident_bytes}
        self.home = {v: self.groups.passes[op] for op in function.ops for v in op.results}
        self.fetched: set[tuple[Value, int]] = set()

    def all(self) -> Iterator[OpCost]:
        for op in self.function.ops:
            schema = OPSET.get(op.name)
            if schema is None or schema.engine is None:
                fail(op.name, "expected an operation of the engine (anejax/mil/opset.py), got another", MilError)
            yield self.cost(op, View(op, schema))

    def cost(self, op: Op, view: View) -> OpCost:
        reads = dict.fromkeys(self.groups.source.get(v, v) for v in op.values())
        across = [] if op.name in ALIASES else [v for v in reads if self.crosses(v, op)]
        weights = [v for v in across if v in self.inputs and self.is_weight(v, view)]
        self.unread.difference_update(across)
        made = [] if op.name in ALIASES else [v for v in op.results if self.is_left(v, op)]
        tensors = [v for v in (*reads, *op.results) if v.const is None]
        flops = product_flops(view)
        constant = sum(v.type.nbytes for v in reads if v.const is not None and v.type.rank) if flops else 0
        streamed = sum(padded_bytes(v.type) for v in weights)
        border = sum(self.brought(v, op) for v in across) + sum(padded_bytes(v.type) for v in made)
        parts = self.parts(view, flops, constant, streamed, border - streamed, tensors)
        us = sum(parts.values())
        whole = len(across) == len(reads) - sum(v.const is not None for v in reads) and not constant
        if op.name == "matmul" and whole and self.chip.product_points:
            us = max(us, flops / _rate(self.chip.product_points, _matrix_flops(view)) * 1e-6)
        bound = max(parts, key=lambda k: parts[k]) if us else ""
        return OpCost(op.name, op.results[0].name if op.results else "", flops, constant, border, us, bound)

    def crosses(self, v: Value, op: Op) -> bool:
        """Whether ``v`` has to be brought in for ``op``: for the first time, or again for another pass."""
        number = self.groups.passes[op]
        if v in self.unread:
            self.fetched.add((v, number))
            return True
        if v not in self.spilled or self.home.get(v) == number or (v, number) in self.fetched:
            return False
        self.fetched.add((v, number))
        return True

    def brought(self, v: Value, op: Op) -> int:
        """The bytes of ``v`` that ``op`` reads from memory: of a value that is there anyway, a slice reads its part."""
        whole = padded_bytes(v.type)
        return (
            min(whole, *(padded_bytes(r.type) for r in op.results))
            if op.name in SLICES and v in self.spilled
            else whole
        )

    def is_left(self, v: Value, op: Op) -> bool:
        """Whether ``v`` is brought out: as a result, or since it does not fit and another pass reads it."""
        return v in self.outputs or (v in self.spilled and self.groups.leaves(v, op))

    def is_weight(self, v: Value, view: View) -> bool:
        """Whether an input is read by a product, and of a convolution the weight."""
        if view.op.name not in CONVOLUTIONS:
            return view.op.name == "matmul"
        weight = view.value("weight")
        return self.groups.source.get(weight, weight) is v

    def parts(
        self, view: View, flops: int, constant: int, streamed: int, border: int, tensors: list[Value]
    ) -> dict[str, float]:
        """Microseconds by cause; weights are read while products are computed, so the shorter of the two counts 0."""
        late, rate = 0.0, self.chip.weight_gbs
        if self.chip.late_weight and constant > LATE_BYTES:
            late, rate = self.chip.late_weight
        extra = EXTRA_NS_PER_BYTE.get(view.op.name, 0.0) * sum(v.type.nbytes for v in tensors) * 1e-3
        slower = BY_FEATURE if _is_by_feature(view) else 1
        compute = flops * slower / self.chip.peak_tflops * 1e-6
        stream = (constant / rate + streamed / self.chip.weight_gbs) * 1e-3
        return {
            "transfer": border / self.chip.transfer_gbs * 1e-3,
            "compute": compute if compute >= stream else 0.0,
            "weights": stream if stream > compute else 0.0,
            "extra": extra + late,
        }


def _is_by_feature(view: View) -> bool:
    """Whether a convolution has so few features in a group that it is no product of matrices."""
    return view.op.name in CONVOLUTIONS and view.shape("weight")[1] < FEW and view.integer("groups") > 1


def _rate(points: Points, flops: float) -> float:
    """TFLOP/s at ``flops``: straight lines between points in logarithms, flat outside."""
    at, rates = ([math.log(value) for value in column] for column in zip(*points))
    return math.exp(float(np.interp(math.log(max(flops, 1)), at, rates)))


def padded_bytes(type: Type) -> int:
    """The bytes of a value in memory, rows of its last axis padded to 64."""
    if type.dtype == "string" or not type.shape:
        return type.nbytes
    row = type.shape[-1] * NUMPY_DTYPES[type.dtype].itemsize
    return math.prod(type.shape[:-1]) * -(-row // ROW_BYTES) * ROW_BYTES


def product_flops(v: View) -> int:
    """2 per multiply-add of a matrix product or a convolution; 0 for other operations."""
    if v.op.name == "matmul":
        return _matrix_flops(v) * math.prod(v.op.results[0].type.shape[:-2])
    if v.op.name in CONVOLUTIONS:
        places = v.type("x") if v.op.name == "conv_transpose" else v.op.results[0].type
        return 2 * places.size * math.prod(v.shape("weight")[1:])
    return 0


def _matrix_flops(v: View) -> int:
    """The FLOP of one product of the batch."""
    rows, columns = (1, 1, *v.op.results[0].type.shape)[-2:]
    return 2 * rows * columns * (1, *v.shape("x"))[-2 if v.flag("transpose_x") else -1]
