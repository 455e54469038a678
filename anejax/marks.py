"""Marks: record where an equation of a Graph, or an operation of a program, comes from in the user's code."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

FORWARD = "forward"  # equations of the function itself
UPDATE = "update"  # equations that follow from gradients and are not differentiated: the step of an optimizer
TANGENT = "tangent"  # equations that forward differentiation adds: tangents, and coefficients that they need
BACKWARD = "backward"  # equations that transposition makes: cotangents, and so gradients
PARTS = (FORWARD, UPDATE, TANGENT, BACKWARD)  # if an equation is inside another, the later one of the two parts counts


class Mark(NamedTuple):
    """The origin of an equation.

    Attributes:
        path: the layers and scopes around it, such as ``blocks/3/attention/q``; "" outside of all. In a Graph that an
            equation holds, it counts from that equation.
        part: one of PARTS.
        line: ``file:line (function)`` of the innermost frame outside anejax; None where there is none.
    """

    path: str = ""
    part: str = FORWARD
    line: str | None = None

    def within(self, outer: Mark) -> Mark:
        """The mark of an equation of the Graph that an equation with the mark ``outer`` holds."""
        if not outer.path and outer.part == FORWARD and (self.line or not outer.line):
            return self
        part = max(self.part, outer.part, key=PARTS.index)
        return mark(joined(outer.path, self.path), part, self.line or outer.line)

    def of_part(self, part: str) -> Mark:
        """The same place with another part."""
        return self if self.part == part else mark(self.path, part, self.line)

    @property
    def place(self) -> str:
        """The origin as text, such as `` of blocks/3/attention/q (backward) at model.py:12 (apply)``, or "" if
        unknown."""
        of = f" of {self.path}" if self.path else ""
        part = f" ({self.part})" if self.part != FORWARD else ""
        return of + part + self.at

    @property
    def at(self) -> str:
        """The line as text, such as `` at model.py:12 (apply)``, or "" if unknown."""
        return f" at {self.line}" if self.line else ""

    def identifier(self, name: str) -> str:
        """``name`` with its path as an identifier: ``blocks_3_attention_q_dot_general_1``."""
        return re.sub(r"\W", "_", joined(self.path, name), flags=re.ASCII)

    def __str__(self) -> str:
        """``blocks/3/attention/q, backward, at model.py:12 (apply)``."""
        return ", ".join(filter(None, (self.path, self.part, f"at {self.line}" if self.line else "")))


NOWHERE = Mark()
mark = functools.lru_cache(maxsize=8192)(Mark)  # equal marks are one object, which is faster than to make another


def short_line(line: str | None) -> str:
    """``model.py:12`` of ``/home/me/model.py:12 (apply)``."""
    return re.split(r"[/\\]", line.rpartition(" (")[0])[-1] if line else ""


def joined(outer: str, inner: str) -> str:
    """The path ``inner`` inside of ``outer``."""
    return f"{outer}/{inner}" if outer and inner else outer or inner
