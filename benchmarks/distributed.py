"""Training steps by one process and by two on the same cores, what messages cost, and what more machines would take.

    python -m benchmarks.distributed [--rounds 5]     measures; starts mpiexec itself
    python -m benchmarks.distributed --links DIR      measures with the delays of slow links
    python -m benchmarks.distributed --model [--plot docs/distributed.png]     predicts, from the table STEPS

One process has both cores; of two, each has one. So with the same work in all, the step of two may take as long as that
of one, and what it takes longer is lost to messages and to waiting. The model is in ``predicted``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import optim
from anejax.models import cifar
from anejax.models.chars import CharLSTM
from anejax.ops import processes
from anejax.train import classify, language, parallel

SIZES = (8, 64 << 10, 1 << 20, 25_000_000)
# network -> (seconds of a step of one machine, MB of gradients). Of two cores: the demo network's 2,050 images a second
# in batches of 128 (docs/performance.md), and 4 x 256 and 1 x 256 tokens at two thirds of a peak of 462 GFLOP/s.
STEPS = {"CIFAR-10, demo": (0.062, 1.56), "stories15M": (0.31, 61.0), "stories110M": (0.56, 438.0)}
# name -> (bytes a second, seconds of a message). 10 GBASE-T and Thunderbolt with 90 % and 50 % of their bit rates.
NETWORKS = {
    "Ethernet 1 Gb/s": (0.112e9, 60e-6),
    "Ethernet 10 Gb/s": (1.12e9, 30e-6),
    "Thunderbolt 40 Gb/s": (2.5e9, 20e-6),
}


def predicted(
    step: float, nbytes: float, machines: int, bandwidth: float, latency: float, bucket: float = 25e6
) -> float:
    """Seconds of a step of ``machines``, each with as many examples as the one that takes ``step`` seconds.

    A sum of B bytes by a ring of M machines sends 2 (M - 1) / M B bytes through each, in 2 (M - 1) messages (Patarasu
    and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009). Messages travel during the
    backward pass, two thirds of the step, except the last bucket, which sets out at its end.
    """
    if machines == 1:
        return step
    buckets = max(1, round(nbytes / bucket))
    one = 2 * (machines - 1) / machines * nbytes / buckets / bandwidth + 2 * (machines - 1) * latency
    return step + max(one, buckets * one - 2 / 3 * step)


# of the networks that are run: bytes of gradients
GRADIENTS = {"LSTM, 32 x 64": 1.45e6, "CIFAR-10, demo, 64": 1.56e6, "MLP, 64": 50.3e6}


def _messages() -> dict[str, float]:
    """Median seconds of a sum of each size."""
    result = {}
    for size in SIZES:
        x = np.ones(size // 4, np.float32)
        times = [_timed(lambda x=x: processes.process_sum([x])) for _ in range(15)]
        result[str(size)] = statistics.median(times[3:])
    return result


def _timed(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _networks() -> Iterator[tuple[str, Callable[[], Any]]]:
    rng = np.random.default_rng(0)
    chars, adam = CharLSTM(65, 256), optim.adam(1e-3)
    tokens = rng.integers(0, 65, (32, 65), np.int32)
    params, _ = chars.init(aj.random.PRNGKey(0), tokens[:, :-1])
    held = [language.TrainState(params, adam.init(params))]
    step = language.train_step(chars, adam)
    yield "LSTM, 32 x 64", _stepping(step, held, tokens[:, :-1], tokens[:, 1:])
    model, sgd = cifar.demo(parallel.axis_name()), optim.sgd(0.01, momentum=0.9)
    images, labels = rng.normal(size=(64, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, 64, np.int32)
    state = [classify.init_state(model, sgd, images, 0)]
    yield "CIFAR-10, demo, 64", _stepping(classify.train_step(model, sgd, 0.1), state, images, labels)

    yield "MLP, 64", _mlp(rng)


def _mlp(rng: np.random.Generator) -> Callable[[], float]:
    """Three layers of 2048 units: many bytes of gradients for little work."""

    def step(weights: Any, x: Any, y: Any) -> Any:
        def loss(weights: Any) -> Any:
            h = x
            for w in weights:
                h = jnp.tanh(h @ w)
            return jnp.mean(jnp.square(h - y))

        value, grads = parallel.mean(aj.value_and_grad(loss)(weights))
        return [w - 0.01 * g for w, g in zip(weights, grads, strict=True)], {"loss": value}

    weights = [rng.normal(size=(2048, 2048)).astype(np.float32) / 50 for _ in range(3)]
    batch = [rng.normal(size=(64, 2048)).astype(np.float32) for _ in range(2)]
    return _stepping(aj.jit(parallel.divided(step), donate_argnums=0), [[jnp.asarray(w) for w in weights]], *batch)


def _stepping(step: Any, held: list[Any], *batch: Any) -> Callable[[], float]:
    def call() -> float:
        held[0], metrics = step(held[0], *batch)
        return float(metrics["loss"])

    return call


def measure(steps: int) -> None:
    """In each process; the first one prints what it found."""
    result: dict[str, Any] = {"messages": _messages() if aj.process_count() > 1 else {}}
    for name, call in _networks():
        _ = call(), call()
        result[name] = statistics.median(_timed(call) for _ in range(steps))
    if parallel.is_first():
        print(json.dumps(result), flush=True)


def _run(count: int, **settings: str) -> dict[str, Any]:
    mpiexec = Path(sys.executable).parent / "mpiexec"
    line = [str(mpiexec), "-n", str(count), sys.executable, "-m", "benchmarks.distributed", "--process"]
    env = os.environ | {"ANEJAX_NUM_THREADS": str(2 // count)} | settings
    return json.loads(subprocess.run(line, env=env, capture_output=True, text=True, check=True).stdout)


def slow_links(rounds: int, folder: Path) -> None:
    """Steps of two processes with the delays of each link (benchmarks/slow_mpi.c), beside the model's."""
    from mpi4py import MPI

    folder.mkdir(parents=True, exist_ok=True)
    slow = folder / "libslow_mpi.so"
    source = Path(__file__).with_name("slow_mpi.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(slow), str(source), "-ldl"], check=True)
    base = {"ANEJAX_MPI": str(slow), "SLOW_MPI_LIBRARY": MPI.__file__}
    for link, (bandwidth, latency) in {"none": (1e15, 0.0), **NETWORKS}.items():
        # of a ring of two, as in ``predicted``
        delays = {"SLOW_MPI_BANDWIDTH": str(bandwidth), "SLOW_MPI_LATENCY": str(2 * latency)}
        found = [_run(2, **base, **delays) for _ in range(rounds)]
        if link == "none":
            fastest = {name: statistics.median(r[name] for r in found) for name in GRADIENTS}
        for name, nbytes in GRADIENTS.items():
            times = [r[name] * 1e3 for r in found]
            model = predicted(fastest[name], nbytes, 2, bandwidth, latency) * 1e3
            print(f"{name:20} {link:20} {_spread(times)} ms, model {model:.1f} ms")


def compare(rounds: int) -> None:
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for _ in range(rounds):
        for count, found in runs.items():
            found.append(_run(count))
    for name in (n for n in runs[1][0] if n != "messages"):
        one, two = ([r[name] * 1e3 for r in runs[count]] for count in (1, 2))
        ratio = statistics.median(a / b for a, b in zip(one, two, strict=True))
        print(f"{name:20} one process {_spread(one)} ms, two {_spread(two)} ms, efficiency {ratio:.2f}")
    for size in SIZES:
        times = [r["messages"][str(size)] * 1e6 for r in runs[2]]
        print(f"sum of {size:>10,} bytes: {_spread(times)} us, {size / statistics.median(times) / 1e3:.2f} GB/s")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


MACHINES = (2, 4, 8, 16, 32, 64)


def table() -> str:
    """The model's share of the ideal speed, for docs/distributed.md."""
    lines = ["| network | link | " + " | ".join(map(str, MACHINES)) + " |", "|---|---|" + "---|" * len(MACHINES)]
    for name, (step, mb) in STEPS.items():
        for link, (bandwidth, latency) in NETWORKS.items():
            shares = [step / predicted(step, mb * 1e6, m, bandwidth, latency) for m in MACHINES]
            lines.append(f"| {name} | {link} | " + " | ".join(f"{100 * s:.0f} %" for s in shares) + " |")
    return "\n".join(lines)


def plot(path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(STEPS), figsize=(11, 3.2), sharey=True, layout="constrained")
    for ax, (name, (step, mb)) in zip(axes, STEPS.items(), strict=True):
        for link, (bandwidth, latency) in NETWORKS.items():
            speed = [m * step / predicted(step, mb * 1e6, m, bandwidth, latency) for m in (1, *MACHINES)]
            ax.plot((1, *MACHINES), speed, marker="o", label=link)
        ax.plot((1, 64), (1, 64), "k:", label="ideal")
        ax.set(title=f"{name}, {mb:g} MB", xlabel="machines", xscale="log", yscale="log")
        ax.set_xticks((1, *MACHINES), (1, *MACHINES), minor=False)
    axes[0].set_ylabel("times the speed of one")
    axes[0].set_yticks((1, *MACHINES), (1, *MACHINES), minor=False)
    axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--process", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--model", action="store_true")
    parser.add_argument("--links", type=Path, metavar="DIR", help="measure slow links; DIR is where to compile")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if args.process:
        return measure(args.steps)
    if args.model:
        print(table())
        return plot(args.plot) if args.plot else None
    if importlib.util.find_spec("mpi4py") is None:
        sys.exit("mpi4py is not installed: pip install 'anejax[mpi]'")
    return slow_links(args.rounds, args.links) if args.links else compare(args.rounds)


if __name__ == "__main__":
    main()
