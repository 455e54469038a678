"""Rules for integers: exact quotients and remainders for Core ML, and operations that MIL lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import reduce as R
from anejax.ops.families import expand
from anejax.passes.legalize.bools import is_bool
from anejax.passes.legalize.constants import const
from anejax.passes.legalize.rules import as_it_is, rule


def _everywhere(x: Any, value: int) -> Any:
    return expand(const(x, value), aval_of(x).shape)


def _rests(x: Any, y: Any) -> tuple[Any, Any, Any]:
    """|x|, |y| with 1 for 0, and the rest of one by the other: MIL's mod and floor_div differ from lax's at negative
    operands alone, and are nowhere defined for 0."""
    shape = aval_of(x).shape or aval_of(y).shape
    size, by = A.abs(expand(x, shape)), A.abs(expand(y, shape))
    by = A.max(by, _everywhere(by, 1))
    return size, by, as_it_is(A.rem_p, size, by)


def remainder(x: Any, y: Any) -> Any:
    """lax.rem of integers: it has the sign of x, and is x for y = 0."""
    *_, rest = _rests(x, y)
    x, y = (expand(v, aval_of(rest).shape) for v in (x, y))
    return A.select_n(A.eq(y, _everywhere(rest, 0)), A.mul(A.sign(x), rest), x)


def quotient(x: Any, y: Any) -> Any:
    """lax.div of integers: without its fraction, and -1 for y = 0."""
    size, by, rest = _rests(x, y)
    whole = as_it_is(A.div_p, A.sub(size, rest), by)
    x, y = (expand(v, aval_of(rest).shape) for v in (x, y))
    signed = A.mul(A.mul(A.sign(x), A.sign(y)), whole)
    return A.select_n(A.eq(y, _everywhere(whole, 0)), signed, _everywhere(whole, -1))


def _positions(prim: Any) -> None:
    @rule(prim.name, targets=("coreml",))
    def position(x: Any, *, axis: int, index_dtype: np.dtype) -> Any:
        """MIL's index is int32."""
        if index_dtype == dtypes.int32:
            return NotImplemented
        found = prim.bind(x, axis=axis, index_dtype=np.dtype(np.int32))
        return E.convert_element_type(found, index_dtype)


for _prim in (R.argmax_p, R.argmin_p):
    _positions(_prim)


@rule("not", targets=("coreml",))
def _not(x: Any) -> Any:
    return NotImplemented if is_bool(x) else A.sub(_everywhere(x, -1), x)
