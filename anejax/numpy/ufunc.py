"""Functions of two arguments that also reduce and accumulate, as NumPy's ufuncs do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.control import scan
from anejax.core.array import Array
from anejax.core.direct import direct
from anejax.numpy.operands import as_array, astype, broadcast, refuse, strong
from anejax.ops import arithmetic, shape

_COMBINED = {"add": "add", "multiply": "multiply", "maximum": "max", "minimum": "min"}  # methods of x.at


class ufunc:
    """An elementwise function of two arguments. ``f(x, y)``, ``f(x, y, z, ...)`` from the left, ``f.outer(x, y)``."""

    nin, nout, nargs = 2, 1, 3

    def __init__(
        self, name: str, op: Callable[[Any, Any], Any], what: str, convert: Any, identity: Any, associative: bool
    ) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = f"{what}, element by element.\n\nOperands broadcast and promote to one dtype."
        self._op, self._convert, self.identity = op, convert, identity
        self._associative = associative
        self.of_two = direct(self._of_two, 2)

    def _of_two(self, x: Any, y: Any, /) -> Any:
        return self._op(*broadcast(self.__name__, *self._convert(self.__name__, x, y)))

    def __repr__(self) -> str:
        return f"<anejax.numpy.ufunc {self.__name__}>"

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Array:
        if out is not None or where is not None:
            refuse(self.__name__, out=out, where=where)
        if len(args) == 2:
            return self.of_two(*args)
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

    def reduce(
        self, a: Any, axis: int | None = 0, dtype: Any = None, out: None = None, keepdims: bool = False,
        initial: Any = None, where: Any = None,
    ) -> Array:  # fmt: skip
        """``f`` over all elements along ``axis``, or over the whole array where that is None.

        Args:
            initial: a number to begin with. where: bools that broadcast; only elements at True are taken.

        Raises:
            ValueError: there is no element, or ``where`` is given, and neither an identity nor ``initial``.
        """
        refuse(self.__name__, out=out)
        x = self._prepared(a, dtype)
        start = self.identity if initial is None else initial
        if where is not None:
            if start is None:
                raise ValueError(f"[{self.__name__}.reduce] has no identity: with where, give initial as well.")
            mask = shape.broadcast_to(as_array(self.__name__, where), x.shape)
            neutral = start if self.identity is None else self.identity
            x = arithmetic.select_n(mask, shape.full(x.shape, neutral, x.dtype), x)
        if axis is None:
            out_shape = (1,) * x.ndim if keepdims else ()
            return shape.reshape(self.reduce(shape.reshape(x, (x.size,)), initial=initial), out_shape)
        axis = shape.check_axis(self.__name__, axis, x.ndim)
        if initial is not None or not x.shape[axis]:
            if start is None:
                raise ValueError(
                    f"[{self.__name__}.reduce] expected at least one element along axis {axis}, got {x.aval}."
                )
            row = shape.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), start, x.dtype)
            x = shape.concatenate([row, x], axis)
        x = self._halved(x, axis) if self._associative else self._last(self.accumulate(x, axis), axis)
        return x if keepdims else shape.squeeze(x, (axis,))

    def _halved(self, x: Any, axis: int) -> Any:
        """``f`` over ``axis``, which keeps length 1, in log2(n) steps."""
        n, rest_parts = x.shape[axis], []
        while n > 1:
            if n % 2:
                rest_parts.append(shape.slice_in_dim(x, n - 1, n, axis=axis))
            half = n // 2
            x = self(shape.slice_in_dim(x, 0, half, axis=axis), shape.slice_in_dim(x, half, 2 * half, axis=axis))
            n = half
        for part in reversed(rest_parts):
            x = self(x, part)
        return x

    @staticmethod
    def _last(x: Any, axis: int) -> Any:
        return shape.slice_in_dim(x, x.shape[axis] - 1, x.shape[axis], axis=axis)

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """The running ``f`` along ``axis``; in log2(n) steps where ``f`` is associative."""
        refuse(self.__name__, out=out)
        x = self._prepared(a, dtype)
        axis = shape.check_axis(self.__name__, axis, x.ndim)
        n, step = x.shape[axis], 1
        if not self._associative and n:
            order = (axis, *(i for i in range(x.ndim) if i != axis))
            rows = shape.transpose(x, order)
            _, running = scan(lambda c, row: ((y := self(c, row)), y), rows[0], rows[1:])
            running = shape.concatenate([rows[:1], running], 0)
            return shape.transpose(running, tuple(np.argsort(order)))
        while step < n:
            head = shape.slice_in_dim(x, 0, step, axis=axis)
            moved = self(shape.slice_in_dim(x, 0, n - step, axis=axis), shape.slice_in_dim(x, step, n, axis=axis))
            x = shape.concatenate([head, moved], axis)
            step *= 2
        return x

    def at(self, a: Any, indices: Any, b: Any, /, *, inplace: bool = True) -> Array:
        """``a`` with ``a[i] = f(a[i], b)`` for one place of ``indices`` after the other, repeated ones included.

        Raises:
            NotImplementedError: ``inplace`` is not False: arrays do not change.

        Example:
            >>> import anejax.numpy as jnp
            >>> jnp.add.at(jnp.zeros(3), jnp.array([0, 0, 2]), 1.0, inplace=False)
            Array([2., 0., 1.], dtype=float32)
        """
        if inplace:
            raise NotImplementedError(f"[{self.__name__}.at] arrays do not change: pass inplace=False, use the result.")
        x, values = as_array(self.__name__, a), as_array(self.__name__, b)
        if self.__name__ in _COMBINED:
            return getattr(x.at[indices], _COMBINED[self.__name__])(values)
        places = shape.reshape(shape.iota(np.dtype(np.int32), x.size), x.shape)[indices]
        values = shape.broadcast_to(values, places.shape)
        one = lambda flat, pair: (flat.at[pair[0]].set(astype(self(flat[pair[0]], pair[1]), x.dtype)), None)  # noqa: E731
        flat = strong(shape.reshape(x, (x.size,)))
        return shape.reshape(scan(one, flat, (places.ravel(), values.ravel()))[0], x.shape)

    def _prepared(self, a: Any, dtype: Any) -> Any:
        x = as_array(self.__name__, a)
        if dtype is not None:
            x = strong(astype(x, dtypes.canonical(dtype)))
        return self._convert(self.__name__, x, x)[0]


def binary_ufunc(
    name: str, op: Callable[[Any, Any], Any], what: str, convert: Any, *, identity: Any = None, associative: bool = True
) -> ufunc:
    return ufunc(name, op, what, convert, identity, associative)
