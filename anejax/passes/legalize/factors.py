"""Constant factors that float16 does not hold, such as the number of pixels in a batch, by which a mean's gradient is
divided: two steps, with the root of the factor in each."""

from __future__ import annotations

import math
from typing import Any

from anejax import dtypes
from anejax.core.primitive import Primitive
from anejax.core.trace import Tracer
from anejax.passes.legalize.constants import const, scalar

LEAST, MOST = (float(f(dtypes.finfo(dtypes.float16))) for f in (lambda i: i.tiny, lambda i: i.max))


def in_two(prim: Primitive, x: Any, y: Any) -> Any:
    """A "mul" or "div" by a constant below float16's normal numbers or above all; NotImplemented for any other."""
    if prim.name == "mul" and scalar(x) is not None:
        x, y = y, x
    factor = scalar(y)
    if not isinstance(x, Tracer) or not factor or not math.isfinite(factor) or LEAST <= abs(factor) <= MOST:
        return NotImplemented
    root = 2.0 ** round(math.log2(abs(factor)) / 2)
    return prim.bind(prim.bind(x, const(x, root)), const(x, factor / root))
