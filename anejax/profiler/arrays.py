"""Lists the arrays that hold memory, in pprof's format as jax does (github.com/google/pprof, proto/profile.proto)."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from anejax.api.devices import live_arrays
from anejax.paths import atomic_file


def device_memory_profile(backend: str | None = None) -> bytes:
    """The memory of all arrays that are alive, by type: a gzipped protocol buffer, for ``go tool pprof``.

    Arrays that share memory are counted once. ``backend`` is accepted for compatibility: there is one memory.
    """
    sizes: dict[int, tuple[str, int]] = {}
    for found in live_arrays(backend):
        sizes[found.unsafe_buffer_pointer()] = (f"array {found.aval.short()}", found.nbytes)
    return gzip.compress(_profile(Counter(sizes.values())))


def save_device_memory_profile(filename: str | Path, backend: str | None = None) -> None:
    """Writes the result of ``device_memory_profile`` to ``filename``."""
    with atomic_file(Path(filename)) as file:
        file.write(device_memory_profile(backend))


def _profile(arrays: Counter[tuple[str, int]]) -> bytes:
    """A Profile of two values, the number of arrays and their bytes, with one place for each type."""
    names = ["", "allocations", "count", "space", "bytes", *dict.fromkeys(name for name, _ in arrays)]
    place = {name: i for i, name in enumerate(names)}
    out = b"".join(_part(1, _number(1, kind) + _number(2, unit)) for kind, unit in ((1, 2), (3, 4)))
    for (name, nbytes), count in arrays.items():
        out += _part(2, _part(1, _varint(place[name])) + _part(2, _varint(count) + _varint(count * nbytes)))
    for name in names[5:]:
        i = place[name]
        out += _part(4, _number(1, i) + _part(4, _number(1, i)))  # a Location with a Line in a Function
        out += _part(5, _number(1, i) + _number(2, i))
    return out + b"".join(_part(6, n.encode()) for n in names)


def _varint(n: int) -> bytes:
    return bytes(_sevens(n))


def _sevens(n: int) -> Iterator[int]:
    while n >= 128:
        yield n % 128 + 128
        n //= 128
    yield n


def _number(field: int, n: int) -> bytes:
    return _varint(field << 3) + _varint(n)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
