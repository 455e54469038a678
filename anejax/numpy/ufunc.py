"""Functions of two arguments that also reduce and accumulate, as NumPy's ufuncs do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax import dtypes
from anejax.core.array import Array
from anejax.numpy.operands import as_array, astype, broadcast, refuse, strong
from anejax.ops import shape


class ufunc:
    """An elementwise function of two arguments. ``f(x, y)``, ``f(x, y, z, ...)`` from the left, ``f.outer(x, y)``."""

    nin, nout, nargs = 2, 1, 3

    def __init__(self, name: str, op: Callable[[Any, Any], Any], what: str, convert: Any, identity: Any) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = f"{what}, element by element.\n\nOperands broadcast and promote to one dtype."
        self._op, self._convert, self.identity = op, convert, identity

    def __repr__(self) -> str:
        return f"<anejax.numpy.ufunc {self.__name__}>"

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Array:
        if out is not None or where is not None:
            refuse(self.__name__, out=out, where=where)
        if len(args) == 2:
            return self._op(*broadcast(self.__name__, *self._convert(self.__name__, *args)))
        if len(args) < 2:
            raise TypeError(f"[{self.__name__}] expected two arguments, got {len(args)}.")
        result = args[0]
        for arg in args[1:]:
            result = self(result, arg)
        return result

    def outer(self, x: Any, y: Any, /) -> Array:
        """``f(x[i, ...], y[j, ...])`` for every pair of elements."""
        x, y = as_array(self.__name__, x), as_array(self.__name__, y)
        return self(shape.reshape(x, x.shape + (1,) * y.ndim), y)

    def reduce(self, a: Any, axis: int | None = 0, dtype: Any = None, keepdims: bool = False) -> Array:
        """``f`` over all elements along ``axis``, halving the array in each step."""
        x = self._prepared(a, dtype)
        if axis is None:
            shape_out = (1,) * x.ndim if keepdims else ()
            return shape.reshape(self.reduce(shape.reshape(x, (x.size,))), shape_out)
        axis = shape.check_axis(self.__name__, axis, x.ndim)
        n = x.shape[axis]
        if n == 0:
            if self.identity is None:
                raise ValueError(
                    f"[{self.__name__}.reduce] expected at least one element along axis {axis}, got {x.aval}."
                )
            rest = x.shape[:axis] + x.shape[axis + 1 :]
            return as_array(self.__name__, shape.full(rest, self.identity, x.dtype))
        rest_parts = []
        while n > 1:
            if n % 2:
                rest_parts.append(shape.slice_in_dim(x, n - 1, n, axis=axis))
            half = n // 2
            x = self(shape.slice_in_dim(x, 0, half, axis=axis), shape.slice_in_dim(x, half, 2 * half, axis=axis))
            n = half
        for part in reversed(rest_parts):
            x = self(x, part)
        return x if keepdims else shape.squeeze(x, (axis,))

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None) -> Array:
        """The running ``f`` along ``axis``, in log2(n) steps."""
        x = self._prepared(a, dtype)
        axis = shape.check_axis(self.__name__, axis, x.ndim)
        n, step = x.shape[axis], 1
        while step < n:
            head = shape.slice_in_dim(x, 0, step, axis=axis)
            moved = self(shape.slice_in_dim(x, 0, n - step, axis=axis), shape.slice_in_dim(x, step, n, axis=axis))
            x = shape.concatenate([head, moved], axis)
            step *= 2
        return x

    def _prepared(self, a: Any, dtype: Any) -> Any:
        x = as_array(self.__name__, a)
        if dtype is not None:
            x = strong(astype(x, dtypes.canonical(dtype)))
        return self._convert(self.__name__, x, x)[0]


def binary_ufunc(
    name: str, op: Callable[[Any, Any], Any], what: str, convert: Any, *, identity: Any = None
) -> Callable[..., Array]:
    return ufunc(name, op, what, convert, identity)
