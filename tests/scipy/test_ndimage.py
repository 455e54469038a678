"""map_coordinates, trapezoid and vq against jax and SciPy in float64."""

from __future__ import annotations

import jax
import jax.scipy.cluster.vq
import jax.scipy.integrate
import jax.scipy.ndimage
import numpy as np
import pytest
import scipy.cluster.vq
import scipy.integrate
import scipy.ndimage

import anejax as aj
from anejax.errors import RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, sample
from tests.scipy.calls import agrees

OURS, JAX = aj.scipy.ndimage.map_coordinates, jax.scipy.ndimage.map_coordinates
MODES = {"constant": "grid-constant", "nearest": "nearest", "wrap": "grid-wrap", "mirror": "mirror",
         "reflect": "reflect"}  # fmt: skip


def mapped(x, *places, exact=True, **kwargs):
    """Arrays of coordinates as inputs of their own, so that they are traced under jit."""
    of = lambda f: lambda x, *places, **kwargs: f(x, list(places), **kwargs)  # noqa: E731

    def scipys(x, *places, mode="constant", **kwargs):
        return scipy.ndimage.map_coordinates(x, list(places), mode=MODES[mode], **kwargs)

    return agrees(of(OURS), of(JAX), x, *places, exact=scipys if exact else None, **{"scale": 4, **kwargs})


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_map_coordinates(mode, order):
    rng = np.random.default_rng(1)
    for shape in ((7,), (4, 5), (2, 3, 4)):
        places = [rng.uniform(-n - 2, 2 * n + 2, (3, 4)).astype(np.float32) for n in shape]
        mapped(sample(shape), *places, order=order, mode=mode)
    mapped(sample((5,)), np.float32([0, 1, 4, -1, 5, 0.25, 4.75]), order=order, mode=mode, cval=2.5)
    mapped(sample((5,)), np.int32([0, 4, 7, -3]), order=order, mode=mode)
    mapped(sample((5,), "int32"), np.float32([0.3, 1.7, 3.4, 9]), order=order, mode=mode, exact=False)
    mapped(sample((5,), "uint8"), np.float32([0.3, 1.7, 3.4]), order=order, mode=mode, exact=False)
    mapped(sample((5,), "float16"), np.float32([0.3, 1.7, 3.4]), order=order, mode=mode, exact=False)
    mapped(sample((5,), "complex64"), np.float32([0.3, 1.7, 3.4]), order=order, mode=mode)
    mapped(sample((5,)), sample((0,)), order=order, mode=mode, exact=False)


@pytest.mark.parametrize("mode", MODES)
def test_of_one_element(mode):
    got = OURS(np.float32([3]), [np.float32([-2, -0.4, 0, 0.4, 7])], 1, mode)
    want = {"constant": [0, 1.8, 3, 1.8, 0]}.get(mode, [3] * 5)
    assert_close(got, np.float32(want), ulps=4)


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_of_map_coordinates(mode):
    x, y, z = sample((4, 5)), sample((6,), low=-3, high=6), sample((6,), seed=5, low=-3, high=6)
    of = lambda f: lambda x, y, z: (f(x, [y, z], 1, mode) ** 2).sum()  # noqa: E731
    for a, b in zip(
        aj.jit(aj.grad(of(OURS), (0, 1, 2)))(x, y, z), of_jax(lambda: jax.jit(jax.grad(of(JAX), (0, 1, 2)))(x, y, z))
    ):
        assert_close(a, b, ulps=64, scale=16)
    many = np.stack([x, x + 1])
    assert_close(aj.vmap(lambda x: OURS(x, [y, z], 1, mode))(many)[1], OURS(many[1], [y, z], 1, mode), ulps=4)


def test_wrong_maps():
    x = sample((4, 5))
    with pytest.raises(ShapeError, match=r"\[map_coordinates\] expected coordinates for each axis of float32\[4,5\]"):
        OURS(x, [x], 1)
    with pytest.raises(RefusedError, match="the order 0 or 1, got 3"):
        OURS(x, [x, x], 3)
    with pytest.raises(RefusedError, match="a mode of"):
        OURS(x, [x, x], 1, "what")


def test_trapezoid():
    ours, theirs, exact = (m.integrate.trapezoid for m in (aj.scipy, jax.scipy, scipy))
    for shape in ((6,), (1,), (3, 4)):
        agrees(ours, theirs, sample(shape), exact=exact)
        agrees(ours, theirs, sample(shape), exact=exact, dx=0.3, axis=0)
    agrees(ours, theirs, sample((3, 4)), sample((4,)), exact=exact)
    agrees(ours, theirs, sample((3, 4)), sample((3, 1)), exact=exact, axis=0)
    agrees(ours, theirs, sample((5,), "int32"))
    agrees(ours, theirs, sample((5,), "float16"))


def test_vq():
    ours, theirs, exact = (m.cluster.vq.vq for m in (aj.scipy, jax.scipy, scipy))
    for m, k, n in ((7, 3, 2), (1, 1, 1), (4, 9, 5)):
        agrees(ours, theirs, sample((m, n)), sample((k, n), seed=2), exact=exact)
    agrees(ours, theirs, sample((6,)), sample((3,)))
    agrees(ours, theirs, sample((6, 2), "int32"), sample((3, 2)))
    agrees(ours, theirs, np.float32([[0, 0]]), np.float32([[1, 0], [0, 1]]))  # the first of two that are as near
    x, c = sample((5, 2)), sample((3, 2))
    of = lambda f: lambda x, c: (f(x, c)[1] ** 3).sum()  # noqa: E731
    for a, b in zip(
        aj.jit(aj.grad(of(ours), (0, 1)))(x, c), of_jax(lambda: jax.jit(jax.grad(of(theirs), (0, 1)))(x, c))
    ):
        assert_close(a, b, ulps=32, scale=64)
    for bad in ((x, c[:, :1]), (x, c[:, 0]), (x, c[:0]), (x[None], c[None])):
        with pytest.raises(ShapeError, match=r"\[vq\] expected"):
            ours(*bad)
