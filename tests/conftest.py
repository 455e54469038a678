"""What every test runs under: Graphs checked after each pass, jax on the CPU, few, repeatable examples."""

from __future__ import annotations

import os

os.environ.setdefault("ANEJAX_CHECK", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

EXAMPLES = Path(__file__).parent.parent / "build" / "hypothesis"  # failing examples of the long profile, run first


settings.register_profile("short", max_examples=20, derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
settings.register_profile("long", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow],
                          database=DirectoryBasedExampleDatabase(EXAMPLES))  # fmt: skip
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.fixture(autouse=True)
def _settings_are_left_alone() -> Iterator[None]:
    """A test that leaves a setting overridden fails itself, and not one that happens to run after it."""
    from anejax.config import config

    yield
    left = dict(config._local.__dict__)
    config._local.__dict__.clear()
    assert not left, f"the test left {left} set"
