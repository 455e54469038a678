"""Programs on points of three coordinates, anejax and jax interleaved in one process: bodies, and a likelihood.

    python -m benchmarks.few_coordinates [--rounds 11] [--calls 10]

Times are of the process' CPU, which other work on the machine changes little, and of the wall; the least of all rounds.
Both libraries must give the same results.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jax_numpy
import numpy as np

import anejax as aj
import anejax.numpy as anejax_numpy


class Library(NamedTuple):
    """One of the two."""

    root: Any
    numpy: Any


ANEJAX, JAX = Library(aj, anejax_numpy), Library(jax, jax_numpy)


def bodies(lib: Library, count: int = 256, steps: int = 20) -> Callable[[], Any]:
    """Leapfrog steps; forces are the gradient of the energy of all pairs."""
    lax, masses = lib.root.lax, np.linspace(0.5, 1, count, dtype=np.float32)

    def energy(places: Any) -> Any:
        apart = places[:, None] - places[None]
        return -0.5 * (masses[:, None] * masses[None] * lax.rsqrt((apart**2).sum(-1) + 0.01)).sum()

    def step(state: Any, _: Any) -> Any:
        places, speeds = state
        speeds = speeds - 0.01 * lib.root.grad(energy)(places) / masses[:, None]
        return (places + 0.01 * speeds, speeds), None

    run = lib.root.jit(lambda places: lax.scan(step, (places, 0 * places), None, length=steps)[0])
    places = lib.numpy.asarray(np.random.default_rng(1).standard_normal((count, 3)).astype(np.float32))
    return lambda: run(places)


def likelihood(lib: Library, points: int = 400) -> Callable[[], Any]:
    """The gradient of a Gaussian process' negative log likelihood in three parameters."""
    rng, np_ = np.random.default_rng(2), lib.numpy
    x, y = (np_.asarray(rng.standard_normal(s).astype(np.float32)) for s in ((points, 3), (points, 1)))

    def loss(p: Any) -> Any:
        apart = ((x[:, None] - x[None]) ** 2).sum(-1)
        kernel = p[0] * np_.exp(-0.5 * apart / p[1] ** 2) + (p[2] + 1e-3) * np_.eye(points)
        root = np_.linalg.cholesky(kernel)
        solved = lib.root.lax.linalg.triangular_solve(root, y, left_side=True, lower=True)
        return 0.5 * (solved**2).sum() + np_.log(np_.diag(root)).sum()

    gradient, p = lib.root.jit(lib.root.grad(loss)), np_.asarray([1.0, 1.0, 0.1])
    return lambda: gradient(p)


def best(run: Callable[[], Any], calls: int, wait: Callable[[Any], Any]) -> tuple[float, float]:
    """Seconds of the process and of the wall for one call."""
    wall, process = time.perf_counter(), time.process_time()
    for _ in range(calls):
        wait(run())
    return (time.process_time() - process) / calls, (time.perf_counter() - wall) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--calls", type=int, default=10)
    arguments = parser.parse_args()
    print(f"cpus {len(os.sched_getaffinity(0))}, load {os.getloadavg()[0]:.1f}")
    for make in (bodies, likelihood):
        ours, theirs = make(ANEJAX), make(JAX)
        for a, b in zip(aj.tree.leaves(ours()), jax.tree.leaves(theirs()), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-3 * float(np.abs(b).max()))
        pairs = [
            (best(ours, arguments.calls, lambda x: x), best(theirs, arguments.calls, jax.block_until_ready))
            for _ in range(arguments.rounds)
        ]
        for i, what in enumerate(("process", "wall")):
            mine, other = (1e3 * min(pair[side][i] for pair in pairs) for side in (0, 1))
            print(f"{make.__name__}, {what}: anejax {mine:.2f} ms, jax {other:.2f} ms, ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
