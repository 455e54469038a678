"""Elementwise functions against jax.numpy: values on special points, and types for every pair of dtypes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax.errors import DtypeError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import DTYPES, SPECIAL, assert_close, assert_same_type, check, sample

UNARY_FLOAT = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sqrt",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "reciprocal",
    "deg2rad",
    "rad2deg",
    "sinc",
    "rint",
    "fabs",
]
UNARY_ANY = [
    "abs",
    "negative",
    "sign",
    "square",
    "floor",
    "ceil",
    "trunc",
    "round",
    "isfinite",
    "isnan",
    "isinf",
    "isposinf",
    "isneginf",
    "logical_not",
    "signbit",
    "nan_to_num",
    "positive",
    "conj",
    "real",
    "imag",
    "isreal",
]
UNARY_INT = ["bitwise_not", "bitwise_count"]
BINARY_ANY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "floor_divide",
    "remainder",
    "fmod",
    "power",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "arctan2",
    "hypot",
    "copysign",
    "heaviside",
    "logaddexp",
    "logaddexp2",
    "float_power",
    "nextafter",
]
BINARY_INT = ["bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm"]
INT_POINTS = [0, 1, -1, 2, -2, 3, 7, -7, 100, -128, 127, 2**31 - 1, -(2**31)]

# functions that XLA computes less exactly than we do, or near a pole: how many ulp apart they may be
LOOSE = {"tan": 8, "log1p": 8, "arccosh": 8, "arcsinh": 8, "logaddexp2": 32, "logaddexp": 32, "hypot": 8, "sinc": 64,
         "float_power": 16, "power": 16, "tanh": 16, "arctan2": 8, "log2": 8, "log10": 8, "exp2": 32, "arctanh": 16,
         "sinh": 32, "cosh": 32, "expm1": 16, "exp": 8}  # fmt: skip
# logarithms of sums cancel: their error is of the size of their arguments
SCALE = {"logaddexp": 1.0, "logaddexp2": 1.0}


def call(name):
    return lambda m, *args: getattr(m, name)(*args)


@pytest.mark.parametrize("name", UNARY_FLOAT + UNARY_ANY)
def test_unary_floats(name):
    check(call(name), np.array(SPECIAL, np.float32), ulps=LOOSE.get(name, 4))


@pytest.mark.parametrize("name", UNARY_ANY + UNARY_INT)
def test_unary_ints(name):
    check(call(name), np.array(INT_POINTS, np.int32))


@pytest.mark.parametrize("name", UNARY_FLOAT + UNARY_ANY)
def test_unary_float16(name):
    check(call(name), sample((7,), "float16", 1), ulps=2)


@pytest.mark.parametrize("name", BINARY_ANY)
def test_binary_floats(name):
    points = np.array(SPECIAL, np.float32)
    # the least subnormal and huge powers are compared elsewhere: XLA flushes subnormals to zero
    check(call(name), points[:, None], points[None, :], ulps=LOOSE.get(name, 4), scale=SCALE.get(name))


@pytest.mark.parametrize("name", BINARY_ANY[:6] + BINARY_ANY[7:21] + BINARY_INT)
def test_binary_ints(name):
    points = np.array(INT_POINTS, np.int32)
    left = points[:, None]
    if name in ("gcd", "lcm"):
        left = left[np.abs(left.astype(np.int64))[:, 0] < 2**31]
        points = points[np.abs(points.astype(np.int64)) < 2**31]
    check(call(name), left, points[None, :])


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "floor_divide", "remainder", "fmod", "power", "left_shift", "right_shift"]
)
def test_binary_narrow_ints_wrap(name, dtype):
    info = np.iinfo(dtype)
    points = np.array([0, 1, 2, 3, 7, info.max, info.min, info.max - 1], dtype)
    check(call(name), points[:, None], points[None, :])


def typed(module, dtype, form):
    if form == "array":
        return module.ones(3, dtype)
    if form == "scalar":
        return module.ones((), dtype)
    return {"int": 2, "float": 0.5, "bool": True}[form]


def avals(name, *specs):
    """(ours, jax's) result types, without computing jax's values; None where an error is raised."""
    out = []
    for module in (anp, jnp):
        args = [typed(module, d, f) for d, f in specs]
        f = getattr(module, name)
        try:
            if module is anp:
                out.append(f(*args))
            else:
                dynamic = [i for i, (_, form) in enumerate(specs) if form in ("array", "scalar")]

                def part(*xs, f=f, args=args, dynamic=dynamic):
                    whole = list(args)
                    for i, x in zip(dynamic, xs):
                        whole[i] = x
                    return f(*whole)

                out.append(jax.eval_shape(part, *[args[i] for i in dynamic]))
        except (TypeError, ValueError):
            out.append(None)
    return out


@pytest.mark.parametrize("name", UNARY_FLOAT + UNARY_ANY + UNARY_INT)
def test_unary_types(name):
    for dtype in DTYPES:
        ours, theirs = avals(name, (dtype, "array"))
        assert (ours is None) == (theirs is None), f"{name}({dtype}): {ours} and {theirs}"
        if ours is not None:
            assert_same_type(ours, theirs, f"{name}({dtype})")


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "divide",
        "power",
        "floor_divide",
        "maximum",
        "less",
        "logical_and",
        "arctan2",
        "left_shift",
        "bitwise_and",
    ],
)
def test_binary_types(name):
    forms = [(d, "array") for d in DTYPES] + [(None, "int"), (None, "float"), (None, "bool")]
    for x in forms:
        for y in forms:
            if x[0] is None and y[0] is None:
                continue
            ours, theirs = avals(name, x, y)
            assert (ours is None) == (theirs is None), f"{name}{x, y}: {ours} and {theirs}"
            if ours is not None:
                assert_same_type(ours, theirs, f"{name}{x, y}")


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "power", "sin", "maximum", "mod"])
def test_scalars_are_weak(name):
    for args in ([2, 3], [2.0, 3], [2, 0.5], [True, 2]):
        args = args[:1] if name == "sin" else args
        ours, theirs = getattr(anp, name)(*args), getattr(jnp, name)(*args)
        assert_same_type(ours, theirs, f"{name}{args}")
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_power_of_python_ints():
    for power in (-2, -1, 0, 1, 2, 3, 5, 8):
        check(lambda m, x, power=power: m.power(x, power), np.array([-2.0, 0.5, 3.0], np.float32))
        check(lambda m, x, power=power: x**power, np.array([-2, 1, 3], np.int32))
    graph = str(aj.make_jaxpr(lambda x: x**2)(anp.ones(3)))
    assert "integer_pow" in graph or "square" in graph


def test_broadcasting():
    for a, b in [((3, 1), (1, 4)), ((), (2, 3)), ((1,), (5,)), ((2, 1, 3), (4, 1)), ((0,), (1,)), ((0, 3), (1, 3))]:
        check(lambda m, x, y: m.add(x, y), sample(a), sample(b, seed=1))


def test_scalars_are_not_broadcast():
    graph = str(aj.make_jaxpr(lambda x: 2.0 * x + 1)(anp.ones((3, 4))))
    assert "broadcast" not in graph, graph


def test_frexp_ldexp_modf_divmod():
    x = np.array([0.0, 1.0, -3.7, 1e20, 0.001, np.inf, np.nan], np.float32)
    check(lambda m, x: m.frexp(x)[0], x)
    check(lambda m, x: m.frexp(x)[1], x[:5])
    check(lambda m, x: m.ldexp(x, m.arange(7)), x)
    check(lambda m, x: m.modf(x), x[:5])
    check(lambda m, x: m.divmod(x, 0.75), x[:5])
    check(lambda m, x: m.divmod(x, -3), np.arange(-5, 5, dtype=np.int32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_ldexp_and_frexp_are_exact_over_the_whole_range(dtype):
    """Against NumPy in float64: results are rounded once where they are subnormal, intermediates never overflow."""
    with aj.enable_x64(), np.errstate(all="ignore"):
        info = anp.finfo(dtype)
        low, high = info.minexp - info.nmant, info.maxexp
        rng = np.random.default_rng(0)
        powers = rng.integers(low - 2, high + 1, 2000)
        x = np.ldexp(rng.uniform(-1, 1, 2000), powers).astype(info.dtype)
        x[:5] = [0.0, -0.0, np.inf, -np.inf, np.nan]
        n = rng.integers(low - high - 5, high - low + 5, 2000).astype(np.int32)
        wide = x.astype(np.float64)
        scaled = np.ldexp(wide, n).astype(info.dtype).astype(np.float64)
        mantissa, exponent = np.frexp(wide)
        exponent[~np.isfinite(wide)] = 0
        for run in (lambda f: f, aj.jit):
            np.testing.assert_array_equal(np.asarray(run(anp.ldexp)(x, n)).astype(np.float64), scaled)
            ours = run(anp.frexp)(x)
            np.testing.assert_array_equal(np.asarray(ours[0]).astype(np.float64), mantissa)
            np.testing.assert_array_equal(ours[1], exponent)


def test_the_mantissa_is_linear_in_each_octave():
    """The derivative is a power of two, whose own derivative is exactly 0."""
    x = np.float32([-1.8415456, -0.12132034, 0.25339812, 1e-30, 3e38])
    slope = aj.vmap(aj.grad(lambda v: anp.frexp(v)[0]))
    np.testing.assert_array_equal(slope(x), np.exp2(-np.frexp(x.astype(np.float64))[1]).astype(np.float32))
    np.testing.assert_array_equal(aj.jvp(slope, (x[:3],), (np.ones(3, np.float32),))[1], np.zeros(3, np.float32))


def test_rounding_to_decimals():
    x = np.array([1.25, 2.675, -0.05, 1234.5, 0.5, 1.5], np.float32)
    for decimals in (-2, 0, 1, 2):
        check(lambda m, x, d=decimals: m.round(x, d), x)
        check(lambda m, x, d=decimals: m.round(x, d), x.astype(np.float16))
    check(lambda m, x: m.round(x, 1), np.arange(5))


def test_ufunc_methods():
    x = sample((3, 5), "int32")
    for name in ("add", "multiply", "maximum", "logical_and"):
        np.testing.assert_array_equal(getattr(anp, name).reduce(x, axis=1), getattr(np, name).reduce(x, axis=1))
        np.testing.assert_array_equal(getattr(anp, name).accumulate(x, axis=1), getattr(np, name).accumulate(x, axis=1))
    np.testing.assert_array_equal(anp.add.outer(x[0], x[1]), np.add.outer(x[0], x[1]))
    for name in ("add", "subtract", "bitwise_xor"):  # subtract goes from the left
        for axis in (0, 1):
            for method in ("reduce", "accumulate"):
                expected = getattr(getattr(np, name), method)(x, axis=axis)
                np.testing.assert_array_equal(getattr(getattr(anp, name), method)(x, axis=axis), expected)
        np.testing.assert_array_equal(
            getattr(anp, name).reduce(x, axis=0, initial=7), getattr(np, name).reduce(x, axis=0, initial=7)
        )
    with pytest.raises(TypeError, match="expected two arguments, got 3"):
        anp.add(x, x, x)


def test_ufuncs_reduce_what_is_chosen():
    x = sample((3, 5), "int32")
    for name, options in {"add": {}, "multiply": {"initial": 2}, "maximum": {"initial": -3}}.items():
        for axis in (0, 1, None):
            options |= {"where": x % 2 == 0, "axis": axis, "keepdims": True}
            expected = getattr(np, name).reduce(x, **options)
            np.testing.assert_array_equal(getattr(anp, name).reduce(x, **options), expected)
    assert anp.logaddexp.reduce(anp.zeros((0, 2))).tolist() == [-np.inf, -np.inf]
    check(lambda m, x: m.logaddexp.reduce(x, axis=1), np.float32(x))
    check(lambda m, x: m.logaddexp2.accumulate(x, axis=1), np.float32(x))
    with pytest.raises(ValueError, match="give initial as well"):
        anp.maximum.reduce(x, where=x > 0)
    with pytest.raises(ValueError, match="at least one element"):
        anp.maximum.reduce(anp.zeros((0, 2)))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "minimum", "maximum", "bitwise_xor", "logaddexp"])
def test_ufuncs_at_places(name):
    dtype = np.float32 if name == "logaddexp" else np.int32
    x, places = sample((4, 3), "int32").astype(dtype), np.array([1, 3, 1, -3])
    for indices, b in ((places, 3), (places, np.arange(12).reshape(4, 3).astype(dtype)), ((places, slice(0, 2)), 2)):
        expected = x.copy()
        getattr(np, name).at(expected, indices, b)
        got = aj.jit(lambda x, i=indices, b=b: getattr(anp, name).at(x, i, b, inplace=False))(x)
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        assert got.dtype == dtype
    with pytest.raises(NotImplementedError, match="inplace=False"):
        getattr(anp, name).at(x, places, 1)


def test_x64():
    with aj.enable_x64():
        assert anp.sin(anp.asarray(1)).dtype == np.float64
        assert anp.add(anp.ones(2, anp.float32), 1.0).dtype == np.float32
        assert (anp.arange(3) + np.int64(2**40)).tolist() == [2**40, 2**40 + 1, 2**40 + 2]


def test_errors():
    with pytest.raises(DtypeError, match=r"\[add\].*list"):
        anp.add([1, 2], 3)
    with pytest.raises(ShapeError, match=r"\[add\].*float32\[3\], float32\[4\]"):
        anp.add(anp.ones(3), anp.ones(4))
    with pytest.raises(DtypeError, match=r"\[subtract\].*bool"):
        anp.subtract(anp.array(True), anp.array(False))
    with pytest.raises(DtypeError, match="negative power"):
        anp.arange(3) ** -1
    with pytest.raises(DtypeError, match="complex"):
        anp.floor(1j)
    with pytest.raises(NotImplementedError, match="out"):
        anp.add(1, 2, out=anp.ones(3))
    with pytest.raises(OverflowError):
        anp.int8(1) + 2**40


POINTS = np.array([0.0, 0.5, 1.0, -0.5, -1.0, 2.25, -3.5, 0.875], np.float32)
DIFFERENTIABLE = [*UNARY_FLOAT, "abs", "negative", "square", "nan_to_num"]
DIFFERENTIABLE_PAIRS = [
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "fmod", "power", "maximum", "minimum", "fmax",
    "fmin",
    "arctan2", "hypot", "copysign", "logaddexp", "logaddexp2", "float_power",
]  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_unary_gradients(name):
    ours = aj.grad(lambda x: getattr(anp, name)(x).sum())(anp.asarray(POINTS))
    theirs, value = of_jax(
        lambda: (jax.jit(jax.grad(lambda x: getattr(jnp, name)(x).sum()))(POINTS), getattr(jnp, name)(POINTS))
    )
    inside = np.isfinite(value) & np.isfinite(theirs)  # outside of the domain anything goes
    assert_close(np.asarray(ours)[inside], np.asarray(theirs)[inside], ulps=64, scale=1.0)


@pytest.mark.parametrize("name", DIFFERENTIABLE_PAIRS)
def test_binary_gradients(name):
    x, y = np.meshgrid(POINTS, POINTS)
    ours = aj.grad(lambda x, y: getattr(anp, name)(x, y).sum(), (0, 1))(anp.asarray(x), anp.asarray(y))
    theirs = of_jax(lambda: jax.jit(jax.grad(lambda x, y: getattr(jnp, name)(x, y).sum(), (0, 1)))(x, y))
    compared = (x != 0) | (y != 0) if "power" in name else np.full(x.shape, True)
    for a, b in zip(ours, theirs):
        assert_close(np.asarray(a)[compared], np.asarray(b)[compared], ulps=64, scale=1.0)


@pytest.mark.parametrize("name", ["power", "float_power"])
def test_the_gradient_of_zero_to_the_zero(name):
    """x ** 0 is 1 for every x, so its derivative in x is 0, also at 0, where jax has NaN."""
    ours = aj.grad(getattr(anp, name), (0, 1))(anp.float32(0), anp.float32(0))
    np.testing.assert_array_equal(ours, (0, 0))


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_logaddexp_gradients_at_infinity(name):
    for x, y in ((-np.inf, 0.0), (0.0, -np.inf), (-np.inf, -np.inf), (np.inf, 0.0), (np.inf, np.inf)):
        ours = aj.grad(getattr(anp, name), (0, 1))(anp.float32(x), anp.float32(y))
        theirs = jax.grad(getattr(jnp, name), (0, 1))(jnp.float32(x), jnp.float32(y))
        np.testing.assert_allclose(ours, theirs, err_msg=f"{x}, {y}")
