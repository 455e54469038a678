"""Records dispatches to the engine during a profile, because the native library records the CPU device's steps only."""

from __future__ import annotations

from typing import NamedTuple


class Dispatch(NamedTuple):
    """One run of a program on the engine, or on the CPU device with the engine's numerics.

    Attributes:
        name: the segment's.
        device: "ane", "coreai" or "cpu-fp16".
        begin, end: ns of the steady clock.
        predicted_us: what the engine's model of costs says (anejax.mil.cost).
        flops: of products.
        nbytes: that cross the border, both ways.
    """

    name: str
    device: str
    begin: int
    end: int
    predicted_us: float
    flops: int
    nbytes: int


_noted: list[Dispatch] | None = None


def start() -> None:
    """Notes all dispatches from now on."""
    global _noted
    _noted = []


def stop() -> list[Dispatch]:
    """Ends the recording and returns the dispatches."""
    global _noted
    noted, _noted = _noted, None
    return noted or []


def are_noted() -> bool:
    """Whether a profile is recorded."""
    return _noted is not None


def note(dispatch: Dispatch) -> None:
    """Adds a dispatch that has ended."""
    noted = _noted
    if noted is not None:
        noted.append(dispatch)
