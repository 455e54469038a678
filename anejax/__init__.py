"""anejax: JAX's programming model on the Apple Neural Engine, with a native CPU device everywhere else."""

from typing import TYPE_CHECKING

from anejax import ad_checkpoint as ad_checkpoint
from anejax import amp as amp
from anejax import custom_batching as custom_batching
from anejax import custom_derivatives as custom_derivatives
from anejax import debug as debug
from anejax import distributed as distributed
from anejax import dlpack as dlpack
from anejax import errors as errors
from anejax import flatten_util as flatten_util
from anejax import lax as lax
from anejax import nn as nn
from anejax import numpy as numpy
from anejax import ops as ops
from anejax import optim as optim
from anejax import profiler as profiler
from anejax import random as random
from anejax import sharding as sharding
from anejax import stages as stages
from anejax import tree as tree
from anejax import tree_util as tree_util
from anejax import typing as typing
from anejax.absent import getattr_of
from anejax.api.autodiff import grad as grad
from anejax.api.autodiff import hessian as hessian
from anejax.api.autodiff import jacfwd as jacfwd
from anejax.api.autodiff import jacobian as jacobian
from anejax.api.autodiff import jacrev as jacrev
from anejax.api.autodiff import jvp as jvp
from anejax.api.autodiff import linear_transpose as linear_transpose
from anejax.api.autodiff import linearize as linearize
from anejax.api.autodiff import value_and_grad as value_and_grad
from anejax.api.autodiff import vjp as vjp
from anejax.api.batching import vmap as vmap
from anejax.api.checkpointing import checkpoint as checkpoint
from anejax.api.checkpointing import checkpoint as remat
from anejax.api.checkpointing import checkpoint_policies as checkpoint_policies
from anejax.api.closures import closure_convert as closure_convert
from anejax.api.closures import custom_gradient as custom_gradient
from anejax.api.custom import custom_jvp as custom_jvp
from anejax.api.custom import custom_vjp as custom_vjp
from anejax.api.devices import Device as Device
from anejax.api.devices import block_until_ready as block_until_ready
from anejax.api.devices import copy_to_host_async as copy_to_host_async
from anejax.api.devices import default_backend as default_backend
from anejax.api.devices import device_count as device_count
from anejax.api.devices import device_get as device_get
from anejax.api.devices import device_put as device_put
from anejax.api.devices import devices as devices
from anejax.api.devices import effects_barrier as effects_barrier
from anejax.api.devices import host_count as host_count
from anejax.api.devices import host_id as host_id
from anejax.api.devices import host_ids as host_ids
from anejax.api.devices import live_arrays as live_arrays
from anejax.api.devices import local_device_count as local_device_count
from anejax.api.devices import local_devices as local_devices
from anejax.api.devices import print_environment_info as print_environment_info
from anejax.api.devices import process_count as process_count
from anejax.api.devices import process_index as process_index
from anejax.api.devices import process_indices as process_indices
from anejax.api.meshes import NamedSharding as NamedSharding
from anejax.api.meshes import PartitionSpec as P
from anejax.api.meshes import make_mesh as make_mesh
from anejax.api.numerics import NumericsReport as NumericsReport
from anejax.api.numerics import numerics_report as numerics_report
from anejax.api.scopes import check_tracer_leaks as check_tracer_leaks
from anejax.api.scopes import checking_leaks as checking_leaks
from anejax.api.scopes import debug_infs as debug_infs
from anejax.api.scopes import debug_nans as debug_nans
from anejax.api.scopes import default_device as default_device
from anejax.api.scopes import default_matmul_precision as default_matmul_precision
from anejax.api.scopes import default_prng_impl as default_prng_impl
from anejax.api.scopes import enable_checks as enable_checks
from anejax.api.scopes import ensure_compile_time_eval as ensure_compile_time_eval
from anejax.api.scopes import log_compiles as log_compiles
from anejax.api.scopes import named_call as named_call
from anejax.api.scopes import named_scope as named_scope
from anejax.api.scopes import numpy_dtype_promotion as numpy_dtype_promotion
from anejax.api.scopes import numpy_rank_promotion as numpy_rank_promotion
from anejax.api.scopes import threefry_partitionable as threefry_partitionable
from anejax.api.scopes import transfer_guard as transfer_guard
from anejax.api.scopes import transfer_guard_device_to_device as transfer_guard_device_to_device
from anejax.api.scopes import transfer_guard_device_to_host as transfer_guard_device_to_host
from anejax.api.scopes import transfer_guard_host_to_device as transfer_guard_host_to_device
from anejax.api.spmd import pmap as pmap
from anejax.api.spmd import shard_map as shard_map
from anejax.api.staging import clear_caches as clear_caches
from anejax.api.staging import eval_shape as eval_shape
from anejax.api.staging import jit as jit
from anejax.api.staging import make_jaxpr as make_jaxpr
from anejax.config import config as config
from anejax.config import disable_jit as disable_jit
from anejax.config import enable_x64 as enable_x64
from anejax.core.array import Array as Array
from anejax.core.aval import ShapeDtypeStruct as ShapeDtypeStruct
from anejax.core.trace import aval_of as typeof
from anejax.dtypes import float0 as float0
from anejax.engine.explain import Explanation as Explanation
from anejax.engine.explain import explain as explain
from anejax.release import VERSION as __version__  # noqa: F401
from anejax.runtime import execute as execute  # registers the executor
from anejax.runtime import exiting as exiting  # waits for other threads when the process ends
from anejax.saving import load as load
from anejax.saving import save as save

__all__ = [
    "Array", "Device", "Explanation", "NamedSharding", "NumericsReport", "P", "ShapeDtypeStruct", "ad_checkpoint",
    "amp", "block_until_ready", "check_tracer_leaks", "checking_leaks", "checkpoint", "checkpoint_policies",
    "clear_caches", "closure_convert", "config", "copy_to_host_async", "core", "custom_batching",
    "custom_derivatives", "custom_gradient", "custom_jvp", "custom_vjp", "debug", "debug_infs", "debug_nans",
    "default_backend", "default_device", "default_matmul_precision", "default_prng_impl", "device_count",
    "device_get", "device_put", "devices", "disable_jit", "distributed", "dlpack", "dtypes", "effects_barrier",
    "enable_checks", "enable_x64", "ensure_compile_time_eval", "errors", "eval_shape", "explain", "export",
    "flatten_util", "float0", "from_jax", "grad", "hessian", "host_count", "host_id", "host_ids", "image",
    "interop", "jacfwd", "jacobian", "jacrev", "jit", "jvp", "lax", "linear_transpose", "linearize", "live_arrays",
    "load", "local_device_count", "local_devices", "log_compiles", "lora", "make_jaxpr", "make_mesh", "models",
    "named_call", "named_scope", "nn", "numerics_report", "numpy", "numpy_dtype_promotion", "numpy_rank_promotion",
    "ops", "optim", "pmap", "print_environment_info", "process_count", "process_index", "process_indices",
    "profiler", "random", "remat", "save", "scipy", "shard_map", "sharding", "stages", "test_util",
    "threefry_partitionable", "train", "transfer_guard", "transfer_guard_device_to_device",
    "transfer_guard_device_to_host", "transfer_guard_host_to_device", "tree", "tree_util", "typeof", "typing",
    "value_and_grad", "vjp", "vmap"
]  # fmt: skip

if TYPE_CHECKING:
    from anejax import export as export
    from anejax import image as image
    from anejax import interop as interop
    from anejax import lora as lora
    from anejax import models as models
    from anejax import scipy as scipy
    from anejax import test_util as test_util
    from anejax import train as train
    from anejax.interop import from_jax as from_jax

_LAZY = {
    "export": "export",
    "from_jax": "interop:from_jax",
    "image": "image",
    "interop": "interop",
    "lora": "lora",
    "models": "models",
    "scipy": "scipy",
    "test_util": "test_util",
    "train": "train",
}

__getattr__ = getattr_of(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
