"""The ctypes table of libanesdk. No other module uses ctypes.

tests/native/test_header.py compares the table with native/include/anesdk.h.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
import importlib.util
import math
import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from anejax import dtypes
from anejax.config import config
from anejax.errors import DeviceError

ABI_VERSION = 7
ENGINE_LIMITS = ("backoff", "compile_limit", "run_limit")  # settings of the engine: config.engine_<name>, in seconds
MAX_RANK = 32
OVERFLOWED, NOT_FINITE = 1, 2  # flags of NativeProgram.numerics
NAME = "libanesdk.dylib" if sys.platform == "darwin" else "libanesdk.so"

Status = ctypes.c_int32
Handle = ctypes.c_void_p
U64 = ctypes.c_uint64
Text = ctypes.c_char_p
POINTER = ctypes.POINTER


class Port(ctypes.Structure):
    """anesdk_port: one input or output of a compiled program."""

    _fields_ = (
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int64 * MAX_RANK),
        ("nbytes", U64),
        ("alias", ctypes.c_int64),
    )


class Host(ctypes.Structure):
    """anesdk_host: Python's lock, and its signals."""

    _fields_ = (("release", ctypes.c_void_p), ("acquire", ctypes.c_void_p), ("check", ctypes.c_void_p))


class Event(ctypes.Structure):
    """anesdk_event: one step that ran while a profile was recorded."""

    _fields_ = (
        ("plan", U64),
        ("step", ctypes.c_uint32),
        ("thread", ctypes.c_uint32),
        ("begin_ns", ctypes.c_int64),
        ("end_ns", ctypes.c_int64),
        ("busy_ns", ctypes.c_int64),
    )


class Processes(ctypes.Structure):
    """anesdk_processes: MPI's functions and handles."""

    _fields_ = (
        ("size", ctypes.c_int32),
        ("index", ctypes.c_int32),
        ("request_bytes", U64),
        ("timeout", ctypes.c_int64),
        ("idle", ctypes.c_int64),
        ("bucket_bytes", U64),
        ("communicator", U64),
        ("sum", U64),
        ("bytes", U64),
        ("types", U64 * 13),
        *((name, ctypes.c_void_p) for name in ("iallreduce", "iallgather", "ialltoall", "isend", "irecv", "test")),
    )


# function -> (result, arguments), in the order of the header
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "anesdk_abi_version": (ctypes.c_int32, []),
    "anesdk_status_name": (Text, [Status]),
    "anesdk_last_error": (Text, []),
    "anesdk_devices": (Text, []),
    "anesdk_set_num_threads": (Status, [ctypes.c_int32]),
    "anesdk_num_threads": (Status, [POINTER(ctypes.c_int32)]),
    "anesdk_load_blas": (Status, [Text]),
    "anesdk_set_processes": (Status, [POINTER(Processes)]),
    "anesdk_leave_processes": (Status, []),
    "anesdk_buffers_create": (Status, [U64, POINTER(U64), POINTER(Handle), POINTER(Handle)]),
    "anesdk_buffers_release": (Status, [U64, POINTER(Handle)]),
    "anesdk_idle_memory": (Status, [ctypes.c_int32, POINTER(U64)]),
    "anesdk_verify": (Status, [Text, U64, Text]),
    "anesdk_program_compile": (Status, [Text, Text, U64, Text, POINTER(Handle)]),
    "anesdk_program_compile_hosted": (Status, [POINTER(Host), Text, Text, U64, Text, POINTER(Handle)]),
    "anesdk_program_release": (Status, [POINTER(Handle)]),
    "anesdk_program_num_ports": (Status, [Handle, POINTER(U64), POINTER(U64)]),
    "anesdk_program_port": (Status, [Handle, ctypes.c_int32, U64, POINTER(Port)]),
    "anesdk_program_describe": (Status, [Handle, Text, Text, U64, POINTER(U64)]),
    "anesdk_program_numerics": (Status, [Handle, POINTER(U64)]),
    "anesdk_profile_start": (Status, [U64]),
    "anesdk_profile_stop": (Status, [POINTER(U64), POINTER(U64)]),
    "anesdk_profile_read": (Status, [POINTER(Event), U64, POINTER(U64)]),
    "anesdk_program_run": (
        Status,
        [Handle, POINTER(Handle), POINTER(U64), U64, POINTER(Handle), POINTER(U64), U64, POINTER(U64), POINTER(U64)],
    ),
    "anesdk_program_run_hosted": (Status, [Text, U64]),
}  # fmt: skip

_HOST_CALLS = ("PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals")
HOST = ctypes.pointer(Host(*(ctypes.cast(getattr(ctypes.pythonapi, f), ctypes.c_void_p).value for f in _HOST_CALLS)))
MIDWAY = ("interrupted", "broken_off")  # statuses of runs that had begun to write

# anesdk_dtype codes
DTYPES: dict[int, np.dtype] = dict(
    enumerate(
        [
            dtypes.bool_,
            *dtypes.SIGNED,
            *dtypes.UNSIGNED,
            dtypes.float16,
            dtypes.bfloat16,
            dtypes.float32,
            dtypes.float64,
        ]
    )
)


def find() -> Path:
    """The library file: ``ANEJAX_LIBRARY``, or the one installed with the package. Raises DeviceError."""
    given = os.environ.get("ANEJAX_LIBRARY")
    if given:
        return Path(given)
    installed = importlib.resources.files("anejax") / "lib" / NAME
    if not installed.is_file():
        raise DeviceError(
            f"[runtime] expected the native library at {installed}. Build it: `make build` in a checkout, or"
            " reinstall the package; or set ANEJAX_LIBRARY."
        )
    return Path(str(installed))


@functools.cache
def load() -> ctypes.CDLL:
    """The opened library, its functions typed, the BLAS library chosen."""
    path = find()
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as err:
        raise DeviceError(f"[runtime] {path} cannot be opened: {err}.") from None
    for name, (result, arguments) in SIGNATURES.items():
        if name.endswith("_hosted"):
            # They give up the GIL themselves, run signal handlers meanwhile, and what these raise, ctypes raises.
            setattr(lib, name, ctypes.PYFUNCTYPE(result, *arguments)((name, lib)))
            continue
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    version = lib.anesdk_abi_version()
    if version != ABI_VERSION:
        raise DeviceError(f"[runtime] expected ABI version {ABI_VERSION}, {path} has {version}. Rebuild it.")
    blas = blas_path()
    check(lib, lib.anesdk_load_blas(blas.encode() if blas else None), "load_blas")
    return lib


def set_processes(mpi: Any, communicator: Any, timeout: float, idle: float, bucket_bytes: int) -> None:
    """Lets programs send to the other processes of ``communicator``.

    Args:
        mpi: the module ``mpi4py.MPI``, which is linked with the MPI library: the functions are found in it.
        communicator: an ``mpi4py.MPI.Comm``.
        timeout: seconds that one message may take; 0 for any time.
        idle: seconds for which a process that does nothing is waited for; 0 for ``timeout``.
        bucket_bytes: of one message of sums.
    """
    libraries = [ctypes.CDLL(path) for path in (os.environ.get("ANEJAX_MPI"), mpi.__file__) if path]

    def address(name: str) -> int | None:
        """The address of a function: from ANEJAX_MPI, if that library has the name."""
        library = next(found for found in libraries if hasattr(found, name))
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value

    def handle(x: Any) -> int:
        return mpi._handleof(x) & (2**64 - 1)

    whole = {
        f"{sign}int{8 * size}": getattr(mpi, f"{sign.upper()}INT{8 * size}_T")
        for sign in ("", "u")
        for size in (1, 2, 4, 8)
    }
    numbers = {**whole, "float32": mpi.FLOAT, "float64": mpi.DOUBLE}
    table = Processes(
        size=communicator.Get_size(),
        index=communicator.Get_rank(),
        request_bytes=mpi._sizeof(mpi.Request),
        timeout=round(1000 * timeout),
        idle=round(1000 * idle),
        bucket_bytes=bucket_bytes,
        communicator=handle(communicator),
        sum=handle(mpi.SUM),
        bytes=handle(mpi.BYTE),
        **{
            field: address(f"MPI_{name}")
            for field, name in (("iallreduce", "Iallreduce"), ("iallgather", "Iallgather"), ("ialltoall", "Ialltoall"),
                                ("isend", "Isend"), ("irecv", "Irecv"), ("test", "Test"))
        },
    )  # fmt: skip
    for code, dtype in DTYPES.items():
        if dtype.name in numbers:
            table.types[code] = handle(numbers[dtype.name])
    check(load(), load().anesdk_set_processes(ctypes.byref(table)), "set_processes")


def leave_processes() -> None:
    """Tells the other processes that this one ends. Returns when they have heard it; raises DeviceError otherwise."""
    check(load(), load().anesdk_leave_processes(), "leave_processes")


def blas_path() -> str | None:
    """The path of the BLAS library in the package scipy-openblas32, or None. The package is not imported."""
    given = os.environ.get("ANEJAX_BLAS")
    if given:
        return given
    spec = importlib.util.find_spec("scipy_openblas32") if sys.platform != "darwin" else None
    if spec is None or spec.origin is None:
        return None
    found = sorted((Path(spec.origin).parent / "lib").glob("libscipy_openblas*.so*"))
    return str(found[0]) if found else None


def fail(lib: ctypes.CDLL, status: int, what: str) -> NoReturn:
    """Raises DeviceError with the library's own words."""
    words = lib.anesdk_last_error().decode(errors="replace")
    name = lib.anesdk_status_name(status).decode()
    reason = name.removeprefix("ANESDK_").lower()
    raise DeviceError(f"[{what}] {name}: {words}", reason, reason in MIDWAY)


def check(lib: ctypes.CDLL, status: int, what: str) -> None:
    if status != 0:
        fail(lib, status, what)


# Memory whose arrays were collected. Small pieces are kept for the next array of their size, which is found without a
# call and likely in cache; the handles of others wait to be released together. Appending and popping are atomic.
_kept: dict[int, list[tuple[int, int]]] = {}  # size in bytes -> (pointer, handle) of kept memory
_dead: deque[int] = deque()
SMALL = 1 << 16  # bytes: what may be kept
KEPT_PER_SIZE = 1 << 17  # bytes
KEPT_SIZES = 256
RELEASE_AT_ONCE = 1 << 20  # bytes: larger memory is released by a separate call


class Buffer:
    """64-byte aligned memory of the library; given back when collected. Exposed to NumPy by ``view``.

    ``contents`` is what core.array says of storage: whoever overwrites the memory gives it another number, or 0.
    """

    __slots__ = ("__array_interface__", "_handle", "contents", "nbytes", "pointer")

    def __init__(self, pointer: int, nbytes: int, handle: int) -> None:
        self.pointer, self.nbytes, self._handle, self.contents = pointer, nbytes, handle, 0

    def view(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The memory as an array of ``shape`` and ``dtype`` that keeps the buffer alive."""
        if not self.nbytes:
            return np.empty(shape, dtype)
        self.__array_interface__ = _interface(self.pointer, self.nbytes)
        return np.asarray(self).view(dtype).reshape(shape)

    def __del__(
        self, kept: Any = _kept, dead: Any = _dead, most: int = KEPT_PER_SIZE, large: int = RELEASE_AT_ONCE
    ) -> None:
        # defaults, because module globals are gone when the interpreter ends
        same = kept.get(self.nbytes)
        if same is not None and len(same) * self.nbytes < most:
            same.append((self.pointer, self._handle))
            return
        dead.append(self._handle)
        if self.nbytes >= large:
            release_dead()


def _interface(pointer: int, nbytes: int) -> dict[str, Any]:
    """The array interface by which NumPy reads an object's memory."""
    return {"data": (pointer, False), "shape": (nbytes,), "typestr": "|u1", "version": 3}


class Borrowed:
    """Memory that someone else owns, and keeps while it is looked at."""

    def __init__(self, pointer: int, nbytes: int) -> None:
        self.__array_interface__ = _interface(pointer, nbytes)


def release_dead() -> None:
    """Releases the memory of all buffers that were garbage collected since the last call and are not kept."""
    handles: list[Any] = []
    try:
        while True:
            handles.append(_dead.popleft())
    except IndexError:  # other threads may add entries meanwhile
        pass
    n = len(handles)
    if n:
        lib = load()
        check(lib, lib.anesdk_buffers_release(n, words(Handle * n, handles)), "release")


def idle_memory(release: bool = False) -> int:
    """The bytes that the library keeps for reuse. With ``release`` it returns them to the system first."""
    if release:
        release_dead()
    out = U64()
    check(load(), load().anesdk_idle_memory(release, ctypes.byref(out)), "idle_memory")
    return out.value


def create_buffers(sizes: Sequence[int]) -> tuple[list[Buffer], list[int]]:
    """A buffer for each size in bytes, and their addresses. Raises DeviceError when memory runs out."""
    buffers: list[Buffer] = []
    try:
        for nbytes in sizes:
            pointer, handle = _kept[nbytes].pop()
            buffers.append(Buffer(pointer, nbytes, handle))
    except (KeyError, IndexError):
        buffers += _new_buffers(sizes[len(buffers) :])
    return buffers, [b.pointer for b in buffers]


def buffer_maker(nbytes: int) -> Callable[[], Buffer]:
    """A function that makes buffers of one size. It raises DeviceError when memory runs out."""
    sizes = (nbytes,)

    def make() -> Buffer:
        try:
            pointer, handle = _kept[nbytes].pop()
        except (KeyError, IndexError):
            return _new_buffers(sizes)[0]
        return Buffer(pointer, nbytes, handle)

    return make


def _new_buffers(sizes: Sequence[int]) -> list[Buffer]:
    """Buffers of the library, made in one call; from now on those of their sizes are kept, if they are small."""
    lib, n = load(), len(sizes)
    if _dead:
        release_dead()
    handles, pointers = (Handle * n)(), (Handle * n)()
    check(lib, lib.anesdk_buffers_create(n, words(U64 * n, sizes), handles, pointers), "allocate")
    for nbytes in {s for s in sizes if 0 < s <= SMALL}:
        if len(_kept) < KEPT_SIZES:
            _kept.setdefault(nbytes, [])
    return list(map(Buffer, _integers(pointers), sizes, _integers(handles)))


# ctypes converts element by element, at 100 ns and more each; these copy whole arrays


def words(array: Any, values: Sequence[int]) -> Any:
    """``values`` as an ``array``, a ctypes array type of 64-bit words."""
    return array.from_buffer_copy(struct.pack(f"{len(values)}Q", *values))


def _integers(array: Any) -> list[int]:
    return memoryview(array).cast("B").cast("Q").tolist() if len(array) else []


class NativeProgram:
    """A compiled program: immutable, run from any thread."""

    def __init__(
        self, device: str, text: str, donated: Sequence[int] = (), shared: Sequence[tuple[int, int]] = ()
    ) -> None:
        """``donated``: inputs whose memory outputs may take. ``shared``: an input and an output of one buffer in the
        engine."""
        lib = self._lib = load()
        self.device = device
        self._release = lib.anesdk_program_release
        data = text.encode()
        self._handle = Handle()
        options = [f"donate={','.join(map(str, donated))}"] if donated else []
        options += [f"share={','.join(f'{i}:{o}' for i, o in shared)}"] if shared else []
        if device == "ane":
            options += [f"{name}={round(1000 * getattr(config, f'engine_{name}'))}" for name in ENGINE_LIMITS]
        status = lib.anesdk_program_compile_hosted(
            HOST, device.encode(), data, len(data), ";".join(options).encode(), ctypes.byref(self._handle)
        )
        check(lib, status, f"compile for {device}")
        ins, outs = U64(), U64()
        check(lib, lib.anesdk_program_num_ports(self._handle, ctypes.byref(ins), ctypes.byref(outs)), "ports")
        self.inputs = [self._port(False, i) for i in range(ins.value)]
        self.outputs = [self._port(True, i) for i in range(outs.value)]
        self.aliases = [p.alias for p in self.outputs]
        self.output_nbytes = [p.nbytes for p in self.outputs]
        self._run, self._pack = lib.anesdk_program_run_hosted, struct.Struct(f"{ins.value + outs.value}Q").pack
        self._call, self._call_with_contents = self._beginning_of_calls(0), self._beginning_of_calls(1)

    def _beginning_of_calls(self, contents: int) -> bytes:
        """The words of a run (anesdk.h) that are the same each time."""
        ports = [p.nbytes for p in (*self.inputs, *self.outputs)]
        host = ctypes.cast(HOST, ctypes.c_void_p).value
        head = host, self._handle.value, len(self.inputs), len(self.outputs), contents
        return struct.pack(f"{len(head) + len(ports)}Q", *head, *ports)

    def _port(self, is_output: bool, index: int) -> Port:
        port = Port()
        status = self._lib.anesdk_program_port(self._handle, is_output, index, ctypes.byref(port))
        check(self._lib, status, "port")
        return port

    def run(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        holds: Sequence[int] | None = None,
        makes: Sequence[int] | None = None,
    ) -> None:
        """Runs on the memory at the given addresses; their sizes are those of the ports. Releases the GIL. In the main
        thread signal handlers run about every 50 ms, between two steps; what they raise ends the run.

        Args:
            holds: what the inputs hold, as numbers of core.array; the engine copies no input whose contents it has.
            makes: numbers for what the outputs will hold, which nothing else has had.
        """
        if holds is None and makes is None:
            call = self._call + self._pack(*inputs, *outputs)
        else:
            holds, makes = holds or [0] * len(inputs), makes or [0] * len(outputs)  # 0 says nothing
            call = self._call_with_contents + self._pack(*inputs, *outputs) + self._pack(*holds, *makes)
        status = self._run(call, len(call))
        if status != 0:
            fail(self._lib, status, "run")

    def read_outputs(self, addresses: Sequence[int]) -> list[np.ndarray]:
        """The outputs at the given addresses, as they are, without a copy."""
        return read(self.outputs, addresses)

    def numerics(self) -> int:
        """Flags of the runs so far on cpu-fp16: OVERFLOWED, NOT_FINITE, or both; 0 on other devices."""
        flags = U64()
        check(self._lib, self._lib.anesdk_program_numerics(self._handle, ctypes.byref(flags)), "numerics")
        return flags.value

    def describe(self, what: str) -> str:
        """ "plan" (text), "stats" or "profile" (JSON); of cpu-fp16 "numerics" as well."""
        needed = U64()
        self._lib.anesdk_program_describe(self._handle, what.encode(), None, 0, ctypes.byref(needed))
        out = ctypes.create_string_buffer(max(1, needed.value))
        status = self._lib.anesdk_program_describe(self._handle, what.encode(), out, len(out), ctypes.byref(needed))
        check(self._lib, status, "describe")
        return out.value.decode()

    def __del__(self, byref: Any = ctypes.byref) -> None:
        if getattr(self, "_handle", None):
            self._release(byref(self._handle))


def read(ports: Sequence[Port], addresses: Sequence[int]) -> list[np.ndarray]:
    """The data at the addresses, as arrays of the ports' types, without a copy."""
    flat = (np.asarray(Borrowed(a, p.nbytes)) for a, p in zip(addresses, ports, strict=True))
    return [x.view(DTYPES[p.dtype]).reshape(p.shape[: p.rank]) for x, p in zip(flat, ports)]


def port(shape: Sequence[int], dtype: np.dtype) -> Port:
    """A port of a program that is not the library's own, without an alias."""
    code = next(code for code, known in DTYPES.items() if known == dtype)
    dims = (ctypes.c_int64 * MAX_RANK)(*shape)
    return Port(code, len(shape), dims, math.prod(shape) * dtype.itemsize, -1)


def devices() -> list[str]:
    """The names of the devices built in."""
    return load().anesdk_devices().decode().split(",")


def set_num_threads(count: int) -> None:
    """Threads that the CPU device uses, 1 to 256."""
    check(load(), load().anesdk_set_num_threads(count), "set_num_threads")


def num_threads() -> int:
    """Threads that the CPU device uses."""
    out = ctypes.c_int32()
    check(load(), load().anesdk_num_threads(ctypes.byref(out)), "num_threads")
    return out.value


def start_profile(capacity: int) -> None:
    """Records an event for each step of the CPU device from now on, up to ``capacity`` of them."""
    check(load(), load().anesdk_profile_start(capacity), "profile")


def stop_profile() -> tuple[np.ndarray, int]:
    """Returns (the events, with the fields of Event; the number of events beyond the capacity)."""
    count, dropped, written = U64(), U64(), U64()
    check(load(), load().anesdk_profile_stop(ctypes.byref(count), ctypes.byref(dropped)), "profile")
    events = np.zeros(count.value, np.dtype(Event))
    pointer = events.ctypes.data_as(POINTER(Event))
    check(load(), load().anesdk_profile_read(pointer, count, ctypes.byref(written)), "profile")
    return events[: written.value], dropped.value


def verify(text: str, target: str) -> None:
    """Parses and verifies MIL text for "cpu", "coreml" or "ane". Raises DeviceError with the reason."""
    data = text.encode()
    check(load(), load().anesdk_verify(data, len(data), target.encode()), "verify")
