"""A training step of the character LSTM in anejax and in jax, interleaved in one process.

    python -m benchmarks.lstm_versus_jax [--rounds 11] [--steps 2]

Embedding, one LSTM layer by scan, a linear layer, cross-entropy, clipping to norm 1 and Adam, float32, the same
weights, data and threads; jax 0.10.2 jitted with donation. The losses must agree.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np

import anejax as aj
from anejax import optim, random, tree
from anejax.models.chars import CharLSTM
from anejax.train import language

VOCABULARY, HIDDEN, BATCH, LENGTH = 65, 256, 32, 100


def flop() -> float:
    """Of the products of one step: forward, and twice as much backward."""
    per_character = 2 * (HIDDEN * 4 * HIDDEN + HIDDEN * 4 * HIDDEN + HIDDEN * VOCABULARY)
    return 3.0 * BATCH * LENGTH * per_character


def optimizer(library: Any) -> Any:
    return library.chain(library.clip_by_global_norm(1.0), library.adam(1e-3))


def ours(params: Any, x: Any, y: Any) -> Any:
    """A call that makes one step in anejax and returns its loss."""
    tx = optimizer(optim)
    step = language.train_step(CharLSTM(VOCABULARY, HIDDEN), tx)
    held = [language.TrainState(tree.map(aj.device_put, params), tx.init(params))]

    def call() -> float:
        held[0], metrics = step(held[0], x, y)
        return float(metrics["loss"])

    return call


def theirs(params: Any, x: Any, y: Any) -> Any:
    """The same in jax."""
    import jax
    import jax.numpy as jnp
    import optax

    tx = optimizer(optax)

    def loss(p: Any) -> Any:
        embedding, lstm, out = p

        def cell(carry: Any, i: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(i + h @ lstm["u"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        inputs = jnp.swapaxes(embedding["w"][x] @ lstm["w"] + lstm["b"], 0, 1)
        zero = jnp.zeros((BATCH, HIDDEN))
        hs = jnp.swapaxes(jax.lax.scan(cell, (zero, zero), inputs)[1], 0, 1)
        return optax.softmax_cross_entropy_with_integer_labels(hs @ out["w"] + out["b"], y).mean()

    def step(p: Any, state: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(p)
        updates, state = tx.update(grads, state, p)
        return optax.apply_updates(p, updates), state, value

    p = jax.tree.map(jnp.asarray, params)
    held = [(p, tx.init(p))]
    jitted = jax.jit(step, donate_argnums=(0, 1))

    def call() -> float:
        *state, value = jax.block_until_ready(jitted(*held[0]))
        held[0] = tuple(state)
        return float(value)

    return call


def seconds(call: Any, steps: int) -> float:
    begun = time.perf_counter()
    for _ in range(steps):
        call()
    return (time.perf_counter() - begun) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    x, y = np.random.default_rng(0).integers(0, VOCABULARY, (2, BATCH, LENGTH)).astype(np.int32)
    params, _ = CharLSTM(VOCABULARY, HIDDEN).init(random.key(0), x)
    params = tree.map(np.asarray, params)
    mine, other = ours(params, x, y), theirs(params, x, y)
    for i in range(3):
        a, b = mine(), other()
        assert abs(a - b) < 1e-3 * b, f"losses differ at step {i}: {a} and {b}"
    pairs = [(seconds(mine, given.steps), seconds(other, given.steps)) for _ in range(given.rounds)]
    ratios = sorted(a / b for a, b in pairs)
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4 - 1]
    a, b = (statistics.median(column) * 1e3 for column in zip(*pairs))
    print(f"cpus {len(os.sched_getaffinity(0))}, load {os.getloadavg()[0]:.1f}; {flop() / 1e9:.1f} GFLOP of products")
    print(f"anejax {a:.1f} ms, jax {b:.1f} ms, ratio {statistics.median(ratios):.2f}", end=" ")
    print(f"(quartiles {low:.2f} to {high:.2f}); fastest {min(p[0] for p in pairs) * 1e3:.1f} and"
          f" {min(p[1] for p in pairs) * 1e3:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
