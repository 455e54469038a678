"""Functions that make arrays: from data, from a value, and as sequences of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array, DeviceArray, from_numpy, of_scalar
from anejax.core.aval import checked_shape
from anejax.core.trace import Tracer, aval_of, conversion_of
from anejax.errors import DtypeError, RefusedError, ShapeError, TracerIntegerConversionError
from anejax.numpy.operands import (
    as_array,
    as_int,
    astype,
    check_device,
    convert_numpy,
    finish,
    inexact,
    is_scalar,
    result_dtype,
    strong,
)
from anejax.ops import arithmetic, elementwise
from anejax.ops import shape as shape_ops

# --- from data ----------------------------------------------------------------------------------------------------


def array(
    object: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """An array of the data in ``object``: an array, a number, or nested lists of them. NumPy arrays are copied.

    Args:
        object: what to convert. Lists may hold tracers.
        dtype: the dtype of the result; found by promotion when None. 64-bit types become 32-bit unless x64 is on.
        copy: whether an anejax array is copied rather than returned as it is.
        ndmin: the least rank; axes of length 1 are put in front.

    Raises:
        DtypeError: the data are strings or objects. ShapeError: nested lists are ragged.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.array([[1, 2], [3, 4]], jnp.float32)
        Array([[1., 2.],
               [3., 4.]], dtype=float32)
    """
    if order not in ("K", None):
        raise RefusedError(
            f"[array] expected order 'K', got {order!r}: arrays are dense, and have the order that they have."
        )
    check_device("array", device, out_sharding)
    out = _from_data(object, dtypes.canonical(dtype) if dtype is not None else None)
    if copy and out is object and isinstance(out, DeviceArray):
        out = from_numpy(out.value.copy(), out.weak_type)
    if aval_of(out).ndim < ndmin:
        out = shape_ops.expand_dims(out, range(ndmin - aval_of(out).ndim))
    return out


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None, device: Any = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """``a`` as an array; anejax arrays of that dtype are returned as they are, NumPy arrays copied.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.asarray([1.0, 2.0])
        Array([1., 2.], dtype=float32)
    """
    return array(a, dtype, copy=bool(copy), order=order, device=device, out_sharding=out_sharding)


def _from_data(x: Any, dtype: np.dtype | None) -> Array:
    if isinstance(x, Array):
        return finish(astype(x, dtype) if dtype is not None else x) if dtype is None else strong(astype(x, dtype))
    if is_scalar(x):
        if dtype is None:
            return of_scalar(x)
        if dtype in dtypes.INTS and type(x) is int and not np.iinfo(dtype).min <= x <= np.iinfo(dtype).max:
            raise OverflowError(f"[array] the Python integer {x} does not fit {dtype.name}.")
        return as_array("array", astype(x, dtype))
    if isinstance(x, (list, tuple)):
        return _from_list(x, dtype)
    if isinstance(x, (np.ndarray, np.generic)):
        return from_numpy(convert_numpy(x, dtype or dtypes.canonical(x.dtype)))
    convert = conversion_of(x)
    if convert is not None:
        return _from_data(convert(), dtype)
    if x is None or isinstance(x, (str, bytes, dict, set)):
        raise DtypeError(f"[array] expected an array, a number or lists of them, got {type(x).__name__}.")
    return _from_data(np.asarray(x), dtype)


def _from_list(x: Sequence[Any], dtype: np.dtype | None) -> Array:
    leaves = _leaves(x)
    _refuse_what_is_no_number(leaves, dtype)
    if dtype is None:
        dtype = _joint_dtype(leaves)
    if any(isinstance(leaf, Array) or _converts(leaf) for leaf in leaves):
        rows = [_from_data(row, dtype) for row in x]
        if len({r.shape for r in rows}) > 1:
            raise ShapeError(f"[array] expected rows of one shape, got {', '.join(str(r.aval) for r in rows)}.")
        return shape_ops.concatenate([shape_ops.expand_dims(r, (0,)) for r in rows], 0)
    try:
        data = np.array(x) if leaves else np.zeros(np.shape(x), dtype)
    except ValueError:
        raise ShapeError("[array] expected nested lists of equal lengths, got ragged ones.") from None
    if data.dtype == object or data.dtype.kind not in "biufcV":
        _check_integers(leaves)
        data = np.array(x, dtype)
    if dtype in dtypes.INTS and data.dtype.kind in "iu" and data.size:
        info = np.iinfo(dtype)
        if data.min() < info.min or data.max() > info.max:
            raise OverflowError(f"[array] the integers {data.min()} to {data.max()} do not fit {dtype.name}.")
    return from_numpy(convert_numpy(data, dtype))


def _refuse_what_is_no_number(leaves: list[Any], dtype: np.dtype | None) -> None:
    """Raises DtypeError for what NumPy converts without a word: None to NaN, complex numbers to their real part."""
    for kind in {type(leaf) for leaf in leaves}:
        real = dtype is not None and dtype not in dtypes.COMPLEX
        if issubclass(kind, (str, bytes, type(None))) or (real and issubclass(kind, (complex, np.complexfloating))):
            first = next(leaf for leaf in leaves if type(leaf) is kind)
            raise DtypeError(f"[array] expected numbers{f' that fit {dtype.name}' if dtype else ''}, got {first!r}.")


def _check_integers(leaves: list[Any]) -> None:
    for leaf in leaves:
        if isinstance(leaf, int):
            of_scalar(leaf)  # raises OverflowError if the value does not fit


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in _leaves(item)]
    return [x]


def _joint_dtype(leaves: list[Any]) -> np.dtype:
    examples = {type(leaf): leaf for leaf in leaves}
    if set(examples) <= {bool, int, float, complex}:
        leaves = list(examples.values())
    leaves = [np.asarray(leaf) if not _known(leaf) else leaf for leaf in leaves]
    return result_dtype(*leaves)[0] if leaves else dtypes.canonical(dtypes.float64)


def _known(leaf: Any) -> bool:
    return is_scalar(leaf) or isinstance(leaf, (Array, np.ndarray, np.generic)) or _converts(leaf)


def _converts(leaf: Any) -> bool:
    return not isinstance(leaf, (int, float, complex, np.ndarray, np.generic)) and conversion_of(leaf) is not None


def copy(a: Any, order: str | None = None) -> Array:
    """A copy of ``a``."""
    return array(as_array("copy", a), copy=True, order=order)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Array:
    """An array of the bytes in ``buffer`` read as ``dtype``."""
    buffer = np.asarray(buffer) if isinstance(buffer, Array) else buffer
    return asarray(np.frombuffer(buffer, np.dtype(dtype), count, offset))


def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """``function`` of the index arrays of ``shape``."""
    return function(*indices(checked_shape(shape, "fromfunction"), dtype=dtype), **kwargs)


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Array:
    """The numbers in a text, separated by ``sep``, as a rank-1 array."""
    return asarray(np.fromstring(string, np.dtype(dtype), count, sep=sep))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array of the data of another library's tensor.

    Args:
        x: a tensor on the CPU that has ``__dlpack__``, of numbers or bools.
        device: None, or the CPU.
        copy: None or True: a copy, which nobody else can write. False: the memory itself, which the tensor's owner must
            not write any more.

    Raises:
        BufferError: with ``copy=False`` memory that its owner does not mark read-only, or that has to be converted.

    Example:
        >>> import numpy as np, anejax.numpy as jnp
        >>> jnp.from_dlpack(np.arange(3, dtype=np.float32))
        Array([0., 1., 2.], dtype=float32)
    """
    check_device("from_dlpack", device)
    if not hasattr(x, "__dlpack__"):
        raise DtypeError(
            f"[from_dlpack] expected another library's array, with a method __dlpack__, got {type(x).__name__}."
            " Convert lists and numbers with anejax.numpy.asarray."
        )
    found = np.from_dlpack(x)
    if copy is not False:
        return asarray(found)
    if found.flags.writeable or not found.flags.c_contiguous or dtypes.canonical(found.dtype) != found.dtype:
        raise BufferError(
            f"[from_dlpack] expected read-only, dense memory of a dtype that arrays have with copy=False, got"
            f" {found.dtype.name}{list(found.shape)}. Leave copy out."
        )
    return from_numpy(found)


# --- from a value -------------------------------------------------------------------------------------------------


def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of ``shape`` filled with ``fill_value``, a scalar or an array that broadcasts to ``shape``.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.full((2,), 7, jnp.int32)
        Array([7, 7], dtype=int32)
    """
    check_device("full", device, out_sharding)
    target = checked_shape(shape, "full")
    fill = _from_data(fill_value, dtypes.canonical(dtype) if dtype is not None else None)
    return finish(shape_ops.broadcast_to(fill, target))


def _constant(op: str, shape: Any, value: float, dtype: Any) -> Array:
    target = checked_shape(shape, op)
    constant = np.asarray(value, dtypes.canonical(dtypes.float64 if dtype is None else dtype))
    return finish(shape_ops.full(target, constant))


def zeros(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of zeros, float32 unless ``dtype`` is given.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.zeros((2, 3))
        Array([[0., 0., 0.],
               [0., 0., 0.]], dtype=float32)
    """
    check_device("zeros", device, out_sharding)
    return _constant("zeros", shape, 0, dtype)


def ones(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of ones, float32 unless ``dtype`` is given."""
    check_device("ones", device, out_sharding)
    return _constant("ones", shape, 1, dtype)


def empty(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of ``shape``; its elements are zeros."""
    check_device("empty", device, out_sharding)
    return _constant("empty", shape, 0, dtype)


def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Array:
    """An array of ``a``'s shape and dtype, unless given, filled with ``fill_value``."""
    check_device("full_like", device)
    target = a.shape if hasattr(a, "shape") else aval_of(a).shape
    target = checked_shape(shape, "full_like") if shape is not None else tuple(target)
    if dtype is not None:
        return full(target, fill_value, dtype)
    weak = a.weak_type if isinstance(a, Array) else type(a) in (int, float, complex)
    kind = aval_of(a).dtype if is_scalar(a) or not hasattr(a, "dtype") else dtypes.canonical(a.dtype)
    fill = as_array("full_like", astype(_from_data(fill_value, None), kind, weak))
    return finish(shape_ops.broadcast_to(fill if weak else strong(fill), target))


def zeros_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Zeros of ``a``'s shape and dtype, unless given."""
    check_device("zeros_like", device, out_sharding)
    return full_like(a, 0, dtype, shape)


def ones_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Ones of ``a``'s shape and dtype, unless given."""
    check_device("ones_like", device, out_sharding)
    return full_like(a, 1, dtype, shape)


def empty_like(prototype: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Array:
    """Zeros of ``prototype``'s shape and dtype, unless given."""
    return full_like(prototype, 0, dtype, shape, device=device)


# --- sequences ----------------------------------------------------------------------------------------------------


def arange(
    start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """``start``, ``start + step``, ... below ``stop``; one argument is the stop. Bounds must be concrete.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.arange(3)
        Array([0, 1, 2], dtype=int32)
    """
    check_device("arange", device, out_sharding)
    bounds = [b for b in (start, stop, step) if b is not None]
    for b in bounds:
        if aval_of(b).ndim:
            raise ShapeError(f"[arange] expected numbers, got {aval_of(b)}.")
        if isinstance(b, Tracer) and b.concrete() is None:
            raise TracerIntegerConversionError(
                f"[arange] the bounds decide the length, which must be known when tracing; got {b.describe()}. Mark the"
                " argument static (static_argnums), or take arange of the greatest length and a mask."
            )
    if any(aval_of(b).dtype in dtypes.COMPLEX for b in bounds):
        raise DtypeError("[arange] expected real bounds: complex numbers have no order, got complex ones.")
    kind = dtypes.canonical(dtype) if dtype is not None else result_dtype(*bounds)[0]
    if kind == dtypes.bool_:
        raise DtypeError("[arange] expected a dtype of numbers, got bool. Convert the result with .astype(bool).")
    start, stop, step = (None if b is None else np.asarray(b).item() for b in (start, stop, step))
    if stop is None:
        start, stop = 0, start
    if kind in dtypes.INTS and all(isinstance(b, int) for b in (start, stop, step or 1)):
        if step == 0:
            raise ShapeError("[arange] expected a step other than 0.")
        values = range(start, stop, step or 1)
        line = shape_ops.iota(kind, len(values))
        if values.step != 1:
            line = arithmetic.mul(line, np.asarray(values.step).astype(kind))
        return finish(arithmetic.add(line, np.asarray(values.start).astype(kind)) if values.start else line)
    return asarray(np.arange(start, stop, step if step is not None else 1), kind)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """``num`` evenly spaced numbers from ``start`` to ``stop``, arrays allowed, along ``axis``.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.linspace(0, 1, 3)
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    check_device("linspace", device)
    num = as_int("linspace", num, "num")
    if num < 0:
        raise ShapeError(f"[linspace] expected num to be non-negative, got {num}.")
    kind = dtypes.canonical(dtype) if dtype is not None else inexact(result_dtype(start, stop)[0])
    compute = inexact(result_dtype(start, stop, np.zeros((), kind))[0])
    start, stop = (as_array("linspace", astype(as_array("linspace", v), compute)) for v in (start, stop))
    start, stop = _same_shape("linspace", start, stop)
    div = num - 1 if endpoint else num
    step = arithmetic.div(arithmetic.sub(stop, start), np.asarray(div if div > 0 else np.nan, compute))
    if num > 1:
        rank = start.ndim + 1
        share = arithmetic.div(shape_ops.iota(compute, div), np.asarray(div, compute))
        share = shape_ops.broadcast_to(shape_ops.reshape(share, (div,) + (1,) * start.ndim), (div, *start.shape))
        begin, end = (shape_ops.broadcast_to(v, (div, *start.shape)) for v in (start, stop))
        rest = arithmetic.sub(np.ones((), compute), share)
        out = arithmetic.add(arithmetic.mul(begin, rest), arithmetic.mul(end, share))
        if endpoint:
            out = shape_ops.concatenate([out, shape_ops.expand_dims(stop, (0,))], 0)
        axis = shape_ops.check_axis("linspace", axis, rank)
        order = list(range(1, rank))
        order.insert(axis, 0)
        out = shape_ops.transpose(out, order)
    else:
        axis = shape_ops.check_axis("linspace", axis, start.ndim + 1)
        out = shape_ops.expand_dims(start, (axis,))
        if num == 0:
            out = shape_ops.slice_in_dim(out, 0, 0, axis=axis)
    if kind in dtypes.INTS:
        out = arithmetic.floor(out)
    out = strong(astype(out, kind))
    if retstep and div <= 0:
        step = asarray(np.nan, compute)  # one number has no distance to a next one
    return (out, strong(step)) if retstep else out


def _same_shape(op: str, *arrays: Any) -> tuple[Any, ...]:
    target = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(shape_ops.broadcast_to(x, target) for x in arrays)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None, *, device: Any = None) -> Array:
    """An [N, M] matrix with ones on diagonal ``k``, zeros elsewhere.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.eye(2)
        Array([[1., 0.],
               [0., 1.]], dtype=float32)
    """
    check_device("eye", device)
    n = as_int("eye", N, "N")
    m = n if M is None else as_int("eye", M, "M")
    checked_shape((n, m), "eye")
    kind = dtypes.canonical(dtypes.float64 if dtype is None else dtype)
    return astype(arithmetic.eq(*_rows_and_columns(n, m, k)), kind)


def _rows_and_columns(n: int, m: int, k: Any) -> tuple[Any, Any]:
    """Row number plus ``k``, and column number, of each element of an [n, m] matrix."""
    rows = shape_ops.broadcasted_iota(np.int32, (n, m), 0)
    return arithmetic.add(rows, astype(k, dtypes.int32)), shape_ops.broadcasted_iota(np.int32, (n, m), 1)


def identity(n: int, dtype: Any = None) -> Array:
    """The [n, n] identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Array:
    """An [N, M] matrix with ones at and below diagonal ``k``."""
    m = N if M is None else M
    kind = dtypes.canonical(dtypes.float32 if dtype is None else dtype)
    n, m = checked_shape((N, m), "tri")
    return astype(arithmetic.ge(*_rows_and_columns(n, m, k)), kind)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Array:
    """``base`` to the power of ``linspace(start, stop, num)``."""
    kind = dtypes.canonical(dtype) if dtype is not None else inexact(result_dtype(start, stop)[0])
    compute = inexact(result_dtype(start, stop, np.zeros((), kind))[0])
    exponents = linspace(start, stop, num, endpoint, dtype=compute, axis=axis)
    powers = arithmetic.pow(
        shape_ops.broadcast_to(astype(as_array("logspace", base), compute), exponents.shape), exponents
    )
    return strong(astype(powers, kind))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """``num`` numbers from ``start`` to ``stop``, both of one sign, each the same multiple of the one before.

    They are NaN where the signs differ, or where ``start`` is 0.
    """
    kind = dtypes.canonical(dtype) if dtype is not None else inexact(result_dtype(start, stop)[0])
    compute = inexact(result_dtype(start, stop, np.zeros((), kind))[0])
    first, last = (as_array("geomspace", astype(as_array("geomspace", v), compute)) for v in (start, stop))
    signs = arithmetic.sign(first)
    first, last, signs = _same_shape("geomspace", first, last, signs)
    low, high = (elementwise.log(arithmetic.div(v, signs)) for v in (first, last))
    sizes = elementwise.exp(linspace(low, high, num, endpoint, dtype=compute, axis=axis))
    target = first.shape
    spread = shape_ops.broadcast_to(signs, target)
    axis = shape_ops.check_axis("geomspace", axis, len(target) + 1)
    spread = shape_ops.broadcast_to(shape_ops.expand_dims(spread, (axis,)), sizes.shape)
    return strong(astype(arithmetic.mul(spread, sizes), kind))


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False) -> Any:
    """The index arrays of a grid: one stacked int32 array, or a tuple of open ones when ``sparse``."""
    if not isinstance(dimensions, Iterable):
        raise TypeError(f"[indices] expected a sequence of lengths, got {dimensions!r}.")
    dims = checked_shape(dimensions, "indices")
    kind = dtypes.canonical(dtype or dtypes.int64)
    if sparse:
        open_shape = lambda i: tuple(n if j == i else 1 for j, n in enumerate(dims))  # noqa: E731
        return tuple(shape_ops.reshape(shape_ops.iota(kind, n), open_shape(i)) for i, n in enumerate(dims))
    if not dims:
        return zeros((0,), kind)
    grids = [shape_ops.expand_dims(shape_ops.broadcasted_iota(kind, dims, i), (0,)) for i in range(len(dims))]
    return shape_ops.concatenate(grids, 0)
