"""Computes the result shapes of MIL's operations on images and of its layers: resizing, space and depth, attention."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from anejax.mil.shapes import broadcast_shapes
from anejax.mil.view import Rule, Shape, View

SAMPLING_MODES = ("DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS")


def _image(v: View) -> Shape:
    shape = v.shape("x")
    v.expect(len(shape) == 4, "x to have rank 4")
    return shape


def _factor(v: View, name: str) -> int:
    found = v.integer(name)
    v.expect(found >= 1, f"{name} to be at least 1")
    return found


def depth_to_space(v: View, factor: str = "block_size") -> list[Shape]:
    n, c, h, w = _image(v)
    f = _factor(v, factor)
    v.expect(c % (f * f) == 0, f"channels that {factor} squared divides")
    return [(n, c // (f * f), h * f, w * f)]


def space_to_depth(v: View, factor: str = "block_size") -> list[Shape]:
    n, c, h, w = _image(v)
    f = _factor(v, factor)
    v.expect(h % f == 0 and w % f == 0, f"height and width that {factor} divides")
    return [(n, c * f * f, h // f, w // f)]


def pixel_shuffle(v: View) -> list[Shape]:
    return depth_to_space(v, "upscale_factor")


def pixel_unshuffle(v: View) -> list[Shape]:
    return space_to_depth(v, "downscale_factor")


def _blocks(v: View, borders: str) -> tuple[list[int], list[int]]:
    """The block of each axis, and what is added or taken at its two ends."""
    v.expect(v.shape(borders) == (2, 2), f"{borders} of shape [2, 2]")
    return v.sizes("block_shape", 2, low=1), v.sizes(borders, 4)


def space_to_batch(v: View) -> list[Shape]:
    n, c, h, w = _image(v)
    (bh, bw), (top, bottom, left, right) = _blocks(v, "paddings")
    h, w = h + top + bottom, w + left + right
    v.expect(h % bh == 0 and w % bw == 0, "a padded height and width that block_shape divides")
    return [(n * bh * bw, c, h // bh, w // bw)]


def batch_to_space(v: View) -> list[Shape]:
    n, c, h, w = _image(v)
    (bh, bw), (top, bottom, left, right) = _blocks(v, "crops")
    v.expect(n % (bh * bw) == 0, "a batch that the product of block_shape divides")
    h, w = h * bh - top - bottom, w * bw - left - right
    v.expect(h >= 0 and w >= 0, "crops that fit")
    return [(n // (bh * bw), c, h, w)]


def _plane(v: View) -> Shape:
    """x, of rank 3 or more, whose last two axes are resized; only what has elements can be."""
    shape = v.shape("x")
    v.expect(len(shape) >= 3, "x to have rank 3 or more")
    return shape


def _resized(v: View, shape: Shape, height: int, width: int) -> list[Shape]:
    for size, wanted in zip(shape[-2:], (height, width)):
        v.expect(size > 0 or wanted == 0, "an axis with elements to be resized")
    return [(*shape[:-2], height, width)]


def upsample(v: View) -> list[Shape]:
    shape = _plane(v)
    sizes: list[int] = []
    for size, name in zip(shape[-2:], ("scale_factor_height", "scale_factor_width")):
        scale = float(np.ravel(np.asarray(v.data(name)))[0]) if v.has(name) else 1.0
        v.expect(math.isfinite(scale) and scale > 0, f"{name} to be positive")
        sizes.append(math.floor(scale * size))
    return _resized(v, shape, *sizes)


def upsample_bilinear(v: View) -> list[Shape]:
    both = v.flag("align_corners") and v.has("half_pixel_centers") and v.flag("half_pixel_centers")
    v.expect(not both, "align_corners or half_pixel_centers, not both")
    return upsample(v)


def resize_to(v: View) -> list[Shape]:
    shape = _plane(v)
    sizes = [v.integer(f"target_size_{axis}") for axis in ("height", "width")]
    v.expect(min(sizes) >= 0, "sizes of at least 0")
    return _resized(v, shape, *sizes)


def resize_bilinear(v: View) -> list[Shape]:
    v.text("sampling_mode", SAMPLING_MODES)
    return resize_to(v)


def resize(v: View) -> list[Shape]:
    """The last `resized_dims` axes as long as the last numbers of `shape` say; 0 is the size that an axis has."""
    v.text("interpolation_mode", ("LINEAR", "NEAREST_NEIGHBOR"))
    v.text("sampling_mode", SAMPLING_MODES)
    x, wanted, count = v.shape("x"), v.sizes("shape"), v.integer("resized_dims")
    v.expect(
        count <= len(wanted) <= len(x), "resized_dims of at most the length of shape, and that of at most x's rank"
    )
    kept = len(x) - count
    sizes = [new or old for old, new in zip(x[kept:], wanted[len(wanted) - count :])]
    for old, new in zip(x[kept:], sizes):
        v.expect(old > 0 or new == 0, "an axis with elements to be resized")
    return [(*x[:kept], *sizes)]


def crop(v: View) -> list[Shape]:
    shape = _plane(v)
    sizes = [size - sum(v.sizes(name, 2)) for size, name in zip(shape[-2:], ("crop_height", "crop_width"))]
    v.expect(min(sizes) >= 0, "crops that fit")
    return [(*shape[:-2], *sizes)]


def affine(v: View) -> list[Shape]:
    n, c, *_ = _image(v)
    v.text("sampling_mode", ("bilinear",))
    v.text("padding_mode", ("constant",))
    v.text("coordinates_mode", ("normalized_minus_one_to_one",))
    v.expect(v.flag("align_corners"), "align_corners to be true")
    v.expect(v.data("padding_value") == 0, "padding_value to be 0")
    v.expect(v.shape("transform_matrix") in ((n, 6), (1, 6)), "transform_matrix of shape [batch or 1, 6]")
    sizes = [v.integer(name) for name in ("output_height", "output_width")]
    v.expect(min(sizes) >= 0, "sizes of at least 0")
    return [(n, c, *sizes)]


def flatten2d(v: View) -> list[Shape]:
    shape, axis = v.shape("x"), v.integer("axis")
    v.expect(-len(shape) <= axis <= len(shape), "axis from -rank to rank")
    axis += len(shape) if axis < 0 else 0
    return [(math.prod(shape[:axis]), math.prod(shape[axis:]))]


def local_response_norm(v: View) -> list[Shape]:
    v.expect(len(v.shape("x")) in (3, 4), "x to have rank 3 or 4")
    _factor(v, "size")
    return [v.shape("x")]


def scaled_dot_product_attention(v: View) -> list[Shape]:
    query, key, value = (v.shape(name) for name in ("query", "key", "value"))
    v.expect(len(query) == len(key) == len(value) >= 3, "query, key and value of one rank, 3 or more")
    v.expect(query[:-2] == key[:-2] == value[:-2], "equal leading axes of query, key and value")
    v.expect(query[-1] == key[-1] > 0, "rows of one length in query and key")
    v.expect(key[-2] == value[-2], "as many rows of value as of key")
    if v.has("attn_mask"):
        scores = (*query[:-1], key[-2])
        v.expect(broadcast_shapes(v, v.shape("attn_mask"), scores) == scores, f"attn_mask to broadcast to {scores}")
    return [(*query[:-1], value[-1])]


DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
ACTIVATIONS = ("hard_sigmoid", "linear", "relu", "scaled_tanh", "sigmoid", "tanh")


def lstm(v: View) -> list[Shape]:
    v.expect(v.type("x").rank == 3, "x [steps, batch, features]")
    steps, batch, features = v.shape("x")
    _, hidden = v.shape("weight_hh")
    ways = DIRECTIONS[v.text("direction", tuple(DIRECTIONS))]
    for name in ("recurrent_activation", "cell_activation", "activation"):
        v.text(name, ACTIVATIONS)
    expected = {"weight_ih": (4 * hidden, features), "weight_hh": (4 * hidden, hidden), "bias": (4 * hidden,),
                "peephole": (3 * hidden,)}  # fmt: skip
    for name, shape in expected.items():
        v.expect(not v.has(name) or v.shape(name) == shape, f"{name} of shape {list(shape)}")
        v.expect(not v.has(f"{name}_back") or ways == 2, f"{name}_back for direction bidirectional alone")
        v.expect(not v.has(f"{name}_back") or v.shape(f"{name}_back") == shape, f"{name}_back of shape {list(shape)}")
    v.expect(ways == 1 or (v.has("weight_ih_back") and v.has("weight_hh_back")), "weights of both directions")
    state = (batch, ways * hidden)
    v.expect(v.shape("initial_h") == v.shape("initial_c") == state, f"initial_h and initial_c of shape {list(state)}")
    return [(steps if v.flag("output_sequence") else 1, *state), state, state]


EQUATIONS = ("abcd,adce->abce", "abc,cbd->abd")  # those of MIL, their letters in the order of the alphabet


def _renamed(equation: str) -> str:
    letters = dict.fromkeys(c for c in equation if c.isalpha())
    return equation.translate({ord(c): chr(ord("a") + i) for i, c in enumerate(letters)})


def einsum(v: View) -> list[Shape]:
    equation, shapes = _renamed(v.text("equation")), v.shapes("values")
    v.expect(equation in EQUATIONS, "the equation nchw,nwhu->nchu or chw,whr->chr")
    rank = equation.index(",")
    v.expect([len(s) for s in shapes] == [rank, rank], f"two values of rank {rank}")
    x, y = shapes
    v.expect(x[-1] == y[-3], "a contracted axis of one size")
    (*batch, rows) = broadcast_shapes(v, (*x[:-3], x[-2]), (*y[:-3], y[-2]))
    return [(*batch, x[-3], rows, y[-1])]


def quantize(v: View) -> list[Shape]:
    shape, scale = v.shape("input"), v.shape("scale")
    v.expect(len(scale) < 2, "scale of rank 0 or 1")
    v.expect(v.has("axis") == (len(scale) == 1), "axis where scale is a list, and only there")
    if scale:
        v.expect(scale == (shape[v.axis("axis", len(shape))],), "as many scales as entries on the axis")
    if v.has("zero_point"):
        v.expect(v.shape("zero_point") == scale, "zero_point of scale's shape")
    return [shape]


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        depth_to_space, space_to_depth, pixel_shuffle, pixel_unshuffle, space_to_batch, batch_to_space, upsample,
        upsample_bilinear, resize_to, resize_bilinear, resize, crop, affine, flatten2d,
        local_response_norm, scaled_dot_product_attention,
        lstm, einsum, quantize,
    )
}  # fmt: skip
