"""Functions that look inside traced functions: ``anejax.debug.print`` and ``anejax.debug.callback``."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import logging
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import tree
from anejax.absent import getattr_of
from anejax.core.array import DeviceArray
from anejax.core.primitive import Primitive, Refused
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.ops.index import dynamic_index_in_dim

__all__ = [
    "callback", "log", "print"
]  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class _Given:
    """(args, kwargs) of an effect without the arrays: ``others`` are the leaves that are none, such as text."""

    treedef: tree.PyTreeDef
    others: dict[int, Any]

    def filled(self, arrays: Sequence[Any]) -> Any:
        """(args, kwargs) with these arrays."""
        rest = iter(arrays)
        leaves = [self.others[i] if i in self.others else next(rest) for i in range(self.treedef.num_leaves)]
        return tree.unflatten(self.treedef, leaves)


def _bind(prim: Primitive, args: Sequence[Any], kwargs: dict[str, Any], **params: Any) -> None:
    leaves, treedef = tree.flatten((args, kwargs))
    others = {i: leaf for i, leaf in enumerate(leaves) if not _is_array(leaf)}
    arrays = [leaf for i, leaf in enumerate(leaves) if i not in others]
    prim.bind(*arrays, given=_Given(treedef, others), **params)


def _is_array(leaf: Any) -> bool:
    try:
        aval_of(leaf)
    except DtypeError:
        return False
    return True


def _effect(name: str, run: Callable[..., None]) -> Primitive:
    """A primitive without results: ``run(*args, **kwargs, its other parameters)`` sees NumPy arrays."""
    prim = Primitive(name, multiple_results=True, effect=True, higher_order=True)

    def impl(*leaves: DeviceArray, given: _Given, **params: Any) -> list[Any]:
        args, kwargs = given.filled([np.asarray(a) for a in leaves])
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
        args, kwargs: trees of arrays, and of whatever else prints; under ``vmap`` there is a line per example, under
            ``grad`` primals are shown.
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
    _bind(print_p, args, kwargs, fmt=fmt)


class _Reader(string.Formatter):
    """Reads a format and the arguments that it names, without formatting anything."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.unused: list[str] = []

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Any) -> Any:
        first = re.split(r"[.\[]", field_name)[0]
        key: Any = int(first) if first.isdigit() else first
        if key not in (range(len(args)) if isinstance(key, int) else kwargs):
            self.missing.append(first)
        return None, key

    def check_unused_args(self, used_args: Any, args: Sequence[Any], kwargs: Any) -> None:
        self.unused = [str(k) for k in (*range(len(args)), *kwargs) if k not in used_args]

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""


def _check_format(fmt: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    reader = _Reader()
    reader.vformat(fmt, args, kwargs)
    if reader.missing:
        names = ", ".join(sorted(set(reader.missing)))
        raise ValueError(f"[debug.print] the format {fmt!r} names {names}, which were not given.")
    if reader.unused:
        raise ValueError(
            f"[debug.print] the format {fmt!r} does not name {', '.join(reader.unused)}, which were given. Give a plain"
            " string, not an f-string, with {} for each value."
        )


def callback(
    callback: Callable[..., None] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Calls ``callback(*args, **kwargs)`` with NumPy arrays, under ``jit`` with the values of each run, after it.

    Args:
        callback: a Python function; its result is dropped. Without it, a decorator.
        args, kwargs: trees of arrays; under ``vmap`` there is a call per example, under ``grad`` primals are shown.
        ordered, partitioned: accepted for compatibility; calls always come in order.
    """
    if callback is None:
        return lambda f: functools.wraps(f)(functools.partial(_callback, f))
    return _callback(callback, *args, **kwargs)


def _callback(function: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    if not callable(function):
        raise TypeError(f"[debug.callback] expected a function, got {type(function).__name__}.")
    _bind(callback_p, args, kwargs, callback=function)


def log(fmt: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Like ``print``, to the logger ``anejax.debug`` at level INFO."""
    _check_format(fmt, args, kwargs)
    _callback(lambda *a, **k: logging.getLogger("anejax.debug").info(fmt.format(*a, **k)), *args, **kwargs)


__getattr__ = getattr_of(__name__)
