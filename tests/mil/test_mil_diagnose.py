"""What `diagnose` finds: all that is broken, each with its rule, and what is known to go wrong beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anejax.errors import MilError
from anejax.mil import engine, hazards
from anejax.mil.chips import CHIPS
from anejax.mil.cost import predict
from anejax.mil.parse import parse
from anejax.mil.program import BlobRef, Builder, Op, Program, Type, Value
from anejax.mil.rules import GENERAL, NOTE, REFUSED, WRONG
from anejax.mil.verify import diagnose, verify
from tests.mil.samples import SAMPLES, program

F16 = "fp16"


def names(program: Program, chip: str, *severities: str) -> list[str]:
    return [f.rule.name for f in diagnose(program, chip) if f.rule.severity in (severities or (REFUSED, WRONG))]


BROKEN = """program(1.3)
[buildInfo = dict<string, string>({})]
{
    func main<ios18>(tensor<fp32, [4]> x, tensor<fp16, [1, 1, 1, 1, 1, 70000]> w) {
        tensor<fp32, [4]> a = exp(x = x)[name = string("a")];
        tensor<fp32, [4]> b = mod(x = a, y = a)[name = string("b")];
        tensor<fp32, [3]> c = add(x = a, y = a)[name = string("c")];
        tensor<fp16, [4]> d = cast(dtype = string("fp16"), x = x)[name = string("d")];
        tensor<fp16, [20]> e = tile(reps = tensor<int32, [1]>([5]), x = d)[name = string("e")];
        tensor<fp16, [20]> f = pow(x = e, y = e)[name = string("f")];
    } -> (x, c, f, f);
}
"""


def test_everything_is_found_with_its_line() -> None:
    found = diagnose(parse(BROKEN), "M1")
    wrong = [(f.line, f.op, f.rule.name) for f in found if f.rule.severity == REFUSED]
    assert wrong == [
        (0, "input", "rank"), (0, "input", "extent"),
        (0, "port", "port"), (0, "port", "port"), (0, "port", "port"),
        (0, "output", "returned"), (0, "output", "returned"),
        (5, "exp", "dtype"),
        (6, "mod", "target"),
        (7, "add", "dtype"), (7, "add", "shape"),
        (8, "cast", "dtype"),
        (9, "tile", "tile factors"),
        (10, "pow", "constant operand"), (10, "pow", "exponent"),
    ]  # fmt: skip
    assert all(f.message.startswith(f"[{f.op}] ") for f in found)
    assert "write x - floor(x / y) * y" in next(f.message for f in found if f.op == "mod")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.op)
@pytest.mark.parametrize("chip", ["M1", "M2", "M3", "M4", "M5"])
def test_agrees_with_the_verifier(sample: Any, chip: str) -> None:
    candidate = program(sample, F16)
    refusals = [f.message for f in diagnose(candidate, chip) if f.rule.severity == REFUSED]
    try:
        verify(candidate, "ane", CHIPS[chip].family)
    except MilError as error:
        assert str(error) in refusals
    else:
        assert not refusals
        assert predict(candidate, chip).us >= CHIPS[chip].floor_us


class Chain(Builder):
    """Builds float16 programs of one input, x."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.x = self.input("x", Type(F16, shape))

    def then(self, op: str, shape: tuple[int, ...], /, **operands: Any) -> Value:
        return self.op(op, operands, out=Type(F16, shape))

    def end(self, *values: Value) -> Program:
        self.returns(*values)
        return self.program()


def sliced(axis: int) -> Program:
    b, begin = Chain(8, 8), [0, 0]
    begin[axis] = 2
    parts = tuple(b.then("slice_by_size", (2, 2), x=b.x, begin=begin, size=[2, 2]) for _ in range(2))
    return b.end(b.then("concat", (4, 2), values=parts, axis=0, interleave=False))


def rounded(factor: Any) -> Program:
    b = Chain(4)
    return b.end(b.then("mul", (4,), x=b.then("floor", (4,), x=b.x), y=factor))


def squared(width: int) -> Program:
    b = Chain(2, width)
    return b.end(b.then("tanh", (2, width), x=b.then("square", (2, width), x=b.x)))


def root(reduced: bool) -> Program:
    b = Chain(4, 4)
    inner = b.then("reduce_max", (4, 1), x=b.x, axes=[1], keep_dims=True) if reduced else b.x
    return b.end(b.then("rsqrt", inner.type.shape, x=inner, epsilon=1e-6))


def joined(width: int) -> Program:
    b = Chain(width // 10, 10)
    row = b.then("reshape", (1, width), x=b.x, shape=[1, width])
    return b.end(b.then("concat", (2, width), values=(row, row), axis=0, interleave=False))


def strided(stride: int) -> Program:
    b = Chain(1, 1, 12, 12)
    side = 11 // stride + 1
    weight = np.ones((1, 1, 1, 1), np.float16)
    rest = {"pad_type": "valid", "pad": [0] * 4, "dilations": [1, 1], "groups": 1}
    return b.end(b.then("conv", (1, 1, side, side), x=b.x, weight=weight, strides=[stride] * 2, **rest))


def windowed(kernel: int = 1, dilation: int = 1) -> Program:
    b = Chain(1, 1, 20, 20)
    side = 20 - dilation * (kernel - 1)
    weight = np.ones((1, 1, kernel, kernel), np.float16)
    rest = {"pad_type": "valid", "pad": [0] * 4, "dilations": [dilation] * 2, "groups": 1, "strides": [1, 1]}
    return b.end(b.then("conv", (1, 1, side, side), x=b.x, weight=weight, **rest))


def dilated(dilation: int) -> Program:
    return windowed(2, dilation)


def pooled_by(stride: int) -> Program:
    b = Chain(1, 1, 20, 20)
    side = 19 // stride + 1
    window = {"kernel_sizes": [1, 1], "strides": [stride] * 2, "pad": [0] * 4, "pad_type": "valid", "ceil_mode": False}
    return b.end(b.then("max_pool", (1, 1, side, side), x=b.x, **window))


def grouped(features: int) -> Program:
    b = Chain(1, 2 * features, 4, 4)
    rest = {"pad_type": "valid", "pad": [0] * 4, "dilations": [1, 1], "groups": 2, "strides": [1, 1]}
    weight = np.ones((2, features, 1, 1), np.float16)
    return b.end(b.then("conv", (1, 2, 4, 4), x=b.x, weight=weight, **rest))


def pooled(size: int) -> Program:
    b = Chain(1, 1, 20, 20)
    window = {"kernel_sizes": [size] * 2, "strides": [1, 1], "pad": [0] * 4, "pad_type": "valid", "ceil_mode": False}
    return b.end(b.then("max_pool", (1, 1, 21 - size, 21 - size), x=b.x, **window))


def contracted(length: int) -> Program:
    b = Chain(2, length)
    return b.end(b.then("matmul", (2, 2), x=b.x, y=b.x, transpose_x=False, transpose_y=True))


def summed(length: int) -> Program:
    b = Chain(2, length)
    return b.end(b.then("reduce_sum", (2, 1), x=b.x, axes=[1], keep_dims=True))


def normed(*shape: int) -> Program:
    b = Chain(*shape)
    affine = {"gamma": np.ones(shape[1]), "beta": np.ones(shape[1]), "epsilon": 1e-5}
    return b.end(b.then("instance_norm", shape, x=b.x, **affine))


def leaking(*shape: int) -> Program:
    b = Chain(*shape)
    return b.end(b.then("prelu", shape, x=b.x, alpha=np.ones(shape[1])))


def tiled() -> Program:
    b = Chain(4)
    return b.end(b.then("tile", (8,), x=b.x, reps=[2]))


def masked(value: float) -> Program:
    """Scores that are masked, and reach the maximum of a softmax by way of a reshape."""
    b = Chain(2, 4, 4)
    scores = b.then("add", (2, 4, 4), x=b.x, y=np.array([[0, value, 0, 0]], np.float16))
    rows = b.then("reshape", (8, 4), x=scores, shape=[8, 4])
    return b.end(b.then("reduce_max", (8, 1), x=rows, axes=[1], keep_dims=True))


def softmax(axis: int) -> Program:
    b = Chain(1, 64, 1, 1024)
    return b.end(b.then("softmax", b.x.type.shape, x=b.x, axis=axis))


def narrow(last: int) -> Program:
    b = Chain(2**18, last) if last < 31 else Chain(2**18, 1, last)
    return b.end(b.then("relu", b.x.type.shape, x=b.x))


def heavy(rows: int) -> Program:
    b = Chain(1, 65536)
    weight = b.const(BlobRef("w.bin", 64), Type(F16, (rows, 65536)))
    return b.end(b.then("add", (rows, 65536), x=b.x, y=weight))


@pytest.mark.parametrize(
    ("rule", "make", "bad", "fine", "chips", "spared"),
    [
        ("slice offset", sliced, 1, 0, ("M1", "M2"), ("M3", "M4", "M5")),
        ("joined slices", sliced, 1, 0, ("M1", "M2", "M3"), ("M4", "M5")),
        ("scaled rounding", rounded, 2.0, np.full(4, 2.0), ("M1", "M5"), ()),
        ("curved square", squared, 100, 128, ("M1", "M5"), ()),
        ("root of a reduction", root, True, False, ("M1", "M5"), ()),
        ("wide rows", joined, 100_000, 10_000, ("M1", "M5"), ()),
        ("stride", strided, 5, 4, ("M1", "M5"), ()),
        ("stride", strided, 7, 6, ("M1", "M5"), ()),
        ("pooling stride", pooled_by, 3, 4, ("M1", "M5"), ()),
        ("large kernel", windowed, 7, 6, ("M1", "M5"), ()),
        ("long dilation", dilated, 4, 3, ("M1", "M5"), ()),
        ("mask", masked, -65504, -40000, ("M1", "M5"), ()),
        ("softmax axis", softmax, -1, 1, ("M1", "M5"), ()),
        ("last axis", narrow, 1, 32, ("M1", "M5"), ()),
        ("last axis", narrow, 31, 32, ("M1", "M5"), ()),
        ("wide window", pooled, 9, 8, ("M1", "M5"), ()),
        ("long contraction", contracted, 32769, 32768, ("M4", "M5"), ()),
        ("split groups", grouped, 2049, 2048, ("M4",), ()),
        ("inexact sum", summed, 2049, 2048, ("M1", "M5"), ()),
        ("long reduction", summed, 200, 191, ("M1", "M2"), ("M3", "M4", "M5")),
        ("long reduction", summed, 384, 383, ("M3", "M4", "M5"), ()),
        ("weight bytes", heavy, 13_000, 12_000, ("M5",), ()),
    ],
)
def test_hazards(rule: str, make: Callable[..., Program], bad: Any, fine: Any, chips: Any, spared: Any) -> None:
    for chip in chips:
        assert rule in names(make(bad), chip, WRONG, NOTE)
        assert rule not in names(make(fine), chip, WRONG, NOTE)
    for chip in spared:
        assert rule not in names(make(bad), chip, WRONG, NOTE)


def test_hazards_of_single_operations() -> None:
    assert names(tiled(), "M3") == ["tile"] and names(tiled(), "M4") == []
    assert names(normed(2, 3, 4), "M4") == ["instance_norm rank"] and names(normed(1, 2, 3, 4), "M4") == []
    assert names(leaking(2, 3), "M4") == ["prelu rank"] and names(leaking(2, 3, 4), "M4") == []


def test_notes_on_accuracy_come_once() -> None:
    b = Chain(4)
    y = b.then("exp", (4,), x=b.then("exp", (4,), x=b.x))
    assert [f.message for f in diagnose(b.end(y), "M4")] == ["[exp] overflows above 11.09"]


def test_what_apple_asks_of_core_ai() -> None:
    b = Chain(4)
    b.input("n", Type("uint8", (64,)))
    program = b.end(b.then("tanh", (4,), x=b.then("tanh", (4,), x=b.x)))
    found = [f for f in diagnose(program, "M4") if "[apple]" in f.rule.source]
    assert [(f.rule.name, f.rule.severity) for f in found] == [("sigmoid form", NOTE), ("port dtype", NOTE)]
    assert "uint8" in found[1].message
    small = Chain(4)
    state = Op("write_state", {"input": small.x, "data": small.x}, (Value("s", Type(F16, (4,))),))
    program = small.end(small.then("relu", (4,), x=small.x))
    program = Program((replace(program.main, ops=(state, *program.main.ops)),))
    (broken,) = (f for f in diagnose(program, "M4") if f.rule.severity == REFUSED)
    assert broken.rule.name == "state"
    assert "reads or writes of state" in broken.message


def test_every_rule_says_where_from_and_what_to_do() -> None:
    rules = [*GENERAL.values(), *engine.RULES.values(), *hazards.HAZARDS, hazards.WEIGHTS]
    assert all(r.source and r.fix and r.severity in (REFUSED, WRONG, NOTE) for r in rules)
    assert len({r.name for r in rules}) == len(rules) - 3  # "long reduction" is there for each family
    assert not {*GENERAL} & {*engine.RULES}


def test_unknown_chips() -> None:
    with pytest.raises(MilError, match=r"^\[chip\] expected one of M1, .* got 'M0'"):
        diagnose(tiled(), "M0")
