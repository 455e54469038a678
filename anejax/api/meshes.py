"""Meshes of processes, and specifications of the array axes that they divide.

Every process holds whole arrays; ``shard_map`` cuts them.
"""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anejax.api.devices import Device, devices
from anejax.api.sharding import Sharding
from anejax.core.aval import checked_shape
from anejax.errors import RefusedError, ShapeError

Names = tuple[str, ...]


class Mesh:
    """Processes with names for their axes. One axis at most may be longer than 1: there is one process axis.

    Args:
        devices: devices, one of each process, in an array with one axis for each name.
        axis_names: the names of the axes.
        axis_types: accepted for compatibility.

    Raises:
        ShapeError: another number of axes than of names.
        RefusedError: two axes longer than 1, or other devices than all there are.
    """

    def __init__(self, devices: Any, axis_names: str | Sequence[str], axis_types: Any = None) -> None:
        self.devices = np.asarray(devices, object)
        self.axis_names: Names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        if self.devices.ndim != len(self.axis_names):
            raise ShapeError(
                f"[Mesh] expected one name for each of {self.devices.ndim} axes of devices, got {self.axis_names}."
            )
        if sum(n > 1 for n in self.devices.shape) > 1:
            raise RefusedError(
                f"[Mesh] expected one axis at most to be longer than 1, got the shape {self.devices.shape}: batches are"
                " divided among processes, arrays of weights are not."
            )
        if list(self.devices.flat) != _all():
            raise RefusedError(f"[Mesh] expected all devices in their order, {_all()}, got {list(self.devices.flat)}.")

    @property
    def shape(self) -> Mapping[str, int]:
        """The length of each axis, by its name."""
        return OrderedDict(zip(self.axis_names, self.devices.shape, strict=True))

    @property
    def size(self) -> int:
        """The number of processes in the mesh."""
        return self.devices.size

    @property
    def axis_sizes(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.devices.shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self.shape == other.shape and list(self.shape) == list(other.shape)

    def __hash__(self) -> int:
        return hash(tuple(self.shape.items()))

    def __repr__(self) -> str:
        return f"Mesh({', '.join(f'{name!r}: {n}' for name, n in self.shape.items())})"


def _all() -> list[Device]:
    return devices("cpu")


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[str],
    axis_types: Any = None,
    *,
    devices: Sequence[Device] | None = None,
) -> Mesh:
    """A mesh of all processes.

    Args:
        axis_shapes: the length of each axis; their product is the number of processes.
        axis_names: the name of each axis.
        axis_types: accepted for compatibility.
        devices: accepted for compatibility: all devices, in their order.

    Raises:
        ShapeError: the product is another one.

    Example:
        >>> import anejax as aj
        >>> aj.make_mesh((aj.process_count(),), ("batch",))
        Mesh('batch': 1)
    """
    every = list(devices) if devices is not None else _all()
    shape = checked_shape(tuple(axis_shapes), "make_mesh")
    if math.prod(shape) != len(every):
        raise ShapeError(
            f"[make_mesh] expected axis_shapes whose product is {len(every)}, the number of processes, got {shape}."
        )
    array = np.empty(len(every), object)
    array[:] = every
    return Mesh(array.reshape(shape), axis_names)


class PartitionSpec(tuple[Any, ...]):
    """The mesh axis that divides each axis of an array: a name, a tuple of names, or None for no division.

    Raises RefusedError for names in ``unreduced`` or ``reduced``: sums that are not taken yet are no arrays here.

    Example:
        >>> from anejax.sharding import PartitionSpec as P
        >>> P("batch", None)
        PartitionSpec('batch', None)
    """

    def __new__(cls, *parts: Any, unreduced: Any = frozenset(), reduced: Any = frozenset()) -> PartitionSpec:
        if unreduced or reduced:
            raise RefusedError("[PartitionSpec] unreduced and reduced axes are not supported; sum by lax.psum.")
        return super().__new__(cls, parts)

    def __repr__(self) -> str:
        return f"PartitionSpec({', '.join(map(repr, self))})"

    def names(self, dim: int) -> Names:
        """The names that divide axis ``dim``."""
        part = self[dim] if dim < len(self) else None
        return () if part is None else (part,) if isinstance(part, str) else tuple(part)

    def divided(self, mesh: Mesh, ndim: int, op: str) -> int | None:
        """The axis of an array of ``ndim`` axes that the processes of ``mesh`` divide, or None.

        Raises ShapeError for a spec with more entries than axes, and ValueError for a name that is not the mesh's.
        """
        if len(self) > ndim:
            raise ShapeError(f"[{op}] expected at most {ndim} entries for an array of {ndim} axes, got {self}.")
        found = None
        for dim in range(len(self)):
            for name in self.names(dim):
                if name not in mesh.shape:
                    raise ValueError(f"[{op}] expected names of {mesh}, got {name!r} in {self}.")
                found = dim if mesh.shape[name] > 1 else found
        return found


@dataclasses.dataclass(frozen=True)
class NamedSharding(Sharding):
    """The part of an array that each process of ``mesh`` works on. The array itself stays whole in every process."""

    mesh: Mesh
    spec: PartitionSpec

    platform = "cpu"

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every process works on all of the array."""
        return all(self.mesh.shape[n] == 1 for dim in range(len(self.spec)) for n in self.spec.names(dim))

    @property
    def device_set(self) -> set[Device]:
        """The devices of the mesh."""
        return set(self.mesh.devices.flat)

    def shard_shape(self, global_shape: Any) -> tuple[int, ...]:
        """The shape of the part of one process. Raises ShapeError for an axis that the processes do not divide."""
        shape = checked_shape(global_shape, "shard_shape")
        dim = self.spec.divided(self.mesh, len(shape), "shard_shape")
        if dim is None:
            return shape
        check_divides("shard_shape", shape, dim, self.mesh)
        return (*shape[:dim], shape[dim] // self.mesh.size, *shape[dim + 1 :])


def check_divides(op: str, shape: tuple[int, ...], dim: int, mesh: Mesh) -> None:
    """Raises ShapeError unless the processes of ``mesh`` divide axis ``dim``."""
    if shape[dim] % mesh.size:
        raise ShapeError(
            f"[{op}] expected axis {dim} of the shape {shape} to be a multiple of {mesh.size}, the number of processes."
        )
