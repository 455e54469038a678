"""Every fault that can be injected into the engine: an error with a stable reason, no output written, no input
changed, and an engine that works on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest

from anejax.config import config
from anejax.errors import DeviceError
from anejax.runtime.library import NativeProgram
from tests.espresso import ROOT, port_arrays, run

pytestmark = pytest.mark.usefixtures("espresso")
WIDTH = count(1)  # of programs, so that each is compiled anew


def program_text() -> str:
    """y = x + x + w, z = x * w."""
    t = f"tensor<fp16, [3, {next(WIDTH)}]>"
    return (
        f"program(1.3)\n{{ func main<ios18>({t} x, {t} w) {{\n"
        f'{t} s = add(x = x, y = x)[name = string("s")];\n'
        f'{t} y = add(x = s, y = w)[name = string("y")];\n'
        f'{t} z = mul(x = x, y = w)[name = string("z")];\n'
        "} -> (y, z); }"
    )


@contextmanager
def fault(what: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANEJAX_ESPRESSO_FAULT", what)
        yield


def check_works(program: NativeProgram) -> None:
    x, w = port_arrays(program)
    y, z = run(program, [x, w])
    np.testing.assert_array_equal(y, (x + x).astype(np.float16) + w)
    np.testing.assert_array_equal(z, x * w)


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ("e5rt_e5_compiler_compile:stderr", "compile_refused", "not supported on any backend"),
        ("e5rt_e5_compiler_compile:1", "compile_failed", "gave no reason"),
        ("e5rt_e5_compiler_compile:throw", "compile_failed", "injected"),
        ("place:bnns", "compile_refused", "placed on bnns"),
        ("strides:overlapping", "compile_refused", "in row-major order"),
        ("shape:other", "compile_refused", "got shape"),
        ("limit:0", "engine_full", "must re-compile"),
        ("e5rt_buffer_object_alloc:3", "out_of_memory", "allocation failed"),
        ("e5rt_execution_stream_create:throw_int", "runtime_error", "of type int"),
        ("e5rt_execution_stream_create:throw_foreign", "runtime_error", "ForeignError"),
        ("place:elementwise", "compile_refused", "placed on bnns"),
    ],
)
def test_a_compile_that_fails(what: str, reason: str, words: str) -> None:
    text = program_text()
    with fault(what), pytest.raises(DeviceError, match=words) as failed:
        NativeProgram("ane", text)
    assert failed.value.reason == reason
    check_works(NativeProgram("ane", text if reason != "compile_refused" else program_text()))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("e5rt_execution_stream_execute_sync:2", "runtime_error"),
        ("e5rt_execution_stream_execute_sync:throw", "runtime_error"),
        ("execute:untouched", "wrong_result"),
        ("execute:zeros", "wrong_result"),
        ("execute:nan", "wrong_result"),
    ],
)
@pytest.mark.parametrize("donated", [(), (0,)])
def test_a_run_that_fails_leaves_memory_as_it_was(what: str, reason: str, donated: tuple[int, ...]) -> None:
    program = NativeProgram("ane", program_text(), donated)
    inputs = port_arrays(program)
    before = [x.copy() for x in inputs]
    outputs = [inputs[a] if a >= 0 else np.full_like(inputs[0], 77) for a in program.aliases]
    with fault(what), pytest.raises(DeviceError) as failed:
        program.run([x.ctypes.data for x in inputs], [y.ctypes.data for y in outputs])
    assert failed.value.reason == reason
    for got, want in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(got, want)
    for alias, out in zip(program.aliases, outputs, strict=True):
        assert alias >= 0 or (out == 77).all()
    program.run([x.ctypes.data for x in inputs], [y.ctypes.data for y in outputs])
    x, w = before
    np.testing.assert_array_equal(outputs[0], (x + x).astype(np.float16) + w)
    np.testing.assert_array_equal(outputs[1], x * w)


def test_a_restarted_service_costs_a_reload() -> None:
    """All that was loaded is gone, and comes back from disk; nobody else notices."""
    programs = [NativeProgram("ane", program_text()) for _ in range(3)]
    for program in programs:
        check_works(program)
    with fault("execute:lost"), pytest.raises(DeviceError) as failed:
        run(programs[0], port_arrays(programs[0]))
    assert failed.value.reason == "runtime_error"
    for program in programs:
        check_works(program)
        stats = json.loads(program.describe("stats"))
        assert stats["compiles"] == 1 and stats["loads"] >= 2, stats


def test_a_hanging_engine_ends_in_time() -> None:
    with config.override("engine_run_limit", 0.2):
        program = NativeProgram("ane", program_text())
        with fault("e5rt_execution_stream_execute_sync:hang"):
            for words in ("took longer", "has not returned"):
                with pytest.raises(DeviceError, match=words) as failed:
                    run(program, port_arrays(program))
                assert failed.value.reason == "timeout"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # until the call that hung has returned
        try:
            run(program, port_arrays(program))
            break
        except DeviceError as error:
            assert error.reason == "timeout"
            time.sleep(0.05)
    check_works(program)


@pytest.mark.parametrize("inner", [1, 7, 31, 32, 33, 100])
def test_padded_ports(inner: int) -> None:
    """Rows of every width, read and written where the system has them."""
    text = (
        f"program(1.3)\n{{ func main<ios18>(tensor<fp16, [3, {inner}]> x, tensor<fp16, [{inner}, 5]> w) {{\n"
        "tensor<fp16, [3, 5]> y = matmul(transpose_x = false, transpose_y = false, x = x, y = w);\n} -> (y); }"
    )
    with fault("strides:padded"):
        program = NativeProgram("ane", text)
        x, w = port_arrays(program)
        (got,) = run(program, [x, w])
        assert json.loads(program.describe("stats"))["padded"] == 1 + bool(inner % 32) + (inner > 1)
    want = x.astype(np.float64) @ w.astype(np.float64)
    np.testing.assert_allclose(got, want, rtol=0, atol=2.0**-10 * np.abs(want).max())


@pytest.mark.parametrize("mode", ["", "place:elementwise"])
def test_zeros_that_are_right_are_believed(mode: str) -> None:
    """Though the engine may have no program of elementwise operations alone, which the witness is not."""
    program = NativeProgram("ane", program_text())
    with fault(mode):
        zeros = [np.zeros_like(x) for x in port_arrays(program)]
        for _ in range(2):
            assert not any(out.any() for out in run(program, zeros))


def test_more_programs_than_fit() -> None:
    """A training loop over twice as many programs as the engine holds: no compile after the first turn."""
    with fault("limit:6"):
        programs = [NativeProgram("ane", program_text()) for _ in range(12)]
        for _ in range(3):
            for program in programs:
                check_works(program)
    for program in programs:
        stats = json.loads(program.describe("stats"))
        assert (stats["compiles"], stats["runs"], stats["failures"]) == (1, 3, 0), stats


def test_backoff_is_a_setting() -> None:
    with pytest.raises(DeviceError, match="milliseconds below"), config.override("engine_backoff", 1e9):
        NativeProgram("ane", program_text())


@pytest.mark.parametrize(
    ("espresso", "words"), [("/no/such/Espresso", "cannot be opened"), ("libm.so.6", "lacks functions")]
)
def test_without_espresso(espresso: str, words: str) -> None:
    code = (
        "import sys; from anejax.runtime.library import NativeProgram, DeviceError\n"
        "try: NativeProgram('ane', sys.argv[1])\n"
        "except DeviceError as error: print(error.reason, error)"
    )
    environment = {**os.environ, "ANEJAX_ESPRESSO": espresso}
    done = subprocess.run(
        [sys.executable, "-c", code, program_text()], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.startswith("engine_missing") and words in done.stdout, done


def test_many_inputs_of_odd_widths() -> None:
    """120 inputs, whose names sort otherwise than they are declared, and rows that fill no 64 bytes."""
    shapes = [(1 + i % 3, 1 + i % 7) for i in range(120)]
    ports = ", ".join(f"tensor<fp16, [{m}, {n}]> a{i}" for i, (m, n) in enumerate(shapes))
    lines = "".join(
        f'tensor<fp16, [{m}, {n}]> o{i} = mul(x = a{i}, y = fp16({float(i).hex()}))[name = string("o{i}")];\n'
        for i, (m, n) in enumerate(shapes)
        if i
    )
    results = ", ".join(f"o{i}" for i in range(len(shapes)) if i)
    text = f"program(1.3)\n{{ func main<ios18>({ports}) {{\n{lines}}} -> ({results}); }}"
    program = NativeProgram("ane", text)
    inputs = port_arrays(program)
    for i, out in enumerate(run(program, inputs), 1):
        np.testing.assert_array_equal(out, (inputs[i] * np.float16(i)).astype(np.float16))
