"""Bytes per second of optimizer updates on the CPU device, beside a stream copy of the same run.

    python -m benchmarks.optimizer_bandwidth [--megabytes 64] [--rounds 30]

An update reads gradient, parameter and moments once and writes parameter and moments once: 7 arrays for adamw, 5 for
sgd with momentum. The copy reads one array and writes one, by the same device and threads (a negation) and by NumPy.
Rounds are interleaved and the fastest of each counts, since the memory of a shared machine is only ever slowed down.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import optim, tree

OPTIMIZERS = {  # name -> (optimizer, arrays read and written)
    "adamw": (lambda: optim.adamw(1e-3, weight_decay=0.01), 7),
    "sgd momentum": (lambda: optim.sgd(1e-3, momentum=0.9), 5),
}


def arrays(count: int, size: int) -> dict[str, Any]:
    """``count`` float32 arrays that hold ``size`` numbers together."""
    rng = np.random.default_rng(0)
    return {str(i): aj.device_put(rng.standard_normal(size // count).astype(np.float32)) for i in range(count)}


def updater(opt: Any, params: Any) -> Callable[[], None]:
    """A call that makes one update in donated memory."""

    def step(p: Any, state: Any, grads: Any) -> Any:
        updates, state = opt.update(grads, state, p)
        return optim.apply_updates(p, updates), state

    jitted = aj.jit(step, donate_argnums=(0, 1))
    grads, held = tree.map(lambda p: p * 1e-3, params), [tree.map(lambda p: p + 0, params), opt.init(params)]

    def call() -> None:
        held[:] = jitted(*held, grads)

    return call


def copiers(size: int) -> dict[str, Callable[[], Any]]:
    """Copies of ``size`` numbers, by the device (in donated memory no page is touched first) and by NumPy."""
    x, out = np.ones(size, np.float32), np.empty(size, np.float32)
    held, source = [jnp.zeros(size)], aj.device_put(x)
    negate = aj.jit(lambda old, new: -new, donate_argnums=0)
    return {"copy, device": lambda: held.__setitem__(0, negate(held[0], source)),
            "copy, NumPy": lambda: np.copyto(out, x)}  # fmt: skip


def seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=64, help="of parameters")
    parser.add_argument("--parameters", type=int, default=4, help="arrays that hold them")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    size = given.megabytes * (1 << 20) // 4
    params = arrays(given.parameters, size)
    calls = {name: (updater(make(), params), count * 4 * size) for name, (make, count) in OPTIMIZERS.items()}
    calls |= {name: (call, 8 * size) for name, call in copiers(size).items()}
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(given.rounds):
        for name, (call, _) in calls.items():
            best[name] = min(best[name], seconds(call))
    rates = {name: calls[name][1] / best[name] / 1e9 for name in calls}
    floor = max(rate for name, rate in rates.items() if name.startswith("copy"))
    print(f"cpus {len(os.sched_getaffinity(0))}, load {os.getloadavg()[0]:.1f}; {given.megabytes} MB of parameters")
    for name, rate in rates.items():
        print(f"{name:14} {best[name] * 1e3:7.2f} ms  {rate:6.1f} GB/s  {rate / floor:4.0%} of the copy")


if __name__ == "__main__":
    main()
