"""Weights in fewer bytes: what replaces the large constants of a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from anejax.errors import ExportError, fail
from anejax.mil.constexpr import SCALED
from anejax.mil.program import Function, Op, Operand, Type, Value

SMALLEST = 64  # elements; smaller constants are no weights, and stay as they are
MOST = 127  # of int8, which is symmetric here

Report = Callable[[str, float], None]
Array = np.ndarray


def check_scheme(scheme: str | None, known: tuple[str, ...]) -> None:
    """Raise ExportError unless there is such a scheme."""
    if scheme is not None and scheme not in known:
        names = " or ".join(map(repr, (None, *known)))
        fail("export", f"expected weights to be {names}, got {scheme!r}", ExportError)


def compressed(function: Function, scheme: str | None, report: Report | None = None) -> Function:
    """``function`` with its large float32 constants stored as ``scheme`` says: "float16", or "int8" with a scale for
    each output channel of what has two axes or more.

    ``report`` hears the name of each weight and its error: the root of the mean square, relative to that of the weight.
    """
    if scheme is None:
        return function
    twins: dict[Value, Value] = {}
    ops: list[Op] = []

    def twin(value: Value) -> Value:
        data = value.const
        if not isinstance(data, np.ndarray) or value.type.dtype != "fp32" or data.size <= SMALLEST:
            return value
        if scheme == "int8" and data.ndim < 2:
            return value
        if value not in twins:
            op, stored = SCHEMES[scheme](value, data)
            ops.append(op)
            twins[value] = op.results[0]
            if report is not None:
                report(value.name, _error(data, stored))
        return twins[value]

    def operand(given: Operand) -> Operand:
        return tuple(map(twin, given)) if isinstance(given, tuple) else twin(given)

    for op in function.ops:
        new = replace(op, operands={name: operand(given) for name, given in op.operands.items()})
        ops.append(new)
    return replace(function, ops=tuple(ops))


def _error(data: Array, stored: Array) -> float:
    size = float(np.sqrt(np.mean(np.square(data, dtype=np.float64))))
    return float(np.sqrt(np.mean(np.square(data.astype(np.float64) - stored)))) / (size or 1.0)


def _half(value: Value, data: Array) -> tuple[Op, Array]:
    """A constant of float16, and the cast that makes it what it was."""
    most = np.abs(data).max()
    if most > np.finfo(np.float16).max:
        fail("export", f"expected weights that float16 holds, got {value.name} with {most:.4g}", ExportError)
    small = data.astype(np.float16)
    stored = Value(f"{value.name}_half", Type("fp16", value.type.shape), small)
    dtype = Value(f"{value.name}_dtype", Type("string"), "fp32")
    return Op("cast", {"x": stored, "dtype": dtype}, (Value(value.name, value.type),)), small


def _scaled(value: Value, data: Array) -> tuple[Op, Array]:
    """int8 times a scale for each output channel: the last axis of a matrix, the first one of a kernel."""
    channel = data.ndim - 1 if data.ndim == 2 else 0
    others = tuple(a for a in range(data.ndim) if a != channel)
    scale = np.maximum(np.abs(data).max(others, keepdims=True), np.finfo(np.float32).tiny) / np.float32(MOST)
    small = np.clip(np.rint(data / scale), -MOST, MOST).astype(np.int8)
    operands: dict[str, Operand] = {
        "data": Value(f"{value.name}_data", Type("int8", value.type.shape), small),
        "scale": Value(f"{value.name}_scale", Type("fp32", scale.shape), scale.astype(np.float32)),
    }
    return Op(SCALED, operands, (Value(value.name, value.type),)), small * scale


SCHEMES: dict[str, Callable[[Value, Array], tuple[Op, Array]]] = {"float16": _half, "int8": _scaled}
