"""Measures this machine's peak rates once. Profiles compare their rates with these."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.staging import jit
from anejax.core.context import base_trace, tracing
from anejax.paths import atomic_file, cache_dir, read_file
from anejax.runtime import library

PRODUCT = 1024  # rows and columns of the matrices that are multiplied
STREAM = 1 << 24  # floats that are read and written: more than caches hold
ROUNDS = 5
LEAST_SECONDS = 0.4  # for which each is repeated
MAX_BYTES = 4096  # of the file


@dataclass(frozen=True)
class Peak:
    """The best rates of the CPU device: GFLOP/s of a float32 product of matrices, GB/s of reading and writing."""

    gflops: float
    gbs: float


def peak(again: bool = False) -> Peak:
    """The machine's peak: from the cache if measured with this number of threads, else measured in about a second.

    Other work on the machine makes it low. With ``again`` it is measured anew, and the higher figures are kept.
    """
    path = _path()
    found = _read(path) if path.is_file() else None
    if found is not None and not again:
        return found
    measured = Peak(*_measured())
    if found is not None:
        measured = Peak(max(measured.gflops, found.gflops), max(measured.gbs, found.gbs))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(json.dumps(asdict(measured)).encode())
    return measured


def _path() -> Path:
    machine = f"{platform.node()} {platform.machine()} {platform.processor()} {library.num_threads()}"
    return cache_dir() / "profiles" / f"cpu-{sha256(machine.encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Peak | None:
    """The contents of a file, or None if it is damaged."""
    try:
        values = json.loads(read_file(path, MAX_BYTES))
        found = Peak(float(values["gflops"]), float(values["gbs"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if 0 < found.gflops < 1e9 and 0 < found.gbs < 1e9 else None


def _measured() -> tuple[float, float]:
    with tracing(base_trace()):
        x, y = jnp.ones((PRODUCT, PRODUCT), np.float32), jnp.ones(STREAM, np.float32)
        product = _best(jit(lambda x: x @ x), x)
        stream = _best(jit(lambda y: y + 1), y)
    return 2 * PRODUCT**3 / product * 1e-9, 2 * y.nbytes / stream * 1e-9


def _best(f: Callable[..., Any], x: Any) -> float:
    """Seconds of the fastest call."""
    f(x)
    begun, times = time.perf_counter(), list[float]()
    while len(times) < ROUNDS or time.perf_counter() - begun < LEAST_SECONDS:
        start = time.perf_counter()
        f(x)
        times.append(time.perf_counter() - start)
    return min(times)
