"""The error classes of anejax and the one formatter of their messages.

A message reads `[op] what was expected, what came`, with types as they print.
"""

from __future__ import annotations

from typing import NoReturn


class AnejaxError(Exception):
    """The base of every error that anejax raises on purpose."""


class MilError(AnejaxError):
    """Something is wrong with a MIL program."""


class ParseError(MilError):
    """MIL text does not follow the grammar; the message starts with `line:column`."""


class VerifyError(MilError):
    """A MIL program breaks a rule of its target."""


def fail(op: str, message: str, error: type[AnejaxError] = AnejaxError) -> NoReturn:
    """Raise `error` with the message `[op] message`."""
    raise error(f"[{op}] {message}")
