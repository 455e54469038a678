"""anejax.image against jax.image: values, dtypes, derivatives, mapping, staging, errors."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalOperand=false

from __future__ import annotations

import jax
import jax.image
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax import image
from anejax.errors import ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, sample

METHODS = ("linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5", "area")
SIZES = [((5,), (7,)), ((7,), (3,)), ((1,), (4,)), ((4,), (1,)), ((3,), (9,)), ((13, 2), (5, 2)),
         ((4, 6, 2), (7, 3, 2)), ((2, 3), (2, 0)), ((3, 4), (3, 4)), ((), ()), ((0, 3), (0, 5))]  # fmt: skip


def both(function, *args, **kwargs):
    """The results of ``aj.image`` and ``jax.image``, of one type."""
    got, (want,) = getattr(aj.image, function)(*args, **kwargs), of_jax(getattr(jax.image, function), *args, **kwargs)
    assert_same_type(got, want)
    return got, want


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_resize(method, antialias):
    for shape, target in SIZES:
        got, want = both("resize", sample(shape), target, method, antialias=antialias)
        assert_close(got, want, ulps=16, scale=4)


def test_resize_nearest_is_exact():
    for m in range(1, 24):
        x = sample((m, 2), "int8")
        for n in (1, 2, 3, 5, 8, 11, 16, 23):
            places = [(2 * k + 1) * m // (2 * n) for k in range(n)]
            got, want = both("resize", x, (n, 2), "nearest")
            assert_close(got, x[places])
            assert_close(got, want)
    # jax's float32 puts the second sample, whose place is 1, into the first element
    assert image.resize(np.arange(10), (25,), "nearest")[2] == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "uint8", "bool"])
def test_resize_of_dtypes(dtype):
    x = sample((6, 5), dtype)
    for method in ("linear", "lanczos3", "nearest"):
        got, want = both("resize", x, (4, 8), method)
        assert_close(got, want, ulps=8, scale=8)


def test_resize_in_x64():
    with aj.enable_x64(True), jax.enable_x64(True):
        got, want = both("resize", sample((7, 3), "float64"), (5, 9), "cubic")
        assert_close(got, want, ulps=16, scale=4)
        assert both("resize", sample((4,), "int32"), (3,), "linear")


def test_names_of_methods():
    for name in ("nearest", "linear", "bilinear", "trilinear", "triangle", "cubic", "bicubic", "tricubic", "lanczos3",
                 "lanczos5", "cubic-pytorch", "bicubic-pytorch", "area"):  # fmt: skip
        assert image.ResizeMethod.from_string(name).name == jax.image.ResizeMethod.from_string(name).name
    assert [(m.name, m.value) for m in image.ResizeMethod] == [(m.name, m.value) for m in jax.image.ResizeMethod]
    x = sample((5, 4))
    assert_close(image.resize(x, (3, 4), image.ResizeMethod.CUBIC), image.resize(x, (3, 4), "cubic"))


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_scale_and_translate(method, antialias):
    """Parts of the result lie outside of the image. Derivatives in the image, the scale and the translation."""
    x, scale, move = sample((6, 2, 5)), np.float32([1.37, 0.61]), np.float32([-1.3, 0.7])
    if method == "cubic-pytorch":
        move = move / 9  # jax's own edges go on

    def value(m, x, scale, move):
        return m.image.scale_and_translate(x, (7, 2, 4), (0, -1), scale, move, method, antialias=antialias)

    got, (want,) = value(aj, x, scale, move), of_jax(lambda *a: jax.jit(lambda *a: value(jax, *a))(*a), x, scale, move)
    assert_same_type(got, want)
    assert_close(got, want, ulps=64, scale=4)
    ct = sample((7, 2, 4), seed=3)
    loss = lambda m: lambda *a: (value(m, *a) * ct).sum()  # noqa: E731
    ours = aj.jit(aj.grad(loss(aj), (0, 1, 2)))(x, scale, move)
    theirs = of_jax(lambda *a: jax.jit(jax.grad(loss(jax), (0, 1, 2)))(*a), x, scale, move)
    for a, b in zip(ours, theirs):
        assert_close(a, b, ulps=64, scale=64)


def test_transformations_of_resize():
    x, t = sample((3, 5, 4)), sample((3, 5, 4), seed=1)
    f = lambda m: lambda x: m.image.resize(x, (7, 2), "lanczos3")  # noqa: E731
    got, (want,) = aj.jit(aj.vmap(f(aj)))(x), of_jax(lambda x: jax.vmap(f(jax))(x), x)
    assert_close(got, want, ulps=16, scale=4)
    push = lambda m, x, t: m.jvp(m.vmap(f(m), in_axes=2), (x,), (t,))  # noqa: E731
    got, want = push(aj, x, t), of_jax(push, jax, x, t)
    for a, b in zip(got, want):
        assert_close(a, b, ulps=16, scale=4)
    graph = aj.make_jaxpr(f(aj))(x[0])
    assert len(graph.consts) == 2, "the weights are computed once, when it is staged"


def test_align_corners():
    """What the documentation of scale_and_translate says of it: the corners stay where they are."""
    x, n = sample((5,)), 9
    scale = (n - 1) / (5 - 1)
    got = image.scale_and_translate(x, (n,), (0,), anp.array([scale]), anp.array([0.5 * (1 - scale)]), "linear")
    assert_close(got, np.interp(np.linspace(0, 4, n), np.arange(5), x).astype(np.float32), ulps=16, scale=4)


def test_errors():
    x = sample((4, 3))
    with pytest.raises(ShapeError, match=r"\[resize\] expected a shape of as many axes as float32\[4,3\], got \(2,\)"):
        image.resize(x, (2,), "linear")
    with pytest.raises(ValueError, match=r"\[resize\] expected the method to be one of nearest, .* got 'sinc'"):
        image.resize(x, (2, 2), "sinc")
    with pytest.raises(TypeError, match="ResizeMethod or its name, got 3"):
        image.resize(x, (2, 2), 3)
    with pytest.raises(ShapeError, match="expected elements along the axes that change"):
        image.resize(x[:0], (2, 2), "linear")
    with pytest.raises(ValueError, match=r"got 'nearest'\. Use 'linear'"):
        image.scale_and_translate(x, (4, 3), (0,), anp.ones(1), anp.zeros(1), "nearest")
    with pytest.raises(ShapeError, match="expected a scale and a translation for each"):
        image.scale_and_translate(x, (4, 3), (0, 1), anp.ones(1), anp.zeros(1), "linear")
    with pytest.raises(ShapeError, match="keep their length"):
        image.scale_and_translate(x, (4, 5), (0,), anp.ones(1), anp.zeros(1), "linear")
