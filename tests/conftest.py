"""What every test runs under: Graphs checked after each pass, jax on the CPU, few, repeatable examples."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

os.environ.setdefault("ANEJAX_CHECK", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.answers.plugin import pytest_pyfunc_call as pytest_pyfunc_call
from tests.answers.plugin import pytest_sessionfinish as pytest_sessionfinish
from tests.answers.plugin import pytest_terminal_summary as pytest_terminal_summary
from tests.answers.plugin import pytest_testnodedown as pytest_testnodedown

MEMORY = Path("/proc/self/statm")  # sizes in pages, the second is what is resident
GROWTH = 400 * 2**20  # bytes that jax's compiled programs may add before they are dropped
EXAMPLES = Path(__file__).parent.parent / "build" / "hypothesis"  # failing examples of the long profile, run first


settings.register_profile("short", max_examples=20, derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
settings.register_profile("long", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow],
                          database=DirectoryBasedExampleDatabase(EXAMPLES))  # fmt: skip
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def pytest_collection_finish() -> None:
    """Tests and modules live as long as the run does: the garbage collector need not look at them over and over."""
    gc.collect()
    gc.freeze()


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


class _Memory:
    floor = 0  # bytes after the caches were last cleared


@pytest.fixture(autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    """Drops the programs that jax has compiled once they take much memory: a process of tests stays below 1.5 GB.

    jax keeps every program that it compiles for an operation or a function: over a whole run that is several GB.
    Clearing the caches after each module would not bound a module with many programs, and modules that share programs
    would compile them again.
    """
    yield
    if not MEMORY.exists():
        return
    size = _resident()
    _Memory.floor = min(_Memory.floor or size, size)
    if size > _Memory.floor + GROWTH and "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, which otherwise keeps most of what was freed
        if trim is not None:
            trim(0)
        _Memory.floor = _resident()


def _resident() -> int:
    return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
