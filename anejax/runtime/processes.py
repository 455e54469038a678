"""Joins processes that compute together over MPI, and lets each leave so that no other waits for it in vain."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import platform
import sys
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any

from anejax.config import config
from anejax.errors import DeviceError
from anejax.ops.processes import WORLD
from anejax.runtime import library

# Variables that launchers give each process: Open MPI's mpiexec (its manual, "Environmental variables"), Hydra and
# other launchers of MPICH (the PMI-1 interface), and srun with either.
LAUNCHED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK")

_communicator: Any = None


def joined() -> bool:
    """Whether this process has joined the others."""
    return _communicator is not None


def join_if_launched() -> None:
    """Joins the others in a process that a launcher of MPI started. Does nothing when that was done before.

    Raises:
        DeviceError: mpi4py or an MPI library is missing.
    """
    if _communicator is None and any(name in os.environ for name in LAUNCHED):
        _join()


def _join() -> None:
    global _communicator
    with _ended_unless_all_come():
        try:
            from mpi4py import MPI  # the import returns when all processes have come, and holds Python's lock meanwhile
        except (ImportError, RuntimeError) as err:  # RuntimeError: mpi4py found no MPI library
            raise DeviceError(
                f"[distributed] expected mpi4py and an MPI library, got: {err}. Write: pip install 'anejax[mpi]'."
            ) from None
        communicator = MPI.COMM_WORLD.Dup()  # apart from messages that the user sends
        _check_versions(communicator.allgather(sys.modules["anejax"].__version__))
    library.set_processes(
        MPI, communicator, config.distributed_timeout, config.distributed_idle, int(config.distributed_bucket)
    )
    _communicator = communicator
    WORLD.size, WORLD.index = communicator.Get_size(), communicator.Get_rank()
    if WORLD.size > 1:
        _end_together(MPI)


@contextlib.contextmanager
def _ended_unless_all_come() -> Generator[None, None, None]:
    """Ends this process if the block takes ``config.distributed_timeout``, with a traceback that shows where.

    MPI holds Python's lock meanwhile, so no thread of Python can do so.
    """
    if config.distributed_timeout and sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(config.distributed_timeout, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _check_versions(versions: Sequence[str]) -> None:
    """Kernels of another version may give other bits, so that what all processes have alike would drift apart."""
    other = next((i for i, version in enumerate(versions) if version != versions[0]), None)
    if other is not None:
        raise DeviceError(
            f"[distributed] expected one version of anejax in all processes, got {versions[0]} in process 0 and"
            f" {versions[other]} in process {other}. Install the same one on all machines."
        )


def abort(why: str) -> None:
    """Ends all processes, after saying which one ended them and why."""
    print(
        f"[distributed] process {WORLD.index} of {WORLD.size} on {platform.node()} ended: {why}",
        file=sys.stderr,
        flush=True,
    )
    _communicator.Abort(1)


def _end_together(mpi: Any) -> None:
    """Ends the other processes if this one ends early; if it just ends, tells those that wait for it."""
    before = sys.excepthook

    def ended(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        before(kind, error, where)
        abort(f"{kind.__name__}: {error}")

    def leave() -> None:
        if mpi.Is_finalized():
            return
        try:
            library.leave_processes()
        except DeviceError as err:
            abort(str(err))

    sys.excepthook = ended
    atexit.register(leave)
