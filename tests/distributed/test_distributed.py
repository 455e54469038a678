"""Several processes over MPI. Each test starts mpiexec; what the processes check is in worker.py."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.errors import ShapeError
from anejax.sharding import NamedSharding
from anejax.sharding import PartitionSpec as P

ROOT = Path(__file__).parents[2]
MPIEXEC = Path(sys.executable).parent / "mpiexec"
needs_mpi = pytest.mark.skipif(
    not MPIEXEC.exists() or importlib.util.find_spec("mpi4py") is None,
    reason="mpi4py and an MPI library are not installed (extra 'mpi')",
)


def mpiexec(count: int, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """``python -m command`` in ``count`` processes of one thread each."""
    env = os.environ | {"ANEJAX_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | settings
    line = [str(MPIEXEC), "-n", str(count), sys.executable, "-m", *command]
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


@functools.cache
def checks(count: int, *names: str) -> str:
    """What the processes printed. Small buckets, so that gradients go as several messages."""
    done = mpiexec(count, "tests.distributed.worker", *names, ANEJAX_DISTRIBUTED_BUCKET="200")
    return done.stdout + done.stderr


NAMES = [
    line.split("def ")[1].split("(")[0]
    for before, line in zip(
        *(lambda lines: (lines, lines[1:]))((Path(__file__).parent / "worker.py").read_text().splitlines())
    )
    if before == "@check"
]


@needs_mpi
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.long)])
def test_processes(count: int, name: str) -> None:
    printed = checks(count)
    assert all(f"[{i}] {name} passed" in printed for i in range(count)), printed


@needs_mpi
def test_four_processes() -> None:
    """Those of the checks whose work differs most from that of two processes."""
    names = ("passing_on", "means_sent_as_float16", "training_is_that_of_one_process")
    printed = checks(4, *names)
    assert all(f"[{i}] {name} passed" in printed for i in range(4) for name in names), printed


@needs_mpi
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raises", "process 1 of 2 on"),
        ("other shape", "runs another program than process"),
        pytest.param("ends", "process 1 has ended", marks=pytest.mark.long),
        pytest.param("killed", "", marks=pytest.mark.long),
        pytest.param("interrupted", "KeyboardInterrupt", marks=pytest.mark.long),
        pytest.param("other collective", "runs another program than process", marks=pytest.mark.long),
        ("other version", "expected one version of anejax in all processes"),
        pytest.param("never starts", "in join_if_launched", marks=pytest.mark.long),
        ("stopped", f"process 1 on {platform.node()} has sent nothing for 4 s"),
        ("sleeps", f"process 1 on {platform.node()} did not come within 2 s and is idle"),
        pytest.param(
            "locked", f"process 1 on {platform.node()} did not come within 2 s and is idle", marks=pytest.mark.long
        ),
        pytest.param("never comes", f"process 1 on {platform.node()} did not come within 8 s", marks=pytest.mark.long),
    ],
)
def test_a_process_that_goes_wrong_ends_the_others(how: str, words: str) -> None:
    began = time.monotonic()
    limits = {"ANEJAX_DISTRIBUTED_TIMEOUT": "8", "ANEJAX_DISTRIBUTED_IDLE": "2"}
    done = mpiexec(2, "tests.distributed.faulty", how, **limits)
    assert done.returncode != 0
    assert "finished" not in done.stdout
    assert words in done.stdout + done.stderr
    assert time.monotonic() - began < 200  # it ended by itself


@needs_mpi
@pytest.mark.long
@pytest.mark.parametrize(("how", "idle"), [("computes", "2"), ("writes", "2"), ("pauses", "0")])
def test_a_process_that_does_something_may_come_late(how: str, idle: str) -> None:
    done = mpiexec(2, "tests.distributed.faulty", how, ANEJAX_DISTRIBUTED_IDLE=idle)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("finished") == 2


@needs_mpi
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question. " * 200)
    losses = []
    for count, wire in ((1, "float32"), (2, "float32"), (2, "float16")):
        out = tmp_path / f"run{count}{wire}"
        run = ["anejax", "train", "chars", "--text", str(text), "--hidden", "16", "--steps", "6", "--eval-every", "3"]
        sizes = ["--batch", "4", "--length", "10", "--out", str(out)]
        done = mpiexec(count, *run, *sizes, ANEJAX_DISTRIBUTED_WIRE=wire)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("writing to") == 1  # the first process speaks
        losses.append(_losses(out))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] == pytest.approx(losses[2], rel=2e-3)


@needs_mpi
@pytest.mark.long
def test_a_run_of_four_processes_goes_on_with_two_and_with_one(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question. " * 200)
    sizes = [
        "--text",
        str(text),
        "--hidden",
        "16",
        "--steps",
        "8",
        "--eval-every",
        "4",
        "--batch",
        "4",
        "--length",
        "10",
    ]
    whole, stopped, copied = (tmp_path / name for name in ("whole", "stopped", "copied"))
    assert mpiexec(1, "anejax", "train", "chars", *sizes, "--out", str(whole)).returncode == 0
    done = mpiexec(4, "tests.distributed.stopped", "chars", *sizes, "--out", str(stopped))
    assert "stopped at step" in done.stdout, done.stdout + done.stderr
    shutil.copytree(stopped, copied)
    for count, run in ((2, stopped), (1, copied)):
        done = mpiexec(count, "anejax", "train", "chars", "--resume", str(run))
        assert done.returncode == 0, done.stdout + done.stderr
        assert _losses(run) == pytest.approx(_losses(whole), rel=1e-4)
        assert len(_losses(run)) == 2


def _losses(run: Path) -> list[float]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["train_loss"] for row in rows if row["event"] == "epoch"]


# --- one process ------------------------------------------------------------------------------------------------------


def test_means_sent_as_float16_leave_out_nothing_in_the_end() -> None:
    """Mapped processes: the means, and what all processes still have to send, add up to the true means."""
    mean = aj.jit(aj.vmap(lambda g, e: aj.distributed.float16_mean(g, e, "i"), axis_name="i"))
    for count, shape in ((1, (5,)), (2, ()), (3, (7, 2)), (4, (0, 3)), (5, (1,))):
        grads = np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)
        means, left = mean(grads, np.zeros_like(grads))
        assert all(np.array_equal(means[0], row) for row in means)
        found = np.asarray(means, np.float64)[0] + np.asarray(left, np.float64).mean(0)
        np.testing.assert_allclose(found, grads.astype(np.float64).mean(0), rtol=0, atol=4e-7)
    means, left = mean(np.array([[np.inf, 1, 70000], [1, np.nan, 1]], np.float32), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(means[0][:2], [np.inf, np.nan])
    assert means[0, 2] == pytest.approx(35000.5, rel=1e-3)
    assert np.isfinite(left).all()
    with pytest.raises(ShapeError, match="expected float32 arrays"):
        aj.vmap(lambda g: aj.distributed.float16_mean(g, g, "i"), axis_name="i")(np.zeros((2, 3), np.int32))


def test_one_process_is_the_identity() -> None:
    mesh = aj.make_mesh((1,), ("b",))
    assert (aj.process_count(), aj.process_index(), aj.distributed.is_initialized()) == (1, 0, False)
    aj.distributed.initialize()
    f = aj.shard_map(lambda x: lax.psum(x, "b") + lax.axis_index("b"), mesh=mesh, in_specs=P("b"), out_specs=P("b"))
    assert f(jnp.arange(3.0)).tolist() == [0, 1, 2]
    assert aj.grad(lambda x: f(x).sum())(jnp.arange(3.0)).tolist() == [1, 1, 1]
    assert aj.pmap(lambda x: lax.all_gather(x, "i"), axis_name="i")(jnp.ones((1, 2))).shape == (1, 1, 2)


def test_shardings_say_what_each_process_has() -> None:
    mesh = aj.make_mesh((1, 1), ("b", "m"))
    sharding = NamedSharding(mesh, P(("b", "m"), None))
    assert sharding.shard_shape((4, 2)) == (4, 2)
    assert sharding.is_fully_replicated
    assert aj.device_put(jnp.ones(3), sharding).shape == (3,)
    with pytest.raises(ShapeError, match="at most 1 entries"):
        sharding.shard_shape((4,))
    with pytest.raises(ShapeError, match="product is 1"):
        aj.make_mesh((2,), ("b",))
