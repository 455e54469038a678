"""Starts the process that runs Core AI, and talks to it.

Each process has one worker. It is started when it is first needed, and again after it died. It ends when its end of the
link closes, so it never outlives its parent. A forked child starts its own worker.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable
from importlib.resources import files
from typing import IO, Any

from anejax.errors import DeviceError
from anejax.runtime.coreai.link import Closed, Link

# The worker needs a few modules of anejax; importing all of them would take most of the time.
BEGIN = """
import sys, types
package = sys.modules["anejax"] = types.ModuleType("anejax")
package.__path__ = [sys.argv.pop(1)]
from anejax.runtime.coreai.serve import main
main()
"""
LAST_WORDS = 2000  # characters of standard error that an error quotes
FAREWELL = 2.0  # seconds between the end of its link and its own


class Worker:
    """A running worker process. ``programs`` counts the programs that it got, and numbers them."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this object
        command = [sys.executable, "-P", "-c", BEGIN, str(files("anejax"))]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())], stdin=subprocess.DEVNULL, stdout=self._words, stderr=self._words,
                pass_fds=[theirs.fileno()], env=environment, start_new_session=True,
            )  # fmt: skip
        self._link = Link(ours)
        self._asked = self.programs = 0
        self._lock = threading.Lock()
        self.forgotten: deque[int] = deque()  # programs that were collected; appending is atomic
        self.is_alive = True
        self._end = weakref.finalize(self, _end, self._link, self._process, self._words)

    def ask(
        self,
        order: str,
        *operands: Any,
        limit: float,
        file: int | None = None,
        broken: Callable[[], None] = lambda: None,
    ) -> Any:
        """Sends an order and returns the answer. Raises DeviceError if the answer is an error or the worker ended.

        An exception while it is waited for, such as KeyboardInterrupt, leaves it at work, and the next call waits for
        that; before it leaves, ``broken`` is called.
        """
        with self._lock:
            if not self.is_alive:
                raise DeviceError("[coreai] the process that runs Core AI has ended.", "runtime_error")
            try:
                self._link.limit(limit)
                if self.forgotten:
                    gone = [self.forgotten.popleft() for _ in range(len(self.forgotten))]
                    self._send("forget", (gone,), None)
                self._send(order, operands, file)
                _, error, result = self._answer()
            except Closed:
                broken()
                raise DeviceError(self._how_it_ended(), "runtime_error") from None
            except TimeoutError:
                broken()
                self._kill()
                raise DeviceError(f"[coreai] {order} was not done after {limit:g} s.", "timeout") from None
            except BaseException:
                broken()
                raise
        if error is not None:
            broken()
            raise DeviceError(f"[coreai] {order}: {error}", "compile_refused" if order == "load" else "runtime_error")
        return result

    def _send(self, order: str, operands: tuple[Any, ...], file: int | None) -> None:
        self._asked += 1
        try:
            self._link.send((self._asked, order, operands), file)
        except Closed:
            raise
        except BaseException:  # half a message may have been sent
            self._kill()
            raise

    def _answer(self) -> tuple[int, str | None, Any]:
        """The answer to the last question, after answers that nobody waited for."""
        while True:
            answer, _ = self._link.receive()
            if answer[0] == self._asked:
                return answer

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL)
        self._words.seek(0)
        words = " / ".join(self._words.read().decode(errors="replace")[-LAST_WORDS:].split("\n")).strip(" /")
        self._kill()
        code = self._process.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
        return f"[coreai] the process that runs Core AI ended with {how}" + (f"; it had written: {words}" * bool(words))

    def _kill(self) -> None:
        self.is_alive = False
        self._end()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def leave(self) -> None:
        """Releases, in a forked child, the objects that belong to the parent."""
        self.is_alive = False
        self._end.detach()
        self._link.close()
        self._words.close()
        self._process.returncode = 0  # not this process's to wait for


def _end(link: Link, process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
    link.close()
    words.close()
    process.kill()  # files that it writes are whole or absent, so it may be killed
    process.wait()


_worker: Worker | None = None
_starting = threading.Lock()


def worker() -> Worker:
    """The process's own, started if there is none."""
    global _worker
    with _starting:
        if _worker is None or not _worker.is_alive:
            try:
                _worker = Worker()
            except OSError as err:
                raise DeviceError(f"[coreai] no process to run Core AI: {err}", "runtime_error") from err
        return _worker


def leave_worker() -> None:
    """Ends the process's own, if there is one; programs are loaded into the next one when they run."""
    with _starting:
        if _worker is not None and _worker.is_alive:
            _worker._kill()


def _after_fork() -> None:
    global _worker, _starting
    _starting = threading.Lock()
    if _worker is not None:
        _worker.leave()
        _worker = None


os.register_at_fork(after_in_child=_after_fork)
