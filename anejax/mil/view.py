"""The view of an operation that shape rules get: operands by name, constants as Python values, and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from anejax.errors import VerifyError, fail
from anejax.mil.opset import OpSchema
from anejax.mil.program import BlobRef, ConstData, Function, Op, Type, Value

Shape = tuple[int, ...]


@dataclass(frozen=True)
class View:
    """One operation with its schema. Readers of constants fall back on the schema's defaults."""

    op: Op
    schema: OpSchema
    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])  # of the program, by name

    def fail(self, message: str) -> NoReturn:
        fail(self.op.name, message, VerifyError)

    def expect(self, condition: bool, message: str) -> None:
        if not condition:
            types = ", ".join(f"{k}: {t}" for k, t in self.tensors())
            self.fail(f"expected {message}, got {types}" if types else f"expected {message}")

    def tensors(self) -> list[tuple[str, str]]:
        """The types of the tensor operands, as messages show them."""
        kinds = {a.name for a in self.schema.args if a.kind in ("tensor", "variadic")}
        named = [(k, self.op.operands[k]) for k in sorted(self.op.operands) if k in kinds]
        return [
            (k, f"({', '.join(str(x.type) for x in v)})" if isinstance(v, tuple) else str(v.type)) for k, v in named
        ]

    # ---- operands

    def has(self, name: str) -> bool:
        return name in self.op.operands

    def value(self, name: str) -> Value:
        operand = self.op.operands.get(name)
        if not isinstance(operand, Value):
            self.fail(f"expected one value for {name}")
        return operand

    def values(self, name: str) -> tuple[Value, ...]:
        operand = self.op.operands.get(name, ())
        return operand if isinstance(operand, tuple) else (operand,)

    def type(self, name: str) -> Type:
        return self.value(name).type

    def shape(self, name: str) -> Shape:
        return self.type(name).shape

    def shapes(self, name: str) -> list[Shape]:
        shapes = [v.type.shape for v in self.values(name)]
        self.expect(bool(shapes), f"at least one value in {name}")
        return shapes

    def types(self, name: str) -> list[Type]:
        return [v.type for v in self.values(name)]

    def callees(self, name: str) -> list[Function]:
        """The functions that an operand names."""
        return [self.functions[v.const] for v in self.values(name) if isinstance(v.const, str)]

    # ---- constants

    def data(self, name: str) -> ConstData:
        data = self.value(name).const
        if data is None or isinstance(data, BlobRef):
            self.fail(f"expected {name} to be a constant written out, got {self.value(name)}")
        return data

    def ints(self, name: str, length: int | None = None, default: int | None = None) -> list[int]:
        """A list of integers; when absent, `length` times `default`."""
        if not self.has(name) and default is not None and length is not None:
            return [default] * length
        data = self.data(name)
        found = [int(x) for x in data.ravel().tolist()] if isinstance(data, np.ndarray) else []
        if length is not None and len(found) != length:
            self.fail(f"expected {length} numbers in {name}, got {found}")
        return found

    def sizes(self, name: str, length: int | None = None, default: int | None = None, low: int = 0) -> list[int]:
        """A list of integers, none below `low`."""
        found = self.ints(name, length, default)
        if any(n < low for n in found):
            self.fail(f"expected numbers of at least {low} in {name}, got {found}")
        return found

    def flags(self, name: str, length: int) -> list[bool]:
        return [bool(x) for x in self.ints(name, length, 0)]

    def integer(self, name: str) -> int:
        default = self._default(name)
        if isinstance(default, int):
            return default
        return self.ints(name, 1)[0]

    def flag(self, name: str) -> bool:
        return bool(self.integer(name))

    def text(self, name: str, allowed: tuple[str, ...] = ()) -> str:
        default = self._default(name)
        data = default if isinstance(default, str) else self.data(name)
        if not isinstance(data, str) or (allowed and data not in allowed):
            self.fail(f"expected {name} to be one of {', '.join(allowed)}, got {data!r}")
        return data

    def _default(self, name: str) -> object:
        arg = self.schema.arg(name)
        return arg.default if arg is not None and not self.has(name) else None

    # ---- axes

    def axis(self, name: str, rank: int, negative: bool = True) -> int:
        return self._axis(name, self.integer(name), rank, negative)

    def axes(self, name: str, rank: int, negative: bool = True) -> list[int]:
        """Distinct axes of a tensor of rank `rank`; all of them when the operand is absent."""
        if not self.has(name):
            return list(range(rank))
        found = [self._axis(name, a, rank, negative) for a in self.ints(name)]
        if len(set(found)) != len(found):
            self.fail(f"expected distinct axes in {name}, got {found}")
        return found

    def _axis(self, name: str, axis: int, rank: int, negative: bool) -> int:
        low = -rank if negative else 0
        if not low <= axis < rank:
            self.fail(f"expected {name} from {low} to {rank - 1}, got {axis}")
        return axis % rank


# The types of the results: shapes, or whole types if the rule decides the dtypes too (an empty name in `results`).
Rule = Callable[[View], Sequence[Shape | Type]]
