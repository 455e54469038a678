"""Settings: read once from the environment, and changed with ``config.update`` or, for a block, a context manager.

Each setting is one row of ``_SETTINGS``. Overrides of a thread (``enable_x64``, ``disable_jit``) take precedence over
the value of the process. The tables after it list settings of jax that are ignored here or have one possible value, so
that programs which set them still run.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import ContextDecorator
from pathlib import Path
from typing import Any, NamedTuple

from anejax.errors import SettingError

__all__ = [
    "Config", "config", "disable_jit", "enable_x64"
]  # fmt: skip


class Kind(NamedTuple):
    """The values that a setting can have."""

    expected: str  # as messages name them
    takes: Callable[[Any], bool]
    read: Callable[[str], Any] = str  # reads the text of a variable; raises ValueError if the text is no value


_FLAGS: dict[str, bool] = dict.fromkeys(("1", "true", "yes", "on", "y", "t"), True)
_FLAGS |= dict.fromkeys(("", "0", "false", "no", "off", "n", "f"), False)


def _read_flag(text: str) -> bool:
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


def _one_of(*values: str) -> Kind:
    return Kind(f"one of {', '.join(filter(None, values))}", lambda v: isinstance(v, str) and v in values)


def _words(*values: str) -> Kind:
    takes = lambda v: isinstance(v, str) and {w.strip() for w in v.split(",")} <= {"", *values}  # noqa: E731
    return Kind(f"words of {', '.join(values)}, with commas between", takes)


def _number(least: float, most: float) -> Kind:
    takes = lambda v: isinstance(v, int | float) and not isinstance(v, bool) and least <= v <= most  # noqa: E731
    return Kind(f"a number from {least:,} to {most:,}", takes, float)


_flag = Kind("True or False", lambda v: isinstance(v, bool | int) and v in (0, 1), _read_flag)
_text = Kind("text", lambda v: isinstance(v, str))
_seconds = _number(0, 1_000_000)

# name -> (environment variable, kind of its values, default, description)
_SETTINGS: dict[str, tuple[str, Kind, Any, str]] = {
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
    "distributed_timeout": (
        "ANEJAX_DISTRIBUTED_TIMEOUT",
        _seconds,
        600.0,
        "seconds for which a process waits for the others before it gives up; 0: for ever",
    ),
    "distributed_idle": (
        "ANEJAX_DISTRIBUTED_IDLE",
        _seconds,
        8.0,  # a beat each 0.8 s says so up to two beats later, which is within ten seconds
        "seconds for which a process waits for one that uses no processor; 0: distributed_timeout",
    ),
    "distributed_bucket": (
        "ANEJAX_DISTRIBUTED_BUCKET",
        _number(1, 1 << 30),
        25e6,
        "bytes of one message of sums over processes, such as gradients",
    ),
    "distributed_wire": (
        "ANEJAX_DISTRIBUTED_WIRE",
        _one_of("float32", "float16"),
        "float32",
        "float16: training commands send gradients as float16, and add later what that leaves out",
    ),
    "jax_debug_infs": ("ANEJAX_DEBUG_INFS", _flag, False, "an operation that makes an infinity raises"),
    "jax_numpy_dtype_promotion": (
        "ANEJAX_DTYPE_PROMOTION",
        _one_of("standard", "strict"),
        "standard",
        "strict: operands of different dtypes raise",
    ),
    "jax_numpy_rank_promotion": (
        "ANEJAX_RANK_PROMOTION",
        _one_of("allow", "warn", "raise"),
        "allow",
        "warn, raise: operands of different ranks do so, but for scalars",
    ),
    "jax_log_compiles": (
        "ANEJAX_LOG_COMPILES",
        _flag,
        False,
        "what is compiled is logged as a warning by the logger anejax",
    ),
    "check": ("ANEJAX_CHECK", _flag, False, "every Graph is type-checked after every pass"),
    "debug": (
        "ANEJAX_DEBUG",
        _words("graph", "mil", "plan"),
        "",
        "comma-separated: graph, mil, plan (printed to stderr when compiled)",
    ),
    "eager": ("ANEJAX_EAGER", _one_of("", "numpy"), "", "numpy: eager operations never use the native library"),
    "device": ("ANEJAX_DEVICE", _one_of("cpu", "ane", "coreai"), "cpu", "the default device of jit: cpu, ane, coreai"),
    "precision": (
        "ANEJAX_PRECISION",
        _one_of("float32", "fp16"),
        "float32",
        "fp16: jitted functions on the CPU device compute what the engine could have with its numerics",
    ),
    "chip": (
        "ANEJAX_CHIP",
        _text,
        "",
        "the chip whose engine programs are divided for (M1 ... M6); empty: this machine's",
    ),
    "engine_partition": (
        "ANEJAX_ENGINE_PARTITION",
        _one_of("cost", "all"),
        "cost",
        "cost: the engine has what is predicted to be faster there; all: whatever it can have",
    ),
    "engine_route": (
        "ANEJAX_ENGINE_ROUTE",
        _one_of("auto", "e5rt", "coreai"),
        "auto",
        "how programs reach the engine: by e5rt, by Core AI, or by what is there, e5rt first",
    ),
    "engine_verify": (
        "ANEJAX_ENGINE_VERIFY",
        _one_of("first", "off"),
        "first",
        "first: what each engine program gives at first is held against the CPU device; off",
    ),
    "engine_fallback": (
        "ANEJAX_ENGINE_FALLBACK",
        _one_of("warn", "error"),
        "warn",
        "warn: what the engine fails at runs on the CPU device, with a warning; error: it raises",
    ),
    "engine_backoff": (
        "ANEJAX_ENGINE_BACKOFF",
        _seconds,
        15.0,
        "seconds that the Neural Engine's compiler is left alone after it failed",
    ),
    "engine_compile_limit": (
        "ANEJAX_ENGINE_COMPILE_LIMIT",
        _seconds,
        300.0,
        "seconds after which a compile for the Neural Engine is an error",
    ),
    "engine_run_limit": (
        "ANEJAX_ENGINE_RUN_LIMIT",
        _seconds,
        60.0,
        "seconds after which a run on the Neural Engine is an error",
    ),
}

# variables that other parts read, but whose text is checked here as well -> (kind, description)
_VARIABLES: dict[str, tuple[Kind, str]] = {
    "ANEJAX_NUM_THREADS": (
        Kind("an integer from 1 to 256", lambda v: 1 <= v <= 256, int),
        "threads of the CPU device; all cores by default",
    ),
    "ANEJAX_CPU_LEVEL": (_one_of("v1", "v3", "v4"), "the instruction set of the CPU device's kernels, for tests"),
}

# jax's name of a setting -> ours
_OTHER_NAMES = {
    "jax_enable_checks": "check",
    "jax_default_device": "device",
    "jax_platform_name": "device",
    "jax_platforms": "device",
    "x64_enabled": "jax_enable_x64",
}

# settings of jax with one value here -> (the value, why)
_FIXED: dict[str, tuple[Any, str]] = {
    "jax_threefry_partitionable": (True, "random bits are threefry2x32, partitionable"),
    "jax_default_prng_impl": ("threefry2x32", "random bits are threefry2x32, partitionable"),
    "jax_debug_key_reuse": (False, "keys are not watched"),
    "jax_no_tracing": (False, "jit stages whatever it has not seen"),
    "jax_num_cpu_devices": (1, "there is one CPU device, which uses all cores"),
}

# settings of jax that take any value and change nothing here -> (the value at first, why)
_WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "jax_default_matmul_precision": (None, "float32 products are always computed in float32"),
    "jax_check_tracer_leaks": (False, "a leaked tracer raises where it is used"),
    "jax_traceback_filtering": ("off", "messages name the line of the user"),
    "jax_include_full_tracebacks_in_locations": (True, "messages name the line of the user"),
    "jax_explain_cache_misses": (False, "jax_log_compiles says what is compiled"),
    "jax_enable_custom_prng": (False, "random.key is typed, random.PRNGKey raw"),
    "jax_legacy_prng_key": ("allow", "raw keys are as good as typed ones"),
    "jax_softmax_custom_jvp": (True, "the derivative of softmax is the same either way"),
    "jax_pprint_use_color": (True, "Graphs are printed without colour"),
    "jax_dump_ir_to": (None, "ANEJAX_DEBUG=graph,mil,plan prints what is compiled"),
    "jax_captured_constants_warn_bytes": (-1, "captured arrays are inputs of a program, not part of it"),
    **dict.fromkeys(
        ("jax_transfer_guard", "jax_transfer_guard_host_to_device", "jax_transfer_guard_device_to_host",
         "jax_transfer_guard_device_to_device", "jax_array_garbage_collection_guard"),
        (None, "arrays are in host memory: there are no transfers"),
    ),
    **dict.fromkeys(
        ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", "jax_optimization_level",
         "jax_persistent_cache_min_entry_size_bytes", "jax_enable_compilation_cache",
         "jax_exec_time_optimization_effort", "jax_raise_persistent_cache_errors",
         "jax_persistent_cache_enable_xla_caches", "jax_use_shardy_partitioner"),
        (None, "programs are kept in memory, not in files"),
    ),
}  # fmt: skip


def _from_environment(name: str) -> Any:
    """The value of a setting when the package is imported: of ANEJAX_..., else of jax's variable of the same name.

    Raises SettingError, as ``update`` does.
    """
    env, kind, default, _ = _SETTINGS[name]
    names = (env, name.upper()) if name.startswith("jax_") else (env,)
    given = next((n for n in names if n in os.environ), None)
    return default if given is None else _spelled(given, kind, default)


def _spelled(variable: str, kind: Kind, default: Any = None) -> Any:
    """The value that an environment variable spells; ``default`` if it is empty."""
    text = os.environ.get(variable, "")
    if not text:
        return default
    try:
        value = kind.read(text)
        fine = kind.takes(value)
    except ValueError:
        fine = False
    if not fine:
        raise SettingError(f"[config] expected {variable} to be {kind.expected}, got {text!r}.")
    return value


def _checked(name: str, value: Any) -> tuple[str, Any]:
    """The setting that ``name`` means, and ``value`` as it is kept. Raises SettingError."""
    ours = _OTHER_NAMES.get(name, name)
    if ours == "device":
        value = getattr(value, "platform", value) or "cpu"
    if ours in _FIXED and value != _FIXED[ours][0]:
        only, why = _FIXED[ours]
        raise SettingError(f"[config] expected {ours} to be {only!r}, got {value!r}: {why}.")
    if ours in _SETTINGS and not (kind := _SETTINGS[ours][1]).takes(value):
        raise SettingError(f"[config] expected {name} to be {kind.expected}, got {value!r}.")
    if ours not in _SETTINGS and ours not in _FIXED and ours not in _WITHOUT_EFFECT:
        raise SettingError(f"[config] expected one of {', '.join(_SETTINGS)}, got {name!r}.")
    return ours, value


# while one of these is on, calls go through all that looks at settings
_WATCHED = ("jax_debug_nans", "jax_debug_infs", "jax_disable_jit")


class Config:
    """Process-wide settings, readable as attributes.

    ``stamp`` is for calls that remember what they did under the same settings: an object that is replaced at each
    change, and None while a thread has separate values or a setting of ``_WATCHED`` is on.

    Example:
        >>> from anejax import config
        >>> config.update("jax_enable_x64", False)
        >>> config.jax_enable_x64
        False
    """

    def __init__(self) -> None:
        for variable, (kind, _) in _VARIABLES.items():
            _spelled(variable, kind)
        self._values = {name: _from_environment(name) for name in _SETTINGS}
        self._values |= {name: first for name, (first, _) in (_FIXED | _WITHOUT_EFFECT).items()}
        self._local = threading.local()
        self._lock = threading.Lock()
        self._overridden = defaultdict[str, set[int]](set)  # name -> the threads that are in a block
        self.__dict__.update(self._values)  # every jitted call reads several: these are found without __getattr__
        self.stamp: object | None = None
        self._renew(object())

    def after_fork(self) -> None:
        """A forked child has one thread: those that held the lock or were in a block do not exist there."""
        self._lock = threading.Lock()
        names = [name for name, threads in self._overridden.items() if threads]
        self._overridden.clear()
        for name in names:
            self._settle(name)

    def checked(self, name: str, value: Any) -> Any:
        """Returns ``value`` if the setting ``name`` accepts it. Otherwise raises SettingError."""
        return _checked(name, value)[1]

    def update(self, name: str, value: Any) -> None:
        """Sets ``name`` for the whole process.

        Settings of jax that change nothing here are taken too. Raises SettingError, a ValueError and AttributeError,
        for an unknown name and for a value that a setting cannot have.
        """
        name, value = _checked(name, value)
        with self._lock:
            self._values[name] = value
            if name in self.__dict__:
                self.__dict__[name] = value
            self._renew(object())

    def _renew(self, own: object) -> None:
        """Makes ``own`` the stamp of the settings for the whole process."""
        self._own_stamp = own
        plain = not any(self._overridden.values()) and not any(self._values[name] for name in _WATCHED)
        self.stamp = own if plain else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        override = self._local.__dict__
        if name in _OTHER_NAMES:
            return getattr(self, _OTHER_NAMES[name])
        if name in override:
            return override[name]
        try:
            return self._values[name]
        except KeyError:
            raise SettingError(f"[config] there is no setting {name!r}; there are {', '.join(_SETTINGS)}.") from None

    def override(self, name: str, value: Any) -> Override:
        """Sets ``name`` for this thread, within a ``with`` block or, as a decorator, within each call."""
        return Override(self, name, value)

    def overrides(self) -> dict[str, Any]:
        """The settings that this thread overrides, by name, for a helper thread to copy."""
        return dict(self._local.__dict__)

    def _settle(self, name: str) -> None:
        """Notes whether this thread overrides ``name``; while a thread does, all threads read it by __getattr__."""
        with self._lock:
            threads = self._overridden[name]
            (threads.add if name in self._local.__dict__ else threads.discard)(threading.get_ident())
            if threads:
                self.__dict__.pop(name, None)
            else:
                self.__dict__[name] = self._values[name]
            self._renew(self._own_stamp)

    def read(self, name: str) -> Any:
        """The value of the setting ``name``."""
        return getattr(self, name)

    def describe(self) -> str:
        """One line per setting: name, value, environment variable, meaning."""
        return "\n".join(
            f"{name} = {getattr(self, name)!r}  ({env}: {doc})" for name, (env, _, _, doc) in _SETTINGS.items()
        )


_NOT_SET = object()


class Override(ContextDecorator):
    """A block within which this thread sees another value of a setting.

    It is no generator with a decorator of contextlib, because an exception of a signal handler (Ctrl-C) in contextlib's
    own code would leave the generator suspended, and the setting changed, for as long as the traceback lives.
    """

    def __init__(self, settings: Config, name: str, value: Any) -> None:
        self._settings, self._name, self._value = settings, name, value
        self._previous: list[Any] = []

    def _recreate_cm(self) -> Override:
        return Override(self._settings, self._name, self._value)

    def __enter__(self) -> None:
        name, local = self._name, self._settings._local.__dict__
        self._previous.append(local.get(name, _NOT_SET))
        try:
            local[name] = self._value
            self._settings._settle(name)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        # signal handlers run in calls: the setting is restored before the first one
        name, local, previous = self._name, self._settings._local.__dict__, self._previous[-1]
        if previous is not _NOT_SET:
            local[name] = previous
        elif name in local:
            del local[name]
        self._previous.pop()
        self._settings._settle(name)


def _at_import() -> Config:
    """The settings. The ``anejax`` command reports errors of the environment without a traceback."""
    try:
        return Config()
    except SettingError as error:
        if Path(sys.argv[0]).name in ("anejax", "-m"):  # the latter while ``python -m anejax`` imports the package
            print(f"anejax: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        raise error.with_traceback(None) from None


config = _at_import()
os.register_at_fork(after_in_child=config.after_fork)


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
