"""Lists devices, and moves pytrees of arrays to and from them."""

from __future__ import annotations

import gc
import platform
from typing import Any

import numpy as np

from anejax import tree
from anejax.config import config
from anejax.core.array import Array, DeviceArray
from anejax.core.trace import concrete_array, executor
from anejax.errors import DeviceError
from anejax.ops.processes import WORLD
from anejax.runtime import engine, processes


class Device:
    """A device that runs programs. Each process has one, and its ``id`` is the number of the process."""

    def __init__(self, platform: str, id: int = 0) -> None:
        self.platform, self.id = platform, id

    @property
    def device_kind(self) -> str:
        """A description of the device."""
        if self.platform == "cpu":
            return "native CPU device"
        return f"Neural Engine of {engine.chip()}" if self.platform == "ane" else "Apple's Core AI runtime"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.platform, self.id) == (other.platform, other.id)

    def __hash__(self) -> int:
        return hash((self.platform, self.id))

    @property
    def process_index(self) -> int:
        """The number of the process that has it."""
        return self.id

    host_id = local_hardware_id = process_index

    def memory_stats(self) -> dict[str, int] | None:
        """Returns None, because arrays are in the host's memory, which the system counts."""
        return None

    def __str__(self) -> str:
        return f"{self.platform}:{self.id}"

    def __repr__(self) -> str:
        return f"Device(platform={self.platform!r}, id={self.id})"


CPU, *_BESIDE_IT = (Device(name) for name in ("cpu", *engine.ENGINES))


def devices(backend: str | None = None) -> list[Device]:
    """The devices that can run programs, one of each process. Raises DeviceError for a backend that is not there.

    Example:
        >>> import anejax as aj
        >>> aj.devices()
        [Device(platform='cpu', id=0)]
    """
    local = _local(backend)
    return [local if i == local.id else Device(local.platform, i) for i in range(process_count())]


def _local(backend: str | None) -> Device:
    """The device of this process."""
    processes.join_if_launched()
    for device in (CPU, *_BESIDE_IT):
        device.id = WORLD.index
    if backend in (None, "cpu"):
        return CPU
    found = [d for d in _BESIDE_IT if d.platform == backend]
    if not found:
        raise DeviceError(f"[devices] expected backend 'cpu', 'ane' or 'coreai', got {backend!r}.")
    reason = engine.why_missing(found[0].platform)
    if reason is not None:
        raise DeviceError(f"[devices] {'the engine' if backend == 'ane' else 'Core AI'} is not there: {reason}")
    return found[0]


def default_backend() -> str:
    """The platform of the default device."""
    return config.device


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: Any = False, may_alias: bool | None = None
) -> Any:
    """The tree ``x`` with its leaves as arrays; NumPy leaves are copied. All devices work on the same memory.

    Args:
        x: a tree of arrays and numbers.
        device: a device, its platform's name, an array's sharding, or a tree of them; any gives the same arrays.
        src, donate, may_alias: accepted for compatibility: nothing is moved.
    """
    for place in tree.leaves(device):
        executor().check_device(place)

    def put(leaf: Any) -> Any:
        if isinstance(leaf, Array):
            return leaf
        return concrete_array(np.array(leaf, subok=True) if isinstance(leaf, np.ndarray) else leaf)

    return tree.map(put, x)


def device_get(x: Any) -> Any:
    """The tree ``x`` with its leaves as NumPy arrays, which share memory with the leaves if possible."""
    return tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, Array) else leaf, x)


def block_until_ready(x: Any) -> Any:
    """Waits for every array of the tree ``x``, and returns it. Errors of a device surface here."""
    for leaf in tree.leaves(x):
        if isinstance(leaf, DeviceArray):
            leaf.block_until_ready()
    return x


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """The device of this process, or that of the process of that number."""
    index = host_id if process_index is None else process_index
    return [_local(backend)] if index is None else [d for d in devices(backend) if d.id == index]


def device_count(backend: str | None = None) -> int:
    """The number of devices that can run programs: one for each process."""
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """The number of devices of this process, which is 1."""
    return len(local_devices(backend=backend))


def process_index(backend: str | None = None) -> int:
    """The number of this process among those that compute together (``anejax.distributed``), from 0 on."""
    processes.join_if_launched()
    return WORLD.index


def process_count(backend: str | None = None) -> int:
    """The number of processes that compute together. It is 1 unless an MPI launcher started several."""
    processes.join_if_launched()
    return WORLD.size


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of the processes that compute together."""
    return list(range(process_count()))


host_id, host_count, host_ids = process_index, process_count, process_indices


def copy_to_host_async(x: Any) -> Any:
    """The tree ``x``: its arrays are in host memory already."""
    return x


def effects_barrier() -> None:
    """Waits until everything printed so far has been printed. Runs are synchronous, so that is now."""


def live_arrays(platform: str | None = None) -> list[Array]:
    """The arrays whose memory is held at present. Looks through all objects, so it takes a while."""
    devices(platform)
    return [x for x in gc.get_objects() if type(x) is DeviceArray and not x.is_deleted()]


def print_environment_info(return_string: bool = False) -> str | None:
    """Prints versions, devices and settings, for reports of defects; or returns the text."""
    versions = {"python": platform.python_version(), "numpy": np.__version__, "platform": platform.platform()}
    lines = [f"{name}: {value}" for name, value in versions.items()]
    lines += [f"devices: {devices()}", "settings:", config.describe()]
    text = "\n".join(lines)
    return text if return_string else print(text)
