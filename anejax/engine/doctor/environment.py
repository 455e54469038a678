"""What a machine has: system, chip, Python, the native library, folders, devices."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import anejax as aj
from anejax.config import config
from anejax.engine.doctor.checks import Check, of
from anejax.errors import AnejaxError
from anejax.mil.profile import system_build, this_machine
from anejax.paths import cache_dir
from anejax.runtime import library


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
        return f"macOS {platform.mac_ver()[0]}, build {build}, {platform.machine()}"
    return f"{platform.system()} {platform.release()}, {platform.machine()}: not macOS, so Espresso is not there"


def _library() -> str:
    path = library.find()
    library.load()
    return f"{path}, ABI version {library.ABI_VERSION}"


def _blas() -> str:
    library.load()  # raises when the library does not take it
    found = library.blas_path()
    return Path(found).name if found else "the system's"


def _cache() -> str:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder):
        return f"{folder} can be written"


def _settings() -> str:
    given = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("ANEJAX_")]
    return ", ".join([*given, f"device {config.device}"])


def _devices() -> str:
    return f"{', '.join(library.devices())}; {library.num_threads()} threads"


_QUESTIONS: dict[str, Callable[[], str]] = {
    "native library": _library,
    "system": _system,
    "chip": this_machine,
    "Python": lambda: f"Python {platform.python_version()}, NumPy {np.__version__}",
    "anejax": lambda: aj.__version__,
    "BLAS": _blas,
    "cache folder": _cache,
    "settings": _settings,
    "devices": _devices,
}
