"""The loop: a run that is stopped anywhere and resumed equals one that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from anejax.train import checkpoint
from anejax.train.checkpoint import CheckpointError
from anejax.train.loop import Run, TrainingError
from tests.train import toy

ROOT = Path(__file__).parents[2]
STEPS = toy.EPOCHS * toy.BATCHES


def outcome(directory: Path) -> tuple[bytes, dict]:
    """The last checkpoint without the times in it."""
    index = checkpoint.newest(directory, print)
    journal = checkpoint.record(index)["journal"]
    for row in journal["epochs"]:
        row.pop("seconds"), row.pop("images_per_second")
    return index.with_suffix(".safetensors").read_bytes(), journal


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict]:
    directory = tmp_path_factory.mktemp("unbroken")
    assert toy.train(toy.begin(directory, toy.task()))
    return outcome(directory)


def test_an_unbroken_run(unbroken: tuple[bytes, dict], tmp_path: Path) -> None:
    run = toy.begin(tmp_path, toy.task())
    assert toy.train(run)
    assert outcome(tmp_path) == unbroken
    assert run.finished() and run.journal.step == STEPS
    assert [row["step"] for row in run.journal.epochs] == [8, 16, 24]
    assert run.journal.epochs[0]["test_accuracy"] == 0.25
    events = [json.loads(line)["event"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events == ["start"] + ["epoch"] * 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stops", [[1], [8], [24], [3, 4, 16, 23], list(range(1, 25))])
def test_stopped_by_a_signal_and_resumed(
    unbroken: tuple[bytes, dict], tmp_path: Path, number: int, stops: list[int]
) -> None:
    calls = 0

    def step(*args):
        nonlocal calls
        calls += 1
        if calls in stops:
            os.kill(os.getpid(), number)
        return toy.train_step(*args)

    handler = signal.getsignal(number)
    for _ in stops:
        assert not toy.train(toy.begin(tmp_path, toy.task(step)))
    assert signal.getsignal(number) is handler
    assert toy.train(toy.begin(tmp_path, toy.task(step)))
    assert calls == STEPS  # nothing was done twice
    assert outcome(tmp_path) == unbroken


def test_stopped_during_evaluation(unbroken: tuple[bytes, dict], tmp_path: Path) -> None:
    task = toy.task()
    test = list(task.test)

    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        yield from test

    object.__setattr__(task, "test", interrupted())
    assert not toy.train(toy.begin(tmp_path, task))
    assert toy.train(toy.begin(tmp_path, toy.task()))
    assert outcome(tmp_path) == unbroken


def test_the_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start background jobs without it
    try:
        _interrupt_twice(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_twice(tmp_path: Path) -> None:
    def step(*args):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return toy.train_step(*args)

    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.begin(tmp_path, toy.task(step)))
    assert checkpoint.exists(tmp_path)


def test_killed_at_random_moments(unbroken: tuple[bytes, dict], tmp_path: Path) -> None:
    rng, kills = random.Random(0), 0
    for _ in range(60):
        child = subprocess.Popen([sys.executable, "-m", toy.__name__, str(tmp_path)], cwd=ROOT)
        started, seen = time.monotonic(), _progress(tmp_path)
        while child.poll() is None and _progress(tmp_path) == seen and time.monotonic() - started < 60:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.3)
        if child.poll() is None:
            child.kill()
            kills += 1
        if child.wait() == 0:
            break
    assert kills >= 3
    assert outcome(tmp_path) == unbroken


def _progress(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("step-*.json"))


def test_training_in_another_thread(unbroken: tuple[bytes, dict], tmp_path: Path) -> None:
    thread = threading.Thread(target=lambda: toy.train(toy.begin(tmp_path, toy.task())))
    thread.start()
    thread.join()
    assert outcome(tmp_path) == unbroken


def test_divergence_names_the_step_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    def step(state, x):
        state, metrics = toy.train_step(state, x)
        return state, metrics | {"loss": np.float32("nan")}

    run = toy.begin(tmp_path, toy.task(step))
    with pytest.raises(TrainingError, match="loss is nan at step 1: training diverged"):
        toy.train(run)
    assert toy.begin(tmp_path, toy.task()).journal.step == 0


def test_skipped_steps_are_said_and_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = 0

    def step(state, x):
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            return state, {"loss": np.float32("inf"), "accuracy": 0.0, "loss_scale": 2.0**calls, "skipped": 1}
        state, metrics = toy.train_step(state, x)
        return state, metrics | {"loss_scale": 1.0, "skipped": 0}

    run = toy.begin(tmp_path, toy.task(step))
    assert toy.train(run, quiet=False)
    out = capsys.readouterr().out
    assert "step 2 skipped: gradients overflowed; the loss scale is now 4" in out and "step 3 skipped" in out
    first, second = run.journal.epochs[:2]
    assert first["skipped"] == 2 and "skipped" not in second
    assert np.isfinite(first["train_loss"]) and first["train_loss_scale"] == 1.0
    assert run.journal.step == STEPS and all(np.isfinite(point["loss"]) for point in run.journal.curve)


def test_steps_that_are_always_skipped_end_the_run(tmp_path: Path) -> None:
    skip = lambda state, x: (state, {"loss": 1.0, "loss_scale": 1.0, "skipped": 1})  # noqa: E731
    task = toy.task(skip)
    object.__setattr__(task, "epochs", 100)
    with pytest.raises(TrainingError, match="40 steps in a row, at loss scale 1: training diverged"):
        toy.train(toy.begin(tmp_path, task))


def test_an_error_in_the_data_comes_out(tmp_path: Path) -> None:
    class Broken(toy.Data):
        def epoch(self, epoch, start=0):
            yield from toy.Data().epoch(epoch, start) if epoch == 0 else iter(())
            raise OSError("the disk is gone")

    task = toy.task()
    object.__setattr__(task, "train", Broken())
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="the disk is gone"):
        toy.train(Run(task, tmp_path, toy.start()))
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("journal", [None, {}, {"epoch": 1}])
def test_a_record_of_another_kind(tmp_path: Path, journal: object) -> None:
    checkpoint.save(tmp_path, 1, toy.start(), {"journal": journal})
    with pytest.raises(CheckpointError, match="is damaged"):
        toy.begin(tmp_path, toy.task())
