"""The findings of a doctor: one Check for each question, and the report that a user can send."""

from __future__ import annotations

import getpass
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from anejax.paths import cache_dir

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
REPORT_SCHEMA = 1


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        group: "environment", "primitive", "coreai", "probe" or "timing".
        name: what was asked about.
        state: "passed", "failed" or "skipped"; what could not be asked here is skipped, and `detail` says why.
        detail: the answer in one line.
        figures: numbers and words behind it, for JSON.
    """

    group: str
    name: str
    state: str
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.state:8}{self.group} {self.name}: {self.detail}"


def of(group: str, name: str, fine: bool, detail: str, **figures: Any) -> Check:
    """A check that passed or failed."""
    return Check(group, name, PASSED if fine else FAILED, detail, figures)


def summary(checks: Sequence[Check]) -> list[str]:
    """The last lines of the report: the number of skipped checks, if any, then `N passed, M failed`."""
    counts = Counter(c.state for c in checks)
    skipped = [f"{counts[SKIPPED]} skipped"] if counts[SKIPPED] else []
    return [*skipped, f"{counts[PASSED]} passed, {counts[FAILED]} failed"]


def report(checks: Sequence[Check], profile: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything for JSON, without names and folders of the user."""
    counts = Counter(c.state for c in checks)
    content = {"schema": REPORT_SCHEMA, "counts": dict(counts), "checks": list(map(asdict, checks)), "profile": profile}
    return without_names(content)


def without_names(value: Any) -> Any:
    """``value``, of JSON, with home, cache and temporary folders replaced in texts, and the user's name in paths."""
    if isinstance(value, dict):
        return {without_names(k): without_names(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_names(v) for v in value]
    return _without_names(value) if isinstance(value, str) else value


def _without_names(text: str) -> str:
    for folder, label in _folders():
        text = text.replace(folder, label)
    user = _user()
    return re.sub(rf"(?<=/){re.escape(user)}(?=[/\s:;,'\")\]]|$)", "<user>", text) if user else text


def _folders() -> list[tuple[str, str]]:
    """Folders that name the user, the longest first, and their replacements."""
    given = ((cache_dir(), "<cache>"), (Path.home(), "~"), (Path(tempfile.gettempdir()), "<tmp>"))
    found = {str(path): label for folder, label in given for path in (folder, folder.resolve())}
    return sorted(((f, label) for f, label in found.items() if f != "/"), key=lambda pair: -len(pair[0]))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user that the system has no name for
        return ""
