"""Fourier transforms on the CPU device against numpy.fft, in process CPU time: ``python -m benchmarks.fft``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp

CASES = (
    ("fft", (2**20,)), ("rfft", (2**20,)), ("fft", (2**16,)), ("fft", (256, 4096)), ("fft", (4096, 256)),
    ("fft2", (512, 512)), ("fft", (10007,)), ("fft", (1000003,)), ("fft", (1024,)),
)  # fmt: skip


def best(function: Callable[..., Any], x: Any, rounds: int = 15) -> float:
    """The least CPU time of a call, over all threads, in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function(x)
        times.append(time.process_time() - start)
    return min(times) * 1e3


def main() -> None:
    rng = np.random.default_rng(0)
    for name, shape in CASES:
        real = rng.standard_normal(shape).astype(np.float32)
        x = real if name == "rfft" else (real + 1j * rng.standard_normal(shape)).astype(np.complex64)
        ours, device = aj.jit(getattr(jnp.fft, name)), jnp.asarray(x)
        ours(device)
        a, b = best(ours, device), best(getattr(np.fft, name), x)
        print(f"| {name} {list(shape)} | {a:.2f} ms | {b:.2f} ms | {a / b:.2f} |")


if __name__ == "__main__":
    main()
