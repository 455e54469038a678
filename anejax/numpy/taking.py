"""Functions that pick elements by index or mask, and functions that make such indices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import Tracer, aval_of
from anejax.errors import DtypeError, RefusedError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy.at import IndexUpdateRef, fill_value_of
from anejax.numpy.creation import asarray, tri, zeros
from anejax.numpy.gathering import batched_gather, gather_axes
from anejax.numpy.indexing import wrapped
from anejax.numpy.operands import (
    as_array,
    as_int,
    astype,
    counted,
    finish,
    joint_shape,
    one_axis,
    operand,
    refuse,
    result_dtype,
)  # fmt: skip
from anejax.numpy.shaping import concatenate, ravel, take_static
from anejax.ops import reduce, shape
from anejax.ops.sort import sort_key_val

# --- by integers --------------------------------------------------------------------------------------------------


def _integers(op: str, indices: Any) -> Any:
    found = as_array(op, indices)
    if found.dtype not in dtypes.INTS:
        raise DtypeError(f"[{op}] expected integer indices, got {found.aval}.")
    return found


def _resolved(op: str, indices: Any, n: int, mode: str | None) -> tuple[Any, str]:
    """Indices of an axis of length ``n`` and the gather mode that gives ``mode`` its meaning."""
    if mode in (None, "fill"):
        return wrapped(indices, n), "fill"
    if mode == "clip":
        return indices, "clip"
    if mode == "wrap":
        narrow = aval_of(indices).dtype.itemsize < 4  # n may be beyond its range
        return ew.remainder(astype(indices, dtypes.int32) if narrow else indices, n), "clip"
    if mode == "promise_in_bounds":
        return wrapped(indices, n), "promise_in_bounds"
    if mode == "raise":
        raise RefusedError(f"[{op}] mode 'raise' is not supported: values are not looked at when tracing.")
    raise ValueError(f"[{op}] expected mode 'fill', 'clip' or 'wrap', got {mode!r}.")


def take(
    a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str | None = None,
    unique_indices: bool = False, indices_are_sorted: bool = False, fill_value: Any = None,
) -> Array:  # fmt: skip
    """The elements of ``a`` at ``indices`` along ``axis`` (of the flattened array when None).

    Args:
        a: array. indices: integers of any shape, which takes the place of ``axis``; negative ones count from the end.
        mode: for indices outside: "fill" (the default: NaN, or ``fill_value``), "clip", "wrap".

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.take(jnp.arange(3.0), jnp.array([2, 0, 5]))
        Array([ 2.,  0., nan], dtype=float32)
    """
    refuse("take", out=out)
    x = ravel(a) if axis is None else as_array("take", a)
    axis = one_axis("take", 0 if axis is None else axis, x.ndim)
    found = _integers("take", indices)
    if x.shape[axis] == 0 and found.size:
        raise IndexError(f"[take] axis {axis} of {x.aval} has no elements to take.")
    if x.shape[axis] == 0:
        return finish(shape.full((*x.shape[:axis], *found.shape, *x.shape[axis + 1 :]), np.zeros((), x.dtype)))
    found, kind = _resolved("take", found, x.shape[axis], mode)
    return gather_axes(x, (axis,), (found,), axis, kind, fill_value_of(x.dtype, fill_value))


def take_along_axis(
    arr: Any, indices: Any, axis: int | None = -1, mode: Any = None, fill_value: Any = None, *,
    wrap_negative_indices: bool | None = None,
) -> Array:  # fmt: skip
    """The elements of ``arr`` at ``indices`` along ``axis``, one index array per position of the other axes.

    ``indices`` has the rank of ``arr``; axes other than ``axis`` broadcast. Outside: NaN, or ``fill_value``. Negative
    indices count from the end, unless ``wrap_negative_indices`` is False or ``mode`` is "promise_in_bounds".
    """
    x, found = as_array("take_along_axis", arr), _integers("take_along_axis", indices)
    if axis is None:
        if found.ndim != 1:
            raise ShapeError(f"[take_along_axis] expected rank-1 indices when axis is None, got {found.aval}.")
        x, axis = ravel(x), 0
    if x.ndim != found.ndim:
        raise ShapeError(f"[take_along_axis] expected indices of the rank of {x.aval}, got {found.aval}.")
    axis = one_axis("take_along_axis", axis, x.ndim)
    name = getattr(mode, "name", mode)
    if name in ("one_hot", "ONE_HOT"):
        name, fill_value = "fill", 0  # a product with vectors that have a 1 at the index, 0 for one that is outside
    mode = {"FILL_OR_DROP": "fill", "CLIP": "clip", "PROMISE_IN_BOUNDS": "promise_in_bounds"}.get(name, name)
    x, found = _matched("take_along_axis", x, found, axis)
    if mode not in (None, "fill", "clip", "promise_in_bounds"):
        raise ValueError(
            f"[take_along_axis] expected the mode 'fill', 'clip', 'promise_in_bounds' or 'one_hot', got {mode!r}."
        )
    if wrap_negative_indices if wrap_negative_indices is not None else mode != "promise_in_bounds":
        found = wrapped(found, x.shape[axis])
    return batched_gather(x, found, axis, mode or "fill", fill_value_of(x.dtype, fill_value))


def _matched(op: str, x: Any, found: Any, axis: int) -> tuple[Any, Any]:
    """Both repeated to agree on every axis but ``axis``."""
    rest = lambda s: (*s[:axis], *s[axis + 1 :])  # noqa: E731
    joint = joint_shape(op, [rest(x.shape), rest(found.shape)], [x.aval, found.aval])
    whole = lambda n: (*joint[:axis], n, *joint[axis:])  # noqa: E731
    return shape.broadcast_to(x, whole(x.shape[axis])), shape.broadcast_to(found, whole(found.shape[axis]))


def put_along_axis(
    arr: Any, indices: Any, values: Any, axis: int | None, inplace: bool = True, *, mode: str | None = None
) -> Array:
    """``arr`` with ``values`` at ``indices`` along ``axis``. Arrays are immutable: pass ``inplace=False``."""
    _not_in_place("put_along_axis", inplace)
    x, found = as_array("put_along_axis", arr), _integers("put_along_axis", indices)
    if axis is None:
        return shape.reshape(put(x, found, values, inplace=False), x.shape)
    axis = one_axis("put_along_axis", axis, x.ndim)
    _, found = _matched("put_along_axis", x, found, axis)
    grid = [shape.broadcasted_iota(np.int32, found.shape, i) for i in range(x.ndim)]
    grid[axis] = found
    return IndexUpdateRef(x, tuple(grid)).set(values, mode=mode)


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Array:
    """``a`` with ``v``, repeated as needed, at the flat indices ``ind``. Arrays are immutable: ``inplace=False``."""
    _not_in_place("put", inplace)
    x, found = as_array("put", a), ravel(_integers("put", ind))
    values = ravel(as_array("put", v))
    if not found.size or not values.size:
        return x
    values = _repeated(values, found.size)
    if mode == "wrap":
        found, mode = ew.remainder(found, x.size), None
    elif mode == "clip":
        found = ew.maximum(found, 0)
    return shape.reshape(IndexUpdateRef(ravel(x), found).set(values, mode=mode or "clip"), x.shape)


def _not_in_place(op: str, inplace: bool) -> None:
    if inplace:
        raise ValueError(f"[{op}] arrays are immutable: pass inplace=False and use the returned array.")


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Array:
    """``arr`` with elements of ``vals``, in order, at the positions where ``mask`` holds. Pass ``inplace=False``."""
    _not_in_place("place", inplace)
    x, chosen = as_array("place", arr), ravel(ew.to_bool(operand("place", mask)))
    values = ravel(as_array("place", vals))
    if chosen.size != x.size:
        raise ShapeError(f"[place] expected a mask of the size of {x.aval}, got {aval_of(mask)}.")
    if not values.size:
        raise ShapeError("[place] expected at least one value.")
    order = ew.subtract(reduce.cumsum(astype(chosen, dtypes.int32), 0), 1)
    spread = take(values, ew.remainder(order, values.size))
    return shape.reshape(ew._select("place", chosen, astype(spread, x.dtype), ravel(x)), x.shape)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Array:
    """``a`` with ``val`` on its main diagonal. Arrays are immutable: pass ``inplace=False``."""
    _not_in_place("fill_diagonal", inplace)
    x = as_array("fill_diagonal", a)
    if wrap:
        raise RefusedError("[fill_diagonal] wrap=True is not supported.")
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise ShapeError(f"[fill_diagonal] expected rank 2, or equal lengths, got {x.aval}.")
    n = min(x.shape)
    line = shape.iota(np.int32, n)
    return IndexUpdateRef(x, (line,) * x.ndim).set(val if np.ndim(val) == 0 else _repeated(ravel(val), n))


def _repeated(values: Any, n: int) -> Any:
    """``n`` elements: those of ``values``, again and again."""
    return shape.slice_in_dim(concatenate([values] * max(-(-n // values.size), 1)), 0, n)


# --- by masks -----------------------------------------------------------------------------------------------------


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
    """The indices of the elements that are not 0, one int32 array per axis.

    Under ``jit`` the number of results must be given as ``size``: further elements are cut, and missing ones are
    ``fill_value``.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.nonzero(jnp.array([0, 3, 0, 5]))
        (Array([1, 3], dtype=int32),)
    """
    x = as_array("nonzero", a)
    if x.ndim == 0:
        raise ShapeError("[nonzero] expected an array with an axis, got rank 0; use x.ravel().")
    kind = dtypes.canonical(dtypes.int64)
    if size is None:
        return tuple(as_array("nonzero", p.astype(kind)) for p in np.nonzero(counted("nonzero", x)))
    size = as_int("nonzero", size, "size")
    if size == 0:
        return (zeros((0,), kind),) * x.ndim
    chosen = ravel(ew.to_bool(x))
    rank = reduce.cumsum(astype(chosen, dtypes.int32), 0) if x.size else astype(chosen, dtypes.int32)
    count = reduce.reduce_sum(astype(chosen, dtypes.int32), (0,))
    target = ew._select("nonzero", chosen, ew.subtract(rank, 1), np.asarray(size, np.int32))
    flat = IndexUpdateRef(shape.full((size,), np.zeros((), kind)), target).set(shape.iota(kind, x.size))
    places = unravel_index(flat, x.shape) if x.size else (flat,) * x.ndim
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * x.ndim
    there = ew.less(shape.iota(np.int32, size), count)
    pick = lambda p, f: ew._select("nonzero", there, p, astype(0 if f is None else f, kind))  # noqa: E731
    return tuple(finish(pick(p, f)) for p, f in zip(places, fills, strict=True))


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The flat indices of the elements that are not 0; see ``nonzero``."""
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices of the elements that are not 0, one row each; see ``nonzero``."""
    x = as_array("argwhere", a)
    if x.ndim == 0:
        found = nonzero(ravel(x), size=size, fill_value=fill_value)[0]
        return finish(shape.full((found.size, 0), np.zeros((), found.dtype)))
    columns = nonzero(x, size=size, fill_value=fill_value)
    return concatenate([shape.expand_dims(c, (1,)) for c in columns], 1)


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Array:
    """The elements of ``arr`` where ``condition`` holds, flattened; ``size`` is needed under ``jit``."""
    return compress(ravel(condition), ravel(arr), size=size, fill_value=fill_value)


def compress(
    condition: Any, a: Any, axis: int | None = None, *, size: int | None = None, fill_value: Any = 0, out: None = None
) -> Array:
    """The slices of ``a`` along ``axis`` where ``condition``, of rank 1, holds; ``size`` is needed under ``jit``."""
    refuse("compress", out=out)
    x = ravel(a) if axis is None else as_array("compress", a)
    chosen = ew.to_bool(as_array("compress", condition))
    if chosen.ndim != 1:
        raise ShapeError(f"[compress] expected a rank-1 condition, got {chosen.aval}.")
    axis = one_axis("compress", 0 if axis is None else axis, x.ndim)
    length = min(x.shape[axis], chosen.size) if size is not None else x.shape[axis]
    if size is None and counted("compress", chosen)[length:].any():
        raise ShapeError(
            f"[compress] expected a condition that holds for {length} elements at most, got {chosen.aval}."
        )
    if size is not None and not 0 <= size <= length:
        raise ShapeError(f"[compress] expected a size between 0 and {length}, got {size} for {x.aval}.")
    found = nonzero(chosen[:length], size=size, fill_value=x.shape[axis])[0]
    return take(x, found, axis, mode="fill", fill_value=fill_value)


# --- indices ------------------------------------------------------------------------------------------------------


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Array, ...]:
    """Flat indices into an array of ``shape`` as one index array per axis; those outside are clamped."""
    found = _integers("unravel_index", indices)
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    total = math.prod(lengths)
    kind = found.dtype
    found = found if kind.itemsize > 2 else astype(found, dtypes.int32)  # ``total`` may need int32
    found = (
        ew.minimum(found, total - 1) if kind in dtypes.UNSIGNED else ew.maximum(ew.minimum(found, total - 1), -total)
    )
    found = ew._select("unravel_index", ew.less(found, 0), ew.add(found, total), found)
    out: list[Any] = []
    for n in reversed(lengths):
        found, rest = ew.floor_divide(found, n), ew.remainder(found, n)
        out.append(astype(rest, kind))
    return tuple(reversed(out))


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Sequence[int], mode: str = "raise", order: str = "C", *, dtype: Any = None
) -> Array:
    """One index array per axis of an array of lengths ``dims`` as flat indices."""
    places = [_integers("ravel_multi_index", asarray(p)) for p in multi_index]
    if len(places) != len(dims):
        raise ShapeError(f"[ravel_multi_index] expected {len(dims)} index arrays, got {len(places)}.")
    if mode == "raise":
        for p, n in zip(places, dims):
            host = np.asarray(p)
            if host.size and (host.min() < 0 or host.max() >= n):
                raise ValueError(f"[ravel_multi_index] expected indices in [0, {n}), got {host.min()} to {host.max()}.")
    elif mode == "wrap":
        places = [ew.remainder(p, n) for p, n in zip(places, dims)]
    elif mode == "clip":
        places = [ew.minimum(ew.maximum(p, 0), n - 1) for p, n in zip(places, dims)]
    else:
        raise ValueError(f"[ravel_multi_index] expected mode 'raise', 'wrap' or 'clip', got {mode!r}.")
    kind = dtypes.canonical(dtype) if dtype is not None else result_dtype(0, *places)[0]
    if math.prod(dims) - 1 > np.iinfo(kind).max:
        raise ValueError(
            f"[ravel_multi_index] {kind} cannot hold indices into shape {tuple(dims)}. Pass a wider dtype."
        )
    places = [astype(p, kind) for p in places]
    pairs = list(zip(places, dims))
    flat: Any = np.zeros((), kind)
    for p, n in pairs if order == "C" else reversed(pairs):
        flat = ew.add(ew.multiply(flat, n), p)
    return flat


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array with ``ndim`` axes of length ``n``."""
    if n < 0 or ndim < 1:
        raise ValueError(f"[diag_indices] expected n >= 0 and ndim >= 1, got {n} and {ndim}.")
    return (shape.iota(dtypes.int64, n),) * ndim


def diag_indices_from(arr: Any) -> tuple[Array, ...]:
    """The indices of the main diagonal of ``arr``, whose axes have one length."""
    x = as_array("diag_indices_from", arr)
    if x.ndim < 2 or len(set(x.shape)) > 1:
        raise ValueError(f"[diag_indices_from] expected two axes or more of one length, got {x.aval}.")
    return diag_indices(x.shape[0], x.ndim)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The indices of the lower triangle of an [n, m] matrix, at and below diagonal ``k``."""
    return _host_indices(np.tril_indices(*_sides("tril_indices", n, k, m)))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The indices of the upper triangle of an [n, m] matrix, at and above diagonal ``k``."""
    return _host_indices(np.triu_indices(*_sides("triu_indices", n, k, m)))


def _sides(op: str, n: Any, k: Any, m: Any) -> tuple[int, int, int]:
    """(rows, diagonal, columns) as integers that are sides of a matrix."""
    rows, columns = (as_int(op, v, name) for v, name in ((n, "n"), (n if m is None else m, "m")))
    if rows < 0 or columns < 0:
        raise ShapeError(f"[{op}] expected sides of 0 or more, got {rows} and {columns}.")
    return rows, as_int(op, k, "k"), columns


def _host_indices(found: Any) -> Any:
    return tuple(asarray(p, dtypes.canonical(dtypes.int64)) for p in found)


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """``tril_indices`` for the shape of a matrix."""
    n, m = _matrix_shape("tril_indices_from", arr)
    return tril_indices(n, k, m)


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """``triu_indices`` for the shape of a matrix."""
    n, m = _matrix_shape("triu_indices_from", arr)
    return triu_indices(n, k, m)


def _matrix_shape(op: str, arr: Any) -> tuple[int, ...]:
    aval = aval_of(arr)
    if aval.ndim != 2:
        raise ShapeError(f"[{op}] expected a matrix [n, m], got {aval}.")
    return aval.shape


def mask_indices(n: int, mask_func: Any, k: int = 0, *, size: int | None = None) -> tuple[Array, ...]:
    """The indices where ``mask_func(ones((n, n)), k)`` is not 0."""
    return nonzero(mask_func(tri(n, n, n), k), size=size)


def ix_(*args: Any) -> tuple[Array, ...]:
    """Rank-1 arrays shaped to index a grid: the i-th along axis i."""
    out = []
    for i, a in enumerate(args):
        x = as_array("ix_", a)
        x = x if x.size else astype(x, dtypes.int32)
        if x.ndim != 1:
            raise ShapeError(f"[ix_] expected rank-1 arrays, got {x.aval}.")
        if x.dtype == dtypes.bool_:
            x = nonzero(x)[0]
        out.append(shape.reshape(x, tuple(x.size if i == j else 1 for j in range(len(args)))))
    return tuple(out)


# --- insertion and removal ----------------------------------------------------------------------------------------


def _positions(op: str, obj: Any, n: int, limit: int) -> np.ndarray:
    """Concrete positions along an axis of length ``n``, negative ones wrapped."""
    if isinstance(obj, slice):
        return np.arange(n)[obj]
    host = np.asarray(operand(op, obj))
    if host.dtype == np.bool_:
        return np.flatnonzero(host)
    if host.size and host.dtype.kind not in "iu":
        raise DtypeError(f"[{op}] expected integer positions, got {host.dtype}.")
    host = host.astype(np.int64)
    if host.size and (host.min() < -n or host.max() >= limit):
        raise IndexError(f"[{op}] expected positions in [{-n}, {limit}), got {host.min()} to {host.max()}.")
    return np.where(host < 0, host + n, host)


def delete(arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False) -> Array:
    """``arr`` without the slices at the concrete positions ``obj`` along ``axis``."""
    x = ravel(arr) if axis is None else as_array("delete", arr)
    axis = one_axis("delete", 0 if axis is None else axis, x.ndim)
    keep = np.ones(x.shape[axis], bool)
    keep[_positions("delete", obj, x.shape[axis], x.shape[axis])] = False
    return take_static(x, np.flatnonzero(keep), axis)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Array:
    """``arr`` with ``values`` before the positions ``obj`` along ``axis``. Traced positions are not checked."""
    x = ravel(arr) if axis is None else as_array("insert", arr)
    axis = one_axis("insert", 0 if axis is None else axis, x.ndim)
    n = x.shape[axis]
    traced = isinstance(obj, Tracer) and obj.concrete() is None
    places = wrapped(_integers("insert", obj), n) if traced else _positions("insert", obj, n, n + 1)
    v = astype(as_array("insert", values), x.dtype)
    v = shape.expand_dims(v, range(max(x.ndim - v.ndim, 0)))
    if places.ndim == 0:  # NumPy: one position takes the first axis of the values
        order = [i for i in range(v.ndim) if i != 0]
        order.insert(axis, 0)
        v = shape.transpose(v, order)
        places = places + np.zeros(v.shape[axis], np.int32)
    count = places.shape[0]
    target = tuple(count if i == axis else m for i, m in enumerate(x.shape))
    both = concatenate([x, shape.broadcast_to(v, target)], axis)
    if traced:
        return take(both, _merged_order(places, n), axis, mode="clip")
    by_place = np.argsort(places, kind="stable")
    where = places[by_place] + np.arange(count)
    source = np.full(n + count, -1)
    source[where] = n + by_place
    source[source < 0] = np.arange(n)
    return take_static(both, source, axis)


def _merged_order(places: Any, n: int) -> Array:
    """The source of each element when others (numbered after ``n``) are put before ``places`` of ``n`` elements."""
    count = places.shape[0]
    # an element at place p lies behind all that come before p, and before the old element p
    key = concatenate([2 * shape.iota(places.dtype, n) + 1, 2 * places])
    return sort_key_val(key, shape.iota(np.dtype(np.int32), n + count))[1]


# --- index tricks -------------------------------------------------------------------------------------------------


class _IndexExpression:
    """``s_[1:2, ...]`` is the index itself."""

    def __init__(self, always_tuple: bool) -> None:
        self.always_tuple = always_tuple

    def __getitem__(self, item: Any) -> Any:
        return (item,) if self.always_tuple and not isinstance(item, tuple) else item


class _Grid:
    """``mgrid[0:3, 0:2]``: the coordinates of a grid of slices; ``ogrid`` has them open."""

    def __init__(self, sparse: bool) -> None:
        self.sparse = sparse

    def __getitem__(self, item: Any) -> Any:
        found = (np.ogrid if self.sparse else np.mgrid)[item]
        if isinstance(found, (list, tuple)):
            return [asarray(f) for f in found] if self.sparse else tuple(asarray(f) for f in found)
        return asarray(found)


class _Concatenator:
    """``r_[1:4, x, 0]``: ranges, arrays and numbers joined along the first axis; ``c_`` along the last."""

    def __init__(self, columns: bool) -> None:
        self.columns = columns

    def __getitem__(self, item: Any) -> Array:
        items = item if isinstance(item, tuple) else (item,)
        if any(isinstance(i, str) for i in items):
            raise RefusedError("[r_] directives given as text are not supported; use concatenate, stack or reshape.")
        parts = [asarray((np.r_)[i]) if isinstance(i, slice) else asarray(i) for i in items]
        if self.columns:
            parts = [shape.reshape(p, (p.size, 1)) if p.ndim < 2 else p for p in parts]
            return concatenate(parts, -1)
        return concatenate([shape.reshape(p, (1,)) if p.ndim == 0 else p for p in parts], 0)


s_, index_exp = _IndexExpression(False), _IndexExpression(True)
mgrid, ogrid = _Grid(False), _Grid(True)
r_, c_ = _Concatenator(False), _Concatenator(True)
