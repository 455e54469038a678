"""A training task in NumPy alone, for tests of the loop; as a program, it trains in a directory.

``python -m tests.train.toy DIRECTORY`` begins or goes on, with a checkpoint after every step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from anejax.train import checkpoint
from anejax.train.journal import Log
from anejax.train.loop import Run, Task, fit, resume
from anejax.train.report import Report

EPOCHS, BATCHES = 3, 8


class Params(NamedTuple):
    params: np.ndarray
    noise: np.ndarray


class Data:
    """Batches that depend on (epoch, index) alone."""

    items = 4

    def __len__(self) -> int:
        return BATCHES

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray]]:
        for index in range(start, BATCHES):
            yield (np.random.default_rng([epoch, index]).normal(size=4).astype(np.float32),)


def train_step(state: Params, x: np.ndarray) -> tuple[Params, dict[str, np.ndarray]]:
    error = state.params - x
    noise = state.noise * np.uint32(1664525) + np.uint32(1013904223)
    params = state.params - np.float32(0.1) * error + (noise >> 24).astype(np.float32) * np.float32(1e-3)
    return Params(params, noise), {"loss": np.square(error).mean(), "accuracy": (error > 0).mean()}


def eval_step(state: Params, x: np.ndarray) -> dict[str, np.ndarray]:
    return {"loss": np.square(state.params - x).sum(), "accuracy": np.float64(1), "count": np.float64(4)}


def task(step: Callable = train_step) -> Task:
    test = [(np.ones(4, np.float32),), (np.zeros(4, np.float32),)]
    return Task("a toy", {"toy": 1}, EPOCHS, Data(), test, step, eval_step)


def start() -> Params:
    return Params(np.zeros(4, np.float32), np.arange(4, dtype=np.uint32))


def begin(directory: Path, a_task: Task) -> Run:
    """A new run, or the one that ``directory`` holds."""
    if checkpoint.exists(directory):
        return resume(a_task, directory, checkpoint.newest(directory, print), start())
    return Run(a_task, directory, start())


def train(run: Run, save_seconds: float = 30.0, quiet: bool = True) -> bool:
    report = Report(Console(quiet=quiet), EPOCHS, BATCHES, 4, "images")
    return fit(run, report, Log(run.directory / "log.jsonl", run.task.config, run.journal), save_seconds)


def slow_step(state: Params, x: np.ndarray) -> tuple[Params, dict[str, np.ndarray]]:
    time.sleep(0.05)  # so that there is time to be killed
    return train_step(state, x)


if __name__ == "__main__":
    train(begin(Path(sys.argv[1]), task(slow_step)), save_seconds=0.0)
