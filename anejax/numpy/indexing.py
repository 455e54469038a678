"""``x[...]``: turns NumPy's indexing into reshapes, slices and one gather. ``x.at[...]`` uses the same steps.

An index is parsed into an ``Index`` of four steps, which reading applies in order and ``at`` undoes in reverse.

    1. new axes           x[None]            reshape
    2. static slices      x[2:5, ::-1, 3]    slice, rev
    3. dropped axes       x[3]               reshape
    4. integer arrays     x[i, :, j]         gather, or dynamic_slice for traced scalars

Out-of-bounds integers are clamped in reads, and updates at them are dropped, as in JAX.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import Tracer, aval_of, conversion_of
from anejax.errors import ConcretizationError, DtypeError, NonConcreteBooleanIndexError, TracerSliceError
from anejax.numpy.creation import asarray
from anejax.numpy.gathering import gather_axes
from anejax.numpy.operands import as_array, astype, finish, joint_shape
from anejax.ops import arithmetic, shape
from anejax.ops.index import dynamic_slice_p


@dataclasses.dataclass(frozen=True)
class Slice:
    """``x[start:limit:stride]`` of one axis, then reversed when ``flip``."""

    start: int
    limit: int
    stride: int = 1
    flip: bool = False

    @property
    def length(self) -> int:
        return -(-(self.limit - self.start) // self.stride)


@dataclasses.dataclass(frozen=True)
class Index:
    """An index, read. ``axes`` count after ``dropped`` ones are gone; the axes of ``arrays`` (integers of one shape,
    negative ones wrapped) stand at ``position`` among the axes that no array indexes. ``inside`` is False when a static
    integer lies outside the array: reading clamps it, updates are dropped."""

    expanded: tuple[int, ...]
    slices: tuple[Slice, ...]
    dropped: tuple[int, ...]
    axes: tuple[int, ...]
    arrays: tuple[Any, ...]
    position: int
    inside: bool

    @property
    def sliced(self) -> tuple[int, ...]:
        """The shape after step 3."""
        return tuple(s.length for i, s in enumerate(self.slices) if i not in self.dropped)

    @property
    def empty(self) -> bool:
        """Whether an integer array, which must then be empty, indexes an axis of length 0."""
        return any(self.sliced[a] == 0 for a in self.axes)

    @property
    def shape_out(self) -> tuple[int, ...]:
        rest = [n for i, n in enumerate(self.sliced) if i not in self.axes]
        together = aval_of(self.arrays[0]).shape if self.arrays else ()
        return (*rest[: self.position], *together, *rest[self.position :])


# --- reading an index ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Positions:
    """An axis indexed by the positions where a mask holds. ``length`` is the mask's; None makes a new axis."""

    values: np.ndarray
    length: int | None


def read_index(x: Any, index: Any, wrap: bool = True) -> Index:
    """The Index that ``index`` means for ``x``; negative integers lie outside unless ``wrap``.

    Raises IndexError, DtypeError, or a tracer's own error.
    """
    aval = aval_of(x)
    if isinstance(index, list):
        raise DtypeError("[getitem] a list cannot be an index; use x[anejax.numpy.asarray(list)].")
    entries = [_checked(e) for e in (index if isinstance(index, tuple) else (index,))]
    entries = [piece for e in entries for piece in _without_mask(e)]
    consumed = sum(map(_consumes, entries))
    if consumed > aval.ndim:
        raise IndexError(f"[getitem] too many indices: {aval} has {aval.ndim} axes, but {consumed} were indexed.")
    entries = _without_ellipsis(entries, aval.ndim - consumed)
    lengths = iter(aval.shape)
    expanded = tuple(next(lengths) if _consumes(e) else 1 for e in entries)
    return _assemble(aval, expanded, entries, wrap)


def _checked(e: Any) -> Any:
    """One entry of an index: None, Ellipsis, a slice, an int, a bool, or an array of integers or bools."""
    if e is None or e is Ellipsis or isinstance(e, (slice, bool, np.bool_)):
        return e
    if isinstance(e, (list, tuple)):  # inside a tuple it can only be an array
        e = asarray(e, None if e else np.int32)
    if not isinstance(e, (Array, np.ndarray, np.generic, int)) and conversion_of(e) is not None:
        e = as_array("getitem", e)
    if not isinstance(e, (Array, np.ndarray, np.generic)):
        try:
            return int(e.__index__())
        except AttributeError:
            raise DtypeError(f"[getitem] expected integers, slices, arrays, None or ..., got {e!r}.") from None
    if e.dtype.kind not in "iub":
        raise DtypeError(f"[getitem] expected integers or bools as index, got {aval_of(e)}.")
    return int(e) if isinstance(e, np.integer) else e


def _is_mask(e: Any) -> bool:
    return isinstance(e, (bool, np.bool_)) or (hasattr(e, "dtype") and e.dtype == dtypes.bool_)


def _without_mask(e: Any) -> list[Any]:
    """A mask as one entry per axis it covers, anything else as it is."""
    if not _is_mask(e):
        return [e]
    if isinstance(e, Tracer) and e.concrete() is None:
        raise NonConcreteBooleanIndexError(
            "[getitem] a mask must be concrete, since the number of its True elements is a length of the result; got"
            f" {e.describe()}. Use anejax.numpy.where(mask, x, y), or x.at[mask].set(value) with a scalar value."
        )
    mask = np.asarray(e)
    if mask.ndim == 0:
        return [_Positions(np.zeros(int(mask), np.int32), None)]
    return [_Positions(p.astype(np.int32), n) for p, n in zip(np.nonzero(mask), mask.shape)]


def _consumes(e: Any) -> int:
    """The number of axes of the array that an entry (not a mask) stands for."""
    if isinstance(e, _Positions):
        return int(e.length is not None)
    return int(e is not None and e is not Ellipsis)


def _without_ellipsis(entries: list[Any], missing: int) -> list[Any]:
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise IndexError("[getitem] an index can only have one ellipsis (...).")
    at = dots[0] if dots else len(entries)
    return entries[:at] + [slice(None)] * missing + entries[at + 1 :]


def _assemble(aval: Any, expanded: tuple[int, ...], entries: Sequence[Any], wrap: bool) -> Index:
    slices: list[Slice] = []
    dropped: list[int] = []
    arrays: dict[int, Any] = {}
    inside = True
    for axis, (n, e) in enumerate(zip(expanded, entries)):
        whole = Slice(0, n)
        if e is None:
            slices.append(whole)
        elif isinstance(e, slice):
            slices.append(_static_slice(e, n))
        elif isinstance(e, _Positions):
            if e.length not in (None, n, 0):  # a mask without elements chooses none, as in jax
                raise IndexError(f"[getitem] a mask of length {e.length} does not fit axis {axis} of {aval}.")
            slices.append(whole)
            arrays[axis] = e.values
        elif (known := _static_integer(e)) is not None:
            if n == 0:
                raise IndexError(f"[getitem] index {known} of axis {axis} of {aval}, which has no elements.")
            known += n if wrap and known < 0 else 0
            inside = inside and 0 <= known < n
            place = min(max(known, 0), n - 1)
            slices.append(Slice(place, place + 1))
            dropped.append(axis)
        else:
            slices.append(whole)
            arrays[axis] = wrapped(e, n, wrap)
    position = _position(dropped, list(arrays))
    axes = tuple(a - sum(d < a for d in dropped) for a in arrays)
    together = _together(list(arrays.values()))
    if together and aval_of(together[0]).size and any(expanded[a] == 0 for a in arrays):
        raise IndexError(f"[getitem] integers index an axis of {aval} that has no elements.")
    return Index(expanded, tuple(slices), tuple(dropped), axes, together, position, inside)


def _static_slice(s: slice, n: int) -> Slice:
    try:
        start, stop, step = s.indices(n)
    except ConcretizationError:
        bound = next(b for b in (s.start, s.stop, s.step) if isinstance(b, Tracer) and b.concrete() is None)
        raise TracerSliceError(
            f"[getitem] the bounds of a slice decide its length, which must be known when tracing; got"
            f" {bound.describe()}. Use lax.dynamic_slice_in_dim(x, start, length), or a mask."
        ) from None
    except (TypeError, AttributeError):
        raise DtypeError(f"[getitem] expected a slice of integers, got {s}.") from None
    count = len(range(start, stop, step))
    if count == 0:
        return Slice(0, 0)
    last = start + (count - 1) * step
    return Slice(start, last + 1, step) if step > 0 else Slice(last, start + 1, -step, flip=True)


def _static_integer(e: Any) -> int | None:
    """An integer known when tracing, else None. Integer arrays of rank 0 count when they have a value."""
    if isinstance(e, int):
        return e
    known = e.concrete() if isinstance(e, Tracer) else e
    return None if known is None or np.ndim(known) else int(np.asarray(known))


def _position(dropped: list[int], indexed: list[int]) -> int:
    """The position of the arrays' axes: that of the first one if they are neighbours, integers included, else 0."""
    places = sorted(dropped + indexed)
    if not indexed or places[-1] - places[0] != len(places) - 1:
        return 0
    return places[0]


def wrapped(a: Any, n: int, wrap: bool = True) -> Any:
    """An integer array as int32 (int64 stays), with negative positions counted from the end if ``wrap``."""
    if isinstance(a, np.ndarray):
        if a.dtype.kind == "u":  # before the conversion, in which great ones would wrap
            return np.minimum(a, np.asarray(n, np.uint64)).astype(np.int32)
        fits = np.clip(np.where((a < 0) & wrap, a + n, a), -1, n)  # outside stays outside
        return fits.astype(np.int32)
    kind = dtypes.int64 if a.dtype == dtypes.int64 else dtypes.int32
    if a.dtype in dtypes.UNSIGNED:
        greatest = np.iinfo(a.dtype).max
        return astype(arithmetic.min(a, np.asarray(n, a.dtype)) if n <= greatest else a, kind)
    a = astype(a, kind)
    if not wrap:
        return a
    added = arithmetic.add(a, np.asarray(n, kind))
    return arithmetic.select_n(arithmetic.lt(a, np.zeros((), kind)), a, added)


def _together(arrays: list[Any]) -> tuple[Any, ...]:
    """The arrays with one shape and dtype."""
    if not arrays:
        return ()
    target = joint_shape("getitem", [aval_of(a).shape for a in arrays], [aval_of(a) for a in arrays])
    kind = dtypes.int64 if any(aval_of(a).dtype == dtypes.int64 for a in arrays) else dtypes.int32
    return tuple(shape.broadcast_to(astype(a, kind), target) for a in arrays)


# --- reading through an index -------------------------------------------------------------------------------------


def slice_axes(x: Any, index: Index) -> Any:
    """Steps 1 to 3."""
    x = shape.reshape(x, index.expanded)
    s = index.slices
    x = shape.slice_(x, [a.start for a in s], [a.limit for a in s], [a.stride for a in s])
    x = shape.rev(x, [i for i, a in enumerate(s) if a.flip])
    return shape.squeeze(x, index.dropped)


def read(x: Any, index: Index, mode: str = "promise_in_bounds", fill: Any = None) -> Any:
    """The elements of ``x`` that ``index`` names."""
    x = slice_axes(x, index)
    if not index.arrays:
        return x
    if index.empty:
        return shape.full(index.shape_out, np.zeros((), aval_of(x).dtype))
    if mode != "fill" and aval_of(index.arrays[0]).ndim == 0:
        return _dynamic(x, index)
    return gather_axes(x, index.axes, index.arrays, index.position, mode, fill)


def _dynamic(x: Any, index: Index) -> Any:
    """Scalars known only at run time: one dynamic slice, whose starts are clamped."""
    lengths = aval_of(x).shape
    starts: list[Any] = [np.zeros((), aval_of(index.arrays[0]).dtype)] * len(lengths)
    for axis, a in zip(index.axes, index.arrays):
        starts[axis] = a
    sizes = [1 if i in index.axes else n for i, n in enumerate(lengths)]
    return shape.squeeze(dynamic_slice_p.bind(x, *starts, slice_sizes=tuple(sizes)), index.axes)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]``: NumPy's indexing; integers outside are clamped (and have no gradient), masks must be concrete."""
    return finish(read(x, read_index(x, index)))
