"""``eval`` and ``generate`` take the runs of ``anejax train`` and their checkpoints, finished or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anejax import cli
from anejax.train import checkpoint
from tests.data.test_tokenizer import make
from tests.train.test_images_command import folder


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command line in a directory of its own: (exit code, stdout, stderr)."""
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object):
        code = cli.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return run


def newest(run: str) -> Path:
    return checkpoint.newest(Path(run, "checkpoints"), print)


def test_runs_of_characters(said) -> None:
    Path("a.txt").write_text("the cat sat on the mat\n" * 60)
    sizes = ["--hidden", 4, "--batch", 2, "--length", 8, "--steps", 2, "--eval-every", 1]
    assert said("train", "chars", "--text", "a.txt", "--out", "run", *sizes)[0] == 0
    for where in ("run", newest("run")):
        code, out, _ = said("generate", "chars", "--checkpoint", where, "--prompt", "the ", "--steps", 30)
        assert code == 0 and out.startswith("the ") and len(out) == 31
        code, out, _ = said("eval", "chars", "--checkpoint", where, "--data", "a.txt", "--tokens", 99)
        assert code == 0 and re.fullmatch(r"characters=99 loss=\d\.\d{4}\n", out)
    assert said("generate", "--checkpoint", "run", "--prompt", "ZZ")[2].count("has not seen the character 'Z'") == 1
    code, _, err = said("generate", "stories", "--checkpoint", "run")
    assert code == 2 and "expected a run of `anejax train` stories, got one of chars" in err
    assert "got one of chars" in said("eval", "images", "--checkpoint", "run")[2]
    assert "no chat template" in said("generate", "--checkpoint", "run", "--chat")[2]
    Path("a.txt").write_text("other\n" * 60)
    assert "has changed since the run began" in said("generate", "--checkpoint", "run")[2]


def test_runs_of_stories(said) -> None:
    make().write("t.bin")
    Path("text.txt").write_text("aab abc b c é<|endoftext|>\nbc aa a a b\n" * 40)
    sizes = ["--steps", 2, "--eval-every", 1, "--batch", 2, "--length", 8]
    command = ["train", "stories", "--data", "text.txt", "--tokenizer", "t.bin", "--out", "run"]
    assert said(*command, *sizes)[0] == 0
    written = said("generate", "--checkpoint", "run", "--prompt", "aab", "--steps", 9, "--temperature", 0)[:2]
    same = [
        "--checkpoint",
        "run/model.bin",
        "--tokenizer",
        "t.bin",
        "--prompt",
        "aab",
        "--steps",
        9,
        "--temperature",
        0,
    ]
    assert written == said("generate", *same)[:2] and written[0] == 0 and written[1].startswith("aab")
    loss = said("eval", "stories", "--checkpoint", newest("run"), "--data", "text.txt", "--length", 8)[:2]
    assert loss[0] == 0 and loss[1].startswith("valid_loss=")
    assert "give --tokenizer" in said("generate", "--checkpoint", "run/model.bin")[2]


def test_runs_of_images(said) -> None:
    pytest.importorskip("PIL", reason="pip install pillow")
    folder(Path("data"), 8)
    sizes = ["--size", 8, "--width", 2, "--epochs", 2, "--batch", 8, "--held", 0.25]
    assert said("train", "images", "--data", "data", "--out", "run", *sizes)[0] == 0
    code, out, _ = said("eval", "images", "--checkpoint", "run")
    assert code == 0 and re.fullmatch(r"images=4 loss=\d+\.\d{4} accuracy=[01]\.\d{4}\n", out)
    folder(Path("new"), 3)
    assert said("eval", "images", "--checkpoint", newest("run"), "--data", "new")[1].startswith("images=6 ")
    Path("new/red").rename("new/green")
    assert "class green is not one of the run's" in said("eval", "images", "--checkpoint", "run", "--data", "new")[2]
    assert "got one of images" in said("eval", "cifar10", "--checkpoint", "run")[2]
