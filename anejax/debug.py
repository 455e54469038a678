"""Looking inside traced functions: ``anejax.debug.print`` and ``anejax.debug.callback``."""

from __future__ import annotations

import builtins
import functools
import logging
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import tree
from anejax.absent import getattr_of
from anejax.core.array import DeviceArray
from anejax.core.primitive import Primitive, Refused
from anejax.ops.index import dynamic_index_in_dim


def _effect(name: str, run: Callable[..., None]) -> Primitive:
    """A primitive without results: ``run(*args, **kwargs, its other parameters)`` sees NumPy arrays."""
    prim = Primitive(name, multiple_results=True, effect=True, higher_order=True)

    def impl(*leaves: DeviceArray, treedef: Any, **params: Any) -> list[Any]:
        args, kwargs = tree.unflatten(treedef, [np.asarray(a) for a in leaves])
        run(args, kwargs, **params)
        return []

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return prim.bind(*primals, **params), []

    def batch(size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any) -> Any:
        """Once per example."""
        for i in range(size):
            rows = [a if d is None else dynamic_index_in_dim(a, i, d, keepdims=False) for a, d in zip(args, dims)]
            prim.bind(*rows, **params)
        return [], []

    return prim.fill(
        abstract=lambda *avals, **params: [],
        impl=impl,
        jvp=jvp,
        transpose=Refused("an effect has no results"),
        batch=batch,
        mil=Refused("the runtime does it after the program has run"),
    )


print_p = _effect("debug_print", lambda args, kwargs, fmt: builtins.print(fmt.format(*args, **kwargs)))
callback_p = _effect("debug_callback", lambda args, kwargs, callback: callback(*args, **kwargs))


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
    _check_format(fmt, args, kwargs)
    leaves, treedef = tree.flatten((args, kwargs))
    print_p.bind(*leaves, fmt=fmt, treedef=treedef)


def _check_format(fmt: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    used = {name for _, name, _, _ in string.Formatter().parse(fmt) if name}
    unknown = {n.split(".")[0].split("[")[0] for n in used} - {*kwargs, *map(str, range(len(args)))}
    if unknown:
        raise ValueError(f"[debug.print] the format {fmt!r} names {', '.join(sorted(unknown))}, which were not given.")


def callback(
    callback: Callable[..., None] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Calls ``callback(*args, **kwargs)`` with NumPy arrays, under ``jit`` with the values of each run, after it.

    Args:
        callback: a Python function; what it returns is dropped. Without it, a decorator.
        args, kwargs: trees of arrays; under ``vmap`` there is a call per example, under ``grad`` primals are shown.
        ordered, partitioned: accepted for compatibility; calls always come in order.
    """
    if callback is None:
        return lambda f: functools.wraps(f)(functools.partial(_callback, f))
    return _callback(callback, *args, **kwargs)


def _callback(function: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    if not callable(function):
        raise TypeError(f"[debug.callback] expected a function, got {type(function).__name__}.")
    leaves, treedef = tree.flatten((args, kwargs))
    callback_p.bind(*leaves, callback=function, treedef=treedef)


def log(fmt: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Like ``print``, to the logger ``anejax.debug`` at level INFO."""
    _check_format(fmt, args, kwargs)
    _callback(lambda *a, **k: logging.getLogger("anejax.debug").info(fmt.format(*a, **k)), *args, **kwargs)


__getattr__ = getattr_of(__name__)
