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


@pytest.fixture(scope="session")
def _engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def espresso(_engine_folder: Path) -> Iterator[Path]:
    """The device "ane" runs on the stand-in for Espresso; skips where that is not built.

    The library reads ANEJAX_ESPRESSO and ANEJAX_CACHE when the engine is first used, and never again: from then on the
    process has an engine, for other tests too. What is to be seen without one needs a process of its own. Failed
    compiles are not waited for.
    ANEJAX_ESPRESSO_FAULT is read at each call (native/tests/espresso/runtime.h).
    """
    from anejax.config import config
    from tests.espresso import stand_in

    path = stand_in()
    if not path.is_file():
        pytest.skip("the stand-in for Espresso is not built: make test-native")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANEJAX_ESPRESSO", str(path))
        patch.setenv("ANEJAX_CACHE", str(_engine_folder))
        backoff = config.engine_backoff
        config.update("engine_backoff", 0.0)
        yield path
        config.update("engine_backoff", backoff)


@pytest.fixture(autouse=True)
def _settings_are_left_alone() -> Iterator[None]:
    """A test that leaves a setting overridden fails itself, and not one that happens to run after it."""
    from anejax.config import config

    yield
    left = dict(config._local.__dict__)
    config._local.__dict__.clear()
    assert not left, f"the test left {left} set"
