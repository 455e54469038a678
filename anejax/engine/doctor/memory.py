"""Checks whether runs leak memory, by the resident size of a process over 10,000 runs of one program.

Objects that Espresso releases later need an autorelease pool, so the device's thread has one around each job. One
project reports memory that grows with each run.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np

from anejax.engine.doctor.bench import execute, smallest
from anejax.engine.doctor.checks import Check, of
from anejax.errors import DeviceError
from anejax.runtime.library import NativeProgram

RUNS, WARM = 10_000, 1_000
NAME = f"memory over {RUNS:,} runs"
DECIDES = ("native.AutoreleasePools",)
LEAST = 2**20  # bytes: what an allocator may take meanwhile
A_RUN = 512  # bytes for each run: a leak of one object is more
TIMEOUT = 60.0  # seconds


def resident(pid: int | None = None) -> int:
    """The bytes of a process, by default this one, that are in memory. Raises OSError where nobody says."""
    status = Path(f"/proc/{pid or 'self'}/statm")  # sizes in pages; the second is the resident size
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    command = ["ps", "-o", "rss=", "-p", str(pid or os.getpid())]  # in KiB
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
        return int(done.stdout) * 1024
    except (ValueError, subprocess.SubprocessError) as err:
        raise OSError(f"[memory] ps gave no size: {err}") from err


def check_memory(runs: int = RUNS, warm: int = WARM) -> Check:
    """Whether ``runs`` runs, after ``warm`` ones, leave nothing behind."""
    row = np.linspace(-1, 1, 64).reshape(1, 64)
    try:
        compiled = NativeProgram("ane", smallest(0.375))
        for _ in range(warm):
            execute(compiled, [row])
        before = resident()
        for _ in range(runs):
            execute(compiled, [row])
        grown = resident() - before
    except (DeviceError, OSError) as err:
        return of("probe", NAME, False, str(err), decides=DECIDES)
    said = f"{max(grown, 0) / 2**20:.1f} MiB more after {runs:,} runs, {max(grown, 0) / runs:.0f} bytes a run"
    return of("probe", NAME, grown < LEAST + A_RUN * runs, said, decides=DECIDES, answer=grown)
