"""jax.sharding on anejax: the devices on which arrays lie, and meshes of processes for ``shard_map``."""

from anejax.absent import getattr_of
from anejax.api.meshes import Mesh as Mesh
from anejax.api.meshes import NamedSharding as NamedSharding
from anejax.api.meshes import PartitionSpec as PartitionSpec
from anejax.api.sharding import Sharding as Sharding
from anejax.api.sharding import SingleDeviceSharding as SingleDeviceSharding
from anejax.api.sharding import make_single_device_sharding as make_single_device_sharding

__all__ = [
    "Mesh", "NamedSharding", "PartitionSpec", "Sharding", "SingleDeviceSharding", "make_single_device_sharding"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
