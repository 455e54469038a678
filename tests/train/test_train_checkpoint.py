"""Checkpoints: round trips, damage, mismatches, full disks."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from anejax import tree
from anejax.train import checkpoint
from anejax.train.checkpoint import CheckpointError


class State(NamedTuple):
    params: Any
    count: Any


def state(value: float = 1.0) -> State:
    weights = {"kernel": np.full((2, 3), value, np.float32), "half": np.full(2, value, ml_dtypes.bfloat16)}
    return State([weights, (), {"on": np.array(True)}], np.array(3, np.int32))


def quiet(message: str) -> None:
    raise AssertionError(f"unexpected warning: {message}")


def test_round_trip(tmp_path: Path) -> None:
    record = {"lr": 0.1 + 0.2, "rows": [{"loss": 1 / 3}]}
    checkpoint.save(tmp_path, 7, state(1 / 3), record)
    index = checkpoint.newest(tmp_path, quiet)
    assert checkpoint.record(index) == record
    got = checkpoint.load(index, state())
    assert tree.structure(got) == tree.structure(state())
    for a, b in zip(tree.leaves(got), tree.leaves(state(1 / 3))):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_leaves_are_named_by_their_paths(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state(), {})
    arrays = safetensors.numpy.load_file(tmp_path / "step-000000001.safetensors")
    assert sorted(arrays) == ["count", "params[0]['half']", "params[0]['kernel']", "params[2]['on']"]


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 20, 300):
        checkpoint.save(tmp_path, step, state(step), {})
    stems = {path.stem for path in tmp_path.iterdir()}
    assert stems == {"step-000000020", "step-000000300"}


@pytest.mark.parametrize("kind", ["bit", "cut", "gone", "index cut", "index empty", "index other"])
def test_damage_is_seen_and_the_one_before_is_taken(tmp_path: Path, kind: str) -> None:
    checkpoint.save(tmp_path, 1, state(1), {})
    checkpoint.save(tmp_path, 2, state(2), {})
    index = tmp_path / "step-000000002.json"
    tensors = index.with_suffix(".safetensors")
    content = tensors.read_bytes()
    match kind:
        case "bit":
            tensors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "cut":
            tensors.write_bytes(content[:-1])
        case "gone":
            tensors.unlink()
        case "index cut":
            index.write_text(index.read_text()[:20])
        case "index empty":
            index.write_text("")
        case "index other":
            index.write_text(json.dumps({"format": "other"}))
    with pytest.raises(CheckpointError, match="step-000000002"):
        checkpoint.load(index, state())
    heard: list[str] = []
    taken = checkpoint.newest(tmp_path, heard.append)
    assert taken.name == "step-000000001.json"
    assert len(heard) == 1 and "step-000000002" in heard[0] and "Taking step-000000001.json" in heard[0]
    assert float(checkpoint.load(taken, state()).params[0]["kernel"][0, 0]) == 1
    checkpoint.save(tmp_path, 2, state(2), {})  # going on replaces the damaged one
    assert checkpoint.newest(tmp_path, quiet) == index


def test_a_damaged_later_one_does_not_push_out_good_ones(tmp_path: Path) -> None:
    for step in (1, 9):
        checkpoint.save(tmp_path, step, state(), {})
    (tmp_path / "step-000000009.safetensors").write_bytes(b"")
    checkpoint.save(tmp_path, 5, state(), {})
    assert sorted(p.name for p in tmp_path.glob("*.json")) == ["step-000000001.json", "step-000000005.json"]


def test_all_damaged(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state(), {})
    (tmp_path / "step-000000001.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.newest(tmp_path, quiet)


def test_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint.newest(tmp_path / "nowhere", quiet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s._replace(count=np.int64(3)), r"expected count int64\[\], got int32\[\]"),
        (lambda s: s._replace(params=s.params[:2]), r"params\[2\]\['on'\] bool\[\] is unexpected \(1 in all\)"),
        (
            lambda s: s._replace(params=[*s.params, {"b": np.zeros(2)}]),
            r"expected params\[3\]\['b'\] float64\[2\], which is not there",
        ),
        (
            lambda s: s._replace(params=[{**s.params[0], "kernel": np.zeros((3, 2), np.float32)}, *s.params[1:]]),
            r"expected params\[0\]\['kernel'\] float32\[3,2\], got float32\[2,3\]",
        ),
    ],
)
def test_another_model_is_refused_by_the_path_of_the_leaf(tmp_path: Path, change, message: str) -> None:
    checkpoint.save(tmp_path, 1, state(), {})
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "step-000000001.json", change(state()))


@pytest.mark.parametrize("failing", ["save_file", "json"])
def test_a_full_disk_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    checkpoint.save(tmp_path, 1, state(1), {})

    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "save_file":
        monkeypatch.setattr(safetensors.numpy, "save_file", full)
    else:
        monkeypatch.setattr(json, "dump", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*last good checkpoint is untouched"):
        checkpoint.save(tmp_path, 2, state(2), {})
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*"))
    index = checkpoint.newest(tmp_path, quiet)
    assert float(checkpoint.load(index, state()).params[0]["kernel"][0, 0]) == 1


_FILL = """
import resource, sys
import numpy as np
from pathlib import Path
from anejax.train import checkpoint

directory = Path(sys.argv[1])
checkpoint.save(directory, 1, {"w": np.ones(1000, np.float32)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.save(directory, 2, {"w": np.ones(100_000, np.float32)}, {})
except checkpoint.CheckpointError as err:
    print(err)
"""


def test_a_disk_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """The system itself stops the write in its middle, as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-c", _FILL, str(tmp_path)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert "[checkpoint] cannot write" in done.stdout and "last good checkpoint is untouched" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"step-000000001.json", "step-000000001.safetensors"}
    assert checkpoint.newest(tmp_path, quiet).name == "step-000000001.json"
