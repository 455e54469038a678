"""Runs each mode in a process of its own, with a cache folder of its own, and judges what came of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.engine_check.modes import SAID, Mode

FAULT = "FAULT"
TIMEOUT = 300.0  # seconds
LEFT = "anejax-stderr-*"  # the files in which calls.h keeps what Espresso wrote
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """A mode, whether it was SURVIVED, SAID or a FAULT, and the words for it."""

    mode: Mode
    state: str
    words: str

    @property
    def is_right(self) -> bool:
        return self.state != FAULT

    def __str__(self) -> str:
        first = (self.words.strip().splitlines() or ["no word"])[0]
        return f"{self.mode.finding:3}{self.mode.name:40}{self.state:10}{first}"


def run(mode: Mode, stand_in: Path) -> Row:
    """Runs ``mode`` on the library ``stand_in``."""
    with tempfile.TemporaryDirectory(prefix="anejax-mode-") as folder:
        place = Path(folder)
        if mode.earlier:
            before = _ended(_begin(mode, place, stand_in, ""))
            if before.returncode:
                return Row(mode, FAULT, f"without the fault: {_last(before.stderr)}")
        started = [_begin(mode, place, stand_in, mode.fault) for _ in range(1 + mode.beside)]
        return judged(mode, place, [_ended(process) for process in started])


def _begin(mode: Mode, place: Path, stand_in: Path, fault: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ, "ANEJAX_ESPRESSO": str(stand_in), "ANEJAX_CACHE": str(place / "cache"), "TMPDIR": str(place),
        "ANEJAX_ESPRESSO_FAULT": fault,
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.engine_check.scenarios", mode.scenario]
    return subprocess.Popen(command, env=environment, cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def _ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return subprocess.CompletedProcess(process.args, 1, "", f"not done after {TIMEOUT:.0f} s")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def judged(mode: Mode, place: Path, done: list[subprocess.CompletedProcess[str]]) -> Row:
    """The row of ``mode``, whose processes ended so; ``place`` is their folder for temporary files."""
    if mode.aborts:
        return _aborted(mode, place, done[0])
    for process in done:
        if process.returncode:
            return Row(mode, FAULT, f"the process ended with {process.returncode}: {_last(process.stderr)}")
    outcomes = [json.loads(process.stdout.splitlines()[-1]) for process in done]
    states, words = {o["state"] for o in outcomes}, "; ".join(o["words"] for o in outcomes)
    if states != {mode.wanted}:
        return Row(mode, FAULT, f"expected it to be {mode.wanted}, it was {' and '.join(sorted(states))}: {words}")
    if mode.words not in words:
        return Row(mode, FAULT, f"expected {mode.words!r} in: {words}")
    if mode.beside and (compiles := sum(o["compiles"] for o in outcomes)) != 1:
        return Row(mode, FAULT, f"expected one compile for all processes, got {compiles}")
    return Row(mode, mode.wanted, words)


def _aborted(mode: Mode, place: Path, done: subprocess.CompletedProcess[str]) -> Row:
    files = [path.read_text(errors="replace").strip() for path in place.glob(LEFT)]
    where, left = ("a file", " / ".join(files)) if files else ("its standard error", done.stderr.strip())
    if done.returncode != -signal.SIGABRT:
        return Row(mode, FAULT, f"expected SIGABRT to end the process, it ended with {done.returncode}")
    if mode.words not in left:
        return Row(mode, FAULT, f"expected {mode.words!r} in {where}, found: {left or 'nothing'}")
    return Row(mode, SAID, f"the process is gone, and {where} has its last words: {left}")


def _last(text: str) -> str:
    """The error that a process ended with, in one line."""
    lines = text.strip().splitlines() or ["no word"]
    named = [i for i, line in enumerate(lines) if re.match(r"[A-Za-z_.]*(Error|Warning|Exit)\b", line)]
    return " ".join(" ".join(lines[named[-1] if named else -1 :]).split())
