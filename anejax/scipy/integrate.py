"""jax.scipy.integrate on anejax: the trapezoidal rule."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax.absent import getattr_of
from anejax.core.array import Array

__all__ = [
    "trapezoid"
]  # fmt: skip

__all__ = ["trapezoid"]

__getattr__ = getattr_of(__name__)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """The integral along ``axis`` of the lines through the samples ``y`` at the places ``x``, or in steps of ``dx``.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.integrate.trapezoid(jnp.array([1.0, 3.0, 5.0]), dx=0.5)
        Array(3., dtype=float32)
    """
    return jnp.trapezoid(y, x, dx, axis)
