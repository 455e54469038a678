"""Where anejax keeps its files, and how it writes them so that a crash never leaves half of one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import platformdirs


def cache_dir() -> Path:
    """``ANEJAX_CACHE``, or the user's cache directory; it holds data/, programs/ and profiles/."""
    given = os.environ.get("ANEJAX_CACHE")
    return Path(given).expanduser() if given else platformdirs.user_cache_path("anejax")


def data_dir() -> Path:
    """``ANEJAX_DATA``, or ``data`` in the cache directory."""
    given = os.environ.get("ANEJAX_DATA")
    return Path(given).expanduser() if given else cache_dir() / "data"


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """The name of a new file that takes the place of ``path`` when the block ends well.

    It is on the disk before it is renamed, so that a power cut leaves the old file or the new one;
    when the block fails it vanishes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # whoever wrote the file may have made a new one, for the owner alone
        _sync(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # some file systems cannot do this for a directory
        _sync(path.parent)


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """``atomic_path``, opened for writing."""
    with atomic_path(path) as part, open(part, mode, encoding=None if "b" in mode else "utf-8") as file:
        yield file


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the file lock ``path``; calls ``waiting`` once when another process has it.

    The system drops the lock of a process that dies, so there are no stale locks to remove.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        if not _try_lock(file):
            waiting()
            while not _try_lock(file):
                time.sleep(0.1)  # polled, so that Ctrl-C works while we wait
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _try_lock(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
