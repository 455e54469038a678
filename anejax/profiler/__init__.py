"""Profiles: the time of each layer, primitive and line on the CPU device; and jax.profiler's names.

``with profile() as p:`` records. ``p.table()`` and ``p.save("profile.html")`` show the result. docs/profiler.md has an
example.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from anejax.absent import getattr_of
from anejax.profiler.arrays import device_memory_profile as device_memory_profile
from anejax.profiler.arrays import save_device_memory_profile as save_device_memory_profile
from anejax.profiler.machine import Peak as Peak
from anejax.profiler.machine import peak as peak
from anejax.profiler.measured import Row as Row
from anejax.profiler.recording import Profile as Profile
from anejax.profiler.recording import StepTraceAnnotation as StepTraceAnnotation
from anejax.profiler.recording import TraceAnnotation as TraceAnnotation
from anejax.profiler.recording import profile as profile

__all__ = [
    "Peak", "Profile", "Row", "StepTraceAnnotation", "TraceAnnotation", "annotate_function",
    "device_memory_profile", "peak", "profile", "save_device_memory_profile", "start_trace", "stop_trace", "trace"
]  # fmt: skip

_running: list[tuple[ExitStack, Profile, Path]] = []  # profiles that start_trace began


def start_trace(
    log_dir: Any, create_perfetto_link: bool = False, create_perfetto_trace: bool = False, profiler_options: Any = None
) -> None:
    """Starts a profile. ``stop_trace`` writes it to the folder ``log_dir``.

    The options are accepted for compatibility: the trace is always one that Perfetto opens. Raises RuntimeError where
    another profile is recorded.
    """
    stack = ExitStack()
    _running.append((stack, stack.enter_context(profile()), Path(log_dir)))


def stop_trace() -> None:
    """Ends the profile that ``start_trace`` began: writes ``trace.json`` and ``profile.html``.

    Raises RuntimeError where none was begun.
    """
    if not _running:
        raise RuntimeError("[stop_trace] expected a profile that start_trace began, got none.")
    stack, found, folder = _running.pop()
    stack.close()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("trace.json", "profile.html"):
        found.save(folder / name)


@contextmanager
def trace(
    log_dir: Any, create_perfetto_link: bool = False, create_perfetto_trace: bool = False, profiler_options: Any = None
) -> Iterator[None]:
    """Calls ``start_trace`` before the block and ``stop_trace`` after it."""
    start_trace(log_dir, create_perfetto_link, create_perfetto_trace, profiler_options)
    try:
        yield
    finally:
        stop_trace()


def annotate_function(func: Callable[..., Any], name: str | None = None, **decorator_kwargs: Any) -> Callable[..., Any]:
    """``func`` under an annotation of its name."""
    scope = TraceAnnotation(name or getattr(func, "__qualname__", "function"), **decorator_kwargs)
    return functools.wraps(func)(scope(func))


__getattr__ = getattr_of(__name__)
