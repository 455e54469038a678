"""jax.scipy.ndimage on anejax: interpolates an array at positions between its elements."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.absent import getattr_of
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import as_array
from anejax.ops.arithmetic import round as rounded
from anejax.scipy.corners import Node, weighted

__all__ = [
    "map_coordinates"
]  # fmt: skip

__all__ = ["map_coordinates"]

__getattr__ = getattr_of(__name__)


def _mirrored(i: Any, n: int) -> Any:
    """Reflected at the middle of the last element: d c b a b c d c b."""
    return jnp.abs((i + n - 1) % (2 * n - 2) - (n - 1)) if n > 1 else jnp.zeros_like(i)


def _reflected(i: Any, n: int) -> Any:
    """Reflected at the edge of the last element: c b a a b c c b a."""
    return jnp.minimum(i % (2 * n), 2 * n - 1 - i % (2 * n))


_INSIDE: dict[str, Callable[[Any, int], Any]] = {
    "constant": lambda i, n: jnp.clip(i, 0, n - 1),
    "nearest": lambda i, n: jnp.clip(i, 0, n - 1),
    "wrap": lambda i, n: i % n,
    "mirror": _mirrored,
    "reflect": _reflected,
}


def map_coordinates(input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0) -> Any:
    """The values of ``input`` at ``coordinates``, in its dtype; integers are rounded, halves away from zero.

    Args:
        coordinates: for each axis of ``input`` an array of places in units of elements; their shapes broadcast to the
            result's.
        order: 0, the nearest element, or 1, linear interpolation.
        mode: values outside: "constant" (``cval``), "nearest" (the last element), "mirror" (reflected at its middle),
            "reflect" (at its edge) or "wrap" (from the other side). "constant" and "wrap" are SciPy's "grid-constant"
            and "grid-wrap".

    Derivatives are those of the interpolation; at elements, of the line above.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.ndimage.map_coordinates(jnp.array([0.0, 10.0, 40.0]), [jnp.array([0.5, 1.5, 9.0])], order=1)
        Array([ 5., 25.,  0.], dtype=float32)
    """
    op = "map_coordinates"
    x = as_array(op, input)
    places = [as_array(op, c) for c in coordinates]
    if len(places) != x.ndim or not places:
        raise ShapeError(f"[{op}] expected coordinates for each axis of {x.aval}, one or more, got {len(places)}.")
    if order not in (0, 1):
        raise RefusedError(f"[{op}] expected the order 0 or 1, got {order!r}. Use scipy.ndimage outside of jit.")
    if mode not in _INSIDE:
        raise RefusedError(f"[{op}] expected a mode of {list(_INSIDE)}, got {mode!r}.")
    outside = jnp.asarray(cval).astype(x.dtype)

    def value_at(corner: tuple[Any, ...]) -> Any:
        inside = tuple(_INSIDE[mode](i, n) for i, n in zip(corner, x.shape))
        if mode != "constant":
            return x[inside]
        known = functools.reduce(operator.and_, ((i >= 0) & (i < n) for i, n in zip(corner, x.shape)))
        return jnp.where(known, x[inside], outside)

    out = weighted([_nearest(c) if order == 0 else _neighbours(c) for c in places], value_at)
    return (_whole(out) if x.dtype in dtypes.INTS else out).astype(x.dtype)


def _whole(x: Any) -> Any:
    return x if x.dtype in dtypes.INTS else rounded(x)


def _nearest(places: Any) -> list[Node]:
    return [(_whole(places).astype(np.int32), np.ones((), places.dtype))]


def _neighbours(places: Any) -> list[Node]:
    below = jnp.floor(places)
    share = places - below
    i = below.astype(np.int32)
    return [(i, 1 - share), (i + 1, share)]
