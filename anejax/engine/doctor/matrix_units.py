"""Measures how much faster matrix products are than convolutions on the CPU device.

On a Mac, products use Accelerate, the only access to the processor's matrix units, while convolutions use this
library's own NEON code. If products are several times faster, a convolution should be written as a product of patches.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from anejax.engine.doctor.bench import execute, program
from anejax.engine.doctor.checks import Check, of
from anejax.errors import DeviceError
from anejax.mil.program import Builder, Type, Value
from anejax.runtime.library import NativeProgram

NAME = "products and convolutions of the CPU device"
RUNS = 5
# (channels, height and width) of images, and of a 3 x 3 convolution that keeps them
IMAGES = ((32, 56), (128, 28), (256, 14))
CONV = {"strides": [1, 1], "pad_type": "custom", "pad": [1, 1, 1, 1], "dilations": [1, 1], "groups": 1}
PLAIN = {"transpose_x": False, "transpose_y": False}


def check_matrix_units() -> Check:
    """The rates of both at the sizes of IMAGES; the product is that of the convolution's patches."""
    found: list[tuple[float, float]] = []
    try:
        for channels, side in IMAGES:
            flop = 2.0 * channels**2 * 9 * side**2
            times = _seconds(_product(channels, side)), _seconds(_convolution(channels, side))
            found.append((flop / times[0] / 1e9, flop / times[1] / 1e9))
    except DeviceError as err:
        return of("probe", NAME, False, str(err))
    said = ", ".join(
        f"{c} channels of {n} x {n}: {product:.0f} and {conv:.0f} GFLOP/s"
        for (c, n), (product, conv) in zip(IMAGES, found, strict=True)
    )
    return of("probe", NAME, True, said, answer=found)


def _product(channels: int, side: int) -> NativeProgram:
    x, y, out = (Type("fp32", s) for s in ((side**2, 9 * channels), (9 * channels, channels), (side**2, channels)))

    def body(b: Builder, p: Value, q: Value) -> Value:
        return b.op("matmul", {"x": p, "y": q, **PLAIN}, out=out)

    return NativeProgram("cpu", program(body, x, y))


def _convolution(channels: int, side: int) -> NativeProgram:
    image, weight = Type("fp32", (1, channels, side, side)), Type("fp32", (channels, channels, 3, 3))

    def body(b: Builder, p: Value, q: Value) -> Value:
        return b.op("conv", {"x": p, "weight": q, **CONV}, out=image)

    return NativeProgram("cpu", program(body, image, weight))


def _seconds(compiled: NativeProgram) -> float:
    """The seconds of the fastest run."""
    given = [np.ones(p.shape[: p.rank], np.float32) for p in compiled.inputs]
    execute(compiled, given)
    return min(_timed(compiled, given) for _ in range(RUNS))


def _timed(compiled: NativeProgram, given: Sequence[np.ndarray]) -> float:
    start = time.perf_counter()
    execute(compiled, given)
    return time.perf_counter() - start
