"""Cases that run in a process of their own: Core AI's faults kill the process, and its event loop forbids forks.

A module of cases has ``CASES``, names -> functions that raise when a case fails, and runs ``serve(CASES)`` as a script.
``Worker(module)(name)`` runs a case there; when the process dies, the case has failed and the next one gets a new one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping

import pytest


class Worker:
    def __init__(self, module: str) -> None:
        self.module = module
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, name: str) -> None:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        while line and not line.startswith("RESULT "):
            line = self.process.stdout.readline()
        if not line:
            self.process.communicate()
            code, self.process = self.process.returncode, None
            pytest.fail(f"{name}: the process died with code {code}")
        trouble = json.loads(line.removeprefix("RESULT "))
        if trouble is not None:
            pytest.fail(f"{name}:\n{trouble}", pytrace=False)

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()
            self.process = None


def serve(cases: Mapping[str, Callable[[], None]]) -> None:
    """Runs the cases whose names come on standard input, and says how each one went."""
    for line in sys.stdin:
        trouble = None
        try:
            cases[line.strip()]()
        except BaseException:
            trouble = traceback.format_exc(limit=-6)
        print(f"\nRESULT {json.dumps(trouble)}", flush=True)
