"""The command ``anejax profile``: profiles a function, or the steps of a training command."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import anejax as aj
from anejax import cli, profiler
from anejax.cli import options, subject
from anejax.cli.options import UsageError
from anejax.mil.program import Program
from anejax.profiler.measured import KEYS

STEPS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.usage = (
        "anejax profile train cifar10|stories|chars [options of train] | anejax profile mymodule:f --shape ..."
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="`train` with its options, or a function with its shapes"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints tables and writes a page; returns 0."""
    if args.command[:1] == ["train"]:
        given = args.command if "--profile" in args.command else [*args.command, "--profile", str(STEPS)]
        return cli.main(given)
    parser = argparse.ArgumentParser(prog="anejax profile")
    subject.configure(parser)
    parser.add_argument(
        "--runs", type=options.count, default=STEPS, metavar="N", help=f"runs to measure (default: {STEPS})"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write a page (.html) or a trace for Perfetto (.json)"
    )
    return _function(options.parsed(parser, args.command))


def _function(args: argparse.Namespace) -> int:
    if args.save is not None and args.save.suffix.lower() not in (".html", ".json"):
        raise UsageError(f"[--save] expected a path that ends in .html or .json, got {str(args.save)!r}.")
    found = subject.find(args)
    if isinstance(found, Program):
        raise UsageError(f"[{args.target}] expected a function, got a program.")
    function, arguments = found
    step = aj.jit(function)
    values = aj.tree.map(_numbers, arguments)
    step(*values)
    with profiler.profile() as profile:
        for i in range(args.runs):
            with profiler.StepTraceAnnotation("run", step_num=i):
                step(*values)
    if args.json:
        rows = {by: [_row(r) for r in profile.rows(by)] for by in KEYS}
        print(json.dumps({"seconds": profile.measured.seconds, "runs": args.runs} | rows, indent=2))
    else:
        for by in KEYS:
            print(profile.table(by))
    if args.save is not None:
        profile.save(args.save)
    return 0


def _row(row: profiler.Row) -> dict[str, Any]:
    return {"name": row.name, "seconds": row.seconds, "parts": dict(row.parts), "calls": row.calls,
            "flops": row.flops, "bytes": row.nbytes}  # fmt: skip


def _numbers(like: Any) -> Any:
    """An array of a type: normal numbers, and zeros for integers."""
    if not isinstance(like, aj.ShapeDtypeStruct):
        return like
    rng = np.random.default_rng(0)
    values = rng.standard_normal(like.shape) if np.issubdtype(like.dtype, np.floating) else np.zeros(like.shape)
    return aj.numpy.asarray(values, like.dtype)
