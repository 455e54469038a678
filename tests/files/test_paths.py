"""How files are opened, written, swept and locked, whatever lies where they are."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from anejax import paths
from anejax.errors import FileError
from anejax.paths import append, atomic_file, atomic_path, locked, open_file, read_file, scratch, sweep


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
}


@pytest.mark.parametrize("kind", [k for k in ODD if k != "a socket"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    ODD[kind](path)
    for read in (open_file, lambda p: read_file(p, 10)):
        with pytest.raises(FileError, match=f"{path}: expected a regular file, got {kind}"):
            read(path)
    with pytest.raises(FileNotFoundError) as caught:
        open_file(tmp_path / "nothing")
    assert caught.value.filename == str(tmp_path / "nothing")


@pytest.mark.parametrize("size", [0, 1, 10])
def test_a_file_is_read_whole_or_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * size)
    assert read_file(path, 10) == b"x" * size
    with pytest.raises(FileError, match=f"at most {size - 1:,} bytes, got {size}"):
        read_file(path, size - 1)


@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a socket"])
def test_only_regular_files_are_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    ODD[kind](path)
    before = path.lstat()
    with pytest.raises(FileError, match=f"got {kind}"), atomic_file(path) as file:
        file.write(b"1")
    assert path.lstat().st_ino == before.st_ino and os.listdir(tmp_path) == ["x"]


def test_a_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "x").symlink_to("target")
    with atomic_file(tmp_path / "x", "w") as file:
        file.write("new")
    assert (tmp_path / "target").read_text() == "precious"
    assert not (tmp_path / "x").is_symlink() and (tmp_path / "x").read_text() == "new"


def test_a_written_file_has_the_mode_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "x") as part:
        part.write_text("1")
        part.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "x") as part:
        part.write_text("new")
        (part.parent / ".tmpABC").write_text("what a library writes beside it")
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_text() == "old"


def test_errors_of_the_system_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(OSError) as caught, atomic_path(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as caught, atomic_path(path) as part:
        (part.parent / "folder" / "file").write_text("1")
    assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as caught, atomic_path(path):
        open_file(tmp_path / "other")
    assert caught.value.filename == str(tmp_path / "other")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_names_the_file_that_is_appended_to() -> None:
    with pytest.raises(OSError) as caught:
        append(Path("/dev/full"), "x" * 100_000)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")


_KILLED = """
import os, signal, sys
from pathlib import Path
from anejax.paths import atomic_path

with atomic_path(Path(sys.argv[1])) as part:
    (part.parent / ".tmpXYZ").write_text("as safetensors does")
    print(part.parent, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def _writer(path: Path, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _KILLED, str(path), what]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)


def test_the_leavings_of_killed_writers_are_swept_and_those_of_live_ones_are_not(tmp_path: Path) -> None:
    with _writer(tmp_path / "live", "wait") as live:
        held = Path(live.stdout.readline().strip())  # it has begun, and swept before that
        with _writer(tmp_path / "dead", "die") as dead:
            assert dead.wait(60) == -9
            left = Path(dead.stdout.readline().strip())
        assert left.is_dir() and held.is_dir()
        with atomic_file(tmp_path / "other") as file:
            file.write(b"1")
        assert not left.exists() and held.is_dir()
        live.communicate("")
    assert live.returncode == 0 and sorted(os.listdir(tmp_path)) == ["live", "other"]


def test_scratch_directories_of_threads_do_not_sweep_each_other(tmp_path: Path) -> None:
    failed = []

    def work(name: str) -> None:
        for turn in range(30):
            try:
                with atomic_file(tmp_path / name, "w") as file:
                    file.write(str(turn))
            except BaseException as err:
                failed.append(err)

    threads = [threading.Thread(target=work, args=(f"file-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and sorted(os.listdir(tmp_path)) == [f"file-{i}" for i in range(4)]


def test_a_sweep_follows_no_link_and_takes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    where = tmp_path / "where"
    where.mkdir()
    (where / f".link{paths._SCRATCH}").symlink_to(tmp_path / "precious")
    (where / ".other.part").touch()
    sweep(where)
    sweep(tmp_path / "nowhere")
    assert (tmp_path / "precious" / "file").exists() and (where / ".other.part").exists()


def test_a_scratch_directory_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, swept = paths._lock, []

    def slow(handle: int) -> bool:
        if not swept:
            swept.append(handle)
            os.rmdir(next(tmp_path.iterdir()))
        return lock(handle)

    monkeypatch.setattr(paths, "_lock", slow)
    with scratch(tmp_path) as folder:
        assert swept and folder.is_dir()
    assert not os.listdir(tmp_path)


# ---- locks


def test_a_lock_keeps_the_content_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("mine")
    with locked(path):
        pass
    assert path.read_text() == "mine"


@pytest.mark.parametrize("dangling", [False, True])
def test_a_lock_does_not_follow_links(tmp_path: Path, dangling: bool) -> None:
    target = tmp_path / "target"
    if not dangling:
        target.write_text("precious")
    (tmp_path / ".lock").symlink_to(target)
    with pytest.raises(FileError, match=r"\.lock: expected a regular file, got a link"), locked(tmp_path / ".lock"):
        pass
    assert target.exists() != dangling and (dangling or target.read_text() == "precious")


@pytest.mark.parametrize("kind", ["a pipe"])
def test_a_lock_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    ODD[kind](tmp_path / ".lock")
    with pytest.raises(FileError, match=f"got {kind}"), locked(tmp_path / ".lock"):
        pass


def test_a_lock_excludes_and_ends_with_its_block(tmp_path: Path) -> None:
    waited = []
    with locked(tmp_path / ".lock"), pytest.raises(ZeroDivisionError), locked(tmp_path / ".lock", lambda: 1 // 0):
        pass
    with locked(tmp_path / ".lock", lambda: waited.append(1)):
        pass
    assert not waited
