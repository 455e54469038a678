"""Helpers that the rules of loops and branches share: splitting lists into parts, and iterating until types are
stable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.graph import Atom, Literal
from anejax.core.primitive import Zero
from anejax.core.trace import concrete_array
from anejax.errors import ShapeError
from anejax.transforms.evaluate import literal_value

T = TypeVar("T")
Flags = tuple[bool, ...]


def parts(items: Iterable[T], *counts: int) -> list[list[T]]:
    """``items`` cut into pieces of the given lengths, and the rest."""
    items, out = list(items), []
    for n in counts:
        out.append(items[:n])
        items = items[n:]
    return [*out, items]


def where(flags: Sequence[bool], items: Iterable[T]) -> list[T]:
    """The items whose flag is set."""
    return [x for x, f in zip(items, flags, strict=True) if f]


def where_not(flags: Sequence[bool], items: Iterable[T]) -> list[T]:
    """The items whose flag is not set."""
    return [x for x, f in zip(items, flags, strict=True) if not f]


def merge(flags: Sequence[bool], unset: Iterable[Any], set_: Iterable[Any]) -> list[Any]:
    """One list again: the next of ``set_`` where the flag is set, else the next of ``unset``."""
    no, yes = iter(unset), iter(set_)
    return [next(yes) if f else next(no) for f in flags]


def settle(flags: Flags, step: Callable[[Flags], tuple[Sequence[bool], T]]) -> tuple[Flags, T]:
    """The least fixed point, above ``flags``, of the flags that a loop's body computes for its carry; and the last
    result."""
    while True:
        found, result = step(flags)
        grown = tuple(a or b for a, b in zip(flags, found))
        if grown == flags:
            return flags, result
        flags = grown


def nonzero(tangents: Iterable[Any]) -> Flags:
    """Whether each tangent may be nonzero."""
    return tuple(not isinstance(t, Zero) for t in tangents)


def value_of(atom: Atom, env: dict[Any, Any]) -> Any:
    """The value of a Graph's output if it is a literal or an input in ``env``, and None if it is computed."""
    return literal_value(atom) if isinstance(atom, Literal) else env.get(atom)


def with_type(aval: Aval, x: Any) -> DeviceArray:
    """A concrete ``x`` with the aval that a body declares: a carry may lose its weak type on the way."""
    return concrete_array(x).retyped(aval)


def check_types(op: str, what: str, expected: Sequence[Aval], got: Sequence[Aval]) -> None:
    """Raises ShapeError unless the types agree, weak types aside."""
    if len(expected) != len(got) or not all(e.same_type(g) for e, g in zip(expected, got)):
        as_text = lambda avals: ", ".join(map(str, avals))  # noqa: E731
        raise ShapeError(f"[{op}] expected {what} of types ({as_text(expected)}), got ({as_text(got)}).")
