"""Describes the machine: system, chip, Python, the native library, folders, devices."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from anejax.config import config
from anejax.engine.doctor.checks import Check, of
from anejax.errors import AnejaxError
from anejax.mil.chips import LATEST, is_unknown
from anejax.mil.profile import system_build, this_machine
from anejax.paths import cache_dir
from anejax.release import VERSION
from anejax.runtime import library

ENGINE_MACOS = 15  # the first that knows the opset of the engine's programs, ios18


def environment() -> Iterator[Check]:
    """One check for each part; the native library's first, since all others rest on it."""
    for name, ask in _QUESTIONS.items():
        try:
            yield of("environment", name, True, ask())
        except (AnejaxError, OSError) as err:
            yield of("environment", name, False, str(err))


def _system() -> str:
    build = system_build()
    if platform.system() == "Darwin":
        version = platform.mac_ver()[0]
        engine = "" if int(version.split(".")[0]) >= ENGINE_MACOS else f"; the engine needs macOS {ENGINE_MACOS}"
        return f"macOS {version}, build {build}, {platform.machine()}{engine}"
    return f"{platform.system()} {platform.release()}, {platform.machine()}: not macOS, so Espresso is not there"


def _library() -> str:
    path = library.find()
    library.load()
    return f"{path}, ABI version {library.ABI_VERSION}"


def _chip() -> str:
    machine = this_machine()
    return f"{machine}: not known, so that the rules of {LATEST} hold" if is_unknown(machine) else machine


_ADDITION = "program(1.3)\n{ func main<ios18>(fp32 x) { fp32 y = add(x = x, y = x); } -> (y); }"


def _blas() -> str:
    """The name of the BLAS library that the native library calls, and its file if one was given."""
    used = json.loads(library.NativeProgram("cpu", _ADDITION).describe("stats"))["blas"]
    found = library.blas_path()
    return f"{used}, {Path(found).name}" if found else f"{used}, the system's"


def _cache() -> str:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder):
        return f"{folder} can be written"


def _settings() -> str:
    given = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("ANEJAX_")]
    return ", ".join([*given, f"device {config.device}"])


def _devices() -> str:
    cores = "performance cores" if platform.system() == "Darwin" else "threads"
    return f"{', '.join(library.devices())}; {library.num_threads()} {cores}"


_QUESTIONS: dict[str, Callable[[], str]] = {
    "native library": _library,
    "system": _system,
    "chip": _chip,
    "Python": lambda: f"Python {platform.python_version()}, NumPy {np.__version__}",
    "anejax": lambda: VERSION,
    "BLAS": _blas,
    "cache folder": _cache,
    "settings": _settings,
    "devices": _devices,
}
