"""The command ``anejax check``: lists the engine rules that a network, function or MIL file breaks."""

from __future__ import annotations

import argparse
import json
from collections import Counter

from rich.console import Console
from rich.text import Text

from anejax.cli import subject
from anejax.engine import check
from anejax.mil.program import Program
from anejax.mil.rules import NOTE, REFUSED, WRONG, Finding
from anejax.mil.verify import diagnose

_COLOURS = {REFUSED: "red", WRONG: "yellow", NOTE: "blue"}
_MOST_TOLD = 50  # findings of one rule; a file may break it a million times


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    subject.configure(parser)
    parser.add_argument("--quiet", action="store_true", help="do not print notes")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints every rule that is broken; returns 1 when there are any, 0 when there are none or only notes."""
    found = subject.find(args)
    if isinstance(found, Program):
        findings = diagnose(found, args.chip)
    else:
        function, arguments = found
        findings = check(function, *arguments, chip=args.chip)
    broken = [f for f in findings if f.rule.severity != NOTE]
    shown = broken if args.quiet else findings
    if args.json:
        print(json.dumps([_row(f) for f in shown], indent=2))
    else:
        _show(Console(), shown, args.chip)
    return 1 if broken else 0


def _row(finding: Finding) -> dict[str, object]:
    rule = {k: getattr(finding.rule, k) for k in ("name", "severity", "source", "fix")}
    place = {"operation": finding.op, "line": finding.line, "message": finding.message, "place": finding.place.strip()}
    return place | {"rule": rule.pop("name"), **rule}


def _show(console: Console, findings: list[Finding], chip: str) -> None:
    told, left = Counter[str](), Counter[str]()
    for finding in findings:
        name = finding.rule.name
        if told[name] < _MOST_TOLD:
            told[name] += 1
            _tell(console, finding)
        else:
            left[name] += 1
    for name, count in left.items():
        console.print(Text(f"{name}: {count:,} more findings, which --json lists"))
    counts = Counter(f.rule.severity for f in findings)
    said = ", ".join(f"{counts[severity]} {severity}" for severity in _COLOURS if counts[severity])
    console.print(f"{chip}: {said or 'nothing found'}", highlight=False)


def _tell(console: Console, finding: Finding) -> None:
    """Texts of files are shown as they are: nothing in them is markup."""
    rule = finding.rule
    where = f"line {finding.line}: " if finding.line else ""
    console.print(Text.assemble((rule.severity, _COLOURS[rule.severity]), f" {where}{finding.message}"))
    if finding.place:
        console.print(Text(f"    comes from:{finding.place}"))
    for name, text in (("rule", rule.name), ("source", rule.source), ("fix", rule.fix)):
        console.print(Text(f"    {name}: {text}"))
