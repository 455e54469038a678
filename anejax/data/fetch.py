"""Downloads of files and npm packages, and the extraction of archives from sources that need not be trusted.

Sizes and times are bounded, and everything is checked against a digest before it is used.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from anejax.errors import AnejaxError
from anejax.paths import atomic_file, open_file

Progress = Callable[[str, int, int], None]  # description of the current work, bytes so far, total bytes

_CHUNK = 1 << 20
_CONNECT_SECONDS = 20.0
_NPM_SECONDS = 900.0
_MOST_MEMBERS = 100_000  # of an archive


class FetchError(AnejaxError):
    """One way to a file failed; the message says which and why."""


class DataError(AnejaxError):
    """A data set or file is missing and cannot be fetched. The message lists the attempts."""


def digest_of(path: Path, algorithm: str) -> str:
    """The hexadecimal digest of a file."""
    with open_file(path) as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check_file(path: Path, size: int, digest: str) -> None:
    """Raises FetchError unless ``path`` has ``size`` bytes and the digest ``algorithm:hex``."""
    found = path.stat().st_size
    if found != size:
        raise FetchError(f"expected {size} bytes, got {found}")
    algorithm, expected = digest.split(":")
    actual = digest_of(path, algorithm)
    if actual != expected:
        raise FetchError(f"expected {algorithm} {expected}, got {actual}")


def download(url: str, path: Path, size: int, digest: str, progress: Progress) -> None:
    """Writes the file at ``url`` to ``path`` if it is the one that ``size`` and ``digest`` state."""
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as answer, atomic_file(path) as to:
            _copy(answer, to, size, lambda done: progress(f"fetching {path.name}", done, size))
            to.flush()
            check_file(Path(to.name), size, digest)
    except urllib.error.HTTPError as err:
        raise FetchError(f"HTTP {err.code} {err.reason}") from err
    except urllib.error.URLError as err:
        raise FetchError(str(err.reason)) from err
    except (OSError, http.client.HTTPException) as err:
        raise FetchError(str(err) or type(err).__name__) from err


def _copy(source: io.BufferedIOBase, to: IO[bytes], limit: int, done: Callable) -> None:
    count = 0
    while chunk := source.read(_CHUNK):
        count += len(chunk)
        if count > limit:
            raise FetchError(f"expected {limit} bytes, got more")
        to.write(chunk)
        done(count)


def npm_pack(package: str, directory: Path, size: int, digest: str) -> Path:
    """The archive of an npm package, fetched into ``directory`` by the user's own npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not installed")
    command = [npm, "pack", package, "--silent", "--ignore-scripts"]
    _run(command + ["--pack-destination", str(directory)], directory, _NPM_SECONDS)
    archives = list(directory.glob("*.tgz"))
    if len(archives) != 1:
        raise FetchError("npm pack ended well but left no archive")
    check_file(archives[0], size, digest)
    return archives[0]


def _run(command: list[str], directory: Path, seconds: float) -> None:
    """Runs ``command`` in a separate process group, so that its children end with it."""
    process = subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        _, err = process.communicate(timeout=seconds)
    except BaseException as caught:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(caught, subprocess.TimeoutExpired):
            raise FetchError(f"npm did not finish within {seconds:.0f} seconds") from None
        raise
    if process.returncode:
        lines = [line.strip() for line in err.splitlines() if line.strip()]
        raise FetchError(f"npm ended with {process.returncode}: {' '.join(lines[:3]) or 'no message'}")


def read_members(archive: Path, limits: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """(base name, content) of the members of a .tar.gz that ``limits`` names, with their sizes' bounds.

    Nothing is extracted: paths, links, modes and owners in the archive have no effect. Other members are skipped. The
    whole may not unpack to much more than the sum of the limits, nor have more than 100,000 members. Raises FetchError
    for whatever is no such archive.
    """
    total = 2 * sum(limits.values()) + (64 << 20)
    seen = set()
    try:
        with (
            open_file(archive) as packed,
            gzip.open(packed, "rb") as file,
            tarfile.open(fileobj=_Bounded(file, total), mode="r|") as tar,
        ):
            for count, member in enumerate(tar):
                if count >= _MOST_MEMBERS:
                    raise FetchError(f"{archive.name} has more than {_MOST_MEMBERS:,} members")
                tar.members.clear()  # type: ignore[attr-defined]  # it keeps an object per member
                name = member.name.rsplit("/", 1)[-1]
                if not member.isreg() or name not in limits or name in seen:
                    continue
                seen.add(name)
                yield name, _read_member(tar, member, name, limits[name])
    except (FetchError, MemoryError):
        raise
    except Exception as err:  # gzip and tarfile raise many types; nested headers, for example, raise RecursionError
        raise FetchError(f"{archive.name} is damaged: {err}") from err
    if missing := sorted(set(limits) - seen):
        raise FetchError(f"{archive.name} has no {', '.join(missing)}")


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, limit: int) -> bytes:
    if member.size > limit:
        raise FetchError(f"{name} has {member.size} bytes, expected at most {limit}")
    file = tar.extractfile(member)
    assert file is not None  # the member is a regular file
    return file.read()


def read_json(text: bytes) -> Any:
    """The value that JSON text spells. Raises ValueError, for nesting without end and numbers of any length as well."""
    try:
        return json.loads(text)
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than ``limit`` bytes, so that a bomb goes off early."""

    def __init__(self, file: io.BufferedIOBase, limit: int) -> None:
        self._file = file
        self._left = limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise FetchError("the archive unpacks to more than it may")
        return data
