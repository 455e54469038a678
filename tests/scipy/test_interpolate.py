"""RegularGridInterpolator against jax and SciPy in float64."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.interpolate
import numpy as np
import pytest
import scipy.interpolate

import anejax as aj
from anejax.errors import DtypeError, RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, sample
from tests.scipy.calls import agrees

OURS, JAX, EXACT = (m.interpolate.RegularGridInterpolator for m in (aj.scipy, jax.scipy, scipy))
GRID = np.float32([0, 0.5, 2, 3]), np.float32([-1, 0, 4]), np.float32([1, 2])


def points(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(g[0] - 0.2, g[-1] + 0.2, n) for g in GRID[:d]], -1).astype(np.float32)


def same(values, x, d, exact=True, **kwargs):
    def of(make):
        return lambda values, x, *grid: make(grid, values, **kwargs)(x)

    return agrees(of(OURS), of(JAX), values, x, *GRID[:d], exact=of(EXACT) if exact else None, scale=4)


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_interpolates(d, method):
    shape = tuple(len(g) for g in GRID[:d])
    fill = [{}, {"fill_value": 7.0}, {"fill_value": None}]
    for kwargs in fill:
        if not (d == 1 and kwargs == {"fill_value": None}):  # SciPy's own has another shape
            same(sample(shape), points(20, d), d, method=method, bounds_error=False, **kwargs)
    if d != 2:
        return
    same(sample((*shape, 2)), points(20, d), d, method=method, bounds_error=False)
    same(sample(shape), np.stack(np.meshgrid(*GRID[:d], indexing="ij"), -1), d, method=method)
    same(sample(shape), points(20, d).reshape(4, 5, d), d, exact=False, method=method)
    same(sample(shape, "int32"), points(3, d), d, exact=False, method=method)
    same(sample(shape, "complex64"), points(6, d), d, method=method, bounds_error=False)


def test_forms_of_points():
    a, b, values = np.float32([0.1, 2.5]), np.float32([[0.5], [3]]), sample((4, 3))
    f, line = OURS(GRID[:2], values), OURS(GRID[:1], values[:, 0])

    def asked() -> list[Any]:
        g, points = JAX(GRID[:2], values), (jnp.asarray(a), jnp.asarray(b))
        alone = JAX(GRID[:1], values[:, 0])(points[0])
        return [g(points), g(jnp.float32([0.1, 0.5])), g(points, method="nearest"), alone]

    found = [f((a, b)), f(np.float32([0.1, 0.5])), f((a, b), method="nearest"), line(a)]
    for ours, theirs in zip(found, of_jax(asked), strict=True):
        assert_close(ours, theirs, ulps=16, scale=1)
    assert np.isnan(line(np.float32([np.nan]))).all()


def test_interpolators_are_trees():
    f = OURS(GRID[:2], sample((4, 3)), fill_value=None)
    x = points(5, 2)
    assert_close(aj.jit(lambda f, x: f(x))(f, x), f(x), ulps=16, scale=1)
    slopes = aj.grad(lambda f: (f(x) ** 2).sum())(f)
    assert isinstance(slopes, OURS)
    theirs = lambda: JAX(GRID[:2], sample((4, 3)), fill_value=None)  # noqa: E731
    want = of_jax(lambda: jax.grad(lambda f: (f(jnp.asarray(x)) ** 2).sum())(theirs()))
    for a, b in zip(aj.tree.leaves(slopes), want, strict=True):
        assert_close(a, b, ulps=256, scale=16)
    assert_close(
        aj.grad(lambda x: (f(x) ** 2).sum())(x),
        of_jax(lambda: jax.grad(lambda x: (theirs()(x) ** 2).sum())(jnp.asarray(x)))[0],
        ulps=256, scale=16,
    )  # fmt: skip
    many = aj.vmap(lambda v: OURS(GRID[:2], v)(x))(np.stack([sample((4, 3)), sample((4, 3), seed=8)]))
    assert_close(many[1], OURS(GRID[:2], sample((4, 3), seed=8))(x), ulps=16, scale=1)


def test_wrong_grids():
    with pytest.raises(RefusedError, match="bounds_error=False"):
        OURS(GRID[:1], sample((4,)), bounds_error=True)
    for grid, shape in (
        (GRID[:2], (4,)),
        (GRID[:1], (3,)),
        ((np.float32([1]),), (1,)),
        ((np.float32([[1, 2]]),), (2,)),
    ):
        with pytest.raises(ShapeError, match="for each of the first axes of"):
            OURS(grid, sample(shape))
    with pytest.raises(ValueError, match="the method"):
        OURS(GRID[:1], sample((4,)), method="cubic")
    with pytest.raises(ValueError, match="the method"):
        OURS(GRID[:1], sample((4,)))(GRID[0], "cubic")
    with pytest.raises(DtypeError, match="a fill_value that fits"):
        OURS(GRID[:1], sample((4,)), fill_value=1j)
    with pytest.raises(ShapeError, match="points with 2 coordinates, got"):
        OURS(GRID[:2], sample((4, 3)))(sample((5, 3)))
