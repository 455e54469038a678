"""Published timings of single programs on the Neural Engine: what the cost model is held against.

Each row is (program, milliseconds). Weights of convolutions and of `linear` are constants; both operands of a `square`
matrix product are inputs. Convolutions keep their map's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anejax.mil.program import BlobRef, Builder, Program, Type, Value


class _Halves(Builder):
    """A builder of float16 programs."""

    def half(self, *shape: int) -> Value:
        return self.input("x", Type("fp16", shape))

    def weight(self, *shape: int) -> Value:
        return self.const(BlobRef("weights.bin", 64), Type("fp16", shape))

    def then(self, op: str, operands: dict[str, Any], *shape: int) -> Value:
        return self.op(op, operands, out=Type("fp16", shape))

    def end(self, value: Value) -> Program:
        self.returns(value)
        return self.program()


def square(n: int) -> Program:
    b = _Halves()
    operands = {"x": b.half(n, n), "y": b.half(n, n), "transpose_x": False, "transpose_y": False}
    return b.end(b.then("matmul", operands, n, n))


def linear(m: int, k: int, n: int) -> Program:
    b = _Halves()
    operands = {"x": b.half(m, k), "y": b.weight(k, n), "transpose_x": False, "transpose_y": False}
    return b.end(b.then("matmul", operands, m, n))


def conv(channels: int, side: int, kernel: int = 3, batch: int = 1, layers: int = 1) -> Program:
    b = _Halves()
    x, pad = b.half(batch, channels, side, side), [(kernel - 1) // 2] * 4
    rest = {"strides": [1, 1], "pad": pad, "dilations": [1, 1], "groups": 1, "pad_type": "custom"}
    for _ in range(layers):
        weight = b.weight(channels, channels, kernel, kernel)
        x = b.then("conv", {"x": x, "weight": weight, **rest}, batch, channels, side, side)
    return b.end(x)


def unary(op: str, *shape: int) -> Program:
    b = _Halves()
    affine = {"gamma": b.weight(shape[-1]), "beta": b.weight(shape[-1]), "axes": [-1], "epsilon": 1e-5}
    extra = {"softmax": {"axis": -1}, "gelu": {"mode": "EXACT"}, "layer_norm": affine}
    return b.end(b.then(op, {"x": b.half(*shape), **extra.get(op, {})}, *shape))


def pool(op: str, channels: int, side: int) -> Program:
    b = _Halves()
    window = {"kernel_sizes": [2, 2], "strides": [2, 2], "pad": [0] * 4, "pad_type": "valid", "ceil_mode": False}
    if op == "avg_pool":
        window["exclude_padding_from_average"] = False
    return b.end(b.then(op, {"x": b.half(1, channels, side, side), **window}, 1, channels, side // 2, side // 2))


def attention(heads: int, length: int, width: int) -> Program:
    b = _Halves()
    q, k, v = (b.half(1, heads, length, width) for _ in range(3))
    flags = lambda y: {"transpose_x": False, "transpose_y": y}  # noqa: E731
    scores = b.then("matmul", {"x": q, "y": k, **flags(True)}, 1, heads, length, length)
    weights = b.then("softmax", {"x": scores, "axis": -1}, 1, heads, length, length)
    return b.end(b.then("matmul", {"x": weights, "y": v, **flags(False)}, 1, heads, length, width))


SQUARES = {
    "M1": {512: 0.332, 1024: 0.993, 2048: 4.96, 4096: 31.74},
    "M1 Pro": {512: 0.488, 1024: 1.332, 2048: 4.373, 4096: 29.97},
    "M2 Pro": {512: 0.582, 1024: 1.994, 2048: 7.48, 4096: 40.85},
    "M2 Max": {512: 0.289, 1024: 1.282, 2048: 3.81, 4096: 25.54},
    "M4": {512: 0.209, 1024: 0.746, 2048: 3.513, 4096: 25.29, 6144: 135.3, 8192: 313.5},
    "M4 Pro": {512: 0.137, 1024: 0.599, 2048: 2.771, 4096: 22.37},
    "M4 Max": {512: 0.139, 1024: 0.371, 2048: 1.937, 4096: 20.56, 6144: 123.7, 8192: 296.5},
    "M5": {512: 0.116, 1024: 0.434, 2048: 1.996, 4096: 18.93},
}
CONV_64 = {  # 3 x 3 on maps of 64 x 64: (channels, batch)
    "M1": {(64, 8): 1.58},
    "M1 Pro": {(64, 8): 1.356, (128, 8): 3.048, (256, 4): 4.07},
    "M2 Pro": {(256, 4): 3.21},
    "M2 Max": {(64, 8): 1.255, (128, 8): 2.67, (256, 4): 3.53},
    "M4 Pro": {(64, 8): 0.882},
    "M5": {(64, 8): 0.513, (128, 8): 1.146, (256, 4): 1.536},
}
CONV = {  # (kernel, channels, side)
    "M1": {(3, 256, 28): 0.507, (1, 512, 32): 0.444, (3, 512, 14): 0.832, (1, 1024, 16): 0.686, (1, 2048, 8): 1.047},
    "M1 Pro": {(3, 64, 32): 0.191},
    "M5 Pro": {
        (3, 256, 28): 0.216, (1, 512, 32): 0.178, (3, 512, 14): 0.192, (1, 1024, 16): 0.248, (1, 2048, 8): 0.235,
        (3, 16, 32): 0.076, (3, 32, 32): 0.076, (3, 64, 32): 0.091, (3, 128, 32): 0.101, (3, 256, 32): 0.153,
        (3, 512, 32): 0.334,
    },
}  # fmt: skip
LINEAR = {
    "M1 Pro": {(64, 256, 256): 0.164, (128, 1024, 1024): 0.405, (256, 4096, 4096): 2.394},
    "M2": {(1, 2048, 2048): 0.29, (1, 4096, 4096): 0.74, (1, 8192, 8192): 2.61},
    "M5 Pro": {
        (1, 64, 64): 0.0835, (1, 128, 128): 0.074, (1, 256, 256): 0.0756, (1, 512, 512): 0.0752,
        (1, 1024, 1024): 0.085, (1, 2048, 2048): 0.133, (1, 4096, 4096): 0.2931, (1, 6144, 6144): 0.582,
        (1, 8192, 8192): 0.941, (16, 256, 256): 0.0725, (64, 512, 512): 0.078, (128, 512, 2048): 0.1141,
        (256, 1024, 1024): 0.1447, (512, 1024, 4096): 0.5302, (1024, 1024, 1024): 0.3869,
    },
}  # fmt: skip
UNARY = {
    "M1 Pro": {("layer_norm", 197, 768): 0.321},
    "M5 Pro": {
        ("relu", 64, 256): 0.0745, ("gelu", 64, 256): 0.0837, ("sigmoid", 64, 256): 0.0772,
        ("softmax", 64, 256): 0.0743, ("layer_norm", 64, 256): 0.0734, ("relu", 256, 1024): 0.1209,
        ("gelu", 256, 1024): 0.1313, ("sigmoid", 256, 1024): 0.1153, ("softmax", 256, 1024): 0.1386,
        ("layer_norm", 256, 1024): 0.2959,
    },
}  # fmt: skip
POOL = {("max_pool", 64): 0.0898, ("avg_pool", 64): 0.0841, ("max_pool", 256): 0.1193, ("avg_pool", 256): 0.1125}


def timings() -> Iterator[tuple[str, str, Program, float]]:
    """(chip, what, program, milliseconds)"""
    for chip, rows in SQUARES.items():
        yield from ((chip, f"square {n}", square(n), ms) for n, ms in rows.items())
    for chip, rows in CONV_64.items():
        yield from ((chip, f"conv C{c} B{n} 64x64", conv(c, 64, batch=n), ms) for (c, n), ms in rows.items())
    for chip, rows in CONV.items():
        yield from ((chip, f"conv {k}x{k} C{c} {s}x{s}", conv(c, s, k), ms) for (k, c, s), ms in rows.items())
    for chip, rows in LINEAR.items():
        yield from ((chip, f"linear {sizes}", linear(*sizes), ms) for sizes, ms in rows.items())
    for chip, rows in UNARY.items():
        yield from ((chip, f"{op} {sizes}", unary(op, *sizes), ms) for (op, *sizes), ms in rows.items())
    yield from (("M5 Pro", f"{op} C{c}", pool(op, c, 32), ms) for (op, c), ms in POOL.items())
    yield "M1 Pro", "16 convs C256 32x32", conv(256, 32, layers=16), 1.918
    yield "M5 Pro", "3 convs C256 B4 64x64", conv(256, 64, batch=4, layers=3), 2.8
    yield "M5 Pro", "attention H12 S512 D64", attention(12, 512, 64), 1.374
