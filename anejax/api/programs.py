"""``one_program``: an eager call of a function of many primitives runs as one compiled program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from anejax.api.staging import jit
from anejax.core.context import has_trace


def one_program(function: Callable[..., Any] | None = None, *, static_argnames: Sequence[str] = ()) -> Any:
    """Makes eager calls of ``function`` run as one program of the CPU device, kept for the arguments' types.

    Under transformations it is itself, so that Graphs do not tell the two apart. Without ``function``, a decorator.

    Args:
        function: a function of trees of arrays that binds many primitives or loops, and looks at no values.
        static_argnames: arguments that are hashable Python values.
    """
    if function is None:
        return functools.partial(one_program, static_argnames=static_argnames)

    @functools.cache  # at the first call: when this module is imported there are no devices yet
    def program() -> Any:
        return jit(function, static_argnames=tuple(static_argnames), device="cpu", precision="float32")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (function if has_trace() else program())(*args, **kwargs)

    return call
