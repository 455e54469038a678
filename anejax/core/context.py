"""The current trace, per thread. Every bind asks here who interprets it."""

from __future__ import annotations

import threading
from typing import Any


class _State(threading.local):
    trace: Any = None


_state = _State()
_base: Any = None


def set_base(trace: Any) -> None:
    """core.trace gives the trace that evaluates eagerly; it is current where no other is."""
    global _base
    _base = trace


def base_trace() -> Any:
    return _base


def current_trace() -> Any:
    return _state.trace or _base


class tracing:
    """``with tracing(trace):`` makes ``trace`` the current one in this thread."""

    __slots__ = ("previous", "trace")

    def __init__(self, trace: Any) -> None:
        self.trace = trace

    def __enter__(self) -> Any:
        self.previous = _state.trace
        _state.trace = self.trace
        return self.trace

    def __exit__(self, *exc: object) -> None:
        _state.trace = self.previous
