"""MIL's operations on images, and its layers, on the CPU device: sizes 0, 1, odd and prime against NumPy's float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anejax.errors import DeviceError
from anejax.mil.program import Builder, Type
from anejax.mil.shapes_layers import SAMPLING_MODES
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.runtime.library import NativeProgram
from tests.espresso import run
from tests.mil import layers
from tests.mil.samples import SAMPLES, Sample, program, values

NAMES = {
    "depth_to_space", "space_to_depth", "pixel_shuffle", "pixel_unshuffle", "space_to_batch", "batch_to_space",
    "upsample_nearest_neighbor", "upsample_bilinear", "resize_nearest_neighbor", "resize_bilinear",
    "local_response_norm", "scaled_dot_product_attention", "l2_norm", "einsum", "quantize", "dequantize", "resize",
    "crop", "affine", "flatten2d", "relu6", "softsign", "leaky_relu", "elu", "thresholded_relu", "scaled_tanh",
    "sigmoid_hard",
    "clamped_relu", "linear_activation", "threshold", "prelu", "instance_norm", "reduce_l1_norm", "reduce_l2_norm",
    "reduce_log_sum",
}  # fmt: skip


def check(sample: Sample, dtype: str, ulps: float = 8) -> None:
    """The whole program: verified in Python and natively, run, and compared."""
    made = program(sample, dtype, ports=False)
    verify(made, "cpu")
    given = [a for value in sample.arrays(dtype).values() for a in (value if isinstance(value, tuple) else (value,))]
    (got,) = run(NativeProgram("cpu", to_text(made)), given)
    want = sample.expected(dtype)[0].astype(got.dtype)
    assert got.shape == want.shape
    scale = np.abs(np.where(np.isfinite(want), want, 0).astype(np.float64)).max(initial=0)
    np.testing.assert_allclose(
        got.astype(np.float64),
        want.astype(np.float64),
        rtol=0,
        atol=ulps * scale * (np.finfo(want.dtype).eps if want.dtype.kind == "f" else 0),
    )


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.op in NAMES], ids=lambda s: s.op)
def test_samples(sample: Sample, dtype: str) -> None:
    check(sample, dtype)


@pytest.mark.parametrize("mode", SAMPLING_MODES)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 7, 5, 3), (7, 1, 1, 4), (2, 3, 11, 13), (8, 4, 4, 2), (3, 3, 0, 5),
                                   (5, 6, 5, 6)])  # fmt: skip
def test_bilinear(mode: str, sizes: tuple[int, int, int, int]) -> None:
    height, width, out_height, out_width = sizes
    consts = {"sampling_mode": mode, "target_size_height": out_height, "target_size_width": out_width}
    for n in (2, 0):
        check(Sample("resize_bilinear", {"x": values(n, height, width)}, consts, layers.resize_bilinear), "fp32")


@pytest.mark.parametrize("sizes", [(1, 1, 3, 5), (3, 5, 7, 4), (4, 6, 2, 3), (5, 7, 5, 7), (13, 1, 6, 1), (2, 2, 0, 1)])
def test_nearest(sizes: tuple[int, int, int, int]) -> None:
    height, width, out_height, out_width = sizes
    consts = {"target_size_height": out_height, "target_size_width": out_width}
    check(Sample("resize_nearest_neighbor", {"x": values(2, height, width)}, consts, layers.resize_nearest), "fp32", 0)


@pytest.mark.parametrize("scale", [1, 2, 5, 0.5, 1.5, 2.25])
def test_upsampling(scale: float) -> None:
    factor: Any = scale if isinstance(scale, int) else np.float32(scale)
    consts: dict[str, Any] = {"scale_factor_height": factor, "scale_factor_width": factor}
    x = {"x": values(1, 2, 4, 5)}
    check(Sample("upsample_nearest_neighbor", x, consts, layers.upsample_nearest), "fp32", 0)
    for corners in (True, False):
        with_corners = {**consts, "align_corners": corners}
        if not corners:
            whole = {**with_corners, "half_pixel_centers": False}
            check(Sample("upsample_bilinear", x, whole, layers.upsample_bilinear), "fp32")
        check(Sample("upsample_bilinear", x, with_corners, layers.upsample_bilinear), "fp32")


def test_infinities_stay_where_they_are() -> None:
    """A sample that hits an entry is that entry, whatever lies beside it."""
    x = np.array([[[1.0, np.inf, 2.0]]])
    consts = {"sampling_mode": "STRICT_ALIGN_CORNERS", "target_size_height": 1, "target_size_width": 5}
    made = program(Sample("resize_bilinear", {"x": x}, consts, out=(1, 1, 5)), "fp32", ports=False)
    (got,) = run(NativeProgram("cpu", to_text(made)), [x.astype(np.float32)])
    np.testing.assert_array_equal(got, [[[1, np.inf, np.inf, np.inf, 2]]])


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_space_and_depth(factor: int, n: int) -> None:
    deep, wide = values(n, 2 * factor**2, 1, 3), values(n, 5, 2 * factor, factor)
    check(Sample("depth_to_space", {"x": deep}, {"block_size": factor}, layers.depth_to_space), "fp32", 0)
    check(Sample("pixel_shuffle", {"x": deep}, {"upscale_factor": factor}, layers.pixel_shuffle), "fp32", 0)
    check(Sample("space_to_depth", {"x": wide}, {"block_size": factor}, layers.space_to_depth), "fp32", 0)
    down = {"downscale_factor": np.uint32(factor)}
    check(Sample("pixel_unshuffle", {"x": wide}, down, layers.pixel_unshuffle), "fp32", 0)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 40])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 3), (2, 0, 3), (1, 4, 0, 2)])
def test_local_response_norm(size: int, shape: tuple[int, ...]) -> None:
    consts = {"size": size, "alpha": 0.5, "beta": 0.75, "k": 2.0}
    check(Sample("local_response_norm", {"x": values(*shape)}, consts, layers.local_response_norm), "fp32")


@pytest.mark.parametrize("mask", ["none", "bool", "float", "row"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 5, 7, 2), (0, 3, 2, 2), (4, 1, 3, 0)])
def test_attention(mask: str, sizes: tuple[int, int, int, int]) -> None:
    queries, keys, length, width = sizes
    tensors = {"query": values(2, queries, length), "key": values(2, keys, length), "value": values(2, keys, width)}
    keep = values(queries, keys) < 1.5
    keep[:, :1] = True
    masks = {"none": {}, "bool": {"attn_mask": keep}, "float": {"attn_mask": values(2, queries, keys)},
             "row": {"attn_mask": values(1, keys)}}  # fmt: skip
    tensors |= masks[mask]
    for dtype in ("fp32", "fp16"):
        check(Sample("scaled_dot_product_attention", tensors, {}, layers.attention), dtype)


@pytest.mark.parametrize(
    ("op", "shape", "consts", "words"),
    [
        ("depth_to_space", (1, 6, 2, 2), {"block_size": 2}, "divide the channels"),
        ("space_to_depth", (1, 6, 3, 2), {"block_size": 2}, "must divide height and width"),
        ("pixel_shuffle", (4, 2, 2), {"upscale_factor": 2}, "rank 4"),
        ("pixel_shuffle", (1, 4, 2, 2), {"upscale_factor": 0}, "upscale_factor"),
        ("resize_bilinear", (1, 0, 2), {"target_size_height": 2, "target_size_width": 2}, "without elements"),
        ("resize_nearest_neighbor", (1, 1, 2), {"target_size_height": 70_000, "target_size_width": 2}, "up to 65536"),
        ("local_response_norm", (3, 3), {"size": 1}, "rank 3 or 4"),
    ],
)
def test_refusals(op: str, shape: tuple[int, ...], consts: dict[str, Any], words: str) -> None:
    b = Builder()
    x = b.input("x", Type("fp32", shape))
    out = (1, 70_000, 2) if words == "up to 65536" else shape
    b.returns(b.op(op, {"x": x, **consts}, out=Type("fp32", out)))
    with pytest.raises(DeviceError, match=words):
        NativeProgram("cpu", to_text(b.program()))


@pytest.mark.parametrize("equation", ["nchw,nwhu->nchu", "abcd,adce->abce"])
@pytest.mark.parametrize("sizes", [(2, 3, 4, 5, 7), (1, 1, 1, 1, 1), (2, 0, 3, 2, 1), (1, 3, 2, 0, 5)])
def test_einsum(equation: str, sizes: tuple[int, ...]) -> None:
    n, c, h, w, u = sizes
    for y in (values(n, w, h, u), values(1, w, 1, u)):
        check(Sample("einsum", {"values": (values(n, c, h, w), y)}, {"equation": equation}, layers.einsum), "fp32")


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("shape", [(0,), (1,), (5, 3), (2, 3, 7)])
def test_quantization(dtype: str, shape: tuple[int, ...]) -> None:
    """With and without a scale and a zero point for each entry of the first axis; what is out of range saturates."""
    rng = np.random.default_rng(0)
    scales, zeros = rng.uniform(0.01, 0.5, shape[0]), rng.integers(0, 99, shape[0]).astype(dtype)
    scalar = {"scale": np.float32(0.25)}
    for consts in (scalar, {"scale": scales.astype(np.float32), "zero_point": zeros, "axis": 0}):
        big = {"input": values(*shape, low=-99, high=99)}
        check(Sample("quantize", big, {**consts, "output_dtype": dtype}, layers.quantize), "fp32", 0)
        small = {"input": rng.integers(0, 100, shape).astype(dtype)}
        check(Sample("dequantize", small, consts, layers.dequantize), "fp32", 1)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 0, 3, 4), (0, 2, 3, 4), (1, 2, 1, 7), (3, 1, 5, 2)])
@pytest.mark.parametrize("size", [(0, 2), (1, 1), (3, 7)])
def test_affine(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """The identity gives the image itself; what lies outside it, at any distance, is 0."""
    options = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": 0.0,
               "coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}  # fmt: skip
    consts = {"output_height": size[0], "output_width": size[1], **options}
    for matrix in (values(1, 6), values(shape[0], 6), np.array([[1.0, 0, 0, 0, 1, 0]])):
        check(Sample("affine", {"x": values(*shape), "transform_matrix": matrix}, consts, layers.affine), "fp32", 64)
    far = np.array([[np.inf, 0, 0, 0, 1, 0], [1e30, 0, 1e30, 0, np.nan, 0]], np.float32)
    made = program(Sample("affine", {"x": values(2, 1, 2, 2), "transform_matrix": far}, {**consts, "output_width": 2},
                          out=(2, 1, size[0], 2)), "fp32", ports=False)  # fmt: skip
    (got,) = run(NativeProgram("cpu", to_text(made)), [np.ones((2, 1, 2, 2), np.float32), far])
    np.testing.assert_array_equal(got, np.zeros((2, 1, size[0], 2)))
