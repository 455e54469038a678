"""jax.distributed on anejax: several processes that compute together over MPI, on one machine or on many.

``mpiexec -n 4 python train.py`` starts four processes of one script. Each has one device (``anejax.devices()``), and
``shard_map`` or ``pmap`` divide work among them. Without a launcher there is one process, and the same script runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax, tree
from anejax.config import config
from anejax.errors import DeviceError, ShapeError
from anejax.ops.processes import WORLD
from anejax.runtime import processes

__all__ = [
    "initialize", "is_initialized", "shutdown"
]  # fmt: skip


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: Any = None,
    **others: Any,
) -> None:
    """Joins the processes that an MPI launcher started. Without this call they are joined when first needed.

    Without a launcher there is one process, and nothing to join.

    Args:
        coordinator_address: accepted for compatibility: the launcher knows how processes reach one another.
        num_processes: if given, how many processes there must be.
        process_id: if given, the number that this process must have.
        local_device_ids, others: accepted for compatibility: each process has one device.

    Raises:
        DeviceError: a launcher started the process and mpi4py is missing, or another number of processes was started.
    """
    processes.join_if_launched()
    for name, wanted, found in (("num_processes", num_processes, WORLD.size), ("process_id", process_id, WORLD.index)):
        if wanted is not None and wanted != found:
            raise DeviceError(
                f"[distributed] expected {name}={wanted}, got {found}. Start the script with:"
                f" mpiexec -n {num_processes or WORLD.size} python SCRIPT."
            )


def is_initialized() -> bool:
    """Whether this process has joined others."""
    return processes.joined()


def shutdown() -> None:
    """Does nothing: processes leave when they end, and tell the others."""


def float16_mean(values: Any, left_out: Any, axis_name: Any) -> tuple[Any, Any]:
    """The mean of a tree of float32 arrays over processes, sent as float16: half the bytes of ``lax.pmean``.

    float16 has 11 bits, so each message leaves something out. ``left_out`` has what earlier messages of this process
    left out, and is added before the arrays are rounded; over many steps the means add up to the true ones (error
    feedback: Karimireddy et al. 2019, https://arxiv.org/abs/1901.09847, and Tang et al. 2019,
    https://arxiv.org/abs/1905.05957, for the second message). Each process adds up one part of all arrays in float32,
    in the order of the processes, so the bits do not depend on the MPI library.

    Args:
        values: a tree of float32 arrays, such as gradients. Arrays are sent together, in messages of about 25 MB
            (``config.distributed_bucket``), of which each has a scale by its largest element.
        left_out: a tree like ``values``, of zeros at first: ``tree.map(jnp.zeros_like, params)``. Each process has its
            own.
        axis_name: of the processes, or of a ``vmap``.

    Returns:
        (mean, left_out), both trees like ``values``. Every process gets the same mean. An infinity or a NaN stays in
        the mean, and its rounding error is 0.

    Raises:
        ShapeError: an array is not float32, or has not the shape of its part of ``left_out``.
        TreeError: the two trees have different structures.

    Example:
        >>> import numpy as np
        >>> import anejax as aj
        >>> g = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
        >>> mean, left_out = aj.vmap(lambda g, e: aj.distributed.float16_mean(g, e, "i"), axis_name="i")(g, 0 * g)
        >>> np.abs(mean - g.mean(0)).max() < 1e-3
        np.True_
        >>> np.abs(mean.sum(0) + left_out.sum(0) - g.sum(0)).max() < 1e-7
        np.True_
    """
    arrays, structure = tree.flatten(values)
    rests = tree.flatten_up_to(structure, left_out, "left_out")
    for x, rest in zip(arrays, rests, strict=True):
        if (x.dtype, x.shape) != (rest.dtype, rest.shape) or x.dtype != dtypes.float32:
            raise ShapeError(
                f"[float16_mean] expected float32 arrays and a left_out of the same shapes, got {x} and {rest}."
            )
    order = range(len(arrays))[::-1]  # gradients of the last layers are ready first
    buckets = [[order[i] for i in which] for which in _buckets([arrays[i].nbytes // 2 for i in order])]
    # Messages set out in the order of the program: none of the second kind may stand before one of the first.
    exchanged = [_exchanged([arrays[i] + rests[i] for i in which], axis_name) for which in buckets]
    means, left = list(arrays), list(arrays)
    for which, parts in zip(buckets, exchanged, strict=True):
        mean, rest = _mean_of_bucket([arrays[i] for i in which], *parts, axis_name)
        for i, m, r in zip(which, mean, rest, strict=True):
            means[i], left[i] = m, r
    return tree.unflatten(structure, means), tree.unflatten(structure, left)


def _buckets(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of arrays of ``sizes`` bytes, in the order of the arrays: as many as a message takes, at least one."""
    which: list[int] = []
    total = 0
    for i, size in enumerate(sizes):
        which.append(i)
        total += size
        if total >= config.distributed_bucket:
            yield which
            which, total = [], 0
    if which:
        yield which


def _exchanged(arrays: Sequence[Any], axis_name: Any) -> tuple[Any, Any, Any]:
    """``arrays`` in parts, one for each process to add up; these as sent, and what came for the own part."""
    count = lax.axis_size(axis_name)
    flat = jnp.concatenate([x.ravel() for x in arrays])
    parts = jnp.pad(flat, (0, -flat.size % count)).reshape(count, -1)
    sent = _narrowed(parts)
    return parts, sent, lax.all_to_all(sent, axis_name, 0, 0)


def _mean_of_bucket(like: Sequence[Any], parts: Any, sent: Any, came: Any, axis_name: Any) -> tuple[list, list]:
    """The means over the axis, and what of them float16 left out, as arrays of the shapes of ``like``."""
    count, here = lax.axis_size(axis_name), lax.axis_index(axis_name)
    total = _widened(came).sum(0)
    passed_on = _narrowed(total[None])
    sums = _widened(lax.all_gather(passed_on[0], axis_name))
    left = (parts - _widened(sent)).at[here].add(total - _widened(passed_on)[0])
    size = sum(x.size for x in like)
    mean, left = (x.ravel()[:size] for x in (sums / count, jnp.where(jnp.isfinite(left), left, 0)))
    return _like(like, mean), _like(like, left)


def _narrowed(rows: Any) -> Any:
    """float32[N, K] as float16[N, K + 1]: numbers from -2^15 to 2^15, and the power of two that they are to be times.

    Of numbers so scaled, those from 2^-29 of the largest one on have all 11 bits.
    """
    largest = jnp.max(jnp.where(jnp.isfinite(rows), jnp.abs(rows), 0), initial=0.0)
    exponent = jnp.frexp(largest)[1] - 15
    scaled = jnp.ldexp(rows, -exponent).astype(jnp.float16)
    return jnp.concatenate([scaled, jnp.full((len(rows), 1), exponent, jnp.float16)], 1)


def _widened(rows: Any) -> Any:
    """float16[N, K + 1] from ``_narrowed`` as float32[N, K]."""
    return jnp.ldexp(rows[:, :-1].astype(jnp.float32), rows[:, -1:].astype(jnp.int32))


def _like(arrays: Sequence[Any], flat: Any) -> list[Any]:
    """``flat`` cut into arrays of the shapes of ``arrays``."""
    ends = np.cumsum([x.size for x in arrays])
    return [part.reshape(x.shape) for part, x in zip(jnp.split(flat, ends[:-1]), arrays, strict=True)]
