"""jax.profiler on anejax: annotations, which name parts of a program for a profiler, pass through.

What records a profile is absent and says so. Python's own profilers see every call, ``anejax.explain`` every program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anejax.absent import getattr_of


@contextmanager
def TraceAnnotation(name: str, **kwargs: Any) -> Iterator[None]:
    """Accepted for compatibility, as a context manager and as a decorator: no profile is recorded."""
    if not isinstance(name, str):
        raise TypeError(f"[TraceAnnotation] expected a string, got {type(name).__name__}.")
    yield


StepTraceAnnotation = TraceAnnotation


def annotate_function(func: Callable[..., Any], name: str | None = None, **decorator_kwargs: Any) -> Callable[..., Any]:
    """``func`` under an annotation of its name."""
    scope = TraceAnnotation(name or getattr(func, "__qualname__", "function"), **decorator_kwargs)
    return functools.wraps(func)(scope(func))


__getattr__ = getattr_of(__name__)
