"""Checkpoints: round trips, damage, mismatches, full disks."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import anejax as aj
from anejax import nn, optim, tree
from anejax.train import checkpoint, classify, naming
from anejax.train.checkpoint import CheckpointError
from anejax.train.journal import Journal
from anejax.train.loop import resume
from tests.files.test_paths import ODD
from tests.train import toy


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
    assert sorted(arrays) == ["count", "params/0/half", "params/0/kernel", "params/2/on"]


def test_places_of_one_name_are_written_as_python_writes_them(tmp_path: Path) -> None:
    alike = State({"a/b": np.zeros(2), "a": {"b": np.ones(2)}}, np.array(1))
    checkpoint.save(tmp_path, 1, alike, {})
    arrays = safetensors.numpy.load_file(tmp_path / "step-000000001.safetensors")
    assert sorted(arrays) == ["count", "params['a']['b']", "params['a/b']"]
    loaded = checkpoint.load(checkpoint.newest(tmp_path, quiet), alike)
    assert loaded.params["a"]["b"].tolist() == [1, 1]


@pytest.mark.parametrize("written", ["by layers", "places", "as Python writes them"])
def test_arrays_are_found_by_each_kind_of_name(tmp_path: Path, written: str) -> None:
    """Runs of older versions have the last kind."""
    net = nn.Sequential(nn.Scope("first", nn.Linear(3)), nn.Residual(nn.BatchNorm()))
    example, optimizer = aj.ShapeDtypeStruct((2, 5), "float32"), optim.chain(optim.clip(1.0), optim.adam(0.1))
    held = classify.init_state(net, optimizer, example, 0)
    names = naming.by_layers(net, example)(held)
    assert names[:4] == ["params/first/b", "params/first/w", "params/1/bias", "params/1/scale"]
    assert names[4:6] == ["model_state/1/mean", "model_state/1/var"]
    assert {"opt_state/1/0/mu/first/w", "opt_state/1/0/nu/1/scale", "opt_state/1/0/count", "key"} <= {*names}
    own = {"by layers": names, "places": None, "as Python writes them": checkpoint._written_places(held)}[written]
    checkpoint.save(tmp_path, 1, held, {}, own)
    index = checkpoint.newest(tmp_path, quiet)
    loaded = checkpoint.load(index, aj.eval_shape(lambda: held), names=names)
    for a, b in zip(tree.leaves(loaded), tree.leaves(held), strict=True):
        np.testing.assert_array_equal(a, np.asarray(b))
    other = nn.Sequential(nn.Scope("second", nn.Linear(3)), nn.Residual(nn.BatchNorm()))
    if written == "by layers":
        with pytest.raises(CheckpointError, match="expected params/second/b"):
            checkpoint.load(index, held, names=naming.by_layers(other, example)(held))


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


def small(directory: Path) -> Path:
    """The index of a small checkpoint, as a run of 3 epochs of 8 batches would write it."""
    journal = Journal()
    for _ in range(8):
        journal.add_step({"loss": 1 / 3}, 0.5)
    journal.end_epoch({"loss": 0.25}, 32, "images")
    journal.add_step({"loss": 0.5}, 0.5)
    record = {"config": {"seed": 3, "lr": 0.1, "name": "toy"}, "journal": journal.to_json()}
    checkpoint.save(directory, journal.step, state(), record)
    return checkpoint.newest(directory, quiet)


def test_every_flipped_bit_of_an_index_is_seen(tmp_path: Path) -> None:
    journal = Journal()
    journal.add_step({"loss": 1 / 3}, 0.5)
    checkpoint.save(tmp_path, 1, state(), {"config": {"lr": 0.1, "name": "toy"}, "journal": journal.to_json()})
    index = checkpoint.newest(tmp_path, quiet)
    good = index.read_bytes()
    for at in range(8 * len(good)):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        index.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"step-000000001\.json is damaged"):
            checkpoint.record(index)
    index.write_bytes(good)
    checkpoint.record(index)


def test_every_flipped_bit_of_the_arrays_is_seen(tmp_path: Path) -> None:
    one = {"w": np.arange(2, dtype=np.float32)}
    checkpoint.save(tmp_path, 1, one, {})
    index = tmp_path / "step-000000001.json"
    tensors = index.with_suffix(".safetensors")
    good = tensors.read_bytes()
    for at in range(8 * len(good)):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        tensors.write_bytes(bad)
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.load(index, one)


def resealed(index: Path, change: Any) -> None:
    """Changes an index, with digests that fit: an index by someone else, not a damaged one."""
    content = json.loads(index.read_text())
    change(content)
    index.write_bytes(checkpoint._encode(content))


def old(content: dict) -> bytes:
    """The index that version 1 wrote."""
    rest = {k: v for k, v in content.items() if k != "sha256"} | {"version": 1}
    return json.dumps(rest, indent=1).encode()


def test_an_index_without_a_digest_of_itself_is_read_by_the_rules_of_version_1(tmp_path: Path) -> None:
    index = small(tmp_path)
    content = json.loads(index.read_text())
    index.write_bytes(old(content))
    assert checkpoint.newest(tmp_path, quiet) == index and checkpoint.record(index) == content["record"]
    assert checkpoint.load(index, state()).count == 3
    for change in ({"step": 8}, {"step": -1}, {"more": 1}, {"tensors": {"bytes": 1}}, {"version": 0}):
        index.write_bytes(json.dumps(json.loads(old(content)) | change).encode())
        with pytest.raises(CheckpointError, match="is damaged"):
            checkpoint.record(index)
    index.write_bytes(old(content).replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(CheckpointError, match="'sha256' is missing"):
        checkpoint.record(index)


@pytest.mark.parametrize(
    "arrays",
    [b"", b"short", (1 << 40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]",
     b'\x3c\0\0\0\0\0\0\0{"w":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]}}   \0',
     b'\x42\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,4]}}  1234'],
)  # fmt: skip
def test_arrays_that_fit_their_digest_and_are_none_are_an_error_of_the_checkpoint(tmp_path: Path, arrays) -> None:
    index = small(tmp_path)
    index.with_suffix(".safetensors").write_bytes(arrays)
    facts = {"bytes": len(arrays), "sha256": hashlib.sha256(arrays).hexdigest()}
    resealed(index, lambda content: content.update(tensors=facts))
    with pytest.raises(CheckpointError, match=r"step-000000009|another model"):
        checkpoint.load(index, state())


@pytest.mark.parametrize("where", ["index", "arrays"])
@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a device"])
def test_files_of_a_checkpoint_are_regular(tmp_path: Path, where: str, kind: str) -> None:
    index = small(tmp_path)
    path = index if where == "index" else index.with_suffix(".safetensors")
    if where == "arrays":
        resealed(index, lambda content: content["tensors"].update(bytes=0))
    path.unlink()
    ODD[kind](path)
    with pytest.raises(CheckpointError, match=f"got {kind}|expected 0 bytes"):
        checkpoint.load(index, state())


def test_an_index_is_of_a_bounded_size(tmp_path: Path) -> None:
    index = small(tmp_path)
    with open(index, "r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(CheckpointError, match="at most 67,108,864 bytes"):
        checkpoint.record(index)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 10**9}, "expected 1000000000 rows, got 1"),
        ({"epoch": 10**9, "epochs": []}, "expected 1000000000 rows"),
        ({"batch": 9, "step": 17}, "epoch 1, batch 9 of a run of 3 epochs of 8"),
        ({"step": 10}, "at step 10, but at epoch 1, batch 1"),
        ({"step": -1}, "'step' is wrong"),
        ({"step": 10**400}, "one of about 401 digits"),
        ({"batch": 1.0}, "expected an integer"),
        ({"seconds": "1"}, "expected a number"),
        ({"seconds": float("nan")}, "'seconds' is wrong"),
        ({"sums": {"loss": float("inf")}}, "'sums.loss' is wrong"),
        ({"sums": {"loss": [1]}}, "'sums.loss' is wrong"),
        ({"curve": [{"loss": 1}]}, "expected step in each row"),
        ({"epochs": [{"epoch": 1}]}, "expected epoch, seconds, step in each row"),
        ({"epochs": [{"epoch": 1, "step": 8, "seconds": 10**400}]}, "'epochs.seconds' is wrong"),
        ({"recent_steps": 11}, "'recent_steps' is wrong"),
        ({"skipped": 2}, "'skipped', 'batch' and 'step'"),
        ({"other": 1}, "'other' is unknown"),
    ],
)
def test_a_journal_that_cannot_be_of_the_run_is_an_error_of_the_checkpoint(tmp_path: Path, change, message) -> None:
    checkpoint.save(tmp_path, 9, toy.start(), json.loads(small(tmp_path).read_text())["record"])
    index = tmp_path / "step-000000009.json"
    assert resume(toy.task(), tmp_path, index, toy.start()).journal.step == 9
    resealed(index, lambda content: content["record"]["journal"].update(change))
    with pytest.raises(CheckpointError, match=message):
        resume(toy.task(), tmp_path, index, toy.start())


def test_the_position_of_a_journal_is_that_of_its_index(tmp_path: Path) -> None:
    record = json.loads(small(tmp_path).read_text())["record"]
    checkpoint.save(tmp_path, 10, toy.start(), record)
    with pytest.raises(CheckpointError, match="its journal is at step 9"):
        resume(toy.task(), tmp_path, tmp_path / "step-000000010.json", toy.start())
    small(tmp_path).rename(tmp_path / "step-000000011.json")
    with pytest.raises(CheckpointError, match="it is of step 9"):
        checkpoint.record(tmp_path / "step-000000011.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_an_index_holds_is_read_or_an_error_of_the_checkpoint(tmp_path: Path, data: st.DataObject) -> None:
    """Values of any kind in any place, with digests that fit, and in the form of version 1."""
    content = json.loads(small(tmp_path).read_text())
    index = tmp_path / "step-000000009.json"
    place, keys = content, []
    while isinstance(place, dict | list) and place and (not keys or data.draw(st.booleans())):
        keys.append(data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))))
        parent, place = place, place[keys[-1]]
    numbers = st.integers() | st.sampled_from([10**400, -1, 2**63]) | st.floats()
    scalars = st.none() | st.booleans() | numbers | st.text(max_size=5)
    parent[keys[-1]] = data.draw(scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(), scalars))
    index.write_bytes(old(content) if data.draw(st.booleans()) else checkpoint._encode(content))
    with contextlib.suppress(CheckpointError):
        resume(toy.task(), tmp_path, index, toy.start())


def test_what_earlier_versions_left_when_they_were_killed_is_swept(tmp_path: Path) -> None:
    index = small(tmp_path)
    for name in (".step-000000009.json.123.part", ".step-000000010.safetensors.9.part", ".tmpNCuy9F"):
        (tmp_path / name).write_text("x")
    (tmp_path / "mine").touch()
    checkpoint.sweep(tmp_path)
    kept = ["mine", index.name, index.with_suffix(".safetensors").name]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


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
        (lambda s: s._replace(params=s.params[:2]), r"params/2/on bool\[\] is unexpected \(1 in all\)"),
        (
            lambda s: s._replace(params=[*s.params, {"b": np.zeros(2)}]),
            r"expected params/3/b float64\[2\], which is not there",
        ),
        (
            lambda s: s._replace(params=[{**s.params[0], "kernel": np.zeros((3, 2), np.float32)}, *s.params[1:]]),
            r"expected params/0/kernel float32\[3,2\], got float32\[2,3\]",
        ),
    ],
)
def test_another_model_is_refused_by_the_path_of_the_leaf(tmp_path: Path, change, message: str) -> None:
    checkpoint.save(tmp_path, 1, state(), {})
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "step-000000001.json", change(state()))


@pytest.mark.parametrize("failing", ["arrays", "index"])
def test_a_full_disk_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    checkpoint.save(tmp_path, 1, state(1), {})

    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "arrays":
        monkeypatch.setattr(safetensors.numpy, "save_file", full)
    else:
        monkeypatch.setattr(checkpoint, "_encode", full)
    named = "step-000000002.safetensors" if failing == "arrays" else "step-000000002.json"
    with pytest.raises(CheckpointError, match=rf"{named}: No space left on device.*good checkpoint is untouched"):
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
