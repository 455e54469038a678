"""The real networks, and one of 110 million parameters: losses, and memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from anejax import cli
from anejax.paths import data_dir
from tests import stories

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("checkpoint", "tokenizer", "data", "expected", "some", "tolerance"),
    [
        ("stories260K.bin", "tok512.bin", "valid.txt", 1.37, ["--tokens", "40000"], 0.03),
        pytest.param("stories260K.bin", "tok512.bin", "valid.txt", 1.37, [], 0.01, marks=pytest.mark.long),
        pytest.param(
            "stories15M.bin",
            "tokenizer.bin",
            "valid.tok32k.bin",
            1.16,
            ["--tokens", "204800"],
            0.01,
            marks=pytest.mark.long,
        ),
        pytest.param("stories15M.bin", "tokenizer.bin", "valid.tok32k.bin", 1.1463, [], 0.001, marks=pytest.mark.long),
    ],
)
def test_the_loss_of_the_real_networks(
    tmp_path, monkeypatch, capsys, checkpoint, tokenizer, data, expected, some, tolerance
) -> None:
    """1.37 and 1.16 come from an independent evaluation in NumPy, to two decimals; it does not state its windows.

    Ours of 256 give 1.3745 and 1.1463 on all of the data, and 1.372 and 1.160 on the first 204,800 tokens, which are
    those two decimals; over the first 13,000 to 262,000 tokens the larger network's mean wanders from 1.203 to 1.150.
    """
    monkeypatch.setenv("ANEJAX_DATA", str(data_dir()))
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path))
    command = ["eval", "stories", "--checkpoint", stories.find(checkpoint, fetch="15M" in checkpoint or not some)]
    command += ["--tokenizer", stories.find(tokenizer), "--data", stories.find(data), *some]
    assert cli.main(list(map(str, command))) == 0
    assert float(capsys.readouterr().out.removeprefix("valid_loss=")) == pytest.approx(expected, abs=tolerance)


@pytest.mark.long
def test_stories110m_trains_within_6_gib() -> None:
    """In a process of its own, whose peak of resident memory the benchmark prints: 4 sequences of 256 tokens."""
    command = [sys.executable, "-m", "benchmarks.stories", "--memory", "110M", "--steps", "3"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(float, row)) for row in re.findall(r"loss ([\d.]+), .* peak ([\d.]+) GiB", printed)]
    losses = [loss for loss, _ in rows]
    assert len(losses) == 3 and losses == sorted(losses, reverse=True) and losses[-1] < losses[0] - 0.1
    assert max(peak for _, peak in rows) < 6
