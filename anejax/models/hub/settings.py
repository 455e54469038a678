"""Reads the JSON files of a model's folder and checks the ranges of their values, because a folder may come from
anyone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from anejax.errors import AnejaxError
from anejax.paths import read_file

MOST_SIZE = 1 << 31  # of a matrix's side, in a configuration
_MOST_JSON = 1 << 26  # bytes


class ModelError(AnejaxError, ValueError):
    """A model's folder lacks a file, holds a damaged one, or is of a network that is not here."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ModelError if it holds something else; OSError."""
    return parsed(read_file(path, _MOST_JSON), path)


def parsed(data: bytes, path: Path) -> dict[str, Any]:
    """The object of JSON in ``data``, which is what ``path`` holds. Raises ModelError."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise ModelError(f"[models] {path} is damaged: expected JSON, but {_short(err)}.") from None
    if not isinstance(found, dict):
        raise ModelError(f"[models] {path}: expected an object of JSON, got {type(found).__name__}.")
    return found


class Settings:
    """The values of a JSON object by name, each of the type and in the range that is asked for.

    A name that is absent, or null, has the default; without a default that is an error.
    """

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def size(self, name: str, default: int | None = None, least: int = 1, most: int = MOST_SIZE) -> int:
        """An integer from ``least`` to ``most``."""
        value = self._get(name, default)
        if type(value) is not int or not least <= value <= most:
            self.fail(name, f"an integer from {least:,} to {most:,}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self._get(name, default)
        if type(value) not in (int, float) or not 0 < value < 1e300 or not math.isfinite(value):
            self.fail(name, "a finite number above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self._get(name, default)
        if type(value) is not bool:
            self.fail(name, "true or false")
        return value

    def choice(self, name: str, choices: Any, default: str | None = None) -> str:
        """One of the words ``choices``."""
        value = self._get(name, default)
        if not isinstance(value, str) or value not in choices:
            self.fail(name, f"one of {', '.join(choices)}")
        return value

    def part(self, name: str) -> Settings | None:
        """The object inside, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fail(name, "an object")
        return Settings(value, f"{self.where}, {name}")

    def fail(self, name: str, expected: str) -> Any:
        """Raises a ModelError which says that ``name`` was not expected."""
        value = self.values.get(name)
        got = "nothing" if value is None else _short(repr(value))
        raise ModelError(f"[models] {self.where}: expected {name} to be {expected}, got {got}.")

    def refuse(self, name: str, why: str) -> None:
        """Raises ModelError if ``name`` is there and neither null, false nor 0."""
        if self.values.get(name):
            raise ModelError(f"[models] {self.where}: {name} is {_short(repr(self.values[name]))}, {why}.")

    def _get(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        return default if value is None else value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
