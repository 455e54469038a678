"""Ctrl-C, and signal handlers that raise nothing, while a native program runs or is compiled."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.config import config
from anejax.errors import DeviceError
from anejax.runtime import library
from anejax.runtime.engine import SELF_TEST

ENDLESS = {
    "while": lambda x: aj.lax.while_loop(lambda c: c[0] >= 0, lambda c: (c[0] * 0.5, c[1] + 1), (x, x)),
    "a loop in a loop": lambda x: aj.lax.fori_loop(
        0, 10**9, lambda i, c: aj.lax.fori_loop(0, 1000, lambda j, d: d * 0.5 + 1.0, c), x
    ),
    "a loop in a branch": lambda x: aj.lax.cond(
        x > 0, lambda v: aj.lax.while_loop(lambda c: c > -1, lambda c: c * 0.5, v), lambda v: v, x
    ),
    "scan": lambda x: aj.lax.scan(lambda c, _: (jnp.tanh(c @ c) + 1, None), jnp.full((64, 64), x), length=10**9)[0],
}


@pytest.fixture
def handler() -> Iterator[list[int]]:
    """Gets the number of every SIGUSR1, until the test sets another handler."""
    seen: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGUSR1, previous)


class Interrupted(BaseException):
    pass


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupted


def _signal_when_native(call: Callable[[], Any]) -> Any:
    """``call()``, sent SIGUSR1 once its native run has begun."""
    run = library.NativeProgram.run
    timers: list[threading.Timer] = []

    def signalled(self: Any, *args: Any) -> None:
        if not timers:
            timers.append(threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)))
            timers[0].start()
        run(self, *args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(library.NativeProgram, "run", signalled)
        try:
            return call()
        finally:
            for timer in timers:
                timer.join()


@pytest.mark.parametrize("name", list(ENDLESS))
def test_a_handler_that_raises_ends_a_native_loop(name: str, handler: list[int]) -> None:
    signal.signal(signal.SIGUSR1, _interrupt)
    with pytest.raises(Interrupted):
        _signal_when_native(lambda: aj.jit(ENDLESS[name])(1.0))
    assert float(aj.jit(lambda x: x + 1)(1.0)) == 2


def test_an_interrupted_donated_run_deletes_its_argument(handler: list[int]) -> None:
    signal.signal(signal.SIGUSR1, _interrupt)
    x = aj.jit(lambda: jnp.full(5, 1.0))()
    endless = aj.jit(lambda v: aj.lax.while_loop(lambda c: c[0] >= 0, lambda c: c * 0.5, v), donate_argnums=0)
    with pytest.raises(Interrupted):
        _signal_when_native(lambda: endless(x))
    assert x.is_deleted()


def test_a_handler_that_raises_nothing_lets_the_program_go_on(handler: list[int]) -> None:
    """It computes and compiles meanwhile."""
    inside: list[float] = []

    def compute(number: int, frame: Any) -> None:
        inside.append(float(aj.jit(lambda v: v * 3 + len(inside))(2.0)))
        inside.append(float(aj.lax.fori_loop(0, 1000, lambda i, c: c + 1.0, 0.0)))

    signal.signal(signal.SIGUSR1, compute)
    step = aj.jit(lambda x: aj.lax.fori_loop(0, 4_000_000, lambda i, c: c + 1, x))
    assert int(_signal_when_native(lambda: step(0))) == 4_000_000
    assert inside == [6.0, 1000.0]


def test_a_run_in_another_thread_goes_on(handler: list[int]) -> None:
    """Python handles signals in its main thread, which waits here."""
    step, out = aj.jit(lambda x: aj.lax.fori_loop(0, 2_000_000, lambda i, c: c + 1, x)), []
    thread = threading.Thread(target=lambda: out.append(int(step(0))))
    thread.start()
    os.kill(os.getpid(), signal.SIGUSR1)
    thread.join(60)
    assert out == [2_000_000] and handler == [signal.SIGUSR1]


def test_other_threads_run_while_a_native_program_does(handler: list[int]) -> None:
    """The lock of Python is given up: a thread ends the loop of the main thread."""
    signal.signal(signal.SIGUSR1, _interrupt)
    counted = [0]

    def count() -> None:
        while counted[0] < 100_000:
            counted[0] += 1
        os.kill(os.getpid(), signal.SIGUSR1)

    run, thread = library.NativeProgram.run, threading.Thread(target=count)

    def starting(self: Any, *args: Any) -> None:
        thread.start()
        run(self, *args)

    call = aj.jit(ENDLESS["while"])
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(library.NativeProgram, "run", starting)
        call(1.0)
    thread.join(60)
    assert counted[0] == 100_000


def _interrupt_a_compile(number: int, frame: Any) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert frame.f_code is library.NativeProgram.__init__.__code__
    assert frame.f_locals["self"]._handle.value is None  # it is being compiled
    raise Interrupted


def test_a_compile_is_interrupted(handler: list[int]) -> None:
    lines = [f'        fp32 v{i + 1} = aj_sin(x = v{i})[name = string("v{i + 1}")];' for i in range(20_000)]
    text = "\n".join(["program(1.3)", "{", "    func main<ios18>(fp32 v0) {", *lines, "    } -> (v20000);", "}", ""])

    signal.signal(signal.SIGUSR1, _interrupt_a_compile)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    with pytest.raises(Interrupted):
        timer.start()
        library.NativeProgram("cpu", text)
    timer.join()


@pytest.mark.usefixtures("espresso")
@pytest.mark.parametrize("text", [SELF_TEST, SELF_TEST.replace("64", "65")])
def test_a_run_on_the_engine_is_interrupted(text: str, handler: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """No output is written, the engine goes on with what it was given, and the next run waits for it."""
    program = library.NativeProgram("ane", text)
    x, w = (np.ones(p.shape[: p.rank], np.float16) for p in program.inputs)
    y = np.full_like(x, 77)

    def run() -> None:
        program.run([x.ctypes.data, w.ctypes.data], [y.ctypes.data])

    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "e5rt_execution_stream_execute_sync:hang")
    signal.signal(signal.SIGUSR1, _interrupt)
    with pytest.raises(Interrupted):
        _signal_when_native(run)
    assert (y == 77).all()
    monkeypatch.delenv("ANEJAX_ESPRESSO_FAULT")
    run()
    assert (y == x.size).all()


@pytest.mark.usefixtures("espresso")
def test_a_handler_during_a_run_on_the_engine(handler: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs another program of the engine; the one that it interrupted says that it cannot be had."""
    program, other = (library.NativeProgram("ane", SELF_TEST.replace("64", str(n))) for n in (66, 67))
    said: list[str] = []

    def run(program: library.NativeProgram) -> np.ndarray:
        x, w = (np.ones(p.shape[: p.rank], np.float16) for p in program.inputs)
        y = np.zeros_like(x)
        program.run([x.ctypes.data, w.ctypes.data], [y.ctypes.data])
        return y

    def handle(number: int, frame: Any) -> None:
        monkeypatch.delenv("ANEJAX_ESPRESSO_FAULT")
        said.append(str(run(other)[0, 0]))
        try:
            run(program)
        except DeviceError as err:
            said.append(str(err))

    signal.signal(signal.SIGUSR1, handle)
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "e5rt_execution_stream_execute_sync:hang")
    assert (_signal_when_native(lambda: run(program)) == 66).all()
    assert said[0] == "67.0" and "asks for the program that it interrupted" in said[1]


@pytest.mark.usefixtures("espresso")
def test_the_wait_after_a_failed_compile_is_interrupted(handler: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGUSR1, _interrupt_a_compile)
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "e5rt_e5_compiler_compile:1")
    with config.override("engine_backoff", 1.0):
        with pytest.raises(DeviceError, match="gave no reason"):
            library.NativeProgram("ane", SELF_TEST.replace("64", "68"))
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with pytest.raises(Interrupted):
            library.NativeProgram("ane", SELF_TEST.replace("64", "69"))
        timer.join()


CTRL_C = """
import os, signal, sys, threading
import anejax as aj, anejax.numpy as jnp
from anejax.runtime import library
signal.signal(signal.SIGINT, signal.default_int_handler)
run = library.NativeProgram.run
def signalled(self, *args):
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    run(self, *args)
f = aj.jit(lambda x: aj.lax.while_loop(lambda c: c >= 0, lambda c: c * 0.5, x))
library.NativeProgram.run = signalled
try:
    f(1.0)
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_ctrl_c_is_a_keyboard_interrupt() -> None:
    assert subprocess.run([sys.executable, "-c", CTRL_C], timeout=120).returncode == 7
