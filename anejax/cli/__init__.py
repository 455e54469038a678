"""The ``anejax`` command: one module per subcommand, found through one table."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from anejax.cli.examples import add_command
from anejax.cli.options import UsageError, parsed
from anejax.errors import AnejaxError
from anejax.terminal import printable

# name -> (module with configure(parser) and run(args) -> exit code, summary)
COMMANDS = {
    "train": ("anejax.cli.train", "train a network on a data set"),
    "eval": ("anejax.cli.evaluate", "measure a network on a data set"),
    "generate": ("anejax.cli.generate", "generate text with a language model"),
    "profile": ("anejax.cli.profile", "measure the time of each part of a function or a training step"),
    "estimate": ("anejax.cli.estimate", "predict how long a function or a program takes on a Neural Engine"),
    "explain": ("anejax.cli.explain", "show how a function is divided between a Neural Engine and the CPU, and why"),
    "check": ("anejax.cli.check", "list the rules of a Neural Engine that a function or a program breaks"),
    "doctor": (
        "anejax.cli.doctor",
        "test which parts of anejax work on this machine and its Neural Engine, and how fast",
    ),
    "export": ("anejax.cli.export", "write a trained network or a function as a Core ML or Core AI package"),
    "fetch": ("anejax.cli.fetch", "download checkpoints, tokenizers and texts that other commands use"),
    "completion": ("anejax.cli.completion", "print a script that lets your shell complete commands"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code.

    0: done. 1: a defect of anejax, broken rules that `check` found, or a failed check of `doctor`. 2: a mistake in the
    command line, or something outside is missing or broken. 130: interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parsed(parser_of(arguments), arguments)
        code = args.run(args)
        sys.stdout.flush()  # reports a full disk here
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the program that read our output has ended
        _forget_output()
        return 2
    except Exception as err:
        if _is_of_output(err):
            _forget_output()
        if "--debug" in arguments:
            traceback.print_exc()
        else:
            print(printable(_message(err)), file=sys.stderr)
        return 2 if isinstance(err, (AnejaxError, OSError, MemoryError)) else 1


def parser_of(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the options of those commands whose names are among ``arguments``."""
    package = importlib.import_module("anejax")
    parser = argparse.ArgumentParser(prog="anejax", description=package.__doc__)
    parser.add_argument("--version", action="version", version=f"anejax {package.__version__}")
    choices = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        child = add_command(choices, name, summary)
        if name in arguments:  # others are not imported, so that the command starts quickly
            importlib.import_module(module).configure(child)
    return parser


def _is_of_output(err: Exception) -> bool:
    """Whether the system refused what we printed; all other files are named by their errors."""
    return isinstance(err, OSError) and err.filename is None and err.errno is not None


def _forget_output() -> None:
    """Sends what is left in the buffer of standard output to nowhere, so that the interpreter's end does not fail."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # it is no file of the system
        return


def _message(err: Exception) -> str:
    if isinstance(err, UsageError | AnejaxError):
        return f"anejax: {err}"
    if isinstance(err, OSError):
        where = "standard output" if _is_of_output(err) else err.filename
        return f"anejax: {where}: {err.strerror or err}."
    if isinstance(err, MemoryError):
        return "anejax: out of memory."
    return (
        f"anejax: {type(err).__name__}: {err}\n"
        "This is a defect of anejax. Run the same with --debug for a traceback to report."
    )
