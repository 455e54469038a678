"""Converts the arguments of this package's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.numpy.operands import as_array, promote_inexact, strong


def reals(op: str, *xs: Any) -> list[Any]:
    """The arguments as real float arrays of one dtype."""
    out = promote_inexact(op, *xs)
    if aval_of(out[0]).dtype in dtypes.COMPLEX:
        shown = ", ".join(str(aval_of(x)) for x in xs)
        raise DtypeError(f"[{op}] expected real arguments, got {shown}. Take x.real, or scipy.special outside of jit.")
    return [jnp.asarray(x) for x in out]


def floats(op: str, *xs: Any) -> list[Any]:
    """The arguments as real float arrays of one dtype and shape."""
    return list(jnp.broadcast_arrays(*reals(op, *xs)))


def numbers(op: str, *xs: Any) -> list[Any]:
    """The arguments as float or complex arrays of one dtype and shape."""
    return list(jnp.broadcast_arrays(*map(jnp.asarray, promote_inexact(op, *xs))))


def unary(name: str, function: Callable[[Any], Any], what: str, takes: Any = floats) -> Callable[[Any], Array]:
    """The function ``name`` of one argument, a real one, or with ``takes=numbers`` a complex one, too."""

    def face(x: Any) -> Array:
        return function(takes(name, x)[0])

    face.__name__ = face.__qualname__ = name
    face.__doc__ = f"Elementwise {what}."
    return face


def wide_float(op: str, x: Any) -> Any:
    """The argument as an array of float32 or float64, without its weak type. Raises DtypeError for other dtypes."""
    x = as_array(op, x)
    if x.dtype not in (dtypes.float32, dtypes.float64):
        raise DtypeError(f"[{op}] expected float32 or float64, got {aval_of(x)}. Convert with x.astype(...).")
    return strong(x)
