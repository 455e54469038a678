"""``pad`` and its modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import asarray, linspace
from anejax.numpy.operands import as_array, astype, finish, is_scalar
from anejax.numpy.quantiles import median
from anejax.numpy.shaping import take_static
from anejax.ops import shape

_ARGUMENTS = {
    "constant": {"constant_values"}, "empty": set(), "edge": set(), "wrap": set(), "linear_ramp": {"end_values"},
    "maximum": {"stat_length"}, "mean": {"stat_length"}, "median": {"stat_length"}, "minimum": {"stat_length"},
    "reflect": {"reflect_type"}, "symmetric": {"reflect_type"},
}  # fmt: skip


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Array:
    """``array`` with elements added at both ends of its axes.

    Args:
        array: array of any shape.
        pad_width: how many: one number, (before, after), or one such pair per axis.
        mode: the values: "constant" (``constant_values``, 0), "edge", "reflect" and "symmetric"
            (``reflect_type="even"`` or "odd"), "wrap", "linear_ramp" (``end_values``), "maximum", "mean", "median" and
            "minimum" (``stat_length``), "empty", or a function as numpy.pad takes it.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.pad(jnp.arange(3), 1, mode="reflect")
        Array([1, 0, 1, 2, 1], dtype=int32)
    """
    x = as_array("pad", array)
    if any(isinstance(n, (float, np.floating)) for n in tree.leaves(pad_width)):
        raise TypeError(f"[pad] expected integers as widths, got {pad_width!r}.")
    widths = _pairs("pad_width", pad_width, x.ndim)
    if (widths < 0).any():
        raise ShapeError(f"[pad] expected non-negative widths, got {pad_width}.")
    if callable(mode):
        raise RefusedError("[pad] a function as mode is not supported: it would write into arrays.")
    if mode not in _ARGUMENTS:
        raise ShapeError(f"[pad] expected one of the modes {', '.join(_ARGUMENTS)}, got {mode!r}.")
    if not set(kwargs) <= _ARGUMENTS[mode]:
        raise TypeError(f"[pad] mode {mode!r} does not take {', '.join(set(kwargs) - _ARGUMENTS[mode])}.")
    if mode in ("constant", "empty"):
        return _constant(x, widths, kwargs.get("constant_values", 0))
    for axis, (low, high) in enumerate(widths.tolist()):
        if low or high:
            x = _axis(x, axis, low, high, mode, kwargs)
    return x


def _pairs(what: str, value: Any, rank: int) -> np.ndarray:
    if isinstance(value, dict):
        whole = np.zeros((rank, 2), int)
        for axis, width in value.items():
            whole[axis] = width
        return whole
    try:
        return np.broadcast_to(np.asarray(value), (rank, 2))
    except ValueError:
        raise ShapeError(f"[pad] expected {what} as a number, a pair or {rank} pairs, got {value!r}.") from None


def _constant(x: Any, widths: np.ndarray, values: Any) -> Any:
    if is_scalar(values) or np.ndim(values) == 0:
        value = astype(values if is_scalar(values) else as_array("pad", values), x.dtype)
        return finish(shape.pad(x, value, [(low, high, 0) for low, high in widths.tolist()]))
    table = asarray(values)
    table = shape.broadcast_to(astype(table, x.dtype), (x.ndim, 2))
    for axis, pair in enumerate(widths.tolist()):
        for side, width in enumerate(pair):
            config = [(0, 0, 0)] * x.ndim
            config[axis] = (width, 0, 0) if side == 0 else (0, width, 0)
            x = shape.pad(x, table[axis, side], config)
    return x


def _axis(x: Any, axis: int, low: int, high: int, mode: str, options: dict[str, Any]) -> Any:
    n = x.shape[axis]
    if n == 0:
        raise ShapeError(f"[pad] mode {mode!r} needs an element along axis {axis} of {x.aval}.")
    if mode in ("edge", "wrap", "reflect", "symmetric"):
        kind = options.get("reflect_type", "even")
        if kind not in ("even", "odd"):
            raise ShapeError(f"[pad] expected reflect_type 'even' or 'odd', got {kind!r}.")
        if kind == "odd" and mode in ("reflect", "symmetric"):
            return _odd(x, axis, low, high, mode)
        return take_static(x, np.pad(np.arange(n), (low, high), mode), axis)  # type: ignore[call-overload]
    if mode == "linear_ramp":
        ends = _pairs("end_values", options.get("end_values", 0), x.ndim)[axis]
        return _join(shape.rev(_ramp(x, axis, low, ends[0], 0), (axis,)), x, _ramp(x, axis, high, ends[1], n - 1), axis)
    lengths = options.get("stat_length")
    lengths = (n, n) if lengths is None else _pairs("stat_length", lengths, x.ndim)[axis].tolist()
    before = shape.slice_in_dim(x, 0, min(lengths[0], n), axis=axis)
    after = shape.slice_in_dim(x, max(n - lengths[1], 0), n, axis=axis)
    return _join(_statistic(before, axis, low, mode), x, _statistic(after, axis, high, mode), axis)


def _join(before: Any, x: Any, after: Any, axis: int) -> Any:
    return shape.concatenate([before, x, after], axis)


def _repeated(x: Any, axis: int, width: int) -> Any:
    return shape.broadcast_to(x, tuple(width if i == axis else n for i, n in enumerate(x.shape)))


_STATISTICS = {"maximum": red.max, "minimum": red.min, "mean": red.mean, "median": median}


def _statistic(part: Any, axis: int, width: int, mode: str) -> Any:
    value = _STATISTICS[mode](part, axis=axis, keepdims=True)
    if part.dtype in dtypes.INTS:
        value = ew.round(value)
    return _repeated(as_array("pad", astype(value, part.dtype)), axis, width)


def _ramp(x: Any, axis: int, width: int, end: Any, edge: int) -> Any:
    """``width`` elements from the element at ``edge``, which is left out, to ``end``."""
    start = shape.slice_in_dim(x, edge, edge + 1, axis=axis)
    if width == 0:
        return shape.slice_in_dim(start, 0, 0, axis=axis)
    line = linspace(shape.squeeze(start, (axis,)), asarray(end, x.dtype), width + 1, dtype=x.dtype, axis=axis)
    return shape.slice_in_dim(line, 1, width + 1, axis=axis)


def _odd(x: Any, axis: int, low: int, high: int, mode: str) -> Any:
    """Twice the edge minus the reflection, as often as the width needs."""
    while low or high:
        n = x.shape[axis]
        reach = n if mode == "symmetric" else n - 1
        if reach == 0:
            return take_static(x, np.pad(np.arange(n), (low, high), "edge"), axis)
        a, b = min(low, reach), min(high, reach)
        even = take_static(x, np.pad(np.arange(n), (a, b), mode), axis)  # type: ignore[call-overload]
        edges = take_static(x, np.pad(np.arange(n), (a, b), "edge"), axis)
        inside = np.pad(np.zeros(n, bool), (a, b), constant_values=True)
        mask = shape.broadcast_in_dim(inside, aval_of(even).shape, (axis,))
        odd = ew.subtract(ew.multiply(edges, 2), even)
        x = ew._select("pad", mask, odd, even)
        low, high = low - a, high - b
    return x
