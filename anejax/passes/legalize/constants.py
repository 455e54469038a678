"""Scalars that rules write."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import DeviceArray
from anejax.core.trace import Tracer, aval_of
from anejax.ops.arithmetic import mul_p


def const(x: Any, value: float) -> Any:
    """``value`` as a scalar of ``x``'s dtype."""
    return np.asarray(value, aval_of(x).dtype)


def is_float(x: Any) -> bool:
    return aval_of(x).dtype in dtypes.FLOATS


def scalar(x: Any) -> float | None:
    """The value of a constant without axes; None of anything else."""
    if isinstance(x, Tracer) or aval_of(x).shape:
        return None
    return float(x.value if isinstance(x, DeviceArray) else x)


def times(x: Any, factor: float) -> Any:
    """``x`` times a constant, which may be one that float16 does not hold."""
    return x if factor == 1 else mul_p.bind(x, np.float32(factor))
