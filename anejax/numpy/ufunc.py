"""Elementwise functions that also reduce and accumulate, as NumPy's ufuncs do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.control import scan
from anejax.core.array import Array
from anejax.core.direct import direct
from anejax.numpy.functional import vectorize
from anejax.numpy.operands import as_array, astype, axes_of, broadcast, refuse, strong
from anejax.ops import arithmetic, shape

_COMBINED = {"add": "add", "multiply": "multiply", "maximum": "max", "minimum": "min"}  # methods of x.at


class ufunc:
    """A function of elements over arrays that broadcast, with methods that reduce, as ``numpy.frompyfunc`` makes them.

    Args:
        func: takes ``nin`` scalars and returns ``nout``.
        name: of the function; that of ``func`` by default. nargs: how many arguments the function takes; ``nin``.
        identity: what combines with any element to that element; None where there is none.
        call, reduce, accumulate, at, reduceat: functions that do the same faster than one element after the other; the
            first takes the function's arguments, the others those of the methods.
    """

    def __init__(
        self, func: Callable[..., Any], /, nin: int, nout: int, *, name: str | None = None, nargs: int | None = None,
        identity: Any = None, call: Callable[..., Any] | None = None, reduce: Callable[..., Any] | None = None,
        accumulate: Callable[..., Any] | None = None, at: Callable[..., Any] | None = None,
        reduceat: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.__name__ = self.__qualname__ = name or getattr(func, "__name__", "ufunc")
        self.__doc__ = getattr(func, "__doc__", None)
        self._func = func
        self.nin, self.nout, self.nargs, self.identity = nin, nout, nin if nargs is None else nargs, identity
        self._call = call or vectorize(func)
        given = {"reduce": reduce, "accumulate": accumulate, "at": at, "reduceat": reduceat}
        self._faster = {name: method for name, method in given.items() if method is not None}

    def _key(self) -> Any:
        return self._func, self.__name__, self.nin, self.nout, self.nargs, self.identity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ufunc) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self._func, self.__name__, self.nin, self.nout))

    def __repr__(self) -> str:
        return f"<anejax.numpy.ufunc {self.__name__}>"

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        if out is not None or where is not None:
            refuse(self.__name__, out=out, where=where)
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"[{self.__name__}] expected {self.nin} arguments, got {len(args)}.")
        return self._call(*args)

    def outer(self, x: Any, y: Any, /) -> Any:
        """``f(x[i, ...], y[j, ...])`` for every pair of elements."""
        self._of_two("outer")
        x, y = as_array(self.__name__, x), as_array(self.__name__, y)
        return self(shape.reshape(x, x.shape + (1,) * y.ndim), shape.reshape(y, (1,) * x.ndim + y.shape))

    def reduce(
        self, a: Any, axis: int | Sequence[int] | None = 0, dtype: Any = None, out: None = None, keepdims: bool = False,
        initial: Any = None, where: Any = None,
    ) -> Array:  # fmt: skip
        """``f`` over all elements along ``axis``, or over the whole array if ``axis`` is None.

        Args:
            initial: a number to begin with. where: bools that broadcast; only elements at True are taken.

        Raises:
            ValueError: there is no element, or ``where`` is given, and neither an identity nor ``initial``.
        """
        self._of_two("reduce")
        refuse(self.__name__, out=out)
        if "reduce" in self._faster:
            return self._faster["reduce"](a, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)
        x = self._prepared(a, dtype)
        start = self.identity if initial is None else initial
        if where is not None and start is None:
            raise ValueError(f"[{self.__name__}.reduce] has no identity: with where, give initial as well.")
        axes = axes_of(self.__name__, axis, x.ndim)
        kept = [n for i, n in enumerate(x.shape) if i not in axes]
        count = math.prod(x.shape[i] for i in axes)
        if start is None and not count:
            raise ValueError(f"[{self.__name__}.reduce] expected at least one element, got {x.aval}.")
        order = (*axes, *(i for i in range(x.ndim) if i not in axes))
        rows = shape.reshape(shape.transpose(x, order), (count, *kept))
        mask = None
        if where is not None:
            mask = shape.broadcast_to(as_array(self.__name__, where), x.shape)
            mask = shape.reshape(shape.transpose(mask, order), (count, *kept))
        result = self._reduced(rows, start, mask, given=initial is not None)
        return shape.reshape(result, [1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else result

    def _reduced(self, rows: Any, start: Any, mask: Any, given: bool) -> Any:
        """``f`` over the first axis, one row after the other; those where ``mask`` is False do not count.

        ``start`` is what to begin with, where it was ``given`` or there is no other row.
        """
        if start is not None and (given or mask is not None or not rows.shape[0]):
            carry = shape.full(rows.shape[1:], start, rows.dtype)
        else:
            carry, rows = rows[0], rows[1:]
        keep = lambda x: strong(astype(x, rows.dtype))  # noqa: E731
        if mask is None:
            return scan(lambda c, row: (keep(self(c, row)), None), keep(carry), rows)[0]
        chosen = lambda c, row, m: arithmetic.select_n(m, c, keep(self(c, row)))  # noqa: E731
        return scan(lambda c, r: (chosen(c, *r), None), keep(carry), (rows, mask))[0]

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """The running ``f`` along ``axis``."""
        self._of_two("accumulate")
        refuse(self.__name__, out=out)
        if "accumulate" in self._faster:
            return self._faster["accumulate"](a, axis=axis, dtype=dtype)
        x = self._prepared(a, dtype)
        return self._running(x, shape.check_axis(self.__name__, axis, x.ndim))

    def _running(self, x: Any, axis: int) -> Any:
        if not x.shape[axis]:
            return x
        order = (axis, *(i for i in range(x.ndim) if i != axis))
        rows = strong(shape.transpose(x, order))
        step = lambda c, row: ((y := strong(astype(self(c, row), x.dtype))), y)  # noqa: E731
        _, running = scan(step, rows[0], rows[1:])
        running = shape.concatenate([rows[:1], running], 0)
        return shape.transpose(running, tuple(np.argsort(order)))

    def reduceat(self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """``f`` over the elements from each index up to the next one; the one at the index if the next is not larger.

        Example:
            >>> import anejax.numpy as jnp
            >>> jnp.add.reduceat(jnp.arange(8), jnp.array([0, 4, 1, 5]))
            Array([ 6,  4, 10, 18], dtype=int32)
        """
        self._of_two("reduceat")
        refuse(self.__name__, out=out)
        if "reduceat" in self._faster:
            return self._faster["reduceat"](a, indices, axis=axis, dtype=dtype)
        x, starts = self._prepared(a, dtype), as_array(self.__name__, indices)
        axis = shape.check_axis(self.__name__, axis, x.ndim)
        if starts.ndim != 1 or starts.dtype not in dtypes.INTS:
            raise TypeError(f"[{self.__name__}.reduceat] expected integer indices of rank 1, got {starts.aval}.")
        order = (axis, *(i for i in range(x.ndim) if i != axis))
        rows = strong(shape.transpose(x, order))
        count = rows.shape[0]
        ends = shape.concatenate([starts[1:], shape.full((1,), count, starts.dtype)], 0)
        column = lambda v: shape.reshape(v, (v.size,) + (1,) * (x.ndim - 1))  # noqa: E731

        def step(carry: Any, turn: Any) -> Any:
            place, row = turn
            inside = arithmetic.and_(*(arithmetic.gt(place, starts), arithmetic.lt(place, ends)))
            inside = shape.broadcast_to(column(inside), carry.shape)
            return arithmetic.select_n(inside, carry, strong(astype(self(carry, row[None]), x.dtype))), None

        out_rows = scan(step, rows[starts], (shape.iota(starts.dtype, count), rows))[0] if count else rows
        return shape.transpose(out_rows, tuple(np.argsort(order)))

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Array:
        """``a`` with ``a[i] = f(a[i], b)`` for one place of ``indices`` after the other, repeated ones included.

        For a function of one argument, ``a[i] = f(a[i])``.

        Raises:
            NotImplementedError: ``inplace`` is not False: arrays do not change.

        Example:
            >>> import anejax.numpy as jnp
            >>> jnp.add.at(jnp.zeros(3), jnp.array([0, 0, 2]), 1.0, inplace=False)
            Array([2., 0., 1.], dtype=float32)
        """
        if inplace:
            raise NotImplementedError(f"[{self.__name__}.at] arrays do not change: pass inplace=False, use the result.")
        if self.nin > 2 or self.nout != 1 or (b is None) != (self.nin == 1):
            raise ValueError(f"[{self.__name__}.at] expected {self.nin - 1} values beside the array and its indices.")
        if "at" in self._faster:
            return self._faster["at"](a, indices, *(() if b is None else (b,)))
        x = strong(as_array(self.__name__, a))
        places = shape.reshape(shape.iota(np.dtype(np.int32), x.size), x.shape)[indices]
        values = () if b is None else (shape.broadcast_to(as_array(self.__name__, b), places.shape).ravel(),)

        def one(flat: Any, turn: Any) -> Any:
            place, *value = turn
            return flat.at[place].set(astype(self(flat[place], *value), x.dtype)), None

        return shape.reshape(scan(one, shape.reshape(x, (x.size,)), (places.ravel(), *values))[0], x.shape)

    def _of_two(self, method: str) -> None:
        if (self.nin, self.nout) != (2, 1):
            raise ValueError(
                f"[{self.__name__}.{method}] expected a function of two elements with one result, not of {self.nin}"
                f" with {self.nout}."
            )

    def _prepared(self, a: Any, dtype: Any) -> Any:
        x = as_array(self.__name__, a)
        return x if dtype is None else strong(astype(x, dtypes.canonical(dtype)))


class _Binary(ufunc):
    """A ufunc of anejax: ``op`` on converted operands."""

    def __init__(
        self, name: str, op: Callable[[Any, Any], Any], what: str, convert: Any, identity: Any, associative: bool
    ) -> None:
        super().__init__(op, 2, 1, name=name, identity=identity, call=self._joined)
        self.__doc__ = f"{what}, element by element.\n\nOperands broadcast and promote to one dtype."
        self._op, self._convert, self._associative = op, convert, associative
        self.of_two = direct(self._on_two, 2)

    def _on_two(self, x: Any, y: Any, /) -> Any:
        return self._op(*broadcast(self.__name__, *self._convert(self.__name__, x, y)))

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Array:
        if out is not None or where is not None:
            refuse(self.__name__, out=out, where=where)
        if len(args) == 2:
            return self.of_two(*args)
        raise TypeError(f"[{self.__name__}] expected two arguments, got {len(args)}.")

    def _joined(self, *args: Any) -> Array:
        return self(*args)

    def _prepared(self, a: Any, dtype: Any) -> Any:
        x = super()._prepared(a, dtype)
        return self._convert(self.__name__, x, x)[0]

    def _reduced(self, rows: Any, start: Any, mask: Any, given: bool) -> Any:
        if not self._associative:
            return super()._reduced(rows, start, mask, given)
        if mask is not None:
            neutral = start if self.identity is None else self.identity
            rows = arithmetic.select_n(mask, shape.full(rows.shape, neutral, rows.dtype), rows)
        if given or not rows.shape[0]:
            rows = shape.concatenate([shape.full((1, *rows.shape[1:]), start, rows.dtype), rows], 0)
        return shape.squeeze(self._halved(rows), (0,))

    def _halved(self, x: Any) -> Any:
        """``f`` over the first axis, which keeps length 1, in log2(n) steps."""
        n, rest_parts = x.shape[0], []
        while n > 1:
            if n % 2:
                rest_parts.append(shape.slice_in_dim(x, n - 1, n, axis=0))
            half = n // 2
            x = self(shape.slice_in_dim(x, 0, half, axis=0), shape.slice_in_dim(x, half, 2 * half, axis=0))
            n = half
        for part in reversed(rest_parts):
            x = self(x, part)
        return x

    def _running(self, x: Any, axis: int) -> Any:
        """In log2(n) steps where ``f`` is associative."""
        if not self._associative:
            return super()._running(x, axis)
        n, step = x.shape[axis], 1
        while step < n:
            head = shape.slice_in_dim(x, 0, step, axis=axis)
            moved = self(shape.slice_in_dim(x, 0, n - step, axis=axis), shape.slice_in_dim(x, step, n, axis=axis))
            x = shape.concatenate([head, moved], axis)
            step *= 2
        return x

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Array:
        """``a`` with ``a[i] = f(a[i], b)`` for one place of ``indices`` after the other: see ``ufunc.at``."""
        if self.__name__ in _COMBINED and not inplace and b is not None:
            x, values = as_array(self.__name__, a), as_array(self.__name__, b)
            return getattr(x.at[indices], _COMBINED[self.__name__])(values)
        return super().at(a, indices, b, inplace=inplace)


def binary_ufunc(
    name: str, op: Callable[[Any, Any], Any], what: str, convert: Any, *, identity: Any = None, associative: bool = True
) -> ufunc:
    return _Binary(name, op, what, convert, identity, associative)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """``func`` of ``nin`` scalars, with ``nout`` results, as a function of arrays that broadcast: a ufunc.

    Example:
        >>> import anejax.numpy as jnp
        >>> digits = jnp.frompyfunc(lambda x, y: 10 * x + y, 2, 1)
        >>> digits.reduce(jnp.arange(1, 5))
        Array(1234, dtype=int32)
    """
    return ufunc(func, nin, nout, identity=identity)
