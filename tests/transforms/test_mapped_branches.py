"""Derivatives of cond and switch with a mapped choice: those of the branch that an example took, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from tests.answers import of_jax
from tests.transforms.programs import JAX, OURS

X = np.array([4.0, 0.0, 2.5, 0.0], np.float32)  # where log and sqrt have no finite slope, another branch is taken


def _operand(m: Any, x: Any) -> Any:
    return m.lax.cond(x > 0, lambda x: m.np.log(x) * x, lambda x: 0.5 * x**2, x)


def _closure(m: Any, x: Any) -> Any:
    return m.lax.cond(x > 0, lambda: m.np.log(x) * x, lambda: 0.5 * x**2)


def _constant(m: Any, x: Any) -> Any:
    return m.lax.cond(x < 1e-3, lambda _: 1e-3, lambda _: m.np.sqrt(x), ())


def _switch(m: Any, x: Any) -> Any:
    branches = [lambda x: 3.0 * x**2, lambda x: m.np.sqrt(x), lambda x: m.np.log(x), lambda x: 1 / x]
    return m.lax.switch((x > 0).astype("int32") + (x > 3), branches, x)


def _tree(m: Any, x: Any) -> Any:
    """Integers, an unused operand, an empty tuple, and a branch inside a branch."""

    def positive(d: Any, n: Any, _: Any) -> Any:
        return m.lax.cond(n > 1, lambda y: y**1.5, lambda y: m.np.log(y), d["x"]), n + 1

    out = m.lax.cond(
        x > 0, positive, lambda d, n, _: (d["x"] * d["w"], n), {"x": x, "w": 2.0}, (x * 2).astype("int32"), ()
    )
    return out[0] * out[1]


def _scan(m: Any, x: Any) -> Any:
    step = lambda c, t: (m.lax.cond(c > 0, lambda: m.np.sqrt(c) * t, lambda: c * t), None)  # noqa: E731
    return m.lax.scan(step, x, m.np.array([1.0, 2.0, 0.5]))[0]


def _checkpoint(m: Any, x: Any) -> Any:
    return m.t.checkpoint(lambda x: _operand(m, x) ** 2)(x)


def _custom(m: Any, x: Any) -> Any:
    f = m.t.custom_vjp(lambda x: m.np.log(x))
    f.defvjp(lambda x: (m.np.log(x), x), lambda x, g: (10 * g / x,))
    return m.lax.cond(x > 0, f, lambda x: x, x)


def _solve(m: Any, x: Any) -> Any:
    solve = lambda matvec, b: b / x  # noqa: E731
    return m.lax.cond(
        x > 0, lambda: m.lax.custom_linear_solve(lambda v: v * x, m.np.ones(()), solve, solve), lambda: x * 2
    )


PROGRAMS = (_operand, _closure, _constant, _switch, _tree, _scan, _checkpoint, _custom, _solve)


def _total(m: Any, f: Any) -> Any:
    return lambda x: m.t.vmap(f)(x).sum()


def _second(m: Any, f: Any) -> Any:
    slope = m.t.grad(_total(m, f))
    return m.t.grad(lambda x: (slope(x) * m.np.arange(1.0, 5.0)).sum())


DERIVATIVES: dict[str, Callable[[Any, Any], Any]] = {
    "grad of vmap": lambda m, f: m.t.grad(_total(m, f))(X),
    "compiled": lambda m, f: m.t.jit(m.t.grad(_total(m, m.t.jit(f))))(X),
    "vmap of grad": lambda m, f: m.t.vmap(m.t.grad(f))(X),
    "twice": lambda m, f: _second(m, f)(X),
    "grad of vmap of grad": lambda m, f: m.t.grad(_total(m, m.t.grad(f)))(X),
    "nested": lambda m, f: m.t.grad(lambda x: m.t.vmap(_total(m, f))(x.reshape(2, 2)).sum())(X),
    "vmap of grad of vmap": lambda m, f: m.t.vmap(m.t.grad(_total(m, f)))(X.reshape(2, 2)),
    "checkpoint": lambda m, f: m.t.grad(m.t.checkpoint(_total(m, f)))(X),
    "jvp": lambda m, f: m.t.jvp(_total(m, f), (X,), (X + 1,))[1],
    "linearize": lambda m, f: m.t.linearize(m.t.vmap(f), X)[1](X + 1),
    "grad of jvp": lambda m, f: m.t.grad(lambda x: m.t.jvp(_total(m, f), (x,), (X + 1,))[1])(X),
    "jvp of grad": lambda m, f: m.t.jvp(m.t.grad(_total(m, f)), (X,), (X + 1,))[1],
}
FORWARD = {"jvp", "linearize", "grad of jvp", "jvp of grad"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__.strip("_"))
def test_as_jax(program: Any) -> None:
    by_jax = lambda derive: derive(JAX, lambda x: program(JAX, x))  # noqa: E731
    for name, derive in DERIVATIVES.items():
        if program is _custom and name in FORWARD:
            continue
        theirs = np.asarray(of_jax(by_jax, derive)[0])
        ours = np.asarray(derive(OURS, lambda x: program(OURS, x)))
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-5, err_msg=name)


def test_operands_that_are_not_mapped() -> None:
    """Each example's part of a shared operand's gradient is that of its branch; values do not repeat the operand."""
    w, table = np.array([0.0, 1.0], np.float32), np.zeros((6, 2), np.float32)
    flags, rows = np.array([True, False, False]), np.array([1, 5, 1])

    def total(m: Any) -> Any:
        def one(flag: Any, row: Any, w: Any, table: Any) -> Any:
            return m.lax.cond(flag, lambda: w * 3.0 + m.np.asarray(table)[row], lambda: w**2 + row)

        return lambda w, table: m.t.vmap(one, (0, 0, None, None))(flags, rows, w, table).sum()

    def powers(m: Any) -> Any:
        one = lambda flag, w: m.lax.cond(flag, lambda: m.np.sqrt(w), lambda: w * 1.0)  # noqa: E731
        return lambda w: m.t.vmap(one, (0, None))(np.array([False, False]), w).sum()

    assert float(OURS.t.grad(powers(OURS))(0.0)) == 2
    for ours, theirs in zip(OURS.t.grad(total(OURS), (0, 1))(w, table), jax.grad(total(JAX), (0, 1))(w, table)):
        np.testing.assert_array_equal(ours, theirs)
    values = OURS.t.jit(total(OURS)).lower(w, table).as_text()
    assert "[3, 6, 2]" not in values
