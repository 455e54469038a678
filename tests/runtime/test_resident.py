"""State that stays inside the engine from call to call: right, whatever the engine does with a shared buffer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.config import config
from anejax.errors import EngineFallbackWarning
from anejax.runtime import engine

SALT = count(1)  # programs of equal text would be shared by tests


@pytest.fixture(autouse=True)
def _espresso(espresso: Path) -> Iterator[None]:
    engine._why_not_resident.cache_clear()
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        yield
    engine._why_not_resident.cache_clear()


class Recurrence:
    """h' = tanh(h @ u + x) and its sum, in float16; ``check`` runs it against the same without donation."""

    def __init__(self) -> None:
        n = 8 + next(SALT)
        rng = np.random.default_rng(n)
        self.u, self.x, self.h = (jnp.asarray(rng.standard_normal(s), jnp.float16) for s in ((n, n), (3, n), (3, n)))
        self.step = aj.jit(_step, device="ane", donate_argnums=0)
        self.expected = self.h
        self.plain = aj.jit(_step, device="ane")

    def check(self, times: int = 1) -> None:
        for _ in range(times):
            self.expected, total = self.plain(self.expected, self.u, self.x)
            self.h, got = self.step(self.h, self.u, self.x)
            np.testing.assert_array_equal(got, total)
        np.testing.assert_array_equal(self.h, self.expected)

    def found(self) -> tuple[dict[str, Any], bool]:
        """The counts of the engine's program, and whether state shares a buffer there."""
        compiled = self.step.lower(self.h, self.u, self.x).compile()
        return compiled.cost_analysis()["segments"][0], "in the buffer of" in compiled.as_text()


def _step(h: Any, u: Any, x: Any) -> Any:
    h = jnp.tanh(h @ u + x)
    return h, jnp.sum(h)


def test_state_is_copied_no_more() -> None:
    """Into the engine before the first run, and before the second since the first was not verified yet."""
    recurrence = Recurrence()
    recurrence.check(6)
    stats, shared = recurrence.found()
    assert shared and (stats["copied"], stats["kept"]) == (2 + 2, 4 + 2 * 5)


def test_another_state_comes_in() -> None:
    recurrence = Recurrence()
    recurrence.check(3)
    recurrence.h = jnp.asarray(np.array(recurrence.h) * np.float16(0.5))
    recurrence.expected = jnp.asarray(np.array(recurrence.h))
    recurrence.check(3)
    view = np.asarray(recurrence.h)  # keeps the memory from being donated
    before = view.copy()
    recurrence.check(2)
    np.testing.assert_array_equal(view, before)


def test_an_engine_that_writes_before_it_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The accumulator tells; so do the first results of a program where it does not."""
    assert engine.why_not_resident() is None
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "execute:tiles")
    recurrence = Recurrence()
    recurrence.check(4)
    engine._why_not_resident.cache_clear()
    assert "instead of 1" in (engine.why_not_resident() or "")
    assert not recurrence.found()[1], "tried without, within the first call"


@pytest.mark.parametrize("what", ["share:refused", "share:stale"])
def test_a_system_that_does_not_share(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", what)
    recurrence = Recurrence()
    recurrence.check(4)
    assert engine.why_not_resident() is not None
    assert not recurrence.found()[1]


def test_nothing_is_shared_that_is_not_verified() -> None:
    recurrence = Recurrence()
    with config.override("engine_verify", "off"):
        recurrence.check(3)
    assert not recurrence.found()[1]


def test_a_failed_run_leaves_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    recurrence = Recurrence()
    recurrence.check(3)
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "execute:lost")
    with config.override("engine_fallback", "warn"), pytest.warns(EngineFallbackWarning, match="invalidated"):
        h, _ = recurrence.step(recurrence.h, recurrence.u, recurrence.x)
    monkeypatch.delenv("ANEJAX_ESPRESSO_FAULT")
    expected, _ = recurrence.plain(recurrence.expected, recurrence.u, recurrence.x)
    np.testing.assert_allclose(h, expected, rtol=0, atol=2.0**-9)
