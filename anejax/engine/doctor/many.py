"""Finds out how many programs a process may compile and hold, in a separate process, because failing may break later
calls.

``main`` compiles COUNT distinct programs and runs each. If all were kept, it runs all of them again, and the device
loads those that it had unloaded. It prints how many results were right, and the first error.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from anejax.engine.doctor.bench import execute, smallest, stats
from anejax.engine.doctor.checks import Check, of
from anejax.errors import DeviceError
from anejax.runtime.library import NativeProgram

COUNT = 140  # past every reported limit: 119, 127, 128
MODES = {"drop": "compiled, run and released in turn", "keep": "compiled and kept, then all run again"}
DECIDES = ("limits.MAX_LOADED_PROGRAMS", "native.max_loaded")
TIMEOUT = 600.0  # seconds
ONES = np.ones((1, 64))


def name_of(mode: str, count: int = COUNT) -> str:
    """The name of the check for a mode ("drop" or "keep")."""
    return f"{count} programs, {MODES[mode]}"


def check_many(mode: str, count: int = COUNT) -> Check:
    """Whether ``count`` programs in one process are right."""
    name = name_of(mode, count)
    command = [sys.executable, "-c", f"from {__name__} import main; main()", str(count), mode]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return of("probe", name, False, f"not done after {TIMEOUT:.0f} s", decides=DECIDES)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return of("probe", name, False, f"the process ended with {done.returncode}: {last}", decides=DECIDES)
    found = json.loads(done.stdout.splitlines()[-1])
    fit = f"; {found['room']} programs are kept in the engine at a time"
    said = f"{found['right']} runs were right, then: {found['error']}" if found["error"] else f"all are right{fit}"
    return of("probe", name, not found["error"], said, decides=DECIDES, answer=found["right"], room=found["room"])


def run(count: int, keep: bool) -> dict[str, object]:
    """Returns the number of right runs, the number of programs that fit the engine, and the first error or ""."""
    held: list[tuple[NativeProgram, float]] = []
    right = room = 0
    try:
        for i in range(count):
            salt = float(i + 1) / 2
            compiled = NativeProgram("ane", smallest(salt))
            _check(compiled, salt)
            right += 1
            room = stats(compiled)["room"]
            if keep:
                held.append((compiled, salt))
        for compiled, salt in held:
            _check(compiled, salt)
            right += 1
    except DeviceError as err:
        return {"right": right, "room": room, "error": str(err)}
    return {"right": right, "room": room, "error": ""}


def _check(compiled: NativeProgram, salt: float) -> None:
    got = float(execute(compiled, [ONES])[0][0, 0])
    if got != 2 + salt:
        raise DeviceError(f"[many] expected {2 + salt:g}, got {got:g}.")


def main() -> None:
    """The process: its arguments are COUNT and "keep" or "drop"."""
    print(json.dumps(run(int(sys.argv[1]), sys.argv[2] == "keep")))
