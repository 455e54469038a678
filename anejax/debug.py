"""Looking inside traced functions: ``anejax.debug.print``."""

from __future__ import annotations

import builtins
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import tree
from anejax.absent import getattr_of
from anejax.core.array import DeviceArray
from anejax.core.primitive import Primitive, Refused
from anejax.ops.index import dynamic_index_in_dim

print_p = Primitive("debug_print", multiple_results=True, effect=True, higher_order=True)


def _run(*args: DeviceArray, fmt: str, treedef: Any) -> list[Any]:
    args_, kwargs = tree.unflatten(treedef, [np.asarray(a) for a in args])
    builtins.print(fmt.format(*args_, **kwargs))
    return []


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    return print_p.bind(*primals, **params), []


def _batch(size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any) -> Any:
    """One line per example."""
    for i in range(size):
        rows = [a if d is None else dynamic_index_in_dim(a, i, d, keepdims=False) for a, d in zip(args, dims)]
        print_p.bind(*rows, **params)
    return [], []


print_p.fill(
    abstract=lambda *avals, **params: [],
    impl=_run,
    jvp=_jvp,
    transpose=Refused("printing has no results"),
    batch=_batch,
    mil=Refused("the runtime prints after the program has run"),
)


def print(fmt: str, *args: Any, ordered: bool = True, **kwargs: Any) -> None:
    """Prints ``fmt.format(*args, **kwargs)``, under ``jit`` with the values of each run, after it, in order.

    Args:
        fmt: a ``str.format`` string.
        args, kwargs: trees of arrays; under ``vmap`` there is a line per example, under ``grad`` primals are shown.
        ordered: accepted for compatibility; lines always come in order.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> @aj.jit
        ... def f(x):
        ...     aj.debug.print("x = {}", x)
        ...     return x + 1
        >>> _ = f(1.0)
        x = 1.0
    """
    used = {name for _, name, _, _ in string.Formatter().parse(fmt) if name}
    unknown = {n.split(".")[0].split("[")[0] for n in used} - {*kwargs, *map(str, range(len(args)))}
    if unknown:
        raise ValueError(f"[debug.print] the format {fmt!r} names {', '.join(sorted(unknown))}, which were not given.")
    leaves, treedef = tree.flatten((args, kwargs))
    print_p.bind(*leaves, fmt=fmt, treedef=treedef)


__getattr__ = getattr_of(__name__)
