"""Both devices at the same time: what waits for what, bits of the serial order, failures, and that time is saved."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.errors import DeviceError
from anejax.partition import lanes, plan
from anejax.runtime.lanes import Lanes
from anejax.runtime.pipeline import Step

Spans = list[tuple[str, float, float]]


def test_a_segment_begins_when_its_device_is_free_and_its_operands_are_there() -> None:
    devices = ["cpu", "ane", "cpu", "ane", "cpu"]
    needs = [set(), {0}, {1}, {1}, {2, 3}]
    assert lanes.starts([1, 5, 2, 3, 1], devices, needs) == [0, 1, 6, 6, 9]
    assert lanes.total([1, 5, 2, 3, 1], devices, needs) == 10
    assert lanes.can_overlap(devices, needs)
    assert not lanes.can_overlap(["cpu", "ane", "cpu"], [set(), {0}, {1}])
    assert lanes.total([], [], []) == 0


@pytest.fixture(scope="module", autouse=True)
def _engine(espresso: Path) -> Iterator[None]:
    """The stand-in has whatever it can have, in programs of few operations; the CPU device's work is in pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_losing", lambda *args: iter(()))
        patch.setattr(plan, "MAX_PROGRAM_OPS", 3)
        patch.setattr(lanes, "WORTH_US", -1e9)
        patch.setattr(lanes, "WORTH_SHARE", -1e9)
        yield


def chain(x: Any, weights: Any) -> Any:
    """Each product is sorted by the CPU device, while the engine goes on with the next."""
    found = []
    for w in weights:
        x = jnp.tanh(x @ w)
        found.append(jnp.sort(x))
    return found


RNG = np.random.default_rng(0)
X, WEIGHTS = RNG.standard_normal((5, 8)).astype("f"), [RNG.standard_normal((8, 8)).astype("f") for _ in range(4)]


@pytest.fixture(scope="module")
def step() -> Any:
    made = aj.jit(chain, device="ane")
    made(X, WEIGHTS)  # the first run is verified, in order
    return made


def watched(patch: pytest.MonkeyPatch, delay: float) -> Spans:
    """When each step runs, of which each takes ``delay`` more seconds."""
    spans: Spans = []
    plain = Step.run

    def run(self: Step, *args: Any) -> None:
        begin = time.perf_counter()
        plain(self, *args)
        time.sleep(delay)
        spans.append((self.device, begin, time.perf_counter()))

    patch.setattr(Step, "run", run)
    return spans


def test_devices_work_at_the_same_time(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = watched(monkeypatch, 0.05)
    got = step(X, WEIGHTS)
    both = sum(a[0] != b[0] and a[1] < b[2] and b[1] < a[2] for i, a in enumerate(spans) for b in spans[:i])
    assert both, spans  # pairs of steps of different devices that ran at the same time
    spans.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "run", lambda self, run: [run(i) for i in range(len(self.needs))])
        serial = step(X, WEIGHTS)
    assert all(a[2] <= b[1] for a, b in itertools.pairwise(spans))
    for a, b in zip(got, serial, strict=True):
        np.testing.assert_array_equal(a, b)


def test_many_runs_have_the_same_bits(step: Any) -> None:
    want = [np.asarray(a) for a in step(X, WEIGHTS)]
    for _ in range(50):
        for a, b in zip(step(X, WEIGHTS), want, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_donated_input_is_read_before_it_is_overwritten() -> None:
    def update(x: Any, weights: Any) -> Any:
        found = chain(x, weights)
        return x + jnp.sort(found[0], axis=0), found

    gives = aj.jit(update, device="ane", donate_argnums=0)
    want = aj.tree.leaves(gives(jnp.asarray(X), WEIGHTS))  # in order, since it is verified
    for _ in range(5):
        got = gives(jnp.asarray(X), WEIGHTS)
        for a, b in zip(aj.tree.leaves(got), want, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("device", ["cpu", "ane"])
def test_a_failure_ends_both_lanes(step: Any, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    plain, last = Step.run, [0]

    def run(self: Step, *args: Any) -> None:
        if self.device == device:
            last[0] += 1
            if last[0] == 2:
                raise DeviceError("[test] it broke.")
        plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Step, "run", run)
        with pytest.raises(DeviceError, match="it broke"):
            step(X, WEIGHTS)
    assert len(step(X, WEIGHTS)) == 4
