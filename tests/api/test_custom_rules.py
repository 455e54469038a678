"""Functions with rules of the user's, called in all the ways in which Python passes arguments: both libraries agree."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from tests.answers import of_jax


def reverse(lib: Any, **options: Any) -> Any:
    """x ** n * scale, whose reverse rule is ten times the derivative."""

    @functools.partial(lib.custom_vjp, **options)
    def f(x: Any, n: int = 2, scale: float = 3.0) -> Any:
        return x**n * scale

    if options:
        f.defvjp(
            lambda x, n, scale: (f(x, n, scale), (x, scale)),
            lambda n, kept, g: (10 * g * n * kept[0] ** (n - 1) * kept[1], None),
        )
    else:
        f.defvjp(
            lambda x, n, scale: (f(x, n, scale), (x, n, scale)),
            lambda kept, g: (10 * g * kept[1] * kept[0] ** (kept[1] - 1) * kept[2], None, g),
        )
    return f


def forward(lib: Any, **options: Any) -> Any:
    """The same, with a rule for forward mode."""

    @functools.partial(lib.custom_jvp, **options)
    def f(x: Any, n: int = 2, scale: float = 3.0) -> Any:
        return x**n * scale

    def rule(n: Any, primals: Any, tangents: Any) -> Any:
        x, scale = primals
        return f(x, n, scale), 10 * n * x ** (n - 1) * scale * tangents[0]

    if options:
        f.defjvp(rule)
    else:
        f.defjvp(lambda p, t: rule(p[1], (p[0], p[2]), (t[0], t[2])))
    return f


CALLS = {
    "defaults": lambda f, x: f(x),
    "positions": lambda f, x: f(x, 3, 2.0),
    "keywords": lambda f, x: f(x=x, scale=2.0),
    "out of order": lambda f, x: f(scale=0.5, n=3, x=x),
}


@pytest.mark.parametrize("options", [{}, {"nondiff_argnums": (1,)}, {"nondiff_argnames": ("n",)}], ids=str)
@pytest.mark.parametrize("make", [reverse, forward])
@pytest.mark.parametrize("call", CALLS)
def test_arguments_have_positions_defaults_included(make: Any, call: str, options: Any) -> None:
    def values_and_slopes(lib: Any) -> Any:
        f = make(lib, **options)
        return lib.vmap(lib.value_and_grad(lambda x: CALLS[call](f, x)))(np.array([1.5, -0.5], np.float32))

    theirs = of_jax(lambda: values_and_slopes(jax))
    np.testing.assert_allclose(values_and_slopes(aj), theirs, rtol=1e-6)


def test_arguments_without_a_position_are_named() -> None:
    f = aj.custom_vjp(lambda x, *, scale=1.0: x * scale)
    f.defvjp(lambda x: (x, None), lambda _, g: (g,))
    with pytest.raises(TypeError, match="got scale of <lambda> by keyword alone"):
        f(1.0, scale=2.0)
    with pytest.raises(ValueError, match="has no argument 'm'"):
        aj.custom_jvp(lambda x: x, nondiff_argnames="m")


def test_a_method_may_have_rules() -> None:
    class Scaled:
        scale = 2.0

        @functools.partial(aj.custom_vjp, nondiff_argnums=0)
        def of(self, x: Any) -> Any:
            return x * self.scale

        of.defvjp(lambda self, x: (self.of(x), None), lambda self, _, g: (g * 100,))

    assert float(aj.grad(Scaled().of)(1.0)) == 100


@pytest.mark.parametrize("m", [jax, aj], ids=["jax", "anejax"])
def test_functions_that_hold_what_vmap_maps(m: Any) -> None:
    """Rules run later, under other traces: what a function without derivatives holds is mapped there, too."""
    call = m.custom_vjp(lambda f, x: f(x), nondiff_argnums=(0,))
    call.defvjp(lambda f, x: (f(x), x), lambda f, x, ct: (2 * ct * f(x),))
    call_j = m.custom_jvp(lambda f, x: f(x), nondiff_argnums=(0,))
    call_j.defjvp(lambda f, primals, tangents: (f(primals[0]), tangents[0] * f(primals[0])))
    x, c = m.numpy.arange(3.0), m.numpy.array([2.0, 3.0, 5.0])
    for through in (call, call_j):
        one = lambda x, c, through=through: through(lambda u: u * c, x)  # noqa: E731
        np.testing.assert_array_equal(m.vmap(one)(x, c), [0, 3, 10])
        np.testing.assert_array_equal(m.jit(m.vmap(one))(x, c), [0, 3, 10])
        factor = 2 if through is call else 1
        np.testing.assert_array_equal(m.vmap(m.grad(one))(x, c), factor * np.array([0, 3, 10]))

    sin = m.custom_vjp(m.numpy.sin)
    sin.defvjp(lambda x: (m.numpy.sin(x), x), lambda x, ct: (call(lambda u: u * m.numpy.cos(x), ct),))
    for mapped in (m.vmap(m.grad(sin)), m.jit(m.vmap(m.grad(sin)))):
        np.testing.assert_allclose(mapped(x), np.cos(np.arange(3.0)), rtol=1e-6)
    np.testing.assert_allclose(m.vmap(m.vmap(m.grad(sin)))(x.reshape(1, 3)), np.cos([[0.0, 1.0, 2.0]]), rtol=1e-6)


def with_integers(m: Any, kind: str) -> Any:
    """(x * k, an integer count, x ** 2) of a float and an integer or bool, whose rule triples the derivative."""
    body = lambda x, k: (x * k, m.numpy.sum(k), x**2)  # noqa: E731
    if kind == "custom_vjp":
        f = m.custom_vjp(body)
        f.defvjp(lambda x, k: (f(x, k), (x, k)), lambda kept, g: (3 * (g[0] * kept[1] + g[2] * 2 * kept[0]), None))
        return f
    f = m.custom_jvp(body)
    float0 = lambda out: np.zeros(out.shape, jax.dtypes.float0)  # noqa: E731

    def rule(primals: Any, tangents: Any) -> Any:
        (x, k), t = primals, tangents[0]
        out = f(x, k)
        return out, (3 * t * k, float0(out[1]), 6 * x * t)

    f.defjvp(rule)
    return f


COUNTS = {
    "Python int": (2, None), "unmapped": (np.int32(2), None), "mask": (np.array([True, False, True]), None),
    "mapped": (np.arange(4, dtype=np.int32), 0), "mapped masks": (np.arange(12).reshape(3, 4) % 3 == 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["custom_vjp", "custom_jvp"])
@pytest.mark.parametrize("count", COUNTS)
def test_integer_arguments_and_results_under_vmap(count: str, kind: str) -> None:
    k, axis = COUNTS[count]
    x = np.arange(12, dtype=np.float32).reshape(4, 3)

    def found(m: Any) -> list[Any]:
        f = with_integers(m, kind)
        total = lambda x, k: (lambda a, n, b: (a * b).sum() + n.sum())(*m.vmap(f, (0, axis))(x, k))  # noqa: E731
        outer = lambda x: m.vmap(total, (0, None))(m.numpy.stack([x, 2 * x]), k).sum()  # noqa: E731
        inner = lambda r, k: m.grad(lambda r: f(r, k)[0].sum() * f(r, k)[2].sum())(r)  # noqa: E731
        return [
            m.grad(total)(x, k), m.jit(m.grad(total))(x, k), m.grad(m.jit(total))(x, k), m.grad(outer)(x),
            m.vmap(inner, (0, axis))(x, k), m.grad(lambda x: m.vmap(inner, (0, axis))(x, k).sum())(x),
            m.grad(m.checkpoint(total))(x, k),
        ]  # fmt: skip

    for i, (ours, theirs) in enumerate(zip(found(aj), of_jax(lambda: found(jax)))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=str(i))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (1, 1)], ids=str)
def test_a_vmap_rule_holds_under_vmap_of_jvp(axes: Any) -> None:
    """The rule triples the result, so that its use shows; an integer argument and result go along."""
    f = aj.custom_batching.custom_vmap(lambda x, d: (jnp.sin(x) * d["w"], d["n"]))

    @f.def_vmap
    def rule(size: int, mapped: Any, x: Any, d: Any) -> Any:
        return (3 * jnp.sin(x) * d["w"], d["n"]), (mapped[0] or mapped[1]["w"], mapped[1]["n"])

    def mapped(m: Any, f: Any) -> list[Any]:
        once = lambda x, t: m.jvp(f, (x, x), (t, t))[1]  # noqa: E731
        twice = lambda x, t: m.jvp(lambda x: once(x, t), (x,), (t,))[1]  # noqa: E731
        grid = np.arange(4.0, dtype=np.float32).reshape(2, 2)
        x, t = (np.float32(0.7) if a is None else grid[0] if None in axes else grid for a in axes)
        return [transform(g, axes)(x, t) for g in (once, twice) for transform in (m.vmap, jitted(m))]

    jitted = lambda m: lambda g, axes: m.jit(m.vmap(g, axes))  # noqa: E731
    ours = mapped(aj, lambda x, w: f(x, {"w": w, "n": 2})[0])
    for got, expected in zip(ours, of_jax(lambda: mapped(jax, lambda x, w: 3 * jax.numpy.sin(x) * w))):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_linearize_leaves_out_what_no_tangent_needs():
    f = aj.custom_vjp(lambda x, y: x)
    f.defvjp(lambda x, y: (x, (x, y)), lambda kept, ct: (ct * kept[1], ct * kept[0]))
    x = np.float32([0.5, 0.25])
    constant = lambda a, b: aj.grad(lambda p, q: f(a, q).sum())(a, b)  # noqa: E731
    for run in (aj.linearize, aj.jit(aj.linearize, static_argnums=0)):
        np.testing.assert_array_equal(run(constant, x, x)[1](x, x), [0, 0])
        np.testing.assert_array_equal(run(lambda a: (f(a, a), 2 * a)[1], x)[1](x), 2 * x)
        with pytest.raises(aj.errors.RefusedError, match="reverse mode only"):
            run(lambda a: f(a, a), x)[1](x)
