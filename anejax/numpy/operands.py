"""Converts the user's operands to arrays of one dtype and compatible shapes. All functions of anejax.numpy start here.

Elementwise primitives take rank-0 operands beside any shape, so scalars are never broadcast.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.callers import user_called
from anejax.config import config
from anejax.core.array import Array, from_numpy, of_scalar
from anejax.core.trace import Tracer, aval_of, conversion_of, masked
from anejax.errors import ConcretizationError, DeviceError, DtypeError, RefusedError, ShapeError
from anejax.ops import elementwise, shape

ArrayLike = Array | np.ndarray | np.generic | bool | int | float | complex
Axis = int | Sequence[int] | None


def is_scalar(x: Any) -> bool:
    """Whether ``x`` is a Python number. Python numbers have weak dtypes."""
    return isinstance(x, (bool, int, float, complex)) and not isinstance(x, np.generic)


def operand(op: str, x: Any) -> Any:
    """``x`` as something that a primitive takes: an Array, a NumPy array (borrowed) or a Python number."""
    if isinstance(x, (Array, np.ndarray, np.generic, bool, int, float, complex)):
        if isinstance(x, (np.ndarray, np.generic)):
            dtypes.canonical(x.dtype)  # refuses strings and objects
        return x
    convert = conversion_of(x)
    if convert is not None:
        return operand(op, convert())
    raise DtypeError(
        f"[{op}] expected an array or a number, got {type(x).__name__}. Convert lists and the like with"
        " anejax.numpy.asarray."
    )


def as_array(op: str, x: Any) -> Array:
    """``x`` as an Array that shares no memory with the caller's NumPy arrays."""
    x = operand(op, x)
    if isinstance(x, Array):
        return x
    if is_scalar(x):
        return of_scalar(x)
    return from_numpy(convert_numpy(x, dtypes.canonical(x.dtype)))


def convert_numpy(x: Any, dtype: np.dtype) -> np.ndarray:
    """A copy of ``x``, dense and of ``dtype``, with JAX's conversions."""
    if isinstance(x, np.ma.MaskedArray):
        raise masked("array")
    x = np.asarray(x)
    if x.dtype == dtype:
        return np.array(x, order="C")
    if x.dtype.kind in "iub" and dtype in dtypes.INTS:
        return x.astype(dtype, order="C")  # wraps, as in JAX
    with np.errstate(all="ignore"):
        if x.dtype in dtypes.ALL:
            return np.array(elementwise.convert_ndarray(x, dtype), order="C")
        return x.astype(dtype, order="C")


def astype(x: Any, dtype: np.dtype, weak: bool = False) -> Any:
    """An operand converted to ``dtype``; Python numbers become rank-0 constants."""
    if is_scalar(x):
        constant = scalar(x, dtype)
        return from_numpy(constant, weak_type=True) if weak else constant
    aval = aval_of(x)
    if aval.dtype == dtype and (aval.weak_type or not weak):
        return x
    return elementwise.convert_element_type(x, dtype, weak)


def scalar(x: complex, dtype: np.dtype) -> np.ndarray:
    """A Python number as a rank-0 NumPy array of ``dtype``. Integers wrap, as in JAX, but must fit the widest type."""
    if dtype == dtypes.bool_:
        return np.asarray(x != 0)
    if isinstance(x, complex) and dtype not in dtypes.COMPLEX:
        raise DtypeError(f"[asarray] the complex number {x} does not fit {dtype.name}. Use its .real.")
    if dtype in dtypes.INTS:
        if not isinstance(x, int):
            return convert_numpy(np.asarray(x), dtype)
        return of_scalar(x).value.astype(dtype) if dtype not in (dtypes.uint32, dtypes.uint64) else wrapped(x, dtype)
    with np.errstate(over="ignore"):
        return np.asarray(x, dtype)


def wrapped(x: int, dtype: np.dtype) -> np.ndarray:
    """An integer of at most ``dtype``'s width as ``dtype``; negative ones wrap."""
    bits = dtype.itemsize * 8
    if not -(1 << (bits - 1)) <= x < 1 << bits:
        raise OverflowError(f"[asarray] the Python integer {x} does not fit {dtype.name}.")
    return np.asarray(x & ((1 << bits) - 1), dtype)


def strong(x: Any) -> Any:
    """An Array without its weak type."""
    aval = aval_of(x)
    return elementwise.convert_element_type(x, aval.dtype) if aval.weak_type else x


def result_dtype(*xs: Any, checked: bool = True) -> tuple[np.dtype, bool]:
    """(dtype, weak) in which the operands meet; ``checked`` as in ``dtypes.promote``."""
    return dtypes.promote([(a.dtype, a.weak_type) for a in map(aval_of, xs)], checked)


def inexact(dtype: np.dtype) -> np.dtype:
    """The float or complex dtype in which functions of numbers compute: float64 for 64-bit integers only."""
    if dtype in dtypes.INEXACT:
        return dtype
    return dtypes.canonical(dtypes.float64 if dtype.itemsize == 8 else dtypes.float32)


def _agree(xs: Sequence[Any]) -> bool:
    """Whether all are Arrays of one dtype, so that there is nothing to convert: by far the most frequent case."""
    if not all(isinstance(x, Array) for x in xs):
        return False
    first = xs[0].aval
    same = all(x.aval.dtype == first.dtype and x.aval.weak_type == first.weak_type for x in xs)
    return same and first.dtype.itemsize < 8  # 64-bit arrays may have to narrow


def promote(op: str, *xs: Any) -> list[Any]:
    """The operands converted to the dtype they meet in. Shapes are left alone."""
    if _agree(xs):
        return list(xs)
    xs = tuple(operand(op, x) for x in xs)
    dtype, weak = result_dtype(*xs)
    return [astype(x, dtype, weak) for x in xs]


def promote_inexact(op: str, *xs: Any, checked: bool = True) -> list[Any]:
    """The operands converted to the float or complex dtype they meet in; ``checked`` as in ``dtypes.promote``."""
    xs = tuple(operand(op, x) for x in xs)
    dtype, weak = result_dtype(*xs, checked=checked)
    return [astype(x, inexact(dtype), weak) for x in xs]


def joint_shape(op: str, shapes: Sequence[tuple[int, ...]], shown: Any = None) -> tuple[int, ...]:
    """The shape that ``shapes`` broadcast to by NumPy's rules."""
    rank = max(map(len, shapes), default=0)
    out = []
    for i in range(-rank, 0):
        lengths = {s[i] for s in shapes if len(s) >= -i} - {1}
        if len(lengths) > 1:
            raise ShapeError(f"[{op}] shapes do not broadcast: {', '.join(map(str, shown or shapes))}.")
        out.append(lengths.pop() if lengths else 1)
    return tuple(out)


def broadcast(op: str, *xs: Any) -> list[Any]:
    """The operands brought to one shape; those of rank 0 stay as they are."""
    avals = [aval_of(x) for x in xs]
    shapes = {a.shape for a in avals if a.shape}
    if len(shapes) < 2:
        return list(xs)
    if config.jax_numpy_rank_promotion != "allow" and len(set(map(len, shapes))) > 1 and user_called():
        _rank_promotion(op, avals)
    target = joint_shape(op, [a.shape for a in avals], avals)
    return [x if a.shape in ((), target) else shape.broadcast_to(x, target) for x, a in zip(xs, avals)]


def _rank_promotion(op: str, avals: Sequence[Any]) -> None:
    message = f"[{op}] operands of different ranks: {', '.join(map(str, avals))}. Add axes with x[None], or allow it"
    message += ' with anejax.config.update("jax_numpy_rank_promotion", "allow").'
    if config.jax_numpy_rank_promotion == "raise":
        raise ShapeError(message)
    warnings.warn(message, stacklevel=4)


def finish(x: Any) -> Any:
    """A result for the user: primitives' arrays as they are, NumPy constants wrapped."""
    return x if isinstance(x, Array) else as_array("array", x)


def refuse(op: str, **arguments: Any) -> None:
    """Raises RefusedError for keyword arguments that NumPy has and JAX does not take."""
    for name, value in arguments.items():
        if value is not None and value is not False:
            why = {"out": ": arrays are immutable", "out_sharding": ": arrays live on one device"}.get(name, "")
            raise RefusedError(f"[{op}] the argument {name!r} is not supported{why}; got {value!r}.")


def check_device(op: str, device: Any, out_sharding: Any = None) -> None:
    """Raises DeviceError for any device except the CPU, because it holds every array."""
    if device is not None and getattr(device, "platform", device) != "cpu":
        raise DeviceError(f"[{op}] expected the device 'cpu', got {device!r}.")
    if out_sharding is not None:
        refuse(op, out_sharding=out_sharding)


def axes_of(op: str, axis: Axis, rank: int) -> tuple[int, ...]:
    """``axis`` (None: all) as distinct axes in [0, rank)."""
    if axis is None:
        return tuple(range(rank))
    if isinstance(axis, (list, tuple)):
        return shape.check_axes(op, [as_int(op, a, "axis") for a in axis], rank)
    return (shape.check_axis(op, as_int(op, axis, "axis"), rank),)


def one_axis(op: str, axis: Any, rank: int) -> int:
    return shape.check_axis(op, as_int(op, axis, "axis"), rank)


def as_int(op: str, value: Any, what: str) -> int:
    """A concrete integer. Raises TracerIntegerConversionError for traced ones, TypeError for anything else."""
    try:
        return value.__index__()
    except AttributeError:
        raise ShapeError(f"[{op}] expected {what} to be an integer, got {value!r}.") from None


def counted(op: str, x: Any) -> np.ndarray:
    """``x`` with known values, on which the number of results depends. Raises ConcretizationError for a tracer."""
    if isinstance(x, Tracer) and x.concrete() is None:
        raise ConcretizationError(
            f"[{op}] the values of {x.describe()} decide how many results there are, which must be known when tracing."
            " Pass size=n (and fill_value): the rest is cut, what is missing is filled."
        )
    return np.asarray(x)


def concrete(op: str, x: Any, what: str) -> np.ndarray:
    """``x`` as a NumPy array when it is known; the tracer's own error naming the user's line when it is not."""
    return np.asarray(x)
