"""The precisions of products that users ask for, by jax's names. float32 products are always computed in float32."""

from __future__ import annotations

import enum
from typing import Any


class Precision(enum.Enum):
    """The precision of products. Accepted for compatibility: float32 products are always computed in float32."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


NAMES = ("highest", "float32", "high", "bfloat16_3x", "tensorfloat32", "default", "bfloat16", "fastest")


def check_precision(op: str, precision: Any) -> None:
    """Raises ValueError for what names no precision: None, a ``Precision``, one of ``NAMES``, or a pair of either."""
    if precision is None:  # in every eager product
        return
    pair = isinstance(precision, (list, tuple)) and len(precision) == 2
    items = precision if pair else [precision]
    named = all(isinstance(p, str) and p in NAMES for p in items)
    # jax's own enumeration counts as well, for functions that both libraries run
    listed = all(getattr(p, "name", None) in Precision.__members__ for p in items)
    if not (named or listed):
        raise ValueError(
            f"[{op}] expected a precision of None, lax.Precision, one of {', '.join(NAMES)}, or a pair of these, got"
            f" {precision!r}."
        )
