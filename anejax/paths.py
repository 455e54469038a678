"""Finds the folders in which anejax keeps files, and opens, writes and locks files safely.

Files may come from anyone. Only regular files of a bounded size are opened for reading, links are not followed if
anejax chose the name, and a crash never leaves a half-written file.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any

import platformdirs

from anejax.errors import FileError

_SCRATCH = ".anejax-part"  # the ending of scratch directories' names
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}


def cache_dir() -> Path:
    """``ANEJAX_CACHE``, or the user's cache directory; it holds data/, programs/ and profiles/."""
    return _named_by("ANEJAX_CACHE") or platformdirs.user_cache_path("anejax")


def data_dir() -> Path:
    """``ANEJAX_DATA``, or ``data`` in the cache directory."""
    return _named_by("ANEJAX_DATA") or cache_dir() / "data"


def _named_by(variable: str) -> Path | None:
    given = os.environ.get(variable)
    try:
        return Path(given).expanduser() if given else None
    except RuntimeError as err:
        raise FileError(f"[file] expected {variable} to be a folder, got {given!r}: {err}.") from None


# ---- reading


def open_file(path: Path | str) -> io.BufferedReader:
    """The regular file ``path``, opened for reading bytes.

    Raises FileError for a device, a pipe or a directory, which may have no end or never answer; OSError.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes to must not block
    except ValueError as err:
        raise FileError(f"[file] {str(path)!r}: expected a path, but {err}.") from None
    try:
        _expect_file(path, os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_file(path: Path | str, most: int) -> bytes:
    """The content of the regular file ``path``. Raises FileError if it has more than ``most`` bytes; OSError."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""
        if max(size, len(data)) > most:
            raise FileError(f"[file] {path}: expected at most {most:,} bytes, got {max(size, len(data)):,}.")
        return data


def _expect_file(path: Path | str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise FileError(f"[file] {path}: expected a regular file, got {kind}.")


# ---- writing


@contextlib.contextmanager
def scratch(directory: Path) -> Generator[Path, None, None]:
    """A new directory in ``directory``, which is removed at the end of the block.

    If the process is killed, the next call for the same ``directory`` removes it. A live process holds a lock on its
    scratch directory, so nobody removes files that are still in use.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sweep(directory)
    made, handle = _make_scratch(directory)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def sweep(directory: Path) -> None:
    """Removes the scratch directories that killed processes left in ``directory``."""
    try:
        names = [name for name in os.listdir(directory) if name.startswith(".") and name.endswith(_SCRATCH)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            handle = _open_directory(directory / name)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its maker lives
                shutil.rmtree(directory / name, ignore_errors=True)
            finally:
                os.close(handle)


def _make_scratch(directory: Path) -> tuple[Path, int]:
    """A scratch directory and the handle that holds its lock; a new one if a sweep was faster than its lock."""
    while True:
        made = Path(tempfile.mkdtemp(_SCRATCH, ".", directory))
        with contextlib.suppress(FileNotFoundError):
            handle = _open_directory(made)
            try:
                held = _lock(handle)
            except OSError:  # a file system without locks, where no sweep can have one either
                held = True
            if held and made.exists():
                return made, handle
            os.close(handle)


def _open_directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


@contextlib.contextmanager
def atomic_path(path: Path) -> Generator[Path, None, None]:
    """The name of a new file that takes the place of ``path`` when the block ends well.

    It is on the disk before it is renamed, so that a power cut leaves the old file or the new one; when the block fails
    it vanishes. Raises FileError if ``path`` is a device, a pipe or a directory; errors of the system name ``path``.
    """
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISLNK(found.st_mode):  # a link is replaced, not followed
            _expect_file(path, found)
    with scratch(path.parent) as directory:
        part = directory / path.name
        with _naming(path, directory):
            part.touch()
            mode = part.stat().st_mode
            yield part
            part.chmod(mode)  # whoever wrote the file may have made a new one, for the owner alone
            _sync(part)
            os.replace(part, path)
    with contextlib.suppress(OSError):  # some file systems cannot do this for a directory
        _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Generator[Path, None, None]:
    """A new folder that is renamed to ``path`` when the block ends well and vanishes when it fails.

    Raises FileError if there is something at ``path`` already; errors of the system name ``path``.
    """
    if path.is_symlink() or path.exists():
        raise FileError(f"[file] {path}: expected a new path, but it is there already; remove it or choose another.")
    with scratch(path.parent) as directory:
        part = directory / path.name
        with _naming(path, directory):
            part.mkdir()
            yield part
            for found in part.rglob("*"):
                _sync(found)
            os.rename(part, path)


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Generator[IO[Any], None, None]:
    """``atomic_path``, opened for writing."""
    with atomic_path(path) as part, open(part, mode, encoding=None if "b" in mode else "utf-8") as file:
        yield file


def append(path: Path, text: str) -> None:
    """Adds ``text`` to the end of a file. Errors of the system name ``path``."""
    with _naming(path), open(path, "a", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def _naming(path: Path, scratch: Path | None = None) -> Generator[None, None, None]:
    """Errors of the system that name no file, as those of a full disk, or one in ``scratch``, name ``path``."""
    try:
        yield
    except OSError as err:
        named = err.filename is not None and not (scratch and str(err.filename).startswith(str(scratch)))
        if err.errno is not None and not named:
            err.filename, err.filename2 = str(path), None
        raise


# ---- locking


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Generator[None, None, None]:
    """Holds the file lock ``path``; calls ``waiting`` once when another process has it.

    The system drops the lock of a process that dies, so there are no stale locks to remove. The file is neither
    truncated nor reached through a link: FileError if it is one, or no regular file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        _expect_file(path, path.lstat())
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        _expect_file(path, os.fstat(handle))
        if not _lock(handle):
            waiting()
            while not _lock(handle):
                time.sleep(0.1)  # polled, so that Ctrl-C works while we wait
        yield
    finally:
        os.close(handle)  # and with it the lock


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
