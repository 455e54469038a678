"""Typed records of JSON values: dataclasses whose fields are checked, with their ranges, when they are read.

A field is a bool, an int, a float or a str. Numbers and strings may be ``Annotated`` with a range:

    hidden: Annotated[int, Between(1, 65_536)] = 256

A field may also be ``dict[str, X]`` or ``list[X]`` of these. ``decode`` makes a record of values that may come from
anyone. ``check`` applies the same ranges to a record that the program made.
"""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
MOST_INT = (1 << 53) - 1  # the largest integer up to which a float holds all integers exactly


@dataclass(frozen=True)
class Between:
    """The least and the greatest number of a field, or the lengths of its text or list."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"from {self.least:,} to {self.most:,}"


Count = Annotated[int, Between(0, MOST_INT)]
Finite = Annotated[float, Between(-sys.float_info.max, sys.float_info.max)]


def decode(cls: type[T], values: Any) -> T:
    """Makes a record of ``values``, a JSON object. Raises ValueError, which names the wrong field."""
    if not isinstance(values, dict):
        raise ValueError(f"expected an object, got {type(values).__name__}")
    kinds = _kinds(cls)
    if unknown := sorted(set(values) - set(kinds)):
        raise ValueError(f"field {unknown[0][:40]!r} is unknown")
    if missing := sorted(set(kinds) - set(values)):
        raise ValueError(f"field {missing[0]!r} is missing")
    return cls(**{name: _value(name, kind, values[name]) for name, kind in kinds.items()})


def check(record: Any) -> None:
    """Raises ValueError, naming the field, unless all fields are of their types and in their ranges."""
    for name, kind in _kinds(type(record)).items():
        _value(name, kind, getattr(record, name))


@functools.cache
def _kinds(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {item.name: hints[item.name] for item in fields(cls)}


def _value(name: str, kind: Any, value: Any) -> Any:
    """``value`` as one of ``kind``, an integer as a float where that is asked for."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        value = _value(name, arguments[0], value)
        limits = next(x for x in arguments[1:] if isinstance(x, Between))
        size = len(value) if isinstance(value, str | list) else value
        if not limits.least <= size <= limits.most:  # false for NaN
            raise ValueError(f"field {name!r} is wrong: expected {_noun(value)} {limits}, got {_short(size)}")
        return value
    if isinstance(kind, type) and is_dataclass(kind):
        return value if isinstance(value, kind) else decode(kind, value)
    if kind is Any:
        return value
    if origin is dict:
        _expect(name, value, dict, "an object")
        return {k: _value(f"{name}.{k[:40]}", arguments[1], v) for k, v in value.items()}
    if origin is list:
        _expect(name, value, list, "a list")
        return [_value(name, arguments[0], v) for v in value]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MOST_INT:
            raise ValueError(f"field {name!r} is wrong: expected an integer up to 2^53, got {_short(value)}")
        return value
    _expect(name, value, kind, {bool: "true or false", int: "an integer", float: "a number", str: "text"}[kind])
    if kind is int and isinstance(value, bool):
        raise ValueError(f"field {name!r} is wrong: expected an integer, got {value}")
    return value


def _expect(name: str, value: Any, kind: type, noun: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"field {name!r} is wrong: expected {noun}, got {type(value).__name__}")


def _noun(value: Any) -> str:
    return {str: "text of a length", list: "a list of a length", int: "an integer"}.get(type(value), "a number")


def _short(value: float) -> str:
    """A number as messages show it; Python refuses to print integers of thousands of digits."""
    if isinstance(value, int) and abs(value) > 10**20:
        return f"one of about {math.ceil(value.bit_length() * math.log10(2))} digits"
    return f"{value:,}"
