"""The Stories networks against jax: training steps and greedy sampling, interleaved in one process.

``python -m benchmarks.stories [--sizes 260K 15M] [--rounds 7]`` prints times, ratios, work; ``--memory SIZE`` instead
trains that network alone for a few steps and prints its losses and the process's peak of resident memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import anejax as aj
from anejax import optim
from anejax.models.generate import generate
from anejax.models.llama import SIZES, Config, Llama
from anejax.train import language

STEPS = {"260K": (16, 256), "15M": (4, 256), "42M": (4, 256), "110M": (4, 256)}  # sequences, tokens in each
LR, B1, B2 = 1e-4, 0.9, 0.95


def batch_of(config: Config, size: str) -> tuple[np.ndarray, np.ndarray]:
    count, length = STEPS[size]
    stream = np.random.default_rng(0).integers(0, config.vocabulary, (count, length + 1)).astype(np.int32)
    return stream[:, :-1].copy(), stream[:, 1:].copy()


def start(size: str, remat: bool = False) -> tuple[Llama, Any]:
    model = Llama(SIZES[size], remat)
    init = aj.jit(lambda key: model.init(key, aj.ShapeDtypeStruct((1, 1), "int32"))[0])
    return model, init(aj.random.key(0))


def our_step(size: str, remat: bool = False) -> Callable[[], float]:
    """A function that makes one training step and returns its loss."""
    model, params = start(size, remat)
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(LR, B1, B2))
    step, batch = language.train_step(model, optimizer), batch_of(model.config, size)
    state = [language.TrainState(params, optimizer.init(params))]

    def run() -> float:
        state[0], metrics = step(state[0], *batch)
        return float(metrics["loss"])

    return run


def jax_step(size: str) -> Callable[[], float]:
    import jax
    import optax

    from benchmarks import llama_jax

    config, batch = SIZES[size], batch_of(SIZES[size], size)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(LR, B1, B2))

    def step(params: Any, opt_state: Any, tokens: Any, targets: Any) -> Any:
        value, grads = jax.value_and_grad(partial(llama_jax.loss, config))(params, tokens, targets)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    params = jax.tree.map(lambda w: jax.numpy.array(np.asarray(w)), start(size)[1])
    compiled, state = jax.jit(step, donate_argnums=(0, 1)), [(params, optimizer.init(params))]

    def run() -> float:
        *state[0], value = compiled(*state[0], *batch)
        return float(value)

    return run


def our_tokens(size: str) -> Callable[[], int]:
    """A function that makes one token and returns it."""
    model, params = start(size)
    endless = (token for _ in iter(int, 1) for token in generate(model, params, [1], temperature=0))
    return partial(next, endless)


def jax_tokens(size: str) -> Callable[[], int]:
    import jax

    from benchmarks import llama_jax

    config = SIZES[size]
    params = jax.tree.map(lambda w: jax.numpy.array(np.asarray(w)), start(size)[1])
    step = jax.jit(partial(llama_jax.decode, config), donate_argnums=1)

    def tokens() -> Any:
        while True:
            cache, token = llama_jax.empty_cache(config), np.int32(1)
            for _ in range(config.length):
                cache, token = step(params, cache, token)
                yield int(token)

    return partial(next, tokens())


def seconds(call: Callable[[], Any], count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begun) / count


def compare(what: str, ours: Callable, theirs: Callable, rounds: int, count: int, tolerance: float) -> None:
    for _ in range(3):
        a, b = ours(), theirs()
        assert abs(a - b) <= tolerance * max(1, abs(b)), f"{what}: {a} and {b}"
    pairs = [(seconds(ours, count), seconds(theirs, count)) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    mine, other = (min(column) * 1e3 for column in zip(*pairs))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4 - 1]
    print(f"{what}: anejax {mine:.3f} ms, jax {other:.3f} ms at best; ratio {statistics.median(ratios):.2f}", end=" ")
    print(f"(quartiles {low:.2f} to {high:.2f})", flush=True)


def flops(size: str) -> tuple[float, float]:
    """GFLOP of the matrix products in a training step, and MB of weights that a token reads."""
    c, (count, length) = SIZES[size], STEPS[size]
    kv = c.features * c.kv_heads // c.heads
    layer = 2 * c.features**2 + 2 * c.features * kv + 3 * c.features * c.hidden
    weights = c.layers * layer + c.vocabulary * c.features
    attention = c.layers * 2 * length * c.features
    return 6 * count * length * (weights + attention) / 1e9, 4 * weights / 1e6


def memory(size: str, steps: int, remat: bool) -> None:
    step = our_step(size, remat)
    for i in range(steps):
        begun = time.perf_counter()
        loss, peak = step(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"step {i + 1}: loss {loss:.4f}, {time.perf_counter() - begun:.2f} s, peak {peak:.2f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["260K", "15M"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", choices=SIZES)
    parser.add_argument("--steps", type=int, default=4, help="with --memory")
    parser.add_argument("--remat", action="store_true", help="with --memory")
    arguments = parser.parse_args()
    if arguments.memory:
        memory(arguments.memory, arguments.steps, arguments.remat)
        return
    for size in arguments.sizes:
        gflop, megabytes = flops(size)
        print(f"{size}: {gflop:.1f} GFLOP in a step of {STEPS[size]}, {megabytes:.1f} MB of weights for a token")
        compare(f"  training step {size}", our_step(size), jax_step(size), arguments.rounds, 1, 1e-3)
        compare(f"  greedy token {size}", our_tokens(size), jax_tokens(size), arguments.rounds, 40, 0)


if __name__ == "__main__":
    main()
