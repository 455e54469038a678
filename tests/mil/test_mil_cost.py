"""The cost model against published timings, and its accounting against arithmetic."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from anejax.errors import MilError
from anejax.mil import limits
from anejax.mil.chips import CHIPS
from anejax.mil.cost import padded_bytes, predict, product_flops
from anejax.mil.opset import OPSET
from anejax.mil.program import Builder, Program, Type
from anejax.mil.verify import verify
from anejax.mil.view import View
from tests.mil import published

TIMINGS = [*published.timings()]
WORST = 0.45  # M4 Pro's smallest matrix product; all others are within 0.34


def error(chip: str, program: Program, ms: float) -> float:
    return abs(predict(program, chip).us / 1e3 / ms - 1)


@pytest.mark.parametrize(("chip", "what", "program", "ms"), TIMINGS, ids=[f"{c} {w}" for c, w, *_ in TIMINGS])
def test_published_timings(chip: str, what: str, program: Program, ms: float) -> None:
    verify(program, "ane", CHIPS[chip].family)
    assert error(chip, program, ms) < (WORST if (chip, what) == ("M4 Pro", "square 512") else 0.34)


@pytest.mark.parametrize("chip", sorted({chip for chip, *_ in TIMINGS}))
def test_median_error_by_chip(chip: str) -> None:
    assert statistics.median(error(c, program, ms) for c, _, program, ms in TIMINGS if c == chip) < 0.09


def test_median_error_without_interpolated_products() -> None:
    """docs/engine.md states these."""
    errors = [error(chip, program, ms) for chip, what, program, ms in TIMINGS if "square" not in what]
    assert len(errors) > 60
    assert statistics.median(errors) < 0.08
    assert statistics.mean(errors) < 0.10


def test_published_ratios() -> None:
    """One program for 32 convolutions with ReLU takes as long on M1 as one (0.19 ms a program, 6.3 us a layer)."""
    layers = predict(published.conv(32, 16, layers=32), "M1")
    assert layers.us < 1.35 * predict(published.conv(32, 16), "M1").us
    cheap = predict(published.unary("relu", 256, 1024), "M5 Pro").us
    assert predict(published.unary("layer_norm", 256, 1024), "M5 Pro").us > 2 * cheap


def chain() -> Program:
    """y = relu(x @ w) @ w, everything float16."""
    b = Builder()
    x, w = b.input("x", Type("fp16", (8, 100))), b.input("w", Type("fp16", (100, 100)))
    flags = {"transpose_x": False, "transpose_y": False}
    h = b.op("matmul", {"x": x, "y": w, **flags}, out=x.type)
    h = b.op("relu", {"x": h}, out=x.type)
    b.returns(b.op("matmul", {"x": h, "y": w, **flags}, out=x.type))
    return b.program()


def test_accounting() -> None:
    """Inputs count where they are first read, outputs where they are made, what is between not at all."""
    cost = predict(chain(), "M5 Pro")
    first, relu, last = cost.ops
    row = 256  # 100 float16 numbers are 200 bytes, padded to 256
    assert (first.border_bytes, relu.border_bytes, last.border_bytes) == (108 * row, 0, 8 * row)
    assert first.flops == last.flops == 2 * 8 * 100 * 100 and cost.flops == 320_000
    assert (relu.us, relu.bound) == (0, "") and first.bound == "weights"
    assert cost.us == pytest.approx(75 + first.us + last.us)
    assert cost.most_us == pytest.approx(1.31 * cost.us + 6.3)
    assert cost.by_operation()[0] == ("matmul", 2, pytest.approx(first.us + last.us), 320_000)
    assert cost.to_json()["flops"] == 320_000


def test_values_that_do_not_fit_travel_twice() -> None:
    b = Builder()
    x = b.input("x", Type("fp16", (1, 4, 1024, 1024)))
    wide = b.op("relu", {"x": x}, out=x.type)
    b.returns(b.op("reduce_max", {"x": wide, "axes": [-1], "keep_dims": True}, out=Type("fp16", (1, 4, 1024, 1))))
    first, second = predict(b.program(), "M5 Pro").ops
    assert first.border_bytes == 2 * x.type.nbytes
    assert second.border_bytes == x.type.nbytes + 4 * 1024 * 64


def test_slices_of_what_does_not_fit_read_their_part() -> None:
    """Of an input that fits, and is brought in for the first of them, they read all."""

    def read(rows: int) -> list[int]:
        b = Builder()
        x = b.input("x", Type("fp16", (1, 4, rows, 1024)))
        part = Type("fp16", (1, 4, 8, 1024))
        begins = ([0, 0, 0, 0], [0, 0, 8, 0])
        found = [b.op("slice_by_size", {"x": x, "begin": i, "size": list(part.shape)}, out=part) for i in begins]
        wide = Type("fp16", (1, 4, 16, 1024))
        b.returns(b.op("concat", {"values": tuple(found), "axis": 2, "interleave": False}, out=wide))
        return [op.border_bytes for op in predict(b.program(), "M5 Pro").ops[:2]]

    eight = 4 * 8 * 1024 * 2
    assert read(16) == [2 * eight, 0]
    assert read(1024) == [eight, eight]


@pytest.mark.parametrize(
    ("shape", "bytes"), [((), 2), ((1,), 64), ((32,), 64), ((33,), 128), ((3, 5, 1), 960), ((2, 64), 256)]
)
def test_padding(shape: tuple[int, ...], bytes: int) -> None:
    assert padded_bytes(Type("fp16", shape)) == bytes


def test_flops_of_batched_and_grouped_products() -> None:
    b = Builder()
    x, y = b.input("x", Type("fp16", (3, 4, 5, 7))), b.input("y", Type("fp16", (1, 4, 6, 7)))
    b.op("matmul", {"x": x, "y": y, "transpose_x": False, "transpose_y": True}, out=Type("fp16", (3, 4, 5, 6)))
    image, kernel = b.input("i", Type("fp16", (2, 8, 9, 9))), b.input("k", Type("fp16", (6, 4, 3, 3)))
    b.op("conv", {"x": image, "weight": kernel, "groups": 2}, out=Type("fp16", (2, 6, 7, 7)))
    counts = [product_flops(View(op, OPSET[op.name])) for op in b.program().main.ops]
    assert counts == [2 * 12 * 5 * 6 * 7, 2 * (2 * 6 * 49) * (4 * 9)]


def test_every_chip_has_a_family_and_predicts() -> None:
    for name, chip in CHIPS.items():
        assert chip.family == limits.FAMILY_OF_CHIP[name.split()[0]]
        assert predict(chain(), name).us > chip.floor_us


def test_refusals() -> None:
    with pytest.raises(MilError, match=r"^\[chip\] expected one of M1, .*, got 'M9'"):
        predict(chain(), "M9")
    b = Builder()
    b.returns(b.op("aj_neg", {"x": b.input("x", Type("fp16", (2,)))}, out=Type("fp16", (2,))))
    with pytest.raises(MilError, match=r"^\[aj_neg\] expected an operation of the engine"):
        predict(b.program(), "M4")


def images(*, statistics: bool) -> Program:
    """64 images, of 0.5 MB each: convolved twice with an activation between; or less their mean over all images."""
    b = Builder()
    x = b.input("x", Type("fp16", (64, 64, 64, 64)))
    weight = b.const(np.ones((64, 64, 1, 1), np.float16))
    lists = {"strides": [1, 1], "pad_type": "custom", "pad": [0] * 4, "dilations": [1, 1], "groups": 1}
    y = b.op("conv", {"x": x, "weight": weight, **lists}, out=x.type)
    if statistics:
        means = b.op("reduce_mean", {"x": y, "axes": [0], "keep_dims": True}, out=Type("fp16", (1, 64, 64, 64)))
        y = b.op("sub", {"x": y, "y": means}, out=x.type)
    y = b.op("relu", {"x": y}, out=x.type)
    b.returns(b.op("conv", {"x": y, "weight": weight, **lists}, out=x.type))
    return b.program()


def test_images_one_by_one_unless_all_are_needed() -> None:
    """What is less its mean over the batch is kept whole meanwhile: made, read for the mean, and read again."""
    whole = 64 * 64 * 64 * 64 * 2
    assert predict(images(statistics=False), "M1").border_bytes == 2 * whole
    assert predict(images(statistics=True), "M1").border_bytes == 5 * whole


def test_elementwise_operations_join_a_pass() -> None:
    """Values past the SRAM that go from one elementwise operation to the next are not brought out."""
    b = Builder()
    x = b.input("x", Type("fp16", (4096, 4096)))
    y = b.op("tanh", {"x": x}, out=x.type)
    z = b.op("mul", {"x": y, "y": x}, out=x.type)
    b.returns(b.op("add", {"x": z, "y": y}, out=x.type))
    assert predict(b.program(), "M4").border_bytes == 2 * 4096 * 4096 * 2


def test_features_that_do_not_mix_are_slow() -> None:
    """A convolution of each feature by itself is no product of matrices."""
    lists = {"strides": [1, 1], "pad_type": "custom", "pad": [1] * 4, "dilations": [1, 1]}

    def us(groups: int) -> float:
        b = Builder()
        x = b.input("x", Type("fp16", (1, 64, 32, 32)))
        weight = b.const(np.ones((64, 64 // groups, 3, 3), np.float16))
        b.returns(b.op("conv", {"x": x, "weight": weight, "groups": groups, **lists}, out=x.type))
        (op,) = predict(b.program(), "M4").ops
        return op.us / op.flops

    assert us(64) > 10 * us(1)
