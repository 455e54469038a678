"""The cost of one iteration of scan, while_loop and cond, in anejax and in jax, interleaved in one process.

    python -m benchmarks.control_flow [--rounds 11]

Each loop is one jitted program; its time is divided by its length. Both must give the same result.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jax_numpy
import numpy as np

import anejax as aj
import anejax.numpy as anejax_numpy
from anejax import lax, nn


@dataclass(frozen=True)
class Library:
    """One of the two, under the names that the loops use."""

    jit: Any
    lax: Any
    numpy: Any
    sigmoid: Any


ANEJAX = Library(aj.jit, lax, anejax_numpy, nn.sigmoid)
JAX = Library(jax.jit, jax.lax, jax_numpy, jax.nn.sigmoid)

BATCH, WIDTH = 32, 128


@dataclass(frozen=True)
class Loop:
    """`make(library)` gives a function of `arguments`, whose first one it may donate."""

    length: int
    make: Callable[[Library], Callable[..., Any]]
    arguments: tuple[np.ndarray, ...]
    donate: bool = False


def count_by_while(n: int) -> Callable[[Library], Callable[..., Any]]:
    return lambda lib: lambda i: lib.lax.while_loop(lambda c: c < n, lambda c: c + 1, i)


def count_by_scan(n: int) -> Callable[[Library], Callable[..., Any]]:
    return lambda lib: lambda i: lib.lax.scan(lambda c, _: (c + 1, c), i, None, length=n)


def branch(n: int) -> Callable[[Library], Callable[..., Any]]:
    def make(lib: Library) -> Callable[..., Any]:
        def step(i: Any, c: Any) -> Any:
            return lib.lax.cond(i % 2 == 0, lambda c: c + 1, lambda c: c * 2, c)

        return lambda c: lib.lax.fori_loop(0, n, step, c)

    return make


def lstm(lib: Library) -> Callable[..., Any]:
    """Two products of [32, 128] by [128, 512], the gates, and h stacked."""

    def step(carry: Any, x: Any, w: Any, u: Any) -> Any:
        h, c = carry
        i, f, g, o = lib.numpy.split(x @ w + h @ u, 4, axis=-1)
        c = lib.sigmoid(f) * c + lib.sigmoid(i) * lib.numpy.tanh(g)
        h = lib.sigmoid(o) * lib.numpy.tanh(c)
        return (h, c), h

    return lambda h, c, w, u, xs: lib.lax.scan(lambda carry, x: step(carry, x, w, u), (h, c), xs)


def update(lib: Library) -> Callable[..., Any]:
    """One row of a table of a million elements is written in each iteration."""

    def step(table: Any, x: Any) -> Any:
        row = lib.numpy.broadcast_to(x, (1, 1024)).astype(table.dtype)
        return lib.lax.dynamic_update_slice(table, row, (x, 0)), None

    return lambda table, xs: lib.lax.scan(step, table, xs)[0]


def accumulate(lib: Library) -> Callable[..., Any]:
    """A million elements are read and written in each iteration."""
    return lambda total, xs: lib.lax.scan(lambda c, x: (c + x, None), total, xs)[0]


def loops() -> dict[str, Loop]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    zero, table = np.zeros((), np.int32), np.zeros((1024, 1024), np.float32)
    rows = rng.permutation(1024).astype(np.int32)
    weights = normal(WIDTH, 4 * WIDTH), normal(WIDTH, 4 * WIDTH)
    states = normal(BATCH, WIDTH), normal(BATCH, WIDTH)
    return {
        "counter, while": Loop(10000, count_by_while(10000), (zero,)),
        "counter, scan": Loop(10000, count_by_scan(10000), (zero,)),
        "counter, cond": Loop(10000, branch(10000), (zero,)),
        "LSTM": Loop(100, lstm, (*states, *weights, normal(100, BATCH, WIDTH))),
        "row of a 1M table": Loop(1024, update, (table, rows), donate=True),
        "sum of 1M elements": Loop(50, accumulate, (table, normal(50)), donate=True),
    }


def runner(lib: Library, loop: Loop) -> Callable[[], tuple[float, Any]]:
    """Runs the loop once: seconds in one iteration, and the result."""
    asarray = lib.numpy.asarray
    compiled = lib.jit(loop.make(lib), donate_argnums=(0,) if loop.donate else ())
    arguments = [asarray(a) for a in loop.arguments]

    def run() -> tuple[float, Any]:
        if loop.donate:
            arguments[0] = asarray(loop.arguments[0])
        jax.block_until_ready(arguments) if lib is JAX else None
        begun = time.perf_counter()
        out = compiled(*arguments)
        jax.block_until_ready(out) if lib is JAX else None
        return (time.perf_counter() - begun) / loop.length, out

    return run


def compare(name: str, loop: Loop, rounds: int) -> None:
    ours, theirs = runner(ANEJAX, loop), runner(JAX, loop)
    for a, b in zip(aj.tree.leaves(ours()[1]), jax.tree.leaves(theirs()[1]), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)
    pairs = [(ours()[0], theirs()[0]) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    mine, other = (statistics.median(column) * 1e6 for column in zip(*pairs))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4 - 1]
    print(f"{name:20} anejax {mine:9.3f} us, jax {other:9.3f} us, ratio {statistics.median(ratios):.2f}", end=" ")
    print(f"(quartiles {low:.2f} to {high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    print(f"cpus {len(os.sched_getaffinity(0))}, load {os.getloadavg()[0]:.1f}")
    for name, loop in loops().items():
        compare(name, loop, rounds)


if __name__ == "__main__":
    main()
