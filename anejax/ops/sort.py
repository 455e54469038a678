"""sort, of several arrays by the first of them; and argsort and top_k, which are built on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Zero
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.ops.families import INTEGER_OUTPUT, ORDERED, batch_to, check_domain, primitive
from anejax.ops.index import GatherDimensionNumbers, gather_p
from anejax.ops.reduce import wide
from anejax.ops.shape import broadcasted_iota, check_axis, reshape, rev, slice_in_dim

sort_p = primitive("sort", multiple_results=True)


def _abstract(*xs: Aval, dimension: int, num_keys: int) -> list[Aval]:
    if not xs or not 1 <= num_keys <= len(xs):
        raise ShapeError(f"[sort] expected num_keys between 1 and the number of arrays ({len(xs)}), got {num_keys}.")
    if len({x.shape for x in xs}) > 1:
        raise ShapeError(f"[sort] expected arrays of one shape, got {', '.join(map(str, xs))}.")
    check_axis("sort", dimension, xs[0].ndim)
    for x in xs:
        check_domain("sort", x, dtypes.ALL)
    return list(xs)


def _impl(*xs: np.ndarray, dimension: int, num_keys: int) -> list[np.ndarray]:
    """Stable; NaN comes last and the two zeros are equal, as NumPy has it too."""
    keys = [key for x in xs[:num_keys] for key in _real_keys(x)]
    order = np.lexsort(keys[::-1], axis=dimension)
    return [np.take_along_axis(x, order, dimension) for x in xs]


def _real_keys(x: np.ndarray) -> list[np.ndarray]:
    """The keys by which ``x`` is sorted: complex numbers by real part, then by imaginary part."""
    if x.dtype in dtypes.COMPLEX:
        return [np.real(x), np.imag(x)]
    return [wide(x).view(np.uint8) if x.dtype == dtypes.bool_ else wide(x)]


def take_along(x: Any, indices: Any, axis: int) -> Any:
    """``x`` at ``indices``, of its shape, along ``axis``."""
    shape = aval_of(x).shape
    others = tuple(i for i in range(len(shape)) if i != axis)
    return gather_p.bind(
        x,
        reshape(indices, (*shape, 1)),
        dimension_numbers=GatherDimensionNumbers((), (axis,), (axis,), others, others),
        slice_sizes=tuple(int(n > 0) for n in shape),
        mode="promise_in_bounds",
        fill_value=None,
        unique_indices=True,
    )


def _jvp(primals: Any, tangents: Any, *, dimension: int, num_keys: int) -> Any:
    """The tangents in the order of the primals, found by sorting the positions along."""
    if all(isinstance(t, Zero) for t in tangents):
        outs = sort_p.bind(*primals, dimension=dimension, num_keys=num_keys)
        return outs, list(tangents)
    positions = broadcasted_iota(np.int32, aval_of(primals[0]).shape, dimension)
    *outs, order = sort_p.bind(*primals, positions, dimension=dimension, num_keys=num_keys)
    return outs, [t if isinstance(t, Zero) else take_along(t, order, dimension) for t in tangents]


def _batch(size: int, args: Any, dims: Any, *, dimension: int, num_keys: int) -> Any:
    args = [batch_to(a, d, size) for a, d in zip(args, dims)]
    return sort_p.bind(*args, dimension=dimension + 1, num_keys=num_keys), [0] * len(args)


def _mil(ctx: Any, *xs: Any, dimension: int, num_keys: int) -> Any:
    return ctx.emit_aj(values=xs, dimension=dimension, num_keys=num_keys)


sort_p.fill(abstract=_abstract, impl=_impl, jvp=_jvp, transpose=INTEGER_OUTPUT, batch=_batch, mil=_mil)

# --- faces ------------------------------------------------------------------------------------------------------------


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """``operand`` in ascending order along ``dimension``; NaN comes last.

    Args:
        operand: an array, or a sequence of arrays of one shape that move together.
        dimension: the axis.
        is_stable: accepted for compatibility; the order of equal elements is always kept.
        num_keys: how many of the arrays, from the first, are compared.

    Returns:
        An array, or a tuple of them.
    """
    several = isinstance(operand, (tuple, list))
    arrays = tuple(operand) if several else (operand,)
    if not arrays:
        raise ShapeError("[sort] expected at least one array.")
    axis = check_axis("sort", dimension, aval_of(arrays[0]).ndim)
    outs = sort_p.bind(*arrays, dimension=axis, num_keys=int(num_keys))
    return tuple(outs) if several else outs[0]


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """(keys in ascending order, values moved with them) along ``dimension``."""
    keys, values = sort((keys, values), dimension)
    return keys, values


def argsort(x: Any, dimension: int = -1) -> Any:
    """The int32 positions that put ``x`` in ascending order along ``dimension``; equal elements keep their order."""
    aval = aval_of(x)
    axis = check_axis("argsort", dimension, aval.ndim)
    return sort_key_val(x, broadcasted_iota(np.int32, aval.shape, axis), axis)[1]


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """The ``k`` greatest elements along ``axis`` in descending order, and their int32 positions.

    Equal elements stay in order; NaN counts as greatest.
    """
    aval, k = aval_of(operand), int(k)
    check_domain("top_k", aval, ORDERED)
    axis = check_axis("top_k", axis, aval.ndim)
    if not 0 <= k <= aval.shape[axis]:
        raise ShapeError(f"[top_k] expected k between 0 and {aval.shape[axis]} for axis {axis} of {aval}, got {k}.")
    # sorted backwards, so that turning the result around leaves equal elements in their order
    backwards = rev(operand, (axis,)), rev(broadcasted_iota(np.int32, aval.shape, axis), (axis,))
    values, positions = (rev(x, (axis,)) for x in sort(backwards, axis))
    return slice_in_dim(values, 0, k, axis=axis), slice_in_dim(positions, 0, k, axis=axis)
