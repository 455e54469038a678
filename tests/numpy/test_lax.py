"""anejax.lax against jax.lax: one line per call. ``m`` is the lax module, ``np_`` the numpy module beside it."""
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

import jax.lax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax import lax
from anejax.errors import DtypeError, ShapeError
from tests.numpy.compare import assert_close, assert_same_type, check, sample, to, tree_leaves

V, M, M2 = sample((5,)), sample((3, 4)), sample((3, 4), seed=1)
T, I = sample((2, 3, 4)), sample((3, 4), "int32")
IMAGE, KERNEL = sample((2, 3, 6, 6)), sample((4, 3, 3, 3), seed=1)

TABLE = {
    "arithmetic": (lambda m, x, y: [m.add(x, y), m.sub(x, y), m.mul(x, 2.0), m.div(x, y), m.rem(x, y), m.max(x, y), m.min(x, 0.5), m.neg(x)], M, M2),
    "functions": (lambda m, x: [m.exp(x), m.tanh(x), m.logistic(x), m.erf(x), m.rsqrt(m.abs(x)), m.square(x), m.sign(x), m.reciprocal(x)], M),
    "special": (lambda m, x: [m.lgamma(m.abs(x)), m.digamma(m.abs(x)), m.erf_inv(x / 5), m.erfc(x)], M),
    "powers": (lambda m, x: [m.pow(m.abs(x), 2.5), m.integer_pow(x, 3), m.integer_pow(x, -2), m.cbrt(x)], M),
    "bits": (lambda m, x: [m.bitwise_and(x, 3), m.bitwise_or(x, 1), m.bitwise_xor(x, 5), m.bitwise_not(x), m.shift_left(x, 2), m.shift_right_arithmetic(x, 1), m.shift_right_logical(x, 1), m.population_count(x), m.clz(x)], I),
    "comparisons": (lambda m, x, y: [m.eq(x, y), m.ne(x, y), m.lt(x, y), m.le(x, 0.0), m.gt(x, y), m.ge(x, y)], M, M2),
    "rounding": (lambda m, x: [m.round(x), m.round(x, m.RoundingMethod.TO_NEAREST_EVEN), m.floor(x), m.ceil(x), m.is_finite(x)], np.array([0.5, 1.5, -2.5, 0.3], np.float32)),
    "selection": (lambda m, x, y: [m.select(m.gt(x, y), x, y), m.select_n(m.gt(x, y), x, y), m.clamp(-1.0, x, 1.0)], M, M2),
    "conversion": (lambda m, x: [m.convert_element_type(x, "int32"), m.bitcast_convert_type(x, "int32"), m.reduce_precision(x, 5, 10)], M),
    "reshape": (lambda m, x: [m.reshape(x, (4, 3)), m.transpose(x, (1, 0)), m.rev(x, (0,)), m.expand_dims(x, (0, 3)), m.squeeze(m.expand_dims(x, (1,)), (1,)), m.collapse(x, 0)], M),
    "broadcast": (lambda m, x: [m.broadcast(x, (2,)), m.broadcast_in_dim(x, (3, 2, 4), (0, 2)), m.broadcast_to_rank(x, 4), m.full((2,), 1.5), m.full_like(x, 2)], M),
    "slice": (lambda m, x: [m.slice(x, (0, 1), (3, 4), (2, 1)), m.slice_in_dim(x, 1, None, axis=1), m.index_in_dim(x, -1), m.index_in_dim(x, 1, 1, False)], M),
    "pad": (lambda m, x: [m.pad(x, 0.0, [(1, 2, 0), (0, 0, 1)]), m.pad(x, 1.0, [(-1, 0, 0), (2, -1, 0)])], M),
    "concatenate": (lambda m, x, y: [m.concatenate([x, y], 0), m.stack([x, y], 1), *m.split(x, (1, 3), axis=1), m.tile(x, (2, 1))], M, M2),
    "iota": (lambda m: [m.iota("int32", 4), m.broadcasted_iota("float32", (2, 3), 1)],),
    "dynamic": (lambda m, x: [m.dynamic_slice(x, (1, 2), (2, 2)), m.dynamic_slice(x, (9, -1), (2, 2)), m.dynamic_index_in_dim(x, 2, 1, False), m.dynamic_slice_in_dim(x, 1, 2)], M),
    "dynamic_update": (lambda m, x, y: [m.dynamic_update_slice(x, m.slice(y, (0, 0), (2, 2)), (2, 1)), m.dynamic_update_index_in_dim(x, m.index_in_dim(y, 0), 1, 0)], M, M2),
    "reductions": (lambda m, x: [m.reduce_sum(x, (0,)), m.reduce_max(x, (1,)), m.reduce_min(x, (0, 1)), m.reduce_prod(x, (1,)), m.argmax(x, 1, "int32"), m.argmin(x, 0, "int32")], M),
    "reduce": (lambda m, x: [m.reduce(x, np.float32(0), m.add, (0,)), m.reduce(x, np.float32(1), m.mul, (0, 1)), m.reduce(x, np.float32(-9), m.max, (1,))], M),
    "reduce_general": (lambda m, x: [m.reduce(x, np.float32(0), lambda a, b: m.add(a, b), (1,)), *m.reduce((x, x), (np.float32(0), np.float32(-99)), lambda a, b: (m.add(a[0], b[0]), m.max(a[1], b[1])), (0,))], M),
    "cumulative": (lambda m, x: [m.cumsum(x, 1), m.cumprod(x, 0), m.cummax(x, 1, True), m.cummin(x, 0), m.cumlogsumexp(x, 1)], M),
    "dot": (lambda m, x, y: [m.dot_general(x, y, (((1,), (1,)), ((), ()))), m.dot(x, m.transpose(y, (1, 0))), m.dot_general(x, y, (((1,), (1,)), ((0,), (0,))))], M, M2),
    "batch_matmul": (lambda m, x: m.batch_matmul(x, m.transpose(x, (0, 2, 1))), T),
    "sort": (lambda m, x: [m.sort(x), m.sort(x, dimension=0), *m.sort((x, -x), num_keys=1), *m.sort_key_val(x, -x), *m.top_k(x, 2)], M),
    "conv": (lambda m, x, w: [m.conv(x, w, (1, 1), "SAME"), m.conv(x, w, (2, 2), "VALID"), m.conv_general_dilated(x, w, (1, 1), [(1, 1), (0, 2)], rhs_dilation=(2, 1))], IMAGE, KERNEL),
    "conv_transpose": (lambda m, x, w: m.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"), transpose_kernel=True), IMAGE[:, :, :4, :4], sample((3, 4, 3, 3))),
    "reduce_window": (lambda m, x: [m.reduce_window(x, -np.inf, m.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"), m.reduce_window(x, 0.0, m.add, (1, 1, 3, 3), (1, 1, 1, 1), "SAME")], IMAGE),
    "gather": (lambda m, x: m.gather(x, np.array([[0], [2]], np.int32), m.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)), (1, 4), mode="clip"), M),
    "scatter": (lambda m, x: [f(x, np.array([[0], [2]], np.int32), np.ones((2, 4), np.float32), m.ScatterDimensionNumbers(update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))) for f in (m.scatter, m.scatter_add, m.scatter_mul, m.scatter_min, m.scatter_max)], M),
    "derived_shapes": (lambda m: [m.conv_general_shape_tuple((2, 3, 6, 6), (4, 3, 3, 3), (2, 2), "SAME", ("NCHW", "OIHW", "NCHW")), m.conv_transpose_shape_tuple((2, 3, 6, 6), (4, 3, 3, 3), (2, 2), "VALID", ("NCHW", "OIHW", "NCHW")), m.reduce_window_shape_tuple((5, 6), (2, 3), (1, 2), ((0, 0), (1, 1)))],),
    "patches": (lambda m, x: [m.conv_general_dilated_patches(x, (3, 2), (2, 1), "SAME"), m.conv_general_dilated_patches(x, (2, 2), (1, 1), "VALID", rhs_dilation=(2, 1), dimension_numbers=("NHWC", "HWIO", "NHWC"))], IMAGE),
    "approx_top": (lambda m, x: [*m.approx_max_k(x, 2), *m.approx_min_k(x, 2, 0)], M),
    "ragged_dot": (lambda m, x, y: [m.ragged_dot(x, y, np.array(s, np.int32)) for s in ([1, 2], [0, 3], [2, 0])], sample((3, 4)), sample((2, 4, 5))),
    "platform": (lambda m, x: [m.platform_dependent(x, cpu=lambda v: v + 1, default=lambda v: v), m.platform_dependent(x, default=lambda v: v)], M),
    "dtype": (lambda m, x: [m.dtype(x), m.dtype(1.5), m.dtype(x[0])], I),
    "stop_gradient": (lambda m, x: [m.stop_gradient(x), m.optimization_barrier(x)], M),
    "shapes": (lambda m: [m.broadcast_shapes((2, 1), (1, 3)), list(m.padtype_to_pads((6, 6), (3, 3), (2, 2), "SAME")), m.conv_shape_tuple((2, 3, 6, 6), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)))],),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_as_jax(name):
    f, *args = TABLE[name]
    ours = f(lax, *[to(anp, a) for a in args])
    theirs = f(jax.lax, *[to(jnp, a) for a in args])
    mine, expected = tree_leaves(ours), tree_leaves(theirs)
    assert len(mine) == len(expected)
    for a, b in zip(mine, expected):
        if isinstance(b, jax.Array):
            assert_same_type(a, b)
            assert_close(a, b, ulps=64, scale=1.0)
        else:
            assert tuple(a) == tuple(b) if isinstance(b, (tuple, list)) else a == b


def test_primitives_by_name():
    assert lax.sin_p.name == "sin" and lax.dot_general_p.name == "dot_general"
    with pytest.raises(AttributeError):
        lax.nothing_p  # noqa: B018


def test_results_are_arrays_even_when_nothing_changes():
    host = np.ones((2, 2), np.float32)
    for out in (lax.reshape(host, (2, 2)), lax.transpose(host, (0, 1)), lax.pad(host, 0.0, [(0, 0, 0)] * 2),
                lax.convert_element_type(host, "float32"), lax.concatenate([host], 0), lax.full((), 1.0)):  # fmt: skip
        assert isinstance(out, aj.Array)


@pytest.mark.parametrize("dtype, shape", [("float32", (2, 4)), ("uint8", (3, 4)), ("int16", (2,)), ("uint8", (2,))])
@pytest.mark.parametrize("target", ["uint8", "float16", "int32", "float32", "uint32"])
def test_bits_of_another_width(dtype, shape, target):
    """A narrower dtype adds an axis, a wider one takes it away, or raises where its length does not fit."""
    x = sample(shape, dtype, low=0)
    check(lambda m, x: (lax if m is anp else jax.lax).bitcast_convert_type(x, target), x)


def test_the_highest_bit_of_unsigned_integers_is_shifted_in():
    x, n = np.array([2, 1, 2**32 - 2, 2**31, 7], np.uint32), np.array([3, 4, 3, 31, 40], np.uint32)
    check(lambda m, x, n: (lax if m is anp else jax.lax).shift_right_arithmetic(x, n), x, n)


def test_products_are_not_narrower_than_their_operands():
    with aj.enable_x64(), pytest.raises(DtypeError, match="no narrower than int64, got float32"):
        anp.matmul(anp.ones((2, 2), "int64"), anp.ones((2, 2), "int64"), preferred_element_type="float32")


def test_derivatives_at_the_edges():
    """Of the greatest of no elements, and twice of the cube root at 0."""
    empty = np.zeros((3, 0), np.float32)
    np.testing.assert_array_equal(aj.jvp(lambda x: lax.reduce_max(x, (1,)), (empty,), (empty,))[1], np.zeros(3))
    ours, theirs = (m.grad(m.grad(f)) for m, f in ((aj, anp.cbrt), (jax, jnp.cbrt)))
    np.testing.assert_array_equal(ours(np.float32(0)), theirs(np.float32(0)))


def test_errors():
    x = anp.ones((2, 3))
    with pytest.raises(ShapeError, match=r"\[add\].*equal shapes"):
        lax.add(x, anp.ones(3))
    with pytest.raises(DtypeError, match=r"\[mul\].*equal dtypes"):
        lax.mul(x, anp.ones((2, 3), int))
    with pytest.raises(ShapeError, match=r"\[split\]"):
        lax.split(x, (1, 3), axis=1)
    with pytest.raises(ShapeError, match="scalar"):
        lax.full((2,), anp.ones(2))
    with pytest.raises(DtypeError, match=r"\[reduce\]"):
        lax.reduce(x, anp.asarray([1.0]), lax.add, (0,))
