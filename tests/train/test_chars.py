"""``anejax train chars``: texts, the network that writes, and a run from its options to a resumed one."""

from __future__ import annotations

import json
import os
import signal
import tracemalloc
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


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1 << 20])
def test_texts_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr("anejax.data.chars._PIECE", piece)
    content = "zß\r\n😀é\r\ra\n\r\n\ufeffz😀"
    (tmp_path / "x").write_bytes(content.encode())
    alphabet, numbers = load(tmp_path / "x")
    assert alphabet.decode(numbers.tolist()) == content.replace("\r\n", "\n").replace("\r", "\n")
    assert alphabet.characters == "".join(sorted(set(alphabet.decode(numbers.tolist()))))
    for cut in (content.encode()[:-1], content.encode() + b"\xff"):
        (tmp_path / "x").write_bytes(cut)
        at = len(cut) - (3 if cut[-1] != 0xFF else 1)
        with pytest.raises(TextError, match=f"UTF-8: .* at byte {at}"):
            load(tmp_path / "x")


def test_a_text_may_have_as_many_characters_as_uint16_has_numbers(tmp_path: Path) -> None:
    points = [p for p in range(0x10000 + 0x800 + 2) if not 0xD800 <= p < 0xE000 and p != 13]
    for count in (65_536, 65_537):
        (tmp_path / "x").write_text("".join(map(chr, points[:count])), encoding="utf-8", newline="")
        if count == 65_536:
            assert np.array_equal(load(tmp_path / "x")[1], np.arange(count))
        else:
            with pytest.raises(TextError, match="2 to 65,536 different characters, got 65537"):
                load(tmp_path / "x")


def test_reading_a_text_takes_a_few_times_its_size(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(32, 127)) * 80_000)
    tracemalloc.start()
    load(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 7_600_000 + 50_000_000  # the table of all characters, and a piece


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


def _changed(directory: Path, **fields: object) -> None:
    """Changes the recipe in the newest checkpoint of a run, with a digest that fits."""
    index = checkpoint.newest(directory / "checkpoints", print)
    content = json.loads(index.read_text())
    content["record"]["config"].update(fields)
    index.write_bytes(checkpoint._encode(content))
    for other in set(index.parent.glob("*.json")) - {index}:
        other.unlink()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": 10**6}, "'layers' is wrong: expected an integer from 1 to 256, got 1,000,000"),
        ({"hidden": 10**9}, "'hidden' is wrong"),
        (
            {"hidden": 16_384, "layers": 32},
            "It is a checkpoint of another model",
        ),  # no memory is taken for 300 GB of it
        ({"text": "/dev/zero"}, "expected a regular file, got a device"),
        ({"text": "a\0b"}, "expected a path"),
        ({"text": "\x1b[2J"}, "\u241b[2J: No such file"),
        ({"steps": 10**400}, "'steps' is wrong"),
        ({"steps": 4}, "of a run of 1 epochs"),
        ({"seed": 1.5}, "'seed' is wrong"),
        ({"lr": None}, "'lr' is wrong"),
    ],
)
def test_a_received_run_with_odd_values_is_refused(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict, message: str
) -> None:
    assert run("--text", text, *RUN, "--out", tmp_path / "run") == 0
    _changed(tmp_path / "run", **fields)
    assert run("--resume", tmp_path / "run") == 2
    err = capsys.readouterr().err
    assert message in err and "defect" not in err


def test_a_received_run_cannot_empty_other_files(text: Path, tmp_path: Path, capsys) -> None:
    assert run("--text", text, *RUN, "--out", tmp_path / "run") == 0
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("log.jsonl", ".lock"):
        (tmp_path / "run" / name).unlink()
        (tmp_path / "run" / name).symlink_to(precious)
        assert run("--resume", tmp_path / "run") == (2 if name == ".lock" else 0)
        assert precious.read_text() == "mine"
    assert ".lock: expected a regular file, got a link" in capsys.readouterr().err


def test_a_start_sweeps_what_killed_runs_left(text: Path, tmp_path: Path) -> None:
    assert run("--text", text, *RUN, "--out", tmp_path / "run") == 0
    left = [tmp_path / "run" / ".abc.anejax-part", tmp_path / "run" / "checkpoints" / ".abc.anejax-part"]
    for path in left:
        path.mkdir()
        (path / ".tmpNCuy9F").write_text("half of a checkpoint")
    older = tmp_path / "run" / "checkpoints" / ".step-000000004.json.99.part"
    older.touch()
    assert run("--resume", tmp_path / "run") == 0
    assert not any(path.exists() for path in [*left, older])
