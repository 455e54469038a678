"""Training steps of anejax and its peers, interleaved: median, spread and ratio, as JSON, Markdown and a picture.

    python -m benchmarks.peers [--rounds 15] [--steps 5] [--out build/bench] [--peers jax torch] [--no-install]

Each peer gets an environment of its own below OUT; what cannot be installed is said in the table. Every framework runs
in a process of its own that waits between its turns; a round gives each of them one turn. Two threads each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WORKLOADS = ("mlp", "cnn")
LONGEST = 180  # seconds that one framework may take for a workload, once it has had two turns
TOLERANCE = 2e-3  # of the first losses
# peer -> (its environment, what pip installs there)
PEERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "jax": ("jax", ("jax", "optax", "numpy")),
    "torch": ("torch", ("torch", "numpy")),
    "torch-compile": ("torch", ("torch", "numpy")),
    "mlx": ("mlx", ("mlx[cpu]" if sys.platform == "linux" else "mlx", "numpy")),
}


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(environment: Path, packages: tuple[str, ...]) -> str | None:
    """Makes an environment with ``packages``. Returns why that failed, or None."""
    done = environment / ".installed"
    if done.is_file() and done.read_text() == "\n".join(packages):
        return None
    venv.create(environment, with_pip=True, clear=True)
    command = [str(python_of(environment)), "-m", "pip", "install", "--quiet", *packages]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return last_line(result.stderr) or f"pip ended with status {result.returncode}"
    done.write_text("\n".join(packages))
    return None


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


class Worker:
    """A framework in a process of its own. Raises RuntimeError with its last words when it fails."""

    def __init__(self, python: Path, framework: str, workload: str) -> None:
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ANEJAX_NUM_THREADS"), "2"
        )
        command = [str(python), "-m", "benchmarks.peer_steps", framework, workload]
        self._words = tempfile.TemporaryFile("w+")  # a pipe would be full after some warnings  # noqa: SIM115
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **threads}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words,
        )  # fmt: skip
        self.info = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            self._words.seek(0)
            words = last_line(self._words.read())
            self._words.close()
            raise RuntimeError(words or "ended without a word")
        return json.loads(line)

    def seconds(self, steps: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.communicate()
        self._words.close()


def start(name: str, pythons: dict[str, Path], failed: dict[str, str]) -> dict[str, Worker]:
    """A worker for each framework that runs the workload; why others do not goes into ``failed``."""
    workers = {}
    for framework, python in pythons.items():
        try:
            workers[framework] = Worker(python, framework, name)
        except RuntimeError as err:
            failed[f"{framework} {name}"] = str(err)
    return workers


def measure(name: str, workers: Mapping[str, Any], rounds: int, steps: int) -> list[dict[str, Any]]:
    """A row for each framework, the times of its rounds in ms. One that has taken ``LONGEST`` gets no further turns."""
    times: dict[str, list[float]] = {framework: [] for framework in workers}
    for _ in range(rounds):
        for framework, worker in workers.items():
            if len(times[framework]) < 2 or steps * sum(times[framework]) < 1e3 * LONGEST:
                times[framework].append(1e3 * worker.seconds(steps))
    return [
        {"workload": name, "framework": f, "version": w.info["version"], "losses": w.info["losses"], "ms": times[f]}
        for f, w in workers.items()
    ]


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with median, quartiles, the median of its ratio to anejax round by round, and whether losses agree."""
    out = []
    for row in rows:
        ours = next((r for r in rows if (r["workload"], r["framework"]) == (row["workload"], "anejax")), None)
        low, median, high = statistics.quantiles(row["ms"], n=4)
        ratio = statistics.median(a / b for a, b in zip(row["ms"], ours["ms"])) if ours else None
        agrees = ours is None or all(
            abs(a - b) <= TOLERANCE * max(1, abs(b)) for a, b in zip(row["losses"], ours["losses"], strict=True)
        )
        out.append({**row, "median": median, "low": low, "high": high, "ratio": ratio, "agrees": agrees})
    return out


def markdown(rows: list[dict[str, Any]], failed: dict[str, str], machine: str) -> str:
    lines = [machine, "", "| step | framework | median ms | quartiles | times anejax |", "|---|---|---|---|---|"]
    for r in sorted(rows, key=lambda r: (r["workload"], r["median"])):
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        note = "" if r["agrees"] else ", its losses differ"
        lines.append(
            f"| {r['workload']} | {r['framework']} {r['version']}{note} | {r['median']:.2f} |"
            f" {r['low']:.2f} to {r['high']:.2f} | {ratio} |"
        )
    lines += ["", *(f"{what} did not run: {why}" for what, why in failed.items())]
    return "\n".join(lines).rstrip() + "\n"


def picture(rows: list[dict[str, Any]], path: Path) -> str | None:
    """Bars of the medians with quartiles, relative to anejax. Returns why there is none, or None."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "pip install matplotlib for the picture."
    names = sorted({r["workload"] for r in rows})
    figure = Figure(figsize=(7, 1 + 0.35 * len(rows)), layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(len(names), 1, place + 1)
        own = sorted((r for r in rows if r["workload"] == name), key=lambda r: -r["median"])
        spread = [[r["median"] - r["low"] for r in own], [r["high"] - r["median"] for r in own]]
        colours = ["tab:orange" if r["framework"] == "anejax" else "tab:gray" for r in own]
        axes.barh([r["framework"] for r in own], [r["median"] for r in own], xerr=spread, color=colours)
        axes.set_xlabel(f"{name}: ms for a training step")
    figure.savefig(path, dpi=150)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--no-install", action="store_true", help="peers are taken from this interpreter")
    arguments = parser.parse_args()
    out: Path = arguments.out.absolute()
    out.mkdir(parents=True, exist_ok=True)

    pythons, failed = {"anejax": Path(sys.executable)}, {}
    for peer in arguments.peers:
        name, packages = PEERS[peer]
        why = None if arguments.no_install else install(out / name, packages)
        if why is None:
            pythons[peer] = Path(sys.executable) if arguments.no_install else python_of(out / name)
        else:
            failed[peer] = why
    rows = []
    for name in arguments.workloads:
        workers = start(name, pythons, failed)
        rows += measure(name, workers, arguments.rounds, arguments.steps)
        for worker in workers.values():
            worker.close()
    rows = summary(rows)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = markdown(rows, failed, machine)
    (out / "results.json").write_text(json.dumps({"machine": machine, "rows": rows, "failed": failed}, indent=1))
    (out / "results.md").write_text(table)
    missing = picture(rows, out / "results.png")
    print(table, *([missing] if missing else []), f"Written to {out}", sep="\n")


if __name__ == "__main__":
    main()
