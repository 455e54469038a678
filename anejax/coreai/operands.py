"""The table from operation names to the functions that translate them, and the arguments of these functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anejax.coreai.text import Dims, Tensor
from anejax.coreai.words import Writer
from anejax.mil.opset import OPSET
from anejax.mil.program import NUMPY_DTYPES, Function, Op, Value

Writes = Callable[[Writer, "Operation"], "Tensor | Sequence[Tensor]"]
WRITERS: dict[str, Writes] = {}


def writes(*names: str) -> Callable[[Writes], Writes]:
    """Registers what writes operations."""

    def register(function: Writes) -> Writes:
        for name in names:
            WRITERS[name] = function
        return function

    return register


class Operation:
    """One operation of a program, its operands as they are in the text."""

    def __init__(self, op: Op, read: Callable[[Value], Tensor], functions: Mapping[str, Function]) -> None:
        self.name, self._op, self._read = op.name, op, read
        self.functions = functions

    def has(self, name: str) -> bool:
        return name in self._op.operands

    def tensor(self, name: str = "x") -> Tensor:
        (value,) = self._values(name)
        return self._read(value)

    def optional(self, name: str) -> Tensor | None:
        return self.tensor(name) if self.has(name) else None

    def tensors(self, name: str) -> list[Tensor]:
        return list(map(self._read, self._values(name)))

    def const(self, name: str, default: Any = None) -> Any:
        """A constant operand as Python values. If it is absent: ``default``, or the schema's default."""
        if not self.has(name):
            arg = OPSET[self.name].arg(name)
            return default if arg is None or arg.default is None else arg.default
        (value,) = self._values(name)
        return value.const if isinstance(value.const, str) else np.asarray(value.const).tolist()

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """A constant operand as an array."""
        (value,) = self._values(name)
        return np.asarray(value.const)

    def attribute(self, name: str) -> int | None:
        """An integer attribute, or None."""
        return int(np.asarray(self._op.attributes[name].const)) if name in self._op.attributes else None

    def callees(self, name: str) -> list[Function]:
        return [self.functions[str(v.const)] for v in self._values(name)]

    @property
    def shape(self) -> Dims:
        """The shape of the first result."""
        return self._op.results[0].type.shape

    @property
    def shapes(self) -> list[Dims]:
        return [r.type.shape for r in self._op.results]

    @property
    def dtype(self) -> np.dtype:
        return NUMPY_DTYPES[self._op.results[0].type.dtype]

    def _values(self, name: str) -> tuple[Value, ...]:
        given = self._op.operands.get(name, ())
        return given if isinstance(given, tuple) else (given,)
