"""Makes the scalar constants that rules need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import DeviceArray
from anejax.core.primitive import Primitive
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


def are_frozen(prim: Primitive, args: Sequence[Any]) -> bool:
    """Whether the equation is one of constants, of which one at least is an array, and does not only repeat them."""
    if any(isinstance(a, Tracer) for a in args) or prim.name == "broadcast_in_dim" or prim.multiple_results:
        return False
    return any(aval_of(a).shape for a in args)


def evaluated(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> np.ndarray:
    """The result of an equation of constants."""
    (aval,) = prim.out_avals([aval_of(a) for a in args], params)
    values = (np.asarray(a.value if isinstance(a, DeviceArray) else a) for a in args)
    with np.errstate(all="ignore"):
        return np.asarray(prim.impl(*values, **params), aval.dtype)


def times(x: Any, factor: float) -> Any:
    """``x`` times a constant, which may be outside float16's range."""
    return x if factor == 1 else mul_p.bind(x, np.float32(factor))
