"""Reductions over sliding windows, and the scatter and gather that are the derivatives of max pooling."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.core.aval import Aval
from anejax.core.context import base_trace, tracing
from anejax.core.primitive import Primitive, Refused, Zero
from anejax.core.trace import Tracer, aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops import arithmetic
from anejax.ops.arithmetic import and_, eq, gt, lt, ne, or_, select_n
from anejax.ops.families import (
    NOT_LINEAR,
    NUMBER,
    ORDERED,
    REAL_NUMBER,
    batch_to,
    check_domain,
    instantiate,
    is_linear,
    is_python_scalar,
    joint_dtype,
    linear_jvp,
    primitive,
    zeros,
)
from anejax.ops.reduce import highest, lowest, wide
from anejax.ops.shape import as_dtype, full, pad, pad_p, slice_

Dims = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]

# --- the geometry of windows, which convolution shares ----------------------------------------------------------------


def dilated(size: int, dilation: int) -> int:
    """The length of ``size`` elements with ``dilation - 1`` holes between neighbours."""
    return (size - 1) * dilation + 1 if size else 0


def window_counts(sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int], padding: Pads) -> Dims:
    """The number of window positions along each padded axis. Sizes and windows are already dilated."""
    padded = [n + low + high for n, (low, high) in zip(sizes, padding)]
    return tuple((n - w) // s + 1 if n >= w else 0 for n, w, s in zip(padded, windows, strides))


def padtype_to_pads(in_shape: Sequence[int], window_shape: Sequence[int], window_strides: Sequence[int],
                    padding: str) -> list[tuple[int, int]]:  # fmt: skip
    """(low, high) per axis: "VALID" is none, "SAME" makes ceil(size / stride) windows; "SAME_LOWER" pads more low."""
    kind = padding.upper()
    if kind == "VALID":
        return [(0, 0)] * len(in_shape)
    if kind not in ("SAME", "SAME_LOWER"):
        raise ShapeError(f'[padding] expected "SAME", "SAME_LOWER", "VALID" or (low, high) pairs, got {padding!r}.')
    totals = [max((-(-n // s) - 1) * s + w - n, 0) for n, w, s in zip(in_shape, window_shape, window_strides)]
    near, far = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return list(zip(near, far)) if kind == "SAME" else list(zip(far, near))


def checked_pads(op: str, padding: Any, count: int) -> Pads:
    """Explicit padding as ``count`` pairs of ints."""
    try:
        pads = tuple((low.__index__(), high.__index__()) for low, high in padding)
    except (TypeError, ValueError, AttributeError):
        raise ShapeError(
            f"[{op}] expected padding as a name or (low, high) pairs of integers, got {padding!r}."
        ) from None
    if len(pads) != count:
        raise ShapeError(f"[{op}] expected {count} (low, high) pairs of padding, got {len(pads)}.")
    return pads


def checked_ints(op: str, what: str, values: Sequence[int] | None, count: int) -> Dims:
    """``count`` positive ints; all ones for None."""
    if values is None:
        return (1,) * count
    ints = tuple(int(v) for v in values)
    if len(ints) != count or any(v < 1 for v in ints):
        raise ShapeError(f"[{op}] expected {count} positive integers as {what}, got {tuple(values)}.")
    return ints


def backward_padding(size: int, window: int, count: int, stride: int, low: int) -> tuple[int, int]:
    """The padding of a cotangent dilated by ``stride`` under which the window slides back to ``size`` places."""
    before = window - 1 - low
    return before, size + window - 1 - dilated(count, stride) - before


def window_view(x: np.ndarray, windows: Dims, strides: Dims, dilation: Dims, counts: Dims) -> np.ndarray:
    """A view of the last axes of ``x`` as (..., counts, windows)."""
    lead = x.ndim - len(windows)
    steps = x.strides[lead:]
    shape = (*x.shape[:lead], *counts, *windows)
    if 0 in shape:
        return np.zeros(shape, x.dtype)
    return np.lib.stride_tricks.as_strided(
        x,
        shape,
        (*x.strides[:lead], *(a * s for a, s in zip(steps, strides)), *(a * d for a, d in zip(steps, dilation))),
        writeable=False,
    )


def pad_ndarray(x: np.ndarray, value: Any, padding: Pads, dilation: Dims) -> np.ndarray:
    """``x`` dilated, padded with ``value`` and cut where padding is negative."""
    if all(p == (0, 0) for p in padding) and all(d == 1 for d in dilation):
        return x
    config = tuple((low, high, d - 1) for (low, high), d in zip(padding, dilation))
    return pad_p.impl(x, np.asarray(value, x.dtype), padding_config=config)


# --- reduce_window_sum, _max, _min ------------------------------------------------------------------------------------


def _window_shape(name: str, x: Aval, window: dict[str, Any]) -> Dims:
    if any(len(v) != x.ndim for v in window.values()):
        raise ShapeError(f"[{name}] expected window parameters for each axis of {x}, got {window}.")
    sizes = [dilated(n, d) for n, d in zip(x.shape, window["base_dilation"])]
    windows = [dilated(w, d) for w, d in zip(window["window_dimensions"], window["window_dilation"])]
    return window_counts(sizes, windows, window["window_strides"], window["padding"])


_UNMAPPED = {"window_dimensions": 1, "window_strides": 1, "padding": (0, 0), "base_dilation": 1, "window_dilation": 1}


def _with_axis(window: dict[str, Any], axis: int) -> dict[str, Any]:
    """Window parameters with one more axis, along which windows have length 1."""
    return {k: (*v[:axis], _UNMAPPED[k], *v[axis:]) if k in _UNMAPPED else v for k, v in window.items()}


def _reduce_window(name: str, ufunc: Any, identity: Any, *, domain: Any, jvp: Any, transpose: Any,
                   mil: Any = None) -> Primitive:  # fmt: skip
    prim = primitive(name)

    def abstract(x: Aval, **window: Any) -> Aval:
        check_domain(name, x, domain)
        return x.update(shape=_window_shape(name, x, window))

    def impl(x: np.ndarray, **window: Any) -> np.ndarray:
        start = identity(x.dtype)
        counts = _window_shape(name, Aval(x.shape, x.dtype), window)
        spread = pad_ndarray(wide(x), start, window["padding"], window["base_dilation"])
        view = window_view(
            spread, window["window_dimensions"], window["window_strides"], window["window_dilation"], counts
        )
        axes = tuple(range(x.ndim, 2 * x.ndim))
        return ufunc.reduce(view, axis=axes, initial=start, dtype=view.dtype).astype(x.dtype)

    def batch(size: int, args: Any, dims: Any, **window: Any) -> Any:
        return prim.bind(args[0], **_with_axis(window, dims[0])), dims[0]

    return prim.fill(abstract=abstract, impl=impl, jvp=jvp(prim), transpose=transpose, batch=batch,
                     mil=mil or _window_mil, native_eager=True)  # fmt: skip


def _max_mil(ctx: Any, x: Any, **window: Any) -> Any:
    kernel, strides, pads = window["window_dimensions"], window["window_strides"], window["padding"]
    rank = len(kernel)
    whole = 3 <= rank <= 5 and kernel[:2] == strides[:2] == (1, 1) and pads[:2] == ((0, 0), (0, 0))
    plain = all(d == 1 for d in window["base_dilation"] + window["window_dilation"])
    inside = all(0 <= p < k for pair, k in zip(pads, kernel) for p in pair)
    if whole and plain and inside and ctx.takes("max_pool", {"x": x}):
        return ctx.emit("max_pool", x=x, kernel_sizes=list(kernel[2:]), strides=list(strides[2:]), pad_type="custom",
                        pad=_flat(pads[2:]), ceil_mode=False)  # fmt: skip
    return _window_mil(ctx, x, **window)


def _window_mil(ctx: Any, x: Any, **window: Any) -> Any:
    return ctx.emit_aj(x=x, **_window_operands(window))


def _flat(pads: Pads) -> list[int]:
    return [p for pair in pads for p in pair]


def _window_operands(window: dict[str, Any]) -> dict[str, Any]:
    return {k: _flat(v) if k == "padding" else list(v) if isinstance(v, tuple) else v for k, v in window.items()}


def _window_sum_transpose(ct: Any, x: Any, **window: Any) -> Any:
    """The same windows slid back over the cotangent: strides and base dilation change places."""
    aval = x.aval
    if 0 in aval.shape or aval_of(ct).size == 0:
        return [zeros(aval)]
    pads = tuple(
        backward_padding(dilated(n, base), dilated(w, wd), count, stride, low)
        for n, count, w, stride, (low, _), base, wd in zip(
            aval.shape, aval_of(ct).shape, *(window[k] for k in _UNMAPPED)
        )
    )
    back = {**window, "padding": pads}
    back["window_strides"], back["base_dilation"] = window["base_dilation"], window["window_strides"]
    return [reduce_window_sum_p.bind(ct, **back)]


def _extremum_jvp(select: str) -> Any:
    """The tangent at each window's first winner."""

    def rule(prim: Primitive) -> Any:
        def jvp(primals: Any, tangents: Any, **window: Any) -> Any:
            (x,), (t,) = primals, tangents
            out = prim.bind(x, **window)
            if isinstance(t, Zero):
                return out, Zero(aval_of(out).tangent())
            if any(d != 1 for d in window["base_dilation"] + window["window_dilation"]):
                return out, winners_by_slices(t, x, select=select, **window)
            plain = {k: window[k] for k in ("window_dimensions", "window_strides", "padding")}
            return out, select_and_gather_add_p.bind(t, x, select=select, **plain)

        return jvp

    return rule


reduce_window_sum_p = _reduce_window("reduce_window_sum", np.add, lambda d: 0, domain=NUMBER, jvp=linear_jvp,
                                     transpose=_window_sum_transpose)  # fmt: skip
reduce_window_max_p = _reduce_window("reduce_window_max", np.maximum, lowest, domain=ORDERED, jvp=_extremum_jvp("ge"),
                                     transpose=NOT_LINEAR, mil=_max_mil)  # fmt: skip
reduce_window_min_p = _reduce_window("reduce_window_min", np.minimum, highest, domain=ORDERED, jvp=_extremum_jvp("le"),
                                     transpose=NOT_LINEAR)  # fmt: skip

# --- at the winners of windows ----------------------------------------------------------------------------------------


def window_slices(x: Any, fill: Any, window: dict[str, Any]) -> Iterator[Any]:
    """The elements that all windows have at each place in the window, in row-major order."""
    counts = _window_shape("reduce_window", aval_of(x), window)
    config = [(low, high, d - 1) for (low, high), d in zip(window["padding"], window["base_dilation"])]
    spread = pad(x, fill, config)
    strides = window["window_strides"]
    for place in itertools.product(*map(range, window["window_dimensions"])):
        start = [p * d if n else 0 for p, d, n in zip(place, window["window_dilation"], counts)]
        limit = [a + (n - 1) * s + 1 if n else 0 for a, n, s in zip(start, counts, strides)]
        yield slice_(spread, start, limit, strides)


def winners_by_slices(values: Any, operand: Any, *, select: str, **window: Any) -> Any:
    """Elements of ``values`` where each window of ``operand`` has its first winner, in elementwise steps."""
    dtype = aval_of(operand).dtype
    worst = np.asarray(lowest(dtype) if select == "ge" else highest(dtype), dtype)
    zero = np.zeros((), aval_of(values).dtype)
    window = {"base_dilation": (1,) * aval_of(values).ndim, "window_dilation": (1,) * aval_of(values).ndim, **window}
    best = found = None
    for key, value in zip(window_slices(operand, worst, window), window_slices(values, zero, window)):
        if best is None:
            best, found = key, value
            continue
        better = gt(key, best) if select == "ge" else lt(key, best)
        if dtype in dtypes.FLOATS:
            better = or_(better, and_(ne(key, key), eq(best, best)))
        best, found = select_n(better, best, key), select_n(better, found, value)
    return found


def _winners(operand: np.ndarray, select: str, window: Dims, strides: Dims, padding: Pads) -> tuple[Any, np.ndarray]:
    """(where each window has its first winner, as coordinates in operand; which windows touch operand at all)."""
    counts = window_counts(operand.shape, window, strides, padding)
    keys = wide(operand)
    worst = lowest(keys.dtype) if select == "ge" else highest(keys.dtype)
    ones = (1,) * operand.ndim
    view = window_view(pad_ndarray(keys, worst, padding, ones), window, strides, ones, counts)
    real = window_view(pad_ndarray(np.ones(keys.shape, bool), False, padding, ones), window, strides, ones, counts)
    view, real = view.reshape(*counts, -1), real.reshape(*counts, -1)
    winner = (np.argmax if select == "ge" else np.argmin)(view, axis=-1)
    # padding ties only with the worst value there is; then the first real element wins
    in_padding = ~np.take_along_axis(real, winner[..., None], -1)[..., 0]
    winner = np.where(in_padding, np.argmax(real, axis=-1), winner)
    at = np.unravel_index(winner, window)
    place = np.indices(counts, sparse=True)
    coordinates = tuple(p * s + a - low for p, s, a, (low, _) in zip(place, strides, at, padding))
    return coordinates, np.asarray(real.any(-1))


def _pooling_check(name: str, source: Aval, operand: Aval, window: dict[str, Any]) -> Dims:
    check_domain(name, operand, REAL_NUMBER)
    joint_dtype(name, (source, operand))
    ones = (1,) * operand.ndim
    return _window_shape(name, operand, {**window, "base_dilation": ones, "window_dilation": ones})


def _scatter_abstract(source: Aval, operand: Aval, *, select: str, **window: Any) -> Aval:
    counts = _pooling_check("select_and_scatter_add", source, operand, window)
    if source.shape != counts:
        raise ShapeError(f"[select_and_scatter_add] expected a source of shape {counts} for {operand}, got {source}.")
    return operand.strong()


def _scatter_impl(source: np.ndarray, operand: np.ndarray, *, select: str, window_dimensions: Dims,
                  window_strides: Dims, padding: Pads) -> np.ndarray:  # fmt: skip
    if operand.ndim == 0:  # the one window is the one element
        return source
    out = np.zeros(operand.shape, wide(source).dtype)
    if source.size and operand.size:
        at, touched = _winners(operand, select, window_dimensions, window_strides, padding)
        np.add.at(out, tuple(np.broadcast_to(a, touched.shape)[touched] for a in at), source[touched])
    return out.astype(source.dtype)


def _gather_abstract(values: Aval, operand: Aval, *, select: str, **window: Any) -> Aval:
    if values.shape != operand.shape:
        raise ShapeError(f"[select_and_gather_add] expected equal shapes, got {values} and {operand}.")
    return Aval(_pooling_check("select_and_gather_add", values, operand, window), values.dtype)


def _gather_impl(values: np.ndarray, operand: np.ndarray, *, select: str, window_dimensions: Dims,
                 window_strides: Dims, padding: Pads) -> np.ndarray:  # fmt: skip
    if operand.ndim == 0:
        return values
    counts = window_counts(operand.shape, window_dimensions, window_strides, padding)
    if 0 in counts or operand.size == 0:
        return np.zeros(counts, values.dtype)
    at, touched = _winners(operand, select, window_dimensions, window_strides, padding)
    inside = tuple(np.where(touched, a, 0) for a in at)
    return np.where(touched, values[inside], values.dtype.type(0))


def _pooling_batch(prim: Primitive) -> Any:
    def batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
        first, operand = (batch_to(a, d, size) for a, d in zip(args, dims))
        return prim.bind(first, operand, **_with_axis(params, 0)), 0

    return batch


def _no_operand(transposed: Callable[..., Any]) -> Any:
    """A transpose rule linear in the first argument; the second only says where."""

    def transpose(ct: Any, first: Any, operand: Any, **params: Any) -> Any:
        return [transposed(ct, operand, **params) if is_linear(first) else None, None]

    return transpose


def _scatter_mil(ctx: Any, source: Any, operand: Any, **params: Any) -> Any:
    return ctx.emit_aj(source=source, operand=operand, **_window_operands(params))


select_and_scatter_add_p = primitive("select_and_scatter_add")
select_and_gather_add_p = primitive("select_and_gather_add")
select_and_scatter_add_p.fill(
    abstract=_scatter_abstract,
    impl=_scatter_impl,
    jvp=linear_jvp(select_and_scatter_add_p),  # the positions of the winners do not change with the operand's tangent
    transpose=_no_operand(select_and_gather_add_p.bind),
    batch=_pooling_batch(select_and_scatter_add_p),
    mil=_scatter_mil,
    native_eager=True,
)
select_and_gather_add_p.fill(
    abstract=_gather_abstract,
    impl=_gather_impl,
    jvp=linear_jvp(select_and_gather_add_p),
    transpose=_no_operand(select_and_scatter_add_p.bind),
    batch=_pooling_batch(select_and_gather_add_p),
    mil=Refused("passes/legalize writes it as elementwise steps, on every target"),
)

# --- faces ------------------------------------------------------------------------------------------------------------

_MONOIDS: tuple[tuple[Any, Primitive, Any], ...] = (
    (np.add, reduce_window_sum_p, lambda d: 0),
    (np.maximum, reduce_window_max_p, lowest),
    (np.minimum, reduce_window_min_p, highest),
)


def _monoid(computation: Callable[..., Any], dtype: np.dtype, init: Any) -> Primitive | None:
    """The window primitive whose operation ``computation`` is, judged by its values, when ``init`` is its identity."""
    if isinstance(init, Tracer):
        return None
    known = {arithmetic.add: 0, arithmetic.max: 1, arithmetic.min: 2}.get(computation)
    candidates = [_MONOIDS[known]] if known is not None else [m for m in _MONOIDS if _agrees(computation, m[0], dtype)]
    for _, prim, identity in candidates:
        if dtype == dtypes.bool_ and prim is reduce_window_sum_p:
            continue
        if np.asarray(init, dtype) == np.asarray(identity(dtype), dtype):
            return prim
    return None


def _agrees(computation: Callable[..., Any], ufunc: Any, dtype: np.dtype) -> bool:
    x, y = np.array([(2, 3), (5, 1), (4, 4), (7, 6), (0, 9), (8, 0), (0, 0)]).astype(dtype).T
    try:
        with tracing(base_trace()):
            got = np.asarray(computation(x, y))
    except Exception:  # a computation that only works on tracers is simply not recognised
        return False
    return got.shape == x.shape and bool((got == ufunc(x, y)).all())


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[..., Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Reduces each window of ``operand`` by ``computation`` from ``init_value`` on. Padding has that value too.

    Args:
        operand: the array, or a tree of arrays of one shape.
        init_value: a scalar of its dtype, or a tree of them.
        computation: an associative function of two elements, or of two trees of them. Sums, maxima and minima
            that start from their identity run as one operation; anything else combines the elements of a window one
            after another.
        window_dimensions, window_strides: an integer per axis.
        padding: "VALID", "SAME", "SAME_LOWER" or (low, high) per axis.
        base_dilation, window_dilation: holes between elements of the operand and of the window, per axis.
    """
    leaves, treedef = tree.flatten(operand)
    if not treedef.is_leaf():
        inits = tree.flatten_up_to(treedef, init_value, "init_value")
        window = window_dimensions, window_strides, padding, base_dilation, window_dilation
        return tree.unflatten(treedef, _reduce_windows(leaves, inits, treedef, computation, window))
    aval = aval_of(operand)
    if aval_of(init_value).shape:
        raise ShapeError(f"[reduce_window] expected a scalar init_value, got {aval_of(init_value)}.")
    window = window_params(
        "reduce_window", aval, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    init = np.asarray(init_value, aval.dtype) if is_python_scalar(init_value) else init_value
    if aval_of(init).dtype != aval.dtype:
        raise DtypeError(f"[reduce_window] expected init_value of {aval.dtype.name}, got {aval_of(init)}.")
    prim = _monoid(computation, aval.dtype, init)
    if prim is not None:
        return prim.bind(operand, **window)
    start = full(_window_shape("reduce_window", aval, window), init)
    return functools.reduce(computation, window_slices(operand, init, window), start)


def _reduce_windows(operands: Sequence[Any], inits: Sequence[Any], treedef: Any, computation: Any, w: Any) -> list[Any]:
    """The windows of several arrays at once, each element of a window after the other."""
    if len({aval_of(x).shape for x in operands}) > 1:
        shown = ", ".join(str(aval_of(x)) for x in operands)
        raise ShapeError(f"[reduce_window] expected operands of one shape, got {shown}.")
    totals, places = [], []
    for x, init in zip(operands, inits):
        aval = aval_of(x)
        fill = np.asarray(init, aval.dtype) if is_python_scalar(init) else as_dtype(init, aval.dtype)
        window = window_params("reduce_window", aval, *w)
        totals.append(full(_window_shape("reduce_window", aval, window), fill))
        places.append(window_slices(x, fill, window))
    for elements in zip(*places):
        found = computation(*(tree.unflatten(treedef, list(v)) for v in (totals, elements)))
        totals = tree.flatten_up_to(treedef, found, "what computation returned")
    return totals


def window_params(
    op: str,
    aval: Aval,
    dimensions: Any,
    strides: Any,
    padding: Any,
    base_dilation: Any = None,
    window_dilation: Any = None,
) -> dict[str, Any]:
    """Checked parameters of the window primitives."""
    n = aval.ndim
    window = {
        "window_dimensions": checked_ints(op, "window dimensions", dimensions, n),
        "window_strides": checked_ints(op, "strides", strides, n),
        "base_dilation": checked_ints(op, "base dilation", base_dilation, n),
        "window_dilation": checked_ints(op, "window dilation", window_dilation, n),
    }
    if isinstance(padding, str):
        windows = [dilated(w, d) for w, d in zip(window["window_dimensions"], window["window_dilation"])]
        padding = padtype_to_pads(aval.shape, windows, window["window_strides"], padding)
    return {**window, "padding": checked_pads(op, padding, n)}


def _face(prim: Primitive, what: str) -> Any:
    def function(operand: Any, window_dimensions: Any, window_strides: Any = None, padding: Any = "VALID",
                 base_dilation: Any = None, window_dilation: Any = None) -> Any:  # fmt: skip
        window = window_params(
            prim.name, aval_of(operand), window_dimensions, window_strides, padding, base_dilation, window_dilation
        )
        return prim.bind(operand, **window)

    function.__name__ = function.__qualname__ = prim.name
    function.__doc__ = f"The {what} of each window; padding counts as {what}'s identity."
    return function


reduce_window_sum = _face(reduce_window_sum_p, "sum")
reduce_window_max, reduce_window_min = _face(reduce_window_max_p, "maximum"), _face(reduce_window_min_p, "minimum")


def select_and_scatter_add(source: Any, operand: Any, select: str, window_dimensions: Any, window_strides: Any = None,
                           padding: Any = "VALID") -> Any:  # fmt: skip
    """Zeros of operand's shape with each element of ``source`` added where its window has its first winner.

    ``select`` is "ge" (the greatest wins) or "le" (the least). NaN wins over everything.
    """
    window = window_params("select_and_scatter_add", aval_of(operand), window_dimensions, window_strides, padding)
    plain = {k: window[k] for k in ("window_dimensions", "window_strides", "padding")}
    return select_and_scatter_add_p.bind(instantiate(source), operand, select=select, **plain)
