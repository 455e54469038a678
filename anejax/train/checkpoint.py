"""Checkpoints: the arrays of a pytree as safetensors, and everything else as a small JSON file, the index.

The index is written last and holds digests of both files. So a checkpoint is complete or absent, and a changed byte is
noticed. The last two checkpoints are kept; if the newest is damaged, the one before it is used. Indexes of version 1
have no digest of themselves. They are read, and every field is checked for its range.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import safetensors
import safetensors.numpy

from anejax import paths, tree
from anejax.core.aval import type_text
from anejax.errors import AnejaxError, FileError
from anejax.foreign import sentence
from anejax.paths import atomic_file, atomic_path, open_file, read_file
from anejax.records import Between, Count, decode
from anejax.saving import read_arrays

_FORMAT = "anejax checkpoint"
_VERSION = 2
_KEEP = 2
_MOST_INDEX = 1 << 26  # bytes: the curve of ten million steps
_LEFTOVERS = (".step-*.part", ".tmp??????")  # files of killed writers, before writers had scratch directories
_Sha256 = Annotated[str, Between(64, 64)]


class CheckpointError(AnejaxError):
    """A checkpoint cannot be written, is not there, is damaged, or is of something else."""


@dataclass(frozen=True)
class _Facts:
    """The index's facts about the file of arrays."""

    bytes: Count
    sha256: _Sha256


@dataclass(frozen=True)
class _Index:
    """The content of an index."""

    format: str
    version: Annotated[int, Between(1, _VERSION)]
    step: Annotated[int, Between(0, 10**15)]
    tensors: _Facts
    record: dict[str, Any]
    sha256: _Sha256


def save(
    directory: Path, step: int, state: Any, record: dict[str, Any], names: Sequence[str] | None = None
) -> None:  # fmt: skip
    """Writes ``state`` (a pytree of arrays) and ``record`` (JSON values) as the checkpoint of ``step``.

    ``names`` are those of the leaves, if they have better ones than their places in the tree (``train.naming``).
    """
    arrays = dict(zip(names or places(state), map(_array, tree.leaves(state)), strict=True))
    tensors, index = _files(directory, step)
    try:
        with atomic_path(tensors) as part:
            safetensors.numpy.save_file(arrays, part)
        facts = {"bytes": tensors.stat().st_size, "sha256": _digest(tensors)}
        head = {"format": _FORMAT, "version": _VERSION, "step": step, "tensors": facts}
        with atomic_file(index) as file:
            file.write(_encode({**head, "record": record}))
    except (OSError, safetensors.SafetensorError) as err:
        where, reason = getattr(err, "filename", None) or tensors, getattr(err, "strerror", None) or err
        raise CheckpointError(
            f"[checkpoint] cannot write {where}: {reason}. The last good checkpoint is untouched."
        ) from err
    _forget_others(directory, index)


def exists(directory: Path) -> bool:
    """Whether ``directory`` holds a checkpoint, good or not."""
    return bool(_indexes(directory))


def newest(directory: Path, warn: Callable[[str], None]) -> Path:
    """The newest checkpoint that is whole; ``warn`` hears of damaged ones that were passed over."""
    indexes = _indexes(directory)
    if not indexes:
        raise CheckpointError(f"[checkpoint] {directory} holds no checkpoint.")
    problems = []
    for index in reversed(indexes):
        try:
            _check(index)
        except CheckpointError as err:
            problems.append(str(err))
            continue
        for problem in problems:
            warn(f"{problem} Taking {index.name} instead.")
        return index
    raise CheckpointError("\n".join(problems))


def sweep(directory: Path) -> None:
    """Removes what killed writers left in ``directory``; nobody else may write checkpoints there meanwhile."""
    paths.sweep(directory)
    for path in itertools.chain(*map(directory.glob, _LEFTOVERS)):
        if path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()


def record(index: Path) -> dict[str, Any]:
    """The data that was stored beside the arrays."""
    return _read_index(index).record


def read(index: Path) -> tuple[int, dict[str, Any]]:
    """The step of a checkpoint, and the other data beside the arrays."""
    found = _read_index(index)
    return found.step, found.record


def load(index: Path, like: Any, whole: bool = True, names: Sequence[str] | None = None) -> Any:
    """The tree of NumPy arrays in the checkpoint, which must have the leaves, shapes and dtypes of ``like``, and unless
    ``whole`` is false no others.

    The arrays have the given ``names`` or those of their places; in files of older versions, places as Python writes
    them.
    """
    _check(index)
    tensors = index.with_suffix(".safetensors")
    try:
        arrays, _ = read_arrays(tensors)
    except FileError as err:
        raise CheckpointError(f"[checkpoint] {err}") from err
    leaves, treedef = tree.flatten(like)
    known = [n for n in (names, places(like), _written_places(like)) if n]
    names = next((n for n in known if arrays.keys() >= {*n}), known[0])
    _compare(index, dict(zip(names, leaves)), arrays if whole else {n: a for n, a in arrays.items() if n in names})
    return tree.unflatten(treedef, [arrays[name] for name in names])


def _compare(index: Path, expected: dict[str, Any], got: dict[str, np.ndarray]) -> None:
    for name, leaf in expected.items():
        if name not in got:
            raise CheckpointError(
                f"[checkpoint] {index}: expected {name} {type_text(leaf)}, which is not there."
                " It is a checkpoint of another model or optimizer."
            )
        if type_text(leaf) != type_text(got[name]):
            raise CheckpointError(
                f"[checkpoint] {index}: expected {name} {type_text(leaf)}, got {type_text(got[name])}."
                " It is a checkpoint of another model or optimizer."
            )
    if extra := [name for name in got if name not in expected]:
        raise CheckpointError(
            f"[checkpoint] {index}: {extra[0]} {type_text(got[extra[0]])} is unexpected"
            f" ({len(extra)} in all). It is a checkpoint of another model or optimizer."
        )


def _check(index: Path) -> None:
    """Raises CheckpointError unless both files are whole."""
    facts = _read_index(index).tensors
    tensors = index.with_suffix(".safetensors")
    try:
        size = tensors.stat().st_size
        if size != facts.bytes:
            raise CheckpointError(f"[checkpoint] {tensors} is damaged: expected {facts.bytes} bytes, got {size}.")
        if _digest(tensors) != facts.sha256:
            raise CheckpointError(
                f"[checkpoint] {tensors} is damaged: its sha256 differs from the one in {index.name}."
            )
    except OSError as err:
        raise CheckpointError(f"[checkpoint] cannot read {tensors}: {err.strerror or err}.") from err


def _read_index(index: Path) -> _Index:
    try:
        data = read_file(index, _MOST_INDEX)
        content = json.loads(data)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f"it is no index of a checkpoint.{sentence(index)}".removesuffix("."))
        if "sha256" in content and _encode(content) != data:
            raise ValueError("its content differs from its digest")
        if content.get("version") == 1:  # before indexes had a digest
            content.setdefault("sha256", "-" * 64)
        found = decode(_Index, content)
        if index.name != _files(index.parent, found.step)[1].name:
            raise ValueError(f"it is of step {found.step}")
        return found
    except OSError as err:
        raise CheckpointError(f"[checkpoint] cannot read {index}: {err.strerror or err}.") from err
    except (ValueError, RecursionError) as err:
        reason = "it is nested too deeply" if isinstance(err, RecursionError) else err
        raise CheckpointError(f"[checkpoint] {index} is damaged: {reason}.") from err


def _encode(content: dict[str, Any]) -> bytes:
    """The one text of an index, in which a digest of everything else comes last."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return json.dumps({**rest, "sha256": _digest_of(rest)}, indent=1).encode()


def _digest_of(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _files(directory: Path, step: int) -> tuple[Path, Path]:
    stem = directory / f"step-{step:09d}"
    return stem.with_suffix(".safetensors"), stem.with_suffix(".json")


def _indexes(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*.json"))


def _forget_others(directory: Path, newest: Path) -> None:
    """Keeps ``newest`` and the one before it.

    A later one is of a run that was resumed before it, because it was damaged.
    """
    keep = {index.stem for index in [i for i in _indexes(directory) if i <= newest][-_KEEP:]}
    for path in [*_indexes(directory), *directory.glob("step-*.safetensors")]:
        if path.stem not in keep:
            with contextlib.suppress(OSError):
                path.unlink()


def places(state: Any) -> list[str]:
    """The path of each leaf: ``params/0/weight``, or in Python's form if two leaves have the same path."""
    names = [tree.keystr(path, simple=True, separator="/") for path, _ in tree.flatten_with_path(state)[0]]
    return names if len({*names}) == len(names) and all(names) else _written_places(state)


def _written_places(state: Any) -> list[str]:
    """The path of each leaf in Python's form: ``params[0]['weight']``."""
    return [path.removeprefix(".") for path in tree.paths(state)]


def _array(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, order="C")


def _digest(path: Path) -> str:
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
