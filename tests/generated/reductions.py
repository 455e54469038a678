"""Specs of reductions, scans, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.generated.draw import ANY, FLOATS, INTS, NUMBERS, Call, Draw
from tests.generated.families import along, reduction, where_mask
from tests.generated.spec import spec

RESULT = ("float32", "int32", "float16")


def _median(d: Draw, name: str) -> Call:
    call = reduction(NUMBERS)(d, name)
    if not call.args[0].ndim:
        call.kwargs.pop("keepdims", None)  # jax makes rank 1 of rank 0
    return call


def _extremes(d: Draw, name: str) -> Call:
    call = reduction(initial=(-5, 1, 9))(d, name)
    call.special |= "initial" in call.kwargs and not call.args[0].size  # jax's derivative of no elements is 0 / 0
    return call


def _cumulative_product(d: Draw, name: str) -> Call:
    call = along(include_initial=(True, False), dtype=("float32",))(d, name)
    if call.args[0].dtype.kind in "iu":  # jax does not widen them, against the Array API standard
        call.kwargs["dtype"] = "float32"
    return call


spec("np.sum prod", reduction(where=where_mask, initial=(0, 2, 1.5), dtype=RESULT))
spec("np.nansum nanprod", reduction(where=where_mask, initial=(0, 2), dtype=("float32",)))
spec("np.max min amax amin nanmax nanmin", _extremes)
spec("np.all any", reduction(where=where_mask))
spec("np.mean nanmean", reduction(where=where_mask, dtype=("float32", "float16")))
spec("np.var std nanvar nanstd", reduction(NUMBERS, where=where_mask, ddof=(0, 1), dtype=("float32",)), ulps=8)
spec("np.ptp", reduction(NUMBERS, empty=False))
spec("np.count_nonzero", reduction())
spec("np.argmax argmin nanargmax nanargmin", along(keepdims=(True,)))
spec("np.cumsum cumprod nancumsum nancumprod", along(dtype=("float32", "int32")))
spec("np.cumulative_sum", along(include_initial=(True, False), dtype=("float32",)))
spec("np.cumulative_prod", _cumulative_product)
spec("np.diff", along(none=False, n=(0, 1, 2, 9), prepend=(1,), append=(2.5,)))
spec("np.median nanmedian", _median)
QUANTILE = ("linear", "lower", "higher", "nearest", "midpoint")


def _quantile(top: float) -> Any:
    def build(d: Draw, name: str) -> Call:
        x = d.array(d.shape(1), d.dtype(NUMBERS))
        q = d.pick(0.5 * top, 0.0, top, d.array((3,), "float32", 0, top, special=False))
        kwargs = {"axis": d.axes(x.ndim), **d.options(keepdims=(True,), method=QUANTILE)}
        return d.call(name, x, q, **kwargs)

    return build


spec("np.quantile nanquantile", _quantile(1.0), ulps=8)
spec("np.percentile nanpercentile", _quantile(100.0), ulps=8)


def _average(d: Draw, name: str) -> Call:
    x = d.array(d.shape(), d.dtype(NUMBERS))
    axis = d.pick(None, d.axis(x.ndim)) if x.ndim else None
    kwargs: dict[str, Any] = d.options(returned=(True,), keepdims=(True,))
    if d.flag():
        shape = x.shape if axis is None or d.flag() else x.shape[axis : axis + 1] if axis >= 0 else x.shape[axis:][:1]
        kwargs["weights"] = d.array(shape, d.dtype(FLOATS), 0.5, 3, special=False)
    return d.call(name, x, axis=axis, **kwargs)


def _two(d: Draw, name: str) -> Call:
    shape = d.shape()
    x = d.array(shape, d.dtype(), 0, 2)
    y = x if d.flag() else d.array(d.pick(shape, d.partner(shape)), d.dtype(), 0, 2)
    return d.call(name, x, y)


def _trapezoid(d: Draw, name: str) -> Call:
    y = d.array(d.filled(1), d.dtype(NUMBERS), special=False)  # jax subtracts the ends: inf - inf
    form = d.pick("plain", "dx", "x")
    extra = {"dx": {"dx": 0.5}, "x": {"x": d.array(y.shape[-1:], "float32")}, "plain": {}}[form]
    return d.call(name, y, **extra)


def _ediff1d(d: Draw, name: str) -> Call:
    return d.call(name, d.array(d.shape(), d.dtype(NUMBERS)), **d.options(to_end=(2,), to_begin=(1,)))


spec("np.average", _average)
spec("np.array_equal array_equiv allclose", _two)
spec("np.trapezoid", _trapezoid)
spec("np.ediff1d", _ediff1d)

# --- sorting, searching, sets -----------------------------------------------------------------------------------------

spec("np.sort argsort", along(descending=(True, False), stable=(True,)))


def _partition(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(NUMBERS), special=False)
    kth = d.integer(-x.shape[-1], x.shape[-1] - 1)

    def of(m: Any, x: Any) -> Any:
        out = (
            m.np.partition(x, kth) if name == "np.partition" else m.np.take_along_axis(x, m.np.argpartition(x, kth), -1)
        )
        left, right = out[..., : kth % x.shape[-1]], out[..., kth % x.shape[-1] :]
        return m.np.sort(left), m.np.sort(right)  # the order inside is anyone's

    return d.call(name, x, of=of)


def _lexsort(d: Draw, name: str) -> Call:
    shape = d.shape(1)
    return d.call(name, tuple(d.array(shape, d.dtype(), -1, 2) for _ in range(2)), **d.options(axis=(0,)))


def _searchsorted(d: Draw, name: str) -> Call:
    dtype = d.dtype(NUMBERS)
    table = np.sort(d.array(d.shape(1, 1), dtype, special=False))
    v = d.array(d.shape(), d.dtype(NUMBERS))
    return d.call(name, table, v, **d.options(side=("left", "right"), method=("scan", "sort", "compare_all")))


def _digitize(d: Draw, name: str) -> Call:
    bins = np.sort(d.array(d.shape(1, 1), "float32", special=False))
    return d.call(
        name, d.array(d.shape(), d.dtype(NUMBERS)), bins[::-1] if d.flag() else bins, **d.options(right=(True,))
    )


def _bincount(d: Draw, name: str) -> Call:
    x = d.array(d.shape(1, 1), d.dtype(INTS), -1, 6, special=False)
    weights = {"weights": d.array(x.shape, "float32", special=False)} if d.flag() else {}
    return d.call(name, x, length=d.pick(5, 8), **weights, **d.options(minlength=(3,)))


def _histogram(d: Draw, name: str) -> Call:
    empty = name == "np.histogram"  # elsewhere jax raises, where NumPy has edges
    x = d.rng.uniform(-3, 3, d.shape(1) if empty else d.filled(1)).astype(
        np.float32
    )  # off the edges, which jax rounds otherwise
    bins = d.pick(4, 1, 10, np.array([-2, 0, 0.5, 2], np.float32))
    kwargs = d.options(range=((-2, 2),)) if isinstance(bins, int) else {}
    if name == "np.histogram":
        kwargs |= d.options(density=(True,))
    return d.call(name, x, bins=bins, **kwargs)


spec("np.partition argpartition", _partition)
spec("np.lexsort", _lexsort)
spec("np.searchsorted", _searchsorted)
spec("np.digitize", _digitize)
spec("np.bincount", _bincount)
spec("np.histogram histogram_bin_edges", _histogram)


def _set(d: Draw, name: str, **options: Any) -> Call:
    x = d.array(d.shape(0, 2), d.dtype(ANY), -2, 3, special=False)
    if not x.size:  # jax leaves those as they are, whatever the size asked for
        options = {k: v for k, v in options.items() if k != "size"}
    return d.call(name, x, **d.options(**options))


def _sets(d: Draw, name: str) -> Call:
    shape = d.filled if name == "np.intersect1d" else d.shape  # jax's fails at nothing to intersect, given a size
    x, y = (d.array(shape(0, 2), d.dtype(NUMBERS), -2, 3, special=False) for _ in range(2))
    options = {"np.isin": {"invert": (True,)}, "np.intersect1d": {"return_indices": (True,)}}.get(name, {})
    return d.call(name, x, y, **d.options(**options), **({} if name == "np.isin" else d.options(size=(3, 12))))


UNIQUE = dict.fromkeys(("return_index", "return_inverse", "return_counts"), (True,))
CONCRETE: dict[str, Any] = {"staged": False, "mapped": False}  # lengths depend on values
spec("np.unique", lambda d, n: _set(d, n, axis=(0, None), size=(3, 9), **UNIQUE), **CONCRETE)
spec("np.unique_all unique_counts unique_inverse unique_values", lambda d, n: _set(d, n, size=(3, 9)), **CONCRETE)
spec("np.union1d intersect1d setdiff1d setxor1d", _sets, **CONCRETE)
spec("np.isin", _sets)
