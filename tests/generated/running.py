"""How many examples hypothesis makes, and for how long.

Short profile: one after the simplest, which has the seed 0 and is skipped. Long profile: as many as fit into the test's
share of the time limit.
"""

from __future__ import annotations

import math
import os
import time

from hypothesis import HealthCheck, Phase, settings

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SECONDS = float(os.environ.get("ANEJAX_HYPOTHESIS_SECONDS", "1200"))
SHORT_EXAMPLES = 2

examples = settings(
    max_examples=settings.default.max_examples if LONG else SHORT_EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # shrinking takes minutes of compiles
    report_multiple_bugs=False,
)


class Clock:
    """A test's share of the session's seconds."""

    ran = 0  # examples of all tests

    def __init__(self, share: float) -> None:
        self.end = time.monotonic() + share

    def runs(self) -> bool:
        """Whether there is time for one more example, which then counts."""
        there_is = not LONG or time.monotonic() < self.end
        Clock.ran += there_is
        return there_is

    def __enter__(self) -> None:
        """Around an example: one that fails must fail again when hypothesis repeats it, however late."""

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self.end = math.inf
