"""Packs bits into bytes, prints arrays as text, and reads and writes files."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import DtypeError, RefusedError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import asarray
from anejax.numpy.operands import as_array, astype, one_axis
from anejax.numpy.shaping import moveaxis, ravel
from anejax.ops import arithmetic, shape

get_printoptions = np.get_printoptions
printoptions = np.printoptions
set_printoptions = np.set_printoptions


def _weights(bitorder: str) -> np.ndarray:
    if bitorder not in ("big", "little"):
        raise ValueError(f"[packbits] expected bitorder 'big' or 'little', got {bitorder!r}.")
    places = np.arange(8, dtype=np.uint8)
    return places[::-1].copy() if bitorder == "big" else places


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Array:
    """Eight elements (not 0: 1) along ``axis`` as one uint8; zeros fill the last."""
    x = as_array("packbits", a)
    if x.dtype in dtypes.INEXACT:
        raise DtypeError(f"[packbits] expected integers or bools, got {x.aval}.")
    x = ravel(x) if axis is None else x
    i = one_axis("packbits", 0 if axis is None else axis, x.ndim)
    bits = astype(moveaxis(ew.to_bool(x), i, -1), dtypes.uint8)
    bits = shape.pad(bits, np.zeros((), np.uint8), [(0, 0, 0)] * (x.ndim - 1) + [(0, -x.shape[i] % 8, 0)])
    groups = shape.reshape(bits, (*bits.shape[:-1], bits.shape[-1] // 8, 8))
    placed = arithmetic.shift_left(groups, shape.broadcast_to(_weights(bitorder), groups.shape))
    return moveaxis(red.sum(placed, -1, np.uint8), -1, i)


def unpackbits(a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Array:
    """The bits of uint8 elements along ``axis``, as uint8 0 and 1; the first ``count``."""
    x = as_array("unpackbits", a)
    if x.dtype != dtypes.uint8:
        raise DtypeError(f"[unpackbits] expected uint8, got {x.aval}.")
    x = ravel(x) if axis is None else x
    i = one_axis("unpackbits", 0 if axis is None else axis, x.ndim)
    wide = moveaxis(x, i, -1)
    target = (*wide.shape, 8)
    bits = arithmetic.shift_right_logical(
        shape.broadcast_in_dim(wide, target, range(x.ndim)), shape.broadcast_to(_weights(bitorder), target)
    )
    bits = arithmetic.and_(bits, np.ones((), np.uint8))
    out = shape.reshape(bits, (*wide.shape[:-1], wide.shape[-1] * 8))
    if count is not None:
        n = out.shape[-1]
        stop = count if count >= 0 else n + count
        if stop > n:
            out = shape.pad(out, np.zeros((), np.uint8), [(0, 0, 0)] * (x.ndim - 1) + [(0, stop - n, 0)])
        else:
            out = shape.slice_in_dim(out, 0, max(stop, 0), axis=out.ndim - 1)
    return moveaxis(out, -1, i)


def array_repr(arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """``repr`` of an array, as NumPy prints it."""
    return np.array_repr(np.asarray(arr), max_line_width, precision, suppress_small)


def array_str(a: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """``str`` of an array, as NumPy prints it."""
    return np.array_str(np.asarray(a), max_line_width, precision, suppress_small)


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """Writes an array to a .npy file."""
    np.save(file, np.asarray(arr), allow_pickle=allow_pickle)


def savez(file: Any, *args: Any, allow_pickle: bool = True, **kwds: Any) -> None:
    """Writes several arrays to a .npz file."""
    named: Any = {k: np.asarray(v) for k, v in kwds.items()}
    np.savez(file, *map(np.asarray, args), **named)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """Reads an array from a .npy file, or a dictionary of them from a .npz file."""
    out = np.load(file, *args, **kwargs)
    return asarray(out) if isinstance(out, np.ndarray) else out


def fromfile(*args: Any, **kwargs: Any) -> Array:
    """Refused, as in JAX: use numpy.fromfile and asarray."""
    raise RefusedError("[fromfile] reading files has an effect; use asarray(numpy.fromfile(...)).")


def fromiter(*args: Any, **kwargs: Any) -> Array:
    """Refused, as in JAX: use numpy.fromiter and asarray."""
    raise RefusedError("[fromiter] reading an iterator has an effect; use asarray(numpy.fromiter(...)).")
