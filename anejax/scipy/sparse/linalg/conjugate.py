"""Conjugate gradients, for Hermitian matrices, and the stabilized biconjugate method for general ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax.api.control import while_loop
from anejax.scipy.sparse.linalg.systems import System, norm, real_dot, size_of, solved


class _State(NamedTuple):
    x: Any
    residual: Any
    direction: Any
    power: Any  # the residual times itself, preconditioned, or times the first one
    going: Any  # the method has not broken down
    turn: Any


def cg(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: Any = None, M: Any = None
) -> tuple[Any, None]:
    """The x with ``A(x) = b`` for a Hermitian, positive definite ``A``, by conjugate gradients.

    Args:
        A: a square matrix, or the product with it: a function of trees of the structure and types of ``b``.
        b: the right-hand side, an array of any shape or a tree of arrays.
        x0: where to begin, of the structure of ``b``; zeros when None. It has no derivative.
        tol, atol: until the norm of the residual is at most max(tol * norm(b), atol).
        maxiter: the most steps; 10 for each element of ``b`` when None.
        M: an approximate inverse of ``A``, given likewise.

    Returns:
        (x, None). Derivatives, with respect to ``b`` and what ``A`` closes over, solve such systems too.

    Saad 2003, "Iterative methods for sparse linear systems", algorithm 9.1.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.sparse.linalg.cg(lambda x: 4 * x, jnp.array([4.0, 8.0]))[0]
        Array([1., 2.], dtype=float32)
    """
    most = 10 * size_of(b) if maxiter is None else maxiter

    def iterate(system: System) -> Any:
        def step(s: _State) -> _State:
            image = system.matvec(s.direction)
            length = s.power / real_dot(s.direction, image)
            residual = s.residual - length * image
            better = system.precondition(residual)
            power = real_dot(residual, better)
            direction = better + power / s.power * s.direction
            return _State(s.x + length * s.direction, residual, direction, power, s.going, s.turn + 1)

        residual = system.b - system.matvec(system.start)
        better = system.precondition(residual)
        begin = _State(system.start, residual, better, real_dot(residual, better), jnp.array(True), 0)
        return _looped(system, most, step, begin)

    return solved("cg", iterate, A, b, x0, tol, atol, M, symmetric=True), None


def bicgstab(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: Any = None, M: Any = None
) -> tuple[Any, None]:
    """The x with ``A(x) = b`` for any invertible ``A``, by stabilized biconjugate gradients; arguments as of ``cg``.

    It ends early if the method breaks down, with the best solution so far.

    Van der Vorst 1992, "Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG".
    """
    most = 10 * size_of(b) if maxiter is None else maxiter

    def iterate(system: System) -> Any:
        first = system.b - system.matvec(system.start)

        def step(s: _State) -> _State:
            there = system.precondition(s.direction)
            image = system.matvec(there)
            length = s.power / jnp.vdot(first, image)
            half = s.residual - length * image  # the residual after the first half of the step
            back = system.precondition(half)
            other = system.matvec(back)
            size = real_dot(other, other)
            damping = jnp.where(size > 0, jnp.vdot(other, half) / jnp.where(size > 0, size, 1), 0)
            residual = half - damping * other
            power = jnp.vdot(first, residual)
            growth = power / s.power * (length / damping)
            direction = residual + growth * (s.direction - damping * image)
            going = (power != 0) & (damping != 0)
            return _State(s.x + length * there + damping * back, residual, direction, power, going, s.turn + 1)

        begin = _State(system.start, first, first, jnp.vdot(first, first), jnp.array(True), 0)
        return _looped(system, most, step, begin)

    return solved("bicgstab", iterate, A, b, x0, tol, atol, M, symmetric=False), None


def _looped(system: System, most: Any, step: Callable[[_State], _State], begin: _State) -> Any:
    """The x after at most ``most`` steps."""
    return while_loop(lambda s: (norm(s.residual) > system.limit) & (s.turn < most) & s.going, step, begin).x
