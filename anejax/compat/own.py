"""Names of jax that no module of anejax has: its errors, its experiments, and internals that libraries use."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax
from anejax import errors, tree
from anejax.api.devices import devices
from anejax.core import context
from anejax.core.aval import Aval
from anejax.core.trace import Tracer, aval_of

VERSION = "0.10.2"  # the version of jax whose names these are


class TraceState:
    """A value that tells transformations apart: it is equal as long as the same one is going on."""

    def __init__(self) -> None:
        self._trace = context.current_trace()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TraceState) and self._trace is other._trace

    def __hash__(self) -> int:
        return id(self._trace)


def get_opaque_trace_state(*, convention: str = "") -> TraceState:
    """The state of transformations in this thread."""
    return TraceState()


class NodeTypes:
    """Types that are nodes of trees, for ``type(x) in registry``."""

    def __contains__(self, cls: type) -> bool:
        return tree.is_node(cls)


def _unchanged(function: Any, *args: Any, **kwargs: Any) -> Any:
    return function


def _create_device_mesh(mesh_shape: Any, given: Any = None, **options: Any) -> np.ndarray:
    found = devices() if given is None else given
    return np.asarray(found, object)[: int(np.prod(mesh_shape))].reshape(mesh_shape)


ERRORS = {
    "ConcretizationTypeError": errors.ConcretizationError,
    "JAXTypeError": errors.ConcretizationError,
    "JAXIndexError": errors.NonConcreteBooleanIndexError,
    "JaxRuntimeError": errors.DeviceError,
    "NonConcreteBooleanIndexError": errors.NonConcreteBooleanIndexError,
    "TracerArrayConversionError": errors.TracerArrayConversionError,
    "TracerBoolConversionError": errors.TracerBoolConversionError,
    "TracerIntegerConversionError": errors.TracerIntegerConversionError,
    "UnexpectedTracerError": errors.UnexpectedTracerError,
}
CORE = {"Tracer": Tracer, "ShapedArray": Aval, "AbstractValue": Aval, "get_aval": aval_of}
OWN: dict[str, dict[str, Any]] = {
    "jax": {"__version__": VERSION, "__version_info__": tuple(map(int, VERSION.split(".")))},
    "jaxlib": {"__version__": VERSION},
    "jax.errors": ERRORS,
    "jax.experimental": {"enable_x64": anejax.enable_x64, "disable_x64": lambda: anejax.enable_x64(False)},
    "jax.experimental.shard_map": {"shard_map": anejax.shard_map},
    "jax.experimental.pjit": {"pjit": anejax.jit},
    "jax.experimental.mesh_utils": {"create_device_mesh": _create_device_mesh},
    "jax.core": CORE,
    "jax.extend.core": {"get_opaque_trace_state": get_opaque_trace_state},
    "jax.extend.source_info_util": {"register_exclusion": lambda path: None},
    "jax._src.tree_util": {"_registry": NodeTypes()},
    "jax._src.dispatch": {"wait_for_tokens": anejax.effects_barrier},
    "jax._src.traceback_util": {"api_boundary": _unchanged, "register_exclusion": lambda path: None},
}
