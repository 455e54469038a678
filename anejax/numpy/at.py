"""``x.at[index].set(v)`` and its relatives: copies of ``x`` with some elements changed.

Reading an index takes steps (anejax.numpy.indexing). An update reads the part of ``x`` that the steps select, changes
it, and undoes the steps: static slices by one dynamic_update_slice (or a padded mask, if they are strided), and integer
arrays by one scatter. So only integer arrays cost a scatter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.control import scan
from anejax.core.array import Array
from anejax.core.trace import Tracer, aval_of, user_stacklevel
from anejax.errors import DtypeError
from anejax.numpy import elementwise as ew
from anejax.numpy.creation import asarray
from anejax.numpy.gathering import scatter_axes
from anejax.numpy.indexing import Index, read, read_index, slice_axes
from anejax.numpy.operands import as_array, astype, finish, is_scalar, operand, result_dtype
from anejax.ops import arithmetic, elementwise, shape
from anejax.ops import index as gathers
from anejax.ops.products import scatter_mul

_MODES = {"clip": "clip", "fill": "fill", "drop": "fill", "promise_in_bounds": "promise_in_bounds", "wrap": None}


class IndexUpdateHelper:
    """``x.at``: to be indexed."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> IndexUpdateRef:
        return IndexUpdateRef(self.array, index)

    def __repr__(self) -> str:
        return f"IndexUpdateHelper({self.array!r})"


class IndexUpdateRef:
    """``x.at[index]``. Each method returns a new array; ``x`` stays as it is.

    Arguments that all of them take:
        mode: what becomes of integers outside: "drop" (the update is left out), "clip" (they are clamped), "fill"
            (``get`` gives ``fill_value``; updates are dropped), "promise_in_bounds". None is "drop" for updates;
            ``get`` then clamps, and its gradient at clamped indices is dropped.
        wrap_negative_indices: whether negative integers count from the end; otherwise they lie outside.
        indices_are_sorted, unique_indices: promises, accepted and not needed.

    Where an index occurs several times, ``add``, ``multiply``, ``min`` and ``max`` combine all its updates; which one
    ``set`` keeps is not specified.
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Array, index: Any) -> None:
        self.array, self.index = array, index

    def __repr__(self) -> str:
        return f"IndexUpdateRef({self.array!r}, {self.index!r})"

    def get(
        self, *, mode: Any = None, fill_value: Any = None, indices_are_sorted: bool = False,
        unique_indices: bool = False, wrap_negative_indices: bool = True, out_sharding: Any = None,
    ) -> Array:  # fmt: skip
        """``x[index]``; indices out of bounds are clamped, or give ``fill_value`` with ``mode="fill"``."""
        kind = _mode(mode) or "promise_in_bounds"
        where = read_index(self.array, self.index, wrap_negative_indices)
        fill = fill_value_of(self.array.dtype, fill_value)
        if kind == "fill" and not where.inside:
            return finish(shape.full(where.shape_out, fill))
        return finish(read(self.array, where, kind, fill))

    def set(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] = values``."""
        return _update("set", self.array, self.index, values, options)

    def add(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] += values``."""
        return _update("add", self.array, self.index, values, options)

    def subtract(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] -= values``."""
        return _update("add", self.array, self.index, ew.negative(values), options)

    def multiply(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] *= values``."""
        return _update("multiply", self.array, self.index, values, options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] /= values``, as floats."""
        ones = shape.full(self.array.shape, np.ones((), self.array.dtype))
        return ew.true_divide(self.array, _update("multiply", ones, self.index, values, options))

    def power(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] **= values``."""
        ones = shape.full(self.array.shape, np.ones((), self.array.dtype))
        return ew.power(self.array, _update("multiply", ones, self.index, values, options))

    def min(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] = minimum(x[index], values)``."""
        return _update("min", self.array, self.index, values, options)

    def max(self, values: Any, **options: Any) -> Array:
        """``x`` with ``x[index] = maximum(x[index], values)``."""
        return _update("max", self.array, self.index, values, options)

    def apply(self, func: Callable[[Any], Any], **options: Any) -> Array:
        """``x`` with ``x[index] = func(x[index])``; ``func`` works element by element, as often as a place is named."""
        wrap = options.get("wrap_negative_indices", True)
        flat = self._repeated_places(_mode(options.get("mode")), wrap)
        if flat is not None:
            return self._applied_in_turn(func, flat)
        part = read(self.array, read_index(self.array, self.index, wrap))
        return _update("set", self.array, self.index, astype(func(part), self.array.dtype), options)

    def _repeated_places(self, mode: str | None, wrap: bool) -> Any:
        """The flat places of the index, when one may be there twice; None when none is."""
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        if not any(isinstance(p, (Array, np.ndarray, list)) for p in parts):
            return None
        size = self.array.size
        whole = shape.reshape(shape.iota(np.dtype(np.int32), size), self.array.shape)
        outside = "clip" if mode == "clip" else "fill"
        places = type(self)(whole, self.index).get(mode=outside, fill_value=size, wrap_negative_indices=wrap)
        if not isinstance(places, Tracer) and len(np.unique(np.asarray(places))) == places.size:
            return None
        return shape.reshape(places, (places.size,))

    def _applied_in_turn(self, func: Callable[[Any], Any], places: Any) -> Array:
        """One place after the other, so that ``func`` is applied as often as a place is named."""

        def turn(flat: Any, place: Any) -> tuple[Any, None]:
            value = astype(func(flat[place]), flat.dtype)
            return type(self)(flat, place).set(value, mode="drop"), None

        flat = scan(turn, shape.reshape(self.array, (self.array.size,)), places)[0]
        return shape.reshape(flat, self.array.shape)


def _mode(mode: Any) -> str | None:
    if mode is None:
        return None
    name = getattr(mode, "name", mode)
    key = {"FILL_OR_DROP": "fill", "CLIP": "clip", "PROMISE_IN_BOUNDS": "promise_in_bounds"}.get(name, name)
    found = _MODES.get(key) if isinstance(key, str) else None
    if found is None:
        raise ValueError(f"[at] expected mode 'drop', 'fill', 'clip' or 'promise_in_bounds', got {mode!r}.")
    return found


def fill_value_of(dtype: np.dtype, asked: Any) -> np.ndarray:
    """JAX's: NaN, the least signed or greatest unsigned integer, or True."""
    if asked is not None:
        return np.asarray(astype(asked if is_scalar(asked) else as_array("get", asked), dtype))
    if dtype in dtypes.INEXACT:
        return np.asarray(np.nan, dtype)
    if dtype == dtypes.bool_:
        return np.asarray(True)
    info = np.iinfo(dtype)
    return np.asarray(info.min if dtype in dtypes.SIGNED else info.max, dtype)


# --- updates ------------------------------------------------------------------------------------------------------


def _replace(x: Any, v: Any) -> Any:
    return v


_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "set": _replace,
    "add": lambda x, v: ew.add(x, v),
    "multiply": lambda x, v: ew.multiply(x, v),
    "min": lambda x, v: ew.minimum(x, v),
    "max": lambda x, v: ew.maximum(x, v),
}
_SCATTER: dict[str, Any] = {
    "set": gathers.scatter,
    "add": gathers.scatter_add,
    "multiply": scatter_mul,
    "min": gathers.scatter_min,
    "max": gathers.scatter_max,
}


def _update(
    op: str, x: Any, index: Any, values: Any, options: dict[str, Any],
) -> Array:  # fmt: skip
    mode, wrap = _checked_options(options)
    values = asarray(values) if isinstance(values, (list, tuple)) else operand("at", values)
    x, values, result = _meet(x, values)
    if _is_traced_mask(index):
        out = _where(op, x, index, values)
    else:
        out = _at(op, x, read_index(x, index, wrap), values, mode)
    return finish(_cast_back(out, result))


def _checked_options(options: dict[str, Any]) -> tuple[str | None, bool]:
    """(The mode, whether negative integers count from the end.)"""
    mode, wrap = _mode(options.pop("mode", None)), bool(options.pop("wrap_negative_indices", True))
    for name in ("indices_are_sorted", "unique_indices", "out_sharding"):
        options.pop(name, None)
    if options:
        raise TypeError(f"[at] unexpected arguments: {', '.join(options)}.")
    return mode, wrap


def _meet(x: Any, values: Any) -> tuple[Any, Any, Any]:
    """Array and values in the dtype they meet in, and the array's own aval, to return to."""
    aval = aval_of(x)
    dtype, _ = result_dtype(x, values)
    if dtype != aval.dtype and not _fits(values, aval.dtype):
        warnings.warn(
            f"[at] an update of {aval_of(values)} does not fit the array's dtype {aval.dtype.name} and is converted;"
            " JAX announces that this will be an error. Use values.astype(x.dtype).",
            FutureWarning,
            stacklevel=user_stacklevel(),
        )
    return astype(x, dtype), astype(values, dtype), aval


def _fits(values: Any, dtype: np.dtype) -> bool:
    """Whether values become ``dtype`` without loss: weak ones where it is of their kind or a greater one."""
    mine = aval_of(values)
    return _RANKS[mine.dtype.kind] <= _RANKS[dtype.kind] if mine.weak_type else np.can_cast(mine.dtype, dtype)


_RANKS = {"b": 0, "u": 1, "i": 1, "V": 2, "f": 2, "c": 3}  # bfloat16 is of kind V


def _cast_back(x: Any, aval: Any) -> Any:
    return elementwise.convert_element_type(x, aval.dtype, aval.weak_type)


def _is_traced_mask(index: Any) -> bool:
    return isinstance(index, Tracer) and index.dtype == dtypes.bool_ and index.concrete() is None


def _where(op: str, x: Any, mask: Any, values: Any) -> Any:
    """An update through a traced mask: possible for one value, since the number of updates does not matter then."""
    aval = aval_of(mask)
    if aval_of(values).ndim:
        raise DtypeError("[at] an update through a traced mask takes one scalar value; use anejax.numpy.where.")
    if aval.ndim > x.ndim or aval.shape != x.shape[: aval.ndim]:
        raise IndexError(f"[at] a mask of {aval} does not fit {aval_of(x)}.")
    whole = shape.broadcast_in_dim(mask, x.shape, range(aval.ndim))
    return ew._select("at", whole, _COMBINE[op](x, values), x)


def _at(op: str, x: Any, index: Index, values: Any, mode: str | None) -> Any:
    if index.empty or (not index.inside and mode != "clip"):
        return x  # a static integer outside: the update is dropped
    values = shape.broadcast_to(values, index.shape_out)
    whole = shape.reshape(x, index.expanded)
    if index.arrays:
        part = slice_axes(x, index)
        scatter = _SCATTER[op]
        values = scatter_axes(scatter, part, index.axes, index.arrays, index.position, values, mode or "fill")
    elif op != "set":
        values = _COMBINE[op](slice_axes(x, index), values)
    return shape.reshape(_put_back(whole, values, index), aval_of(x).shape)


def _put_back(whole: Any, part: Any, index: Index) -> Any:
    """``whole`` with the part that the index's static slices name replaced."""
    lengths = tuple(s.length for s in index.slices)
    if lengths == index.expanded and not any(s.flip for s in index.slices):
        return shape.reshape(part, lengths)
    part = shape.rev(shape.reshape(part, lengths), [i for i, s in enumerate(index.slices) if s.flip])
    if 0 in lengths:
        return whole
    if all(s.stride == 1 or s.length == 1 for s in index.slices):
        return gathers.dynamic_update_slice(whole, part, [s.start for s in index.slices])
    config = [
        (s.start, n - s.start - (s.length - 1) * s.stride - 1, s.stride - 1)
        for s, n in zip(index.slices, index.expanded)
    ]
    spread = shape.pad(part, np.zeros((), aval_of(part).dtype), config)
    mask = shape.pad(shape.full(lengths, np.asarray(True)), np.asarray(False), config)
    return arithmetic.select_n(mask, whole, spread)
