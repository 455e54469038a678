"""jax.scipy.interpolate on anejax: values between the points of a rectangular grid."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import anejax.numpy as jnp
from anejax import dtypes
from anejax.absent import getattr_of
from anejax.core.array import Array
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.numpy.operands import as_array, promote_inexact
from anejax.scipy.corners import weighted
from anejax.tree_util import register_pytree_node

__all__ = [
    "RegularGridInterpolator"
]  # fmt: skip

__all__ = ["RegularGridInterpolator"]

__getattr__ = getattr_of(__name__)

_OP = "RegularGridInterpolator"
_METHODS = ("linear", "nearest")


class RegularGridInterpolator:
    """Interpolates a function of points [..., d] from its values on a rectangular grid.

    It is a tree of its arrays, so it may be passed to compiled functions and be differentiated.

    Args:
        points: for each of d axes the coordinates of the grid, increasing, two or more.
        values: the values there, with an axis for each of ``points`` and any others behind.
        method: "linear" (in each axis) or "nearest" (of two as near, the lower one).
        bounds_error: refused, as a program cannot raise errors.
        fill_value: the value outside of the grid; None extrapolates.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> grid = (jnp.array([0.0, 1.0, 3.0]),)
        >>> f = aj.scipy.interpolate.RegularGridInterpolator(grid, jnp.array([0.0, 10.0, 30.0]))
        >>> f(jnp.array([0.5, 2.0, 9.0]))
        Array([ 5., 20., nan], dtype=float32)
    """

    def __init__(
        self, points: Sequence[Any], values: Any, method: str = "linear", bounds_error: bool = False,
        fill_value: Any = math.nan,
    ) -> None:  # fmt: skip
        if bounds_error:
            raise RefusedError(f"[{_OP}] expected bounds_error=False: a program cannot raise errors.")
        self.method, self.bounds_error = _checked(method), bounds_error
        self.values = as_array(_OP, promote_inexact(_OP, values)[0])
        self.grid = tuple(as_array(_OP, p) for p in points)
        lengths = tuple(p.shape for p in self.grid)
        if lengths != tuple((n,) for n in self.values.shape[: len(lengths)]) or (1,) in lengths or (0,) in lengths:
            raise ShapeError(
                f"[{_OP}] expected for each of the first axes of {self.values.aval} a vector of as many coordinates,"
                f" two or more, got {', '.join(str(p.aval) for p in self.grid)}."
            )
        self.fill_value = None if fill_value is None else as_array(_OP, fill_value)
        if self.fill_value is not None and not _fits(self.fill_value, self.values):
            raise DtypeError(f"[{_OP}] expected a fill_value that fits {self.values.aval}, got {self.fill_value.aval}.")

    def __call__(self, xi: Any, method: str | None = None) -> Array:
        """The values at ``xi``: an array [..., d], or a tuple of d arrays of coordinates, which broadcast."""
        method = self.method if method is None else _checked(method)
        x = self._coordinates(xi)
        axes = [x[..., i] for i in range(len(self.grid))]
        cells = [jnp.clip(jnp.searchsorted(g, c) - 1, 0, g.shape[0] - 2) for g, c in zip(self.grid, axes)]
        shares = [(c - g[i]) / (g[i + 1] - g[i]) for g, c, i in zip(self.grid, axes, cells)]
        wide = lambda v: v.reshape(*v.shape, *(1,) * (self.values.ndim - len(axes)))  # noqa: E731
        if method == "linear":
            nodes = [((i, wide(1 - s)), (i + 1, wide(s))) for i, s in zip(cells, shares)]
            out = weighted(nodes, lambda places: self.values[places])
        else:
            out = self.values[tuple(jnp.where(s <= 0.5, i, i + 1) for i, s in zip(cells, shares))]
        if self.fill_value is None:
            return out
        outside = functools.reduce(operator.or_, ((c < g[0]) | (c > g[-1]) for g, c in zip(self.grid, axes)))
        return jnp.where(wide(outside), self.fill_value, out)

    def _coordinates(self, xi: Any) -> Any:
        """``xi`` as an array [..., d]."""
        d = len(self.grid)
        if isinstance(xi, tuple) and len(xi) == 1:
            xi = xi[0]
        if isinstance(xi, tuple):
            dtype = dtypes.canonical(dtypes.float64)
            return jnp.stack([v.astype(dtype) for v in jnp.broadcast_arrays(*xi)], -1)
        x = as_array(_OP, xi)
        if x.ndim == 1 and x.shape[0] % d == 0:
            x = x.reshape(-1, d)
        if not x.ndim or x.shape[-1] != d:
            raise ShapeError(f"[{_OP}] expected points with {d} coordinates, got {x.aval}.")
        return x


def _checked(method: str) -> str:
    if method not in _METHODS:
        raise ValueError(f"[{_OP}] expected the method 'linear' or 'nearest', got {method!r}.")
    return method


def _fits(fill: Any, values: Any) -> bool:
    return values.dtype in dtypes.COMPLEX or fill.dtype not in dtypes.COMPLEX


def _opened(f: RegularGridInterpolator) -> Any:
    return (f.grid, f.values, f.fill_value), (f.method, f.bounds_error)


def _closed(kept: Any, arrays: Any) -> RegularGridInterpolator:
    """Its arrays may be anything that a transformation puts in their place."""
    f = object.__new__(RegularGridInterpolator)
    f.grid, f.values, f.fill_value = arrays
    f.method, f.bounds_error = kept
    return f


register_pytree_node(RegularGridInterpolator, _opened, _closed)
