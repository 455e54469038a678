"""Processes that are forked while other threads compile and run: the child goes on. Each test has its own process."""

import subprocess
import sys

import pytest

CHILD = """
import os, sys, threading
import numpy as np
import anejax as aj, anejax.numpy as jnp
from anejax.runtime import execute

def in_child(work):
    # forks, does work in the child, and ends with its status; a child that hangs is killed
    pid = os.fork()
    if pid == 0:
        import faulthandler
        faulthandler.dump_traceback_later(30, exit=True)
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

x = np.random.default_rng(0).standard_normal((200, 200)).astype(np.float32)
def use():
    assert float(aj.jit(lambda v: v * 2)(3.0)) == 6.0
    want = np.tanh(x.astype(float) @ x).sum()
    assert abs(float(aj.jit(lambda v: jnp.tanh(v @ v).sum())(x)) - want) < 1
    with aj.enable_x64():
        assert jnp.asarray(1.0).dtype == np.float64
"""

WHILE_COMPILING = """
begun, go_on, lower = threading.Event(), threading.Event(), execute.lower
def paused(graph):
    if threading.current_thread() is compiling:
        begun.set()
        go_on.wait(60)
    return lower(graph)
execute.lower = paused
compiling = threading.Thread(target=lambda: aj.jit(lambda v: jnp.sin(v) + 3)(1.0))
compiling.start()
begun.wait(60)
status = in_child(use)
go_on.set()
compiling.join()
sys.exit(status)
"""

IN_A_BLOCK_OF_ANOTHER_THREAD = """
begun, go_on = threading.Event(), threading.Event()
def block():
    with aj.enable_x64(), aj.config._lock:
        begun.set()
        go_on.wait(60)
thread = threading.Thread(target=block)
thread.start()
begun.wait(60)
status = in_child(use)
go_on.set()
thread.join()
sys.exit(status)
"""

WHILE_RUNNING = """
use()
stop = threading.Event()
def work(seed):
    n = seed
    f = aj.jit(lambda v: jnp.tanh(v @ v).sum())
    while not stop.is_set():
        f(x)
        n += 2
        aj.jit(lambda v: jnp.fft.fft(v) * n)(np.ones(n % 4000 + 1, np.complex64))
threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
for t in threads: t.start()
statuses = [in_child(use) for _ in range(12)]
stop.set()
for t in threads: t.join()
sys.exit(max(map(abs, statuses)))
"""


@pytest.mark.parametrize(
    "case", [WHILE_COMPILING, IN_A_BLOCK_OF_ANOTHER_THREAD, WHILE_RUNNING], ids=["compiling", "in a block", "running"]
)
def test_a_forked_child_computes(case: str) -> None:
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", CHILD + case], timeout=300).returncode == 0
