"""The command ``anejax explain``: shows how a function is divided between the engine and the CPU device."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from anejax.cli import subject
from anejax.cli.options import UsageError
from anejax.engine import explain
from anejax.mil.program import Program


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    subject.configure(parser)
    parser.add_argument(
        "--device", choices=("ane", "coreai", "cpu"), default="ane", help="device of jit (default: ane)"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with a picture, or the picture if FILE ends in .svg"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints how the function is divided; returns 0."""
    if args.html and Path(args.html).suffix.lower() not in (".html", ".svg"):
        raise UsageError(f"[--html] expected a path that ends in .html or .svg, got {args.html!r}.")
    found = subject.find(args)
    if isinstance(found, Program):
        raise UsageError(f"[{args.target}] expected a function, got a program: it is not divided.")
    function, arguments = found
    explanation = explain(function, *arguments, device=args.device, chip=args.chip)
    print(json.dumps(explanation.to_json(), indent=2) if args.json else explanation)
    if args.html:
        explanation.save(args.html)
    return 0
