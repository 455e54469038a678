"""Vector quantization: assigns each vector to the nearest entry of a code book."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, promote_inexact

__all__ = [
    "vq"
]  # fmt: skip

__all__ = ["vq"]


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """The nearest code of each observation, by Euclidean distance, the first one of several.

    Args:
        obs: observations [m, n], or [m] numbers.
        code_book: codes [k, n], or [k] numbers.
        check_finite: accepted for compatibility.

    Returns:
        (indices [m] of codes, distances [m] as floats). It takes memory for m k n floats.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.cluster.vq.vq(jnp.array([1.0, 4.5]), jnp.array([0.5, 4.0, 9.0]))
        (Array([0, 1], dtype=int32), Array([0.5, 0.5], dtype=float32))
    """
    x, codes = (as_array("vq", v) for v in promote_inexact("vq", obs, code_book))
    if x.ndim != codes.ndim or x.ndim not in (1, 2):
        raise ShapeError(f"[vq] expected two matrices or two vectors, got {x.aval} and {codes.aval}.")
    if x.ndim == 1:
        x, codes = x[:, None], codes[:, None]
    if x.shape[1] != codes.shape[1] or not codes.shape[0]:
        raise ShapeError(f"[vq] expected codes as long as observations, one or more, got {x.aval} and {codes.aval}.")
    distances = jnp.linalg.norm(x[:, None] - codes, axis=-1)
    nearest = jnp.argmin(distances, -1)
    return nearest, jnp.take_along_axis(distances, nearest[:, None], -1)[:, 0]
