"""The journal's sums, its JSON form, logs and curves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anejax.train import plot
from anejax.train.journal import Journal, Log


def filled(steps: int = 23) -> Journal:
    journal = Journal()
    for i in range(steps):
        journal.add_step({"loss": 1 / (i + 3), "accuracy": i / 7}, 0.5)
    return journal


def test_means_and_curve() -> None:
    journal = filled()
    assert journal.means()["accuracy"] == pytest.approx(sum(range(23)) / 7 / 23)
    assert [point["step"] for point in journal.curve] == [10, 20]
    assert journal.curve[1]["accuracy"] == pytest.approx(sum(range(10, 20)) / 7 / 10)


def test_an_epochs_row() -> None:
    row = filled().end_epoch({"loss": 0.5, "accuracy": 0.25}, 230, "images")
    assert row["epoch"] == 1 and row["step"] == 23 and row["test_accuracy"] == 0.25
    assert row["images_per_second"] == pytest.approx(230 / 11.5)


def test_json_keeps_every_bit() -> None:
    journal = filled()
    journal.end_epoch({"loss": 0.1 + 0.2}, 1, "images")
    journal.add_step({"loss": 1e-45, "accuracy": 1 / 3}, 0.1)
    again = Journal.from_json(json.loads(json.dumps(journal.to_json())))
    assert again == journal


@pytest.mark.parametrize("change", [{"epoch": "1"}, {"curve": None}, {"sums": []}])
def test_a_wrong_field_is_named(change: dict) -> None:
    values = filled().to_json() | change
    with pytest.raises(ValueError, match=f"field {next(iter(change))!r}"):
        Journal.from_json(values)


def test_the_log_of_a_resumed_run_repeats_what_is_behind_it(tmp_path: Path) -> None:
    journal = filled()
    path = tmp_path / "logs" / "log.jsonl"
    log = Log(path, {"seed": 1}, journal)
    log.write("epoch", journal.end_epoch({"loss": 1.0}, 1, "images"))
    log.write("epoch", {"torn": True})
    Log(path, {"seed": 1}, journal).write("end", {})
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "epoch", "end"]
    assert events[0]["seed"] == 1 and events[1]["test_loss"] == 1.0


def test_curves(tmp_path: Path) -> None:
    journal = filled()
    journal.end_epoch({"loss": 0.5, "accuracy": 0.25}, 230, "images")
    plot.curves(journal, tmp_path / "curves.png", "a title")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert not plot.available()
    with pytest.raises(plot.PlotError, match="needs matplotlib"):
        plot.curves(filled(), tmp_path / "curves.png", "a title")
