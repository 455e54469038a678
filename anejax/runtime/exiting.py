"""Lets a process end safely while the user's daemon threads still call jitted functions.

When the interpreter ends, Python ends each daemon thread as soon as it asks for the GIL, by unwinding its stack
(https://docs.python.org/3/c-api/init.html#c.PyEval_RestoreThread). optree calls Python functions from C++, and C++
aborts the whole process if such unwinding passes through it. So before the interpreter ends, threads are kept out of
optree, and the exit waits for threads that are inside it.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from types import FrameType

from anejax import tree

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
WITHOUT_TREES = os.path.join(PACKAGE, "data") + os.sep  # its threads wait for a reader that may never come
MOST_SECONDS = 1.0  # a thread in a long native run is left to it: it does not come back


def close() -> None:
    """Lets no other thread begin a call, and waits for those that have begun one."""
    tree.close_to_other_threads()
    deadline = time.monotonic() + MOST_SECONDS
    while _others_inside() and time.monotonic() < deadline:
        time.sleep(0.001)


def _others_inside() -> bool:
    this = threading.get_ident()
    return any(thread != this and _inside(frame) for thread, frame in sys._current_frames().items())


def _inside(frame: FrameType | None) -> bool:
    """Whether a thread with this innermost frame is in a call of anejax, and does not wait to be let in."""
    if frame is not None and frame.f_code is tree.WAITING:
        return False
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE) and not name.startswith(WITHOUT_TREES):
            return True
        frame = frame.f_back
    return False


atexit.register(close)
