"""What Python costs: tracing and transforming a train step, and calling a jitted function, against jax.

    python -m benchmarks.front_end [--rounds 9]

Each function is written once, for either library. `trace` times `jit(step).trace(...)` of a function that is new each
time: the forward pass, value_and_grad and the update, down to the Graph (the jaxpr). `call` times calls of a jitted
function of many small leaves, which does next to nothing. Both libraries run in one process, interleaved; the figure
is the median of the ratios anejax / jax, with quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy
import numpy as np

import anejax as aj
import anejax.numpy

LIBRARIES = {"anejax": aj, "jax": jax}
Loss = Callable[..., Any]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape, scale=0.05).astype(np.float32)


def mlp(lib: Any) -> tuple[Loss, Any, tuple[Any, ...]]:
    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = lib.nn.relu(x @ w + b)
        w, b = params[-1]
        return -(lib.nn.log_softmax(x @ w + b) * lib.nn.one_hot(y, 10)).sum(-1).mean()

    params = [(normal(a, b), normal(b)) for a, b in ((784, 512), (512, 512), (512, 10))]
    return loss, params, (normal(128, 784), np.zeros(128, np.int32))


def transformer(lib: Any, layers: int = 12, width: int = 64, heads: int = 4) -> tuple[Loss, Any, tuple[Any, ...]]:
    xp = lib.numpy

    def norm(x: Any, gain: Any) -> Any:
        return x * lib.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * gain

    def attention(p: Any, x: Any) -> Any:
        b, t, d = x.shape
        q, k, v = ((x @ p[name]).reshape(b, t, heads, d // heads) for name in ("q", "k", "v"))
        scores = xp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(d // heads)
        scores = xp.where(xp.tril(xp.ones((t, t), bool)), scores, -1e9)
        return xp.einsum("bhqk,bkhd->bqhd", lib.nn.softmax(scores, -1), v).reshape(b, t, d) @ p["o"]

    def loss(params: Any, tokens: Any, targets: Any) -> Any:
        x = params["embedding"][tokens]
        for p in params["layers"]:
            x = x + attention(p, norm(x, p["norm1"]))
            h = norm(x, p["norm2"])
            x = x + (lib.nn.silu(h @ p["w1"]) * (h @ p["w3"])) @ p["w2"]
        logits = lib.nn.log_softmax(x @ params["embedding"].T, -1)
        return -xp.take_along_axis(logits, targets[..., None], -1).mean()

    square = dict.fromkeys(("q", "k", "v", "o"), (width, width))
    shapes = {**square, "w1": (width, 4 * width), "w3": (width, 4 * width), "w2": (4 * width, width)}
    layer = {k: normal(*s) for k, s in shapes.items()} | {"norm1": normal(width), "norm2": normal(width)}
    params = {"embedding": normal(128, width), "layers": [layer] * layers}
    return loss, params, (np.zeros((2, 16), np.int32), np.zeros((2, 16), np.int32))


def tracing(lib: Any, model: Callable[..., Any]) -> Callable[[], Any]:
    loss, params, batch = model(lib)

    def run() -> Any:
        def step(params: Any, momentum: Any, *batch: Any) -> Any:
            value, grads = lib.value_and_grad(loss)(params, *batch)
            momentum = lib.tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
            return lib.tree.map(lambda p, m: p - 0.1 * m, params, momentum), momentum, value

        return lib.jit(step).trace(params, params, *batch)

    return run


def calling(lib: Any, leaves: int, repeat: int) -> Callable[[], Any]:
    args = {f"w{i}": lib.numpy.ones((4, 4)) for i in range(leaves)}
    jitted = lib.jit(lambda tree: {k: v + 1 for k, v in tree.items()})

    def run() -> Any:
        for _ in range(repeat):
            out = jitted(args)
        return jax.block_until_ready(out) if lib is jax else out

    return run


CASES: dict[str, tuple[Callable[[Any], Callable[[], Any]], int]] = {  # name -> (what to time, calls in one timing)
    "trace mlp step": (lambda lib: tracing(lib, mlp), 1),
    "trace 12-layer transformer step": (lambda lib: tracing(lib, transformer), 1),
    "call, 1 leaf": (lambda lib: calling(lib, 1, 2000), 2000),
    "call, 20 leaves": (lambda lib: calling(lib, 20, 500), 500),
    "call, 200 leaves": (lambda lib: calling(lib, 200, 100), 100),
}


def timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"{'':32} {'anejax us':>11} {'jax us':>11} {'ratio':>6}  quartiles")
    for name, (make, calls) in CASES.items():
        runs = {key: make(lib) for key, lib in LIBRARIES.items()}
        for run in runs.values():
            run()
        times = [{key: timed(run) / calls * 1e6 for key, run in runs.items()} for _ in range(rounds)]
        ratios = [t["anejax"] / t["jax"] for t in times]
        low, _, high = statistics.quantiles(ratios, n=4)
        ours, theirs = (statistics.median(t[key] for t in times) for key in LIBRARIES)
        print(f"{name:32} {ours:11.1f} {theirs:11.1f} {statistics.median(ratios):6.2f}  {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
