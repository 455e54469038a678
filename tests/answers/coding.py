"""Results of jax as JSON and back: arrays with their weak types, Python values, and errors."""

from __future__ import annotations

import base64
import builtins
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

SCALARS: dict[str, Callable[[str], Any]] = {
    "NoneType": lambda _: None, "bool": "True".__eq__, "int": int, "float": float, "complex": complex, "str": str,
}  # fmt: skip
LARGEST = 1 << 14  # bytes of an array on record


class Unrecordable(Exception):
    """A result that has no place on record: it then comes from jax each time."""


class Answer:
    """An array of jax on record: for NumPy an array, with the ``weak_type`` that jax gave it."""

    def __init__(self, value: np.ndarray, weak_type: bool) -> None:
        self.value, self.weak_type = value, weak_type
        self.shape, self.dtype, self.ndim, self.size = value.shape, value.dtype, value.ndim, value.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        return f"Answer({self.value!r}, weak_type={self.weak_type})"


def encode(leaves: Any) -> Any:
    """A list of results, or the error raised instead of them. Raises Unrecordable for other values."""
    if isinstance(leaves, Exception):
        kind = next(t for t in type(leaves).__mro__ if getattr(builtins, t.__name__, None) is t)
        return {"error": kind.__name__, "says": str(leaves).partition("\n")[0][:200]}
    return [_encode(leaf) for leaf in leaves]


def _encode(leaf: Any) -> Any:
    if type(leaf).__name__ in SCALARS:
        return [type(leaf).__name__, str(leaf)]
    if not hasattr(leaf, "dtype") or not isinstance(leaf.dtype, np.dtype):
        raise Unrecordable(type(leaf).__name__)
    value = np.asarray(leaf)
    if value.dtype.names or value.dtype.hasobject or value.nbytes > LARGEST:
        raise Unrecordable(f"{value.dtype}{list(value.shape)}")
    weak = getattr(leaf, "weak_type", getattr(getattr(leaf, "aval", None), "weak_type", None))
    return [value.dtype.name, list(value.shape), weak, base64.b85encode(value.tobytes()).decode()]


def decode(data: Any) -> Any:
    """What ``encode`` was given; arrays of jax are Answers, and those of NumPy are arrays."""
    if isinstance(data, dict):
        return getattr(builtins, data["error"])(data["says"])
    return [_decode(item) for item in data]


def _decode(item: Any) -> Any:
    if len(item) == 2:
        return SCALARS[item[0]](item[1])
    name, shape, weak, content = item
    dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
    value = np.frombuffer(base64.b85decode(content), dtype).reshape(shape)
    return value if weak is None else Answer(value, weak)
