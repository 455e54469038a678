"""Shardings, which say on which devices an array lies. Here an array always lies on one device.

They exist for programs that ask arrays for their sharding and pass it on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from anejax.api.devices import CPU, Device
from anejax.core.aval import Aval, checked_shape
from anejax.errors import DeviceError

Slices = tuple[slice, ...]


class Sharding:
    """The base class of shardings, which say on which devices the parts of an array lie."""


@dataclasses.dataclass(frozen=True)
class SingleDeviceSharding(Sharding):
    """The sharding of an array that lies on one ``device`` as a whole. It is accepted in place of the device.

    Example:
        >>> import anejax.numpy as jnp
        >>> x = jnp.ones((2, 3))
        >>> x.sharding.shard_shape(x.shape), x.sharding.is_fully_replicated
        ((2, 3), True)
    """

    device: Device
    _: dataclasses.KW_ONLY
    memory_kind: str = dataclasses.field(default="device", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.device, Device):
            raise DeviceError(f"[SingleDeviceSharding] expected a device, got {self.device!r}. See anejax.devices().")
        if self.memory_kind is None:
            object.__setattr__(self, "memory_kind", "device")

    @property
    def platform(self) -> str:
        """The platform of the device."""
        return self.device.platform

    @property
    def device_set(self) -> set[Device]:
        """The devices that have a part of the array."""
        return {self.device}

    addressable_devices = device_set

    @property
    def num_devices(self) -> int:
        """The number of devices that hold a part of the array: 1."""
        return 1

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each of its devices has all of the array: yes."""
        return True

    @property
    def is_fully_addressable(self) -> bool:
        """Whether this process reaches all of the array: yes."""
        return True

    has_addressable_devices = is_fully_addressable

    def shard_shape(self, global_shape: Any) -> tuple[int, ...]:
        """The shape of each part: that of the array."""
        return checked_shape(global_shape, "shard_shape")

    def devices_indices_map(self, global_shape: Any) -> Mapping[Device, Slices]:
        """Maps the device to the part of the array that it holds: all of it."""
        return {self.device: whole(len(checked_shape(global_shape, "devices_indices_map")))}

    addressable_devices_indices_map = devices_indices_map

    def is_equivalent_to(self, other: Any, ndim: int) -> bool:
        """Whether ``other`` puts an array of ``ndim`` axes in the same place."""
        return self == other

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self.device!r})"


def whole(ndim: int) -> Slices:
    """The index of all of an array."""
    return (slice(None),) * ndim


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of an array on one device. Here it is the whole array."""

    device: Device
    index: Slices
    replica_id: int
    data: Any


def sharding_of(x: Any) -> SingleDeviceSharding:
    """The sharding of the array ``x``."""
    return ON_CPU


def shards_of(x: Any) -> list[Shard]:
    """The parts of the array ``x``: one."""
    return [Shard(CPU, whole(x.ndim), 0, x)]


ON_CPU = SingleDeviceSharding(CPU)


def make_single_device_sharding(device: Device, *, memory_kind: str | None = None) -> SingleDeviceSharding:
    """The sharding of an array that lies on ``device``."""
    return SingleDeviceSharding(device)


Aval.sharding = property(lambda self: ON_CPU)  # type: ignore[attr-defined]  # typeof(x).sharding
