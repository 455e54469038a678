"""Everything that can be known of the engine's route without a Mac: ``make engine-check``.

    python -m tests.engine_check [--only modes|doctor] [--finding A]

Three tables are printed: each finding of public sources about real Macs as a mode of the stand-in for Espresso, and
whether it was survived or said; each primitive on the stand-in and on Apple's Core AI runtime; the doctor's other
checks. The exit status is 1 where one of them failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from anejax.engine.doctor import FAILED, Check, examine
from anejax.engine.doctor.coreai import GROUP as COREAI
from anejax.engine.doctor.primitives import names
from tests.engine_check.modes import ELSEWHERE, MODES, Mode
from tests.engine_check.running import run
from tests.espresso import stand_in

PROCESSES = 2
FAMILY = "A16"  # the latest rules, by which engines have the most primitives
PRIMITIVE, ABSENT = "primitive", "not asked"


def modes(asked: Iterable[Mode], library: Path) -> int:
    """Prints a row for each mode, and returns how many failed."""
    print(f"{'':3}{'mode of the stand-in':40}{'came to':10}as follows")
    failed = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for row in pool.map(lambda mode: run(mode, library), asked):
            print(row, flush=True)
            failed += not row.is_right
    return failed


def elsewhere() -> Iterator[str]:
    """Lines for what no mode can show."""
    for finding, (what, where) in ELSEWHERE.items():
        yield f"{finding:3}{what}: {where}"


def doctor() -> int:
    """Prints the table of primitives and the doctor's other checks; returns how many failed."""
    primitives: dict[tuple[str, str], Check] = {}
    others: list[Check] = []
    for check in examine(FAMILY):
        if check.group in (PRIMITIVE, COREAI) and check.name in names():
            primitives[check.group, check.name] = check
        else:
            others.append(check)
    print(f"\n{'primitive':28}{'stand-in':22}Core AI")
    for name in names():
        cells = [cell(primitives.get((group, name))) for group in (PRIMITIVE, COREAI)]
        print(f"{name:28}{cells[0]:22}{cells[1]}")
    print()
    for check in others:
        print(check)
    failed = [c for c in (*primitives.values(), *others) if c.state == FAILED]
    for check in failed:
        print(f"{check}", file=sys.stderr)
    return len(failed)


def cell(check: Check | None) -> str:
    """An answer in a few words: the error is of what is allowed."""
    if check is None:
        return ABSENT
    if "worst" in check.figures and check.figures["samples"]:
        return f"{check.state} {check.figures['samples']}, {check.figures['worst']:.0%}"
    return check.state


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.engine_check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--only", choices=("modes", "doctor"), help="one of the parts")
    parser.add_argument("--finding", action="append", help="modes of this finding alone (a letter; repeat it)")
    options = parser.parse_args()
    library = stand_in().resolve()
    if not library.is_file():
        parser.error(f"{library} is not there: make test-native builds it")
    failed, asked = 0, [m for m in MODES if not options.finding or m.finding in options.finding]
    if options.only != "doctor":
        failed += modes(asked, library)
        print(*elsewhere(), sep="\n")
    if options.only != "modes" and not options.finding:
        with tempfile.TemporaryDirectory(prefix="anejax-doctor-") as cache:
            os.environ.update(ANEJAX_ESPRESSO=str(library), ANEJAX_CACHE=cache)
            failed += doctor()
    print(f"{len(asked)} modes, {len(names())} primitives: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
