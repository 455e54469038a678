"""The state of each thread: the current trace, which interprets every primitive, and the mark for new equations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from anejax.marks import FORWARD, NOWHERE, TANGENT, Mark, joined, mark


class _State(threading.local):
    trace: Any = None
    mark: Mark = NOWHERE  # the mark of new equations; if it has no line, they get the line that runs
    derived: Any = None  # the primitive whose derivative rule runs, or _BOUND once it was bound itself


_state = _State()
_base: Any = None
_BOUND = object()


def set_base(trace: Any) -> None:
    """Sets the trace that is current by default. ``core.trace`` calls this with the eager trace."""
    global _base
    _base = trace


def base_trace() -> Any:
    return _base


def current_trace() -> Any:
    return _state.trace or _base


def has_trace() -> bool:
    """Whether a transformation is going on in this thread, so that primitives are not simply evaluated."""
    return _state.trace is not None


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


# --- marks ------------------------------------------------------------------------------------------------------------


def current_mark() -> Mark:
    return _state.mark


def set_mark(mark: Mark) -> None:
    """Sets the mark of all later equations. The caller must restore the previous mark."""
    _state.mark = mark


class marked:
    """``with marked(mark):`` what is bound has this mark."""

    __slots__ = ("mark", "previous")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark

    def __enter__(self) -> None:
        self.previous = _state.mark, _state.derived
        _state.mark, _state.derived = self.mark, None

    def __exit__(self, *exc: object) -> None:
        _state.mark, _state.derived = self.previous


class scope:
    """``with scope(name):`` the paths of equations that are bound inside go through ``name``."""

    __slots__ = ("name", "previous")

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.previous = _state.mark
        path, part, line = _state.mark
        _state.mark = mark(joined(path, self.name), part, line)

    def __exit__(self, *exc: object) -> None:
        _state.mark = self.previous


class recording(tracing):
    """As ``tracing``, for a trace that makes a Graph inside an equation: its marks start at that equation."""

    __slots__ = ("mark",)

    def __enter__(self) -> Any:
        self.mark = _state.mark, _state.derived
        _state.mark, _state.derived = NOWHERE, None
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        _state.mark, _state.derived = self.mark
        super().__exit__(*exc)


class deriving(tracing):
    """``tracing`` while the derivative rule of ``primitive`` runs: all but the primitive itself is the tangent's."""

    __slots__ = ("derived",)

    def __init__(self, trace: Any, primitive: Any) -> None:
        self.trace, self.derived = trace, primitive

    def __enter__(self) -> Any:
        self.previous = _state.trace
        _state.trace = self.trace
        self.derived, _state.derived = _state.derived, self.derived
        return self.trace

    def __exit__(self, *exc: object) -> None:
        _state.trace, _state.derived = self.previous, self.derived


class applying:
    """``with applying(primitive):`` the equations inside compute ``primitive``. If its derivative rule bound it, they
    count as its result, not as the tangent's."""

    __slots__ = ("derived", "primitive")

    def __init__(self, primitive: Any) -> None:
        self.primitive = primitive

    def __enter__(self) -> None:
        self.derived = _state.derived
        if self.derived is self.primitive:
            _state.derived = None

    def __exit__(self, *exc: object) -> None:
        _state.derived = _BOUND if self.derived is self.primitive else self.derived


def mark_of(primitive: Any, line: Callable[[], str | None]) -> Mark:
    """The mark of an equation that is recorded now; ``line`` tells the user's line that runs."""
    current, derived = _state.mark, _state.derived
    if derived is None:
        return current if current[2] is not None else mark(current[0], current[1], line())
    if derived is primitive:
        _state.derived = _BOUND
        part = current[1]
    else:
        part = TANGENT if current[1] == FORWARD else current[1]
    return mark(current[0], part, current[2] or line())
