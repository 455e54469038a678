"""Arrays that a function captures die with it: no cache keeps arrays, functions or Graphs of calls that are over."""

from __future__ import annotations

import functools
import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.core.graph import Graph

# Each case takes a new array and returns the functions that closed over it, once it has called them.
CASES: dict[str, Callable[[Any], list[Any]]] = {}
X = np.linspace(-1.0, 1.0, 8, dtype=np.float32)


def case(function: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    CASES[function.__name__] = function
    return function


def under_everything(f: Callable[..., Any], x: Any = X, reverse: bool = True) -> None:
    """``f``, of one array to an array, under each transformation, alone and under jit."""
    total = lambda v: jnp.sum(f(v))  # noqa: E731
    forms = [f, aj.vmap(f), lambda v: aj.vmap(aj.vmap(f))(v[:, None])]
    if reverse:
        forms += [aj.grad(total), aj.vmap(aj.grad(total)), aj.grad(lambda v: jnp.sum(aj.grad(total)(v)))]
        forms += [lambda v: aj.vjp(f, v)[1](f(v)), aj.grad(lambda v: jnp.sum(aj.checkpoint(f)(v)))]
    for g in forms:
        batched = np.stack([x, x]) if g in forms[1:3] or (reverse and g is forms[4]) else x
        g(batched)
        aj.jit(g)(batched)


@case
def jit(w: Any) -> list[Any]:
    f = lambda x: x * w  # noqa: E731
    under_everything(aj.jit(f))
    return [f]


@case
def jit_of_numpy_array(w: Any) -> list[Any]:
    c = np.asarray(w) + 1
    f = lambda x: x * c * jnp.asarray(c)  # noqa: E731
    aj.jit(f)(X)
    return [f, c]


@case
def jit_lowered(w: Any) -> list[Any]:
    f = lambda x: x * w  # noqa: E731
    aj.jit(f).lower(X).compile()(X)
    aj.make_jaxpr(f)(X)
    aj.eval_shape(f, X)
    return [f]


@case
def jit_with_static_arguments(w: Any) -> list[Any]:
    f = lambda x, k: x * w * k  # noqa: E731
    for k in range(3):
        aj.jit(f, static_argnums=1)(X, k)
    return [f]


@case
def jit_that_donates(w: Any) -> list[Any]:
    f = lambda x: x * w  # noqa: E731
    aj.jit(f, donate_argnums=0)(jnp.asarray(X))
    return [f]


@case
def jit_of_a_method(w: Any) -> list[Any]:
    class Model:
        def __init__(self) -> None:
            self.step = aj.jit(self.forward)
            self.seen: list[Any] = []

        def forward(self, x: Any) -> Any:
            aj.debug.callback(self.log, x)
            return x * w

        def log(self, x: Any) -> None:
            self.seen.append(x)

    model = Model()
    model.step(X)
    return [model]


@case
def jit_that_refers_to_itself(w: Any) -> list[Any]:
    def look(v: Any) -> None:
        assert callable(f)

    def f(x: Any) -> Any:
        aj.debug.callback(look, x)
        return x * w

    aj.jit(f)(X)
    aj.jit(f)(X)
    return [f]


@case
def library_rules(w: Any) -> list[Any]:
    f = lambda x: aj.nn.relu(x * w) + aj.nn.logsumexp(x * w) + lax.stop_gradient(x * w) + aj.nn.softmax(x * w)  # noqa: E731
    under_everything(f)
    return [f]


@case
def scan(w: Any) -> list[Any]:
    f = lambda c, y: (c + y * w[0], c * w)  # noqa: E731
    under_everything(lambda x: lax.scan(f, x, x)[1])
    return [f]


@case
def scan_of_jitted(w: Any) -> list[Any]:
    f = aj.jit(lambda c, y: (c + y * w[0], c * w))
    under_everything(lambda x: lax.scan(f, x, x)[1])
    return [f]


@case
def while_loop(w: Any) -> list[Any]:
    more = lambda s: s[0] < 3 + 0 * w[0]  # noqa: E731
    turn = lambda s: (s[0] + 1, s[1] * w)  # noqa: E731
    f = lambda x: lax.while_loop(more, turn, (0.0, x))[1]  # noqa: E731
    under_everything(f, reverse=False)
    aj.jvp(f, (X,), (X,))
    return [more, turn]


@case
def fori_loop_and_map(w: Any) -> list[Any]:
    turn = lambda i, c: c * w + i  # noqa: E731
    row = lambda y: y * w  # noqa: E731
    under_everything(lambda x: lax.fori_loop(0, 3, turn, x))
    under_everything(lambda x: lax.map(row, x))
    return [turn, row]


@case
def cond_and_switch(w: Any) -> list[Any]:
    branches = [lambda v: v * w, lambda v: v + w, lambda v: jnp.sin(v) * w]
    under_everything(lambda x: lax.cond(x[0] > 0, *branches[:2], x))
    under_everything(lambda x: lax.switch(jnp.argmax(x), branches, x))
    return branches


@case
def associative_scan(w: Any) -> list[Any]:
    f = lambda a, b: a * b + 0 * w[0]  # noqa: E731
    under_everything(lambda x: lax.associative_scan(f, x))
    return [f]


@case
def custom_jvp(w: Any) -> list[Any]:
    @aj.custom_jvp
    def f(x: Any) -> Any:
        return jnp.sin(x) * w

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        return f(*primals), jnp.cos(primals[0]) * w * tangents[0]

    under_everything(f)
    aj.jit(lambda x: lax.scan(lambda c, y: (f(c), y), x, x))(X)
    return [f, rule]


@case
def custom_vjp(w: Any) -> list[Any]:
    @aj.custom_vjp
    def f(x: Any) -> Any:
        return jnp.sin(x) * w

    forward = lambda x: (f(x), x)  # noqa: E731
    backward = lambda x, ct: (ct * w * jnp.cos(x),)  # noqa: E731
    f.defvjp(forward, backward)
    under_everything(f)
    aj.jit(aj.grad(lambda x: jnp.sum(lax.scan(lambda c, y: (f(c), y), x, x)[0])))(X)
    return [f, forward, backward]


@case
def custom_rules_with_other_arguments(w: Any) -> list[Any]:
    @aj.custom_jvp
    def f(x: Any, scale: Any) -> Any:
        return jnp.sin(x) * w * scale

    f.defjvps(lambda t, out, x, scale: t * w, None)
    g = aj.custom_vjp(lambda x, h: h(x), nondiff_argnums=1)
    inner = lambda x: x * w  # noqa: E731
    g.defvjp(lambda x, h: (h(x), x), lambda h, x, ct: (h(ct),))
    under_everything(lambda x: f(x, 2.0))
    under_everything(lambda x: g(x, inner))
    return [f, g, inner]


@case
def custom_vmap(w: Any) -> list[Any]:
    @aj.custom_batching.custom_vmap
    def f(x: Any) -> Any:
        return jnp.sin(x) * w

    @f.def_vmap
    def rule(size: int, mapped: Any, x: Any) -> Any:
        return jnp.sin(x) * w, True

    aj.vmap(f)(np.stack([X, X]))
    aj.jit(aj.vmap(f))(np.stack([X, X]))
    aj.jit(f)(X)
    return [f, rule]


@case
def custom_linear_solve_and_root(w: Any) -> list[Any]:
    product = lambda v: v * (w + 2)  # noqa: E731
    solve = lambda _, b: b / (w + 2)  # noqa: E731
    under_everything(lambda x: lax.custom_linear_solve(product, x, solve, symmetric=True))
    excess = lambda v: v - w  # noqa: E731
    aj.jit(lambda x: lax.custom_root(excess, x, lambda f, g: g - f(g), lambda g, y: y))(X)
    return [product, solve, excess]


@case
def checkpoint(w: Any) -> list[Any]:
    f = lambda x: jnp.sin(x * w)  # noqa: E731
    under_everything(aj.checkpoint(f))
    under_everything(aj.checkpoint(f, policy=aj.checkpoint_policies.dots_saveable))
    return [f]


@case
def callbacks(w: Any) -> list[Any]:
    def seen(v: Any) -> None:
        assert w.shape == v.shape

    def f(x: Any) -> Any:
        aj.debug.callback(seen, x)
        return x * w

    under_everything(f)
    return [seen, f]


@case
def linearize_and_vjp(w: Any) -> list[Any]:
    f = lambda x: jnp.sin(x) * w  # noqa: E731
    _, pushforward = aj.linearize(f, X)
    _, pullback = aj.vjp(f, X)
    aj.jit(pushforward)(X)
    aj.jit(pullback)(X)
    aj.linear_transpose(lambda x: x * w, X)(X)
    aj.jacfwd(f)(X)
    aj.jacrev(aj.jit(f))(X)
    aj.jit(aj.hessian(lambda x: jnp.sum(f(x))))(X)
    return [f]


class Stop(Exception):
    pass


@case
def exceptions_in_traces(w: Any) -> list[Any]:
    def f(x: Any) -> Any:
        raise Stop(jnp.sin(x) * w)

    step = lambda c, y: f(c)  # noqa: E731
    for g in (f, aj.grad(f), aj.vmap(f), aj.checkpoint(f), lambda x: lax.scan(step, x, x)):
        for h in (g, aj.jit(g)):
            with pytest.raises(Stop):
                h(X)
    return [f, step]


@pytest.fixture(scope="module", autouse=True)
def _earlier_objects_are_left_out() -> None:
    """The collector looks at all that the process keeps; after other tests that takes longer than the cases do."""
    gc.collect()
    gc.freeze()


def graphs() -> int:
    gc.collect()
    return sum(isinstance(o, Graph) for o in gc.get_objects())


def run(function: Callable[[Any], list[Any]], value: float) -> list[weakref.ref[Any]]:
    w = jnp.full(8, value, jnp.float32)
    return [weakref.ref(o) for o in (w, *function(w))]


@pytest.mark.parametrize("name", CASES)
def test_captured_arrays_functions_and_graphs_die(name: str) -> None:
    for value in (1.0, 2.0):  # library functions and operations of one primitive are remembered
        run(CASES[name], value)
    before = graphs()
    refs = run(CASES[name], 3.0)
    gc.collect()
    assert [r() for r in refs if r() is not None] == []
    assert graphs() <= before


def test_forms_are_shared_by_jits_of_one_function_only() -> None:
    traces = []

    def f(x: Any) -> Any:
        traces.append(1)
        return x * 2

    for _ in range(3):
        aj.jit(f)(X)
    assert len(traces) == 1
    wrapped = functools.wraps(f)(lambda x: x * 3)  # which copies the attributes of f
    np.testing.assert_allclose(aj.jit(wrapped)(X), X * 3)
    np.testing.assert_allclose(aj.jit(f)(X), X * 2)
    assert len(traces) == 1


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_stays_flat_over_many_calls() -> None:
    """Each call closes over a new megabyte, so what a cache keeps would add up to hundreds of them."""

    def call(value: int) -> None:
        w = jnp.full((512, 512), value, jnp.float32)
        aj.jit(lambda x: aj.nn.relu(x * w).sum() + aj.nn.logsumexp(x * w) + lax.stop_gradient(w).sum())(1.0)
        aj.grad(lambda x: lax.fori_loop(0, 2, lambda i, c: c * w[0, 0], x))(1.0)
        lax.map(lambda y: y * w.sum(), X)
        with pytest.raises(Stop):
            aj.jit(lambda x: stop(x * w))(1.0)

    def stop(x: Any) -> Any:
        raise Stop(x)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for i in range(50):
        call(i)
    before = resident()
    for i in range(400):
        call(i)
    assert resident() - before < 150 << 20
