# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
"""Rules set with ``symbolic_zeros``: they are told which tangents, cotangents and arguments do not count."""

from __future__ import annotations

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.custom_derivatives import (
    CustomVJPPrimal,
    SymbolicZero,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)

WAYS = pytest.mark.parametrize("way", [lambda f: f, aj.jit, aj.checkpoint], ids=["eager", "jit", "checkpoint"])


def product(seen):
    """x y, whose rule notes which tangents are zero."""

    @aj.custom_jvp
    def f(x, y):
        return x * y

    def rule(primals, tangents):
        (x, y), zero = primals, [isinstance(t, SymbolicZero) for t in tangents]
        seen.append(tuple(zero))
        terms = [t * other for t, other, z in zip(tangents, (y, x), zero) if not z]
        return x * y, sum(terms) if terms else SymbolicZero.from_primal_value(x * y)

    f.defjvp(rule, symbolic_zeros=True)
    return f


@WAYS
def test_tangents_that_are_zero(way):
    seen = []
    f = product(seen)
    assert aj.grad(way(lambda x: f(x, 2.0)))(3.0) == 2
    assert seen[-1] == (False, True)
    assert aj.grad(way(lambda x, y: f(x, y)), 1)(3.0, 2.0) == 3
    assert aj.jvp(way(lambda x: f(x, 2)), (3.0,), (1.0,))[1] == 2  # an integer has no tangent
    assert seen[-1] == (False, True)
    assert aj.jvp(way(lambda x: x + f(5.0, 2.0)), (3.0,), (1.0,))[1] == 1
    np.testing.assert_array_equal(aj.vmap(aj.grad(way(lambda x: f(x, 2.0))))(np.ones(3, np.float32)), [2, 2, 2])


def test_a_tangent_may_be_returned_as_zero():
    f = aj.custom_jvp(jnp.floor)
    f.defjvp(lambda p, t: (jnp.floor(*p), SymbolicZero.from_primal_value(*p)), symbolic_zeros=True)
    assert aj.grad(f)(1.5) == 0 and aj.jvp(f, (1.5,), (1.0,)) == (1, 0)


def test_tangents_that_are_not_zero_have_their_type():
    zero = zero_from_primal({"a": np.ones((2, 3), np.float32), "b": np.int32(1)}, symbolic_zeros=True)
    assert (zero["a"].shape, zero["a"].dtype, zero["a"].ndim, zero["a"].size) == ((2, 3), np.float32, 2, 6)
    assert zero["b"].dtype == aj.float0 and "float32[2,3]" in repr(zero["a"])
    np.testing.assert_array_equal(zero_from_primal(np.ones(2, np.float32)), np.zeros(2))
    assert SymbolicZero(zero["a"].aval) == zero["a"] and len({zero["a"], SymbolicZero(zero["a"].aval)}) == 1


@WAYS
def test_arguments_that_are_not_perturbed(way):
    seen = []

    @aj.custom_vjp
    def f(tree, y):
        return tree["x"] * y, y

    def forward(tree, y):
        assert all(isinstance(v, CustomVJPPrimal) for v in (tree["x"], y))
        seen.append((tree["x"].perturbed, y.perturbed))
        x, y = custom_vjp_primal_tree_values((tree["x"], y))
        return f({"x": x}, y), (x, y)

    def backward(residuals, cotangents):
        (x, y), (first, second) = residuals, cotangents
        seen.append(tuple(isinstance(ct, SymbolicZero) for ct in cotangents))
        one = 0 if isinstance(first, SymbolicZero) else first
        two = 0 if isinstance(second, SymbolicZero) else second
        return {"x": one * y}, one * x + two

    f.defvjp(forward, backward, symbolic_zeros=True)
    assert aj.grad(way(lambda x: f({"x": x}, 2.0)[0]))(3.0) == 2
    assert (True, False) in seen and seen[-1] == (False, True)
    assert aj.grad(way(lambda y: f({"x": 3.0}, y)[0]))(2.0) == 3
    assert (False, True) in seen
    assert aj.grad(way(lambda y: sum(f({"x": 3.0}, y))))(2.0) == 4
    np.testing.assert_array_equal(
        aj.vmap(aj.grad(way(lambda x: f({"x": x}, 2.0)[0])))(np.ones(3, np.float32)), [2, 2, 2]
    )


@WAYS
def test_optimize_remat_changes_no_value(way):
    f = aj.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (2 * ct * jnp.cos(x),), optimize_remat=True)
    np.testing.assert_allclose(aj.grad(way(f))(1.0), 2 * np.cos(1), rtol=1e-6)
    with pytest.raises(NotImplementedError, match=r"\[custom_vjp\]"):
        f.defvjp(lambda x: x, lambda r, ct: ct, symbolic_zeros=True, optimize_remat=True)


STOPPED = {
    "product": lambda f, x: x * f(aj.lax.stop_gradient(x)),
    "mapped": lambda f, x: aj.vmap(lambda y: x * f(aj.lax.stop_gradient(x + y)))(jnp.ones(3)).sum(),
    "scanned": lambda f, x: aj.lax.scan(lambda c, _: (c + x * f(aj.lax.stop_gradient(x)), None), 0.0, length=3)[0],
}


@WAYS
@pytest.mark.parametrize("case", STOPPED)
def test_no_rule_is_asked_behind_a_stopped_gradient(case, way):
    @aj.custom_jvp
    def f(x):
        return x + 1

    f.defjvp(lambda primals, tangents: pytest.fail("the rule is asked for a tangent that is zero"))
    function = way(lambda x: STOPPED[case](f, x))
    slope = {"product": 3, "mapped": 12, "scanned": 9}[case]  # the other factor, once or three times
    for found in (aj.grad(function)(2.0), aj.jvp(function, (2.0,), (1.0,))[1], aj.jit(aj.grad(function))(2.0)):
        assert found == slope
