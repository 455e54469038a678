"""The table of legalization rules: (primitive, target) -> a rule, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax.core.primitive import Refused

Rule = Callable[..., Any]

TARGETS = ("cpu", "coreml", "ane")
CORE_ML = ("coreml", "ane")  # what Core ML's MIL lacks, the engine's lacks as well

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
    """Records why primitives cannot be had on targets."""
    for name in names:
        for target in targets:
            RULES[name, target] = Refused(reason)
