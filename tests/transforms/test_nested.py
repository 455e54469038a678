"""Loops, branches, calls, custom rules and derivatives inside each other, to the third order, against jax on the CPU.

Each wrapper takes the modules of anejax or jax and a function of a vector, and returns another one. On the way,
arguments are dictionaries, tuples, empty trees, integers, booleans and None. jax runs with jit disabled, which
unrolls its loops: a scan of jax's loses custom_jvp rules at the second order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.custom_batching
import numpy as np
import pytest

import anejax as aj
from anejax.custom_batching import custom_vmap as our_custom_vmap
from tests.answers import of_jax
from tests.transforms.programs import JAX, OURS

Function = Callable[[Any], Any]


def jit(m: Any, f: Function) -> Function:
    inner = m.t.jit(lambda d, flag, n: {"out": (f(d["x"]) * n, flag), "none": None, "empty": ()})
    return lambda x: inner({"x": x, "a": ()}, np.True_, 2)["out"][0]


def checkpoint(m: Any, f: Function) -> Function:
    inner = m.t.checkpoint(lambda x, n, _: (f(x) * n, n))
    return lambda x: m.np.multiply(*inner(x, np.int32(2), None))


def vmap(m: Any, f: Function) -> Function:
    """Over one argument, with an integer and a dictionary that are not mapped."""
    inner = m.t.vmap(lambda x, n, d: (f(x) * n + d["w"], n), (1, None, None), (1, None))
    return lambda x: inner(m.np.stack([x, 0.5 * x], 1), np.int32(2), {"w": x, "z": ()})[0].sum(1)


def scan(m: Any, f: Function) -> Function:
    """A carry, a const, slices and stacks, all of which take part; an integer is carried too."""

    def loop(x: Any) -> Any:
        def step(carry: Any, t: Any) -> Any:
            n, c = carry["n"], carry["c"]
            return {"n": n + 1, "c": 0.5 * f(c) + x * t["row"]}, (c * n, None)

        rows = {"row": m.np.stack([x, 2 * x]), "unused": m.np.arange(2)}
        out, (ys, _) = m.lax.scan(step, {"n": 0, "c": x}, rows)
        return out["c"] + ys.sum(0)

    return loop


def scan_back(m: Any, f: Function) -> Function:
    """The body closes over everything that is differentiated; it carries an integer alone."""
    step = lambda x: lambda c, i: (c + i, f(x) * m.np.float32(c))  # noqa: E731
    return lambda x: m.lax.scan(step(x), 1, np.arange(3), reverse=True)[1].sum(0)


def fori_loop(m: Any, f: Function) -> Function:
    return lambda x: m.lax.fori_loop(1, 3, lambda i, c: (c[0], f(c[1]) / i + c[0]), (x, x))[1]


def map_(m: Any, f: Function) -> Function:
    return lambda x: sum(m.lax.map(lambda d: (f(d["x"]), d["n"] * x), {"x": x[None] * 0.5, "n": np.arange(1)}))[0]


def while_loop(m: Any, f: Function) -> Function:
    def loop(x: Any) -> Any:
        return m.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, 0.5 * f(c[1]) + x, c[2]), (0, x, ()))[1]

    return loop


def cond(m: Any, f: Function) -> Function:
    """One branch closes over what the other takes as an operand; the other's slope is infinite at 0."""

    def choose(x: Any) -> Any:
        zero = x - x
        first = lambda d, n: (f(d["x"]) * n, d["flag"])  # noqa: E731
        return m.lax.cond(x[0] > 0, first, lambda d, n: (m.np.sqrt(zero) + f(x), True), {"x": x, "flag": False}, 2)[0]

    return choose


def mapped_switch(m: Any, f: Function) -> Function:
    def choose(x: Any) -> Any:
        branches = [lambda y, n: f(y) * n, lambda y, n: m.np.sqrt(y - y) * 3, lambda y, n: x * y]
        rows = m.np.stack([x, 0.3 * x])
        return m.t.vmap(lambda i, y: m.lax.switch(i, branches, y, 2))(np.array([2, 0]), rows).sum(0)

    return choose


def associative_scan(m: Any, f: Function) -> Function:
    combine = lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1])  # noqa: E731
    return lambda x: m.lax.associative_scan(combine, (0.5 * f(m.np.stack([x, 2 * x, x])[1]) + x, x))[1]


def custom_jvp(m: Any, f: Function) -> Function:
    """Twice the derivative in the first argument, none in the others."""
    g = m.t.custom_jvp(lambda x, n, w: (f(x) * n, n))
    none = np.zeros((), [("float0", np.void, 0)]).dtype

    def rule(primals: Any, tangents: Any) -> Any:
        (x, n, _), t = primals, tangents[0]
        out, tangent = m.t.jvp(lambda x: f(x) * n, (x,), (t,))
        return (out, m.np.asarray(n)), (2 * tangent, np.zeros((), none))

    g.defjvp(rule)
    return lambda x: g(x, 2, x)[0]


def custom_vjp(m: Any, f: Function) -> Function:
    """Twice the derivative, in reverse mode; an integer and a dictionary without cotangents."""
    g = m.t.custom_vjp(lambda x, n, d: (f(x) * n, n))
    g.defvjp(
        lambda x, n, d: (g(x, n, d), (x, n)),
        lambda kept, ct: (2 * m.t.vjp(f, kept[0])[1](ct[0] * kept[1])[0], None, None),
    )
    return lambda x: g(x, 2, {"w": x})[0]


def custom_vmap(m: Any, f: Function) -> Function:
    g = (our_custom_vmap if m is OURS else jax.custom_batching.custom_vmap)(f)
    g.def_vmap(lambda size, mapped, x: (m.t.vmap(f)(x) if mapped[0] else f(x), mapped[0]))
    return lambda x: m.t.vmap(g)(m.np.stack([x, 2 * x])).sum(0)


def stop_gradient(m: Any, f: Function) -> Function:
    return lambda x: f(x) * m.lax.stop_gradient({"y": f(x), "n": 1})["y"] + x


def linear_solve(m: Any, f: Function) -> Function:
    def solved(x: Any) -> Any:
        scale = 2 + m.np.sin(x)
        solve = lambda matvec, b: b / scale  # noqa: E731
        return m.lax.custom_linear_solve(lambda v: v * scale, f(x), solve, solve)

    return solved


def grad(m: Any, f: Function) -> Function:
    return lambda x: m.t.grad(lambda d: (f(d["x"]) * d["w"]).sum(), allow_int=True)({"x": x, "w": x, "n": 1})["x"]


def jvp(m: Any, f: Function) -> Function:
    return lambda x: m.t.jvp(lambda x, y: f(x) * y, (x, x), (x, x - x))[1]


def linearize(m: Any, f: Function) -> Function:
    return lambda x: m.t.linearize(f, x)[1](m.np.cos(x))


WRAPPERS = (jit, checkpoint, vmap, scan, scan_back, fori_loop, map_, while_loop, cond, mapped_switch, associative_scan,
            custom_jvp, custom_vjp, custom_vmap, stop_gradient, linear_solve, grad, jvp, linearize)  # fmt: skip

DERIVATIVES: dict[str, Callable[[Any, Function], Function]] = {
    "grad": lambda m, f: m.t.grad(lambda x: f(x).sum()),
    "second": lambda m, f: m.t.grad(lambda x: (m.t.grad(lambda x: f(x).sum())(x) * m.np.arange(1.0, 3.0)).sum()),
    "compiled vmap of grad": lambda m, f: (
        lambda x: m.t.jit(m.t.vmap(m.t.grad(lambda x: f(x).sum())))(m.np.stack([x, 0.5 * x]))
    ),
    "grad of vmap": lambda m, f: m.t.grad(lambda x: m.t.vmap(f)(m.np.stack([x, -x])).sum()),
    "forward over reverse": lambda m, f: lambda x: m.t.jvp(m.t.grad(lambda x: f(x).sum()), (x,), (x,))[1],
    "jvp": lambda m, f: lambda x: m.t.jvp(f, (x,), (x,))[1],
    "third": lambda m, f: m.t.grad(lambda x: m.t.grad(lambda x: m.t.grad(lambda x: f(x).sum())(x)[0])(x).sum()),
}

POINT = np.array([0.6, -0.4], np.float32)
APART = 5  # how far apart the two wrappers of a pair are in the list, in the short run


def _check(outer: Any, inner: Any, derivative: str) -> None:
    """``inner`` is None for a wrapper alone."""
    if while_loop in (outer, inner):  # which has forward mode alone
        derivative = "jvp"

    def found(m: Any) -> np.ndarray:
        base = lambda x: m.np.sin(x) * x + 0.3 * x**2  # noqa: E731
        wrapped = outer(m, base if inner is None else inner(m, base))
        return np.asarray(DERIVATIVES[derivative](m, wrapped)(m.np.asarray(POINT)))

    try:
        with jax.disable_jit():
            theirs = np.asarray(of_jax(lambda: found(JAX))[0])
    except TypeError:  # forward mode of a custom_vjp function
        assert custom_vjp in (outer, inner)
        with pytest.raises(aj.errors.RefusedError):
            found(OURS)
        return
    with aj.enable_checks():
        ours = found(OURS)
    atol = 1e-4 * max(1.0, float(np.abs(theirs).max()))
    what = f"{derivative} of {outer.__name__} of {inner.__name__ if inner else 'nothing'}"
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=atol, err_msg=what)


def _at(n: int) -> str:
    return list(DERIVATIVES)[n % len(DERIVATIVES)]


@pytest.mark.parametrize("n", range(len(WRAPPERS)), ids=[w.__name__ for w in WRAPPERS])
def test_alone_and_in_a_pair(n: int) -> None:
    _check(WRAPPERS[n], None, _at(n))
    inner = WRAPPERS[(n + APART) % len(WRAPPERS)]
    if (WRAPPERS[n], inner) != (grad, while_loop):
        _check(WRAPPERS[n], inner, _at(n + 4))


@pytest.mark.long
@pytest.mark.parametrize("outer", WRAPPERS, ids=[w.__name__ for w in WRAPPERS])
def test_every_pair(outer: Any) -> None:
    for k, inner in enumerate(WRAPPERS):
        if (outer, inner) != (grad, while_loop):
            for derivative in {_at(k), "second", "third"}:
                _check(outer, inner, derivative)
