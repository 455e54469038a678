"""MIL's operations on images, and its layers, in NumPy's float64, after coremltools' documentation of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def exact(f: Callable[..., Array]) -> Callable[..., Array]:
    """``f`` computed in float64, rounded to the dtype of its first operand."""

    def computed(x: Array, *args: Any, **params: Any) -> Array:
        wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in (x, *args)]
        with np.errstate(all="ignore"):
            return np.asarray(f(*wide, **params)).astype(x.dtype)

    return computed


def depth_to_space(x: Array, block_size: int) -> Array:
    n, c, h, w = x.shape
    out = np.zeros((n, c // block_size**2, h * block_size, w * block_size), x.dtype)
    for i in range(block_size):
        for j in range(block_size):
            first = (i * block_size + j) * out.shape[1]
            out[:, :, i::block_size, j::block_size] = x[:, first : first + out.shape[1]]
    return out


def space_to_depth(x: Array, block_size: int) -> Array:
    parts = [x[:, :, i::block_size, j::block_size] for i in range(block_size) for j in range(block_size)]
    return np.concatenate(parts, 1)


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    f = upscale_factor
    n, c, h, w = x.shape
    out = np.zeros((n, c // f**2, h * f, w * f), x.dtype)
    for i in range(f):
        for j in range(f):
            out[:, :, i::f, j::f] = x[:, i * f + j :: f * f]
    return out


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    f = int(downscale_factor)
    n, c, h, w = x.shape
    out = np.zeros((n, c * f**2, h // f, w // f), x.dtype)
    for i in range(f):
        for j in range(f):
            out[:, i * f + j :: f * f] = x[:, :, i::f, j::f]
    return out


def space_to_batch(x: Array, block_shape: list[int], paddings: Array) -> Array:
    x = np.pad(x, ((0, 0), (0, 0), *map(tuple, paddings)))
    h, w = block_shape
    return np.concatenate([x[:, :, i::h, j::w] for i in range(h) for j in range(w)], 0)


def batch_to_space(x: Array, block_shape: list[int], crops: Array) -> Array:
    h, w = block_shape
    n = x.shape[0] // (h * w)
    out = np.zeros((n, x.shape[1], x.shape[2] * h, x.shape[3] * w), x.dtype)
    for i in range(h):
        for j in range(w):
            out[:, :, i::h, j::w] = x[(i * w + j) * n : (i * w + j + 1) * n]
    (top, bottom), (left, right) = crops
    return out[:, :, top : out.shape[2] - bottom, left : out.shape[3] - right]


def _scaled(x: Array, params: dict[str, Any]) -> tuple[int, int]:
    scales = (params.get(f"scale_factor_{axis}", 1) for axis in ("height", "width"))
    return tuple(int(np.floor(size * scale)) for size, scale in zip(x.shape[-2:], scales))  # type: ignore[return-value]


def resize_nearest(x: Array, target_size_height: int, target_size_width: int) -> Array:
    rows, columns = (
        np.arange(size) * x.shape[axis] // max(size, 1)
        for axis, size in ((-2, target_size_height), (-1, target_size_width))
    )
    return x[..., rows, :][..., columns]


def resize(
    x: Array, shape: list[int], resized_dims: Any, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT"
) -> Array:
    axes = range(x.ndim - int(resized_dims), x.ndim)
    sizes = [shape[len(shape) - (x.ndim - axis)] or x.shape[axis] for axis in axes]
    y = x.astype(np.float64)
    for axis, size in zip(axes, sizes):
        if interpolation_mode == "LINEAR":
            points, entries = _grid(sampling_mode, x.shape[axis], size), np.arange(x.shape[axis])
            y = np.apply_along_axis(lambda row, p=points, e=entries: np.interp(p, e, row), axis, y)
        else:
            y = np.take(y, np.arange(size) * x.shape[axis] // max(size, 1), axis)
    return y.astype(x.dtype)


def crop(x: Array, crop_height: list[int], crop_width: list[int]) -> Array:
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def flatten2d(x: Array, axis: int = 1) -> Array:
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@exact
def affine(x: Array, transform_matrix: Array, output_height: int, output_width: int, **options: Any) -> Array:
    """A weight for each pixel of the image: 1 at the place that is sampled, 0 from a distance of 1 on."""

    def weights(at: Array, size: int) -> Array:
        return np.maximum(0, 1 - np.abs((at[..., None] + 1) / 2 * (size - 1) - np.arange(size)))

    v, u = (np.linspace(-1, 1, n) if n != 1 else np.zeros(1) for n in (output_height, output_width))
    places = np.stack(
        [np.broadcast_to(u, (len(v), len(u))), np.repeat(v[:, None], len(u), 1), np.ones((len(v), len(u)))]
    )
    to = np.einsum("bkj,jhw->bkhw", transform_matrix.reshape(-1, 2, 3), places)
    to = np.broadcast_to(to, (len(x), *to.shape[1:]))
    rows, columns = weights(to[:, 1], x.shape[2]), weights(to[:, 0], x.shape[3])
    return np.einsum("bcij,bhwi,bhwj->bchw", x, rows, columns)


def upsample_nearest(x: Array, **scales: Any) -> Array:
    return resize_nearest(x, *_scaled(x, scales))


def _grid(mode: str, size: int, count: int) -> Array:
    steps = np.arange(count)
    if mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * (size / count) - 0.5
    elif mode == "OFFSET_CORNERS":
        points = (steps + 0.5) * (max(1, size - 1) / count)
    elif mode == "DEFAULT":
        points = steps * (size / count)
    elif mode == "ALIGN_CORNERS" and count == 1:
        points = np.array([(size - 1) / 2])
    else:
        points = np.linspace(0, size - 1, count)
    return np.clip(points, 0, size - 1)


@exact
def resize_bilinear(
    x: Array, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Array:
    shape = (*x.shape[:-2], target_size_height, target_size_width)
    if 0 in shape:
        return np.zeros(shape)
    for axis, size in ((-2, target_size_height), (-1, target_size_width)):
        points = _grid(sampling_mode, x.shape[axis], size)
        entries = np.arange(x.shape[axis])
        x = np.apply_along_axis(lambda row, p=points, e=entries: np.interp(p, e, row), axis, x)
    return x


def upsample_bilinear(
    x: Array, align_corners: bool = True, half_pixel_centers: bool | None = None, **scales: Any
) -> Array:
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "DEFAULT" if half_pixel_centers is False else "UNALIGN_CORNERS"
    return resize_bilinear(x, *_scaled(x, scales), mode)


@exact
def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    total = np.zeros_like(x)
    for c in range(x.shape[1]):
        first = max(c - size // 2, 0)
        total[:, c] = (x[:, first : c + (size - 1) // 2 + 1] ** 2).sum(1)
    return x / (k + alpha / size * total) ** beta


@exact
def attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1])
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


@exact
def l2_norm(x: Array, epsilon: float = 1e-6) -> Array:
    return x / np.sqrt((x**2).sum((-3, -2, -1), keepdims=True) + epsilon)


def lstm(x: Array, initial_h: Array, initial_c: Array, weight_ih: Array, weight_hh: Array, bias: Array,
         direction: str, output_sequence: bool, **activations: str) -> list[Array]:  # fmt: skip
    """From the first step to the last, with gates i, f, o, z."""
    assert direction == "forward"
    assert list(activations.values()) == ["sigmoid", "tanh", "tanh"]
    h, c, ys = initial_h.astype(np.float64), initial_c.astype(np.float64), []
    for step in x.astype(np.float64):
        i, f, o, z = np.split(step @ weight_ih.T + h @ weight_hh.T + bias, 4, axis=-1)
        c = c / (1 + np.exp(-f)) + np.tanh(z) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        ys.append(h)
    return [np.asarray(v, x.dtype) for v in (ys if output_sequence else ys[-1:], h, c)]


def einsum(values: tuple[Array, Array], equation: str) -> Array:
    x, y = (v.astype(np.float64) for v in values)
    return np.einsum(equation, x, y).astype(values[0].dtype)


def _spread(a: Any, axis: int | None, rank: int) -> Array:
    a = np.asarray(a, np.float64)
    return a if axis is None else a.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def dequantize(input: Array, scale: Array, zero_point: Any = 0, axis: int | None = None) -> Array:
    x = input.astype(np.float64) - _spread(zero_point, axis, input.ndim)
    return (x * _spread(scale, axis, input.ndim)).astype(scale.dtype)


def quantize(input: Array, scale: Array, output_dtype: str, zero_point: Any = 0, axis: int | None = None) -> Array:
    ratio = (input / np.asarray(_spread(scale, axis, input.ndim), input.dtype)).astype(np.float32)
    ends = np.iinfo(output_dtype)
    return np.clip(np.rint(ratio) + _spread(zero_point, axis, input.ndim), ends.min, ends.max).astype(output_dtype)


# ---- weights in few bits, after coremltools' decompress


def _blocks(parts: Array, shape: tuple[int, ...]) -> Array:
    """Each of ``parts`` for a block of ``shape``."""
    for axis, size in enumerate(shape):
        parts = np.repeat(parts, size // parts.shape[axis], axis)
    return parts


def affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: int) -> Array:
    return dequantize(quantized_data, scale, zero_point, axis if scale.ndim or zero_point.ndim else None)


def blockwise(data: Array, scale: Array, offset: Array | None = None) -> Array:
    low = 0.0 if offset is None else _blocks(offset.astype(np.float64), data.shape)
    return (_blocks(scale.astype(np.float64), data.shape) * (data - low)).astype(scale.dtype)


def lut_to_dense(indices: Array, lut: Array, vector_axis: int = 0) -> Array:
    count = lut.shape[-1]
    tables = _blocks(lut, (*indices.shape, *lut.shape[-2:]))
    entries = np.take_along_axis(tables, indices[..., None, None].astype(np.int64), -2)[..., 0, :]
    sizes = [n * count if i == vector_axis else n for i, n in enumerate(indices.shape)]
    return np.moveaxis(entries, -1, vector_axis + 1).reshape(sizes)


def sparse_to_dense(nonzero_data: Array, mask: Array) -> Array:
    out = np.zeros(mask.shape, nonzero_data.dtype)
    out[mask != 0] = nonzero_data
    return out


def lut_to_sparse(indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: int = 0) -> list[Array]:
    mask = np.repeat(indices_mask, lut.shape[-1], vector_axis)
    dense = lut_to_dense(sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    return [mask, dense[mask != 0]]


def sparse_blockwise(data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None) -> list[Array]:
    return [data_mask, blockwise(sparse_to_dense(nonzero_data, data_mask), scale, offset)[data_mask != 0]]
