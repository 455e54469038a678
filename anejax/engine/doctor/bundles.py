"""Checks whether a compiled program can be loaded from disk by another process, and days later.

A compiled program on disk refers to a store that the system empties after some hours. The device then compiles again,
and each check says whether it had to.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from anejax.engine.doctor.bench import execute, smallest, stats
from anejax.engine.doctor.checks import Check, of
from anejax.errors import DeviceError
from anejax.paths import cache_dir
from anejax.runtime.library import NativeProgram

SECOND_PROCESS = "a compiled program in a second process"
LATER = "a compiled program on a later day"
DECIDES = ("native.load_now",)
TIMEOUT = 600.0  # seconds
_SALTS = {SECOND_PROCESS: 0.0625, LATER: 0.03125}


def check_bundle(name: str) -> Check:
    """The check called ``name``: SECOND_PROCESS or LATER."""
    try:
        return _second_process() if name == SECOND_PROCESS else _later()
    except DeviceError as err:
        return of("probe", name, False, str(err), decides=DECIDES)


def compiles(name: str) -> int:
    """Runs the program of a check and returns how often it was compiled: 0 where it came from disk."""
    salt = _SALTS[name]
    compiled = NativeProgram("ane", smallest(salt))
    got = float(execute(compiled, [np.ones((1, 64))])[0][0, 0])
    if got != 2 + salt:
        raise DeviceError(f"[bundles] expected {2 + salt:g}, got {got:g}.")
    return int(stats(compiled)["compiles"])


def _second_process() -> Check:
    compiles(SECOND_PROCESS)
    command = [sys.executable, "-c", f"from {__name__} import *; print(compiles(SECOND_PROCESS))"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return of("probe", SECOND_PROCESS, False, f"not done after {TIMEOUT:.0f} s", decides=DECIDES)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        said = f"the process ended with {done.returncode}: {last}"
        return of("probe", SECOND_PROCESS, False, said, decides=DECIDES)
    again = int(done.stdout.splitlines()[-1])
    said = "compiled anew: the system did not take it back" if again else "taken back from disk"
    return of("probe", SECOND_PROCESS, True, f"{said}, and right", decides=DECIDES, answer=again)


def _later() -> Check:
    """When the program was compiled is noted in the cache folder, for the next time that the doctor is asked."""
    again = compiles(LATER)
    note, now = cache_dir() / "doctor-compiled.json", time.time()
    hours = (now - then) / 3600 if (then := _read(note)) is not None else None
    if again:
        note.write_text(json.dumps(now))
    if hours is None:
        said = "compiled now: ask the doctor again tomorrow"
    else:
        said = f"{'compiled anew' if again else 'taken back from disk'} {hours:.1f} hours after its compile, and right"
    return of("probe", LATER, True, said, decides=DECIDES, answer=again, hours=hours)


def _read(note: Path) -> float | None:
    try:
        return float(json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None
