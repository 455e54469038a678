"""``anejax train chars``: texts, the network that writes, and a run from its options to a resumed one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import anejax as aj
from anejax import cli, random, tree
from anejax.data.chars import Alphabet, TextError, load
from anejax.models.chars import CharLSTM, write
from anejax.train import chars, checkpoint

TEXT = "the cat sat on the mat, and the rat sat on the cat.\n" * 40


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "cats.txt"
    path.write_text(TEXT)
    return path


def test_texts_are_numbers_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("naïve 😀\n", encoding="utf-8")
    alphabet, numbers = load(path)
    assert alphabet.characters == "\n aenvï😀" and numbers.dtype == np.uint16
    assert alphabet.decode(numbers.tolist()) == "naïve 😀\n"
    assert np.array_equal(alphabet.encode("naïve 😀\n"), numbers)
    with pytest.raises(TextError, match="not seen the character 'z'"):
        Alphabet("ab").encode("az")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "2 to 65,536 different characters, got 0"), (b"aaaa", "got 1"), (b"ab\xff", "UTF-8: .* at byte 2")],
)
def test_files_that_are_no_texts(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(TextError, match=message):
        load(tmp_path / "x")


def test_the_network_goes_on_where_it_stopped() -> None:
    model = CharLSTM(7, 5, layers=2)
    params, state = model.init(random.key(0), aj.ShapeDtypeStruct((1, 1), "int32"))
    x = np.random.default_rng(0).integers(0, 7, (2, 9)).astype(np.int32)
    whole, after = model.apply(params, state, x)
    assert after == () and whole.shape == (2, 9, 7)
    first, carries = model.apply(params, model.carries(2), x[:, :4])
    second, carries = model.apply(params, carries, x[:, 4:])
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-5, atol=1e-6)
    assert tree.structure(carries) == tree.structure(model.carries(2))


def test_writing_takes_the_likeliest_at_temperature_0_and_samples_otherwise() -> None:
    model, key = CharLSTM(7, 5), random.key(1)
    params = tree.map(lambda p: 3 * p, model.init(key, aj.ShapeDtypeStruct((1, 1), "int32"))[0])
    seen = [1, 2]
    for chosen in write(model, params, seen, 6, key, temperature=0).tolist():
        logits = model.apply(params, (), np.int32([seen]))[0]
        assert chosen == int(np.argmax(logits[0, -1]))
        seen.append(chosen)
    one, two = (write(model, params, [1], 200, random.key(i)).tolist() for i in (1, 2))
    assert one != two and one == write(model, params, [1], 200, random.key(1)).tolist()
    probabilities = np.exp(np.asarray(model.apply(params, (), np.int32([[1]]))[0][0, -1]) / 0.8)
    drawn = aj.vmap(lambda k: write(model, params, [1], 1, k)[0])(random.split(key, 2000))
    share = np.bincount(np.asarray(drawn), minlength=7) / 2000
    assert np.max(np.abs(share - probabilities / probabilities.sum())) < 0.05


RUN = ["--hidden", "12", "--steps", "8", "--eval-every", "4", "--batch", "4", "--length", "16"]


def run(*arguments: object) -> int:
    return cli.main(["train", "chars", *map(str, arguments)])


def test_a_run_and_a_resumed_run(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    assert run("--text", text, *RUN, "--out", tmp_path / "whole") == 0
    out = capsys.readouterr().out
    assert "a sample:" in out and "characters/s" in out and "test loss" in out
    events = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events] == ["start", "epoch", "epoch", "end"]
    assert {"train_loss", "test_loss", "characters_per_second"} <= events[1].keys()
    _stop_after(5, monkeypatch)
    assert run("--text", text, *RUN, "--out", tmp_path / "broken") == 130
    assert f"anejax train chars --resume {tmp_path / 'broken'}" in capsys.readouterr().out
    monkeypatch.undo()
    assert run("--resume", tmp_path / "broken") == 0
    newest = [checkpoint.newest(tmp_path / n / "checkpoints", print) for n in ("whole", "broken")]
    assert len({i.with_suffix(".safetensors").read_bytes() for i in newest}) == 1
    text.write_text(TEXT + "more")
    assert run("--resume", tmp_path / "broken") == 2
    assert "has changed since the run began" in capsys.readouterr().err
    assert run("--resume", tmp_path / "broken", "--hidden", 13) == 2
    assert "started with --hidden 12" in capsys.readouterr().err


def _stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run gets a Ctrl-C in its step number ``steps``."""
    make_step, calls = chars.language.train_step, []

    def stopping(*args):
        step = make_step(*args)

        def counted(*inputs):
            calls.append(1)
            if len(calls) == steps:
                os.kill(os.getpid(), signal.SIGINT)
            return step(*inputs)

        return counted

    monkeypatch.setattr(chars.language, "train_step", stopping)


def test_the_loss_falls(text: Path) -> None:
    recipe = chars.CharsRecipe(str(text), hidden=32, steps=60, eval_every=60, batch=8, length=32, lr=0.02)
    task, state = chars.make(recipe)
    losses = []
    for batch in task.train.epoch(0):
        state, metrics = task.train_step(state, *batch)
        losses.append(float(metrics["loss"]))
    assert losses[0] > 2.5 and losses[-1] < 0.7


def test_a_text_that_is_too_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short.txt").write_text("ab" * 20)
    assert run("--text", tmp_path / "short.txt", "--out", tmp_path / "o") == 2
    assert "windows of 100 tokens or more" in capsys.readouterr().err
    assert run("--text", tmp_path / "nothing.txt", "--out", tmp_path / "o") == 2
    assert "nothing.txt: No such file" in capsys.readouterr().err
