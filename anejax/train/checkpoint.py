"""Checkpoints: the arrays of a tree as safetensors, everything else as a small JSON file beside them.

The JSON file is written last and holds the digest of the other, so a checkpoint is there as a whole or
not at all. The last two are kept: should the newest be damaged, the one before it is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from anejax import tree
from anejax.errors import AnejaxError
from anejax.paths import atomic_file, atomic_path

_FORMAT = "anejax checkpoint"
_VERSION = 1
_KEEP = 2


class CheckpointError(AnejaxError):
    """A checkpoint cannot be written, is not there, is damaged, or is of something else."""


def save(directory: Path, step: int, state: Any, record: dict[str, Any]) -> None:
    """Writes ``state`` (a pytree of arrays) and ``record`` (JSON values) as the checkpoint of ``step``."""
    arrays = dict(zip(_names(state), map(_array, tree.leaves(state))))
    tensors, index = _files(directory, step)
    try:
        with atomic_path(tensors) as part:
            safetensors.numpy.save_file(arrays, part)
        facts = {"bytes": tensors.stat().st_size, "sha256": _digest(tensors)}
        head = {"format": _FORMAT, "version": _VERSION, "step": step, "tensors": facts}
        with atomic_file(index, "w") as file:
            json.dump({**head, "record": record}, file, indent=1)
    except (OSError, safetensors.SafetensorError) as err:
        reason = getattr(err, "strerror", None) or err
        raise CheckpointError(
            f"[checkpoint] cannot write {tensors}: {reason}. The last good checkpoint is untouched."
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


def record(index: Path) -> dict[str, Any]:
    """What was stored beside the arrays."""
    return _read_index(index)["record"]


def load(index: Path, like: Any) -> Any:
    """The tree of NumPy arrays in the checkpoint, which must have the leaves, shapes and dtypes of ``like``."""
    _check(index)
    arrays = safetensors.numpy.load_file(index.with_suffix(".safetensors"))
    leaves, treedef = tree.flatten(like)
    names = _names(like)
    _compare(index, dict(zip(names, leaves)), arrays)
    return tree.unflatten(treedef, [arrays[name] for name in names])


def _compare(index: Path, expected: dict[str, Any], got: dict[str, np.ndarray]) -> None:
    for name, leaf in expected.items():
        if name not in got:
            raise CheckpointError(
                f"[checkpoint] {index}: expected {name} {_type(leaf)}, which is not there."
                " It is a checkpoint of another model or optimizer."
            )
        if _type(leaf) != _type(got[name]):
            raise CheckpointError(
                f"[checkpoint] {index}: expected {name} {_type(leaf)}, got {_type(got[name])}."
                " It is a checkpoint of another model or optimizer."
            )
    if extra := [name for name in got if name not in expected]:
        raise CheckpointError(
            f"[checkpoint] {index}: {extra[0]} {_type(got[extra[0]])} is unexpected"
            f" ({len(extra)} in all). It is a checkpoint of another model or optimizer."
        )


def _check(index: Path) -> None:
    """Raises CheckpointError unless both files are whole."""
    facts = _read_index(index)["tensors"]
    tensors = index.with_suffix(".safetensors")
    try:
        size = tensors.stat().st_size
        if size != facts["bytes"]:
            raise CheckpointError(f"[checkpoint] {tensors} is damaged: expected {facts['bytes']} bytes, got {size}.")
        if _digest(tensors) != facts["sha256"]:
            raise CheckpointError(
                f"[checkpoint] {tensors} is damaged: its sha256 differs from the one in {index.name}."
            )
    except OSError as err:
        raise CheckpointError(f"[checkpoint] cannot read {tensors}: {err.strerror}.") from err


def _read_index(index: Path) -> dict[str, Any]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except OSError as err:
        raise CheckpointError(f"[checkpoint] cannot read {index}: {err.strerror}.") from err
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"[checkpoint] {index} is damaged: {err}.") from err
    if not _well_formed(content):
        raise CheckpointError(f"[checkpoint] {index} is damaged, or not a checkpoint of version {_VERSION}.")
    return content


def _well_formed(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.get("format") == _FORMAT
        and content.get("version") == _VERSION
        and isinstance(content.get("record"), dict)
        and isinstance(content.get("tensors"), dict)
        and content["tensors"].keys() >= {"bytes", "sha256"}
    )


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


def _names(state: Any) -> list[str]:
    """How each leaf is reached, as Python would write it: ``params[0]['weight']``."""
    return [path.removeprefix(".") for path in tree.paths(state)]


def _array(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, order="C")


def _type(leaf: Any) -> str:
    return f"{np.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
