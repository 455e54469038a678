"""custom_linear_solve and custom_root: derivatives come from the equation that is solved, not from the solver's
steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.api.autodiff import jvp, linear_transpose, linearize
from anejax.api.custom import custom_jvp
from anejax.api.flat import FlatFunction, check_leaves, name_of
from anejax.core.graph import Graph
from anejax.core.trace import aval_of
from anejax.errors import ShapeError, TreeError
from anejax.ops.arithmetic import neg
from anejax.ops.families import zeros
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.linear_solve import linear_solve
from anejax.transforms.stage import stage
from anejax.tree import PyTree


def _staged(fun: Callable[..., Any], arg: Any) -> tuple[Graph, list[Any], Any]:
    """(the Graph of ``fun`` at the types of ``arg``, the values of its first inputs, the tree of its result)."""
    leaves, in_tree = tree.flatten(((arg,), {}))
    check_leaves(name_of(fun), "an argument", leaves, in_tree)
    flat = FlatFunction(fun, in_tree)
    graph, consts = stage(flat, [aval_of(x) for x in leaves])
    return graph, consts, flat.out_tree


def _check_same(op: str, what: str, x: Any, out_tree: Any, avals: Sequence[Any]) -> None:
    """Raises unless a result has the structure and types of ``x``."""
    leaves, expected = tree.flatten(x)
    if out_tree != expected:
        raise TreeError(f"[{op}] {what} must return the structure that it takes, {expected}, got {out_tree}.")
    for path, leaf, aval in zip(tree.paths(x, "x"), leaves, avals):
        known = aval_of(leaf)
        if (known.shape, known.dtype) != (aval.shape, aval.dtype):
            raise ShapeError(f"[{op}] {what} must keep types: {path} comes in as {known} and goes out as {aval}.")


def _solution(op: str, name: str, out_tree: Any, has_aux: bool) -> Any:
    """The tree of the solution, inside the tree that a solver returned."""
    if not has_aux:
        return out_tree
    if out_tree.type is not tuple or out_tree.num_children != 2:
        raise TypeError(f"[{op}] with has_aux=True {name} must return (solution, aux), got {out_tree}.")
    return out_tree.children()[0]


def custom_linear_solve(
    matvec: Callable[[Any], Any], b: Any, solve: Callable[[Any, Any], Any],
    transpose_solve: Callable[[Any, Any], Any] | None = None, symmetric: bool = False, has_aux: bool = False,
) -> Any:  # fmt: skip
    """Calls ``solve(matvec, b)``. Derivatives solve further linear systems instead of differentiating the solver.

    Args:
        matvec: the linear function ``x -> A x``, between trees of one structure and types; it may close over arrays
            that are differentiated.
        b: the right-hand side, a tree of arrays.
        solve: from (matvec, b) to x.
        transpose_solve: from (vecmat, ct) to the solution of ``A^T w = ct``; reverse mode needs it.
        symmetric: A is symmetric, and ``solve`` solves the transposed system too.
        has_aux: ``solve`` and ``transpose_solve`` return (solution, aux); aux has no derivative.

    Returns:
        The solution, of the structure of ``b``; with ``has_aux`` (solution, aux).

    Raises:
        TreeError, ShapeError: a result has another structure or type than ``b``. RefusedError: reverse mode without
        ``transpose_solve``.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> a = jnp.array([[2.0, 1.0], [1.0, 3.0]])
        >>> solve = lambda matvec, b: jnp.linalg.solve(a, b)
        >>> aj.lax.custom_linear_solve(lambda x: a @ x, jnp.array([3.0, 4.0]), solve, symmetric=True)
        Array([1., 1.], dtype=float32)
    """
    op = "custom_linear_solve"
    product, product_consts, product_tree = _staged(matvec, b)
    _check_same(op, name_of(matvec), b, product_tree, product.out_avals)

    def vecmat(ct: Any) -> Any:
        return linear_transpose(matvec, b)(ct)[0]

    def solver(fun: Callable[..., Any], given: Any) -> tuple[tuple[Graph, list[Any]], Any]:
        graph, consts, out_tree = _staged(lambda v: fun(given, v), b)
        found = _solution(op, name_of(fun), out_tree, has_aux)
        _check_same(op, name_of(fun), b, found, graph.out_avals)
        return (graph, consts), out_tree

    forward, out_tree = solver(solve, matvec)
    matrix = (product, product_consts)
    if transpose_solve is not None:
        other = _staged(vecmat, b)
        backward, transposed = solver(transpose_solve, vecmat)[0], (other[0], other[1])
    else:
        backward, transposed = (forward, matrix) if symmetric else (None, None)
    staged = {"graph": forward, "matvec": matrix, "transpose_solve": backward, "vecmat": transposed}
    return tree.unflatten(out_tree, linear_solve(staged, (), tree.leaves(b)))


def custom_root(
    f: Callable[[Any], Any], initial_guess: Any, solve: Callable[[Any, Any], Any],
    tangent_solve: Callable[[Any, Any], Any], has_aux: bool = False,
) -> Any:  # fmt: skip
    """``solve(f, initial_guess)``, a root of ``f``, differentiated by the implicit function theorem.

    With ``f(x, p) = 0``, ``dx = -(df/dx)^-1 (df/dp) dp``; ``p`` is whatever ``f`` closes over.

    Args:
        f: the function whose root is meant, between trees of one structure and types.
        initial_guess: where ``solve`` begins; it has no derivative.
        solve: from (f, initial_guess) to x. It may loop, and need not be differentiable.
        tangent_solve: from (g, y), with ``g`` the derivative of ``f`` at the root, to the solution of ``g(x) = y``. It
            must be linear in ``y``, as ``y / g(1.0)`` or ``custom_linear_solve`` are.
        has_aux: ``solve`` returns (root, aux); aux has no derivative.

    Example:
        >>> import anejax as aj
        >>> def root(a):
        ...     newton = lambda f, x: aj.lax.fori_loop(0, 9, lambda _, x: x - f(x) / (2 * x), x)
        ...     return aj.lax.custom_root(lambda x: x * x - a, a, newton, lambda g, y: y / g(1.0))
        >>> float(root(9.0)), round(float(aj.grad(root)(9.0)), 4)
        (3.0, 0.1667)
    """
    op = "custom_root"
    value, params, value_tree = _staged(f, initial_guess)
    _check_same(op, name_of(f), initial_guess, value_tree, value.out_avals)
    graph, consts, out_tree = _staged(lambda x: solve(f, x), initial_guess)
    _check_same(op, name_of(solve), initial_guess, _solution(op, name_of(solve), out_tree, has_aux), graph.out_avals)
    guess, x_tree = tree.flatten(initial_guess)
    count = len(guess)

    @custom_jvp
    def root(params: list[Any], consts: list[Any], guess: list[Any]) -> list[Any]:
        return eval_graph(graph, [*consts, *guess])

    @root.defjvp
    def root_jvp(primals: PyTree, tangents: PyTree) -> PyTree:
        params, _, _ = primals
        outs = root(*primals)
        x = tree.unflatten(x_tree, outs[:count])
        at = lambda params, x: tree.unflatten(x_tree, eval_graph(value, [*params, *tree.leaves(x)]))  # noqa: E731
        rhs = jvp(lambda params: at(params, x), (params,), (tangents[0],))[1]
        solved = tangent_solve(linearize(lambda x: at(params, x), x)[1], rhs)
        moved = [neg(t) for t in tree.flatten_up_to(x_tree, solved, "what tangent_solve returned")]
        return outs, [*moved, *map(_no_tangent, outs[count:])]

    return tree.unflatten(out_tree, root(params, consts, guess))


def _no_tangent(x: Any) -> Any:
    aval = aval_of(x).tangent()
    return np.zeros(aval.shape, dtypes.float0) if aval.dtype == dtypes.float0 else zeros(aval)
