"""Dtypes as callables, constants, and functions that compare dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.config import config
from anejax.core.array import Array
from anejax.core.keys import KeyArray
from anejax.numpy.creation import asarray


class ScalarType(type):
    """The class of ``float32`` and the like, which have no instances: a dtype that is also a function.

    ``float32(1.0)`` makes an array, ``np.dtype(float32)`` is the dtype, and ``float32`` equals NumPy's class and dtype
    of that name. No array is an instance of it, as in jax.
    """

    dtype: np.dtype

    def __new__(cls, dtype: np.dtype) -> ScalarType:
        name = "bool_" if dtype == dtypes.bool_ else dtype.name
        doc = f"The dtype {dtype.name}. ``{name}(x)`` makes an array of it."
        return super().__new__(cls, name, (), {"dtype": dtype, "__module__": "anejax.numpy", "__doc__": doc})

    def __init__(cls, dtype: np.dtype) -> None:
        super().__init__(cls.__name__, (), {})

    def __call__(cls, x: Any) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return asarray(x, cls.dtype)

    def __eq__(cls, other: object) -> bool:
        return cls is other or (isinstance(other, (type, np.dtype)) and bool(cls.dtype.type == other))

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


bool_ = ScalarType(dtypes.bool_)
int8, int16, int32, int64 = map(ScalarType, dtypes.SIGNED)
uint8, uint16, uint32, uint64 = map(ScalarType, dtypes.UNSIGNED)
float16, bfloat16, float32, float64 = map(ScalarType, dtypes.FLOATS)
complex64, complex128 = map(ScalarType, dtypes.COMPLEX)
int_, uint, float_, single, double = int64, uint64, float64, float32, float64
complex_, csingle, cdouble = complex128, complex64, complex128

generic, number, integer, signedinteger, unsignedinteger = (
    np.generic,
    np.number,
    np.integer,
    np.signedinteger,
    np.unsignedinteger,
)
inexact, floating, complexfloating, flexible, character, object_ = (
    np.inexact,
    np.floating,
    np.complexfloating,
    np.flexible,
    np.character,
    np.object_,
)

dtype = np.dtype
iterable = np.iterable
pi, e, euler_gamma, inf, nan, newaxis = np.pi, np.e, np.euler_gamma, np.inf, np.nan, None


def finfo(dtype: Any) -> Any:
    """Machine limits of a float dtype, or that of an array: eps, max, min, tiny, bits. bfloat16 included; of a complex
    dtype those of its parts.

    Raises:
        ValueError: ``dtype`` is not that of floats or complex numbers.
    """
    return dtypes.finfo(dtype)


def iinfo(int_type: Any) -> Any:
    """Limits of an integer dtype, or that of an array: min, max, bits.

    Raises:
        ValueError: ``int_type`` is not that of integers.
    """
    return dtypes.iinfo(int_type)


def _dtype_of(x: Any) -> Any:
    return x.dtype if hasattr(x, "dtype") and not isinstance(x, type) else x


def promote_types(a: Any, b: Any) -> np.dtype:
    """The dtype that arrays of dtypes ``a`` and ``b`` meet in; Python's int, float and complex count as weak."""
    with config.override("jax_enable_x64", True):
        pairs = [dtypes.dtype_and_weak(a), dtypes.dtype_and_weak(b)]
        joined = dtypes.promote(pairs)[0]
    asked = any(d.itemsize == 8 and not weak for d, weak in pairs)  # 64 bits stay where they were asked for
    return joined if asked else dtypes.canonical(joined)


def result_type(*args: Any) -> np.dtype:
    """The dtype that arrays, numbers and dtypes meet in.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.result_type(jnp.int32, 1.0)
        dtype('float32')
    """
    return dtypes.result_type(*args)


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether dtype ``arg1`` is ``arg2`` or below it in NumPy's hierarchy, in which bfloat16 is a floating type."""
    return dtypes.issubdtype(arg1, arg2)


_KINDS = {
    "bool": (np.bool_,),
    "signed integer": (np.signedinteger,),
    "unsigned integer": (np.unsignedinteger,),
    "integral": (np.integer,),
    "real floating": (np.floating,),
    "complex floating": (np.complexfloating,),
    "numeric": (np.number,),
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether ``dtype`` is of ``kind``: a dtype, a name such as "integral", or a tuple of those."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for k in kinds:
        if isinstance(k, str) and k in _KINDS:
            if any(issubdtype(dtype, c) for c in _KINDS[k]):
                return True
        elif np.dtype(dtypes.hierarchy(dtype)) == np.dtype(dtypes.hierarchy(k)):
            return True
    return False


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether a cast may happen under NumPy's casting rule."""
    return bool(np.can_cast(np.dtype(dtypes.hierarchy(from_)), np.dtype(dtypes.hierarchy(to)), casting))  # type: ignore[arg-type]


def iscomplexobj(x: Any) -> bool:
    """Whether ``x`` has a complex dtype."""
    if isinstance(x, KeyArray):
        return False
    return (
        bool(np.issubdtype(np.dtype(_dtype_of(x)), np.complexfloating))
        if hasattr(x, "dtype")
        else isinstance(x, complex)
    )


def isrealobj(x: Any) -> bool:
    """Whether ``x`` has a dtype that is not complex."""
    return not iscomplexobj(x)


def isscalar(element: Any) -> bool:
    """Whether ``element`` is a number or an array of rank 0."""
    if isinstance(element, (Array, np.ndarray)):
        return element.ndim == 0
    return bool(np.isscalar(element))
