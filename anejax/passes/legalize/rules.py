"""The table (primitive, target) -> rule or refusal, and the questions that a rule may ask about its operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from anejax.core.context import current_trace
from anejax.core.graph import Eqn, Var
from anejax.core.primitive import Primitive, Refused
from anejax.core.trace import Tracer
from anejax.mil.limits import FAMILIES

T = TypeVar("T")

Rule = Callable[..., Any]

TARGETS = ("cpu", "coreml", "ane")
CORE_ML = ("coreml", "ane")  # operations that Core ML's MIL lacks are absent on the engine as well

RULES: dict[tuple[str, str], Rule | Refused] = {}


def rule(*names: str, targets: tuple[str, ...] = CORE_ML) -> Callable[[Rule], Rule]:
    """Registers a rule for primitives on targets."""

    def register(function: Rule) -> Rule:
        for name in names:
            for target in targets:
                RULES[name, target] = function
        return function

    return register


def refuse(reason: str, *names: str, targets: tuple[str, ...] = CORE_ML) -> None:
    """Records the reason why targets cannot run primitives."""
    for name in names:
        for target in targets:
            RULES[name, target] = Refused(reason)


def families() -> tuple[str, ...]:
    """The engine families on which the legalized program must be right: one chip's, or all; none for Core ML."""
    trace = _current()
    if trace.target != "ane":
        return ()
    return (trace.family,) if trace.family else FAMILIES


def target() -> str:
    """The target of the legalization in progress."""
    return _current().target


def as_it_is(prim: Primitive, *args: Any, **params: Any) -> Any:
    """Writes the equation unchanged, without the rule of its primitive."""
    return _current().keep(prim, args, params)[0]


def as_they_are(prim: Primitive, *args: Any, **params: Any) -> list[Any]:
    """As ``as_it_is``, of a primitive with several results."""
    return _current().keep(prim, args, params)


def unscaled(prim: Primitive, *args: Any, **params: Any) -> Any:
    """Binds an equation that the rules of scaling.py leave alone."""
    return _current().unscaled(prim, args, params)[0]


def maker(x: Any) -> Eqn | None:
    """The equation that made ``x`` in the Graph that is being legalized; None for its inputs and for constants."""
    return _current().made.get(x if isinstance(x, Var) else getattr(x, "var", None))


def traced(var: Var) -> Any:
    """A value of the Graph that is being made, as an operand."""
    return _current().traced(var)


def note(x: Any, what: Any) -> Any:
    """Attaches a note to ``x``, which later rules read by its type with ``noted``. Returns ``x``."""
    if isinstance(x, Tracer):
        _current().notes[x.var, type(what)] = what
    return x


def noted(x: Any, kind: type[T]) -> T | None:
    """The note of type ``kind`` that a rule left on ``x``, or None."""
    return _current().notes.get((getattr(x, "var", None), kind))


def remembered(key: Any, make: Callable[[], T]) -> T:
    """The result of ``make()``, which is called once for each ``key`` in the Graph that is being legalized."""
    memory = _current().memory
    if key not in memory:
        memory[key] = make()
    return memory[key]


def _current() -> Any:
    """The LegalizeTrace (apply.py) under which the rules run."""
    return current_trace()
