"""The benchmark against other frameworks: its table, and what it says of frameworks that do not run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import peers


def row(framework: str, ms: list[float], losses: list[float]) -> dict[str, Any]:
    return {"workload": "mlp", "framework": framework, "version": "1", "losses": losses, "ms": ms}


def test_ratios_are_taken_round_by_round_and_losses_are_compared() -> None:
    rows = peers.summary([
        row("anejax", [1.0, 2.0, 4.0], [2.5, 2.0]),
        row("jax", [2.0, 6.0, 4.0], [2.5005, 2.0]),
        row("torch", [3.0, 6.0, 12.0], [2.6, 2.0]),
    ])  # fmt: skip
    assert [r["ratio"] for r in rows] == [1.0, 2.0, 3.0]
    assert [r["median"] for r in rows] == [2.0, 4.0, 6.0]
    assert [r["agrees"] for r in rows] == [True, True, False]
    table = peers.markdown(rows, {"mlx": "no matching distribution"}, "a machine")
    assert "| mlp | jax 1 | 4.00 | 2.00 to 6.00 | 2.00 |" in table
    assert "torch 1, its losses differ" in table
    assert "mlx did not run: no matching distribution" in table


def test_a_table_without_anejax_has_no_ratios() -> None:
    (only,) = peers.summary([row("jax", [1.0, 2.0], [1.0])])
    assert only["ratio"] is None and only["agrees"]


def test_a_framework_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    failed: dict[str, str] = {}
    assert peers.start("mlp", {"torch": missing_python(tmp_path)}, failed) == {}
    assert failed == {"torch mlp": "no module named torch here"}


def missing_python(folder: Path) -> Path:
    path = folder / "python"
    path.write_text(f'#!{sys.executable}\nimport sys\nsys.exit("no module named torch here")\n')
    path.chmod(0o755)
    return path


def test_a_step_is_timed_on_request() -> None:
    worker = peers.Worker(Path(sys.executable), "anejax", "mlp")
    assert worker.info["losses"] == pytest.approx(sorted(worker.info["losses"], reverse=True))  # it learns
    assert 0 < worker.seconds(1) < 60
    worker.close()


def test_a_slow_framework_gets_two_turns() -> None:
    info = {"version": "1", "losses": [1.0]}
    fast = SimpleNamespace(info=info, seconds=lambda steps: 0.001)
    slow = SimpleNamespace(info=info, seconds=lambda steps: peers.LONGEST)
    rows = peers.measure("mlp", {"anejax": fast, "slow": slow}, 5, 1)
    assert [len(r["ms"]) for r in rows] == [5, 2]
    assert peers.summary(rows)[1]["ratio"] == pytest.approx(1000 * peers.LONGEST)


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = peers.summary([row("anejax", [1.0, 2.0], [1.0]), row("jax", [2.0, 3.0], [1.0])])
    assert peers.picture(rows, tmp_path / "bars.png") is None
    assert (tmp_path / "bars.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
