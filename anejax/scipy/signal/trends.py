"""Removes the trend from a signal."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, one_axis, promote_inexact, refuse


def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: Any = None) -> Array:
    """``data`` less its mean ("constant") or the straight line that fits it best ("linear") along ``axis``, as floats.

    Args:
        bp: the places, integers from 0 to the length, where one line ends and the next begins.
        overwrite_data: refused, as arrays do not change.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.signal.detrend(jnp.array([1.0, 2.0, 4.0, 5.0]), type="constant")
        Array([-2., -1.,  1.,  2.], dtype=float32)
    """
    refuse("detrend", overwrite_data=overwrite_data)
    if type not in ("constant", "linear"):
        raise ValueError(f"[detrend] expected the type 'linear' or 'constant', got {type!r}.")
    x = as_array("detrend", promote_inexact("detrend", data)[0])
    i = one_axis("detrend", axis, x.ndim)
    if type == "constant":
        return x - jnp.mean(x, i, keepdims=True)
    n = x.shape[i]
    ends = np.unique(np.r_[0, np.asarray(bp, int).ravel(), n]).tolist()
    if ends[0] < 0 or ends[-1] > n:
        raise ShapeError(f"[detrend] expected breakpoints in [0, {n}], got {np.asarray(bp).tolist()}.")
    if len(ends) < 3:
        return _without_line(x, i) if n else x
    pieces = jnp.split(x, ends[1:-1], i)
    return jnp.concatenate([_without_line(piece, i) for piece in pieces], i)


def _without_line(x: Any, axis: int) -> Any:
    """``x`` less its projections on the constant vector and on the centred ramp, which are orthogonal."""
    n = x.shape[axis]
    out = x - jnp.mean(x, axis, keepdims=True)
    if n == 1:
        return out
    ramp = (np.arange(n) - (n - 1) / 2).reshape([n if j == axis else 1 for j in range(x.ndim)])
    ramp /= np.linalg.norm(ramp)
    ramp = jnp.asarray(ramp, x.dtype)
    return out - ramp * jnp.sum(ramp * out, axis, keepdims=True)
