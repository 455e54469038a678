"""minimize: its methods and its results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import anejax.numpy as jnp
from anejax import dtypes
from anejax.errors import DtypeError, ShapeError
from anejax.numpy.operands import as_array, strong
from anejax.scipy.optimize.quasi_newton import State, Turn, dense, descend, limited


class OptimizeResults(NamedTuple):
    """The result of a minimization, a pytree of arrays."""

    x: Any  # the last point
    success: Any  # the gradient's norm is below gtol
    status: Any  # 0, or why it stopped before: see the methods of minimize
    fun: Any  # the value there
    jac: Any  # the gradient there
    hess_inv: Any  # the inverse Hessian as it is known, or None
    nfev: Any  # evaluations of the function
    njev: Any  # and of its gradient: as many
    nit: Any  # directions along which it went


def minimize(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...] = (), *, method: str, tol: Any = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:  # fmt: skip
    """A local minimum of ``fun(x, *args)``, a smooth function from a vector to a number, near ``x0``.

    Works under jit and vmap, and has no reverse derivative, as it loops until it is done.

    Args:
        x0: where to begin, floats [n].
        method: one of these, in any case, with its options:

            * "BFGS": ``gtol`` (1e-5, the norm of the gradient to get below), ``norm`` (inf, its order), ``maxiter``
              (200 n directions), ``line_search_maxiter`` (20 trials along each). Status 1: ``maxiter`` was reached; 3
              or 5: no step along the last direction made the value or the gradient less; 3 if it rises there.
            * "l-bfgs-experimental-do-not-rely-on-this", for large n: ``gtol``, ``norm``, ``maxcor`` (10 pairs of
              vectors in memory), ``ftol`` (2.2e-9, the least decrease), ``maxiter``, ``maxfun``, ``maxgrad`` (200 n
              directions when none is given), ``maxls`` (20 trials). Status 1, 2, 3: a limit was reached; 4: ``ftol``
              was; 5: no step along the last direction made the value or the gradient less.
        tol: ``gtol`` where options have none.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> bowl = lambda x: jnp.sum((x - jnp.array([1.0, 2.0])) ** 2)
        >>> aj.scipy.optimize.minimize(bowl, jnp.zeros(2), method="BFGS").x
        Array([1., 2.], dtype=float32)
    """
    if not isinstance(args, tuple):
        raise TypeError(f"[minimize] expected args to be a tuple, got {type(args).__name__}.")
    start = as_array("minimize", x0)
    if start.ndim != 1 or not start.size:
        raise ShapeError(f"[minimize] expected x0 to be a vector of one element or more, got {start.aval}.")
    if start.dtype not in dtypes.FLOATS:
        raise DtypeError(f"[minimize] expected x0 to have floats, got {start.aval}. Convert with x0.astype(...).")
    known = _METHODS.get(method.lower())
    if known is None:
        raise ValueError(f"[minimize] expected the method 'BFGS' or {_LIMITED!r}, got {method!r}.")
    names = list(inspect.signature(known).parameters)[2:]
    given = {} if tol is None else {"gtol": tol}
    given |= options or {}
    if unknown := set(given) - set(names):
        raise TypeError(f"[minimize] expected options of {names}, got {sorted(unknown)}.")
    return known(lambda x: fun(x, *args), strong(start), **given)


def _bfgs(
    fun: Any, x0: Any, gtol: Any = 1e-5, norm: Any = jnp.inf, maxiter: Any = None, line_search_maxiter: Any = 20
) -> OptimizeResults:
    most = 200 * x0.size if maxiter is None else maxiter

    def judge(turn: Turn) -> Any:
        stuck = jnp.where(turn.bracketed, 3, 5)
        return jnp.where(turn.failed, stuck, jnp.where(turn.turns >= most, 1, 0))

    end = descend(fun, x0, dense(x0.size, x0.dtype), judge, gtol, norm, line_search_maxiter)
    return _results(end, end.memory[0])


def _lbfgs(
    fun: Any, x0: Any, gtol: Any = 1e-5, norm: Any = jnp.inf, maxcor: int = 10, ftol: Any = 2.220446049250313e-09,
    maxiter: Any = None, maxfun: Any = None, maxgrad: Any = None, maxls: Any = 20,
) -> OptimizeResults:  # fmt: skip
    if maxiter is None and maxfun is None and maxgrad is None:
        maxiter = 200 * x0.size

    def judge(turn: Turn) -> Any:
        limits = ((turn.turns, maxiter, 1), (turn.evaluations, maxfun, 2), (turn.evaluations, maxgrad, 3))
        status = jnp.where(turn.decrease < ftol, 4, 0)
        for count, most, reached in reversed(limits):
            status = status if most is None else jnp.where(count >= most, reached, status)
        return jnp.where(turn.failed, 5, status)

    end = descend(fun, x0, limited(x0.size, x0.dtype, maxcor), judge, gtol, norm, maxls)
    return _results(end, None)


def _results(end: State, inverse: Any) -> OptimizeResults:
    counts = end.evaluations, end.evaluations, end.turns
    return OptimizeResults(end.x, end.converged, end.status, end.value, end.gradient, inverse, *counts)


_LIMITED = "l-bfgs-experimental-do-not-rely-on-this"
_METHODS: dict[str, Callable[..., OptimizeResults]] = {"bfgs": _bfgs, _LIMITED: _lbfgs}
