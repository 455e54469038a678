"""Composite calls: one equation in a recorded program, the parts for everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def scaled_sine(x: Any, /, *, factor: float = 1.0) -> Any:
    return {"y": factor * jnp.sin(x)}


mine = lax.composite(scaled_sine, "mine.sine", version=2)


def names(function: Any, *args: Any) -> list[str]:
    return [e.primitive.name for e in aj.make_jaxpr(function)(*args).graph.eqns]


def test_a_composite_is_one_equation_that_says_its_name_and_attributes() -> None:
    (eqn,) = aj.make_jaxpr(lambda x: mine(x, factor=3.0))(X).graph.eqns
    assert (eqn.primitive.name, eqn.params["name"]) == ("composite", "mine.sine.v2")
    assert eqn.params["attributes"] == (("factor", 3.0),)
    plain = lax.composite(lambda x, bias: x if bias is None else x + bias, "mine.bias")
    assert aj.make_jaxpr(lambda x: plain(x, bias=None))(X).graph.eqns[0].params["attributes"] == ()


def test_values_and_derivatives_are_those_of_the_parts() -> None:
    f = lambda x: jnp.sum(mine(x, factor=3.0)["y"])  # noqa: E731
    want = 3 * np.cos(X.astype(np.float64))
    for grad in (aj.grad(f), aj.jit(aj.grad(f)), aj.grad(aj.jit(f)), aj.jacfwd(f), aj.grad(aj.checkpoint(f))):
        np.testing.assert_allclose(grad(X), want, rtol=1e-6)
    np.testing.assert_allclose(float(f(X)), float(aj.jit(f)(X)), rtol=1e-6)
    hessian: Any = aj.hessian(aj.jit(f))(X[0])
    np.testing.assert_allclose(np.asarray(hessian), np.diag(-3 * np.sin(X[0].astype(np.float64))), atol=1e-6)


def test_composites_are_mapped_and_looped_over() -> None:
    mapped = aj.jit(aj.vmap(lambda x, a: mine(a * x)["y"], (1, None), 1))
    np.testing.assert_allclose(mapped(X, 2.0), np.sin(2 * X), rtol=1e-6)
    looped = lambda x: lax.scan(lambda c, v: (c + mine(v * c)["y"], c), jnp.ones(4), x)[0]  # noqa: E731
    np.testing.assert_allclose(aj.jit(looped)(X), looped(X), rtol=1e-6)
    slope = aj.grad(lambda x: jnp.sum(looped(x)))
    np.testing.assert_allclose(aj.jit(slope)(X), slope(X), rtol=1e-5)


def test_a_captured_array_is_no_argument() -> None:
    weight = jnp.asarray(X)
    f = lax.composite(lambda x: x @ weight, "mine.product")
    np.testing.assert_allclose(aj.jit(aj.vmap(f))(X @ X.T), X @ X.T @ X, rtol=1e-5)
    np.testing.assert_allclose(aj.jit(aj.grad(lambda x: jnp.sum(f(x))))(X[0, :3]), X.sum(1), rtol=1e-5, atol=1e-6)


def test_linear_composites_are_transposed() -> None:
    f = aj.jit(lax.composite(lambda x: 3 * x, "mine.triple"))
    (ct,) = aj.linear_transpose(f, X)(X)
    np.testing.assert_array_equal(ct, 3 * X)


@pytest.mark.parametrize("function", [nn.softmax, nn.log_softmax, nn.gelu, nn.silu])
def test_functions_of_nn_stay_composites_under_vmap(function: Any) -> None:
    found = names(aj.vmap(function, 1, 1), X)
    assert ("composite" in found) or found.count("custom_jvp_call") == 1
    want = np.stack([function(X[:, i]) for i in range(4)], 1)
    np.testing.assert_allclose(aj.jit(aj.vmap(function, 1, 1))(X), want, rtol=1e-5)


def test_policies_of_checkpoint_see_inside() -> None:
    f = lax.composite(lambda w, x: jnp.tanh(x @ w), "mine.layer")
    loss = lambda w: jnp.sum(aj.checkpoint(f, policy=aj.checkpoint_policies.dots_saveable)(w, X))  # noqa: E731
    w = np.full((4, 2), 0.5, np.float32)
    graph = str(aj.make_jaxpr(aj.grad(loss))(w))
    assert graph.count("dot_general") == 2  # the product is saved, and not computed again
    np.testing.assert_allclose(aj.grad(loss)(w), aj.grad(lambda w: jnp.sum(jnp.tanh(X @ w)))(w), rtol=1e-5)
