"""Elementwise equations of images of few columns, with rows and columns as one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.passes.legalize import legalize
from anejax.passes.pipeline import optimize
from tests.passes.test_engine_equality import EPS, run


def last_axes(graph: Any) -> set[int]:
    """The lengths of the last axes of elementwise results of more than two axes or elements."""
    return {e.outputs[0].aval.shape[-1] for e in graph.eqns if e.primitive.elementwise and e.outputs[0].aval.size > 8}


def scaled(x: Any, scale: Any) -> Any:
    return jnp.where(x > 0, x * scale.reshape(1, -1, 1, 1), x - 1) + jnp.tanh(x)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3, 1, 5), (1, 3, 7, 31), (2, 3, 4, 32)])
def test_rows_are_joined(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(s).astype(np.float16).astype(np.float32) for s in (shape, (3,))]
    graph = optimize(aj.make_jaxpr(scaled)(*args).graph)
    wide = shape[-1] if shape[-1] == 32 else shape[-2] * shape[-1]
    assert last_axes(legalize(graph, "ane", "M4")) == {wide}
    (got,) = run(graph, args, "M4")
    np.testing.assert_allclose(got, np.asarray(scaled(*args)), atol=16 * EPS)


def test_what_repeats_along_one_axis_stays() -> None:
    """Rows repeat, columns do not: the two axes cannot be one."""
    args = [np.ones((2, 3, 4, 5), np.float32), np.arange(5.0, dtype=np.float32)]
    graph = optimize(aj.make_jaxpr(lambda x, y: jnp.tanh(x * y))(*args).graph)
    assert 5 in last_axes(legalize(graph, "ane", "M4"))
    (got,) = run(graph, args, "M4")
    np.testing.assert_allclose(got, np.tanh(args[0] * args[1]), atol=4 * EPS)


def test_bools_are_not_reshaped() -> None:
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 4, 5)).astype(np.float32)
    f = lambda x: lax.select(x.max(2, keepdims=True) == x, x, -x)  # noqa: E731
    graph = optimize(aj.make_jaxpr(f)(x).graph)
    (got,) = run(graph, [x], "M1")
    np.testing.assert_array_equal(got, np.asarray(f(x)))
