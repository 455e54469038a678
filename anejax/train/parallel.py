"""Training by several processes: each computes the gradient of its part of every batch, and all take the mean.

Every process makes whole batches, in the same order, and keeps the whole state, which stays alike. So a run does not
depend on how many processes there are, except for the order in which float32 numbers are added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anejax as aj
from anejax import lax, tree
from anejax.errors import AnejaxError
from anejax.ops import processes
from anejax.transforms.collectives import over_processes

AXIS = "processes"
_LONGEST = 4096  # bytes of a text that is sent


class ParallelError(AnejaxError):
    """A run cannot be divided among the processes."""


def axis_name() -> str | None:
    """The name of the axis of processes, for layers that take means over the batch; None for one process."""
    return AXIS if aj.process_count() > 1 else None


def check_batch(batch: int) -> None:
    """Raises ParallelError unless the processes divide ``batch`` examples."""
    count = aj.process_count()
    if batch % count:
        raise ParallelError(f"[train] expected a batch that {count} processes divide, got {batch}.")


def mean(values: Any) -> Any:
    """The mean over all processes of a tree of floats, each of this process's part of the batch."""
    return values if axis_name() is None else lax.pmean(values, AXIS)


def divided(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step(state, *batch)`` that gets this process's part of each array of the batch."""
    count = aj.process_count()
    if count == 1:
        return step

    def on_own_part(state: Any, *batch: Any) -> Any:
        parts = tree.map(processes.cut_p.bind, batch)
        with over_processes(((AXIS, count),)):
            return step(state, *parts)

    return on_own_part


def is_first() -> bool:
    """Whether this process shows progress and writes files."""
    return aj.process_index() == 0


def any_process(here: bool) -> bool:
    """Whether ``here`` is true in any process."""
    if aj.process_count() == 1:
        return here
    return bool(processes.process_sum([np.int32(here)])[0] > 0)


def from_first(text: str) -> str:
    """The ``text`` of process 0."""
    count = aj.process_count()
    if count == 1:
        return text
    data = text.encode()[:_LONGEST].ljust(_LONGEST, b"\0")
    every = processes.gather_p.bind(np.frombuffer(data, np.uint8), count=count)
    return bytes(np.asarray(every)[0]).rstrip(b"\0").decode()
