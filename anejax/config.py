"""Settings: read once from the environment, changed with ``config.update`` or for a block with a context manager.

Each setting lives in one row of ``_SETTINGS``. Thread-local overrides (``enable_x64``, ``disable_jit``) win over the
process-wide value.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


# name -> (environment variable, reader, default, what it does)
_SETTINGS: dict[str, tuple[str, Any, Any, str]] = {
    "jax_enable_x64": (
        "ANEJAX_ENABLE_X64",
        _flag,
        False,
        "64-bit types are kept instead of becoming 32-bit",
    ),
    "jax_disable_jit": (
        "ANEJAX_DISABLE_JIT",
        _flag,
        False,
        "jit calls the Python function, operation by operation",
    ),
    "jax_debug_nans": ("ANEJAX_DEBUG_NANS", _flag, False, "an operation that makes a NaN raises"),
    "jax_debug_infs": ("ANEJAX_DEBUG_INFS", _flag, False, "an operation that makes an infinity raises"),
    "jax_numpy_dtype_promotion": (
        "ANEJAX_DTYPE_PROMOTION",
        str,
        "standard",
        "strict: operands of different dtypes raise",
    ),
    "jax_numpy_rank_promotion": (
        "ANEJAX_RANK_PROMOTION",
        str,
        "allow",
        "warn, raise: operands of different ranks do so, but for scalars",
    ),
    "check": ("ANEJAX_CHECK", _flag, False, "every Graph is type-checked after every pass"),
    "debug": (
        "ANEJAX_DEBUG",
        str,
        "",
        "comma-separated: graph, mil, plan (printed to stderr when compiled)",
    ),
    "eager": ("ANEJAX_EAGER", str, "", "numpy: eager operations never use the native library"),
    "device": ("ANEJAX_DEVICE", str, "cpu", "the default device of jit: cpu, ane"),
    "precision": (
        "ANEJAX_PRECISION",
        str,
        "float32",
        "fp16: jitted functions on the CPU device compute what the engine could have with its numerics",
    ),
    "chip": (
        "ANEJAX_CHIP",
        str,
        "",
        "the chip whose engine programs are divided for (M1 ... M5 Pro); empty: this machine's",
    ),
    "engine_partition": (
        "ANEJAX_ENGINE_PARTITION",
        str,
        "cost",
        "cost: the engine has what is predicted to be faster there; all: whatever it can have",
    ),
    "engine_verify": (
        "ANEJAX_ENGINE_VERIFY",
        str,
        "first",
        "first: what each engine program gives at first is held against the CPU device; off",
    ),
    "engine_fallback": (
        "ANEJAX_ENGINE_FALLBACK",
        str,
        "warn",
        "warn: what the engine fails at runs on the CPU device, with a warning; error: it raises",
    ),
    "engine_backoff": (
        "ANEJAX_ENGINE_BACKOFF",
        float,
        15.0,
        "seconds that the Neural Engine's compiler is left alone after it failed",
    ),
    "engine_compile_limit": (
        "ANEJAX_ENGINE_COMPILE_LIMIT",
        float,
        300.0,
        "seconds after which a compile for the Neural Engine is an error",
    ),
    "engine_run_limit": (
        "ANEJAX_ENGINE_RUN_LIMIT",
        float,
        60.0,
        "seconds after which a run on the Neural Engine is an error",
    ),
}


class Config:
    """Process-wide settings, readable as attributes.

    Example:
        >>> from anejax import config
        >>> config.update("jax_enable_x64", False)
        >>> config.jax_enable_x64
        False
    """

    def __init__(self) -> None:
        self._values = {
            name: read(os.environ[env]) if env in os.environ else default
            for name, (env, read, default, _) in _SETTINGS.items()
        }
        self._local = threading.local()
        self._lock = threading.Lock()
        self._overridden = Counter[str]()  # in how many blocks, of all threads
        self.__dict__.update(self._values)  # every jitted call reads several: these are found without __getattr__

    def update(self, name: str, value: Any) -> None:
        """Sets ``name`` for the whole process. Raises ValueError for an unknown name."""
        if name not in _SETTINGS:
            raise ValueError(f"[config] expected one of {', '.join(_SETTINGS)}, got {name!r}.")
        with self._lock:
            self._values[name] = value
            if not self._overridden[name]:
                self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        override = self._local.__dict__
        if name in override:
            return override[name]
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"[config] there is no setting {name!r}; there are {', '.join(_SETTINGS)}.") from None

    @contextmanager
    def override(self, name: str, value: Any) -> Iterator[None]:
        """Sets ``name`` for this thread, within a ``with`` block."""
        local = self._local.__dict__
        missing = object()
        previous = local.get(name, missing)
        local[name] = value
        with self._lock:
            self._overridden[name] += 1
            self.__dict__.pop(name, None)
        try:
            yield
        finally:
            if previous is missing:
                del local[name]
            else:
                local[name] = previous
            with self._lock:
                self._overridden[name] -= 1
                if not self._overridden[name]:
                    self.__dict__[name] = self._values[name]

    def describe(self) -> str:
        """One line per setting: name, value, environment variable, meaning."""
        return "\n".join(
            f"{name} = {getattr(self, name)!r}  ({env}: {doc})" for name, (env, _, _, doc) in _SETTINGS.items()
        )


config = Config()


def enable_x64(new_val: bool = True) -> Any:
    """A context manager that keeps 64-bit types inside its block.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> with aj.enable_x64():
        ...     jnp.asarray(1.0).dtype
        dtype('float64')
    """
    return config.override("jax_enable_x64", new_val)


def disable_jit(disable: bool = True) -> Any:
    """A context manager in which ``jit`` runs the Python function operation by operation."""
    return config.override("jax_disable_jit", disable)
