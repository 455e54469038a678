"""Bessel functions: I_0 and I_1, scaled and not, and J_0, J_1, ..., J_v."""

from __future__ import annotations

import operator
from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.api.control import scan
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.lax.special.bessel import modified
from anejax.lax.special.series import face
from anejax.scipy.special.operands import floats, unary

i0e = unary("i0e", lax.bessel_i0e, "exp(-|x|) I_0(x), I_0 being the modified Bessel function of order 0")
i1e = unary("i1e", lax.bessel_i1e, "exp(-|x|) I_1(x), I_1 being the modified Bessel function of order 1")
i0 = unary("i0", face(modified(0, scaled=False)), "modified Bessel function I_0(x)")
i1 = unary("i1", face(modified(1, scaled=False)), "modified Bessel function I_1(x)")

_NEAR = 1.0  # up to which the power series is short, and beyond which the recurrence does not overflow
_HUGE = 1e10


def _near_0(z: Any, v: int) -> Any:
    """J_0(z), ..., J_v(z) for |z| <= 1 by their power series (DLMF 10.2.2)."""
    t = -0.25 * z * z
    rows, leading = [], jnp.ones_like(z)
    for order in range(v + 1):
        total = jnp.ones_like(z)
        for k in range(12, 0, -1):
            total = 1 + total * t / (k * (k + order))
        rows.append(leading * total)
        leading = leading * (0.5 * z / (order + 1))
    return jnp.stack(rows)


def _miller(z: Any, v: int, n_iter: int) -> Any:
    """The same by the recurrence from order ``n_iter`` down, then by J_0 + 2 (J_2 + J_4 + ...) = 1 (DLMF 3.6(ii))."""
    orders = jnp.arange(n_iter, 0, -1)
    kept = jnp.arange(v + 1).reshape((-1,) + (1,) * z.ndim)

    def down(carry: Any, order: Any) -> Any:
        above, here, total, rows = carry
        below = here * (2 * order / z) - above
        total = total + jnp.where(order % 2 == 1, 2 * below, 0)
        rows = jnp.where(kept == order - 1, below, rows)
        shrink = jnp.where(jnp.abs(below) > _HUGE, 1 / _HUGE, 1)
        return (here * shrink, below * shrink, total * shrink, rows * shrink), None

    zero, seed = jnp.zeros_like(z), jnp.full_like(z, 1e-10)
    first = jnp.where(kept == n_iter, seed, jnp.zeros((v + 1, *z.shape), z.dtype))
    start = (zero, seed, jnp.where(n_iter % 2 == 0, 2 * seed, zero), first)
    _, here, total, rows = scan(down, start, orders)[0]
    return rows / (total - here)


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Array:
    """J_0(z), J_1(z), ..., J_v(z), stacked along a new first axis, for integers ``v`` >= 0 and ``n_iter`` > v.

    ``n_iter`` is the order at which the recurrence starts; it has to be well above |z| and v: 50 serves |z| <= 20.

    Example:
        >>> from anejax.scipy.special import bessel_jn
        >>> bessel_jn(0.0, v=2)
        Array([1., 0., 0.], dtype=float32)
    """
    v, n_iter = operator.index(v), operator.index(n_iter)
    if not 0 <= v < n_iter:
        raise ShapeError(f"[bessel_jn] expected 0 <= v < n_iter, got v = {v} and n_iter = {n_iter}.")
    (z,) = floats("bessel_jn", z)
    return _of_orders(z, v=v, n_iter=n_iter)


@one_program(static_argnames=("v", "n_iter"))
def _of_orders(z: Any, *, v: int, n_iter: int) -> Array:
    near = jnp.abs(z) <= _NEAR
    return jnp.where(near, _near_0(jnp.where(near, z, 0), v), _miller(jnp.where(near, 2, z), v, n_iter))
