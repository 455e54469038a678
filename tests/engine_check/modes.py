"""What public sources say of the Neural Engine on a real Mac, each as a mode of the stand-in and what must come of it.

Letters are those under which the sources were gathered: A to M for what differs from one's expectation of the engine,
"-" for wrong results and hanging calls. tests/test_engine_check.py holds the table against the stand-in's faults.
"""

from __future__ import annotations

from dataclasses import dataclass

SURVIVED, SAID = "survived", "said"


@dataclass(frozen=True)
class Mode:
    """One way in which the engine behaves.

    Attributes:
        finding: its letter.
        name: what the table calls it.
        fault: what ANEJAX_ESPRESSO_FAULT is; "" where the stand-in always behaves so.
        scenario: the function of scenarios.py that is run in a process of its own.
        wanted: SURVIVED, with right results and without a word to the user, or SAID, with right results of the CPU
            device, or of nothing, and an error or warning.
        words: which words it must have.
        earlier: whether another process has done the same before, without the fault and with the same cache folder.
        beside: whether two processes do it at the same time; one compile must be enough for both.
        aborts: whether the process ends by SIGABRT; the words are those that are left in a file then.
    """

    finding: str
    name: str
    fault: str
    scenario: str
    wanted: str
    words: str = ""
    earlier: bool = False
    beside: bool = False
    aborts: bool = False


COMPILE, RUN = "e5rt_e5_compiler_compile", "e5rt_execution_stream_execute_sync"
RECOMPILE = "Must re-compile the E5 bundle"

MODES = (
    Mode("A", "forgets", "store:forgets", "training", SURVIVED, "compiled anew", earlier=True),
    Mode("A", "forgets, asked by the doctor", "store:forgets", "bundle", SURVIVED, "compiled anew", earlier=True),
    Mode("A", "status 13 at operation create, once", "create:1", "training", SURVIVED),
    Mode("A", "status 13 at operation create, always", "create:1000", "training", SAID, RECOMPILE),
    Mode("A", "status 13, a program from disk", "create:1000", "training", SAID, RECOMPILE, earlier=True),
    Mode("B", "fifteen programs", "programs:15", "eighteen", SURVIVED, "room for 15"),
    Mode("B", "128 operations", "limit:128", "hundred_and_forty", SURVIVED),
    Mode("B", "room for none", "limit:0", "training", SAID, RECOMPILE),
    Mode("C", "the last error's words", "e5rt_io_port_bind_buffer_object:2", "training", SAID,
         "its last error: E5RT status 2"),
    Mode("C", "the compiler's words", f"{COMPILE}:stderr", "training", SAID, "not supported on any backend"),
    Mode("C", "a compile without a reason", f"{COMPILE}:1", "training", SAID, "gave no reason"),
    Mode("C", "aborts", f"{COMPILE}:abort", "training", SAID, "terminating due to uncaught exception", aborts=True),
    Mode("C", "aborts in a run", f"{RUN}:abort", "training", SAID, "terminating due to uncaught", aborts=True),
    Mode("C", "aborts, asked by the doctor", f"{COMPILE}:abort", "doctor", SAID, "SIGABRT"),
    Mode("C2", "an exception of Espresso", f"{RUN}:throw", "training", SAID, "injected"),
    Mode("C2", "an exception that is a number", f"{RUN}:throw_int", "training", SAID, "of type int"),
    Mode("C2", "an exception of another libc++abi", f"{RUN}:throw_foreign", "training", SAID, "ForeignError"),
    Mode("D", "autorelease pools are needed", "", "training", SURVIVED),
    Mode("D", "memory grows with each run", "execute:leaks", "memory", SAID, "bytes a run"),
    Mode("F", "a slow compile, two processes", f"{COMPILE}:hang", "one_program", SURVIVED, beside=True),
    Mode("F", "a compile past its limit", f"{COMPILE}:hang", "impatient", SAID, "compiling took longer than"),
    Mode("G", "a system without ios18", "opset:ios17", "training", SAID, "ios18 is not an opset of this system"),
    Mode("H", "padded ports", "strides:padded", "training", SURVIVED),
    Mode("H", "padded ports of a state", "strides:padded", "recurrent", SURVIVED),
    Mode("H", "ports that overlap", "strides:overlapping", "training", SAID, "strides in bytes"),
    Mode("H", "ports of another shape", "shape:other", "training", SAID, "got shape"),
    Mode("I", "elementwise programs left out", "place:elementwise", "training", SURVIVED),
    Mode("I", "an elementwise function", "place:elementwise", "elementwise", SAID, "placed on bnns"),
    Mode("I", "everything placed elsewhere", "place:bnns", "training", SAID, "placed on bnns"),
    Mode("J", "lists of matrices are refused", "", "constants", SURVIVED),
    Mode("L", "two verifiers", "", "verifiers", SURVIVED),
    Mode("M", "an unknown chip", "", "unknown_chip", SAID, "is not known"),
    Mode("-", "outputs not written", "execute:untouched", "training", SAID, "unwritten"),
    Mode("-", "zeros", "execute:zeros", "training", SAID, "zeros"),
    Mode("-", "NaN", "execute:nan", "training", SAID),
    Mode("-", "a service that restarts", "execute:lost", "training", SAID, "the connection to the service"),
    Mode("-", "inputs overwritten", "execute:scribble", "training", SURVIVED),
    Mode("-", "outputs in tiles", "execute:tiles", "recurrent", SURVIVED),
    Mode("-", "a shared buffer gone stale", "share:stale", "recurrent", SURVIVED),
    Mode("-", "shared buffers refused", "share:refused", "recurrent", SURVIVED),
    Mode("-", "a run that hangs", f"{RUN}:hang", "impatient", SAID, "took longer than"),
)  # fmt: skip

# What no mode of the stand-in can show, and what asks it.
ELSEWHERE = {
    "C2": ("the library's own exceptions, caught by type and name", "native/tests/test_engine.cpp"),
    "D": ("the stack of the engine's thread, 8 MiB", "native/tests/test_engine.cpp"),
    "E": ("Accelerate's new names, and one thread in each of its calls", "tests/native/test_accelerate.py"),
    "E2": ("products by matrix units beside convolutions by NEON", "anejax/engine/doctor/matrix_units.py"),
    "E3": ("threads for performance cores alone", "native/src/cpu/graph/thread_pool.cpp"),
    "G": ("the wheel's tag and the system that it names", "native/macos/test_wheel.py"),
    "K": ("arm64 code, cross-built and run by qemu", "native/arm64/setup.sh"),
}
