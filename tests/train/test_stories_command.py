"""``anejax train stories``, ``eval stories`` and ``generate``, from a text to a network that writes."""

from __future__ import annotations

import contextlib
import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest

from anejax import cli, random
from anejax.data import tokenizer
from anejax.models import llama2c
from anejax.models.llama import SIZES, Config, Llama
from anejax.train import checkpoint, loop
from tests.data.test_tokenizer import make

STEPS = ["--steps", 6, "--eval-every", 3, "--batch", 2, "--length", 8]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a text and a tokenizer, and caches of its own."""
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ANEJAX_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    make().write("t.bin")
    Path("text.txt").write_text("aab abc b c é<|endoftext|>\nbc aa a a b\n" * 40)
    return tmp_path


def run(*arguments: object) -> int:
    return cli.main(list(map(str, arguments)))


def train(*arguments: object) -> int:
    return run("train", "stories", "--data", "text.txt", "--tokenizer", "t.bin", *STEPS, *arguments)


def tensors(directory: str) -> bytes:
    return checkpoint.newest(Path(directory, "checkpoints"), print).with_suffix(".safetensors").read_bytes()


@contextlib.contextmanager
def full_disk(free: int):
    """No file may grow past ``free`` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_run_ends_with_a_network_that_is_measured_and_writes(capsys) -> None:
    assert train("--out", "run", "--log", "log.jsonl") == 0
    assert "test loss" in capsys.readouterr().out
    rows = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows] == ["start", "epoch", "epoch", "end"]
    assert rows[1]["tokens_per_second"] > 0 and rows[2]["train_loss"] < rows[1]["train_loss"] < np.log(276) + 0.1
    assert Path("run/curves.png").exists()
    assert run("eval", "stories", "--checkpoint", "run/model.bin", "--tokenizer", "t.bin", "--data", "text.txt") == 0
    said = re.fullmatch(r"valid_loss=(\d+\.\d{4})\n", capsys.readouterr().out)
    assert said is not None and float(said[1]) == pytest.approx(rows[-1]["test_loss"], abs=0.3)
    command = ["generate", "--checkpoint", "run/model.bin", "--tokenizer", "t.bin", "--prompt", "aab é", "--steps", 12]
    assert run(*command) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("aab é") and "tok/s" in printed.err
    assert run(*command) == 0
    assert capsys.readouterr().out == printed.out
    assert train("--from", "run/model.bin", "--out", "more", "--log", "more.jsonl") == 0
    again = [json.loads(line) for line in Path("more.jsonl").read_text().splitlines()]
    assert again[1]["train_loss"] < rows[1]["train_loss"]


@pytest.mark.long  # the short run kills one of CIFAR-10, and one of a toy
def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(monkeypatch, capsys) -> None:
    assert train("--out", "whole") == 0
    add_step, calls = loop.Journal.add_step, []

    def interrupted(journal, *args):
        calls.append(0)
        add_step(journal, *args)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Journal, "add_step", interrupted)
    assert train("--out", "broken", "--save-every", 1e-6) == 130
    assert train("--resume", "broken") == 0
    assert tensors("broken") == tensors("whole")
    assert Path("broken/model.bin").read_bytes() == Path("whole/model.bin").read_bytes()


def test_nothing_is_lost_when_the_disk_is_full(monkeypatch, capsys) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("anejax.cli.training.fit", lambda run, *rest: run.save() or False)
        assert train("--out", "run") == 130
    before = tensors("run")
    capsys.readouterr()
    with full_disk(100_000):
        assert run("train", "stories", "--resume", "run") == 2
    assert "The last good checkpoint is untouched" in capsys.readouterr().err
    assert tensors("run") == before
    assert run("train", "stories", "--resume", "run") == 0
    with full_disk(100_000), pytest.raises(OSError, match="too large"):
        llama2c.write("run/model.bin", *llama2c.read("run/model.bin"))
    llama2c.read("run/model.bin")


def test_without_data_the_message_says_how_to_get_it(capsys) -> None:
    assert run("train", "stories") == 2
    assert "`anejax fetch tok512.bin`" in capsys.readouterr().err
    assert run("train", "stories", "--size", "15M", "--tokenizer", "t.bin") == 2
    assert "`anejax fetch TinyStories-train.txt`" in capsys.readouterr().err


def test_a_run_goes_on_longer_at_another_rate_with_moved_data(capsys) -> None:
    assert train("--out", "run") == 0
    rows = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    steps = rows[-2]["step"]
    Path("text.txt").rename("moved.txt")
    capsys.readouterr()
    change = ["--lr", 1e-4, "--steps", 2 * steps, "--batch", 3, "--data", "moved.txt"]
    assert run("train", "stories", "--resume", "run", *change) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "changed: " in said and f"--steps from {steps} to {2 * steps}" in said
    events = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    (changed,) = [event for event in events if event["event"] == "change"]
    assert (changed["step"], changed["lr"], changed["steps"], changed["batch"]) == (steps, 1e-4, 2 * steps, 3)
    assert events[-2]["step"] == 2 * steps and events[0]["lr"] == 1e-4
    assert run("train", "stories", "--resume", "run", "--steps", 1) == 2
    assert "the run cannot change steps from" in capsys.readouterr().err


def test_from_says_the_size(capsys) -> None:
    assert train("--out", "run") == 0
    again = ["--data", "text.txt", "--tokenizer", "t.bin", "--length", 16, "--batch", 2, "--steps", 1]
    assert run("train", "stories", "--from", "run/model.bin", *again, "--out", "next") == 0
    config = Config(8, 8, 1, 2, 1, 276, 40)
    llama2c.write("odd.bin", config, Llama(config).init(random.key(0), np.zeros((1, 1), np.int32))[0])
    assert run("train", "stories", "--from", "odd.bin", *again, "--out", "odd") == 2
    assert "expected a network of 260K" in capsys.readouterr().err


def test_a_run_cannot_go_on_as_another(capsys) -> None:
    assert train("--out", "run") == 0
    kept = tensors("run")
    assert run("train", "stories", "--resume", "run", "--size", "15M") == 2
    assert "started with --size 260K and cannot go on with 15M" in capsys.readouterr().err
    assert run("train", "stories", "--resume", "run", "--length", 3) == 2
    assert "What may change is --lr, --steps, --batch, --data" in capsys.readouterr().err
    Path("text.txt").write_text(Path("text.txt").read_text() + "b")
    assert run("train", "stories", "--resume", "run") == 2
    assert "has changed since the run began" in capsys.readouterr().err
    make(b"abcaab").write("t.bin")
    assert run("train", "stories", "--resume", "run") == 2
    assert "has changed since the run began" in capsys.readouterr().err
    assert tensors("run") == kept


def test_a_checkpoint_of_another_network_is_no_beginning(capsys) -> None:
    params, _ = Llama(SIZES["260K"]).init(random.key(0), np.zeros((1, 1), np.int32))
    llama2c.write("other.bin", SIZES["260K"], params)
    assert train("--from", "other.bin") == 2
    assert "expected a checkpoint of Config(" in capsys.readouterr().err
    assert run("eval", "stories", "--checkpoint", "other.bin", "--tokenizer", "t.bin", "--data", "text.txt") == 2
    assert "expected 512 tokens, as the network has, got 276" in capsys.readouterr().err
    assert run("generate", "--checkpoint", "t.bin", "--tokenizer", "t.bin") == 2
    assert "not a llama2.c checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--length", 513], "at most 512 tokens, got 513"),
        (["--batch", 10_000], "10000 windows of 8 tokens"),
        (["--data", "nowhere.txt"], "nowhere.txt: No such file"),
        (["--data", "odd.bin"], "even number of bytes"),
        (["--data", "range.bin"], "tokens below 276, got 500 at position 3"),
        (["--tokenizer", "text.txt"], "not a llama2.c tokenizer"),
    ],
)
def test_mistakes_end_with_a_message_and_2(capsys, arguments: list, message: str) -> None:
    Path("odd.bin").write_bytes(b"abc")
    np.array([1, 2, 3, 500] * 50, "<u2").tofile("range.bin")
    assert train(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err
    assert not Path("runs").exists() or not list(Path("runs").rglob("*.json"))


@pytest.mark.parametrize("arguments", [["--temperature", "-1"], ["--temperature", "x"], ["--top-p", "nan"]])
def test_values_that_generate_does_not_take(capsys, arguments: list) -> None:
    with pytest.raises(SystemExit):
        run("generate", "--checkpoint", "a", "--tokenizer", "b", *arguments)
    assert "expected a number of 0 or more" in capsys.readouterr().err


def test_what_a_network_says_does_not_act_on_the_terminal(capsys, monkeypatch) -> None:
    """Tokens are bytes of anyone's choice: this one clears the screen and sets the window's title."""
    evil = b"\x1b[2J\x1b]0;title\x07\xc2\x9b1m\r\x7fend\tof\nline"
    make(evil).write("evil.bin")
    words = tokenizer.read("evil.bin")
    config = Config(8, 8, 1, 2, 1, len(words), 8)
    llama2c.write("evil.model", config, Llama(config).init(random.key(0), np.zeros((1, 1), np.int32))[0])
    number = words.tokens.index(evil)
    monkeypatch.setattr("anejax.cli.generate.generate", lambda *args, **options: iter([number, number]))
    assert run("generate", "--checkpoint", "evil.model", "--tokenizer", "evil.bin", "--steps", 2) == 0
    out = capsys.readouterr().out
    assert out == "␛[2J␛]0;title␇\ufffd1m␍␡end\tof\nline" * 2 + "\n"


def test_a_cache_is_as_long_as_the_text_that_is_asked_for(monkeypatch) -> None:
    config, lengths = Config(8, 8, 1, 2, 1, 276, 4000), []
    llama2c.write("long.model", config, Llama(config).init(random.key(0), np.zeros((1, 1), np.int32))[0])
    monkeypatch.setattr("anejax.cli.generate.generate", lambda model, *a, **k: iter(lengths.append(k["length"]) or []))
    assert run("generate", "--checkpoint", "long.model", "--tokenizer", "t.bin", "--steps", 7) == 0
    assert lengths == [7]
