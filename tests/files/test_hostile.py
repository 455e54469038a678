"""Files that were changed at random: each format is read, or refused with its own error, and never anything else."""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anejax.cli import subject
from anejax.data import chars, fetch, tokenizer, tokens
from anejax.errors import AnejaxError, FileError, MilError
from anejax.mil import profile
from anejax.mil.program import Type
from anejax.mil.weights import read_weight, write_weights
from anejax.models import llama2c
from anejax.train import checkpoint
from tests.data.test_fetch import archive
from tests.data.test_tokenizer import make as make_tokenizer
from tests.files.test_paths import ODD
from tests.mil.test_mil_profile import SOUND
from tests.models.test_llama2c import write as write_llama2c

MIL = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 4]> x) {
        tensor<fp16, [1, 4]> y = mul(x = x, y = fp16(0x1p+1))[name = string("y")];
    } -> (y);
}
"""
WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)


class Format(NamedTuple):
    """How a sound file is made and read, and the error of one that is not sound."""

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    error: type[Exception]
    names_file: bool = True


def _checkpoint(directory: Path) -> Path:
    checkpoint.save(directory, 1, {"w": WEIGHTS}, {"config": {}, "journal": {}})
    return directory / "step-000000001"


def _sealed(path: Path) -> object:
    """The arrays of a checkpoint whose index vouches for whatever ``path`` holds."""
    index = _checkpoint(path.parent / "sealed").with_suffix(".json")
    content = json.loads(index.read_text())
    tensors = index.with_suffix(".safetensors")
    tensors.write_bytes(path.read_bytes())
    content["tensors"] = {"bytes": tensors.stat().st_size, "sha256": fetch.digest_of(tensors, "sha256")}
    index.write_bytes(checkpoint._encode(content))
    return checkpoint.load(index, {"w": WEIGHTS})


FORMATS = {
    "llama2c": Format(write_llama2c, llama2c.read, llama2c.Llama2cError),
    "tokenizer": Format(lambda p: make_tokenizer().write(p), tokenizer.read, tokenizer.TokenizerError),
    "tokens": Format(lambda p: np.arange(30, dtype="<u2").tofile(p), lambda p: tokens.read(p, 40), tokens.TokenError),
    "text": Format(lambda p: p.write_text("naïve 😀\r\n" * 3, encoding="utf-8"), chars.load, chars.TextError),
    "profile": Format(
        lambda p: p.write_text(json.dumps(SOUND.to_json())), lambda p: profile.parse(p.read_bytes(), str(p)), MilError
    ),
    "mil": Format(lambda p: p.write_text(MIL), subject.read, AnejaxError, names_file=False),
    "weights": Format(
        lambda p: p.write_bytes(write_weights([WEIGHTS])[0]),
        lambda p: read_weight(p.read_bytes(), 64, Type("fp32", (2, 3))),
        MilError,
        names_file=False,
    ),
    "safetensors": Format(
        lambda p: p.write_bytes(_checkpoint(p.parent / "made").with_suffix(".safetensors").read_bytes()),
        _sealed,
        checkpoint.CheckpointError,
        names_file=False,
    ),
    "archive": Format(
        lambda p: archive(p, ("a/one", b"1" * 700), ("two", b"22")),
        lambda p: dict(fetch.read_members(p, {"one": 700, "two": 2})),
        fetch.FetchError,
    ),
}  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, good: bytes) -> bytes:
    """``good`` with a few bits flipped, bytes replaced by extreme ones, pieces cut out, doubled or put in."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "word", "cut", "end", "double", "text"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "word":
                at -= at % 4
                word = draw(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 1 << 20]))
                data[at : at + 4] = word.to_bytes(4, "little", signed=True)
            case "cut":
                del data[at : at + draw(st.integers(1, 20))]
            case "end":
                del data[at:]
            case "double":
                data[at:at] = data[at : at + 200]
            case _:
                data[at:at] = draw(st.sampled_from([b"9" * 400, b"[" * 2000, b"1e999", b"\xff\xfe", b'"', b"\0" * 8]))
    return bytes(data)


@pytest.mark.parametrize("name", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    form, path = FORMATS[name], tmp_path / "file.mil"
    if not path.exists():
        form.make(path)
        form.read(path)
        (tmp_path / "good").write_bytes(path.read_bytes())
    path.write_bytes(data.draw(changed((tmp_path / "good").read_bytes())))
    with contextlib.suppress(form.error):
        form.read(path)


READERS: dict[str, Callable[[Path], Any]] = {
    "llama2c": llama2c.read,
    "tokenizer": tokenizer.read,
    "tokens": lambda p: tokens.read(p, 40),
    "tokens of a text": lambda p: tokens.load(p, make_tokenizer()),
    "text": chars.load,
    "mil": subject.read,
    "digest": lambda p: fetch.check_file(p, p.stat().st_size, "md5:0"),
    "archive": lambda p: dict(fetch.read_members(p, {"one": 1})),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a device"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str, kind: str) -> None:
    ODD[kind](tmp_path / "x")
    with pytest.raises((FileError, fetch.FetchError), match=f"x: expected a regular file, got {kind}"):
        READERS[name](tmp_path / "x")


@pytest.mark.parametrize("name", ["tokenizer", "text", "mil"])
def test_sizes_are_bounded(tmp_path: Path, name: str) -> None:
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(AnejaxError, match="expected at most"):
        READERS[name](tmp_path / "x")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(FileError, match="expected a path"):
        chars.load(name)


# ---- archives


def _member(info: tarfile.TarInfo, kind: bytes, **fields: Any) -> None:
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_regular_members_count(tmp_path: Path, kind: bytes) -> None:
    change = lambda info: _member(info, kind, linkname="/etc/passwd", size=0)  # noqa: E731
    path = archive(tmp_path / "a.tgz", ("one", b""), change=change)
    with pytest.raises(fetch.FetchError, match="has no one"):
        dict(fetch.read_members(path, {"one": 10}))


def test_absolute_and_climbing_names_write_nothing(tmp_path: Path) -> None:
    names = ("/tmp/../etc/one", "../" * 50 + "two")
    path = archive(tmp_path / "a.tgz", *((name, b"1") for name in names))
    assert dict(fetch.read_members(path, {"one": 1, "two": 1})) == {"one": b"1", "two": b"1"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


def test_headers_that_nest_without_end(tmp_path: Path) -> None:
    """tarfile reads the header behind an extended one by a call within a call."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    block = header.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")
    raw = tmp_path / "a.tar"
    raw.write_bytes(block * 20_000)
    path = tmp_path / "a.tgz"
    with fetch.gzip.open(path, "wb", 1) as file:
        file.write(raw.read_bytes())
    with pytest.raises(fetch.FetchError, match=r"a\.tgz is damaged"):
        dict(fetch.read_members(path, {"one": 1}))


def test_members_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_MOST_MEMBERS", 3)
    path = archive(tmp_path / "a.tgz", *((f"{i}", b"") for i in range(4)))
    with pytest.raises(fetch.FetchError, match="more than 3 members"):
        dict(fetch.read_members(path, {"one": 1}))
    path = archive(tmp_path / "b.tgz", ("one", b"1"), ("two", b""))
    assert dict(fetch.read_members(path, {"one": 1})) == {"one": b"1"}


@pytest.mark.parametrize("text", [b"[" * 100_000, b"[" + b"9" * 5000 + b"]", b"\xff", b"", b"[1,]"])
def test_json_that_is_none(text: bytes) -> None:
    with pytest.raises(ValueError):
        fetch.read_json(text)
