"""Computes the result shapes of MIL's compressed weights (constexpr operations) and of its state operations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from anejax.mil.view import Rule, Shape, View


def constexpr_affine_dequantize(v: View) -> list[Shape]:
    shape = v.shape("quantized_data")
    v.expect(len(shape) > 0, "quantized_data to have rank 1 or more")
    entries = shape[v.axis("axis", len(shape))]
    for name in ("scale", "zero_point"):
        v.expect(v.shape(name) in ((), (entries,)), f"{name} of rank 0, or with {entries} entries")
    return [shape]


def _check_blocks(v: View, name: str, parts: Shape, shape: Shape) -> None:
    v.expect(len(shape) > 0 and len(parts) == len(shape), f"{name} with an axis for each of the data's, 1 or more")
    fits = all(part > 0 and size % part == 0 for size, part in zip(shape, parts))
    v.expect(fits, f"axes of {name} that divide those of the data")


def _check_scales(v: View, shape: Shape) -> None:
    _check_blocks(v, "scale", v.shape("scale"), shape)
    v.expect(not v.has("offset") or v.shape("offset") == v.shape("scale"), "offset of scale's shape")


def constexpr_blockwise_shift_scale(v: View) -> list[Shape]:
    _check_scales(v, v.shape("data"))
    return [v.shape("data")]


def _vector(v: View, shape: Shape) -> tuple[int, int]:
    """The number of elements that an index stands for, and their axis of `shape`."""
    lut = v.shape("lut")
    v.expect(len(lut) >= 2, "lut to have rank 2 or more")
    _check_blocks(v, "lut", lut[:-2], shape)
    v.expect(lut[-2] > 0 and lut[-1] > 0, "lut with entries")
    v.expect(v.has("vector_axis") or lut[-1] == 1, "vector_axis where an entry of lut has several elements")
    return lut[-1], v.axis("vector_axis", len(shape)) if v.has("vector_axis") else 0


def _stretched(shape: Shape, count: int, axis: int) -> Shape:
    return tuple(size * count if i == axis else size for i, size in enumerate(shape))


def constexpr_lut_to_dense(v: View) -> list[Shape]:
    shape = v.shape("indices")
    return [_stretched(shape, *_vector(v, shape))]


def _check_sparse(v: View, data: str, mask: str) -> None:
    v.expect(len(v.shape(data)) == 1, f"{data} to have rank 1")
    v.expect(len(v.shape(mask)) > 0, f"{mask} to have rank 1 or more")
    if v.value(mask).const is not None:
        count = int(np.count_nonzero(np.asarray(v.data(mask))))
        v.expect(v.shape(data) == (count,), f"{data} with {count} elements, as {mask} has")


def constexpr_sparse_to_dense(v: View) -> list[Shape]:
    _check_sparse(v, "nonzero_data", "mask")
    return [v.shape("mask")]


def constexpr_lut_to_sparse(v: View) -> list[Shape]:
    _check_sparse(v, "indices_nonzero_data", "indices_mask")
    shape = v.shape("indices_mask")
    count, axis = _vector(v, shape)
    return [_stretched(shape, count, axis), (v.shape("indices_nonzero_data")[0] * count,)]


def constexpr_sparse_blockwise_shift_scale(v: View) -> list[Shape]:
    _check_sparse(v, "nonzero_data", "data_mask")
    _check_scales(v, v.shape("data_mask"))
    return [v.shape("data_mask"), v.shape("nonzero_data")]


def constexpr_cast(v: View) -> list[Shape]:
    v.text("output_dtype", ("fp32",))
    return [v.shape("source_val")]


def read_state(v: View) -> list[Shape]:
    return [v.shape("input")]


def coreml_update_state(v: View) -> list[Shape]:
    v.expect(v.shape("state") == v.shape("value"), "a value of the state's shape")
    return [v.shape("value")]


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        constexpr_affine_dequantize, constexpr_blockwise_shift_scale, constexpr_lut_to_dense, constexpr_sparse_to_dense,
        constexpr_lut_to_sparse, constexpr_sparse_blockwise_shift_scale, constexpr_cast, read_state,
        coreml_update_state,
    )
}  # fmt: skip
