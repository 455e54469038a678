"""The command ``anejax fetch``: downloads the files that other commands use, and lists them."""

from __future__ import annotations

import argparse

from rich.console import Console

from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.cli.training import fetching
from anejax.data import cifar10, files

_CIFAR10 = "cifar10"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="files to download (default: list all names)")
    options.add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Downloads the named files, or lists all names; returns 0."""
    known = [_CIFAR10, *files.sources()]
    for name in args.names:
        if name not in known:
            raise UsageError(f"[fetch] expected one of {', '.join(known)}, got {name}.")
    if not args.names:
        _list()
    console = Console()
    for name in args.names:
        with fetching(console) as progress:
            path = cifar10.ensure(progress=progress) if name == _CIFAR10 else files.ensure(name, progress)
        console.print(f"{name}: {path}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _list() -> None:
    archive = cifar10.sources()["archive"]
    rows = [(_CIFAR10, archive, cifar10.find() is not None)]
    rows += [(name, source, files.path_of(name).is_file()) for name, source in files.sources().items()]
    for name, source, here in rows:
        print(f"{name:29} {source['bytes']:>13,} bytes  {'here' if here else '-':4}  {source['digest']}")
