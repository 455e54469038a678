"""Matrix iterations that optimizers use: eigenvalues, roots, non-negative least squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anejax.numpy as jnp
from anejax import lax, random, tree
from anejax.errors import ShapeError
from anejax.optim.base import global_norm
from anejax.tree import PyTree
from anejax.typing import ArrayLike

HIGHEST = lax.Precision.HIGHEST


def power_iteration(
    matrix: Any,
    *,
    v0: Any = None,
    num_iters: Any = 100,
    error_tolerance: Any = 1e-6,
    precision: Any = HIGHEST,
    key: ArrayLike | None = None,
) -> tuple[Any, Any]:
    """(largest eigenvalue, its eigenvector) of a symmetric positive semi-definite matrix, by repeated products.

    ``matrix`` is an array [n, n], or a linear function of trees like ``v0``. Without ``v0`` the first vector is random,
    of ``key``.

    Raises:
        ValueError: ``matrix`` is a function and there is no ``v0``.
    """
    if not callable(matrix):
        array = jnp.asarray(matrix)
        product: Callable[[Any], Any] = lambda v: jnp.matmul(array, v, precision=precision)  # noqa: E731
        if v0 is None:
            key = random.key(0) if key is None else key
            v0 = random.uniform(key, array.shape[-1:], array.dtype, minval=-1.0, maxval=1.0)
    elif v0 is None:
        raise ValueError("[power_iteration] expected v0 with a function for the matrix, got none.")
    else:
        product = matrix

    def unit(v: Any) -> Any:
        size = 1.0 / global_norm(v)
        return tree.map(lambda x: size * x, v)

    def unfinished(state: PyTree) -> PyTree:
        vector, image, value, turn = state
        residual = global_norm(tree.map(lambda z, v: z - value * v, image, vector))
        return ~(jnp.abs(residual / value) < error_tolerance) & (turn < num_iters)

    def turn(state: PyTree) -> PyTree:
        vector = unit(state[1])
        image = product(vector)
        value: Any = sum(jnp.vdot(a, b, precision=HIGHEST) for a, b in zip(tree.leaves(vector), tree.leaves(image)))
        return vector, image, value, state[3] + 1

    first = unit(v0)
    start = (first, product(first), jnp.asarray(0.0), jnp.asarray(0))
    _, image, value, _ = lax.while_loop(unfinished, turn, start)
    return value, unit(image)


def matrix_inverse_pth_root(
    matrix: Any,
    p: int,
    num_iters: Any = 100,
    ridge_epsilon: Any = 1e-6,
    error_tolerance: Any = 1e-6,
    precision: Any = HIGHEST,
) -> tuple[Any, Any]:
    """(matrix**(-1/p), error) of a symmetric positive definite matrix [n, n], by coupled Newton iterations.

    ``p`` is 1, 2, 4 or 8. ``ridge_epsilon`` times the largest eigenvalue is added to the diagonal. The source of the
    iteration is Guo and Higham, "A Schur-Newton Method for the Matrix p-th Root and its Inverse", section 3.

    Raises:
        ValueError: ``p`` is another number.
    """
    if p not in (1, 2, 4, 8):
        raise ValueError(f"[matrix_inverse_pth_root] expected p of 1, 2, 4 or 8, got {p!r}.")
    matrix = jnp.asarray(matrix)
    largest, _ = power_iteration(matrix, precision=precision)
    ridge, alpha = ridge_epsilon * jnp.maximum(largest, 1e-16), -1.0 / p
    if matrix.shape[0] == 1:
        return (matrix + ridge) ** alpha, jnp.asarray(0.0)
    eye = jnp.eye(matrix.shape[0], dtype=jnp.float32)

    def power(m: Any) -> Any:
        for _ in range(p.bit_length() - 1):
            m = jnp.matmul(m, m, precision=precision)
        return m

    def distance(m: Any) -> Any:
        return jnp.max(jnp.abs(m - eye))

    def unfinished(state: PyTree) -> PyTree:
        return (state[0] < num_iters) & (state[4] > error_tolerance) & state[5]

    def turn(state: PyTree) -> PyTree:
        i, m, h, _, error, _ = state
        step = (1 - alpha) * eye + alpha * m
        m, new_h = (jnp.matmul(a, b, precision=precision) for a, b in ((power(step), m), (h, step)))
        return i + 1, m, new_h, h, distance(m), distance(m) < error * 1.2

    damped = matrix + ridge * eye
    z = (1 + p) / (2 * jnp.sqrt(jnp.sum(jnp.square(damped))))
    first = eye * z ** (1.0 / p)
    start = (jnp.asarray(0), damped * z, first, first, distance(damped * z), jnp.asarray(True))
    _, m, h, old_h, _, converged = lax.while_loop(unfinished, turn, start)
    return jnp.where(converged, h, old_h).astype(matrix.dtype), distance(m)


def nnls(A: Any, b: Any, iters: int, unroll: int | bool = 1, L: Any = None) -> Any:
    """The x without negative numbers that makes |A x - b|**2 small, by ``iters`` steps of Nesterov's method.

    ``A`` is [m, n], ``b`` [m] or [m, k]; ``L`` is a bound of the largest eigenvalue of A^T A, by default one from its
    norms. The method is FISTA (Beck and Teboulle, 2009).

    Raises:
        ShapeError: the shapes do not match.
    """
    A, b = jnp.asarray(A), jnp.asarray(b)
    if A.ndim != 2 or b.ndim not in (1, 2) or b.shape[0] != A.shape[0]:
        raise ShapeError(f"[nnls] expected A [m, n] and b [m] or [m, k], got {A.aval} and {b.aval}.")
    square, target = A.T @ A, A.T @ b
    if L is None:
        columns = jnp.max(jnp.sum(jnp.abs(square), 0)) if square.size else 0
        L = jnp.minimum(jnp.sqrt(jnp.sum(jnp.square(square))), columns)
    L = jnp.where(L == 0, 1, L)

    def step(carry: PyTree, _: Any) -> PyTree:
        x, ahead, c = carry
        next_c = (1 + jnp.sqrt(1 + 4 * c**2)) / 2
        new = jnp.maximum(ahead - (square @ ahead - target) / L, 0)
        return (new, new + (c - 1) / next_c * (new - x), next_c), None

    zeros = jnp.zeros(A.shape[1:] + b.shape[1:], b.dtype)
    (x, _, _), _ = lax.scan(step, (zeros, zeros, jnp.asarray(0.0, b.dtype)), length=iters, unroll=unroll)
    return x
