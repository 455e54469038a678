"""``save`` and ``load``: a pytree of arrays in one safetensors file, or in Orbax's layout.

Each array has the name of its path in the tree, such as ``blocks.3.weight``, so any reader of safetensors finds it. The
file's metadata holds the structure of the tree.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from anejax import dtypes, orbax, tree
from anejax.core.array import from_numpy
from anejax.core.aval import type_text
from anejax.core.trace import concrete_array
from anejax.errors import AnejaxError, DtypeError, FileError, TreeError
from anejax.foreign import sentence
from anejax.paths import atomic_path, open_file
from anejax.random.keys import KeyArray
from anejax.tree import PyTree

_STRUCTURE = "anejax_tree"  # key in the metadata
_DEEPEST = 200  # levels of a structure in a file: what nests deeper is no tree that a program made


def save(path: str | os.PathLike[str], tree: PyTree, *, layout: str = "safetensors") -> None:
    """Writes a tree of arrays to ``path``, as safetensors; the file appears as a whole or not at all.

    Args:
        path: the file, by convention ``*.safetensors``; one that is there is replaced, and folders are made.
        tree: dictionaries with keys that are strings or integers, lists, tuples and None, of arrays and numbers of any
            dtype except complex128, and typed keys. Other nodes, such as named tuples and dataclasses, are
            written as well; ``load`` then needs ``like``.
        layout: "safetensors", or "orbax" for a new folder in Orbax's layout, which Flax programs read; the package
            orbax-checkpoint writes it.

    Raises:
        ValueError: ``layout`` is another. MissingDependencyError: orbax-checkpoint is not installed.
        DtypeError: a leaf is no array, or complex128. TreeError: a dictionary has other keys. FileError, OSError: the
            file cannot be written.

    Example:
        >>> import os, tempfile
        >>> import anejax as aj, anejax.numpy as jnp
        >>> path = os.path.join(tempfile.mkdtemp(), "params.safetensors")
        >>> aj.save(path, {"dense": {"weight": jnp.ones((2, 3)), "bias": jnp.zeros(3)}, "step": 7})
        >>> aj.load(path)["dense"]["bias"]
        Array([0., 0., 0.], dtype=float32)
    """
    if layout not in ("safetensors", "orbax"):
        raise ValueError(f"[save] expected layout safetensors or orbax, got {layout!r}.")
    names, _, _ = _flatten(tree)
    if layout == "orbax":
        return orbax.write(Path(path), tree, lambda leaf: _array("a leaf", leaf))
    write(Path(path), tree, names)


def write(path: Path, of: PyTree, names: list[str]) -> None:
    """``save`` with a name for each leaf, all of them distinct. A tree with nodes of classes has its own names, since
    ``load`` knows no places in such a tree."""
    own, leaves, _ = _flatten(of)
    structure = json.dumps(_structure(of, iter(names)))
    if '{"class ' in structure:
        names, structure = own, json.dumps(_structure(of, iter(own)))
    arrays = {name: _array(name, leaf) for name, leaf in zip(names, leaves, strict=True)}
    with atomic_path(path) as part:
        try:
            safetensors.numpy.save_file(arrays, part, metadata={_STRUCTURE: structure})
        except safetensors.SafetensorError as err:
            raise FileError(f"[save] {os.fspath(path)} cannot be written: {err}.") from err


def load(path: str | os.PathLike[str], like: PyTree = None) -> PyTree:
    """The tree of arrays in a file of safetensors, or in a folder in Orbax's layout.

    Args:
        path: a file or a folder that ``save`` or another program wrote.
        like: a tree of arrays or ShapeDtypeStructs. The result has its structure, and the shapes and dtypes must be
            those of its leaves. Without it, the result has the structure that ``save`` wrote; a file of another
            program gives a dictionary by name.

    Raises:
        FileError: the file is no whole file of safetensors, or its structure does not fit its arrays. TreeError:
            ``like`` has other leaves, or is needed. OSError: the file cannot be read.
    """
    where = f"[load] {os.fspath(path)}"
    if Path(path).is_dir() and orbax.is_checkpoint(Path(path)):
        return _of_orbax(where, orbax.read(Path(path)), like)
    arrays, metadata = read_arrays(Path(path))
    if like is not None:
        return _like(where, _by_places(arrays, metadata), like)
    held = {name: _own(where, name, a) for name, a in arrays.items()}
    text = metadata.get(_STRUCTURE)
    if text is None:
        return held
    try:
        return _build(json.loads(text), held, 0)
    except AnejaxError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise FileError(f"{where}: its tree does not fit its arrays: {type(err).__name__}: {err}.") from err


def _of_orbax(where: str, found: Any, like: PyTree) -> Any:
    """Dictionaries and lists of arrays, or the structure of ``like``."""
    names, leaves, treedef = _flatten(found)
    arrays = dict(zip(names, map(np.asarray, leaves), strict=True))
    if like is not None:
        return _like(where, arrays, like)
    return tree.unflatten(treedef, [_own(where, name, a) for name, a in arrays.items()])


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays by name, metadata) of a file of safetensors. Raises FileError if it is none, or damaged; OSError."""
    open_file(path).close()  # a device or a pipe may have no end
    try:
        with safetensors.safe_open(path, "np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, MemoryError):
        raise
    except Exception as err:  # safetensors and NumPy raise many types of errors for a damaged header
        raise FileError(
            f"[file] {path} is no file of safetensors: {type(err).__name__}: {err}.{sentence(path)}"
        ) from err


def _by_places(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> dict[str, np.ndarray]:
    """The arrays by their places in the tree that ``write`` was given, where the file tells them all."""
    try:
        told = _build(json.loads(metadata.get(_STRUCTURE, "null")), {name: name for name in arrays}, 0, str)
    except (AnejaxError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return arrays  # a tree with nodes of classes, whose arrays are named by places, or another program's metadata
    places, names, _ = _flatten(told)
    return {place: arrays[name] for place, name in zip(places, names)} if {*names} == arrays.keys() else arrays


def _own(where: str, name: str, array: np.ndarray) -> Any:
    """``array`` in the dtype that it has here: without 64-bit types, integers that fit 32 bits, and float32."""
    narrow = np.require(array, dtypes.canonical(array.dtype), ["A", "C"])
    if narrow.dtype != array.dtype and dtypes.is_int(array.dtype) and (narrow != array).any():
        raise DtypeError(
            f"{where}: {name} has numbers beyond {dtypes.name(narrow.dtype)}. Turn 64-bit types on:"
            ' anejax.config.update("jax_enable_x64", True).'
        )
    return from_numpy(narrow)


def _is_key(node: Any) -> bool:
    return isinstance(node, KeyArray)


def _flatten(of: Any) -> tuple[list[str], list[Any], Any]:
    """(names, leaves, treedef); typed keys are leaves. A name is the leaf's place, with dots; where dots leave two
    leaves of one name, it is the place as Python would write it."""
    flat, treedef = tree.flatten_with_path(of, is_leaf=_is_key)
    names = [tree.keystr(path, simple=True, separator=".") for path, _ in flat]
    if len(set(names)) < len(names) or not all(names):
        names = [path or "value" for path in tree.paths(of, is_leaf=_is_key)]
    return names, [leaf for _, leaf in flat], treedef


def _array(name: str, leaf: Any) -> np.ndarray:
    if isinstance(leaf, KeyArray):
        leaf = leaf._words
    try:
        found = np.array(concrete_array(leaf).value, order="C", copy=None)
    except DtypeError as err:
        raise DtypeError(f"[save] {name}: {err}") from None
    if found.dtype == np.complex128:
        raise DtypeError(f"[save] {name}: expected a dtype of safetensors, got complex128.")
    return found


def _structure(node: Any, names: Iterator[str]) -> Any:
    """A JSON value: the name of a leaf, null, or an object with one entry, which is the kind of a node."""
    if node is None:
        return None
    if isinstance(node, KeyArray):
        return {"key": next(names)}
    if not tree.is_node(type(node)):
        return next(names)
    if type(node) is dict:
        for key in node:
            if type(key) not in (str, int):
                raise TreeError(
                    f"[save] expected keys that are strings or integers, got {key!r} ({type(key).__name__})."
                )
        children, keys = tree.flatten_one_level(node)  # in the order of the leaves
        return {"dict": [[key, _structure(child, names)] for key, child in zip(keys, children, strict=True)]}
    children, _ = tree.flatten_one_level(node)
    kind = type(node).__name__ if type(node) in (list, tuple) else f"class {type(node).__name__}"
    return {kind: [_structure(child, names) for child in children]}


def _build(structure: Any, arrays: dict[str, Any], depth: int, key: Any = KeyArray) -> Any:
    """The tree of ``structure``, with ``key`` of the words of each typed key."""
    if depth > _DEEPEST:
        raise ValueError(f"its tree is deeper than {_DEEPEST} levels")
    if structure is None:
        return None
    if isinstance(structure, str):
        return arrays[structure]
    ((kind, content),) = structure.items()
    if kind == "key":
        return key(arrays[content])
    if kind == "dict":
        return {name: _build(value, arrays, depth + 1, key) for name, value in content}
    children = (_build(value, arrays, depth + 1, key) for value in content)
    if kind.startswith("class "):
        raise TreeError(f"[load] the tree has a node of {kind}; give a tree of that structure: load(path, like=...).")
    return {"list": list, "tuple": tuple}[kind](children)


def _like(where: str, arrays: dict[str, np.ndarray], like: PyTree) -> Any:
    names, leaves, treedef = _flatten(like)
    if missing := [n for n in names if n not in arrays]:
        raise TreeError(f"{where} has no array {missing[0]!r}, which `like` has; it has {', '.join(list(arrays)[:8])}.")
    if extra := sorted(set(arrays) - set(names)):
        raise TreeError(f"{where} has an array {extra[0]!r}, which `like` has not.")
    found = []
    for name, leaf in zip(names, leaves, strict=True):
        words = isinstance(leaf, KeyArray)
        wanted = leaf._words if words else leaf if hasattr(leaf, "shape") else concrete_array(leaf)
        got = arrays[name]
        if got.shape != tuple(wanted.shape) or got.dtype != wanted.dtype:
            raise TreeError(f"{where}: expected {name} to be {type_text(wanted)}, as in `like`, got {type_text(got)}.")
        own = _own(where, name, got)
        found.append(KeyArray(own) if words else own)
    return tree.unflatten(treedef, found)
