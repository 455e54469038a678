"""Training steps of anejax and jax, interleaved in one process, as ratios: median and spread.

    python benchmarks/versus_jax.py [--rounds 15] [--steps 5] [mlp cnn]

Both run float32 on the same weights, data and threads; a step is forward, loss, backward and the optimizer's update,
ended when loss and parameters are there. The losses must agree.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

ADAM = {"kind": "adam", "lr": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "wd": 0.0}


def normal(rng: Any, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def mlp_workload() -> Any:
    rng, dims, batch = np.random.default_rng(0), (784, 512, 512, 10), 128
    params = {}
    for i, (a, b) in enumerate(itertools.pairwise(dims)):
        params[f"l{i}.w"], params[f"l{i}.b"] = normal(rng, a, b, scale=(2 / a) ** 0.5), np.zeros(b, np.float32)
    return SimpleNamespace(name="mlp", model="mlp", cfg={"dims": dims}, opt=ADAM, params=params, bn_state={},
                           x=normal(rng, batch, 784), y=rng.integers(0, 10, batch).astype(np.int32))  # fmt: skip


def cnn_workload() -> Any:
    rng, batch, params = np.random.default_rng(0), 64, {}
    for name, i, o in (("c0", 3, 32), ("c1", 32, 64), ("c2", 64, 128), ("c3", 128, 128)):
        params[name + ".w"] = normal(rng, o, i, 3, 3, scale=(2 / (9 * i)) ** 0.5)
        params[name + ".b"] = np.zeros(o, np.float32)
    for name, i, o in (("f0", 128, 256), ("f1", 256, 10)):
        params[name + ".w"], params[name + ".b"] = normal(rng, i, o, scale=(2 / i) ** 0.5), np.zeros(o, np.float32)
    return SimpleNamespace(
        name="cnn",
        model="cnn",
        cfg={},
        opt={**ADAM, "kind": "adamw", "wd": 1e-2},
        params=params,
        bn_state={},
        x=normal(rng, batch, 3, 32, 32),
        y=rng.integers(0, 10, batch).astype(np.int32),
    )


WORKLOADS = {"mlp": mlp_workload, "cnn": cnn_workload}


class JaxStepper:
    """The same step in jax and optax, donated and compiled ahead."""

    def __init__(self, w: Any, layout: str = "nhwc") -> None:
        import jax
        import jax.numpy as jnp
        import optax
        from jax import lax

        o = w.opt
        tx = (
            optax.adam(o["lr"], o["b1"], o["b2"], o["eps"])
            if o["kind"] == "adam"
            else optax.adamw(o["lr"], o["b1"], o["b2"], o["eps"], weight_decay=o["wd"])
        )

        def xent(logits: Any, y: Any) -> Any:
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1).mean()

        def mlp(p: Any, x: Any, y: Any) -> Any:
            n = len(w.cfg["dims"]) - 1
            for i in range(n):
                x = x @ p[f"l{i}.w"] + p[f"l{i}.b"]
                x = jax.nn.relu(x) if i < n - 1 else x
            return xent(x, y)

        def conv(p: Any, name: str, x: Any) -> Any:  # NHWC is XLA's faster layout on CPUs
            y = lax.conv_general_dilated(x, p[name + ".w"], (1, 1), [(1, 1)] * 2,
                                         dimension_numbers=("NHWC", "HWIO", "NHWC"))  # fmt: skip
            return jax.nn.relu(y + p[name + ".b"])

        def pool(x: Any) -> Any:
            return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

        def cnn(p: Any, x: Any, y: Any) -> Any:
            x = pool(conv(p, "c1", conv(p, "c0", x)))
            x = pool(conv(p, "c3", conv(p, "c2", x))).mean((1, 2))
            x = jax.nn.relu(x @ p["f0.w"] + p["f0.b"])
            return xent(x @ p["f1.w"] + p["f1.b"], y)

        loss = {"mlp": mlp, "cnn": cnn}[w.model]

        def step(p: Any, s: Any, x: Any, y: Any) -> Any:
            value, g = jax.value_and_grad(loss)(p, x, y)
            u, s = tx.update(g, s, p)
            return optax.apply_updates(p, u), s, value

        p = {k: jnp.asarray(v.transpose(2, 3, 1, 0) if v.ndim == 4 else v) for k, v in w.params.items()}
        x = jnp.asarray(w.x.transpose(0, 2, 3, 1) if w.x.ndim == 4 else w.x)
        self._data = (x, jnp.asarray(w.y))
        self._state = (p, tx.init(p))
        self._step = jax.jit(step, donate_argnums=(0, 1)).lower(*self._state, *self._data).compile()
        self._wait = jax.block_until_ready

    def step(self) -> float:
        out = self._wait(self._step(*self._state, *self._data))
        self._state = out[:2]
        return float(out[2])


def seconds(stepper: Any, steps: int) -> float:
    begun = time.perf_counter()
    for _ in range(steps):
        stepper.step()
    return (time.perf_counter() - begun) / steps


def compare(name: str, rounds: int, steps: int) -> None:
    from benchmarks.adapter import Stepper

    workload = WORKLOADS[name]()
    ours, theirs = Stepper(workload), JaxStepper(workload)
    for i in range(3):
        a, b = ours.step(), theirs.step()
        assert abs(a - b) < 1e-3 * max(1, abs(b)), f"losses differ at step {i}: {a} and {b}"
    pairs = [(seconds(ours, steps), seconds(theirs, steps)) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    mine, other = (statistics.median(column) * 1e3 for column in zip(*pairs))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4 - 1]
    print(f"{name}: anejax {mine:.2f} ms, jax {other:.2f} ms, ratio {statistics.median(ratios):.2f}", end=" ")
    print(f"(quartiles {low:.2f} to {high:.2f})")
    print(f"  trace {ours.info['trace_s']:.2f} s, compile {ours.info['compile_s']:.2f} s")
    print(f"  plan: {ours.plan.cost_analysis()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    print(f"cpus {len(os.sched_getaffinity(0))}, load {os.getloadavg()[0]:.1f}")
    for name in arguments.workloads:
        compare(name, arguments.rounds, arguments.steps)


if __name__ == "__main__":
    main()
