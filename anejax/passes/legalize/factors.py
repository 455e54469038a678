"""Splits constant factors that float16 cannot hold into two steps, each with the square root of the factor.

An example is the number of pixels in a batch, by which the gradient of a mean is divided.
"""

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
