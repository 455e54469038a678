"""The command ``anejax doctor``: reports which parts of anejax work on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.engine.doctor import (
    FAILED,
    PASSED,
    SKIPPED,
    Check,
    examine,
    profile_of,
    report,
    summary,
    without_names,
)  # fmt: skip
from anejax.mil import profile
from anejax.mil.chips import CHIPS, Chip, chip_of, nearest
from anejax.paths import atomic_file

AUTO = "auto"
_COLOURS = {PASSED: "green", FAILED: "red", SKIPPED: "yellow"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add("--chip", choices=(AUTO, *CHIPS), default=AUTO, help="follow the rules of this chip (default: this machine's)")
    add(
        "--json",
        type=options.path,
        metavar="FILE",
        help="write a report that you can send, and its lines as .txt next to it",
    )
    add(
        "--quick",
        action="store_true",
        help="fewer samples and sizes, and no program that the compiler may refuse",
    )
    add("--full", action="store_true", help="also 140 programs in one process and a pause of 10 s (default on a Mac)")
    add("--debug", action="store_true", help="show tracebacks of errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints every check as it is answered; returns 1 when one failed, 0 otherwise."""
    if args.quick and args.full:
        raise UsageError("[doctor] expected --quick or --full, got both.")
    console = Console()
    checks = []
    for check in examine(_chip(args.chip).family, args.quick, args.full):
        checks.append(check)
        _show(console, check)
    measured = profile_of(checks)
    if measured is not None:
        place = profile.save(measured)
        _say(console, f'the figures are kept in {place}; `anejax estimate --chip this` and chip="this" use them')
    if args.json:
        _write(Path(args.json), checks, measured)
        _say(console, f"the report is in {args.json}; it has no names and folders of yours")
    for line in summary(checks):
        _say(console, line)
    return 1 if any(c.state == FAILED for c in checks) else 0


def _chip(name: str) -> Chip:
    return nearest(profile.this_machine()) if name == AUTO else chip_of(name)


def _write(path: Path, checks: list[Check], found: profile.Profile | None) -> None:
    content = report(checks, found.to_json() if found else None)
    with atomic_file(path, "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
    with atomic_file(path.with_suffix(".txt"), "w") as file:
        file.write("\n".join(without_names([*map(str, checks), *summary(checks)])) + "\n")


def _show(console: Console, check: Check) -> None:
    """In colour on a terminal, else one plain line, however long; nothing in it is markup."""
    if not console.is_terminal:
        _say(console, str(check))
        return
    state, rest = str(check)[:8], str(check)[8:]
    console.print(Text.assemble((state, _COLOURS[check.state]), rest))


def _say(console: Console, line: str) -> None:
    if console.is_terminal:
        console.print(Text(line))
    else:
        print(line, file=sys.stdout, flush=True)
