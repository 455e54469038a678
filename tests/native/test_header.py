"""runtime/library.py mirrors native/include/anesdk.h: functions, argument counts and types, constants, dtype codes."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path

import pytest

from anejax.errors import DeviceError
from anejax.mil.program import MIL_DTYPES
from anejax.runtime import library

HEADER = (Path(__file__).parents[2] / "native" / "include" / "anesdk.h").read_text()
PLAIN = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
PROTOTYPE = re.compile(r"ANESDK_API\s+([^;(]*?)(anesdk_\w+)\(([^)]*)\);", re.S)

POINTERS = {
    "uint64_t": library.U64,
    "int32_t": ctypes.c_int32,
    "anesdk_port": library.Port,
    "anesdk_host": library.Host,
    "anesdk_event": library.Event,
    "anesdk_processes": library.Processes,
}


def ctype(declaration: str) -> object:
    text = re.sub(r"\bconst\b", "", declaration)
    stars, base = text.count("*"), text.replace("*", " ").split()[0]
    if base in ("anesdk_program", "anesdk_buffer", "void"):
        return library.Handle if stars == 1 else library.POINTER(library.Handle)
    if base == "char":
        return library.Text
    return library.POINTER(POINTERS[base]) if stars else POINTERS[base]


def test_every_function_is_mirrored() -> None:
    found = {}
    for result, name, arguments in PROTOTYPE.findall(PLAIN):
        parts = [a.strip() for a in arguments.split(",") if a.strip() not in ("", "void")]
        found[name] = (ctype(result), [ctype(p) for p in parts])
    assert found == library.SIGNATURES


def test_constants() -> None:
    assert int(re.search(r"ANESDK_ABI_VERSION (\d+)", HEADER)[1]) == library.ABI_VERSION  # type: ignore[index]
    assert int(re.search(r"ANESDK_MAX_RANK (\d+)", HEADER)[1]) == library.MAX_RANK  # type: ignore[index]
    for name in ("OVERFLOWED", "NOT_FINITE"):
        assert int(re.search(rf"ANESDK_{name} (\d+)", HEADER)[1]) == getattr(library, name)  # type: ignore[index]
    rows = re.findall(r"X\(\w+, (\d+), \"(\w+)\", (\d+)\)", HEADER)
    for code, name, size in rows:
        if name != "string":
            dtype = library.DTYPES[int(code)]
            assert (MIL_DTYPES[dtype], dtype.itemsize) == (name, int(size))


def test_failures_are_errors() -> None:
    with pytest.raises(DeviceError, match="PARSE_ERROR"):
        library.verify("program(1.3) {", "cpu")
    with pytest.raises(DeviceError, match="UNKNOWN_DEVICE"):
        library.NativeProgram("gpu", "program(1.3)\n{\n}\n")
    with pytest.raises(DeviceError, match="INVALID_ARGUMENT"):
        library.set_num_threads(0)
    (buffer,), _ = library.create_buffers([0])
    assert buffer.view((0, 3), library.DTYPES[11]).shape == (0, 3)


def test_a_host_without_functions_is_refused() -> None:
    lib, host = library.load(), library.Host()
    for address in (0, ctypes.addressof(host)):
        call = struct.pack("5Q", address, 0, 0, 0, 0)
        assert lib.anesdk_program_run_hosted(call, len(call)) == -1
        assert b"[host]" in lib.anesdk_last_error()
    assert lib.anesdk_program_compile_hosted(None, b"cpu", b"", 0, b"", None) == -1
    assert lib.anesdk_program_compile_hosted(host, b"cpu", b"", 0, b"", None) == -1


@pytest.mark.parametrize(
    "words", [(), (0, 0, 0, 0), (1, 0, 0), (0, 1, 0), (2**63, 2**63, 0), (2**64 - 1, 1, 0), (0, 0, 2), (1, 1, 1, 0, 0)]
)
def test_calls_of_wrong_lengths_are_refused(words: tuple[int, ...]) -> None:
    lib = library.load()
    call = struct.pack(f"{2 + len(words)}Q", 0, 0, *words)
    for nbytes in (len(call), len(call) - 1, 0):
        assert lib.anesdk_program_run_hosted(call, nbytes) == -1
        assert lib.anesdk_last_error().startswith(b"[run] the call")
    assert lib.anesdk_program_run_hosted(None, 40) == -1
    assert (
        lib.anesdk_program_run_hosted(ctypes.c_char_p(ctypes.addressof(ctypes.create_string_buffer(64)) + 1), 40) == -1
    )
