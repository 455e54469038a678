"""Cosine transforms against jax and SciPy in float64."""

from __future__ import annotations

import jax
import jax.scipy.fft
import numpy as np
import pytest
import scipy.fft

import anejax as aj
from anejax.errors import RefusedError, ShapeError
from tests.numpy.compare import assert_close, sample
from tests.scipy.calls import agrees

OURS, JAX, EXACT = aj.scipy.fft, jax.scipy.fft, scipy.fft
LINES, SPACES = ("dct", "idct"), ("dctn", "idctn")


def same(name, x, exact=True, **kwargs):
    scipy_has = getattr(EXACT, name) if exact else None
    return agrees(getattr(OURS, name), getattr(JAX, name), x, exact=scipy_has, **{"scale": 16, "ulps": 8, **kwargs})


@pytest.mark.parametrize("norm", [None, "backward", "ortho"])
@pytest.mark.parametrize("name", LINES)
def test_along_one_axis(name, norm):
    for n in (1, 2, 3, 4, 7, 8, 30):
        exact = getattr(EXACT, name)(sample((n,)).astype(np.float64), norm=norm).astype(np.float32)
        assert_close(getattr(OURS, name)(sample((n,)), norm=norm), exact, ulps=8, scale=16)
    same(name, sample((5, 4)), norm=norm, axis=0)
    same(name, sample((2, 7)), norm=norm, n=5)
    same(name, sample((2, 7, 3)), norm=norm, n=9, axis=1)


@pytest.mark.parametrize("name", SPACES)
def test_along_several_axes(name):
    x = sample((3, 4, 5))
    for kwargs in ({}, {"axes": (0, 2)}, {"s": (2, 6)}, {"s": (4, 5), "axes": (1, 0)}, {"axes": (-1,)}, {"axes": ()},
                   {"s": 3}, {"norm": "ortho", "axes": (0, 1)}):  # fmt: skip
        same(name, x, scale=64, **kwargs)


@pytest.mark.parametrize("name", LINES)
def test_types(name):
    for dtype in ("int32", "uint8", "float16"):  # in float16 jax's own inverse has the digits of float16
        same(name, sample((6,), dtype))
    same(name, sample((6,), "bool"), exact=False)
    same(name, sample((2, 6), "complex64"))
    with aj.enable_x64(True), jax.enable_x64(True):
        same(name, sample((9,), "float64"))


@pytest.mark.parametrize("name", LINES)
def test_derivatives(name):
    x, weight = sample((7,)), sample((7,), seed=4)
    of = lambda m: lambda x: (getattr(m, name)(x, norm="ortho") * weight).sum()  # noqa: E731
    assert_close(aj.jit(aj.grad(of(OURS)))(x), jax.grad(of(JAX))(x), ulps=32, scale=8)
    f = getattr(OURS, name)
    many = sample((3, 7))
    assert_close(aj.vmap(f)(many), f(many), ulps=4, scale=8)


def test_inverses():
    for n in (1, 2, 9, 16):
        for norm in (None, "ortho"):
            x = sample((3, n))
            assert_close(OURS.idct(OURS.dct(x, norm=norm), norm=norm), x, ulps=8, scale=8)
            assert_close(OURS.idctn(OURS.dctn(x, norm=norm), norm=norm), x, ulps=16, scale=8)


def test_wrong_calls():
    x = sample((3, 4))
    for name in (*LINES, *SPACES):
        f = getattr(OURS, name)
        with pytest.raises(RefusedError, match=rf"\[{name}\] expected the type 2, got 1"):
            f(x, type=1)
        with pytest.raises(ValueError, match="the norm"):
            f(x, norm="forward")
        with pytest.raises(ShapeError, match="lengths of 1 or more"):
            f(x[:, :0])
    with pytest.raises(ShapeError, match="as many lengths as axes"):
        OURS.dctn(x, s=(2, 2), axes=(0,))
    with pytest.raises(ShapeError, match="at most 2 lengths"):
        OURS.dctn(x, s=(2, 2, 2))
