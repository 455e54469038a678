"""Primitive: the name of an operation, and the rules that define it, one in each slot.

A slot holds a rule, or ``Refused(reason)`` if no rule can exist. tests/ops/test_complete.py accepts nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax.core.aval import Aval
from anejax.core.context import current_trace
from anejax.errors import RefusedError


class Refused:
    """A slot that cannot be filled, and why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"Refused({self.reason!r})"

    def __bool__(self) -> bool:
        return False


SLOTS = ("abstract", "impl", "jvp", "transpose", "batch", "mil")

REGISTRY: dict[str, Primitive] = {}


class Primitive:
    """An operation that transformations know how to handle.

    Slots (arrays positional, everything else keyword):
        abstract(*avals, **params) -> Aval, or a list of them when ``multiple_results``
        impl(*ndarrays, **params) -> ndarray(s): NumPy, the oracle and the eager path
        jvp(primals, tangents, **params) -> (outs, tangents out); tangents may be ``Zero``
        transpose(ct, *args, **params) -> a cotangent (or None) per argument; linear arguments arrive as ``Linear``
        batch(size, args, dims, **params) -> (outs, dims out); a dim is None when the argument has no mapped axis
        mil(ctx, *values, **params) -> value(s): writes the operation with the builder in ``ctx``
    Higher-order primitives may have ``partial(trace, unknown, args, params)`` too (transforms/linearize.py), those with
    a parameter ``axis_name`` a rule ``collective``: like ``batch``, under the ``vmap`` that maps the axis of that name.
    """

    def __init__(
        self, name: str, *, multiple_results: bool = False, effect: bool = False, higher_order: bool = False
    ) -> None:
        if name in REGISTRY:
            raise ValueError(f"[primitive] {name} is defined twice.")
        self.name = name
        self.multiple_results = multiple_results
        self.effect = effect  # has a meaning beyond its results: never removed, merged or reordered
        self.higher_order = higher_order  # its parameters hold Graphs; ``impl`` takes and returns DeviceArrays
        self.elementwise = False  # each element of the result comes from the same place of the operands
        self.native_eager = False  # NumPy is slow, or of another LAPACK: eager calls run a one-operation program
        unfilled = Refused("not filled in")
        self.abstract: Any = unfilled
        self.impl: Any = unfilled
        self.jvp: Any = unfilled
        self.transpose: Any = unfilled
        self.batch: Any = unfilled
        self.mil: Any = unfilled
        self.partial: Callable[..., Any] | None = None
        self.collective: Callable[..., Any] | None = None
        REGISTRY[name] = self

    def fill(self, **slots: Any) -> Primitive:
        """Sets slots by name."""
        for slot, rule in slots.items():
            if slot not in SLOTS and slot not in ("partial", "collective", "native_eager", "elementwise"):
                raise ValueError(f"[primitive] {self.name} has no slot {slot!r}.")
            setattr(self, slot, rule)
        return self

    def bind(self, *args: Any, **params: Any) -> Any:
        """Applies the primitive under the current trace. Returns one result, or a list."""
        outs = current_trace().process(self, args, params)
        return outs if self.multiple_results else outs[0]

    def rule(self, slot: str) -> Callable[..., Any]:
        """The rule in ``slot``; raises RefusedError with its reason when there is none."""
        rule = getattr(self, slot)
        if isinstance(rule, Refused):
            raise RefusedError(f"[{self.name}] has no {slot} rule: {rule.reason}.")
        return rule

    def out_avals(self, avals: list[Aval], params: dict[str, Any]) -> list[Aval]:
        out = self.abstract(*avals, **params)
        return out if self.multiple_results else [out]

    def __repr__(self) -> str:
        return self.name


class Zero:
    """A tangent or cotangent known to be zero, of the given aval (a tangent aval)."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Zero({self.aval})"


class Linear:
    """Stands for an argument that a transpose rule is asked to be linear in."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Linear({self.aval})"
