"""Writes and reads pytrees of arrays as folders in Orbax's layout, which Flax programs write, by orbax-checkpoint."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from anejax import tree
from anejax.errors import FileError, MissingDependencyError

_MARK = "_METADATA"  # a file of each checkpoint of a tree
_INNER = ("default", "state", "params")  # folders in which managers of checkpoints write the tree of a step


def is_checkpoint(path: Path) -> bool:
    """Whether ``path`` is a folder in Orbax's layout, by its files."""
    return _folder(path) is not None


def _folder(path: Path) -> Path | None:
    return next((p for p in (path, *(path / name for name in _INNER)) if (p / _MARK).is_file()), None)


def read(path: Path) -> Any:
    """The tree in a folder: dictionaries and lists of NumPy arrays and numbers.

    Raises:
        FileError: the folder is damaged, or of no checkpoint.
        MissingDependencyError: orbax-checkpoint is not installed.
    """
    folder = _folder(path)
    if folder is None:
        raise FileError(f"[load] {path} is a folder without a checkpoint of Orbax.")
    ocp = _package()

    def restored() -> Any:
        checkpointer = ocp.PyTreeCheckpointer()
        found = checkpointer.metadata(folder.absolute())
        kinds = tree.map(lambda m: _how(ocp, m), found.item_metadata.tree, is_leaf=lambda m: hasattr(m, "dtype"))
        return checkpointer.restore(folder.absolute(), restore_args=kinds)

    return _guarded(restored, f"[load] {path} is no whole checkpoint of Orbax")


def write(path: Path, values: Any, array: Callable[[Any], np.ndarray]) -> None:
    """Writes a tree as a new folder; nodes that are no dictionaries, lists or tuples become dictionaries by field.

    ``array`` makes a NumPy array of a leaf.

    Raises:
        FileError: there is something at ``path``, an array has no elements, or the folder cannot be written.
        MissingDependencyError: orbax-checkpoint is not installed.
    """
    if path.exists():
        raise FileError(f"[save] {path}: expected a new path, but it is there already; remove it or choose another.")
    ocp, plain = _package(), _plain(values, array)
    _guarded(lambda: ocp.PyTreeCheckpointer().save(path.absolute(), plain), f"[save] {path} cannot be written")


def _how(ocp: Any, metadata: Any) -> Any:
    """Arrays are to be NumPy's, whatever device they were on; everything else is as it was."""
    return ocp.RestoreArgs(restore_type=np.ndarray) if hasattr(metadata, "shape") else ocp.RestoreArgs()


def _plain(node: Any, array: Callable[[Any], np.ndarray]) -> Any:
    children = tree.flatten_with_path(node, is_leaf=lambda child: child is not node)[0]
    if node is None:
        return None
    if len(children) == 1 and not children[0][0]:
        return array(node)
    if type(node) in (list, tuple):
        return [_plain(child, array) for child in node]
    return {tree.keystr(path, simple=True): _plain(child, array) for path, child in children}


def _package() -> Any:
    if type(sys.modules.get("jax")).__name__ == "Standin":
        raise MissingDependencyError("[orbax] Orbax needs jax itself, and after anejax.compat.install() there is none.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("orbax.checkpoint")
    except ImportError as err:
        raise MissingDependencyError(
            f"[orbax] the layout is written and read by the package orbax-checkpoint: {err}. Run"
            " pip install orbax-checkpoint, or save a file of safetensors."
        ) from err


def _guarded(call: Callable[[], Any], trouble: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except MemoryError:
        raise
    except Exception as err:  # Orbax and TensorStore raise many types of errors
        raise FileError(f"{trouble}: {type(err).__name__}: {str(err).splitlines()[0] if str(err) else ''}") from err
