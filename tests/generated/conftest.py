"""Sharding and the time limit of the generated tests: ``ANEJAX_SHARD=1/4`` and ``ANEJAX_HYPOTHESIS_SECONDS=600``."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from tests.generated.running import LONG, SECONDS, Clock

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests of this folder whose hash falls to the shard i of n, counted from 1."""
    shard, _, count = os.environ.get("ANEJAX_SHARD", "1/1").partition("/")
    mine = lambda i: zlib.crc32(i.nodeid.encode()) % int(count) == int(shard) - 1  # noqa: E731
    dropped = [i for i in items if HERE in i.path.parents and not mine(i)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [i for i in items if i not in set(dropped)]


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The test's equal share of the time limit."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    timed = [i for i in request.session.items if "clock" in getattr(i, "fixturenames", ())]
    return Clock(SECONDS * workers / max(len(timed), 1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LONG:
        terminalreporter.write_line(f"{Clock.ran} generated examples were compared with jax")
