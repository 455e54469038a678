"""Writes fields of protocol buffers (https://protobuf.dev/programming-guides/encoding/)."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def varint(value: int) -> bytes:
    """A number that is not negative: seven bits in each byte, the lowest first."""
    return bytes(_sevens(value))


def _sevens(value: int) -> Iterator[int]:
    while value >= 128:
        yield value % 128 + 128
        value //= 128
    yield value


def number(field: int, value: int) -> bytes:
    """A field with a whole number; one below 0 is written as int32 and int64 are, in 64 bits."""
    return varint(field << 3) + varint(int(value) % 2**64)


def single(field: int, value: float) -> bytes:
    """A field with a float. Raises OverflowError if float32 has no such number."""
    return varint(field << 3 | 5) + struct.pack("<f", value)


def part(field: int, content: bytes) -> bytes:
    """A field with bytes, a string or a message."""
    return varint(field << 3 | 2) + varint(len(content)) + content
