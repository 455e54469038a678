"""``anejax train --profile N``: profiles some steps in the middle of a training run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from anejax import profiler

WARM = 3  # steps before the profile: the first ones compile, and fill caches
FILES = ("profile.html", "trace.json")


class Profiled:
    """A training step of which ``steps`` are profiled, once it is warm. Then ``say`` is given tables, and ``directory``
    a page and a trace."""

    def __init__(self, step: Callable[..., Any], steps: int, directory: Path, say: Callable[[str], None]) -> None:
        self._step, self._steps, self._directory, self._say = step, steps, directory, say
        self._done, self._stack = 0, ExitStack()
        self._profile: profiler.Profile | None = None

    def __call__(self, *args: Any) -> Any:
        if self._done == WARM:
            self._profile = self._stack.enter_context(profiler.profile())
        with profiler.StepTraceAnnotation("train", step_num=self._done):
            out = self._step(*args)
        self._done += 1
        if self._done == WARM + self._steps:
            self.close()
        return out

    def close(self) -> None:
        """Ends the profile, if one is recorded, and writes its page and trace."""
        found, self._profile = self._profile, None
        if found is None:
            return
        self._stack.close()
        for by in ("layer", "primitive"):
            for line in found.table(by, 20).splitlines():
                self._say(line)
        for name in FILES:
            found.save(self._directory / name)
        self._say(f"profile of {min(self._steps, self._done - WARM)} steps: {self._directory / FILES[0]}")
