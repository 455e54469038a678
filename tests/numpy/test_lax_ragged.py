"""Products over groups, locally connected layers and upper halves of products, against jax.lax."""

# ruff: noqa: E501  (a table: one case per line)
from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

import anejax as aj
from anejax import lax
from anejax.errors import DtypeError, RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, sample

SIZES = ([2, 1, 4], [0, 7, 0], [1, 0, 2])
# name -> dimension numbers, shapes of lhs and rhs; the ragged axis has length 7, there are 3 groups
CASES = {
    "rows": (((((1,), (1,)), ((), ())), (0,), (0,)), (7, 4), (3, 4, 5)),
    "rows_group_last": (((((0,), (0,)), ((), ())), (1,), (2,)), (4, 7), (4, 5, 3)),
    "rows_mapped": (((((3,), (2,)), ((0,), (1,))), (2,), (0,)), (2, 3, 7, 4), (3, 2, 4, 5)),
    "columns": (((((1,), (0,)), ((), ())), (1,), ()), (4, 7), (7, 5)),
    "columns_mapped": (((((2, 0), (1, 2)), ((1,), (0,))), (0,), ()), (7, 2, 6, 4), (2, 6, 7, 5)),
    "mapped": (((((2,), (1,)), ((0,), (0,))), (0,), ()), (7, 3, 4), (7, 4, 5)),
}  # fmt: skip


def numbers(m, case):
    return m.RaggedDotDimensionNumbers(*CASES[case][0])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_ragged_dot_general(case, sizes):
    _, *shapes = CASES[case]
    x, y = (sample(s) for s in shapes)
    sizes = np.int32(sizes)
    f = lambda m: lambda x, y: m.ragged_dot_general(x, y, sizes, numbers(m, case))  # noqa: E731
    got, want = f(lax)(x, y), of_jax(f(jax.lax), x, y)[0]
    assert_same_type(got, want)
    assert_close(got, want, ulps=16, scale=64)
    weight = sample(want.shape, seed=2)  # the product is linear in x and in y, and jax has few of its derivatives
    dx, dy = aj.jit(aj.grad(lambda x, y: (f(lax)(x, y) * weight).sum(), (0, 1)))(x, y)
    for found, point, moved in ((dx, x, lambda t: (t, y)), (dy, y, lambda t: (x, t))):
        t = sample(point.shape, seed=3)
        assert_close(
            (found * t).sum(), (np.asarray(of_jax(f(jax.lax), *moved(t))[0]) * weight).sum(), ulps=64, scale=1000
        )


def test_group_sizes_of_their_own_for_every_leading_index():
    x, y = sample((2, 3, 7, 4)), sample((3, 2, 4, 5))
    sizes = np.random.default_rng(0).integers(0, 4, (2, 3, 3)).astype(np.int32)
    got, want = (m.ragged_dot_general(x, y, sizes, numbers(m, "rows_mapped")) for m in (lax, jax.lax))
    assert_close(got, want, ulps=16, scale=64)
    x, y = sample((7, 2, 6, 4)), sample((2, 6, 7, 5))
    sizes = np.random.default_rng(1).integers(0, 4, (2, 6, 3)).astype(np.int32)
    got, want = (m.ragged_dot_general(x, y, sizes, numbers(m, "columns_mapped")) for m in (lax, jax.lax))
    assert_close(got, want, ulps=16, scale=64)


def test_ragged_dot_transformed():
    x, y, sizes = sample((2, 7, 4)), sample((3, 4, 5)), np.int32([2, 1, 4])
    f = lambda m: lambda x, s: m.ragged_dot(x, y, s)  # noqa: E731
    got, want = aj.vmap(f(lax), (0, None))(x, sizes), of_jax(lambda: [f(jax.lax)(v, sizes) for v in x])
    assert_close(got, np.stack(want), ulps=16, scale=16)
    half = [m.ragged_dot(x[0].astype(np.float16), y.astype(np.float16), sizes) for m in (lax, jax.lax)]
    assert_same_type(*half)
    wide = [m.ragged_dot(x[0].astype(np.float16), y.astype(np.float16), sizes, preferred_element_type=np.float32)
            for m in (lax, jax.lax)]  # fmt: skip
    assert_same_type(*wide)
    assert_close(*wide, ulps=16, scale=16)


def test_dimension_numbers_are_tuples_and_compare():
    ours = lax.RaggedDotDimensionNumbers(([[1], [1]], [[], []]), [0], [0])
    assert ours == numbers(lax, "rows") and hash(ours) == hash(numbers(lax, "rows"))
    assert ours.dot_dimension_numbers == numbers(jax.lax, "rows").dot_dimension_numbers


def test_errors_of_ragged_dot_general():
    x, y, sizes = sample((7, 4)), sample((3, 4, 5)), np.int32([2, 1, 4])
    make = lax.RaggedDotDimensionNumbers
    dot = (((1,), (1,)), ((), ()))
    with pytest.raises(DtypeError, match=r"expected integer group_sizes \[..., g\], got float32\[3\]"):
        lax.ragged_dot_general(x, y, sizes.astype(np.float32), make(dot, (0,), (0,)))
    with pytest.raises(ShapeError, match="one axis from the front in lhs_ragged_dimensions"):
        lax.ragged_dot_general(x, y, sizes, make(dot, (0, 1), (0,)))
    with pytest.raises(ShapeError, match="expected an axis of rhs of length 3"):
        lax.ragged_dot_general(x, y, sizes, make(dot, (0,), (2,)))
    with pytest.raises(ShapeError, match="expected no rhs_group_dimensions"):
        lax.ragged_dot_general(x, x.T, sizes, make((((1,), (0,)), ((), ())), (1,), (0,)))
    with pytest.raises(ShapeError, match="expected group_sizes"):
        lax.ragged_dot_general(x, y, np.ones((2, 3), np.int32), make(dot, (0,), (0,)))
    with pytest.raises(RefusedError, match="group_offset"):
        lax.ragged_dot_general(x, y, sizes, make(dot, (0,), (0,)), group_offset=np.int32([1]))


LOCAL = {
    "images": ((2, 3, 6, 5), (4, 18, 2, 4), (2, 1), "VALID", (3, 2), {}),
    "same": ((2, 3, 6, 5), (4, 18, 6, 5), (1, 1), "SAME", (3, 2), {}),
    "channels_last": ((2, 6, 5, 3), (4, 5, 9, 4), (1, 1), "VALID", (3, 1), {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}),
    "turned": ((2, 6, 5, 3), (5, 18, 6, 4), (1, 1), "SAME", (3, 2), {"dimension_numbers": ("NHWC", "WIHO", "CWHN")}),
    "dilated": ((2, 2, 9), (4, 4, 13), (1,), [(1, 2)], (2,), {"lhs_dilation": (2,), "rhs_dilation": (7,)}),
}  # fmt: skip


@pytest.mark.parametrize("case", LOCAL)
def test_conv_general_dilated_local(case):
    shape, kernel, strides, padding, window, options = LOCAL[case]
    x, w = sample(shape), sample(kernel)
    f = lambda m: lambda x, w: m.conv_general_dilated_local(x, w, strides, padding, window, **options)  # noqa: E731
    got, want = aj.jit(f(lax))(x, w), of_jax(f(jax.lax), x, w)[0]
    assert_same_type(got, want)
    assert_close(got, want, ulps=16, scale=64)
    grad = lambda m, g: m.grad(lambda *a: (g(*a) ** 2).sum(), (0, 1))(x, w)  # noqa: E731
    ours, theirs = grad(aj, f(lax)), of_jax(lambda: grad(jax, f(jax.lax)))
    for a, b in zip(ours, theirs):
        assert_close(a, b, ulps=64, scale=4000)


def test_conv_general_permutations():
    for specs in (("NCHW", "OIHW", "NCHW"), ("NHWC", "WIHO", "CWHN"), ("NC", "OI", "NC"), ("XNC", "IXO", "CXN")):
        assert lax.conv_general_permutations(specs) == jax.lax.conv_general_permutations(specs)
    for bad in (("NCHH", "OIHW", "NCHW"), ("NHW", "OIHW", "NCHW"), ("NCHW", "OIHW", "NCHD")):
        with pytest.raises(TypeError):
            jax.lax.conv_general_permutations(bad)
        with pytest.raises(ShapeError, match="the same spatial letters once"):
            lax.conv_general_permutations(bad)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_mulhi(dtype):
    info = np.iinfo(dtype)
    edges = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, info.max // 2 + 1, info.max // 3]
    drawn = np.random.default_rng(0).integers(info.min, info.max, 9, dtype, endpoint=True).tolist()
    pairs = list(itertools.product(edges + drawn, repeat=2))
    x, y = np.array(pairs, dtype).T
    with aj.enable_x64(True), jax.enable_x64(True):
        want = np.array([(a * b) >> info.bits for a, b in pairs], dtype)
        for got in (lax.mulhi(x, y), aj.jit(lax.mulhi)(x, y), jax.lax.mulhi(x, y)):
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(lax.mulhi(x, x.dtype.type(2)), [(a * 2) >> info.bits for a, _ in pairs])


def test_mulhi_takes_integers_of_one_dtype():
    for x, y in ((np.float32(1), np.float32(2)), (np.int32(1), np.int8(2)), (np.bool_(1), np.bool_(1))):
        with pytest.raises(TypeError):
            jax.lax.mulhi(x, y)
        with pytest.raises(DtypeError, match=r"\[mulhi\] expected"):
            lax.mulhi(x, y)
    assert aj.jvp(lambda x: lax.mulhi(np.int32(5), np.int32(7)) * x, (2.0,), (1.0,))[1] == 0.0
