"""Turns tracers that a function captured into arguments (``closure_convert``), and ``custom_gradient``, which uses
that."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from anejax import dtypes, tree
from anejax.api.custom import custom_vjp
from anejax.api.flat import FlatFunction, abstract, name_of
from anejax.core.trace import Tracer, aval_of
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.stage import stage


def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """``fun`` with the float tracers it closes over as arguments after its own, and those tracers.

    So ``fun(*args)`` is ``converted(*args, *consts)``, and a custom rule may be differentiated in ``consts`` too. The
    result takes arguments of the types of ``example_args`` only.
    """
    leaves, in_tree = tree.flatten((example_args, {}))
    flat = FlatFunction(fun, in_tree)
    graph, captured = stage(flat, [abstract(x) for x in leaves])
    hoisted = [isinstance(c, Tracer) and dtypes.is_float(aval_of(c).dtype) for c in captured]

    @functools.wraps(fun, updated=())  # a functools.partial has no __name__, which wraps() then leaves out
    def converted(*args_and_consts: Any) -> Any:
        count = len(args_and_consts) - sum(hoisted)
        args, given = args_and_consts[:count], iter(args_and_consts[count:])
        consts = [next(given) if is_hoisted else c for is_hoisted, c in zip(hoisted, captured)]
        values = tree.flatten_up_to(in_tree, (args, {}), f"the arguments of {name_of(fun)}")
        return tree.unflatten(flat.out_tree, eval_graph(graph, [*consts, *values]))

    return converted, [c for is_hoisted, c in zip(hoisted, captured) if is_hoisted]


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator for functions that return (output, function from output cotangent to input cotangents).

    Example:
        >>> import anejax as aj
        >>> @aj.custom_gradient
        ... def f(x):
        ...     return x**2, lambda g: (g * 7,)
        >>> float(aj.grad(f)(3.0))
        7.0
    """

    @custom_vjp
    def wrapped(*args: Any) -> Any:
        return fun(*args)[0]

    def forward(*args: Any) -> tuple[Any, Any]:
        out, rule = fun(*args)
        converted, consts = closure_convert(rule, out)
        return out, tree.Partial(lambda given, ct: converted(ct, *given), consts)

    def backward(rule: Any, ct: Any) -> tuple[Any, ...]:
        found = rule(ct)
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)

    wrapped.defvjp(forward, backward)
    functools.update_wrapper(wrapped, fun, updated=())
    return wrapped
