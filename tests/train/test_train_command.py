"""``anejax train cifar10``, from its options to a resumed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anejax import cli
from anejax.data import cifar10
from anejax.train import checkpoint
from tests.train import command

ROOT = Path(__file__).parents[2]
RUN = ["train", "cifar10", "--preset", "demo", "--epochs", "2", "--batch", "16"]  # 10 steps


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path_factory.mktemp("data")
    monkeypatch.setattr(cifar10, "sources", cifar10.sources)  # what use() changes is put back
    command.use(directory)
    return directory


def run(data: Path, *arguments: object) -> int:
    return cli.main([*map(str, arguments), "--data", str(data)])


def tensors(directory: Path) -> bytes:
    return checkpoint.newest(directory / "checkpoints", print).with_suffix(".safetensors").read_bytes()


def test_a_run_writes_all_it_should(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, *RUN, "--out", tmp_path / "run", "--log", tmp_path / "log.jsonl") == 0
    out = capsys.readouterr().out
    assert "epoch 1/2  train accuracy" in out and "epoch 2/2" in out and "test accuracy" in out
    assert (tmp_path / "run" / "curves.png").exists()
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "epoch", "epoch", "end"]
    assert events[0]["batch"] == 16
    assert {"train_loss", "test_accuracy", "images_per_second"} <= events[2].keys()
    assert run(data, "eval", "cifar10", "--checkpoint", tmp_path / "run") == 0
    facts = dict(pair.split("=") for pair in capsys.readouterr().out.split())
    for name in ("loss", "accuracy"):
        assert float(facts[name]) == pytest.approx(events[2][f"test_{name}"], abs=1e-3)


def test_without_an_engine_training_on_it_warns_and_goes_on(data: Path, tmp_path: Path) -> None:
    """In float32, to the same weights as on the CPU device."""
    environment = {**os.environ, "ANEJAX_ESPRESSO": "/no/such/Espresso"}
    for device in ("ane", "cpu"):
        arguments = [*RUN, "--epochs", "1", "--subset", "16", "--out", str(tmp_path / device), "--device", device]
        command = [sys.executable, "-m", "tests.train.command", str(data), *arguments]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("EngineFallbackWarning: [jit] the engine is not there") == (device == "ane")
    assert tensors(tmp_path / "ane") == tensors(tmp_path / "cpu")


def test_the_default_directory_is_new_each_time(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(data, *RUN, "--epochs", 1, "--subset", 16) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["cifar10-demo-1", "cifar10-demo-2"]


def test_equal_seeds_give_equal_runs_and_others_do_not(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert run(data, *RUN, "--epochs", 1, "--seed", seed, "--out", tmp_path / name) == 0
    assert tensors(tmp_path / "a") == tensors(tmp_path / "b") != tensors(tmp_path / "c")


def test_training_in_float16_scales_the_loss_and_goes_on_from_its_scale(data: Path, tmp_path: Path, capsys) -> None:
    half = [*RUN, "--precision", "float16"]
    assert run(data, *half, "--out", tmp_path / "a") == 0
    assert "loss_scale" in capsys.readouterr().out
    index = checkpoint.newest(tmp_path / "a" / "checkpoints", print)
    assert "scale/scale" in index.with_suffix(".safetensors").read_bytes()[:20000].decode("latin1")
    assert run(data, "train", "cifar10", "--resume", tmp_path / "a", "--precision", "bfloat16") == 2
    assert "started with --precision float16" in capsys.readouterr().err


def test_killed_and_interrupted_runs_go_on_as_if_nothing_had_happened(data: Path, tmp_path: Path) -> None:
    assert run(data, *RUN, "--out", tmp_path / "whole") == 0
    broken = tmp_path / "broken"
    rng = random.Random(1)
    for number, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, 130)):
        arguments = ["--resume", broken] if checkpoint.exists(broken / "checkpoints") else [*RUN[2:], "--out", broken]
        child = _start(data, ["train", "cifar10", *arguments, "--save-every", 0.001])
        _wait_for_progress(child, broken / "checkpoints")
        time.sleep(rng.random() * 0.1)
        child.send_signal(number)
        printed, _ = child.communicate(timeout=60)
        assert child.returncode == code, printed
        if code == 130:
            assert f"anejax train cifar10 --resume {broken}" in printed
    assert run(data, "train", "cifar10", "--resume", broken) == 0
    assert tensors(broken) == tensors(tmp_path / "whole")


def _start(data: Path, arguments: list) -> subprocess.Popen:
    line = [sys.executable, "-m", command.__name__, data, *arguments]
    return subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def _wait_for_progress(child: subprocess.Popen, directory: Path) -> None:
    before, start = sorted(directory.glob("*.json")), time.monotonic()
    while sorted(directory.glob("*.json")) == before:
        assert child.poll() is None and time.monotonic() - start < 120, child.communicate()[0]
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", 81], "expected a batch of 1 to 80 images, got 81"),
        (["--lr", 1e30, "--batch", 16], "training diverged"),
        (["--device", "abacus"], "'abacus'"),
        (["--resume", "nowhere"], "nowhere/checkpoints holds no checkpoint"),
    ],
)
def test_mistakes_end_with_a_message_and_2(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, arguments: list, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(data, "train", "cifar10", "--preset", "demo", *arguments) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--batch", 0), ("--epochs", "x"), ("--lr", "nan"), ("--lr", -1), ("--seed", 2**32), ("--preset", "other")],
)
def test_values_that_options_do_not_take(capsys: pytest.CaptureFixture[str], option: str, value: object) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "cifar10", option, str(value)])
    assert caught.value.code == 2
    assert f"argument {option}" in capsys.readouterr().err


def test_resuming_refuses_another_recipe_and_a_second_start(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"
    short = [*RUN, "--epochs", 1, "--subset", 16]
    assert run(data, *short, "--out", directory) == 0
    for arguments, message in (
        ([*RUN, "--out", directory], "holds a run"),
        (["train", "cifar10", "--resume", directory, "--seed", 5], "started with --seed 0"),
        (["train", "cifar10", "--resume", directory, "--preset", "full"], "started with --preset demo"),
        (["train", "cifar10", "--resume", directory, "--out", tmp_path], "leave out --out"),
    ):
        assert run(data, *arguments) == 2
        assert message in capsys.readouterr().err
    assert run(data, "train", "cifar10", "--resume", directory, "--batch", 16) == 0


def test_no_data_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = cifar10.sources()
    facts["archive"]["url"] = (tmp_path / "nothing.tar.gz").as_uri()
    monkeypatch.setattr(cifar10, "sources", lambda: facts)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["train", "cifar10", "--data", str(tmp_path / "d"), "--out", str(tmp_path / "o")]) == 2
    err = capsys.readouterr().err
    assert "Tried:" in err and "npm is not installed" in err and "To place it by hand" in err


def test_a_defect_is_reported_without_a_traceback_unless_asked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, resumed: bool) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("anejax.train.cifar10.make", broken)
    assert run(data, *RUN, "--out", tmp_path / "a") == 1
    err = capsys.readouterr().err
    assert "RuntimeError: a bug" in err and "--debug" in err and "Traceback" not in err
    assert run(data, *RUN, "--out", tmp_path / "a", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["train", "cifar10", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 0
    assert "usage: anejax" in capsys.readouterr().out


def test_python_m_anejax() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "anejax", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "usage: anejax" in done.stdout
