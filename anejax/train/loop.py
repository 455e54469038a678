"""The training loop: steps, evaluation, progress, checkpoints, and resuming.

It knows nothing of the model. A Task provides a state (any pytree of arrays), two functions and two streams of batches.
A run depends on its task alone, so it may be stopped and resumed at any step.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from anejax.data.batches import prefetch
from anejax.errors import AnejaxError
from anejax.train import checkpoint, parallel
from anejax.train.journal import Journal, Log
from anejax.train.naming import Naming
from anejax.train.report import Report

Metrics = Mapping[str, Any]
_MOST_SKIPS = 40  # in a row: more than it takes to halve the largest loss scale to the smallest


class TrainingError(AnejaxError):
    """Training cannot go on."""


class Batches(Protocol):
    """Training batches that can be read again from any position."""

    @property
    def items(self) -> int: ...  # in a batch, counted in the task's unit

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple]: ...


@dataclass(frozen=True)
class Task:
    """A training task: the state, two functions and two streams of batches.

    Attributes:
        name: what the run is called in titles.
        config: JSON values from which the same task can be made again.
        epochs: how many times the training data is seen.
        train: the training batches.
        test: the test batches; the last entry of each is a weight per example.
        train_step: (state, *batch) -> (state, metrics), metrics being means over the batch. With loss scaling,
            ``skipped`` is 1 when the step changed nothing, and ``loss_scale`` the scale of the next.
        eval_step: (state, *batch) -> metrics, being weighted sums over the batch, with the sum of
            weights as ``count``.
        unit: what the speed of training is counted in.
        naming: the names of the state's arrays in checkpoints; by default their places.
    """

    name: str
    config: dict[str, Any]
    epochs: int
    train: Batches
    test: Iterable[tuple]
    train_step: Callable[..., tuple[Any, Metrics]]
    eval_step: Callable[..., Metrics]
    unit: str = "images"
    naming: Naming = checkpoint.places


@dataclass
class Run:
    """A task under way: its state, its journal, and the directory that keeps its checkpoints."""

    task: Task
    directory: Path
    state: Any
    journal: Journal = field(default_factory=Journal)
    saved: tuple[int, int] | None = None  # (epoch, batch) of the last checkpoint
    names: list[str] | None = None  # names of the state's arrays, after the first use

    def save(self) -> None:
        """Writes a checkpoint, unless this position has one."""
        position = (self.journal.epoch, self.journal.batch)
        if position != self.saved and parallel.is_first():
            record = {"config": self.task.config, "journal": self.journal.to_json()}
            self.names = self.names or self.task.naming(self.state)
            checkpoint.save(self.directory, self.journal.step, self.state, record, self.names)
        self.saved = position

    def finished(self) -> bool:
        return self.journal.epoch >= self.task.epochs


def resume(task: Task, directory: Path, index: Path, like: Any) -> Run:
    """The run that the checkpoint ``index`` is of; ``like`` is a state of its task, of any values."""
    state = checkpoint.load(index, like, names=task.naming(like))
    step, record = checkpoint.read(index)
    try:
        journal = Journal.from_json(record.get("journal"))
        journal.check_position(task.epochs, len(task.train))
        if journal.step != step:
            raise ValueError(f"its journal is at step {journal.step}")
    except ValueError as err:
        raise checkpoint.CheckpointError(f"[checkpoint] {index} is damaged: {err}.") from err
    return Run(task, directory, state, journal, (journal.epoch, journal.batch))


def fit(run: Run, report: Report, log: Log, save_seconds: float = 30.0) -> bool:
    """Trains to the end, or to the first Ctrl-C or SIGTERM; returns whether the end was reached.

    A checkpoint is written after each epoch, every ``save_seconds``, and before stopping.
    """
    with _interrupts() as stopped, report:
        run.save()
        while not run.finished():
            if not (_train_epoch(run, report, stopped, save_seconds) and _end_epoch(run, report, log, stopped)):
                run.save()
                return False
    return True


def _train_epoch(run: Run, report: Report, stopped: threading.Event, save_seconds: float) -> bool:
    """The rest of the running epoch; False when it was interrupted."""
    journal, task = run.journal, run.task
    due = time.monotonic() + save_seconds
    with contextlib.closing(prefetch(task.train.epoch(journal.epoch, journal.batch))) as batches:
        start = time.monotonic()
        for batch in batches:
            run.state, metrics = task.train_step(run.state, *batch)
            values = {name: float(value) for name, value in metrics.items()}
            now = time.monotonic()
            _count(run, report, values, now - start)
            report.step(journal)
            if parallel.any_process(stopped.is_set()):
                return False
            if now >= due:
                run.save()
                due = time.monotonic() + save_seconds
            start = time.monotonic()
    return True


def means(sums: Iterable[Metrics]) -> dict[str, float]:
    """The means of metrics over all batches, from the weighted sums that an ``eval_step`` gave for each."""
    totals: dict[str, float] = {}
    for found in sums:
        for name, value in found.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    count = totals.pop("count")
    return {name: value / count for name, value in totals.items()}


def _end_epoch(run: Run, report: Report, log: Log, stopped: threading.Event) -> bool:
    """Evaluates, closes the epoch and saves; False when it was interrupted."""
    sums: list[Metrics] = []
    for batch in run.task.test:
        if parallel.any_process(stopped.is_set()):
            return False
        sums.append(run.task.eval_step(run.state, *batch))
    row = run.journal.end_epoch(means(sums), len(run.task.train) * run.task.train.items, run.task.unit)
    run.save()
    log.write("epoch", row)
    report.epoch(row)
    return True


def _count(run: Run, report: Report, values: dict[str, float], seconds: float) -> None:
    """Enters a step in the journal; says so when it was skipped."""
    journal = run.journal
    if not values.pop("skipped", 0.0):
        _check_finite(run, values)
        journal.add_step(values, seconds)
        return
    journal.skip_step(seconds)
    report.say(f"step {journal.step} skipped: gradients overflowed; the loss scale is now {values['loss_scale']:g}")
    if journal.skipped_in_a_row >= _MOST_SKIPS:
        raise TrainingError(
            f"[train] gradients overflowed in {_MOST_SKIPS} steps in a row, at loss scale {values['loss_scale']:g}:"
            f" training diverged. Try a smaller learning rate. The last good checkpoint is in {run.directory}."
        )


def _check_finite(run: Run, values: Metrics) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"[train] {name} is {value} at step {run.journal.step + 1}: training diverged."
                f" Try a smaller learning rate. The last good checkpoint is in {run.directory}."
            )


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one acts as usual."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(number, previous[number])

    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in previous:
            signal.signal(number, stop)
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
