"""Writes a profile in the format of chrome://tracing, which Perfetto reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anejax.profiler.measured import Measured, end_of_message

ANNOTATIONS, ENGINE = 1000, 9999  # thread numbers of annotations, which come below those of steps, and of dispatches


def events(found: Measured) -> dict[str, Any]:
    """The JSON object: a slice for each step and each annotation, a counter of the arena's bytes in use."""
    return {
        "displayTimeUnit": "ms",
        "traceEvents": [*_names(found), *_spans(found), *_steps(found), *_dispatches(found), *_memory(found)],
    }


def _names(found: Measured) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "anejax"}}
    for thread in sorted({r.thread for r in found.ran}):
        yield {"ph": "M", "pid": 1, "tid": thread, "name": "thread_name", "args": {"name": f"CPU device {thread}"}}
    if found.dispatches:
        yield {"ph": "M", "pid": 1, "tid": ENGINE, "name": "thread_name", "args": {"name": "engine"}}
    for thread in sorted({s.thread for s in found.spans}):
        name = {"name": f"annotations {thread}"}
        yield {"ph": "M", "pid": 1, "tid": ANNOTATIONS + thread, "name": "thread_name", "args": name}


def _at(found: Measured, begin: int, end: int) -> dict[str, Any]:
    return {"ph": "X", "pid": 1, "ts": (begin - found.begin) / 1e3, "dur": (end - begin) / 1e3}


def _spans(found: Measured) -> Iterator[dict[str, Any]]:
    for s in found.spans:
        args = {k: str(v) for k, v in s.args.items()}
        yield _at(found, s.begin, s.end) | {
            "name": s.name,
            "cat": "annotation",
            "tid": ANNOTATIONS + s.thread,
            "args": args,
        }


def _steps(found: Measured) -> Iterator[dict[str, Any]]:
    for r in found.ran:
        main = max(r.step.operations, key=lambda o: o.flops, default=None)
        args: dict[str, Any] = {
            "step": r.step.what, "GFLOP": r.step.flops * 1e-9, "read": r.step.read, "written": r.step.written,
            "busy_us": r.busy / 1e3, "operations": [o.name for o in r.step.operations],
        }  # fmt: skip
        name = r.step.what
        if main is not None:
            name = f"{main.mark.path}: {main.name}" if main.mark.path else main.name
            name = f"{name} {end_of_message(r.step.what)}".rstrip()
            args |= {"layer": main.mark.path, "part": main.mark.part, "line": main.mark.line or ""}
        yield _at(found, r.begin, r.end) | {
            "name": name,
            "cat": args.get("part", "step"),
            "tid": r.thread,
            "args": args,
        }


def _dispatches(found: Measured) -> Iterator[dict[str, Any]]:
    for d in found.dispatches:
        args = {"device": d.device, "predicted_us": d.predicted_us, "FLOP": d.flops, "bytes": d.nbytes}
        yield _at(found, d.begin, d.end) | {"name": d.name, "cat": "dispatch", "tid": ENGINE, "args": args}


def _memory(found: Measured) -> Iterator[dict[str, Any]]:
    for r in found.ran:
        args = {"MB": r.step.live / 1e6}
        yield {"ph": "C", "pid": 1, "name": "arena", "ts": (r.begin - found.begin) / 1e3, "args": args}
