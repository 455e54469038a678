"""Training by several processes: each computes the gradient of its part of a batch, and all use the mean.

Every process makes whole batches in the same order and keeps the whole state, which stays equal in all. So a run does
not depend on the number of processes, except for the order in which float32 numbers are added.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, optim, tree
from anejax.config import config
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


def check_alike(config: Mapping[str, Any]) -> None:
    """Raises ParallelError unless all processes have the same recipe. Its fingerprints differ for different data."""
    count, names = aj.process_count(), sorted(config)
    if count == 1:
        return
    digests = np.asarray([zlib.crc32(json.dumps(config[name]).encode()) for name in names], np.uint32)
    every = np.asarray(processes.gather_p.bind(digests, count=count))
    differing = [name for name, column in zip(names, every.T, strict=True) if len(set(column.tolist())) > 1]
    if differing:
        raise ParallelError(
            f"[train] expected one recipe and the same data in all {count} processes; they differ in:"
            f" {', '.join(differing)}."
        )


def mean(values: Any) -> Any:
    """The mean over all processes of a tree of floats, each of this process's part of the batch."""
    return values if axis_name() is None else lax.pmean(values, AXIS)


class Averaged(NamedTuple):
    """The state of an optimizer that gets means sent as float16."""

    left_out: Any  # by earlier messages of this process
    state: Any


class Averaging(optim.GradientTransformation):
    """An optimizer that takes the mean of all processes' gradients itself."""

    __slots__ = ()


def averaged(optimizer: optim.GradientTransformation) -> Averaging:
    """``optimizer`` for gradients of this process's part of a batch: it gets their mean over all processes.

    With ``config.distributed_wire`` "float16" the gradients are sent as float16, and the state is an ``Averaged``. An
    optimizer that is averaging already is returned as it is.
    """
    if isinstance(optimizer, Averaging):
        return optimizer
    if config.distributed_wire == "float32":
        return Averaging(optimizer.init, lambda grads, state, params=None: optimizer.update(mean(grads), state, params))

    def update(grads: Any, state: Averaged, params: Any = None) -> Any:
        left_out = state.left_out
        if axis_name() is not None:
            grads, left_out = aj.distributed.float16_mean(grads, left_out, AXIS)
        updates, inner = optimizer.update(grads, state.state, params)
        return updates, Averaged(left_out, inner)

    init = lambda params: Averaged(tree.map(jnp.zeros_like, params), optimizer.init(params))  # noqa: E731
    return Averaging(init, update)


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
