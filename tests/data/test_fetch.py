"""Downloads, npm and archives, with a server and archives of our own."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import random
import stat
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from anejax.data import fetch

CONTENT = bytes(range(256)) * 512
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        body = CONTENT + b"more" if self.path == "/long" else CONTENT
        if self.path == "/other":
            body = CONTENT[::-1]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/short" else body)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def download(url: str, path: Path) -> list[int]:
    seen: list[int] = []
    fetch.download(url, path, len(CONTENT), DIGEST, lambda what, done, total: seen.append(done))
    return seen


def test_download_writes_the_file_and_reports(server: str, tmp_path: Path) -> None:
    seen = download(f"{server}/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/gone", "404"),
        ("/short", f"expected {len(CONTENT)} bytes"),
        ("/long", "got more"),
        ("/other", "expected sha256"),
    ],
)
def test_a_bad_download_leaves_nothing(server: str, tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(fetch.FetchError, match=message):
        download(server + path, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError):
        download("http://127.0.0.1:9/file", tmp_path / "file")


def archive(path: Path, *members: tuple[str, bytes], change=lambda info: None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_members_are_found_by_base_name_and_others_skipped(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tgz", ("x/skip", b"12345"), ("x/one", b"1"), ("../../two", b"22"))
    assert dict(fetch.read_members(path, {"one": 1, "two": 2})) == {"one": b"1", "two": b"22"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    def link(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0

    path = archive(tmp_path / "a.tgz", ("one", b""), change=link)
    with pytest.raises(fetch.FetchError, match="has no one"):
        dict(fetch.read_members(path, {"one": 10}))


def test_an_oversized_member_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tgz", ("one", b"12"))
    with pytest.raises(fetch.FetchError, match="one has 2 bytes, expected at most 1"):
        dict(fetch.read_members(path, {"one": 1}))


def test_a_bomb_goes_off_early(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    with gzip.open(path, "wb") as file:
        info = tarfile.TarInfo("bomb")
        info.size = 1 << 33
        file.write(info.tobuf())
        for _ in range(1 << 7):
            file.write(bytes(1 << 20))
    with pytest.raises(fetch.FetchError, match="unpacks to more"):
        dict(fetch.read_members(path, {"one": 1}))


def test_damaged_archives(tmp_path: Path) -> None:
    good = archive(tmp_path / "a.tgz", ("one", os.urandom(5000))).read_bytes()
    bad = tmp_path / "bad.tgz"
    rng = random.Random(0)
    for cut in [0, 1, 100, 2000, len(good) // 2]:
        bad.write_bytes(good[:cut])
        with pytest.raises(fetch.FetchError):
            dict(fetch.read_members(bad, {"one": 5000}))
    for _ in range(200):  # any damage gives the content or a FetchError, never anything else
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        bad.write_bytes(data)
        with contextlib.suppress(fetch.FetchError):
            dict(fetch.read_members(bad, {"one": 5000}))


def fake_npm(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = directory / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def pack(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return fetch.npm_pack("thing@1.0.0", directory, len(CONTENT), DIGEST)


def test_npm_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    script = f'[ "$1 $2" = "pack thing@1.0.0" ] && cp {tmp_path}/content thing-1.0.0.tgz'
    fake_npm(tmp_path, script, monkeypatch)
    assert pack(tmp_path / "to").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no such package >&2; exit 3", "npm ended with 3: no such package"),
        ("true", "left no archive"),
        ("echo other > thing.tgz", "expected 131072 bytes"),
        ("sleep 60 & sleep 60", "did not finish within"),
    ],
)
def test_npm_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    fake_npm(tmp_path, script, monkeypatch)
    monkeypatch.setattr(fetch, "_NPM_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(fetch.FetchError, match=message):
        pack(tmp_path / "to")
    assert time.monotonic() - start < 20


def test_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(fetch.FetchError, match="npm is not installed"):
        pack(tmp_path / "to")
