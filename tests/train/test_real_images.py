"""A short training run on real images, through the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anejax import cli
from anejax.data import cifar10


@pytest.fixture(scope="module")
def data() -> Path:
    try:
        return cifar10.ensure()
    except cifar10.DataError as err:
        pytest.skip(f"the real CIFAR-10 cannot be had: {err}")


def test_a_network_learns_real_images(data: Path, tmp_path: Path) -> None:
    recipe = ["--preset", "demo", "--subset", "2560", "--batch", "64", "--epochs", "3", "--lr", "0.05"]
    assert cli.main(["train", "cifar10", *recipe, "--data", str(data), "--out", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()][1:4]
    losses = [row["train_loss"] for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert rows[-1]["test_accuracy"] > 0.35  # chance is 0.1
