"""Rules for bools on the engine.

There a bool can only be the result of a comparison or the condition of a selection. All other operations on bools are
rewritten to arithmetic on 0 and 1. The engine's own ``logical_and`` is unreliable (docs/sources.md, "Bools").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax import dtypes
from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import reduce as R
from anejax.passes.legalize.constants import const
from anejax.passes.legalize.rules import rule

MOVES = ("reshape", "transpose", "broadcast_in_dim", "slice", "concatenate", "pad", "rev", "copy", "reduce_max",
         "reduce_min", "max", "min", "eq", "ne", "lt", "le", "gt", "ge")  # fmt: skip


def number(x: Any) -> Any:
    """1 where ``x`` is true, else 0."""
    return E.convert_element_type(x, dtypes.float32)


def truth(x: Any) -> Any:
    """Whether a number that is 0 or 1 is 1."""
    return A.gt(x, const(x, 0.5))


def is_bool(x: Any) -> bool:
    return aval_of(x).dtype == dtypes.bool_


def are_moved(prim: Primitive, args: Sequence[Any]) -> bool:
    """Whether the equation has bools as operands, while the engine's operation takes numbers only."""
    if prim.name == "select_n":
        return is_bool(args[1])
    return prim.name in MOVES and any(map(is_bool, args))


def moved(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The equation on 0 and 1."""
    kept = 1 if prim.name == "select_n" else 0
    out = prim.bind(*args[:kept], *map(number, args[kept:]), **params)
    return out if is_bool(out) else truth(out)


# MIL does these with numbers only, so Core ML's programs use 0 and 1.
NUMBERS_ONLY = ("max", "min", "eq", "ne", "lt", "le", "gt", "ge", "reduce_max", "reduce_min", "argmax", "argmin",
                "reduce_window_max", "reduce_window_min", "cummax", "cummin", "clamp", "dot_general")  # fmt: skip
_OF_BOOLS = (
    "max",
    "min",
    "reduce_max",
    "reduce_min",
    "reduce_window_max",
    "reduce_window_min",
    "cummax",
    "cummin",
    "clamp",
)


def as_counted(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The equation on 0 and 1 of int32, or of float32 in windows, which MIL has for floats only."""
    dtype = dtypes.float32 if "window" in prim.name else dtypes.int32
    out = prim.bind(*(E.convert_element_type(a, dtype) if is_bool(a) else a for a in args), **params)
    return E.convert_element_type(out, dtypes.bool_) if prim.name in _OF_BOOLS else out


rule("and", targets=("ane",))(lambda x, y: truth(A.mul(number(x), number(y))))
rule("or", targets=("ane",))(lambda x, y: truth(A.max(number(x), number(y))))
rule("xor", targets=("ane",))(lambda x, y: A.ne(number(x), number(y)))


def _through_numbers(reduce: Any) -> Any:
    def reduce_bools(x: Any, *, axes: tuple[int, ...]) -> Any:
        """Bools as 0 and 1: min is and, max is or."""
        return truth(reduce(number(x), axes)) if is_bool(x) else NotImplemented

    return reduce_bools


rule("reduce_and")(_through_numbers(R.reduce_min))
rule("reduce_or")(_through_numbers(R.reduce_max))
