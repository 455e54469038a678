"""The code that solvers share: a pytree becomes one vector, the matrix its product, and derivatives are implicit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import tree
from anejax.api.implicit import custom_linear_solve
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError, TreeError
from anejax.flatten_util import ravel_pytree
from anejax.numpy.operands import as_array, promote_inexact, strong

Product = Callable[[Any], Any]


class System(NamedTuple):
    """``matvec(x) = b`` in vectors [n], to be solved from ``start`` on until the residual's norm is at most ``limit``.

    ``precondition`` multiplies with an approximate inverse of the matrix.
    """

    matvec: Product
    b: Any
    start: Any
    precondition: Product
    limit: Any


def norm(v: Any) -> Any:
    """The Euclidean norm of a vector, a real number."""
    return jnp.sqrt(real_dot(v, v))


def real_dot(v: Any, w: Any) -> Any:
    """The real part of the scalar product."""
    return jnp.vdot(v, w).real


def solved(
    op: str, iterate: Callable[[System], Any], A: Any, b: Any, x0: Any, tol: Any, atol: Any, M: Any, symmetric: bool
) -> Any:
    """The tree x with ``A(x) = b`` that ``iterate`` finds; derivatives solve further systems the same way.

    Raises:
        TreeError, ShapeError, DtypeError: ``x0``, or what ``A`` or ``M`` returns, is not of the structure and types of
        ``b``; a matrix is not square.
    """
    b = tree.map(lambda v: strong(as_array(op, promote_inexact(op, v)[0])), b)
    rhs, back = ravel_pytree(b)
    start = jnp.zeros_like(rhs) if x0 is None else _flat(op, "x0", x0, b, types=False).astype(rhs.dtype)
    precondition = _product(op, "M", M, b, back) if M is not None else lambda v: v

    def solve(matvec: Product, given: Any) -> Any:
        limit = jnp.maximum(tol * norm(given), atol)
        return iterate(System(matvec, given, start, precondition, limit))

    matvec = _product(op, "A", A, b, back)
    kept = symmetric and rhs.dtype.kind != "c"
    return back(custom_linear_solve(matvec, rhs, solve, transpose_solve=solve, symmetric=kept))


def size_of(b: Any) -> int:
    """The number of elements in a tree."""
    return sum(aval_of(v).size for v in tree.leaves(b))


def _product(op: str, name: str, A: Any, like: Any, back: Callable[[Any], Any]) -> Product:
    """``A``, a matrix or a function of trees, as a function of vectors."""
    function = _function(op, name, A)
    return lambda v: _flat(op, f"the result of {name}", function(back(v)), like)


def _function(op: str, name: str, A: Any) -> Product:
    if isinstance(A, (Array, np.ndarray)) or not callable(A):
        shape = getattr(A, "shape", None)
        if not hasattr(A, "__matmul__"):
            raise TypeError(f"[{op}] expected {name} to be a function or a square matrix, got {type(A).__name__}.")
        if shape is not None and (len(shape) != 2 or shape[0] != shape[1]):
            raise ShapeError(f"[{op}] expected {name} to be a square matrix, got one of shape {tuple(shape)}.")
        return lambda x: A @ x
    return A


def _flat(op: str, what: str, given: Any, like: Any, types: bool = True) -> Any:
    """The tree ``given`` as one vector; it must have the structure, shapes and (with ``types``) dtypes of ``like``."""
    leaves, structure = tree.flatten(given)
    expected, wanted = tree.flatten(like)
    if structure != wanted:
        raise TreeError(f"[{op}] expected {what} to have the structure of b, {wanted}, got {structure}.")
    for path, a, b in zip(tree.paths(like, "b"), map(aval_of, leaves), map(aval_of, expected)):
        if a.shape != b.shape:
            raise ShapeError(f"[{op}] expected {what} to have the shapes of b: {path} is {b}, got {a}.")
        if types and a.dtype != b.dtype:
            raise DtypeError(f"[{op}] expected {what} to have the dtypes of b: {path} is {b}, got {a}. Convert b.")
    return ravel_pytree(given)[0]
