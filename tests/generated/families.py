"""Ways to draw arguments that many functions share: one array, two that broadcast, an array and axes, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.generated.draw import ANY, Call, Draw
from tests.generated.spec import Build


def unary(dtypes: Sequence[str] = ANY, low: float = -3, high: float = 3, rank: tuple[int, int] = (0, 3)) -> Build:
    """One array of any shape, sometimes a Python scalar."""

    def build(d: Draw, name: str) -> Call:
        dtype = d.dtype(dtypes)
        x = d.scalar(dtype) if d.chance(12) and rank[0] == 0 else d.array(d.shape(*rank), dtype, low, high)
        return d.call(name, x)

    return build


def pair(d: Draw, dtypes: Sequence[str], low: float = -3, high: float = 3, rank: int = 3) -> tuple[Any, Any]:
    """Two operands that broadcast, of one dtype or of two; one of them sometimes a Python scalar."""
    shape = d.shape(0, rank)
    first = d.dtype(dtypes)
    second = first if d.flag() else d.dtype(dtypes)
    x, y = d.array(shape, first, low, high), d.array(d.partner(shape), second, low, high)
    form = d.pick("arrays", "arrays", "arrays", "scalar first", "scalar second", "swapped")
    if form == "scalar first":
        return d.scalar(second), x
    if form == "scalar second":
        return x, d.scalar(second)
    return (y, x) if form == "swapped" else (x, y)


def binary(dtypes: Sequence[str] = ANY, low: float = -3, high: float = 3) -> Build:
    return lambda d, name: d.call(name, *pair(d, dtypes, low, high))


def reduction(
    dtypes: Sequence[str] = ANY, low: float = -3, high: float = 3, empty: bool = True, **options: Any
) -> Build:
    """An array, axes, keepdims; ``options`` are keywords and their values, or functions of (d, x, axes)."""

    def build(d: Draw, name: str) -> Call:
        shape = d.shape() if empty else d.filled()
        x = d.array(shape, d.dtype(dtypes), low, high)
        axes = d.axes(x.ndim)
        kwargs = {"axis": axes} if axes is not None or d.flag() else {}
        for key, values in {"keepdims": (True, False), **options}.items():
            if values is not None and d.flag():
                kwargs[key] = values(d, x, axes) if callable(values) else d.pick(*values)
        return d.call(name, x, **kwargs)

    return build


def where_mask(d: Draw, x: Any, axes: Any) -> Any:
    return d.array(d.partner(x.shape)[-x.ndim :] if x.ndim else (), "bool")


def along(
    dtypes: Sequence[str] = ANY, low: float = -3, high: float = 3, none: bool = True, empty: bool = True, **options: Any
) -> Build:
    """An array of rank 1 or more and one axis, by keyword."""

    def build(d: Draw, name: str) -> Call:
        x = d.array(d.shape(1) if empty else d.filled(1), d.dtype(dtypes), low, high)
        kwargs: dict[str, Any] = {"axis": d.axis(x.ndim)} if d.flag() or not none else {}
        if none and d.chance(4):
            kwargs["axis"] = None
        for key, values in options.items():
            if d.flag():
                kwargs[key] = values(d, x, kwargs.get("axis")) if callable(values) else d.pick(*values)
        return d.call(name, x, **kwargs)

    return build
