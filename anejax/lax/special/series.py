"""Helpers for special functions: nested sums, sums and fractions that run until they converge, Stirling's
correction."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, tree
from anejax.api.control import scan, while_loop
from anejax.api.programs import one_program
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.numpy.operands import astype, is_scalar, promote_inexact
from anejax.ops.elementwise import lgamma

EULER = 0.5772156649015329  # DLMF 5.2.3
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_LONGEST = 5000  # turns of a loop that does not settle, as for NaN


def wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of arrays of one dtype; 16-bit floats are computed in float32 and rounded once.

    Eager calls run it as one program.
    """

    def of_any_width(*args: Any) -> Any:
        xs = [jnp.asarray(x) for x in args]  # rules are called with Python numbers, too
        if xs[0].dtype.itemsize > 2:
            return function(*xs)
        return tree.map(lambda y: y.astype(xs[0].dtype), function(*(x.astype(dtypes.float32) for x in xs)))

    of_any_width.__name__ = function.__name__
    return functools.update_wrapper(one_program(of_any_width), function)


def face(function: Callable[..., Any]) -> Callable[..., Array]:
    """The function of jax.lax: operands of one float dtype, of one shape (axes of length 1 are stretched) or rank 0."""
    op, inner, signature = function.__name__, wide(function), inspect.signature(function)

    @functools.wraps(function)
    def checked(*xs: Any, **by_name: Any) -> Array:
        xs = signature.bind(*xs, **by_name).args if by_name else xs
        avals = [aval_of(x) for x in xs]
        shown = ", ".join(map(str, avals))
        kinds = {a.dtype for x, a in zip(xs, avals) if not is_scalar(x)}
        if len(kinds) > 1 or not all(a.dtype in dtypes.FLOATS for a in avals):
            raise DtypeError(f"[{op}] expected operands of one float dtype, got {shown}. Convert with x.astype(...).")
        columns = zip(*(a.shape for a in avals if a.shape))
        if len({a.ndim for a in avals} - {0}) > 1 or any(len({*lengths} - {1}) > 1 for lengths in columns):
            raise ShapeError(f"[{op}] expected operands of one shape, got {shown}. Broadcast with broadcast_to.")
        value = inner(*jnp.broadcast_arrays(*map(jnp.asarray, promote_inexact(op, *xs))))
        return astype(value, value.dtype, all(a.weak_type for a in avals))

    return checked


def horner(t: Any, coefficients: Sequence[float]) -> Any:
    """c[0] + c[1] t + c[2] t^2 + ..."""
    total = jnp.full_like(t, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total


def nested(t: Any, ratios: Sequence[float] | np.ndarray) -> Any:
    """1 + r[0] t (1 + r[1] t (1 + ...)): a power series by the ratios of its coefficients, which never overflow."""
    turns = np.asarray(ratios, t.dtype)[::-1]
    return scan(lambda total, ratio: (1 + total * (t * ratio), None), jnp.ones_like(t), turns)[0]


def settle(step: Callable[[Any, Any], Any], changes: Callable[[Any], Any], start: Any) -> Any:
    """``step(k, state)`` for k = 1, 2, ... until no element ``changes``; k is a float of the state's dtype."""
    one = jnp.ones((), start[0].dtype)

    def go_on(loop: Any) -> Any:
        return jnp.any(changes(loop[1])) & (loop[0] < _LONGEST)

    return while_loop(go_on, lambda loop: (loop[0] + 1, step(loop[0], loop[1])), (one, start))[1]


def sum_of_ratios(ratio: Callable[[Any], Any], like: Any) -> Any:
    """1 + ratio(1) + ratio(1) ratio(2) + ... until the terms no longer count."""
    eps = 0.25 * float(np.finfo(like.dtype).eps)

    def step(k: Any, state: Any) -> Any:
        total, term = state
        term = term * ratio(k)
        return total + term, term

    start = (jnp.ones_like(like), jnp.ones_like(like))
    return settle(step, lambda state: jnp.abs(state[1]) > eps * jnp.abs(state[0]), start)[0]


def continued_fraction(first: Any, pair: Callable[[Any], tuple[Any, Any]], least: int = 0) -> Any:
    """first + a1 / (b1 + a2 / (b2 + ...)), ``pair(k)`` being (a, b): Lentz's method (DLMF 3.10(iii)).

    ``least`` turns are made even where a value settles earlier: a fraction may end where its derivative does not.
    """
    info = np.finfo(first.dtype)
    eps, tiny = 2 * float(info.eps), float(info.tiny) * 16

    def apart(x: Any) -> Any:
        return jnp.where(jnp.abs(x) < tiny, tiny, x)

    def step(k: Any, state: Any) -> Any:
        value, upper, lower, last = state
        open_ = jnp.abs(last - 1) > eps  # converged elements stay, so that they gather no more rounding errors
        a, b = pair(k)
        lower = 1 / apart(b + a * lower)
        upper = apart(b + a / upper)
        turn = jnp.where(open_, upper * lower, 1)
        return value * turn, upper, lower, jnp.where(k < least, 2, turn)

    first = apart(first)
    start = (first, first, jnp.zeros_like(first), jnp.full_like(first, 2))
    return settle(step, lambda state: jnp.abs(state[3] - 1) > eps, start)[0]


def log1p_less(u: Any, sum_: Any) -> Any:
    """log(1 + u) - u without cancellation: by log(1 + u) = 2 artanh(u / (2 + u)) near 0 (DLMF 4.6.5, 4.37.24).

    ``sum_`` is 1 + u, which may have digits that u lost near -1.
    """
    near = (u > -0.5) & (u < 1)
    v = jnp.where(near, u, 0)
    r = v / (2 + v)
    series = horner(r * r, [1 / (2 * k + 3) for k in range(20)])
    return jnp.where(near, 2 * r * r * r * series - v * r, jnp.log(jnp.where(near, 1, sum_)) - u)


@functools.cache
def bernoulli_numbers(count: int) -> tuple[Fraction, ...]:
    """B_0, ..., B_(count - 1), exactly, with B_1 = -1/2: by their recurrence (DLMF 24.5.3)."""
    numbers: list[Fraction] = []
    for n in range(count):
        if n > 1 and n % 2:
            numbers.append(Fraction(0))
            continue
        total = sum((math.comb(n + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(Fraction(1) if n == 0 else -total / (n + 1))
    return tuple(numbers)


_EVEN = [float(b) for b in bernoulli_numbers(22)[2::2]]
_STIRLING = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_EVEN, 1)]


def stirling_rest(a: Any) -> Any:
    """lgamma(a) - (a - 1/2) log a + a - log(2 pi) / 2: its asymptotic series (DLMF 5.11.1) where a >= 10."""
    far = a >= 10
    big = jnp.where(far, a, 10)
    series = horner(1 / (big * big), _STIRLING) / big
    near = jnp.where(far, 1, a)
    direct = lgamma(near) - (near - 0.5) * jnp.log(near) + near - HALF_LOG_TWO_PI
    return jnp.where(far, series, direct)
