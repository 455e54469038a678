"""Writes the table of docs/legalization.md: how each primitive is legalized for each target."""

from __future__ import annotations

from anejax.core.primitive import REGISTRY, Primitive, Refused
from anejax.passes.legalize.rules import CORE_ML, RULES

_HEAD = """# Legalization

This table says how each primitive is translated to Core ML's MIL and to the Neural Engine's. `python -m
anejax.passes.legalize` generates it, and a test checks that it is up to date. *As it is* means that the primitive's MIL
slot writes an operation of MIL. *Rewritten* means that a rule in `anejax/passes/legalize/` expresses the primitive in
others. In all other cells the primitive is not available, and the cell gives the reason; on a Mac such equations run on
the CPU device. Dtypes that MIL does not have (64 bits, bfloat16) are refused for every primitive. For Core ML, uint32
becomes int32 with the same bits, and anejax computes on its 16-bit halves (`anejax/passes/legalize/words.py`).

| primitive | coreml | ane |
|---|---|---|
"""


AS_IT_IS, REWRITTEN = "as it is", "rewritten"


def has_form(prim: Primitive, target: str) -> bool:
    """Whether ``target`` has ``prim``, at some operands at least."""
    return verdict(prim, target) in (AS_IT_IS, REWRITTEN)


def verdict(prim: Primitive, target: str) -> str:
    """ "as it is", "rewritten", or the reason why ``target`` cannot run ``prim``."""
    rule = RULES.get((prim.name, target))
    if isinstance(rule, Refused):
        return rule.reason
    if rule is not None:
        return REWRITTEN
    if isinstance(prim.mil, Refused):
        return prim.mil.reason
    return AS_IT_IS


def markdown() -> str:
    """The whole page."""
    rows = [
        f"| `{name}` | {' | '.join(verdict(prim, target) for target in CORE_ML)} |"
        for name, prim in sorted(REGISTRY.items())
    ]
    return _HEAD + "\n".join(rows) + "\n"
