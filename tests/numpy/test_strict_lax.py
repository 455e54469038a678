# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
"""What jax.lax and its like refuse although it could be computed, and dtypes of products: values in closed form."""

from __future__ import annotations

import functools

import ml_dtypes
import numpy as np
import pytest
import scipy.special

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.errors import DtypeError, ShapeError

rng = np.random.default_rng(17)
BOTH = pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
F, H, I, U, C, B = (np.ones(3, d) for d in (np.float32, np.float16, np.int32, np.uint8, np.complex64, np.bool_))
M, N = (rng.normal(size=s).astype(np.float32) for s in ((2, 3), (3, 2)))


@BOTH
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min", "eq", "lt", "pow"])
def test_numbers_of_another_dtype(name, jit):
    function = getattr(lax, name)
    others = [(H, 2.5), (C, 1.0), (F, True)]  # powers by integers are taken
    for x, other in others if name == "pow" else [(F, 1), (U, 2), (H, 2), (I, 1.5), (I, True), *others]:
        for call in (lambda x: function(x, other), lambda x: function(other, x)):  # noqa: B023
            with pytest.raises((DtypeError, TypeError), match=rf"\[{name}\]"):
                jit(call)(x)
    assert jit(lambda x: function(x, 1.0))(F).shape == (3,)


def test_numbers_of_the_dtype():
    assert lax.add(F, 2.0).tolist() == [3] * 3 and lax.bitwise_and(I, 3).tolist() == [1] * 3
    for call in (lambda: lax.clamp(0, F, 1), lambda: lax.clamp(0, U, 1), lambda: lax.bitwise_and(I, True),
                 lambda: lax.shift_left(U, 1)):  # fmt: skip
        with pytest.raises(DtypeError, match="does not fit"):
            call()
    assert lax.clamp(0.0, 2 * F, 1.5).tolist() == [1.5] * 3
    assert aj.nn.relu6(H).dtype == np.float16 and jnp.add(H, 1).dtype == np.float16  # not asked of the package itself


@BOTH
def test_powers_by_integers(jit):
    for base in (2.0, 1 + 1j, np.float32(2), np.complex64(1j)):
        out = jit(lambda y, base=base: lax.pow(base, y))(np.int32([0, 1, 3]))
        np.testing.assert_allclose(out, np.power(base, [0, 1, 3]), rtol=1e-6, atol=1e-6)
        assert out.dtype == (np.complex64 if np.iscomplexobj(base) else np.float32)
    assert lax.pow(2.0, 3) == 8 and lax.pow(2.0, 3).weak_type


@BOTH
@pytest.mark.parametrize("call", [
    lambda x: lax.cumsum(x, -1), lambda x: lax.cumprod(x, axis=-2), lambda x: lax.cummax(x, -1),
    lambda x: lax.cummin(x, -1), lambda x: lax.cumlogsumexp(x, -1), lambda x: lax.argmax(x, -1, np.int32),
    lambda x: lax.argmin(x, -1, np.int32), lambda x: lax.reduce_sum(x, [-1]), lambda x: lax.reduce_max(x, (-2,)),
    lambda x: lax.reduce(x, np.float32(0), lax.add, (-1,)), lambda x: lax.concatenate([x, x], -1),
    lambda x: lax.rev(x, [-1]), lambda x: lax.broadcasted_iota(np.int32, x.shape, -1),
    lambda x: lax.reduce_and(x > 0, (-1,)),
])  # fmt: skip
def test_axes_of_lax_count_from_the_front(call, jit):
    with pytest.raises(ShapeError, match="expected an axis between 0 and 1"):
        jit(call)(M)


@pytest.mark.parametrize("call", [
    lambda: lax.reduce_max(M, 1), lambda: lax.reduce_sum(M, None), lambda: lax.cumsum(M, (0,)), lambda: lax.rev(M, 0),
    lambda: lax.argmax(M, 0.5, np.int32), lambda: lax.sort(M, dimension=None), lambda: lax.expand_dims(M, (0.5,)),
])  # fmt: skip
def test_axes_are_integers(call):
    with pytest.raises(ShapeError, match=r"expected (an integer as axis|a sequence of axes), got"):
        call()


def test_axes_that_may_count_from_the_end():
    assert lax.sort(M, dimension=-1).shape == (2, 3) and lax.expand_dims(M, (-1,)).shape == (2, 3, 1)
    assert lax.stack([M, M], -1).shape == (2, 3, 2) and lax.top_k(M, 1, axis=-2)[0].shape == (1, 3)
    assert jnp.cumsum(M, -1).shape == (2, 3) and jnp.max(M, -1).shape == (2,)


def test_domains():
    for call, text in [
        (lambda: lax.abs(U), "abs"), (lambda: lax.top_k(C, 1), "top_k"), (lambda: nn.sigmoid(I), "sigmoid"),
        (lambda: nn.sigmoid(True), "sigmoid"), (lambda: nn.silu(1), "silu"), (lambda: nn.glu(np.arange(4)), "sigmoid"),
        (lambda: aj.scipy.special.spence(I), "spence"), (lambda: aj.scipy.special.spence(H), "spence"),
        (lambda: lax.approx_max_k(I, 1), "approx_max_k"),
        (lambda: nn.logsumexp(F, where=I), "logsumexp"),
    ]:  # fmt: skip
        with pytest.raises(DtypeError, match=rf"\[{text}\]"):
            call()
    assert jnp.abs(U).tolist() == [1, 1, 1] and lax.top_k(F, 2.0)[0].tolist() == [1, 1]
    assert lax.select_n(U, F, 2 * F).tolist() == [2, 2, 2]


def test_sizes():
    for call in (lambda: jnp.linalg.outer(M, F), lambda: jnp.linalg.outer(2, F),
                 lambda: jnp.extract(np.ones(4, bool), F), lambda: jnp.compress(np.ones(4, bool), F),
                 lambda: jnp.compress(np.ones(3, bool), M, axis=0), lambda: jnp.extract(B, F, size=4),
                 lambda: jnp.extract(B, F, size=-1)):  # fmt: skip
        with pytest.raises(ShapeError, match=r"\[(outer|compress)\]"):
            call()
    np.testing.assert_array_equal(jnp.linalg.outer(F, 2 * F), np.full((3, 3), 2))
    padded = jnp.extract(np.array([True, False]), np.float32([5, 6, 7]), size=2, fill_value=9)
    assert padded.tolist() == [5, 9] and lax.ne(x=F, y=F).tolist() == [False] * 3
    with pytest.raises(ShapeError, match="a size between 0 and 2"):
        jnp.extract(np.array([True, False]), F, size=3)
    assert jnp.extract(np.array([True, False, True, False]), np.float32([5, 6, 7])).tolist() == [5, 7]
    assert jnp.compress(np.array([False, True]), M, axis=1).tolist() == M[:, 1:2].tolist()


# --- approximate maxima -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis", "k", "options", "size"), [
    ((5,), -1, 2, {}, 5), ((5000,), 0, 3, {}, 2048), ((5000,), 0, 3, {"recall_target": 1.0}, 5000),
    ((2000,), 0, 1, {}, 1024), ((2, 700), 1, 3, {}, 256), ((700, 2), 0, 30, {}, 700),
    ((2, 700), -1, 3, {"reduction_input_size_override": 3000}, 128),
])  # fmt: skip
def test_candidates_of_approximate_maxima(shape, axis, k, options, size):
    """The sizes are those that jax 0.10.2 has."""
    x = rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    for function, sign in ((lax.approx_max_k, -1), (lax.approx_min_k, 1)):
        for aggregate, count in ((True, k), (False, size)):
            values, places = function(x, k, axis, aggregate_to_topk=aggregate, **options)
            order = np.take(np.argsort(sign * x, axis), np.arange(count), axis)
            np.testing.assert_array_equal(places, order)
            np.testing.assert_array_equal(values, np.take_along_axis(x, order, axis))


@pytest.mark.parametrize("options", [
    {"k": 0}, {"k": -1}, {"k": 1, "recall_target": 0.0}, {"k": 1, "recall_target": 1.5},
    {"k": 1, "reduction_input_size_override": 2},
])  # fmt: skip
def test_arguments_of_approximate_maxima(options):
    with pytest.raises(ValueError, match=r"\[approx_max_k\]"):
        lax.approx_max_k(F, **options)


# --- products ---------------------------------------------------------------------------------------------------------

_IMAGE, _KERNEL = (rng.normal(size=(1, 1, n, n)).astype(np.float32) for n in (4, 2))
WITH_PRECISION = {
    "matmul": lambda p: jnp.matmul(M, N, precision=p), "dot": lambda p: jnp.dot(M, N, precision=p),
    "vdot": lambda p: jnp.vdot(F, F, precision=p), "inner": lambda p: jnp.inner(F, F, precision=p),
    "tensordot": lambda p: jnp.tensordot(M, N, 1, precision=p), "vecdot": lambda p: jnp.vecdot(F, F, precision=p),
    "einsum": lambda p: jnp.einsum("ij,jk", M, N, precision=p),
    "multi_dot": lambda p: jnp.linalg.multi_dot([M, N], precision=p),
    "convolve": lambda p: jnp.convolve(F, F, precision=p), "correlate": lambda p: jnp.correlate(F, F, precision=p),
    "dot_general": lambda p: lax.dot(F, F, precision=p),
    "batch": lambda p: lax.batch_matmul(M[None], N[None], precision=p),
    "conv": lambda p: lax.conv(_IMAGE, _KERNEL, (1, 1), "SAME", p),
    "conv_general": lambda p: lax.conv_with_general_padding(_IMAGE, _KERNEL, (1, 1), "SAME", None, None, p),
    "conv_transpose": lambda p: lax.conv_transpose(M[None, ..., None], N[..., None, None], (1, 1), "SAME", precision=p),
    "patches": lambda p: lax.conv_general_dilated_patches(_IMAGE, (2, 2), (1, 1), "SAME", precision=p),
    "ragged": lambda p: lax.ragged_dot(M, N[None], np.int32([2]), precision=p),
    "signal": lambda p: aj.scipy.signal.convolve(F, F, precision=p),
    "signal 2d": lambda p: aj.scipy.signal.correlate2d(M, M, precision=p),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_PRECISION)
def test_precisions(name):
    call = WITH_PRECISION[name]
    taken = [None, "highest", "bfloat16_3x", lax.Precision.HIGH, ("high", "default"), (lax.Precision.DEFAULT,) * 2]
    outs = [np.asarray(call(p)) for p in taken]
    assert all((out == outs[0]).all() for out in outs)
    for bad in ("HIGH", 7, ("high",), ("high", "high", "high"), (lax.Precision.HIGH, "high"), (None, None)):
        with pytest.raises(ValueError, match="expected a precision of"):
            call(bad)


@BOTH
def test_results_narrower_than_the_factors(jit):
    """Summed in the factors' dtype and rounded once, or cut once."""
    a, b = np.float32([0.6, 0.7, 1.9]), np.float32([0.9, 0.8, 3.7])
    exact = float(a.astype(float) @ b.astype(float))
    dot = lambda dtype: jit(functools.partial(lax.dot, preferred_element_type=dtype))  # noqa: E731
    for dtype in (np.float16, ml_dtypes.bfloat16, np.int32, np.int8, np.uint8, np.bool_):
        out = dot(dtype)(a, b)
        assert out.dtype == dtype and out == np.asarray(exact).astype(dtype), dtype
    z = np.complex64([1 + 2j, 3.5])
    assert dot(np.float32)(z, z) == np.float32((z @ z).real) and dot(np.int32)(z, z) == 9
    assert jit(lambda a, b: jnp.einsum("i,i", a, b, preferred_element_type=np.int32))(a, b) == int(exact)
    for x, dtype in ((I, np.int8), (I, np.float16), (U, np.bool_), (C, np.float16)):
        with pytest.raises(DtypeError, match="no narrower"):
            dot(dtype)(x, x)


@BOTH
@pytest.mark.parametrize(("one", "two", "result"), [
    ("int8", "uint8", "int8"), ("uint8", "int8", "int8"), ("int8", "uint32", "uint32"),
    ("float16", "bfloat16", "bfloat16"), ("float16", "float32", "float32"), ("uint8", "float16", "float16"),
    ("bool", "int8", "int8"),
    ("float32", "complex64", "complex64"), ("int32", "bfloat16", "bfloat16"),
])  # fmt: skip
def test_products_of_two_dtypes(one, two, result, jit):
    """By XLA's order of precision: exponent bits, mantissa bits, width, sign."""
    x, y = (np.asarray([3, 1, 1]).astype(getattr(ml_dtypes, d, d)) for d in (one, two))
    out = jit(lax.dot)(x, y)
    assert out.dtype.name == result and out == (5 if one == "bool" else 11)


def test_kinds_of_results_of_convolutions():
    i8, kernel = np.ones((1, 1, 3), np.int8), np.ones((1, 1, 2), np.int8)
    conv = lambda x, w, dtype: lax.conv_general_dilated(x, w, (1,), "VALID", preferred_element_type=dtype)  # noqa: E731
    assert conv(i8, kernel, np.int32).tolist() == [[[2, 2]]] and conv(i8, kernel, np.float32).dtype == np.float32
    f32, i32 = (x.astype(np.float32) for x in (i8, kernel)), i8.astype(np.int32)
    f32 = [*f32]
    for x, w, dtype in ((i8, kernel, np.uint8), (i8, kernel, np.complex64), (*f32, np.float16), (*f32, np.int32),
                        (i32, i32, np.int8), (i32, i32, np.float16)):  # fmt: skip
        with pytest.raises(DtypeError, match="of the kind of"):
            conv(x, w, dtype)
    with pytest.raises(DtypeError, match="of the kind of"):
        jnp.convolve(F, F, preferred_element_type=np.float16)


# --- other rules of jax ----------------------------------------------------------------------------------------------


def test_the_index_of_loops_is_a_python_integer():
    for lower, upper in ((np.int8(0), 3), (0, np.int8(3)), (0.0, 3.0), (np.uint8(0), np.uint8(3)), (jnp.int32(0), 3)):
        seen = []
        out = lax.fori_loop(lower, upper, lambda i, x, seen=seen: (seen.append(i), x + i)[1], 0)
        assert out == 3 and out.weak_type and all(i.dtype == np.int32 and i.aval.weak_type for i in seen)
    for lower, upper in ((np.int16(0), np.int8(3)), (np.uint8(0), 3), (0.0, 3)):
        with pytest.raises(TypeError, match=r"\[fori_loop\]"):
            lax.fori_loop(lower, upper, lambda i, x: x, 0)


def test_small_differences():
    assert aj.dtypes.itemsize_bits(bool) == 8
    assert jnp.einsum("ii", np.eye(3, dtype=bool)).dtype == bool and not jnp.einsum("ii", np.zeros((2, 2), bool))
    assert jnp.fft.fftfreq(5, 0.1, dtype=np.int32).tolist() == [0, 2, 4, -4, -2]
    assert jnp.fft.rfftfreq(4.0).tolist() == [0, 0.25, 0.5]
    assert lax.mul(np.complex64(2 + 3j), np.complex64(4 + 5j), out_dtype=np.float32) == 8
    assert np.isnan(lax.polygamma(np.float32([1.5, -1]), np.float32([2, 2]))).all()


def test_arguments_by_name():
    """As jax names them, of functions whose own call goes through another one."""
    x = np.float32([0.25, 0.5])
    special = scipy.special
    for name, by_name, exact in [
        ("betainc", {"x": x, "a": x + 1, "b": x + 2}, special.betainc(x + 1, x + 2, x)),
        ("igamma", {"x": x, "a": x + 1}, special.gammainc(x + 1, x)),
        ("igammac", {"x": x, "a": x + 1}, special.gammaincc(x + 1, x)),
        ("zeta", {"q": x, "x": x + 2}, special.zeta(x + 2, x)), ("bessel_i0e", {"x": x}, special.i0e(x)),
        ("polygamma", {"x": x, "m": np.float32([1, 1])}, special.polygamma(1, x)),
        ("nextafter", {"x1": x, "x2": x + 1}, np.nextafter(x, x + 1)), ("ne", {"y": x, "x": x}, x != x),
        ("full_like", {"fill_value": 2.0, "x": x}, np.full_like(x, 2)),
    ]:  # fmt: skip
        np.testing.assert_allclose(getattr(lax, name)(**by_name), exact, rtol=1e-5)
    assert jnp.trunc(x=F * 1.5).tolist() == [1] * 3 and jnp.empty_like(prototype=F).shape == (3,)
    assert jnp.full_like(a=F, fill_value=3).tolist() == [3] * 3
    with pytest.raises(TypeError, match="missing a required argument"):
        lax.igamma(a=x)


@BOTH
def test_keys_are_compared(jit):
    keys = aj.random.split(aj.random.key(0), 3)
    for out in (jit(jnp.equal)(keys, keys[1]), jit(lambda a, b: a == b)(keys, keys[1]), jit(lax.eq)(keys, keys)[1:2]):
        assert np.asarray(out).any() and out.dtype == bool
    assert jit(jnp.not_equal)(keys, keys[1]).tolist() == [True, False, True]


# --- Faddeeva's function ----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 1e3, 1e18])
def test_wofz(scale, jit):
    z = np.complex64((rng.normal(size=200) + 1j * rng.normal(size=200)) * scale)
    z = z[(z.imag >= 0) | (np.abs(z) < 6)]
    wide = z.astype(np.complex128)
    near = np.maximum(1, np.abs(wide) ** 2) * 2 * np.exp(np.clip(-(wide**2).real, None, 80))
    for function, exact in ((aj.scipy.special.wofz, scipy.special.wofz(wide)),
                            (lambda z: aj.scipy.special.erfcx(-1j * z), scipy.special.erfcx(-1j * wide))):  # fmt: skip
        error = np.abs(np.asarray(jit(function)(z)) - exact)
        assert (error <= 16 * 2.0**-23 * np.where(z.imag >= 0, np.abs(exact), np.abs(exact) + near)).all()


def test_wofz_of_real_numbers_and_its_slope():
    wofz = aj.scipy.special.wofz
    x = np.linspace(-4, 4, 9, dtype=np.float32)
    np.testing.assert_allclose(wofz(x), scipy.special.wofz(x), rtol=2e-6)
    assert wofz(np.float16(0)).dtype == np.complex64 and wofz(1).weak_type and wofz(np.zeros((0, 2))).shape == (0, 2)
    z = np.complex64([0.5 + 1j, -1 - 0.5j, 3])
    _, slope = aj.jvp(wofz, (z,), (np.ones_like(z),))
    np.testing.assert_allclose(slope, 2j / np.sqrt(np.pi) - 2 * z * scipy.special.wofz(z), rtol=1e-5)
