"""Primitives that reduce over axes, find the position of the largest or smallest element, or accumulate along an
axis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops import complex as complexes
from anejax.ops import complex_values
from anejax.ops.arithmetic import abs, add, div, eq, lt, max, min, mul, ne, rem, select_n, sub
from anejax.ops.elementwise import convert_element_type, exp, log, log1p
from anejax.ops.families import (
    BOOL_INT,
    INEXACT,
    INTEGER_OUTPUT,
    NOT_LINEAR,
    NUMBER,
    ORDERED,
    check_domain,
    full_like,
    linear_jvp,
    primitive,
    zero_jvp,
    zeros,
)
from anejax.ops.prefixes import prefixes
from anejax.ops.shape import (
    broadcast_in_dim,
    check_axes,
    check_axis,
    check_lax_axes,
    check_lax_axis,
    pad,
    reshape,
    rev,
    transpose,
)

Dims = tuple[int, ...]


def kept(rank: int, axes: Sequence[int]) -> Dims:
    """The axes that a reduction over ``axes`` leaves."""
    return tuple(i for i in range(rank) if i not in axes)


def restore(reduced: Any, shape: Dims, axes: Dims) -> Any:
    """A reduced array repeated to the ``shape`` it was reduced from."""
    return broadcast_in_dim(reduced, shape, kept(len(shape), axes))


def wide(x: np.ndarray) -> np.ndarray:
    """16-bit floats as float32, in which they are accumulated; everything else as it is."""
    return x.astype(np.float32) if x.dtype in (dtypes.float16, dtypes.bfloat16) else x


def lowest(dtype: np.dtype) -> Any:
    """The identity of max: -inf, the least integer, or False."""
    if dtype == dtypes.bool_:
        return False
    if dtype in dtypes.COMPLEX:
        return complex(-np.inf, 0.0)
    return -np.inf if dtype in dtypes.FLOATS else np.iinfo(dtype).min


def highest(dtype: np.dtype) -> Any:
    """The identity of min: inf, the greatest integer, or True."""
    if dtype == dtypes.bool_:
        return True
    if dtype in dtypes.COMPLEX:
        return complex(np.inf, 0.0)
    return np.inf if dtype in dtypes.FLOATS else np.iinfo(dtype).max


def _batch(prim: Primitive) -> Callable[..., Any]:
    def batch(size: int, args: Any, dims: Any, *, axes: Dims) -> Any:
        (x,), (d,) = args, dims
        shifted = tuple(a + (a >= d) for a in axes)
        return prim.bind(x, axes=shifted), d - sum(a < d for a in shifted)

    return batch


def _reduction(name: str, impl: Any, *, domain: Any, jvp: Any, transpose: Any, mil: str | None = None) -> Primitive:
    """A reduction with the parameter ``axes``; reduced axes vanish."""
    prim = primitive(name)

    def abstract(x: Aval, *, axes: Dims) -> Aval:
        check_domain(name, x, domain)
        check_axes(name, axes, x.ndim)
        return x.update(shape=tuple(x.shape[i] for i in kept(x.ndim, axes)))

    def lower(ctx: Any, x: Any, *, axes: Dims) -> Any:
        if mil is not None and axes and ctx.takes(mil, {"x": x}):
            return ctx.emit(mil, x=x, axes=list(axes), keep_dims=False)
        return ctx.emit_aj(x=x, axes=list(axes))

    return prim.fill(abstract=abstract, impl=lambda x, *, axes: impl(wide(x), axes).astype(x.dtype),
                     jvp=jvp(prim) if jvp else zero_jvp(prim), transpose=transpose, batch=_batch(prim),
                     mil=lower)  # fmt: skip


def _sum_transpose(ct: Any, x: Any, *, axes: Dims) -> Any:
    return [restore(ct, x.aval.shape, axes)]


def _extremum_jvp(prim: Primitive) -> Any:
    """The tangents at the winners, shared equally among ties."""

    def jvp(primals: Any, tangents: Any, *, axes: Dims) -> Any:
        (x,), (t,) = primals, tangents
        out = prim.bind(x, axes=axes)
        shape = aval_of(x).shape
        if isinstance(t, Zero) or 0 in [shape[a] for a in axes]:
            return out, Zero(aval_of(out).tangent())
        winners = convert_element_type(eq(x, restore(out, shape, axes)), aval_of(t).dtype)
        return out, div(reduce_sum(mul(t, winners), axes), reduce_sum(winners, axes))

    return jvp


def _prod_jvp(prim: Primitive) -> Any:
    """Each tangent times the product of all the other elements, from exclusive products on both sides."""

    def jvp(primals: Any, tangents: Any, *, axes: Dims) -> Any:
        (x,), (t,) = primals, tangents
        out = prim.bind(x, axes=axes)
        if isinstance(t, Zero):
            return out, Zero(aval_of(out).tangent())
        x, t = _reduced_last(x, axes), _reduced_last(t, axes)
        last = aval_of(x).ndim - 1
        others = mul(_exclusive_products(x, last, False), _exclusive_products(x, last, True))
        return out, reduce_sum(mul(t, others), (last,))

    return jvp


def _reduced_last(x: Any, axes: Dims) -> Any:
    aval = aval_of(x)
    rest = kept(aval.ndim, axes)
    moved = transpose(x, rest + axes)
    count = int(np.prod([aval.shape[a] for a in axes], dtype=np.int64))
    return reshape(moved, (*(aval.shape[i] for i in rest), count))


def shifted(x: Any, by: int, axis: int, fill: Any) -> Any:
    """``x`` moved ``by`` places up ``axis``, with ``fill`` in front and the end cut."""
    config = [(0, 0, 0)] * aval_of(x).ndim
    config[axis] = (by, -by, 0)
    return pad(x, np.asarray(fill, aval_of(x).dtype), config)


def _exclusive_products(x: Any, axis: int, reverse: bool) -> Any:
    x = rev(x, (axis,)) if reverse else x
    out = x if aval_of(x).shape[axis] == 0 else cumprod(shifted(x, 1, axis, 1), axis)
    return rev(out, (axis,)) if reverse else out


def _np_reduce(ufunc: Any, identity: Any = None) -> Any:
    def impl(x: np.ndarray, axes: Dims) -> np.ndarray:
        start = {} if identity is None else {"initial": identity(x.dtype)}
        return np.asarray(ufunc.reduce(x, axis=axes, **start)) if axes else x

    return impl


def _np_sum(x: np.ndarray, axes: Dims) -> np.ndarray:
    return np.sum(x, axis=axes, dtype=x.dtype)


reduce_sum_p = _reduction("reduce_sum", _np_sum, domain=NUMBER, jvp=linear_jvp, transpose=_sum_transpose,
                          mil="reduce_sum")  # fmt: skip
reduce_prod_p = _reduction("reduce_prod", lambda x, axes: np.prod(x, axis=axes, dtype=x.dtype), domain=NUMBER,
                           jvp=_prod_jvp, transpose=NOT_LINEAR, mil="reduce_prod")  # fmt: skip
reduce_max_p = _reduction("reduce_max", _np_reduce(np.maximum, lowest), domain=dtypes.ALL, jvp=_extremum_jvp,
                          transpose=NOT_LINEAR, mil="reduce_max")  # fmt: skip
reduce_min_p = _reduction("reduce_min", _np_reduce(np.minimum, highest), domain=dtypes.ALL, jvp=_extremum_jvp,
                          transpose=NOT_LINEAR, mil="reduce_min")  # fmt: skip
reduce_and_p = _reduction("reduce_and", _np_reduce(np.bitwise_and), domain=BOOL_INT, jvp=None,
                          transpose=INTEGER_OUTPUT)  # fmt: skip
reduce_or_p = _reduction("reduce_or", _np_reduce(np.bitwise_or), domain=BOOL_INT, jvp=None,
                         transpose=INTEGER_OUTPUT)  # fmt: skip
reduce_xor_p = _reduction("reduce_xor", _np_reduce(np.bitwise_xor), domain=BOOL_INT, jvp=None,
                          transpose=INTEGER_OUTPUT)  # fmt: skip

# --- positions of winners ---------------------------------------------------------------------------------------------


def _position(name: str, pick: Any) -> Primitive:
    prim = primitive(name)

    def abstract(x: Aval, *, axis: int, index_dtype: np.dtype) -> Aval:
        check_domain(name, x, ORDERED)
        check_axis(name, axis, x.ndim)
        if x.shape[axis] == 0:
            raise ShapeError(f"[{name}] expected at least one element along axis {axis}, got {x}.")
        return Aval(x.shape[:axis] + x.shape[axis + 1 :], index_dtype)

    def impl(x: np.ndarray, *, axis: int, index_dtype: np.dtype) -> np.ndarray:
        if x.dtype in dtypes.FLOATS:
            x = wide(x)  # NumPy's argmax takes the first NaN; ml_dtypes' does not
        return np.asarray(pick(x, axis=axis)).astype(index_dtype)

    def batch(size: int, args: Any, dims: Any, *, axis: int, index_dtype: np.dtype) -> Any:
        d = dims[0]
        axis = axis + (axis >= d)
        return prim.bind(args[0], axis=axis, index_dtype=index_dtype), d - (axis < d)

    def lower(ctx: Any, x: Any, *, axis: int, index_dtype: np.dtype) -> Any:
        mil = f"reduce_{name}"
        if index_dtype == dtypes.int32 and ctx.takes(mil, {"x": x}):
            return ctx.emit(mil, x=x, axis=axis, keep_dims=False, output_dtype="int32")
        return ctx.emit_aj(x=x, axis=axis)

    return prim.fill(abstract=abstract, impl=impl, jvp=zero_jvp(prim), transpose=INTEGER_OUTPUT, batch=batch,
                     mil=lower)  # fmt: skip


argmax_p, argmin_p = _position("argmax", np.argmax), _position("argmin", np.argmin)

# --- cumulative operations --------------------------------------------------------------------------------------------


def _cumulative(name: str, impl: Any, *, domain: Any, combine: Any, transpose: Any) -> Primitive:
    """A cumulative operation along ``axis``, from the end when ``reverse``.

    ``combine((p, dp), (q, dq))`` is the operation on values with tangents; the JVP scans pairs of both.
    """
    prim = primitive(name)

    def abstract(x: Aval, *, axis: int, reverse: bool) -> Aval:
        check_domain(name, x, domain)
        check_axis(name, axis, x.ndim)
        return x

    def forward(x: np.ndarray, *, axis: int, reverse: bool) -> np.ndarray:
        y = np.flip(x, axis) if reverse else x
        y = impl(wide(y), axis).astype(x.dtype)
        return np.flip(y, axis) if reverse else y

    def jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (t,) = primals, tangents
        out = prim.bind(x, axis=axis, reverse=reverse)
        if isinstance(t, Zero):
            return out, Zero(aval_of(out).tangent())
        if combine is None:
            return out, prim.bind(t, axis=axis, reverse=reverse)
        flip = (lambda v: rev(v, (axis,))) if reverse else (lambda v: v)
        _, tangent = prefixes(combine, [flip(x), flip(t)], (axis, axis))
        return out, flip(tangent)

    def batch(size: int, args: Any, dims: Any, *, axis: int, reverse: bool) -> Any:
        return prim.bind(args[0], axis=axis + (axis >= dims[0]), reverse=reverse), dims[0]

    def lower(ctx: Any, x: Any, *, axis: int, reverse: bool) -> Any:
        if name == "cumsum" and ctx.takes(name, {"x": x}):
            return ctx.emit(name, x=x, axis=axis, exclusive=False, reverse=reverse)
        return ctx.emit_aj(x=x, axis=axis, reverse=reverse)

    return prim.fill(abstract=abstract, impl=forward, jvp=jvp, transpose=transpose, batch=batch,
                     mil=lower)  # fmt: skip


def _combine_prod(a: Any, b: Any) -> Any:
    return mul(a[0], b[0]), add(mul(a[1], b[0]), mul(a[0], b[1]))


def _combine_extremum(better: Any) -> Any:
    def combine(a: Any, b: Any) -> Any:
        best, tie = better(a[0], b[0]), eq(a[0], b[0])
        first = eq(best, a[0])
        half = mul(add(a[1], b[1]), np.asarray(0.5, aval_of(a[1]).dtype))
        return best, select_n(tie, select_n(first, b[1], a[1]), half)

    return combine


def log_of_sum(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)) of complex numbers without overflow, with the imaginary part between -pi and pi."""
    top = max(x, y)
    less = sub(min(x, y), top)
    out = add(top, log1p(exp(less)))
    out = select_n(ne(less, less), out, add(x, y))  # equal infinities, or NaN
    return complexes.complex(complexes.real(out), _wrapped(complexes.imag(out)))


def _wrapped(angle: Any) -> Any:
    pi, turn, zero = (np.asarray(v, aval_of(angle).dtype) for v in (np.pi, 2 * np.pi, 0))
    left = rem(add(angle, pi), turn)
    return sub(select_n(lt(left, zero), left, add(left, turn)), pi)


def _combine_logsumexp(a: Any, b: Any) -> Any:
    """Smooth at ties: whatever derivative the maximum has there, it cancels."""
    if aval_of(a[0]).dtype in dtypes.COMPLEX:
        total = log_of_sum(a[0], b[0])
        return total, add(*(mul(t, exp(sub(v, total))) for v, t in (a, b)))
    top = max(a[0], b[0])
    none = np.asarray(-np.inf, aval_of(top).dtype)
    safe = select_n(eq(abs(top), np.asarray(np.inf, aval_of(top).dtype)), top, zeros(aval_of(top)))
    both = add(exp(sub(a[0], safe)), exp(sub(b[0], safe)))
    empty = eq(both, zeros(aval_of(both)))
    total = add(safe, log(select_n(empty, both, full_like(both, 1))))
    total = select_n(empty, total, full_like(total, none))
    base = select_n(eq(total, np.asarray(-np.inf, aval_of(top).dtype)), total, zeros(aval_of(top)))
    return total, add(mul(a[1], exp(sub(a[0], base))), mul(b[1], exp(sub(b[0], base))))


def _np_cumlogsumexp(x: np.ndarray, axis: int) -> np.ndarray:
    if x.dtype in dtypes.COMPLEX:
        rows = np.moveaxis(x.astype(np.complex128), axis, 0)
        sums = np.array([*itertools.accumulate(rows, complex_values.logaddexp)]).reshape(rows.shape)
        return np.moveaxis(sums, 0, axis)
    return np.logaddexp.accumulate(x, axis=axis, dtype=x.dtype)


def _cumsum_transpose(ct: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    return [cumsum_p.bind(ct, axis=axis, reverse=not reverse)]


cumsum_p = _cumulative("cumsum", lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype), domain=NUMBER,
                       combine=None, transpose=_cumsum_transpose)  # fmt: skip
cumprod_p = _cumulative("cumprod", lambda x, axis: np.cumprod(x, axis=axis, dtype=x.dtype), domain=NUMBER,
                        combine=_combine_prod, transpose=NOT_LINEAR)  # fmt: skip
cummax_p = _cumulative("cummax", lambda x, axis: np.maximum.accumulate(x, axis=axis), domain=NUMBER,
                       combine=_combine_extremum(max), transpose=NOT_LINEAR)  # fmt: skip
cummin_p = _cumulative("cummin", lambda x, axis: np.minimum.accumulate(x, axis=axis), domain=NUMBER,
                       combine=_combine_extremum(min), transpose=NOT_LINEAR)  # fmt: skip
cumlogsumexp_p = _cumulative("cumlogsumexp", _np_cumlogsumexp, domain=INEXACT,
                             combine=_combine_logsumexp, transpose=NOT_LINEAR)  # fmt: skip

# --- faces ------------------------------------------------------------------------------------------------------------


def _face(prim: Primitive, what: str) -> Any:
    def function(operand: Any, axes: Sequence[int]) -> Any:
        return prim.bind(operand, axes=tuple(sorted(check_lax_axes(prim.name, axes, aval_of(operand).ndim))))

    function.__name__ = function.__qualname__ = prim.name
    function.__doc__ = f"{what} over ``axes``, which vanish from the shape."
    return function


reduce_sum, reduce_prod = _face(reduce_sum_p, "Sum"), _face(reduce_prod_p, "Product")
reduce_max, reduce_min = _face(reduce_max_p, "Maximum (NaN wins)"), _face(reduce_min_p, "Minimum (NaN wins)")
reduce_and, reduce_or = _face(reduce_and_p, "And of bits"), _face(reduce_or_p, "Or of bits")
reduce_xor = _face(reduce_xor_p, "Exclusive or of bits")


def _index_dtype(op: str, dtype: Any) -> np.dtype:
    found = dtypes.canonical(dtype)
    if found not in dtypes.INTS:
        raise DtypeError(f"[{op}] expected an index_dtype of integers, got {found.name}.")
    return found


def argmax(operand: Any, axis: int, index_dtype: Any = np.int32) -> Any:
    """The position of the first maximum along ``axis``; NaN counts as greatest."""
    return argmax_p.bind(
        operand,
        axis=check_lax_axis("argmax", axis, aval_of(operand).ndim),
        index_dtype=_index_dtype("argmax", index_dtype),
    )


def argmin(operand: Any, axis: int, index_dtype: Any = np.int32) -> Any:
    """The position of the first minimum along ``axis``; NaN counts as least."""
    return argmin_p.bind(
        operand,
        axis=check_lax_axis("argmin", axis, aval_of(operand).ndim),
        index_dtype=_index_dtype("argmin", index_dtype),
    )


def _cumulative_face(prim: Primitive, what: str) -> Any:
    def function(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
        return prim.bind(operand, axis=check_lax_axis(prim.name, axis, aval_of(operand).ndim), reverse=bool(reverse))

    function.__name__ = function.__qualname__ = prim.name
    function.__doc__ = f"Cumulative {what} along ``axis``, from its end when ``reverse``."
    return function


cumsum, cumprod = _cumulative_face(cumsum_p, "sum"), _cumulative_face(cumprod_p, "product")
cummax, cummin = _cumulative_face(cummax_p, "maximum"), _cumulative_face(cummin_p, "minimum")
cumlogsumexp = _cumulative_face(cumlogsumexp_p, "log of the sum of exponentials")
