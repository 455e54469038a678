"""What pytest does with records of jax's answers: it gives each test that of its module, and judges by jax in doubt."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator
from typing import Any

import pytest

from tests.answers import FOLDER, WRITES, Reader

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


class Counts:
    missing = 0  # answers that jax gave, and that could be on record
    doubted = 0  # tests that failed by the record and passed by jax

    @classmethod
    def add(cls, missing: int, doubted: int) -> None:
        cls.missing += missing
        cls.doubted += doubted


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Runs a test by its record, and by jax if it fails so; in the long profile by jax, and by its record if it passes.

    Tests in the long profile alone are new each time, and have no record.
    """

    def again() -> None:
        names = inspect.signature(pyfuncitem.obj).parameters
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})

    if pyfuncitem.get_closest_marker("long"):
        return (yield)
    record = Reader.record_of(pyfuncitem.path)
    used, calls = record.used, Reader.calls
    try:
        with Reader.reads(None if LONG else record):
            result = yield
    except Exception:
        if record.used == used:
            raise
        with Reader.reads(None):
            again()
        Counts.add(0, 1)
        return True
    if LONG and Reader.calls > calls:
        with Reader.reads(record):
            again()
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    Counts.add(sum(r.missing for r in Reader.records.values()), 0)
    if WRITES:
        for record in Reader.records.values():
            record.save()
    output = getattr(session.config, "workeroutput", None)  # of a process of pytest-xdist
    if output is not None:
        output["answers"] = Counts.missing, Counts.doubted


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    Counts.add(*getattr(node, "workeroutput", {}).get("answers", (0, 0)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if Counts.missing and FOLDER.exists() and not WRITES and not LONG:
        terminalreporter.write_line(f"{Counts.missing} answers of jax are not on record: make jax-answers")
    if Counts.doubted:
        terminalreporter.write_line(f"{Counts.doubted} tests failed by the record and passed by jax: make jax-answers")
