"""Custom derivative rules inside loops, branches and checkpoints, to the third order.

The oracle is jax on the same mathematics without any loop: jax's own scan loses custom_jvp rules at the second order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from tests.answers import of_jax
from tests.transforms.programs import JAX, OURS


def _stop(m: Any) -> Any:
    return m.lax.stop_gradient


def _reversed(m: Any) -> Any:
    """The identity with the derivative -1."""
    f = m.t.custom_jvp(lambda x: x)
    f.defjvp(lambda primals, tangents: (f(*primals), -tangents[0]))
    return f


def _scaled(m: Any) -> Any:
    """The identity with 10 times its derivative, in reverse mode alone."""
    f = m.t.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (f(x), None), lambda _, g: (g * 10.0,))
    return f


def _on_tangents(m: Any) -> Any:
    """A rule that calls a custom function on the tangent, and one result that does not depend on it."""
    twice = m.t.custom_jvp(lambda x, t: (x, 2 * t))
    twice.defjvp(lambda p, t: (twice(*p), (t[0], 2 * t[1])))
    f = m.t.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: twice(p[0], t[0]))
    return f


IDENTITIES = {"stop_gradient": _stop, "custom_jvp": _reversed, "custom_vjp": _scaled, "nested": _on_tangents}

# each program of (rule, x) with our loops, and what it means without them
squares = lambda i, x: i(x) * x**2 + i(2 * x) * (2 * x) ** 2  # noqa: E731
sines = lambda m, i, x: i(i(x) * m.np.sin(x)) * m.np.sin(i(x) * m.np.sin(x))  # noqa: E731
pair = lambda x: jnp.stack([x, 2 * x])  # noqa: E731


def _plus_square(i: Any) -> Callable[..., Any]:
    return lambda c, t: (c + i(t) * t**2, None)


PROGRAMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "xs": (lambda i, x: lax.scan(_plus_square(i), 0.0, pair(x))[0], lambda m, i, x: squares(i, x)),
    "ys": (lambda i, x: lax.scan(lambda c, t: (c, i(t) * t**2), 0, pair(x))[1].sum(), lambda m, i, x: squares(i, x)),
    "const": (
        lambda i, x: lax.scan(lambda c, _: (c + i(x) * x**2, None), 0.0, None, length=2)[0],
        lambda m, i, x: 2 * i(x) * x**2,
    ),
    "carry": (lambda i, x: lax.scan(lambda c, _: (i(c) * jnp.sin(c), None), x, None, length=2)[0], sines),
    "fori_loop": (lambda i, x: lax.fori_loop(0, 2, lambda k, c: i(c) * jnp.sin(c), x), sines),
    "map": (lambda i, x: lax.map(lambda t: i(t) * t**2, pair(x)).sum(), lambda m, i, x: squares(i, x)),
    "scan in scan": (
        lambda i, x: lax.scan(lambda c, t: (lax.scan(_plus_square(i), c, t)[0], None), 0.0, pair(x)[None])[0],
        lambda m, i, x: squares(i, x),
    ),
    "cond in scan": (
        lambda i, x: lax.scan(lambda c, t: (c + lax.cond(t > 0, lambda: i(t) * t**2, lambda: t), None), 0.0, pair(x))[
            0
        ],
        lambda m, i, x: squares(i, x),
    ),
    "jit in scan": (lambda i, x: lax.scan(aj.jit(_plus_square(i)), 0.0, pair(x))[0], lambda m, i, x: squares(i, x)),
    "checkpoint in scan": (
        lambda i, x: lax.scan(aj.checkpoint(_plus_square(i)), 0.0, pair(x))[0],
        lambda m, i, x: squares(i, x),
    ),
    "scan in checkpoint": (
        lambda i, x: aj.checkpoint(lambda x: lax.scan(_plus_square(i), 0.0, pair(x))[0])(x),
        lambda m, i, x: squares(i, x),
    ),
    "vmap of scan": (
        lambda i, x: aj.vmap(lambda t: lax.scan(_plus_square(i), 0.0, t)[0])(pair(x)[:, None]).sum(),
        lambda m, i, x: squares(i, x),
    ),
    "cond": (lambda i, x: lax.cond(x > 0, lambda x: i(x) * x**2, lambda x: x, x), lambda m, i, x: i(x) * x**2),
}

ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "first": lambda t, f: t.grad(f),
    "second": lambda t, f: t.grad(t.grad(f)),
    "second, compiled": lambda t, f: t.jit(t.grad(t.grad(f))),
    "third": lambda t, f: t.grad(t.grad(t.grad(f))),
    "forward over reverse": lambda t, f: t.jacfwd(t.grad(f)),
    "reverse over forward": lambda t, f: t.grad(t.jacfwd(f)),
    "of linearize": lambda t, f: t.grad(lambda x: t.linearize(f, x)[1](1.0)),
}
FORWARD = {"forward over reverse", "reverse over forward", "of linearize"}


@pytest.mark.parametrize("rule", IDENTITIES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_rules_hold_at_every_order(program: str, rule: str) -> None:
    ours, plain = PROGRAMS[program]
    ident = IDENTITIES[rule](OURS)
    theirs = lambda derive: derive(jax, lambda x: plain(JAX, IDENTITIES[rule](JAX), x))(0.7)  # noqa: E731
    for name, derive in ORDERS.items():
        if rule == "custom_vjp" and name in FORWARD:
            continue
        got = derive(aj, lambda x: ours(ident, x))(0.7)
        [expected] = of_jax(theirs, derive)
        np.testing.assert_allclose(float(got), float(expected), rtol=1e-4, atol=1e-5, err_msg=name)
