"""dot_general: the primitive behind every matrix product."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops.elementwise import convert_element_type, convert_ndarray
from anejax.ops.families import NUMBER, bilinear_jvp, check_domain, is_linear, joint_dtype, move_axis, primitive
from anejax.ops.precision import check_precision
from anejax.ops.shape import as_dtype, check_axes, inverse_permutation, transpose

Dims = tuple[int, ...]
DotDims = tuple[tuple[Dims, Dims], tuple[Dims, Dims]]  # ((x contracting, y contracting), (x batch, y batch))


def free_dims(rank: int, contracting: Dims, batch: Dims) -> Dims:
    return tuple(i for i in range(rank) if i not in contracting and i not in batch)


def _abstract(x: Aval, y: Aval, *, dimension_numbers: DotDims, preferred_element_type: Any = None) -> Aval:
    (xc, yc), (xb, yb) = dimension_numbers
    dtype = joint_dtype("dot_general", (x, y))
    check_domain("dot_general", x, NUMBER + (dtypes.bool_,))
    for what, dx, dy in (("contracting", xc, yc), ("batch", xb, yb)):
        if len(dx) != len(dy):
            raise ShapeError(f"[dot_general] expected as many {what} dimensions on both sides, got {dx} and {dy}.")
        sizes = [x.shape[i] for i in dx], [y.shape[i] for i in dy]
        if sizes[0] != sizes[1]:
            raise ShapeError(
                f"[dot_general] {what} dimensions must agree: {x} with {y} pairs axes {dx} and {dy},"
                f" that is {', '.join(map(str, sizes[0]))} with {', '.join(map(str, sizes[1]))}."
            )
    shape = (
        tuple(x.shape[i] for i in xb)
        + tuple(x.shape[i] for i in free_dims(x.ndim, xc, xb))
        + tuple(y.shape[i] for i in free_dims(y.ndim, yc, yb))
    )
    if preferred_element_type is not None and preferred_element_type.itemsize < dtype.itemsize:
        raise DtypeError(
            f"[dot_general] expected a preferred_element_type no narrower than {dtype}, got {preferred_element_type}."
            " Convert the result with .astype(...)."
        )
    weak = x.weak_type and y.weak_type and preferred_element_type is None
    return Aval(shape, preferred_element_type or dtype, weak)


_ROWS_BY_COLUMNS: DotDims = (((1,), (0,)), ((), ()))
_COMPUTED_AS_THEY_ARE = (dtypes.float32, dtypes.float64)


def _impl(x: np.ndarray, y: np.ndarray, *, dimension_numbers: DotDims, preferred_element_type: Any = None) -> Any:
    plain = dimension_numbers == _ROWS_BY_COLUMNS and x.ndim == y.ndim == 2
    if plain and x.dtype in _COMPUTED_AS_THEY_ARE and preferred_element_type in (None, x.dtype):
        return np.matmul(x, y)
    (xc, yc), (xb, yb) = dimension_numbers
    out_dtype = preferred_element_type or x.dtype
    xf, yf = free_dims(x.ndim, xc, xb), free_dims(y.ndim, yc, yb)
    sizes = lambda a, axes: tuple(a.shape[i] for i in axes)  # noqa: E731
    k = math.prod(sizes(x, xc))
    batch = sizes(x, xb)
    compute = np.float32 if x.dtype in (dtypes.float16, dtypes.bfloat16) else out_dtype
    left = x.transpose(xb + xf + xc).reshape(*batch, math.prod(sizes(x, xf)), k).astype(compute, copy=False)
    right = y.transpose(yb + yc + yf).reshape(*batch, k, math.prod(sizes(y, yf))).astype(compute, copy=False)
    out = np.matmul(left, right)
    return convert_ndarray(out.reshape(batch + sizes(x, xf) + sizes(y, yf)), np.dtype(out_dtype))


def _transpose(ct: Any, x: Any, y: Any, *, dimension_numbers: DotDims, preferred_element_type: Any = None) -> Any:
    (xc, yc), (xb, yb) = dimension_numbers
    if is_linear(x):
        return [_transpose_x(ct, x.aval, y, xc, yc, xb, yb, x_first=True), None]
    return [None, _transpose_x(ct, y.aval, x, yc, xc, yb, xb, x_first=False)]


def _transpose_x(ct: Any, x: Aval, y: Any, xc: Dims, yc: Dims, xb: Dims, yb: Dims, x_first: bool) -> Any:
    """The cotangent of the operand ``x``: ct times y over y's free axes, with its axes put back in order."""
    y_aval = aval_of(y)
    xf, yf = free_dims(x.ndim, xc, xb), free_dims(y_aval.ndim, yc, yb)
    nb = len(xb)
    first = nb + (len(xf) if x_first else 0)
    ct_y = tuple(range(first, first + len(yf)))
    y = as_dtype(y, aval_of(ct).dtype)
    # the result has x's batch axes, then its free and its contracting ones in the order in which we multiply;
    # each contracting axis is where x has the partner of y's
    partner = dict(zip(yc, xc))
    contracted = tuple(partner[i] for i in sorted(yc))
    batch = tuple(range(nb))
    if xb + contracted + xf == tuple(range(x.ndim)):
        return as_dtype(dot_general_p.bind(y, ct, dimension_numbers=((yf, ct_y), (yb, batch)),
                                            preferred_element_type=None), x.dtype)  # fmt: skip
    out = dot_general_p.bind(ct, y, dimension_numbers=((ct_y, yf), (batch, yb)), preferred_element_type=None)
    return as_dtype(transpose(out, inverse_permutation(xb + xf + contracted)), x.dtype)


def _batch(size: int, args: Any, dims: Any, *, dimension_numbers: DotDims, preferred_element_type: Any = None) -> Any:
    (x, y), (dx, dy) = args, dims
    (xc, yc), (xb, yb) = dimension_numbers
    params: dict[str, Any] = {"preferred_element_type": preferred_element_type}
    shift = lambda axes, d: tuple(a + (a >= d) for a in axes)  # noqa: E731
    if dx is not None and dy is not None:
        x, y = move_axis(x, dx, 0), move_axis(y, dy, 0)
        up = lambda axes: tuple(a + 1 for a in axes)  # noqa: E731
        numbers = ((up(xc), up(yc)), ((0, *up(xb)), (0, *up(yb))))
        return dot_general_p.bind(x, y, dimension_numbers=numbers, **params), 0
    if dx is not None:  # the mapped axis is one more free axis
        numbers = ((shift(xc, dx), yc), (shift(xb, dx), yb))
        free = free_dims(aval_of(x).ndim, numbers[0][0], numbers[1][0])
        return dot_general_p.bind(x, y, dimension_numbers=numbers, **params), len(xb) + free.index(dx)
    numbers = ((xc, shift(yc, dy)), (xb, shift(yb, dy)))
    x_free = free_dims(aval_of(x).ndim, xc, xb)
    free = free_dims(aval_of(y).ndim, numbers[0][1], numbers[1][1])
    return dot_general_p.bind(x, y, dimension_numbers=numbers, **params), len(xb) + len(x_free) + free.index(dy)


def matmul_flags(x: Aval, y: Aval, numbers: DotDims) -> tuple[bool, bool] | None:
    """(transpose_x, transpose_y) when MIL's matmul is this very product, else None."""
    (xc, yc), (xb, yb) = numbers
    lead = tuple(range(len(xb)))
    plain = x.ndim == y.ndim == len(lead) + 2 and xb == lead and yb == lead and len(xc) == 1
    if not plain:
        return None
    return xc[0] == x.ndim - 2, yc[0] == y.ndim - 1


def _mil(ctx: Any, x: Any, y: Any, *, dimension_numbers: DotDims, preferred_element_type: Any = None) -> Any:
    flags = matmul_flags(ctx.in_avals[0], ctx.in_avals[1], dimension_numbers)
    same = ctx.out_avals[0].dtype == ctx.in_avals[0].dtype
    if flags is not None and same and ctx.takes("matmul", {"x": x, "y": y}):
        return ctx.emit("matmul", x=x, y=y, transpose_x=flags[0], transpose_y=flags[1])
    (xc, yc), (xb, yb) = dimension_numbers
    return ctx.emit_aj(x=x, y=y, x_contracting=list(xc), y_contracting=list(yc), x_batch=list(xb), y_batch=list(yb))


dot_general_p: Primitive = primitive("dot_general")
dot_general_p.fill(
    abstract=_abstract, impl=_impl, jvp=bilinear_jvp(dot_general_p), transpose=_transpose, batch=_batch, mil=_mil
)


def _of_one_dtype(x: Any, y: Any, preferred: np.dtype | None) -> tuple[Any, Any]:
    """The factors in the dtype they meet in; integers in that of the result where it has floats."""
    one, two = aval_of(x), aval_of(y)
    joint = one.dtype if one.dtype == two.dtype else dtypes.join(one.dtype, two.dtype)
    if preferred is not None and preferred in dtypes.INEXACT and joint not in dtypes.INEXACT:
        joint = preferred if preferred.itemsize >= joint.itemsize else joint
    return tuple(convert_element_type(v, joint) if a.dtype != joint else v for v, a in ((x, one), (y, two)))  # type: ignore[return-value]


def _rank(dtype: np.dtype) -> tuple[Any, ...]:
    """The key that XLA compares to find the dtype of a product (HigherPrecisionType in xla/primitive_util.h)."""
    part = dtypes.real_part(dtype)
    limits = dtypes.finfo(part) if part in dtypes.FLOATS else None
    bits = 1 if part == dtypes.bool_ else dtypes.itemsize_bits(part)
    floats = (limits.maxexp, limits.nmant) if limits else (-1, -1)
    return dtype in dtypes.COMPLEX, *floats, bits, part not in dtypes.UNSIGNED


def _result_dtype(x: Aval, y: Aval, preferred: np.dtype | None) -> np.dtype:
    own = builtins.max((x.dtype, y.dtype), key=_rank)
    if preferred is None or own in dtypes.FLOATS or _rank(preferred)[3] >= _rank(own)[3]:
        return preferred or own
    raise DtypeError(
        f"[dot_general] expected a preferred_element_type no narrower than {own}, got {preferred}."
        " Convert the result with .astype(...)."
    )


def _holds(result: np.dtype, factors: np.dtype) -> bool:
    """Whether sums of such factors can be made in ``result`` without more loss than one conversion at the end has."""
    if result.itemsize < factors.itemsize or result == dtypes.bool_ != factors:
        return False
    return factors not in dtypes.INEXACT or result in (dtypes.COMPLEX if factors in dtypes.COMPLEX else dtypes.INEXACT)


def dot_general(
    lhs: Any, rhs: Any, dimension_numbers: Any, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """The product of ``lhs`` and ``rhs`` summed over contracting axes, one product per index of the batch axes.

    Args:
        lhs, rhs: arrays; those of different dtypes are converted to the one they meet in.
        dimension_numbers: ``((lhs_contracting, rhs_contracting), (lhs_batch, rhs_batch))``, sequences of axes.
        precision: accepted for compatibility; float32 products are always computed in float32.
        preferred_element_type: the dtype of the result; the operands' when None, and of operands of two dtypes the
            one of more exponent bits, or else more bits, as in XLA. A narrower one is converted to behind the sum.

    Returns:
        An array whose axes are the batch axes, then the free axes of ``lhs``, then those of ``rhs``.

    Raises:
        ShapeError: lengths of paired axes differ. DtypeError: ``preferred_element_type`` is narrower than integers or
            complex numbers. ValueError: ``precision`` names none.
    """
    check_precision("dot_general", precision)
    (lc, rc), (lb, rb) = dimension_numbers
    nl, nr = aval_of(lhs).ndim, aval_of(rhs).ndim
    numbers = (
        (check_axes("dot_general", lc, nl), check_axes("dot_general", rc, nr)),
        (check_axes("dot_general", lb, nl), check_axes("dot_general", rb, nr)),
    )
    preferred = dtypes.canonical(preferred_element_type) if preferred_element_type is not None else None
    first, second = aval_of(lhs), aval_of(rhs)
    if first.dtype != second.dtype or preferred is not None:
        preferred = _result_dtype(first, second, preferred)
    lhs, rhs = _of_one_dtype(lhs, rhs, preferred)
    if preferred is None or _holds(preferred, aval_of(lhs).dtype):
        return dot_general_p.bind(lhs, rhs, dimension_numbers=numbers, preferred_element_type=preferred)
    out = dot_general_p.bind(lhs, rhs, dimension_numbers=numbers, preferred_element_type=None)
    return convert_element_type(out, preferred)


def dot(
    lhs: Any, rhs: Any, *, dimension_numbers: Any = None, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """Vector and matrix products of rank 1 and 2: the last axis of ``lhs`` with the first of ``rhs``.

    With ``dimension_numbers`` it is ``dot_general``.
    """
    if dimension_numbers is None:
        left, right = aval_of(lhs), aval_of(rhs)
        if not (1 <= left.ndim <= 2 and 1 <= right.ndim <= 2):
            raise ShapeError(f"[dot] expected arrays of rank 1 or 2, got {left} and {right}. Use anejax.numpy.matmul.")
        dimension_numbers = ((left.ndim - 1,), (0,)), ((), ())
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)
