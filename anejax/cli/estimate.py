"""The command ``anejax estimate``: predicts the time that a chip's engine takes."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anejax.cli import subject
from anejax.cli.options import UsageError, count
from anejax.engine import Estimate, estimate
from anejax.engine.units import time_text
from anejax.mil.chips import MEDIAN_ERROR, chip_of
from anejax.mil.cost import predict
from anejax.mil.program import Program
from anejax.mil.rules import REFUSED
from anejax.mil.verify import diagnose


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    subject.configure(parser)
    parser.add_argument("--top", type=count, default=12, metavar="N", help="rows of each table (default: 12)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the prediction; returns 0."""
    found = subject.find(args)
    if isinstance(found, Program):
        _refuse_broken(found, args)
        prediction = Estimate(args.chip, (predict(found, args.chip),), {})
    else:
        function, arguments = found
        prediction = estimate(function, *arguments, chip=args.chip)
    if args.json:
        print(json.dumps(prediction.to_json(), indent=2))
    else:
        _show(Console(), prediction, args.top)
    return 0


def _refuse_broken(program: Program, args: argparse.Namespace) -> None:
    refused = [f for f in diagnose(program, args.chip) if f.rule.severity == REFUSED]
    if refused:
        raise UsageError(
            f"{refused[0].message}. {len(refused)} rules of {args.chip} are broken, so there is nothing to estimate;"
            f" `anejax check {args.target} --chip '{args.chip}'` lists them."
        )


def _show(console: Console, found: Estimate, top: int) -> None:
    total = found.total
    say = lambda text: console.print(text, markup=False, highlight=False)  # noqa: E731
    programs = "1 program" if len(found.programs) == 1 else f"{len(found.programs)} programs"
    say(f"{found.chip}: {time_text(total.us)} on the engine, in {programs}")
    say(f"  {total.flops / 1e9:.3f} GFLOP in products")
    say(f"  {total.border_bytes / 1e6:.2f} MB moved, padding included")
    say(f"  {time_text(total.floor_us)} for the dispatches alone")
    if total.ops:
        table = Table("operation", "count", "time", "share", "GFLOP", title="by operation")
        for name, n, us, flops in total.by_operation()[:top]:
            table.add_row(name, str(n), time_text(us), f"{us / total.us:.0%}", f"{flops / 1e9:.3f}")
        console.print(table)
    if found.host:
        console.print(_host(found, top))
    say(
        f"This is a prediction, not a measurement ({found.chip}: {chip_of(found.chip).sources}). Published models of"
        f" this kind are off by {MEDIAN_ERROR:.0%} in the median; with that, and operations counted as free taking what"
        f" they can, it is up to {time_text(total.most_us)}. See docs/engine.md."
    )


def _host(found: Estimate, top: int) -> Table:
    table = Table("primitive", "count", "why", title="on the CPU device, not in the time above")
    for (name, reason), n in list(found.host.items())[:top]:
        table.add_row(name, str(n), Text(reason))
    if len(found.host) > top:
        table.add_row("...", str(sum([*found.host.values()][top:])), "")
    return table
