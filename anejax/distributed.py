"""jax.distributed on anejax: several processes that compute together, on one machine or on many, over MPI.

``mpiexec -n 4 python train.py`` starts four processes of one script; each has a device (``anejax.devices()``), and
``shard_map`` or ``pmap`` divide work among them. Without a launcher there is one process, and the script runs alike.
"""

from __future__ import annotations

from typing import Any

from anejax.errors import DeviceError
from anejax.ops.processes import WORLD
from anejax.runtime import processes


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: Any = None,
    **others: Any,
) -> None:
    """Joins the processes that MPI's launcher started, which else happens when they are first needed.

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
