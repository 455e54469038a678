"""anejax: JAX's programming model on the Apple Neural Engine, with a native CPU device everywhere else."""

from anejax import amp as amp
from anejax import debug as debug
from anejax import errors as errors
from anejax import lax as lax
from anejax import nn as nn
from anejax import numpy as numpy
from anejax import optim as optim
from anejax import random as random
from anejax import tree as tree
from anejax import tree_util as tree_util
from anejax.absent import getattr_of
from anejax.api.autodiff import grad as grad
from anejax.api.autodiff import hessian as hessian
from anejax.api.autodiff import jacfwd as jacfwd
from anejax.api.autodiff import jacrev as jacrev
from anejax.api.autodiff import jvp as jvp
from anejax.api.autodiff import linear_transpose as linear_transpose
from anejax.api.autodiff import linearize as linearize
from anejax.api.autodiff import value_and_grad as value_and_grad
from anejax.api.autodiff import vjp as vjp
from anejax.api.batching import vmap as vmap
from anejax.api.custom import custom_jvp as custom_jvp
from anejax.api.custom import custom_vjp as custom_vjp
from anejax.api.devices import block_until_ready as block_until_ready
from anejax.api.devices import default_backend as default_backend
from anejax.api.devices import device_get as device_get
from anejax.api.devices import device_put as device_put
from anejax.api.devices import devices as devices
from anejax.api.staging import checkpoint as checkpoint
from anejax.api.staging import checkpoint_policies as checkpoint_policies
from anejax.api.staging import eval_shape as eval_shape
from anejax.api.staging import jit as jit
from anejax.api.staging import make_jaxpr as make_jaxpr
from anejax.api.staging import remat as remat
from anejax.config import config as config
from anejax.config import disable_jit as disable_jit
from anejax.config import enable_x64 as enable_x64
from anejax.core.array import Array as Array
from anejax.core.aval import ShapeDtypeStruct as ShapeDtypeStruct
from anejax.runtime import execute as execute  # registers the executor

__version__ = "0.1.0"

__getattr__ = getattr_of(__name__)
