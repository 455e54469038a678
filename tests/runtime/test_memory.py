"""Memory that programs share, and its way back to the system."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax.runtime import library


@aj.jit
def chain(x, w):
    for _ in range(4):
        x = jnp.tanh(x @ w)
    return x.sum()


def arena_bytes(f) -> int:
    return max(e.stats()["arena_bytes"] for e in f.executables())


def test_programs_of_many_sizes_keep_one_arena() -> None:
    aj.clear_caches()
    w = np.full((256, 256), 0.01, "f")
    for rows in range(4096, 5120, 64):
        chain(np.ones((rows, 256), "f"), w)
    largest = arena_bytes(chain)
    assert largest >= 4096 * 256 * 4
    assert library.idle_memory() <= 1.5 * largest  # one arena, rounded up, and some small blocks


def test_runs_at_the_same_time_have_memory_of_their_own() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(64, 64)).astype("f") * 0.1
    xs = [rng.normal(size=(n, 64)).astype("f") for n in (1, 7, 301, 1009, 2003, 4001)]
    expected = [float(chain(x, w)) for x in xs]
    barrier = threading.Barrier(4)

    def work(turn: int) -> list[float]:
        barrier.wait()
        return [float(chain(xs[(i + turn) % len(xs)], w)) for i in range(60)]

    with ThreadPoolExecutor(4) as pool:
        for turn, found in enumerate(pool.map(work, range(4))):
            np.testing.assert_allclose(found, [expected[(i + turn) % len(xs)] for i in range(60)], rtol=1e-5)


def test_clear_caches_gives_idle_memory_back() -> None:
    chain(np.ones((4096, 256), "f"), np.ones((256, 256), "f"))
    assert library.idle_memory() > 1 << 20
    aj.clear_caches()
    assert library.idle_memory() == 0
