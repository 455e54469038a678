"""GMRES: minimises the residual in the space that repeated products with the matrix span.

Saad and Schultz 1986, "GMRES: a generalized minimal residual algorithm for solving nonsymmetric linear systems".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax.api.control import fori_loop, while_loop
from anejax.core.array import Array
from anejax.flatten_util import ravel_pytree
from anejax.scipy.sparse.linalg.systems import System, norm, size_of, solved


def gmres(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, restart: int = 20, maxiter: Any = None,
    M: Any = None, solve_method: str = "batched",
) -> tuple[Any, Array]:  # fmt: skip
    """The x with ``A(x) = b`` for any invertible ``A``, by generalized minimal residuals.

    Args:
        A, b, x0, tol, atol, M: as of ``cg``. ``M`` multiplies from the left.
        restart: how many products span a space, before it is left and the next begins where it ended: at most the
            number of elements of ``b``. Each takes a vector of memory.
        maxiter: the most spaces; 10 for each element of ``b`` when None.
        solve_method: "incremental" leaves a space as soon as its residual is small enough, "batched" when it is full.

    Returns:
        (x, info): -1 where x is not a number, else 0. Derivatives as of ``cg``.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.sparse.linalg.gmres(jnp.array([[0.0, 2.0], [1.0, 0.0]]), jnp.array([4.0, 3.0]))[0].round(4)
        Array([3., 2.], dtype=float32)
    """
    if solve_method not in ("batched", "incremental"):
        raise ValueError(f"[gmres] expected the method 'batched' or 'incremental', got {solve_method!r}.")
    size = size_of(b)
    most = 10 * size if maxiter is None else maxiter
    width = min(restart, size)

    def iterate(system: System) -> Any:
        def step(state: Any) -> Any:
            x, residual, turn = state
            x = x + _correction(system, residual, width, limit)
            return x, system.b - system.matvec(x), turn + 1

        limit = _inner_limit(system) if solve_method == "incremental" else None
        begin = system.start, system.b - system.matvec(system.start), 0
        return while_loop(lambda s: (norm(s[1]) > system.limit) & (s[2] < most), step, begin)[0]

    x = solved("gmres", iterate, A, b, x0, tol, atol, M, symmetric=False)
    return x, jnp.where(jnp.isnan(norm(ravel_pytree(x)[0])), -1, 0)


def _inner_limit(system: System) -> Any:
    """The limit of the residual times the preconditioner, which is what is known inside a space."""
    size, scaled = norm(system.b), norm(system.precondition(system.b))
    return jnp.where(size > 0, scaled * jnp.minimum(1, system.limit / jnp.where(size > 0, size, 1)), system.limit)


class _Space(NamedTuple):
    """Orthonormal vectors v, of which the first spans the residual, and the images of the others in them.

    The images form a matrix H with one row below its diagonal; ``turns`` (Givens rotations, multiplied) makes it the
    upper triangular ``triangle``.
    """

    vectors: Any  # [m + 1, n], zeros from ``count`` + 1 on
    triangle: Any  # [m, m]
    turns: Any  # [m + 1, m + 1]
    count: Any  # columns that are there
    going: Any  # there is one more direction


def _correction(system: System, residual: Any, width: int, limit: Any) -> Any:
    """The correction of x for the least residual, by the preconditioner, in a space of ``width`` dimensions."""
    start = system.precondition(residual)
    size = norm(start)
    vectors = jnp.zeros((width + 1, start.shape[0]), start.dtype).at[0].set(start / jnp.where(size > 0, size, 1))
    begin = _Space(vectors, jnp.eye(width, dtype=start.dtype), jnp.eye(width + 1, dtype=start.dtype), 0, size > 0)

    def unfinished(space: _Space) -> Any:
        more = space.going & (space.count < width)
        return more if limit is None else more & (size * jnp.abs(space.turns[space.count, 0]) > limit)

    grown = lambda space: _grown(space, lambda v: system.precondition(system.matvec(v)))  # noqa: E731
    space = while_loop(unfinished, grown, begin)
    known = jnp.arange(width) < space.count
    rhs = jnp.where(known, size * space.turns[:width, 0], 0)
    return _back_substituted(space.triangle, rhs) @ space.vectors[:width]


def _grown(space: _Space, product: Callable[[Any], Any]) -> _Space:
    """One more vector: the image of the last one, less its part in the space, and less what rounding left of that."""
    vectors, k = space.vectors, space.count
    image = product(vectors[k])
    least = jnp.finfo(image.dtype).eps * norm(image)
    column = vectors.conj() @ image
    image = image - column @ vectors
    again = vectors.conj() @ image
    image, column = image - again @ vectors, column + again
    rest = norm(image)
    going = rest > least
    rest = jnp.where(going, rest, 0)
    new = jnp.where(going, image / jnp.where(going, rest, 1), 0)
    column = space.turns @ column.at[k + 1].set(rest.astype(column.dtype))
    triangle, turns = _turned(space.triangle, space.turns, column, rest, k)
    return _Space(vectors.at[k + 1].set(new), triangle, turns, k + 1, going)


def _turned(triangle: Any, turns: Any, column: Any, rest: Any, k: Any) -> tuple[Any, Any]:
    """The triangle with one more column, and the rotation of rows k and k + 1 that makes ``rest`` below it 0."""
    top = column[k]
    length = jnp.sqrt(jnp.square(jnp.abs(top)) + jnp.square(rest))
    there = length > 0
    safe = jnp.where(there, length, 1)
    cos, sin = jnp.where(there, top / safe, 1), rest / safe
    upper, lower = turns[k], turns[k + 1]
    turns = turns.at[k].set(cos.conj() * upper + sin * lower).at[k + 1].set(cos * lower - sin * upper)
    rows = jnp.arange(triangle.shape[0])
    column = jnp.where(rows < k, column[:-1], jnp.where(rows == k, length.astype(column.dtype), 0))
    return triangle.at[:, k].set(column), turns


def _back_substituted(triangle: Any, rhs: Any) -> Any:
    """The y with ``triangle @ y = rhs``, and 0 where the diagonal is. By hand, since y may be complex."""

    def row(i: Any, y: Any) -> Any:
        j = rhs.shape[0] - 1 - i
        pivot = triangle[j, j]
        there = pivot != 0
        value = (rhs[j] - triangle[j] @ y) / jnp.where(there, pivot, 1)
        return y.at[j].set(jnp.where(there, value, 0))

    return fori_loop(0, rhs.shape[0], row, jnp.zeros_like(rhs))
