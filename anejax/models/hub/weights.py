"""Maps weights in safetensors files into memory, and writes them in the same layout.

A folder has ``model.safetensors``, or several files and ``model.safetensors.index.json``, which tells the file of each
array. Mapped arrays take no memory until they are read, and the system may drop pages that were read. If someone
truncates a mapped file, the process that reads it ends; copy weights that others may change meanwhile.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from anejax.foreign import sentence
from anejax.models.hub.settings import ModelError, read_json
from anejax.paths import atomic_file, open_file

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_MOST_HEADER = 100_000_000  # bytes; safetensors has the same limit
_SHARD = 5 * 10**9  # bytes in a file that is written


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of a folder by name, mapped. Raises ModelError if they are damaged or not there; OSError."""
    if (folder / WHOLE).exists():
        return read(folder / WHOLE)
    if not (folder / INDEX).exists():
        raise ModelError(f"[models] {folder}: expected {WHOLE} or {INDEX}, which are not there.{_others(folder)}")
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(map(_is_file_name, places.values())):
        raise ModelError(f"[models] {folder / INDEX}: expected weight_map, from names of arrays to names of files.")
    found: dict[str, np.ndarray] = {}
    for name in sorted(set(places.values())):
        found |= read(folder / name)
    if missing := sorted(set(places) - set(found)):
        raise ModelError(f"[models] {folder}: expected {missing[0]} in {places[missing[0]]}, which has not got it.")
    return found


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one file by name, mapped. Raises ModelError if it is damaged; OSError."""
    with open_file(path) as file:
        try:
            safetensors.safe_open(path, "np").__enter__().keys()  # the library's own checks of the header
            length = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
            if length > min(size - 8, _MOST_HEADER):
                raise ValueError(f"its header has {length:,} bytes")
            header = json.loads(file.read(length))
            data = np.memmap(file, np.uint8, "r", 8 + length) if size > 8 + length else np.zeros(0, np.uint8)
            return {name: _array(name, facts, data) for name, facts in header.items() if name != "__metadata__"}
        except (OSError, MemoryError):
            raise
        except Exception as err:  # safetensors, JSON and NumPy raise many types of errors for a damaged header
            raise ModelError(f"[models] {path} is no file of safetensors, or damaged: {err}.{sentence(path)}") from None


def _array(name: str, facts: Any, data: np.ndarray) -> np.ndarray:
    if facts["dtype"] not in _DTYPES:
        raise ValueError(f"{name} is {facts['dtype']}, which is not read here; there are {', '.join(_DTYPES)}")
    dtype, shape = np.dtype(_DTYPES[facts["dtype"]]), facts["shape"]
    begin, end = facts["data_offsets"]
    if not 0 <= begin <= end <= len(data) or end - begin != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{name} lies from byte {begin:,} to {end:,} of {len(data):,}")
    return np.require(data[begin:end].view(dtype).reshape(shape), requirements="A")  # a copy if it is not aligned


def _is_file_name(name: Any) -> bool:
    """Whether it names a file of the folder itself."""
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name


def _others(folder: Path) -> str:
    """The other files in the folder, and advice on how to use them."""
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        return (
            " Files of pickle (.bin, .pt, .pth) may run any code and are not read: write them anew in transformers,"
            ' AutoModel.from_pretrained(...).save_pretrained("new folder").'
        )
    if gguf := sorted(folder.glob("*.gguf")):
        return f" There is {gguf[0].name}: give that file instead of the folder."
    return ""


def write(folder: Path, arrays: Mapping[str, np.ndarray], most: int = _SHARD) -> None:
    """Writes the arrays as transformers does: one file, or several of up to ``most`` bytes and an index.

    Raises OSError.
    """
    shards = list(_shards(arrays, most))
    if len(shards) == 1:
        _write_file(folder / WHOLE, shards[0])
        return
    files = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    for name, shard in zip(files, shards, strict=True):
        _write_file(folder / name, shard)
    places = {array: name for name, shard in zip(files, shards, strict=True) for array in shard}
    with atomic_file(folder / INDEX, "w") as file:
        total = sum(a.nbytes for a in arrays.values())
        json.dump({"metadata": {"total_size": total}, "weight_map": places}, file, indent=2)


def _write_file(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    # transformers asks for this entry: it says that matrices are laid out as PyTorch has them
    safetensors.numpy.save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path, {"format": "pt"})


def _shards(arrays: Mapping[str, np.ndarray], most: int) -> Iterator[dict[str, np.ndarray]]:
    shard: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if shard and sum(a.nbytes for a in shard.values()) + array.nbytes > most:
            yield shard
            shard = {}
        shard[name] = array
    yield shard
