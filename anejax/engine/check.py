"""``check``: lists the rules of a chip's engine that a function breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax.engine.graphs import program_graph
from anejax.mil.rules import MIL, Finding, Rule
from anejax.mil.verify import diagnose
from anejax.partition import partition
from anejax.transforms.composite import title

ON_CPU = Rule("primitive", f"docs/legalization.md, and {MIL}", "nothing, if the CPU device may run this part")


def check(f: Callable[..., Any], *args: Any, chip: str = "M4") -> list[Finding]:
    """Every rule that ``f`` breaks on ``chip`` at the types of ``args`` (arrays or ShapeDtypeStructs).

    Equations that the engine does not have are findings of the rule "primitive"; the others are legalized and checked
    against the chip's rules. Values at the border to the CPU device are assumed to be cast there. ``place`` of a
    finding is the layers and the line that its first operation comes from.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> for found in check(lambda x: jnp.tanh(jnp.sort(x)), aj.ShapeDtypeStruct((8,), "float32")):
        ...     print(found.rule.severity, found.message)
        refused [sort] MIL's sorting operations order one array by one key, in unstated order of equals
        note [tanh] a table of 33 knots: error up to 1.7e-3
        note [tanh] by Core AI it may leave the engine, to be computed in float32
    """
    plan = partition(program_graph(f, *args)[0], chip, by_cost=False, keep_state=False)
    found = [Finding(ON_CPU, title(e), f"[{title(e)}] {reason}", place=e.mark.place) for e, reason in plan.host]
    for program in plan.programs:
        found += diagnose(program, chip)
    return list(dict.fromkeys(found))
