"""from_jax: transformations, arguments of all kinds, derivative rules, trees, keys, errors with the user's line."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import anejax as aj
from anejax.errors import DtypeError, RefusedError
from tests.interop.cases import X, Y


def loss(w: Any, x: Any) -> Any:
    return (jax.nn.silu(x @ w) ** 2).mean()


W = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "hessian", "jacfwd", "jacrev"])
def test_transformations(transform: str) -> None:
    ours, theirs = getattr(aj, transform)(aj.from_jax(loss))(W, X), getattr(jax, transform)(loss)(W, X)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_vmap_jit_and_use_inside_functions_of_anejax() -> None:
    f = aj.from_jax(loss)
    mapped = aj.jit(aj.vmap(lambda x: f(W, x[None]) * aj.numpy.sin(x).sum()))(X)
    expected = jax.vmap(lambda x: loss(W, x[None]) * jnp.sin(x).sum())(X)
    np.testing.assert_allclose(mapped, expected, rtol=1e-5)


def test_a_function_is_traced_once_for_its_types() -> None:
    seen = []
    f = aj.from_jax(lambda x: seen.append(x.shape) or x * 2)
    for x in (X, Y, jnp.asarray(X), aj.numpy.asarray(X), X[0]):
        np.testing.assert_array_equal(f(x), 2 * np.asarray(x))
    assert seen == [(3, 5), (5,)]


@jax.custom_jvp
def with_tangent(x: Any, n: Any) -> Any:
    return x * n


with_tangent.defjvp(lambda primals, tangents: (primals[0] * primals[1], 5 * tangents[0] * primals[0] ** 2))


@jax.custom_vjp
def with_cotangent(x: Any, n: Any) -> Any:
    return jnp.sin(x) * n, n


with_cotangent.defvjp(lambda x, n: ((jnp.sin(x) * n, n), x), lambda x, cts: (7 * cts[0] * x**2, None))


@pytest.mark.parametrize("f", [with_tangent, lambda x, n: with_cotangent(x, n)[0]])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_rules_for_derivatives_are_kept(f: Any, order: int) -> None:
    ours, theirs = aj.from_jax(f), f
    for _ in range(order):
        ours, theirs = aj.grad(ours), jax.grad(theirs)
    assert float(ours(2.0, 3)) == pytest.approx(float(theirs(2.0, 3)))
    inside = lambda x: aj.lax.fori_loop(0, 3, lambda i, c: aj.from_jax(f)(c, 2) * 0.1, x)  # noqa: E731
    expected = lambda x: jax.lax.fori_loop(0, 3, lambda i, c: f(c, 2) * 0.1, x)  # noqa: E731
    if order == 1:
        assert float(aj.grad(inside)(2.0)) == pytest.approx(float(jax.grad(expected)(2.0)))


def test_static_arguments() -> None:
    def f(n: int, x: Any, mode: str = "sum") -> Any:
        return getattr(jnp, mode)(jnp.stack([x] * n))

    g = aj.from_jax(f, static_argnums=0, static_argnames="mode")
    assert float(g(3, X[0, 0])) == pytest.approx(3 * X[0, 0])
    assert float(g(2, X, mode="max")) == X.max() and float(g(2, X, "min")) == X.min()
    assert float(aj.grad(g, argnums=1)(3, 2.0)) == 3


def test_wide_types_are_anejax_setting() -> None:
    f = aj.from_jax(jax.nn.relu)
    assert f(np.float64(1.5)).dtype == np.float32
    with aj.enable_x64(True):
        assert f(np.float64(1.5)).dtype == aj.grad(f)(1.5).dtype == np.float64


def test_typed_keys_come_and_go() -> None:
    split = aj.from_jax(jax.random.split)
    expected = jax.random.key_data(jax.random.split(jax.random.key(3)))
    for key in (aj.random.key(3), jax.random.key(3)):
        np.testing.assert_array_equal(aj.random.key_data(split(key)), expected)
    draw = lambda k: jax.random.normal(k, (2,))  # noqa: E731
    found = aj.vmap(aj.from_jax(draw))(aj.random.split(aj.random.key(0), 3))
    np.testing.assert_allclose(found, jax.vmap(draw)(jax.random.split(jax.random.key(0), 3)), rtol=1e-6)


def test_typed_keys_of_jax_are_refused_before_they_are_adopted() -> None:
    script = """
import anejax as aj, jax
for f in (aj.jit(lambda k: k), aj.vmap(lambda k: k), aj.grad(lambda k: 1.0)):
    try:
        f(jax.random.key(0))
    except aj.errors.DtypeError as error:
        assert "wrap_key_data" in str(error)
    else:
        raise AssertionError
aj.from_jax(lambda k: k)
print(aj.jit(aj.random.uniform)(jax.random.key(0)))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert float(out) == pytest.approx(float(jax.random.uniform(jax.random.key(0))))


def test_equations_have_the_layers_parts_and_lines_of_jax() -> None:
    def f(w: Any, x: Any) -> Any:
        with jax.named_scope("outer"), jax.named_scope("inner"):
            return jnp.sin(x @ w).sum()

    line = f"{__file__}:{f.__code__.co_firstlineno + 2} ({f.__qualname__})"
    marks = {
        e.primitive.name: e.mark
        for e in aj.jit(aj.from_jax(jax.grad(f))).trace(W, X).graph.eqns[0].params["graph"].eqns
    }
    assert marks["cos"] == ("outer/inner", "forward", line)
    assert {m.part for m in marks.values()} == {"forward", "backward"}


def test_a_step_of_optax_keeps_its_state_in_float32() -> None:
    optimizer = optax.adam(1e-2)

    def step(w: Any, opt: Any) -> Any:
        updates, opt = optimizer.update(jax.grad(loss)(w, X), opt)
        return optax.apply_updates(w, updates), opt

    found = aj.explain(aj.from_jax(step), W, optimizer.init(W), chip="M4")
    assert any(p.device == "cpu" and "joined with a gradient" in p.reason for p in found.placements)


def test_effects_happen_in_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        jax.debug.print("x is {x}", x=x)
        return x + 1

    g = aj.from_jax(f)
    assert [float(g(1.0)), float(g(2.0))] == [2, 3]
    assert capsys.readouterr().out.splitlines() == ["x is 1.0", "x is 2.0"]


class Pair:
    def __init__(self, a: Any, b: Any, name: str) -> None:
        self.a, self.b, self.name = a, b, name


jax.tree_util.register_pytree_node(Pair, lambda p: ((p.a, p.b), p.name), lambda name, ab: Pair(*ab, name))


def test_classes_that_jax_knows_are_adopted() -> None:
    f = aj.from_jax(lambda p: (p["pair"].a * p["pair"].b).sum())
    tree = {"pair": Pair(X, Y, "mine")}
    with pytest.raises(DtypeError, match=r"It is a pytree of jax: .*adopt_trees"):
        aj.grad(f)(tree)
    aj.interop.adopt_trees(tree)
    found = aj.grad(f)(tree)["pair"]
    assert found.name == "mine"
    np.testing.assert_array_equal(found.a, Y)
    made = aj.from_jax(lambda x: Made(x))(2.0)
    assert float(aj.grad(lambda m: m.x * 3.0)(made).x) == 3


class Made:
    def __init__(self, x: Any) -> None:
        self.x = x


jax.tree_util.register_pytree_node(Made, lambda m: ((m.x,), None), lambda _, x: Made(*x))


def test_errors_name_the_primitive_and_the_line() -> None:
    def f(x: Any) -> Any:
        return jax.pure_callback(np.sin, x, x)

    line = f.__code__.co_firstlineno + 1
    with pytest.raises(
        RefusedError, match=rf"\[from_jax\] pure_callback at .*{__file__}:{line} \(.*f\) is not supported"
    ):
        aj.from_jax(f)(X)
    with pytest.raises(DtypeError, match="expected an array or a number, got str"):
        aj.from_jax(lambda x: x)("a")


def test_nothing_is_computed_by_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    f = aj.from_jax(lambda x: jnp.sin(x) @ x.T)
    f(X)
    monkeypatch.setattr(jax, "make_jaxpr", None)
    np.testing.assert_allclose(f(Y), np.sin(Y) @ Y.T, rtol=1e-5)
