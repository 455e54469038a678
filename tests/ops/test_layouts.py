"""Primitives on operands whose axes lie in memory in any order, and on contractions over nothing."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import anejax as aj
from anejax.core.primitive import REGISTRY
from anejax.ops.index import ScatterDimensionNumbers


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "float64"])
def test_a_contraction_over_nothing_is_zero_however_the_axes_lie(dtype: str) -> None:
    dot = REGISTRY["dot_general"]
    with aj.enable_x64():
        for x_axes, y_axes in itertools.product(itertools.permutations("bkmn"), ("bkpq", "qbpk", "pkqb")):
            sizes = {"b": 3, "k": 0, "m": 3, "n": 2, "p": 2, "q": 3}
            x, y = (np.zeros([sizes[a] for a in axes], dtype) for axes in (x_axes, y_axes))
            contracting, batch = ((x_axes.index(a),) for a in "kb"), ((y_axes.index(a),) for a in "kb")
            (xc, xb), (yc, yb) = contracting, batch
            numbers = ((xc, yc), (xb, yb))
            made = [aj.numpy.ones((3, 3, 2, 2, 3), dtype) for _ in range(3)]  # memory that holds no zeros
            del made
            out = aj.jit(lambda x, y, n=numbers: dot.bind(x, y, dimension_numbers=n, preferred_element_type=None))(x, y)
            assert out.shape[0] == 3 and out.size == 3 * 3 * 2 * 2 * 3
            np.testing.assert_array_equal(np.asarray(out), 0, err_msg=f"{x_axes} {y_axes}")


BESIDE: dict[str, dict[str, object]] = {
    "reduce_sum": {}, "reduce_max": {}, "argmax": {"index_dtype": np.dtype(np.int32)}, "cumsum": {"reverse": False},
    "sort": {"num_keys": 1},
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
@pytest.mark.parametrize("name", BESIDE)
def test_axes_of_length_0_beside_a_reduced_one(name: str, dtype: str) -> None:
    primitive = REGISTRY[name]
    for shape, axis in itertools.product(itertools.product((0, 2, 31), repeat=3), range(3)):
        if 0 not in shape or (name == "argmax" and not shape[axis]):
            continue
        place = {"axes": (axis,)} if name.startswith("reduce") else {"dimension" if name == "sort" else "axis": axis}
        x = np.ones(shape, dtype)
        run = functools.partial(primitive.bind, **BESIDE[name], **place)
        out, expected = aj.jit(run)(x), primitive.impl(x, **BESIDE[name], **place)
        if name == "sort":
            (out,), (expected,) = out, expected
        np.testing.assert_array_equal(np.asarray(out), expected)


@pytest.mark.parametrize("name", ["scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max"])
def test_numpy_scatters_into_transposed_memory(name: str) -> None:
    x = np.arange(12, dtype=np.int32).reshape(4, 3).T
    at, updates = np.array([[1, 2]], np.int32), np.array([-5], np.int32)
    numbers = ScatterDimensionNumbers((), (0, 1), (0, 1))
    out = REGISTRY[name].impl(x, at, updates, dimension_numbers=numbers, mode="clip", unique_indices=False)
    expected = np.array(x)
    expected[1, 2] = {"scatter": -5, "scatter_add": 7 - 5, "scatter_mul": -35, "scatter_min": -5, "scatter_max": 7}[
        name
    ]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int32"])
def test_arithmetic_shifts_fill_with_the_highest_bit(dtype: str) -> None:
    width = np.dtype(dtype).itemsize * 8
    x = np.array([1 << (width - 1), (1 << width) - 1, 5, 1 << (width - 2)], f"u{width // 8}").view(dtype)
    amounts = np.array([1, width - 1, 0, width], dtype)
    signed = x.view(f"i{width // 8}").astype(np.int64)
    expected = (signed >> amounts.astype(np.int64)).astype(f"i{width // 8}").view(dtype)
    shift = REGISTRY["shift_right_arithmetic"]
    np.testing.assert_array_equal(shift.impl(x, amounts), expected)
    np.testing.assert_array_equal(aj.jit(shift.bind)(x, amounts), expected)
    np.testing.assert_array_equal(aj.jit(aj.lax.shift_right_arithmetic)(x, amounts), expected)
