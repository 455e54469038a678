"""Runs all checks in order."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from anejax.engine.doctor.checks import FAILED, SKIPPED, Check
from anejax.engine.doctor.environment import environment
from anejax.engine.doctor.questions import Plan
from anejax.engine.doctor.worker import watched


def examine(family: str, quick: bool = False, full: bool = False) -> Iterator[Check]:
    """Every check as soon as its answer is known; the engine is asked from another process.

    ``family``: of limits.py, whose rules programs follow. ``quick``: one sample for each primitive, no probe whose
    compile may be refused, two sizes for each timing. ``full``: also 140 programs in one process, and the engine's
    waking up; on a Mac that happens unless ``quick``.

    Example:
        >>> from anejax.engine.doctor import examine
        >>> first = next(examine("A16", quick=True))
        >>> first.group, first.name, first.state
        ('environment', 'native library', 'passed')
    """
    usable = True
    for check in environment():
        usable &= (check.name, check.state) != ("native library", FAILED)
        yield check
    if not usable:
        yield Check("primitive", "all", SKIPPED, "the native library cannot be used")
        return
    yield from watched(Plan(family, quick, full or (platform.system() == "Darwin" and not quick)))
