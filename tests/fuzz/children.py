"""Runs the programs of many seeds in child processes, so that one that crashes is a finding like others."""

from __future__ import annotations

import argparse
import mmap
import os
import sys
import time
from collections.abc import Callable

FINDINGS = 20  # after so many a run ends
REPORTED = 20  # children between two lines of progress


def command(name: str, description: str | None) -> argparse.ArgumentParser:
    """The options that every such command has."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    parser.add_argument("--count", type=int, default=1000, help="programs to run")
    parser.add_argument("--seed", type=int, default=0, help="of the first program; the others follow it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--shrink", action="store_true", help="make the program of --seed small, and print it")
    return parser


def run(
    name: str, options: argparse.Namespace, check: Callable[[int], object], how: str, again: str = "", batch: int = 500
) -> int:
    """Checks --count seeds from --seed on, ``batch`` in a child; 1 where any failed. ``again`` repeats a finding."""
    start, ran, found = time.monotonic(), 0, 0
    while ran < options.count and found < FINDINGS and time.monotonic() - start < options.seconds:
        first, count = options.seed + ran, min(batch, options.count - ran)
        last, problem = _run_batch(first, count, check)
        if problem:
            print(f"seed {last}: {problem}\n  python -m {name} --seed {last} {again} --shrink", flush=True)
        found += bool(problem)
        before, ran = ran, ran + last - first + 1
        if ran // (REPORTED * batch) > before // (REPORTED * batch) and ran < options.count:
            print(f"{ran} programs so far, {found} findings", flush=True)
    print(f"{ran} programs from seed {options.seed} on, {how}: {found} findings,"
          f" {time.monotonic() - start:.0f} s")  # fmt: skip
    return found > 0


def _run_batch(first: int, count: int, check: Callable[[int], object]) -> tuple[int, str]:
    """The last seed that ran, and how it failed, if it did; the others run without a word."""
    at = mmap.mmap(-1, 8)  # shared with the child

    def run() -> None:
        for seed in range(first, first + count):
            at[:] = seed.to_bytes(8, "little")
            check(seed)

    problem = in_child(run)
    return int.from_bytes(at[:], "little"), problem


def in_child(run: Callable[[], object]) -> str:
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
