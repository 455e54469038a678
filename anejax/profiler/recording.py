"""Recording: turns it on and off, stores annotations, and makes a profile of the recorded steps."""

from __future__ import annotations

import html
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from anejax.paths import atomic_file
from anejax.profiler import page, tables, trace
from anejax.profiler.machine import peak
from anejax.profiler.measured import Measured, Row, Span, ending
from anejax.runtime import dispatches
from anejax.runtime import profile as native

CAPACITY = 1 << 21  # events, of 48 bytes each
SURPRISE = 1.1  # times the peak: what a step cannot reach, unless the peak is wrong
_lock = threading.Lock()
_spans: list[Span] | None = None  # spans of the profile that is being recorded, if any


class Profile:
    """The runs between the start and the end of the recording. It is empty until the recording has ended.

    Times are wall times of the CPU device's steps. A step is a unit that the device runs at once: a matrix product, a
    convolution, elementwise operations fused into one pass. The time of a fused step is shared among its operations by
    their FLOP. "% of peak" is the nearer of two limits, arithmetic and memory, as a part of the machine's measured
    peak.
    """

    def __init__(self) -> None:
        self._measured: Measured | None = None

    @property
    def measured(self) -> Measured:
        """Every event, with the step that ran. Raises RuntimeError before the end."""
        if self._measured is None:
            raise RuntimeError("[profiler] expected a profile that has ended, got one that is recorded still.")
        return self._measured

    def rows(self, by: str = "layer") -> list[Row]:
        """Sums by "layer", "primitive" or "line", the longest first."""
        return self.measured.rows(by)

    def table(self, by: str = "layer", most: int | None = tables.MOST) -> str:
        """The rows as text, the ``most`` that took longest; None: all."""
        return tables.text(self.measured, by, most)

    def save(self, path: str | Path) -> None:
        """Writes ``path``: a page for browsers (.html), or events for Perfetto and chrome://tracing (.json)."""
        path = Path(path)
        kind, found = ending(path), self.measured
        content = page.html(found) if kind == ".html" else json.dumps(trace.events(found))
        with atomic_file(path) as file:
            file.write(content.encode())

    def _repr_html_(self) -> str:
        """The page for notebooks, in a frame, so that its style stays inside."""
        content = page.html(self.measured) if self._measured is not None else html.escape(str(self))
        style = "width: 100%; height: 40em; border: 0"
        return f'<iframe title="profile" style="{style}" srcdoc="{html.escape(content)}"></iframe>'

    def __str__(self) -> str:
        return self.table() if self._measured is not None else "a profile that is recorded still"


def _begin(capacity: int) -> int:
    global _spans
    with _lock:
        if _spans is not None:
            raise RuntimeError("[profiler] expected one profile at a time; another is recorded now. End it first.")
        peak()  # measured before, so that it is not recorded
        _spans = []
        dispatches.start()
        native.start(capacity)
        return time.perf_counter_ns()


def _end(begin: int) -> Measured:
    global _spans
    with _lock:
        assert _spans is not None
        end = time.perf_counter_ns()
        events, dropped = native.stop()
        spans, _spans = _spans, None
        noted = dispatches.stop()
    found = Measured(events, dropped, native.plans(events), spans, noted, begin, end, peak())
    if found.fastest > SURPRISE * found.peak.gflops:  # the machine was busy when its peak was measured
        found.peak = peak(again=True)
    return found


@contextmanager
def profile(capacity: int = CAPACITY) -> Iterator[Profile]:
    """Records the steps of the CPU device inside the block, by layer, primitive and line; costs nothing outside.

    Args:
        capacity: the most steps to record; further steps are counted and left out.

    Raises:
        RuntimeError: another profile is recorded.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> @aj.jit
        ... def f(x):
        ...     with aj.named_scope("layer"):
        ...         return jnp.tanh(x @ x)
        >>> x = jnp.ones((64, 64))
        >>> y = f(x)  # compiled before, since compiling is no step
        >>> with aj.profiler.profile() as p:
        ...     y = f(x)
        >>> [row.name for row in p.rows("layer")]
        ['layer']
        >>> sorted(row.name for row in p.rows("primitive"))
        ['matmul', 'tanh']
    """
    begin, found = _begin(capacity), Profile()
    try:
        yield found
    finally:
        found._measured = _end(begin)


class TraceAnnotation(ContextDecorator):
    """Names the code inside in the trace of a profile; a context manager and a decorator.

    Raises TypeError where ``name`` is not a string.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"[TraceAnnotation] expected a string, got {type(name).__name__}.")
        self.name, self.args = name, kwargs

    def _recreate_cm(self) -> TraceAnnotation:
        return type(self)(self.name, **self.args)

    def __enter__(self) -> None:
        self.begin = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        spans = _spans
        if spans is not None:
            spans.append(Span(self.name, threading.get_ident() % 1000, self.begin, time.perf_counter_ns(), self.args))


class StepTraceAnnotation(TraceAnnotation):
    """``TraceAnnotation`` of a step of training: ``step_num`` is its number."""
