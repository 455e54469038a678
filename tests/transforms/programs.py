"""Small programs written once for anejax and for jax: each takes the modules it is written in terms of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy
import numpy as np

import anejax as aj
import anejax.numpy

OURS = SimpleNamespace(np=anejax.numpy, lax=aj.lax, t=aj)
JAX = SimpleNamespace(np=jax.numpy, lax=jax.lax, t=jax)


def polynomial(m: Any, x: Any) -> Any:
    return m.np.sum(x**3 - 2 * x**2 + 0.5 * x)


def scalars(m: Any, x: Any) -> Any:
    return m.np.sum(m.np.sin(x[0]) * x + 1.5 / (2.0 + m.np.cos(x)))


def matmuls(m: Any, x: Any) -> Any:
    square = m.np.outer(x, m.np.tanh(x))
    return m.np.sum(m.np.exp(-(square @ square.T) / 10) @ x)


def softmax(m: Any, x: Any) -> Any:
    shifted = x - m.np.max(x)
    return m.np.log(m.np.sum(m.np.exp(shifted))) - shifted[1]


def shapes(m: Any, x: Any) -> Any:
    grid = m.np.reshape(m.np.concatenate([x, x[::-1], 2 * x]), (3, -1))
    padded = m.np.pad(grid.T, ((1, 0), (0, 2)))
    return m.np.sum(padded[1:, ::2] * m.np.broadcast_to(x[:, None], (x.shape[0], 3))) ** 2


def reductions(m: Any, x: Any) -> Any:
    return m.np.prod(x) + m.np.max(x) * m.np.min(x) + m.np.var(x) + m.np.sum(m.np.cumsum(x) * x)


def indexing(m: Any, x: Any) -> Any:
    x = m.np.asarray(x)  # NumPy's own arrays have no .at
    picked = x[m.np.array([2, 0, 2, 1])]
    return m.np.sum(picked * picked[::-1]) + x.at[1].multiply(x[0]).sum()


def branches(m: Any, x: Any) -> Any:
    return m.np.sum(m.np.where(x > 0.1, m.np.log1p(m.np.abs(x)), x * x))


def inner_jit(m: Any, x: Any) -> Any:
    f = m.t.jit(lambda a, b: {"s": a * b, "t": m.np.sin(a)})
    out = f(x, x[::-1])
    return m.np.sum(out["s"] * f(out["t"], x)["t"])


def inner_grad(m: Any, x: Any) -> Any:
    return m.np.sum(m.t.grad(lambda y: polynomial(m, y * x[0]))(x) * x)


def inner_vmap(m: Any, x: Any) -> Any:
    table = m.t.vmap(lambda a: m.t.vmap(lambda b: m.np.sin(a * b))(x))(x)
    return m.np.sum(table * table.T[0])


def remat(m: Any, x: Any) -> Any:
    f = m.t.checkpoint(lambda y: m.np.sin(m.np.sin(y) * y))
    return m.np.sum(f(f(x)))


def with_custom_jvp(m: Any, x: Any) -> Any:
    @m.t.custom_jvp
    def f(y: Any) -> Any:
        return m.np.log(1 + m.np.exp(y))

    @f.defjvp
    def f_jvp(primals: Any, tangents: Any) -> Any:
        (y,), (t,) = primals, tangents
        return f(y), t * 3.0 / (1 + m.np.exp(-y))  # 3 times the derivative, so that its use shows

    return m.np.sum(f(x) * x)


def with_stop_gradient(m: Any, x: Any) -> Any:
    return m.np.sum(m.lax.stop_gradient(x) * m.np.sin(x))


SMOOTH = (polynomial, scalars, matmuls, softmax, shapes, reductions, indexing, branches, inner_jit, inner_grad,
          inner_vmap, remat, with_custom_jvp, with_stop_gradient)  # fmt: skip

POINT = np.array([0.6, -0.4, 1.1, 0.3], np.float32)
DIRECTION = np.array([0.2, 1.0, -0.7, 0.5], np.float32)
ROWS = np.stack([POINT, POINT[::-1] * 0.5, DIRECTION])
