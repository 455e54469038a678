"""Options that several commands share, and the types of option values."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anejax.api.devices import devices
from anejax.config import config
from anejax.errors import AnejaxError
from anejax.runtime import engine

SHAPE = re.compile(r"([a-z]+[0-9]*)\[([0-9, ]*)\]", re.ASCII)  # the type of an argument


class UsageError(AnejaxError):
    """The command line asks for what cannot be done."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Adds the options of every command."""
    parser.add_argument("--device", metavar="NAME", help="the device to run on: cpu, ane or coreai (default: cpu)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """The values of the arguments. If several types follow one --shape, the error says what to write: an option that
    took several would also take the target behind it."""
    args, rest = parser.parse_known_args(arguments)
    types = [text for text in rest if SHAPE.fullmatch(text)]
    if types and any(text.startswith("--shape") for text in arguments):
        parser.error(f"expected one type after each --shape, got {' '.join(types)} as well: write --shape before each, "
                     f"such as --shape {types[0]!r}")  # fmt: skip
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def add_shapes(add: Callable[..., Any]) -> None:
    """Adds ``--shape`` by the ``add_argument`` of a parser."""
    help = "type of an argument, such as float32[8,4]; once for each"
    add("--shape", action="append", default=[], metavar="TYPE", help=help)


def use_device(name: str | None) -> None:
    """Makes ``name`` the default device. Raises DeviceError when it is not there, and for the engine only where the
    setting engine_fallback forbids the CPU device to stand in; else a warning says that it does."""
    if name is not None:
        if name not in engine.ENGINES or engine.is_there(name):
            devices(name)
        config.update("device", name)


def count(text: str) -> int:
    """An integer of 1 or more."""
    value = whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of 1 or more, got {text}")
    return value


def whole(text: str) -> int:
    """An integer of 0 or more, that fits 32 bits."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2^32 - 1, got {text!r}")
    return value


def path(text: str) -> str:
    """A path, made absolute."""
    return str(Path(text).expanduser().absolute())


def not_negative(text: str) -> float:
    """A finite number of 0 or more."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, got {text!r}")
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
