"""Avals: the type of an array without its values. It consists of shape, dtype, and whether the dtype is weak."""

from __future__ import annotations

import functools
import math
import os
import threading
import weakref
from typing import Any, cast

import numpy as np

from anejax import dtypes
from anejax.errors import ConcretizationError, DtypeError, ShapeError

_Key = tuple[tuple[int, ...], np.dtype, bool]
_KEPT = 20_000  # types that are kept though nothing uses them: some MB
_AVALS: dict[_Key, Aval] = {}  # types of late, which are found fast
_USED: weakref.WeakValueDictionary[_Key, Aval] = weakref.WeakValueDictionary()  # every type that there is


class Aval:
    """Shape, dtype and weak type of an array. Immutable; equal avals are one object; prints as ``float32[8,2]``."""

    __slots__ = ("__weakref__", "dtype", "shape", "weak_type")
    shape: tuple[int, ...]
    dtype: np.dtype
    weak_type: bool

    def __new__(cls, shape: tuple[int, ...], dtype: np.dtype, weak_type: bool = False) -> Aval:
        # one object for each type: a jitted call compares the avals of all its leaves with those it was staged for
        found = _AVALS.get((shape, dtype, weak_type))
        return _new(cls, shape, dtype, weak_type) if found is None else found

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("an Aval is immutable")

    def __reduce__(self) -> Any:
        return Aval, (self.shape, self.dtype, self.weak_type)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def update(self, **changes: Any) -> Aval:
        fields: dict[str, Any] = {"shape": self.shape, "dtype": self.dtype, "weak_type": self.weak_type, **changes}
        return Aval(**fields)

    def strong(self) -> Aval:
        return self.update(weak_type=False) if self.weak_type else self

    strip_weak_type = strong  # jax's name

    def tangent(self) -> Aval:
        """The aval of tangents and cotangents of an array of this aval."""
        return Aval(self.shape, dtypes.tangent(self.dtype), self.weak_type and dtypes.is_inexact(self.dtype))

    def same_type(self, other: Aval) -> bool:
        """Whether both avals are equal except for the weak type."""
        return self.shape == other.shape and self.dtype == other.dtype

    def str_short(self, short_dtypes: bool = False) -> str:
        """``float32[8,2]``, or ``f32[8,2]`` with ``short_dtypes``."""
        return f"{dtypes.short_name(self.dtype)}[{_dims(self.shape)}]" if short_dtypes else str(self)

    def short(self) -> str:
        """``f32[8,2]``, as Graphs print it; weak types have a ``*``."""
        return f"{dtypes.short_name(self.dtype)}{'*' if self.weak_type else ''}[{_dims(self.shape)}]"

    def __str__(self) -> str:
        return type_text(self)

    def __repr__(self) -> str:
        return f"Aval({self}{', weak_type=True' if self.weak_type else ''})"


def _new(cls: type[Aval], shape: Any, dtype: Any, weak_type: bool) -> Aval:
    """An Aval of types not seen of late; users may give the dtype as anything that means one."""
    shape, weak_type = tuple(shape), bool(weak_type)
    of = cast("np.dtype[Any]", dtype) if isinstance(dtype, np.dtype) else dtypes.canonical(dtype)
    key = (shape, of, weak_type)
    made = object.__new__(cls)
    for name, value in zip(("shape", "dtype", "weak_type"), key):
        object.__setattr__(made, name, value)
    with _lock:
        found = _USED.setdefault(key, made)
        if len(_AVALS) >= _KEPT:
            _AVALS.clear()
        _AVALS[key] = found
    return found


def _after_fork() -> None:
    """Another thread may have held the lock, and is not in the child."""
    global _lock
    _lock = threading.Lock()


_lock = threading.Lock()
os.register_at_fork(after_in_child=_after_fork)


def _dims(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape))


def type_text(x: Any) -> str:
    """``float32[8,2]`` of anything with a shape and a dtype."""
    return f"{dtypes.name(x.dtype)}[{_dims(x.shape)}]"


def checked_shape(shape: Any, op: str) -> tuple[int, ...]:
    """``shape`` (an int or a sequence of them) as a tuple of non-negative ints; raises ShapeError naming ``op``."""
    one = isinstance(shape, (int, np.integer)) or getattr(shape, "ndim", None) == 0
    try:
        listed = cast("Any", (shape,) if one else shape)
        dims = tuple(d.__index__() for d in listed)
    except ConcretizationError:
        raise  # it says more: a traced value was given as a length
    except (TypeError, AttributeError):
        raise ShapeError(f"[{op}] expected a shape of integers, got {shape!r}.") from None
    if any(d < 0 for d in dims):
        raise ShapeError(f"[{op}] expected a shape of non-negative integers, got {dims}.")
    return dims


class ShapeDtypeStruct:
    """The shape and dtype of an array without data. ``eval_shape`` returns it and ``lower`` accepts it.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.eval_shape(lambda x: x @ x.T, aj.ShapeDtypeStruct((3, 4), jnp.float32))
        ShapeDtypeStruct(shape=(3, 3), dtype=float32)
    """

    __slots__ = ("dtype", "shape", "sharding", "weak_type")
    dtype: np.dtype
    shape: tuple[int, ...]
    sharding: Any
    weak_type: bool

    def __init__(self, shape: Any, dtype: Any, *, sharding: Any = None, weak_type: bool = False) -> None:
        """``sharding`` is kept and changes nothing: arrays lie on one device. Raises DtypeError without a dtype."""
        if dtype is None:
            raise DtypeError("[ShapeDtypeStruct] expected a dtype, got None.")
        set_ = object.__setattr__
        set_(self, "shape", checked_shape(shape, "ShapeDtypeStruct"))
        set_(self, "dtype", dtypes.canonical(dtype))
        set_(self, "sharding", sharding)
        set_(self, "weak_type", bool(weak_type))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"[ShapeDtypeStruct] is immutable. Use s.update({name}=...).")

    def __reduce__(self) -> Any:
        return functools.partial(type(self), **self._fields()), ()

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """This one with some of shape, dtype, weak_type and sharding replaced."""
        return type(self)(**{**self._fields(), **changes})

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("[len] a ShapeDtypeStruct of rank 0 has no length.")
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ShapeDtypeStruct)
            and (self.shape, self.dtype, self.weak_type) == (other.shape, other.dtype, other.weak_type)
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))

    def __repr__(self) -> str:
        rest = f"{', weak_type=True' if self.weak_type else ''}{f', sharding={s}' if (s := self.sharding) else ''}"
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={dtypes.name(self.dtype)}{rest})"
