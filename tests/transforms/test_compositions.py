"""Every small program under compositions of transformations, against jax on the same program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
from tests.answers import of_jax
from tests.transforms.programs import DIRECTION, JAX, OURS, POINT, ROWS, SMOOTH

Transformation = Callable[[Any, Callable[[Any], Any]], Any]


def directional(m: Any, f: Any) -> Any:
    return lambda x: m.t.jvp(f, (x,), (DIRECTION,))[1]


TRANSFORMATIONS: dict[str, Transformation] = {
    "value": lambda m, f: f(POINT),
    "jit": lambda m, f: m.t.jit(f)(POINT),
    "jvp": lambda m, f: directional(m, f)(POINT),
    "grad": lambda m, f: m.t.grad(f)(POINT),
    "jit grad": lambda m, f: m.t.jit(m.t.grad(f))(POINT),
    "grad jit": lambda m, f: m.t.grad(m.t.jit(f))(POINT),
    "vmap": lambda m, f: m.t.vmap(f)(ROWS),
    "vmap grad": lambda m, f: m.t.vmap(m.t.grad(f))(ROWS),
    "jit vmap grad": lambda m, f: m.t.jit(m.t.vmap(m.t.grad(f)))(ROWS),
    "grad of sum of vmap": lambda m, f: m.t.grad(lambda r: m.np.sum(m.t.vmap(f)(r)))(ROWS),
    "vmap jit": lambda m, f: m.t.vmap(m.t.jit(f), in_axes=1)(ROWS.T),
    "jvp grad": lambda m, f: directional(m, m.t.grad(f))(POINT),
    "grad jvp": lambda m, f: m.t.grad(directional(m, f))(POINT),
    "hessian": lambda m, f: m.t.hessian(f)(POINT),
    "jit jacrev grad jit": lambda m, f: m.t.jit(m.t.jacrev(m.t.grad(m.t.jit(f))))(POINT),
    "grad of squared gradient": lambda m, f: m.t.grad(lambda x: m.np.sum(m.t.grad(f)(x) ** 2))(POINT),
    "vmap jvp jit": lambda m, f: m.t.vmap(directional(m, m.t.jit(f)))(ROWS),
    "checkpoint": lambda m, f: m.t.jit(m.t.grad(m.t.checkpoint(f)))(POINT),
    "linearize": lambda m, f: m.t.linearize(f, POINT)[1](DIRECTION),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("program", SMOOTH, ids=lambda p: p.__name__)
def test_agrees_with_jax(program: Any, name: str) -> None:
    """float32 on both sides, with sums of at most some hundred terms: 64 eps of the largest element."""
    ours = np.asarray(TRANSFORMATIONS[name](OURS, lambda x: program(OURS, x)))
    ask = lambda transformation, program: transformation(JAX, lambda x: program(JAX, x))  # noqa: E731
    with jax.disable_jit(program.__name__ not in ("remat",)):  # saves compiling each; remat needs its jaxpr
        theirs = np.asarray(of_jax(ask, TRANSFORMATIONS[name], program)[0])
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    atol = 64 * float(np.finfo(np.float32).eps) * max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("program", SMOOTH, ids=lambda p: p.__name__)
def test_gradient_in_float64(program: Any) -> None:
    """Central differences in a random direction, to 1e-6, and both modes against each other, to 1e-12."""
    with aj.enable_x64():
        x, t = POINT.astype(np.float64), DIRECTION.astype(np.float64)
        f = lambda v: program(OURS, v)  # noqa: E731
        gradient, tangent = np.asarray(aj.grad(f)(x)), float(aj.jvp(f, (x,), (t,))[1])
        assert gradient.dtype == np.float64
        np.testing.assert_allclose(gradient @ t, tangent, rtol=1e-12, atol=1e-12)
        if program.__name__ not in ("with_custom_jvp", "with_stop_gradient"):  # whose derivative is not the function's
            h = 1e-6
            difference = (float(f(x + h * t)) - float(f(x - h * t))) / (2 * h)
            np.testing.assert_allclose(tangent, difference, rtol=1e-6, atol=1e-7)
