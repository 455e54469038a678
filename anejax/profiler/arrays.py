"""Lists the arrays that hold memory, in pprof's format as jax does (github.com/google/pprof, proto/profile.proto)."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

from anejax.api.devices import live_arrays
from anejax.paths import atomic_file
from anejax.protobuf import number, part, varint


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
    out = b"".join(part(1, number(1, kind) + number(2, unit)) for kind, unit in ((1, 2), (3, 4)))
    for (name, nbytes), count in arrays.items():
        out += part(2, part(1, varint(place[name])) + part(2, varint(count) + varint(count * nbytes)))
    for name in names[5:]:
        i = place[name]
        out += part(4, number(1, i) + part(4, number(1, i)))  # a Location with a Line in a Function
        out += part(5, number(1, i) + number(2, i))
    return out + b"".join(part(6, n.encode()) for n in names)
