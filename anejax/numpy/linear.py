"""Products of arrays, all by dot_general: matmul, dot, tensordot, inner, outer, kron and others."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.direct import direct
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy.operands import as_array, as_int, astype, one_axis, operand, promote, refuse
from anejax.numpy.reductions import sum
from anejax.numpy.shaping import moveaxis, ravel
from anejax.ops import arithmetic, shape
from anejax.ops.linear import dot_general
from anejax.ops.precision import check_precision


def _product(x: Any, y: Any, numbers: Any, preferred: Any = None) -> Any:
    return dot_general(x, y, numbers, preferred_element_type=preferred)


def _pair(op: str, a: Any, b: Any) -> tuple[Any, Any]:
    x, y = promote(op, a, b)
    return as_array(op, x), as_array(op, y)


def matmul(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
) -> Array:
    """The matrix product over the last two axes, the others broadcasting; rank-1 arrays are a row and a column.

    Args:
        a: array [..., m, k] or [k]. b: array [..., k, n] or [k]. They promote to one dtype.
        precision: accepted for compatibility; float32 products are computed in float32.
        preferred_element_type: the dtype of the result, the promoted one when None.

    Raises:
        ShapeError: contracting dimensions differ, an operand has rank 0, or leading axes do not broadcast.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.matmul(jnp.ones((2, 3)), jnp.ones((3, 4))).shape
        (2, 4)
    """
    check_precision("matmul", precision)
    return _matmul(a, b) if preferred_element_type is None else _matrix_product(a, b, preferred_element_type)


@functools.partial(direct, count=2)
def _matmul(a: Any, b: Any) -> Array:
    return _matrix_product(a, b, None)


def _matrix_product(a: Any, b: Any, preferred_element_type: Any) -> Array:
    x, y = _pair("matmul", a, b)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(f"[matmul] expected arrays with an axis, got {x.aval} @ {y.aval}. Use * for scalars.")
    k, other = x.shape[-1], y.shape[-2 if y.ndim > 1 else 0]
    if k != other:
        raise ShapeError(f"[matmul] contracting dimensions must agree: {x.aval} @ {y.aval} contracts {k} with {other}.")
    x, y, batch_x, batch_y, order = _matched(x, y)
    contract = (x.ndim - 1,), (y.ndim - 2 if len(order[2]) else y.ndim - 1,)
    out = _product(x, y, (contract, (batch_x, batch_y)), preferred_element_type)
    return shape.transpose(out, _interleaved(order))


def _matched(x: Any, y: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The operands without broadcast axes, which of their axes pair up, and where each axis of the result comes from.

    A leading axis that only one operand has (or that has length 1 in the other) is a free axis of that operand, so
    nothing is ever broadcast.
    """
    lead_x, lead_y = list(x.shape[:-2]), list(y.shape[:-2])
    rank = max(len(lead_x), len(lead_y))
    lead_x, lead_y = [1] * (rank - len(lead_x)) + lead_x, [1] * (rank - len(lead_y)) + lead_y
    for n, m in zip(lead_x, lead_y):
        if n != m and 1 not in (n, m):
            raise ShapeError(f"[matmul] leading axes do not broadcast: {x.aval} @ {y.aval}.")
    both = [n == m for n, m in zip(lead_x, lead_y)]
    keep_x = [b or n != 1 for b, n in zip(both, lead_x)]
    keep_y = [b or m != 1 for b, m in zip(both, lead_y)]
    x = shape.reshape(x, tuple(n for n, keep in zip(lead_x, keep_x) if keep) + x.shape[-2:])
    y = shape.reshape(y, tuple(m for m, keep in zip(lead_y, keep_y) if keep) + y.shape[-2:])
    axes_x = [i for i, keep in enumerate(keep_x) if keep]
    axes_y = [i for i, keep in enumerate(keep_y) if keep]
    batch_x = tuple(axes_x.index(i) for i in range(rank) if both[i])
    batch_y = tuple(axes_y.index(i) for i in range(rank) if both[i])
    free_x = [i for i in axes_x if not both[i]] + ([rank] if x.ndim > 1 and len(x.shape) - len(axes_x) == 2 else [])
    free_y = [i for i in axes_y if not both[i]] + ([rank + 1] if len(y.shape) - len(axes_y) == 2 else [])
    return x, y, batch_x, batch_y, ([i for i in range(rank) if both[i]], free_x, free_y)


def _interleaved(order: Any) -> list[int]:
    came = [*order[0], *order[1], *order[2]]
    return [came.index(i) for i in sorted(came)]


def dot(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
) -> Array:
    """The product summed over the last axis of ``a`` and the second to last of ``b``; scalars multiply."""
    check_precision("dot", precision)
    x, y = _pair("dot", a, b)
    if x.ndim == 0 or y.ndim == 0:
        out = ew.multiply(x, y)
        return out if preferred_element_type is None else ew.astype_(out, preferred_element_type)
    last, first = x.ndim - 1, max(y.ndim - 2, 0)
    if x.shape[last] != y.shape[first]:
        raise ShapeError(
            f"[dot] contracting dimensions must agree: {x.aval} with {y.aval} contracts"
            f" {x.shape[last]} with {y.shape[first]}."
        )
    return _product(x, y, (((last,), (first,)), ((), ())), preferred_element_type)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The sum of products of all elements of two arrays of one size, the first conjugated."""
    check_precision("vdot", precision)
    return dot(ew.conj(ravel(a)), ravel(b), preferred_element_type=preferred_element_type)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The product summed over the last axes of both."""
    check_precision("inner", precision)
    x, y = _pair("inner", a, b)
    if x.ndim == 0 or y.ndim == 0:
        return ew.multiply(x, y)
    return tensordot(x, y, ((-1,), (-1,)), preferred_element_type=preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Array:
    """The product of every element of ``a`` with every element of ``b``, [a.size, b.size]."""
    refuse("outer", out=out)
    x, y = _pair("outer", a, b)
    return ew.multiply(shape.reshape(x, (x.size, 1)), shape.reshape(y, (1, y.size)))


def tensordot(
    a: Any,
    b: Any,
    axes: Any = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The product summed over ``axes``: a number of last and first axes, or the axes of each operand."""
    check_precision("tensordot", precision)
    x, y = _pair("tensordot", a, b)
    first, second = _paired_axes(x, y, axes)
    for i, j in zip(first, second):
        if x.shape[i] != y.shape[j]:
            raise ShapeError(f"[tensordot] axis {i} of {x.aval} and axis {j} of {y.aval} have different lengths.")
    return _product(x, y, ((first, second), ((), ())), preferred_element_type)


def _paired_axes(x: Any, y: Any, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, (int, np.integer)):
        n = int(axes)
        if not 0 <= n <= min(x.ndim, y.ndim):
            raise ShapeError(f"[tensordot] expected at most {min(x.ndim, y.ndim)} axes, got {n}.")
        return tuple(range(x.ndim - n, x.ndim)), tuple(range(n))
    first, second = axes
    as_tuple = lambda v: tuple(v) if isinstance(v, Sequence) else (v,)  # noqa: E731
    first, second = as_tuple(first), as_tuple(second)
    if len(first) != len(second):
        raise ShapeError(f"[tensordot] expected as many axes of each operand, got {first} and {second}.")
    return shape.check_axes("tensordot", first, x.ndim), shape.check_axes("tensordot", second, y.ndim)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The sum of products along one axis, the first operand conjugated, the others broadcasting."""
    check_precision("vecdot", precision)
    x, y = _pair("vecdot", x1, x2)
    x = ew.conj(x)
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    if x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"[vecdot] axes have different lengths: {x.aval} and {y.aval}.")
    out = matmul(
        shape.expand_dims(x, (x.ndim - 1,)),
        shape.expand_dims(y, (y.ndim,)),
        preferred_element_type=preferred_element_type,
    )
    return shape.squeeze(out, (out.ndim - 2, out.ndim - 1))


def matvec(x1: Any, x2: Any, /) -> Array:
    """Matrices [..., m, n] times vectors [..., n]."""
    y = as_array("matvec", x2)
    if aval_of(operand("matvec", x1)).ndim < 2 or not y.ndim:
        got = f"{aval_of(x1)} and {y.aval}"
        raise ShapeError(f"[matvec] expected a matrix [..., m, n] and a vector [..., n], got {got}.")
    out = matmul(x1, shape.expand_dims(y, (y.ndim,)))
    return shape.squeeze(out, (out.ndim - 1,))


def vecmat(x1: Any, x2: Any, /) -> Array:
    """Conjugated vectors [..., n] times matrices [..., n, m]."""
    x = ew.conj(as_array("vecmat", x1))
    if aval_of(operand("vecmat", x2)).ndim < 2 or not x.ndim:
        got = f"{x.aval} and {aval_of(x2)}"
        raise ShapeError(f"[vecmat] expected a vector [..., m] and a matrix [..., m, n], got {got}.")
    out = matmul(shape.expand_dims(x, (x.ndim - 1,)), x2)
    return shape.squeeze(out, (out.ndim - 2,))


def kron(a: Any, b: Any) -> Array:
    """The Kronecker product: ``b`` scaled by every element of ``a``, side by side."""
    x, y = _pair("kron", a, b)
    rank = max(x.ndim, y.ndim)
    x, y = (shape.expand_dims(v, range(rank - v.ndim)) for v in (x, y))
    spread_x = shape.reshape(x, tuple(n for m in x.shape for n in (m, 1)))
    spread_y = shape.reshape(y, tuple(n for m in y.shape for n in (1, m)))
    return shape.reshape(ew.multiply(spread_x, spread_y), tuple(n * m for n, m in zip(x.shape, y.shape)))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """The cross product of vectors of length 2 or 3."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = _pair("cross", a, b)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ShapeError(f"[cross] expected vectors of length 2 or 3, got {x.aval} and {y.aval}.")
    xs, ys = ([_component(v, i) for i in range(v.shape[-1])] for v in (x, y))
    minor = lambda i, j: ew.subtract(ew.multiply(xs[i], ys[j]), ew.multiply(xs[j], ys[i]))  # noqa: E731
    if len(xs) == len(ys) == 2:
        return minor(0, 1)
    zero = np.zeros((), x.dtype)
    xs, ys = (v if len(v) == 3 else [*v, shape.full(v[0].shape, zero)] for v in (xs, ys))
    parts = ew.broadcast("cross", minor(1, 2), minor(2, 0), minor(0, 1))
    joined = shape.concatenate([shape.expand_dims(p, (p.ndim,)) for p in parts], parts[0].ndim)
    return moveaxis(joined, -1, axisc)


def _component(v: Any, i: int) -> Any:
    return shape.squeeze(shape.slice_in_dim(v, i, i + 1, axis=v.ndim - 1), (v.ndim - 1,))


# --- diagonals and triangles --------------------------------------------------------------------------------------


def _mask(n: int, m: int, k: Any, compare: Any) -> Any:
    rows = arithmetic.add(shape.broadcasted_iota(np.int32, (n, m), 0), astype(k, dtypes.int32))
    return compare(rows, shape.broadcasted_iota(np.int32, (n, m), 1))


def _masked(op: str, x: Any, k: Any, compare: Any) -> Any:
    kept = _mask(x.shape[-2], x.shape[-1], k, compare)
    return ew._select(op, shape.broadcast_to(kept, x.shape), x, np.zeros((), x.dtype))


def tril(m: Any, k: int = 0) -> Array:
    """The lower triangles of matrices [..., n, m]: zero above diagonal ``k``."""
    x = as_array("tril", m)
    if x.ndim < 2:
        raise ShapeError(f"[tril] expected rank 2 or more, got {x.aval}.")
    return _masked("tril", x, k, arithmetic.ge)


def triu(m: Any, k: int = 0) -> Array:
    """The upper triangles of matrices [..., n, m]: zero below diagonal ``k``."""
    x = as_array("triu", m)
    if x.ndim < 2:
        raise ShapeError(f"[triu] expected rank 2 or more, got {x.aval}.")
    return _masked("triu", x, k, arithmetic.le)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements on diagonal ``offset`` of the plane of two axes, as a last axis."""
    x = as_array("diagonal", a)
    if x.ndim < 2:
        raise ShapeError(f"[diagonal] expected rank 2 or more, got {x.aval}.")
    i, j = one_axis("diagonal", axis1, x.ndim), one_axis("diagonal", axis2, x.ndim)
    if i == j:
        raise ShapeError(f"[diagonal] expected two different axes, got {axis1} and {axis2}.")
    x = moveaxis(x, (i, j), (-2, -1))
    k = as_int("diagonal", offset, "offset")
    n, m = x.shape[-2:]
    length = max(min(n + min(k, 0), m - max(k, 0)), 0)
    top, left = max(-k, 0), max(k, 0)
    lead = x.ndim - 2
    if length == 0:
        return shape.reshape(
            shape.slice_in_dim(shape.slice_in_dim(x, 0, 0, axis=lead), 0, 1 if m else 0, axis=lead + 1),
            (*x.shape[:-2], 0),
        )
    square = shape.slice_in_dim(shape.slice_in_dim(x, top, top + length, axis=lead), left, left + length, axis=lead + 1)
    # in a flattened [l, l] matrix the diagonal is every (l + 1)-th element
    flat = shape.reshape(square, (*x.shape[:-2], length * length))
    return shape.slice_in_dim(flat, 0, length * length, length + 1, axis=lead)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Array:
    """The sum of a diagonal."""
    from_diagonal = diagonal(a, offset, axis1, axis2)
    return sum(from_diagonal, -1, dtype, out)


def diag(v: Any, k: int = 0) -> Array:
    """The matrix with ``v`` on diagonal ``k``; of a matrix, its diagonal."""
    x = as_array("diag", v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"[diag] expected rank 1 or 2, got {x.aval}.")
    n = x.shape[0] + abs(k)
    row = shape.pad(x, np.zeros((), x.dtype), [(max(k, 0), max(-k, 0), 0)])
    spread = shape.broadcast_in_dim(row, (n, n), (1,))
    return ew._select("diag", _mask(n, n, k, arithmetic.eq), spread, np.zeros((), x.dtype))


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix with the flattened ``v`` on diagonal ``k``."""
    return diag(ravel(v), k)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:
    """The matrix whose columns are powers of ``x``."""
    x = as_array("vander", x)
    if x.ndim != 1:
        raise ShapeError(f"[vander] expected rank 1, got {x.aval}.")
    n = x.shape[0] if N is None else as_int("vander", N, "N")
    powers = shape.iota(x.dtype if x.dtype in dtypes.INTS else np.dtype(np.int32), n)
    if not increasing:
        powers = shape.rev(powers, (0,))
    return ew.power(shape.reshape(x, (x.shape[0], 1)), shape.reshape(powers, (1, n)))
