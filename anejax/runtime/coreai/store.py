"""Stores programs that Core AI has compiled in folders of the cache.

A folder's name is the digest of the text, the constants, the package's version and the system's build. Before a program
is loaded, its files are compared with the digest beside them, because damaged files crash Core AI.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from anejax.coreai.asset import PACKAGE
from anejax.errors import FileError
from anejax.mil.profile import system_build
from anejax.paths import atomic_folder, cache_dir, read_file

MOST_BYTES = 1 << 30
IN_USE = 3600.0  # seconds for which a folder that was used stays, however much there is
MODEL, DIGEST = "model", "digest"


def key_of(text: str, arrays: Sequence[np.ndarray], kind: str) -> str:
    """The name of a program's folder; ``kind`` is what it is compiled for."""
    digest = hashlib.sha256()
    for part in (kind, importlib.metadata.version(PACKAGE), system_build(), text):
        digest.update(f"{len(part)}:{part}".encode())
    for array in arrays:
        digest.update(f"{array.dtype.name}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def stored(key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of ``key`` and whether it was ``make`` that wrote it, into the path that it is given."""
    path = cache_dir() / "coreai" / key
    if _is_whole(path):
        with contextlib.suppress(OSError):
            os.utime(path)
        return path / MODEL, False
    shutil.rmtree(path, ignore_errors=True)
    try:
        with atomic_folder(path) as folder:
            make(folder / MODEL)
            (folder / DIGEST).write_text(_digest(folder / MODEL))
    except (FileError, OSError):
        if not _is_whole(path):  # else another process was faster
            raise
    _make_room(path.parent)
    return path / MODEL, True


def _is_whole(path: Path) -> bool:
    try:
        return read_file(path / DIGEST, 64).decode() == _digest(path / MODEL)
    except (OSError, FileError, ValueError):
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for found in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{found.relative_to(folder)}\0{found.stat().st_size}\0".encode())
        with open(found, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _make_room(folder: Path) -> None:
    """Removes the least recently used files above MOST_BYTES."""
    total, now = 0, time.time()
    with contextlib.suppress(OSError):
        kept = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
        for path in sorted(kept, key=lambda p: p.stat().st_mtime, reverse=True):
            total += sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
            if total > MOST_BYTES and now - path.stat().st_mtime > IN_USE:
                shutil.rmtree(path, ignore_errors=True)
