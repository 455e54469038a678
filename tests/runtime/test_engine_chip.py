"""The chip whose rules hold where nothing is said: this machine's, or the latest for one that is not known."""

import warnings

import pytest

from anejax.config import config
from anejax.errors import EngineFallbackWarning
from anejax.mil import chips
from anejax.runtime import engine


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    engine._own_chip.cache_clear()


@pytest.mark.parametrize(
    ("machine", "chip"), [("Apple M4 Max", "M4 Max"), ("Apple M3 Ultra", "M3"), ("x86_64", "M1"), ("AMD M9", "M1")]
)
def test_known_machines(machine: str, chip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips.profile, "this_machine", lambda: machine)
    monkeypatch.setattr(engine, "this_machine", lambda: machine)
    with warnings.catch_warnings(), config.override("chip", ""):
        warnings.simplefilter("error")
        assert engine.chip() == chip


def test_an_unknown_machine_is_taken_to_be_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """And that is said, once."""
    monkeypatch.setattr(chips.profile, "this_machine", lambda: "Apple M9 Pro")
    monkeypatch.setattr(engine, "this_machine", lambda: "Apple M9 Pro")
    with config.override("chip", ""):
        with pytest.warns(EngineFallbackWarning, match="Apple M9 Pro is not known: .* of M6"):
            assert engine.chip() == chips.LATEST == "M6"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert engine.chip() == "M6"
    engine._own_chip.cache_clear()
