"""Weights in fewer bytes: what replaces the large constants of a function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anejax.errors import ExportError, fail
from anejax.mil.program import Function, Op, Operand, Type, Value

SCHEMES = (None, "float16")
SMALLEST = 64  # elements; smaller constants are no weights, and stay as they are


def check_scheme(scheme: str | None) -> None:
    """Raise ExportError unless there is such a scheme."""
    if scheme not in SCHEMES:
        names = " or ".join(repr(s) for s in SCHEMES)
        fail("export", f"expected weights to be {names}, got {scheme!r}", ExportError)


def compressed(function: Function, scheme: str | None) -> Function:
    """``function`` with its large float32 constants stored as ``scheme`` says."""
    if scheme is None:
        return function
    twins: dict[Value, Value] = {}
    ops: list[Op] = []

    def twin(value: Value) -> Value:
        data = value.const
        if not isinstance(data, np.ndarray) or value.type.dtype != "fp32" or data.size <= SMALLEST:
            return value
        if value not in twins:
            op = _half(value, data)
            ops.append(op)
            twins[value] = op.results[0]
        return twins[value]

    def operand(given: Operand) -> Operand:
        return tuple(map(twin, given)) if isinstance(given, tuple) else twin(given)

    for op in function.ops:
        new = replace(op, operands={name: operand(given) for name, given in op.operands.items()})
        ops.append(new)
    return replace(function, ops=tuple(ops))


def _half(value: Value, data: np.ndarray) -> Op:
    """A constant of float16, and the cast that makes it what it was."""
    most = np.abs(data).max()
    if most > np.finfo(np.float16).max:
        fail("export", f"expected weights that float16 holds, got {value.name} with {most:.4g}", ExportError)
    stored = Value(f"{value.name}_half", Type("fp16", value.type.shape), data.astype(np.float16))
    dtype = Value(f"{value.name}_dtype", Type("string"), "fp32")
    return Op("cast", {"x": stored, "dtype": dtype}, (Value(value.name, value.type),))
