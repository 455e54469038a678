"""The dtypes that anejax supports, JAX's promotion rules with weak types, and canonicalisation to 32 bits.

The promotion lattice is the one that JAX documents ("Type promotion semantics"): bool < int* < the integers < float* <
the floats and complex* < the complex types. ``int*``, ``float*`` and ``complex*`` are the weak types of Python scalars.
"""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np

from anejax.absent import getattr_of
from anejax.callers import user_called
from anejax.config import config
from anejax.errors import DtypeError
from anejax.errors import TypePromotionError as TypePromotionError

__all__ = [
    "TypePromotionError", "bfloat16", "canonicalize_dtype", "extended", "finfo", "float0", "iinfo", "issubdtype",
    "itemsize_bits", "prng_key", "result_type", "scalar_type_of"
]  # fmt: skip

bool_ = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
bfloat16 = np.dtype(ml_dtypes.bfloat16)
complex64, complex128 = np.dtype(np.complex64), np.dtype(np.complex128)
float0 = np.dtype([("float0", np.void, 0)])  # the tangent type of integers, as in JAX


class extended(np.generic):
    """The class of dtypes that NumPy does not know."""


class prng_key(extended):
    """The class of the dtype of typed keys."""


class KeyDtype:
    """The dtype of typed keys, ``key<fry>``: two words of Threefry each."""

    name, itemsize, type, kind = "key<fry>", 8, prng_key, "V"

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyDtype)

    def __hash__(self) -> int:
        return hash(KeyDtype)


KEY = KeyDtype()

FLOATS = (float16, bfloat16, float32, float64)
SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTS = SIGNED + UNSIGNED
COMPLEX = (complex64, complex128)
INEXACT = FLOATS + COMPLEX  # the dtypes that can be differentiated
REAL = (bool_,) + INTS + FLOATS
ALL = REAL + COMPLEX

_SHORT = {bool_: "bool", bfloat16: "bf16", float0: "float0"}
_SHORT.update({d: f"{d.kind}{d.itemsize * 8}" for d in INTS + INEXACT if d != bfloat16})

_NARROW = {int64: int32, uint64: uint32, float64: float32, complex128: complex64}
_PART = {complex64: float32, complex128: float64}
_WHOLE = {part: whole for whole, part in _PART.items()}


def short_name(dtype: np.dtype) -> str:
    """``f32`` for float32, as Graphs print it."""
    return _SHORT.get(dtype) or dtype.name  # NumPy makes the name anew each time


def name(dtype: np.dtype) -> str:
    return "float0" if dtype == float0 else dtype.name


def is_float(dtype: np.dtype) -> bool:
    return dtype in FLOATS


def is_complex(dtype: np.dtype) -> bool:
    return dtype in COMPLEX


def is_inexact(dtype: np.dtype) -> bool:
    return dtype in INEXACT


def is_int(dtype: np.dtype) -> bool:
    return dtype in INTS


def is_bool(dtype: np.dtype) -> bool:
    return dtype == bool_


@functools.lru_cache(maxsize=256)
def _known(dtype: Any) -> np.dtype:
    if dtype == KEY:
        return dtype
    try:
        d = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"[dtype] expected a dtype, got {dtype!r}.") from None
    d = d.newbyteorder("=") if d.byteorder not in "=|" else d
    if d == float0 or d in ALL:
        return d
    raise DtypeError(f"[dtype] {d} is not supported; expected one of {', '.join(x.name for x in ALL)}.")


def canonical(dtype: Any) -> np.dtype:
    """The dtype that anejax stores for ``dtype``: 64-bit types become 32-bit unless ``jax_enable_x64`` is on.

    Raises DtypeError for types that no array can have (strings, objects).
    """
    if dtype in (int, float, complex):  # Python's own types, as in jnp.asarray(x, float)
        dtype = np.dtype(dtype)
    try:
        d = _known(dtype)
    except DtypeError:
        raise
    except TypeError:  # unhashable: an array, a list
        raise DtypeError(
            f"[dtype] expected a dtype, got {type(dtype).__name__}. That of an array is x.dtype."
        ) from None
    return d if config.jax_enable_x64 else _NARROW.get(d, d)


def real_part(dtype: np.dtype) -> np.dtype:
    """The dtype of the real and imaginary parts of a complex dtype; any other is its own."""
    return _PART.get(dtype, dtype)


def complex_of(dtype: np.dtype) -> np.dtype:
    """The complex dtype that holds numbers of ``dtype``: complex128 for float64, complex64 for the narrower ones."""
    return dtype if dtype in COMPLEX else _WHOLE.get(dtype, complex64)


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype:
    """The dtype that an array of ``dtype`` has here: 64-bit types become 32-bit unless they are turned on."""
    return canonical(dtype)


def itemsize_bits(dtype: Any) -> int:
    """The number of bits of an element; a bool has 8."""
    return np.dtype(dtype).itemsize * 8


# --- promotion -------------------------------------------------------------------------------------------------

_WEAK_INT, _WEAK_FLOAT, _WEAK_COMPLEX = "int*", "float*", "complex*"
_WEAK_KINDS = {_WEAK_INT: INTS, _WEAK_FLOAT: FLOATS, _WEAK_COMPLEX: COMPLEX}
_UP: dict[Any, tuple[Any, ...]] = {
    bool_: (_WEAK_INT,),
    _WEAK_INT: (uint8, int8),
    uint8: (int16, uint16), uint16: (int32, uint32), uint32: (int64, uint64), uint64: (_WEAK_FLOAT,),
    int8: (int16,), int16: (int32,), int32: (int64,), int64: (_WEAK_FLOAT,),
    _WEAK_FLOAT: (bfloat16, float16, _WEAK_COMPLEX),
    bfloat16: (float32,), float16: (float32,), float32: (float64, complex64), float64: (complex128,),
    _WEAK_COMPLEX: (complex64,), complex64: (complex128,), complex128: (),
}  # fmt: skip


def _above(node: Any) -> frozenset[Any]:
    return frozenset({node}).union(*(_above(n) for n in _UP[node]))


_ABOVE = {node: _above(node) for node in _UP}


@functools.lru_cache(maxsize=1024)
def _join(nodes: frozenset[Any]) -> Any:
    common = frozenset.intersection(*(_ABOVE[n] for n in nodes))
    least = [n for n in common if common == _ABOVE[n]]
    assert len(least) == 1, nodes
    return least[0]


def _node(dtype: np.dtype, weak: bool) -> Any:
    if not weak or dtype == bool_:
        return dtype
    return next(node for node, kinds in _WEAK_KINDS.items() if dtype in kinds)


def promote(pairs: list[tuple[np.dtype, bool]], checked: bool = True) -> tuple[np.dtype, bool]:
    """The (dtype, weak) that operands of the given (dtype, weak) pairs meet in. Pure lattice, then canonical.

    Unless ``checked`` is False, users' operands are refused while promotion is strict.
    """
    first = pairs[0]
    if all(p == first for p in pairs):
        return canonical(first[0]), first[1] and first[0] != bool_
    if config.jax_numpy_dtype_promotion == "strict" and checked and user_called():
        _check_strict(pairs)
    if any(d == KEY for d, _ in pairs):
        shown = ", ".join(d.name for d, _ in pairs)
        raise DtypeError(f"[promotion] operands of {shown} have no common dtype: keys are no numbers.")
    node = _join(frozenset(_node(d, w) for d, w in pairs))
    kinds = _WEAK_KINDS.get(node)
    if kinds is not None:
        weak = [d for d, w in pairs if w and d in kinds]
        if node is _WEAK_COMPLEX:
            weak = [complex_of(d) for d, w in pairs if w and d in INEXACT]
        widest = max(weak, key=lambda d: d.itemsize) if weak else {_WEAK_INT: int64, _WEAK_FLOAT: float64}[node]
        return canonical(widest), True
    return canonical(node), False


def join(*found: np.dtype) -> np.dtype:
    """The dtype that arrays of these dtypes meet in, whatever the settings."""
    return canonical(_join(frozenset(found)))


def _check_strict(pairs: list[tuple[np.dtype, bool]]) -> None:
    """Weak integers give way to integers and floats, weak floats to floats; nothing else meets anything else."""
    strong = {d for d, w in pairs if not w or d == bool_}
    weak_float = any(w and d in FLOATS for d, w in pairs)
    weak_int = any(w and d in INTS for d, w in pairs)
    wide_enough = FLOATS if weak_float else INTS + FLOATS if weak_int else ALL
    if len(strong) > 1 or not strong <= set(wide_enough):
        raise TypePromotionError(
            f"[promotion] operands of {', '.join(f'weak {d.name}' if w else d.name for d, w in pairs)} have no common"
            " dtype while jax_numpy_dtype_promotion is strict. Convert one with .astype."
        )


def of_python(value: Any) -> tuple[np.dtype, bool] | None:
    """(dtype, weak) of a Python scalar, or None for anything else."""
    kind = type(value)
    if kind is bool:
        return bool_, False
    if kind is int:
        return canonical(int64), True
    if kind is float:
        return canonical(float64), True
    if kind is complex:
        return canonical(complex128), True
    return None


def tangent(dtype: np.dtype) -> np.dtype:
    """The dtype of tangents: floats and complex numbers are their own, everything else has float0."""
    return dtype if dtype in INEXACT else float0


def _named(x: Any, kinds: tuple[np.dtype, ...], op: str, what: str) -> np.dtype:
    """The dtype that ``x`` is, names, or has as an array or a number. Raises ValueError if it is none of ``kinds``."""
    try:
        found = np.dtype(x if isinstance(x, (type, str, np.dtype)) else getattr(x, "dtype", type(x)))
    except TypeError:
        found = None
    if found is None or found not in kinds:
        raise ValueError(f"[{op}] expected {what}, got {x!r}.")
    return found


def finfo(dtype: Any) -> Any:
    """Machine limits of a float dtype, like ``numpy.finfo``, bfloat16 included; of a complex one its parts'."""
    return ml_dtypes.finfo(real_part(_named(dtype, INEXACT, "finfo", "a dtype of floats or complex numbers")))


def iinfo(int_type: Any) -> Any:
    """Limits of an integer dtype, like ``numpy.iinfo``."""
    return ml_dtypes.iinfo(_named(int_type, INTS, "iinfo", "a dtype of integers"))


# --- questions that users ask -----------------------------------------------------------------------------------

_PYTHON = {bool: (bool_, False), int: (int64, True), float: (float64, True), complex: (complex128, True)}


def dtype_and_weak(x: Any) -> tuple[np.dtype, bool]:
    """(dtype, weak) of an array, a number, a Python type, or whatever names a dtype."""
    if isinstance(x, type) and x in _PYTHON:
        return canonical(_PYTHON[x][0]), _PYTHON[x][1]
    if isinstance(x, (str, type, np.dtype)):
        return canonical(x), False
    if (python := of_python(x)) is not None:
        return python
    if hasattr(x, "dtype"):
        return canonical(x.dtype), bool(getattr(x, "weak_type", False))
    raise DtypeError(f"[dtype] expected an array, a number or a dtype, got {x!r}.")


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype that arrays, numbers and dtypes meet in; with ``return_weak_type_flag`` (dtype, whether it is weak).

    None stands for the default float dtype. Raises ValueError without arguments.

    Example:
        >>> import numpy as np
        >>> from anejax import dtypes
        >>> dtypes.result_type(np.float16, 1.0)
        dtype('float16')
        >>> dtypes.result_type(1, 2.5, return_weak_type_flag=True)
        (dtype('float32'), True)
    """
    if not args:
        raise ValueError("[result_type] expected at least one argument.")
    found, weak = promote([(canonical(float64), False) if a is None else dtype_and_weak(a) for a in args])
    return (found, weak) if return_weak_type_flag else found


def scalar_type_of(x: Any) -> type:
    """Python's type for an element of ``x``, an array, a number or a dtype: bool, int, float or complex.

    Example:
        >>> from anejax import dtypes
        >>> dtypes.scalar_type_of("bfloat16")
        <class 'float'>
    """
    dtype = dtype_and_weak(x)[0]
    return next(kind for kind, kinds in _SCALARS.items() if dtype in kinds)


_SCALARS = {bool: (bool_,), int: INTS, float: FLOATS, complex: COMPLEX}
_ABOVE_BFLOAT16 = (ml_dtypes.bfloat16, np.floating, np.inexact, np.number, np.generic)


def issubdtype(a: Any, b: Any) -> bool:
    """Whether dtype ``a`` is ``b`` or below it in NumPy's hierarchy, in which bfloat16 is a floating type.

    Example:
        >>> import numpy as np
        >>> from anejax import dtypes
        >>> dtypes.issubdtype("bfloat16", np.floating), dtypes.issubdtype(np.int32, np.floating)
        (True, False)
    """
    one, two = hierarchy(a), hierarchy(b)
    if one == KEY:
        return two == KEY or (isinstance(two, type) and issubclass(prng_key, two))
    try:
        if isinstance(one, np.dtype) and one == bfloat16:
            return two == one or two in _ABOVE_BFLOAT16
        return one == two if isinstance(two, np.dtype) and two == bfloat16 else bool(np.issubdtype(one, two))
    except TypeError:
        raise DtypeError(f"[issubdtype] expected dtypes, got {a!r} and {b!r}.") from None


def hierarchy(x: Any) -> Any:
    """A class of NumPy's hierarchy as it is, a dtype for what names one, anything else as it is."""
    if isinstance(x, KeyDtype) or (isinstance(x, type) and issubclass(x, np.generic) and x is not ml_dtypes.bfloat16):
        return x
    try:
        return np.dtype(x)
    except TypeError:
        return x


__getattr__ = getattr_of(__name__)
