"""``composite``: a function that keeps its name in Graphs, for targets that have an operation of that name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from anejax import tree
from anejax.api.flat import FlatFunction, check_leaves, name_of
from anejax.transforms.composite import bind_composite


def composed(fun: Callable[..., Any], name: str, *args: Any, batched: int = 0, **attributes: Any) -> Any:
    """``fun(*args, **attributes)``, known to targets as ``name`` (see ``transforms/composite.py``)."""
    leaves, in_tree = tree.flatten((args, {}))
    check_leaves(name_of(fun), "an argument", leaves, in_tree)
    flat = FlatFunction(functools.partial(fun, **attributes), in_tree)
    outs = bind_composite(flat, leaves, name, tuple(sorted(attributes.items())), batched)
    return tree.unflatten(flat.out_tree, outs)


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """Wraps ``decomposition`` so that a recorded program contains it as one equation, ``composite``.

    Results, derivatives and ``vmap`` are those of ``decomposition``, and devices run its operations. Who reads the
    recorded program finds the name and the attributes.

    Args:
        decomposition: the function that computes the results.
        name: the name that the equation gets.
        version: a number to tell meanings of one name apart.

    Returns:
        A function whose positional arguments are trees of arrays and whose keyword arguments are attributes: hashable,
        and passed on to ``decomposition``. Those that are None are not recorded.

    Example:
        >>> import anejax as aj
        >>> from anejax import lax
        >>> tangent = lax.composite(lambda x: lax.sin(x) / lax.cos(x), name="my.tangent")
        >>> [e.primitive.name for e in aj.make_jaxpr(tangent)(0.5).graph.eqns]
        ['composite']
        >>> float(tangent(0.0))
        0.0
    """

    @functools.wraps(decomposition)
    def call(*args: Any, **attributes: Any) -> Any:
        given = {key: value for key, value in attributes.items() if value is not None}
        missing = {key: None for key in attributes if key not in given}
        known = f"{name}.v{version}" if version else name
        return composed(functools.partial(decomposition, **missing), known, *args, **given)

    return call
