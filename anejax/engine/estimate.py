"""``estimate``: predicts how long a function takes on a chip's engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from anejax.engine.graphs import program_graph
from anejax.mil.cost import Cost, in_sequence
from anejax.partition import partition
from anejax.transforms.composite import title


@dataclass(frozen=True)
class Estimate:
    """Predicted times of a function's engine programs, and the equations that stay on the CPU device.

    Attributes:
        chip: whose engine.
        programs: the cost of each engine program, in an order in which they can run; each is one dispatch.
        host: (primitive, reason) -> how many equations the CPU device runs; their time is not predicted.
    """

    chip: str
    programs: tuple[Cost, ...]
    host: dict[tuple[str, str], int]

    @cached_property
    def total(self) -> Cost:
        """The programs as one: times, FLOP and bytes add up, and its floor is that of all dispatches."""
        return in_sequence(self.chip, self.programs)

    def to_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        host = [{"primitive": p, "reason": why, "count": n} for (p, why), n in self.host.items()]
        return self.total.to_json() | {"programs": [p.to_json() for p in self.programs], "host": host}


def estimate(f: Callable[..., Any], *args: Any, chip: str = "M4") -> Estimate:
    """Predicts how long one call of ``f`` takes on the Neural Engine of ``chip`` ("M1" ... "M6").

    ``f`` is traced at the types of ``args`` (arrays or ShapeDtypeStructs) and legalized for the engine; equations that
    the engine does not have are counted as the CPU device's, and divide the rest into several programs. docs/engine.md
    says on which figures the prediction is based. Raises MilError for a chip that is not known.

    Example:
        >>> import anejax as aj
        >>> x = aj.ShapeDtypeStruct((1024, 1024), "float32")
        >>> found = estimate(lambda x, y: x @ y, x, x, chip="M5")
        >>> len(found.programs), found.total.flops, f"{found.total.us:.0f} us"  # measured by others: 434 us
        (1, 2147483648, '434 us')
    """
    plan = partition(program_graph(f, *args)[0], chip, by_cost=False)
    host = Counter((title(eqn), reason) for eqn, reason in plan.host)
    return Estimate(chip, tuple(s.cost for s in plan.segments if s.cost is not None), dict(host.most_common()))
