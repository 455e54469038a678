"""Questions to Core AI about more than one program: the CPU's bits of every primitive, arrays without copies, what
survives a process, forks and threads, and memory over many calls."""

from __future__ import annotations

import json
import os
import shutil
import signal
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from anejax.api.staging import make_jaxpr
from anejax.core.primitive import REGISTRY
from anejax.coreai.asset import SPECIALIZED
from anejax.engine.doctor.bench import execute, smallest
from anejax.engine.doctor.memory import resident
from anejax.engine.doctor.primitives import samples
from anejax.engine.doctor.rows import HALF, Found, normal, seconds
from anejax.engine.samples import SAMPLES
from anejax.errors import AnejaxError, DeviceError
from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from anejax.passes.pipeline import optimize
from anejax.paths import cache_dir
from anejax.runtime.coreai.program import CoreAIProgram
from anejax.runtime.coreai.worker import leave_worker, worker

CALLS, LEAK = 10_000, 64e6  # bytes that so many calls may add
BITS = Path(__file__).parents[2] / "data" / "coreai_bits.json"
FORK_LIMIT = 120  # seconds


def sums(names: Sequence[str]) -> dict[str, str]:
    """Primitive -> check sum of the results of all its samples on the CPU alone, or why there is none."""
    found = {}
    for name in names:
        total = 0
        try:
            for sample in samples(name):
                graph = make_jaxpr(sample.function)(*sample.args).graph
                program = CoreAIProgram.of_mil(to_text(lower(optimize(graph), "cpu")), "cpu")
                for result in execute(program, sample.args):
                    total = zlib.crc32(np.ascontiguousarray(result).tobytes(), total)
            found[name] = f"{total:08x}"
        except AnejaxError as err:
            found[name] = "absent" if isinstance(err, DeviceError) and err.reason == "compile_refused" else "failed"
    return found


def primitives() -> list[str]:
    """Those that have samples."""
    return [n for n in sorted(REGISTRY) if n in SAMPLES and any(True for _ in samples(n))]


def cpu_bits() -> Found:
    """Check sums of results of the CPU alone, against those of the package on Linux (data/coreai_bits.json)."""
    known, found = json.loads(BITS.read_text()), sums(primitives())
    others = [n for n, bits in found.items() if known.get(n) != bits]
    said = f"{len(found) - len(others)} of {len(found)} primitives have the bits that the package has on Linux"
    return Found(True, said + (f"; others: {', '.join(others)}" if others else ""), found)


def surfaces() -> Found:
    """Strides and bytes of arrays that need no copies, and whether they can be written from here."""
    found = {n: worker().ask("surface", (4, n), limit=60.0) for n in (1, 31, 32, 33, 64)}
    lines = [f"rows of {n}: strides {list(s['strides'])}, {s['bytes']} bytes, "
             f"{'written in place' if s['writable'] else 'not writable'}" for n, s in found.items()]  # fmt: skip
    return Found(True, "; ".join(lines), found)


def handed() -> Found:
    """Whether an output can be the next run's input without a copy, and several threads may call."""
    program, x = CoreAIProgram.of_mil(smallest()), normal(1, 64)
    y = np.empty_like(x)
    given, made = ([a.__array_interface__["data"][0]] for a in (x, y))
    program.run(given, made, [1], [2])
    program.run(given, made, [2], [3])  # x is not read: contents 2 are the output
    without_copy = json.loads(program.describe("stats"))["handed_inputs"] == 1 and np.array_equal(y, 4 * x)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda k: execute(program, [k * x])[0], map(HALF.type, range(8))))
    together = all(np.array_equal(got, 2 * k * x) for k, got in enumerate(found))
    said = f"outputs become inputs {'without' if without_copy else 'only with'} a copy; calls of 4 threads are "
    return Found(without_copy and together, said + ("right" if together else "wrong"), [without_copy, together])


def life() -> Found:
    """Measures a first and a later compile, and one by a new process; tells where compiled programs are kept, and
    whether Apple's own compiler is installed."""
    salt = float(np.random.default_rng().uniform())
    begin = lambda: CoreAIProgram.of_mil(smallest(salt))  # noqa: E731
    cold, warm = seconds(begin), seconds(begin)
    leave_worker()
    again = seconds(begin)
    counts = json.loads(begin().describe("stats"))
    folders = {"ours": cache_dir() / "coreai", "the system's": SPECIALIZED.expanduser()}
    sizes = {name: _bytes(folder) for name, folder in folders.items()}
    tool = shutil.which("coreai-build") is not None
    kept = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
    said = (f"compiled in {cold * 1e3:.0f} ms, again in {warm * 1e3:.0f} ms, by a new process in {again * 1e3:.0f} ms, "
            f"{'from the cache' if counts['compiles'] == 0 else 'compiled anew'}; caches: {kept}; "
            f"coreai-build is {'there' if tool else 'absent'}")  # fmt: skip
    return Found(counts["compiles"] == 0, said, {"ms": [cold, warm, again], "bytes": sizes, "coreai-build": tool})


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else 0


def many_calls(calls: int = CALLS) -> Found:
    """The memory that many calls of one program leave behind."""
    program, x = CoreAIProgram.of_mil(smallest()), normal(1, 64)
    for _ in range(calls // 10):
        execute(program, [x])
    before = resident(worker().pid)
    for _ in range(calls):
        execute(program, [x])
    grown = resident(worker().pid) - before
    return Found(grown < LEAK, f"{calls:,} calls added {grown / 1e6:.1f} MB", grown)


def forked() -> Found:
    """Whether a program works in a child that was forked after it had run; the child gets a separate runtime."""
    program, x = CoreAIProgram.of_mil(smallest()), normal(1, 64)
    execute(program, [x])
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(FORK_LIMIT)  # one that hangs is ended
        try:
            os.write(sender, execute(program, [x])[0].tobytes())
        finally:
            os._exit(0)
    os.close(sender)
    with open(receiver, "rb") as pipe:
        got = pipe.read()
    os.waitpid(child, 0)
    right = got == (2 * x).tobytes()
    return Found(right, f"a forked process's run is {'right' if right else 'wrong or none'}", right)


if __name__ == "__main__":  # writes what the package computes here, which is to be Linux
    BITS.write_text(json.dumps(sums(primitives()), indent=1) + "\n")
