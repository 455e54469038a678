"""Collectives over a named axis of ``vmap``: gathering along the axis, and the index along it. Others are built on
these.

Both are equations until the ``vmap`` that owns the name runs their ``collective`` rule, so no device ever sees them.
If a name stands for processes, its collectives use the primitives of ``ops/processes`` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive, Refused
from anejax.errors import RefusedError
from anejax.ops.families import batch_to, linear_jvp, reduce_sum_p
from anejax.ops.index import dynamic_index_in_dim


class _Processes(threading.local):
    axes: tuple[tuple[Any, int], ...] = ()
    gradients: bool = True  # whether gradients may be taken


_processes = _Processes()


def process_axes() -> tuple[tuple[Any, int], ...]:
    """(name, length) of the axes that are processes here, within ``shard_map`` or ``pmap``."""
    return _processes.axes


def check_gradients(op: str) -> None:
    """Raises RefusedError in a ``shard_map`` with ``check_vma=True``."""
    if not _processes.gradients:
        raise RefusedError(
            f"[{op}] gradients inside of shard_map are those of one process, while jax sums them with check_vma=True."
            " Write check_vma=False and sum them: lax.psum(grads, axis_name); or take the gradient of the mapped"
            " function."
        )


class over_processes:
    """``with over_processes(axes):`` the names of ``axes`` stand for processes that compute together."""

    __slots__ = ("axes", "gradients", "previous")

    def __init__(self, axes: Sequence[tuple[Any, int]], gradients: bool = True) -> None:
        self.axes, self.gradients = tuple(axes), gradients

    def __enter__(self) -> None:
        self.previous = _processes.axes, _processes.gradients
        _processes.axes, _processes.gradients = (*self.axes, *self.previous[0]), self.gradients

    def __exit__(self, *exc: object) -> None:
        _processes.axes, _processes.gradients = self.previous


BOUND = Refused("vmap replaces it where it maps the axis of that name")

all_gather_p = Primitive("all_gather")
axis_index_p = Primitive("axis_index")


def _gather_abstract(x: Aval, *, axis_name: Any, axis_size: int) -> Aval:
    return x.update(shape=(axis_size, *x.shape))


def _gather_transpose(ct: Any, x: Any, *, axis_name: Any, axis_size: int) -> Any:
    """Sums the cotangents of all examples, since every example gave its value to all."""
    total = reduce_sum_p.bind(all_gather_p.bind(ct, axis_name=axis_name, axis_size=axis_size), axes=(0,))
    return [dynamic_index_in_dim(total, axis_index_p.bind(axis_name=axis_name), 0, keepdims=False)]


def _gather_batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
    """Under the ``vmap`` of another name."""
    return all_gather_p.bind(*args, **params), dims[0] + 1


def _gather_collect(size: int, args: Any, dims: Any, **params: Any) -> Any:
    return batch_to(args[0], dims[0], size), None


all_gather_p.fill(
    abstract=_gather_abstract,
    impl=BOUND,
    jvp=linear_jvp(all_gather_p),
    transpose=_gather_transpose,
    batch=_gather_batch,
    mil=BOUND,
    collective=_gather_collect,
)

axis_index_p.fill(
    abstract=lambda *, axis_name: Aval((), dtypes.int32),
    impl=BOUND,
    jvp=Refused("it has no arguments"),
    transpose=Refused("it has no arguments"),
    batch=Refused("it has no arguments"),
    mil=BOUND,
    collective=lambda size, args, dims, *, axis_name: (np.arange(size, dtype=np.int32), 0),
)
