"""Random programs: an expression graph out of a grammar of operations, written once for both libraries.

A program is a list of steps on vectors of ``N`` elements; each step names an operation and the values it takes.
Every operation keeps magnitudes near 1, so that programs of any length stay finite and their derivatives too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.generated.draw import Source

N = 4
Value = Any
ROWS = np.random.default_rng(1).uniform(-1, 1, (3, N)).astype(np.float32)
WEIGHT = np.random.default_rng(2).uniform(-0.5, 0.5, (N, N)).astype(np.float32)
DIRECTION = np.random.default_rng(3).uniform(-1, 1, N).astype(np.float32)


def _custom(m: Any, x: Value) -> Value:
    @m.t.custom_jvp
    def f(y: Value) -> Value:
        return m.np.tanh(y)

    f.defjvp(lambda primals, tangents: (f(primals[0]), 2.0 * tangents[0] * m.np.cos(primals[0])))
    return f(x)


def _scan(m: Any, x: Value, y: Value) -> Value:
    carry, ys = m.lax.scan(lambda c, v: (m.np.sin(c + v * y), c * v), y, m.np.stack([x, y, -x]))
    return carry + m.np.sum(ys, axis=0) * 0.3


def _cond(m: Any, x: Value, y: Value) -> Value:
    return m.lax.cond(m.np.sum(x) > 0, lambda a, b: m.np.sin(a) * b, lambda a, b: a - m.np.tanh(b), x, y)


def _fori(m: Any, x: Value) -> Value:
    return m.lax.fori_loop(0, 3, lambda i, v: m.np.sin(v) + 0.1 * i, x)


UNARY: dict[str, Callable[[Any, Value], Value]] = {
    "sin": lambda m, x: m.np.sin(x), "tanh": lambda m, x: m.np.tanh(x), "gauss": lambda m, x: m.np.exp(-x * x),
    "softplus": lambda m, x: m.nn.softplus(x), "silu": lambda m, x: m.nn.silu(x),
    "softmax": lambda m, x: m.nn.softmax(x),
    "smooth abs": lambda m, x: m.np.sqrt(x * x + 0.25), "reverse": lambda m, x: x[::-1],
    "mean": lambda m, x: x - m.np.mean(x),
    "cumsum": lambda m, x: m.np.cumsum(x) / N, "layer": lambda m, x: m.np.tanh(WEIGHT @ x),
    "normalize": lambda m, x: x / m.np.sqrt(1.0 + m.np.sum(x**2)), "roll": lambda m, x: m.np.roll(x, 1) * 0.5,
    "gather": lambda m, x: x[m.np.array([2, 0, 2, 1])], "scatter": lambda m, x: m.np.asarray(x).at[1].multiply(0.5),
    "pad": lambda m, x: m.np.pad(x, (1, 0))[:N], "convolve": lambda m, x: m.np.convolve(x, DIRECTION[:3], "same"),
    "jit": lambda m, x: m.t.jit(lambda v: m.np.sin(v) * v)(x), "custom": _custom, "loop": _fori,
    "checkpoint": lambda m, x: m.t.checkpoint(lambda v: m.np.sin(m.np.sin(v) * v))(x),
    "grad": lambda m, x: m.t.grad(lambda v: m.np.sum(m.np.sin(v) * v**2))(x) * 0.3,
    "vmap": lambda m, x: m.t.vmap(lambda a: m.np.sum(m.np.sin(a * x)))(x) / N,
    "jvp": lambda m, x: m.t.jvp(lambda v: m.np.sin(v) * v, (x,), (m.np.cos(x),))[1],
    "vmap grad jit": lambda m, x: m.t.vmap(m.t.grad(m.t.jit(lambda a: m.np.sin(a) * a)))(x),
}  # fmt: skip
BINARY: dict[str, Callable[[Any, Value, Value], Value]] = {
    "add": lambda m, x, y: 0.5 * (x + y), "sub": lambda m, x, y: x - 0.5 * y, "mul": lambda m, x, y: x * y,
    "div": lambda m, x, y: x / (2.0 + m.np.sin(y)), "dot": lambda m, x, y: m.np.dot(x, y) * x / N,
    "outer": lambda m, x, y: m.np.tanh(m.np.outer(x, y)) @ x,
    "where": lambda m, x, y: m.np.where(x > 0.1, m.np.sin(y), x),
    "concatenate": lambda m, x, y: m.np.concatenate([x[:2], y[2:]]),
    "einsum": lambda m, x, y: m.np.einsum("i,j->i", x, y) / N,
    "stop": lambda m, x, y: m.lax.stop_gradient(x) * y, "scan": _scan, "cond": _cond,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Program:
    steps: tuple[tuple[str, int, int], ...]

    def __call__(self, m: Any, x: Value) -> Value:
        """A scalar: the sum of the last value and of a product of the first with it."""
        values = [x]
        for name, i, j in self.steps:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(UNARY[name](m, a) if name in UNARY else BINARY[name](m, a, b))
        return m.np.sum(values[-1] * DIRECTION) + 0.1 * m.np.dot(values[-1], values[len(values) // 2])

    def parts(self) -> list[Callable[..., Value]]:
        """The functions that it is made of."""
        return [UNARY.get(name) or BINARY[name] for name, _, _ in self.steps]


def program(source: Source, most: int) -> Program:
    """A program of at most so many steps."""
    names = [*UNARY, *BINARY]
    step = lambda: (source.pick(names), source.integer(0, 9), source.integer(0, 9))  # noqa: E731
    return Program(tuple(step() for _ in range(source.integer(1, most))))


def tower(source: Source, most: int) -> tuple[str, ...]:
    """Names of transformations to apply, one after another."""
    return tuple(source.pick([*WRAPS]) for _ in range(source.integer(0, most)))


def _along(m: Any, f: Any) -> Any:
    return lambda x: m.t.jvp(f, (x,), (m.np.asarray(DIRECTION),))[1]


Wrap = Callable[[Any, Callable[[Value], Value]], Callable[[Value], Value]]
# scalar functions of a vector to scalar functions of a vector, so that they compose to any depth
WRAPS: dict[str, Wrap] = {
    "jit": lambda m, f: m.t.jit(f),
    "checkpoint": lambda m, f: m.t.checkpoint(f),
    "along": _along,
    "squared grad": lambda m, f: lambda x: m.np.sum(m.t.grad(f)(x) ** 2),
    "mean of vmap": lambda m, f: lambda x: m.np.mean(m.t.vmap(f)(ROWS * x)),
    "vmap of grad": lambda m, f: lambda x: m.np.sum(m.t.vmap(m.t.grad(f))(ROWS * x) * ROWS),
    "scan": lambda m, f: lambda x: m.lax.scan(lambda c, r: (c + f(r * x), c), 0.1 * m.np.sum(x), ROWS)[0],
    "vmap of scan": lambda m, f: (
        lambda x: m.np.sum(
            m.t.vmap(lambda r: m.lax.scan(lambda c, v: (0.5 * c + f(v * r), None), 0.0 * r[0], m.np.stack([x, -x]))[0])(
                ROWS
            )
        )
    ),
    "cond": lambda m, f: lambda x: m.lax.cond(x[0] > 0, f, lambda v: f(-v), x),
    "linearize": lambda m, f: lambda x: m.t.linearize(f, x)[1](m.np.asarray(DIRECTION)),
}
ENDS: dict[str, Wrap] = {
    "value": lambda m, f: f,
    "grad": lambda m, f: m.t.grad(f),
    "jit grad": lambda m, f: m.t.jit(m.t.grad(f)),
    "vmap grad": lambda m, f: lambda x: m.t.vmap(m.t.grad(f), in_axes=1)((ROWS * x).T),
    "jvp grad": lambda m, f: _along(m, m.t.grad(f)),
    "jacrev": lambda m, f: m.t.jacrev(m.t.grad(f)),
    "hessian": lambda m, f: m.t.hessian(f),
}


def transformed(m: Any, program: Program, wraps: tuple[str, ...], end: str) -> Callable[[Value], Value]:
    f: Callable[[Value], Value] = lambda x: program(m, x)  # noqa: E731
    for name in wraps:
        f = WRAPS[name](m, f)
    return ENDS[end](m, f)
