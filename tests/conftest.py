"""What every test runs under: Graphs checked after each pass, jax on the CPU, few, repeatable examples."""

from __future__ import annotations

import os

os.environ.setdefault("ANEJAX_CHECK", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

EXAMPLES = Path(__file__).parent.parent / "build" / "hypothesis"  # failing examples of the long profile, run first


settings.register_profile("short", max_examples=20, derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
settings.register_profile("long", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow],
                          database=DirectoryBasedExampleDatabase(EXAMPLES))  # fmt: skip
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
