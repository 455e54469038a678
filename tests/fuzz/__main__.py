"""Runs random programs on the native CPU device against NumPy: ``python -m tests.fuzz --count 1000 --seed 0``.

Programs run in child processes, so that one that crashes is a finding like others. ``--shrink`` makes the program of
one seed small and prints it, with the MIL text of its second form.
"""

from __future__ import annotations

import argparse
import mmap
import os
import sys
import time
from collections.abc import Callable, Sequence

from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from tests.fuzz.generate import Program, generate
from tests.fuzz.running import MODES, check, plain
from tests.fuzz.shrinking import shrink

BATCH = 500  # programs of one child
FINDINGS = 20  # after so many the run ends
REPORTED = 10_000  # programs between two lines of progress


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="programs to run")
    parser.add_argument("--seed", type=int, default=0, help="of the first program; the others follow it")
    parser.add_argument("--modes", default=",".join(MODES), help=f"of {', '.join(MODES)}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--shrink", action="store_true", help="make the program of --seed small, and print it")
    options = parser.parse_args()
    modes = options.modes.split(",")
    if options.shrink:
        return _shrink(options.seed, modes)
    start, ran, found = time.monotonic(), 0, 0
    while ran < options.count and found < FINDINGS and time.monotonic() - start < options.seconds:
        first = options.seed + ran
        last = _run_batch(first, min(BATCH, options.count - ran), modes)
        found += last is not None
        before, ran = ran, ran + (min(BATCH, options.count - ran) if last is None else last - first + 1)
        if ran // REPORTED > before // REPORTED and ran < options.count:
            print(f"{ran} programs so far, {found} findings", flush=True)
    print(f"{ran} programs from seed {options.seed} on, each as {', '.join(modes)}: {found} findings,"
          f" {time.monotonic() - start:.0f} s")  # fmt: skip
    return found > 0


def _run_batch(first: int, count: int, modes: Sequence[str]) -> int | None:
    """The seed of the first program that fails, or None; the others run without a word."""
    at = mmap.mmap(-1, 8)  # shared with the child

    def run() -> None:
        for seed in range(first, first + count):
            at[:] = seed.to_bytes(8, "little")
            check(generate(seed), modes)

    problem = _in_child(run)
    if not problem:
        return None
    seed = int.from_bytes(at[:], "little")
    print(
        f"seed {seed}: {problem}\n  python -m tests.fuzz --seed {seed} --modes {','.join(modes)} --shrink", flush=True
    )
    return seed


def _in_child(run: Callable[[], None]) -> str:
    """Nothing, or how ``run`` failed in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        problem = ""
        try:
            run()
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"
        os.write(writer, problem.encode()[:4000])
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        problem = pipe.read()
    _, status = os.waitpid(child, 0)
    return problem or (f"the process ended with status {status}" if status else "")


def _shrink(seed: int, modes: Sequence[str]) -> int:
    fails = lambda program: bool(_in_child(lambda: check(program, modes)))  # noqa: E731
    program = generate(seed)
    if not fails(program):
        print(f"seed {seed}: no finding")
        return 0
    small: Program = shrink(program, fails)
    print(_in_child(lambda: check(small, modes)), small.graph, f"donated: {small.donated}", sep="\n")
    print(to_text(lower(plain(small.graph))))
    return 1


if __name__ == "__main__":
    sys.exit(main())
