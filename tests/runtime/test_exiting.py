"""Processes that end while daemon threads still call into the package."""

import subprocess
import sys

import pytest

DAEMONS = """
import threading
import anejax as aj, anejax.numpy as jnp
x = jnp.ones((300, 300))
f = aj.jit(lambda v: {{"b": jnp.tanh(v @ v * 1e-3), "a": v}})
f(x)
begun = [threading.Event() for _ in range(3)]
def work(event):
    while True:
        {call}
        event.set()
for event in begun:
    threading.Thread(target=work, args=(event,), daemon=True).start()
for event in begun:
    assert event.wait(60)
{end}
"""
CALLS = {
    "run": "f(x)",
    "jit": "aj.jit(lambda v: {'b': v + 1, 'a': v})(1.0)",
    "eager": "jnp.sin(x)",
    "tree": "aj.tree.map(abs, {'b': [1], 'a': 2})",
}


@pytest.mark.parametrize("name", list(CALLS))
def test_daemon_threads_do_not_abort_the_process(name: str) -> None:
    code = DAEMONS.format(call=CALLS[name], end="")
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_main_thread_still_computes_while_the_process_ends() -> None:
    end = "from anejax.runtime import exiting; exiting.close()\nprint(float(aj.jit(lambda v: v + 1)(1.0)))"
    code = DAEMONS.format(call=CALLS["jit"], end=end)
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2.0\n", "")
