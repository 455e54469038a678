"""The import finder that makes modules with jax's names from modules of anejax, and refuses all others with a
reason."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import anejax
from anejax.absent import group_of
from anejax.compat.own import OWN, VERSION
from anejax.errors import AbsentError

# modules of jax that are modules of anejax, by the name behind "jax."
_SAME = """numpy numpy.linalg numpy.fft lax lax.linalg nn nn.initializers random scipy scipy.special scipy.stats
    scipy.linalg scipy.cluster scipy.cluster.vq scipy.fft scipy.integrate scipy.interpolate scipy.ndimage scipy.optimize
    scipy.signal scipy.sparse scipy.sparse.linalg scipy.spatial scipy.spatial.transform tree tree_util debug dtypes
    typing custom_batching custom_derivatives flatten_util ops image ad_checkpoint sharding profiler stages dlpack
    distributed test_util"""
SAME = frozenset(_SAME.split())
# namespaces that jax does not promise to keep: names that are not here may be imported, and say so when they are used
PRIVATE = ("jax._src", "jax.core", "jax.extend", "jax.interpreters", "jax.lib", "jaxlib")
REASONS = {
    "jax.experimental": "of jax.experimental there are enable_x64, disable_x64, shard_map, pjit and mesh_utils",
    "jax.example_libraries": "use anejax.nn and anejax.optim, or optax",
    "jax.export": "it writes StableHLO; anejax.export writes Core ML and Core AI packages",
    "jax.errors": "errors of other names are those of anejax.errors",
}


def is_same(inner: str) -> bool:
    """Whether the module of this name behind "jax." is a module of anejax."""
    return inner in SAME or (inner.startswith("scipy.stats.") and hasattr(anejax.scipy.stats, inner.rpartition(".")[2]))


def reason(name: str) -> str:
    """Why there is no module or attribute of this full name."""
    space, _, last = name.rpartition(".")
    group = group_of(space.partition(".")[2], last)
    if found := next((r for prefix, r in REASONS.items() if name == prefix or name.startswith(f"{prefix}.")), None):
        return f"{found}."
    if group is not None:
        return f"{group.why}. Instead, {group.instead}."
    if name.startswith(PRIVATE):
        return "it is no public name of jax, and anejax is built in another way."
    return "jax has no such public name, or one that anejax does not know."


missed: set[str] = set()  # names for which libraries were given placeholders in this process


class Placeholder(type):
    """A class in place of a private name of jax that anejax lacks. It raises an error when it is used."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        name = next(c.__dict__["placeholder"] for c in cls.__mro__ if "placeholder" in c.__dict__)
        if _importing():
            return placeholder(f"{name}(...)")
        raise AbsentError(f"[compat] {name} is not supported: {reason(name)}")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") or "placeholder" not in cls.__dict__:
            raise AttributeError(name)
        return placeholder(f"{cls.placeholder}.{name}")  # type: ignore[attr-defined]

    def __getitem__(cls, item: Any) -> Any:
        return cls

    def __contains__(cls, item: Any) -> bool:
        raise AbsentError(f"[compat] {cls.placeholder} is not supported: {reason(cls.placeholder)}")  # type: ignore

    def __iter__(cls) -> Any:
        raise AbsentError(f"[compat] {cls.placeholder} is not supported: {reason(cls.placeholder)}")  # type: ignore

    def __setitem__(cls, item: Any, value: Any) -> None:
        """A rule of a library's primitive for a table that is not there."""


def _importing() -> bool:
    """Whether the code that asks runs because a module of a library, and no script, is being imported."""
    frame = sys._getframe(2)
    while frame is not None:
        spec = frame.f_globals.get("__spec__")
        if not frame.f_code.co_flags & inspect.CO_OPTIMIZED and "importlib" not in frame.f_code.co_filename:
            return frame.f_globals["__name__"] != "__main__" and getattr(spec, "_initializing", False)
        frame = frame.f_back
    return False


def placeholder(name: str) -> Placeholder:
    """The placeholder of a full name."""
    if not name.endswith("(...)"):
        missed.add(name)
    return Placeholder(name.rpartition(".")[2], (), {"placeholder": name, "__module__": name.rpartition(".")[0]})


# arguments of jax's functions that say nothing here unless they have a value, and the modules whose functions take them
NEUTRAL = {"out_sharding": None, "accuracy": None, "_dot_general": None, "allow_negative_indices": ...}
_NEUTRAL_IN = ("lax", "random", "ops", "numpy", "nn.initializers")


def _with_neutral(function: Any) -> Any:
    """``function``, which also takes the arguments of ``NEUTRAL``."""
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for name in NEUTRAL.keys() & kwargs.keys():
            value = kwargs.pop(name)
            if NEUTRAL[name] is not ... and value is not NEUTRAL[name]:
                raise AbsentError(f"[{function.__name__}] expected {name}={NEUTRAL[name]}, got {value!r}.")
        return function(*args, **kwargs)

    return call


class Standin(ModuleType):
    """A module of jax's name: its own names first, then those of a module of anejax, then placeholders."""

    def __init__(self, name: str, target: ModuleType | None, names: Mapping[str, Any]) -> None:
        super().__init__(name, getattr(target, "__doc__", None))
        self.__dict__.update(names, _target=target)

    def __getattr__(self, name: str) -> Any:
        full, target = f"{self.__name__}.{name}", self.__dict__["_target"]
        if name.startswith("__"):
            raise AttributeError(name)
        if full.startswith("jax.") and (is_same(full.removeprefix("jax.")) or full in OWN):
            return importlib.import_module(full)
        known = self.__name__.startswith((*PRIVATE, "jax.experimental."))
        if self.__name__ == "jax.experimental":
            known = _importing()
        if target is not None:
            found = getattr(target, name, None)
            if inspect.isfunction(found) and self.__name__.removeprefix("jax.") in _NEUTRAL_IN:
                found = _with_neutral(found)
            if found is not None and not isinstance(found, ModuleType):
                self.__dict__[name] = found
                return found
            known = group_of(target.__name__.partition(".")[2], name) is not None and _importing()
        if known:
            return placeholder(full)
        raise AbsentError(f"[compat] {full} is not supported: {reason(full)}")

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self.__dict__["_target"] or ())})


class Finder(MetaPathFinder, Loader):
    """Finds jax and its modules in anejax."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """The spec of a module of jax; None for modules of other packages.

        Raises:
            ImportError: anejax has no such module, or name of a module; it says why.
        """
        if fullname.partition(".")[0] not in ("jax", "jaxlib"):
            return None
        known = fullname == "jax" or fullname in OWN or is_same(fullname.removeprefix("jax."))
        loose = fullname.startswith(PRIVATE) or (fullname.startswith("jax.experimental.") and _importing())
        if not known and not loose:
            space, _, name = fullname.rpartition(".")
            if space in sys.modules and self._has(sys.modules[space], name):  # import jax.numpy.tanh
                raise ModuleNotFoundError(
                    f"[compat] {fullname} is no module; write from {space} import {name}.", name=fullname
                )
            raise ImportError(f"[compat] {fullname} is not supported: {reason(fullname)}", name=fullname)
        return ModuleSpec(fullname, self, is_package=True)

    @staticmethod
    def _has(module: ModuleType, name: str) -> bool:
        try:
            return hasattr(module, name)
        except ImportError:
            return False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module that stands for anejax's."""
        inner = spec.name.removeprefix("jax.")
        target = anejax if spec.name == "jax" else None
        if is_same(inner):
            target = importlib.import_module(f"anejax.{inner}") if _is_file(inner) else _attribute(inner)
        return Standin(spec.name, target, OWN.get(spec.name, {}))

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""


def _is_file(inner: str) -> bool:
    try:
        return importlib.util.find_spec(f"anejax.{inner}") is not None
    except ModuleNotFoundError:
        return False


def _attribute(inner: str) -> Any:
    found: Any = anejax
    for part in inner.split("."):
        found = getattr(found, part)
    return found


__all__ = ["SAME", "VERSION", "Finder", "reason"]
