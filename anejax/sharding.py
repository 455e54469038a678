"""jax.sharding on anejax: arrays lie on one device, and shardings say so; meshes and partitions are absent."""

from anejax.absent import getattr_of
from anejax.api.sharding import Sharding as Sharding
from anejax.api.sharding import SingleDeviceSharding as SingleDeviceSharding
from anejax.api.sharding import make_single_device_sharding as make_single_device_sharding

__getattr__ = getattr_of(__name__)
