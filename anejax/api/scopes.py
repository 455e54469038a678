"""Context managers and wrappers that change how code runs or is displayed, but not its results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, contextmanager
from typing import Any

from anejax.api.flat import name_of
from anejax.config import config
from anejax.core.context import base_trace, scope, tracing
from anejax.core.trace import executor


def debug_nans(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside, an operation or a jitted call that makes a NaN raises NanError."""
    return config.override("jax_debug_nans", new_val)


def debug_infs(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside, an operation or a jitted call that makes an infinity raises NanError."""
    return config.override("jax_debug_infs", new_val)


def enable_checks(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside, every Graph is type-checked after every pass."""
    return config.override("check", new_val)


def numpy_dtype_promotion(new_val: str = "standard") -> AbstractContextManager[None]:
    """With "strict", operands of different dtypes raise TypePromotionError. Python numbers are still converted.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> with aj.numpy_dtype_promotion("strict"):
        ...     (jnp.int32(1) + 2).dtype
        dtype('int32')
    """
    return config.override("jax_numpy_dtype_promotion", _one_of("dtype", new_val, ("standard", "strict")))


def numpy_rank_promotion(new_val: str = "allow") -> AbstractContextManager[None]:
    """With "warn" or "raise", reports when a numpy function adds leading axes to an operand. Scalars are allowed."""
    return config.override("jax_numpy_rank_promotion", _one_of("rank", new_val, ("allow", "warn", "raise")))


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"[numpy_{what}_promotion] expected one of {', '.join(allowed)}, got {value!r}.")
    return value


def log_compiles(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside, the logger ``anejax`` logs a warning for each function that ``jit`` stages or compiles."""
    return config.override("jax_log_compiles", new_val)


def threefry_partitionable(new_val: bool = True) -> AbstractContextManager[None]:
    """Accepted for compatibility when true: random bits are always those. Raises SettingError when false."""
    return config.override("jax_threefry_partitionable", config.checked("jax_threefry_partitionable", new_val))


def default_prng_impl(new_val: str = "threefry2x32") -> AbstractContextManager[None]:
    """Accepted for compatibility with "threefry2x32", the only one. Raises SettingError for another."""
    return config.override("jax_default_prng_impl", config.checked("jax_default_prng_impl", new_val))


@contextmanager
def default_matmul_precision(new_val: Any = None) -> Iterator[None]:
    """Accepted for compatibility: float32 products are always computed in float32."""
    yield


@contextmanager
def check_tracer_leaks(new_val: bool = True) -> Iterator[None]:
    """Accepted for compatibility: using a leaked tracer always raises UnexpectedTracerError."""
    yield


checking_leaks = check_tracer_leaks


@contextmanager
def transfer_guard(new_val: str = "allow") -> Iterator[None]:
    """Accepted for compatibility: arrays are in host memory, so nothing is ever transferred."""
    yield


transfer_guard_host_to_device = transfer_guard_device_to_host = transfer_guard_device_to_device = transfer_guard


def default_device(new_val: Any = None) -> AbstractContextManager[None]:
    """Inside the block, jitted functions that name no device run on ``new_val``: a Device, "cpu" or "ane".

    Raises DeviceError for a device that is not known.
    """
    executor().check_device(new_val)
    return config.override("device", getattr(new_val, "platform", new_val) or config.device)


@contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Inside traced code, computes now instead of staging; operands must have values.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> @aj.jit
        ... def f(x):
        ...     with aj.ensure_compile_time_eval():
        ...         n = int(jnp.arange(3).sum())
        ...     return x * n
        >>> float(f(2.0))
        6.0
    """
    with tracing(base_trace()):
        yield


class named_scope(scope, ContextDecorator):
    """Marks the operations inside with ``name``, which profiles, ``explain`` and messages show.

    A context manager and a decorator. Names inside one another are joined by slashes, and the layers of ``nn`` mark
    their equations with their names. A mark stays with its equation through every transformation and pass. Raises
    TypeError where ``name`` is not a string.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> def f(x):
        ...     with aj.named_scope("encoder"):
        ...         return jnp.sin(x)
        >>> aj.make_jaxpr(f)(1.0).eqns[0].mark.path
        'encoder'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"[named_scope] expected a string, got {type(name).__name__}.")
        super().__init__(name)

    def _recreate_cm(self) -> named_scope:
        """A decorated function may call itself."""
        return named_scope(self.name)


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """Gives ``fun`` another name, which error messages, jitted programs and the marks of ``named_scope`` show."""
    name = name or name_of(fun)

    @functools.wraps(fun)
    def named(*args: Any, **kwargs: Any) -> Any:
        with named_scope(name):
            return fun(*args, **kwargs)

    named.__name__ = name
    return named
