"""Typed MIL programs in SSA form, and the Builder that makes them.

A Program has Functions. A Function has inputs, operations in order, and outputs. Operations relate Values. Constants
are Values with `const` set and have no statement; the printer writes a `const()` line before their first use. opset.py
defines operations and verify.py checks programs, so nothing here knows an operation by name.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, overload

import ml_dtypes
import numpy as np

from anejax.errors import MilError, fail
from anejax.marks import NOWHERE, Mark
from anejax.mil.opset import LISTS, OPSET, Arg, OpSchema

NUMPY_DTYPES: dict[str, np.dtype[Any]] = {
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp32": np.dtype(np.float32),
    "fp64": np.dtype(np.float64),
    "int8": np.dtype(np.int8),
    "int16": np.dtype(np.int16),
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "uint8": np.dtype(np.uint8),
    "uint16": np.dtype(np.uint16),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
}
MIL_DTYPES: dict[np.dtype[Any], str] = {numpy: mil for mil, numpy in NUMPY_DTYPES.items()}
FLOAT_DTYPES = frozenset({"fp16", "bf16", "fp32", "fp64"})

MAX_RANK = 32  # ANESDK_MAX_RANK
MAX_NESTING = 64  # depth of functions that call one another
MAX_ELEMENTS = 2**48  # keeps every byte count far inside 64 bits

KEYWORDS = frozenset(
    [*NUMPY_DTYPES, "string", "tensor", "dict", "program", "func", "const", "BLOBFILE", "true", "false", "inf", "nan"]
)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Type:
    """A dtype and a shape; prints as MIL does, rank 0 as the bare dtype."""

    dtype: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype not in NUMPY_DTYPES and self.dtype != "string":
            fail("type", f"expected a MIL dtype, got {self.dtype!r}", MilError)
        if len(self.shape) > MAX_RANK:
            fail("type", f"expected rank at most {MAX_RANK}, got {len(self.shape)}", MilError)
        if any(d < 0 for d in self.shape) or math.prod(d or 1 for d in self.shape) > MAX_ELEMENTS:
            fail("type", f"expected at most {MAX_ELEMENTS} elements and no negative size, got {self}", MilError)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * NUMPY_DTYPES[self.dtype].itemsize if self.dtype != "string" else 0

    def __str__(self) -> str:
        dims = ", ".join(map(str, self.shape))
        return f"tensor<{self.dtype}, [{dims}]>" if self.shape else self.dtype


@dataclass(frozen=True)
class BlobRef:
    """A constant in a weight file, by the offset of its descriptor (weights.py)."""

    path: str
    offset: int


ConstData = Array | str | BlobRef


@dataclass(frozen=True, eq=False)
class Value:
    """One SSA value; `const` holds its data when it is a constant."""

    name: str
    type: Type
    const: ConstData | None = None

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


Operand = Value | tuple[Value, ...]  # a tuple is a variadic operand


@dataclass(frozen=True, eq=False)
class Op:
    """One statement. `attributes` are constants in the brackets after it (constexpr operations)."""

    name: str
    operands: Mapping[str, Operand]
    results: tuple[Value, ...]
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    line: int = 0  # the line in the text from which it was parsed
    mark: Mark = NOWHERE  # the mark of its equation, if it was lowered from a Graph

    def values(self) -> Iterator[Value]:
        """Every value that the operation reads, operands in alphabetical order."""
        for name in sorted(self.operands):
            operand = self.operands[name]
            yield from operand if isinstance(operand, tuple) else (operand,)


@dataclass(frozen=True, eq=False)
class Function:
    name: str
    inputs: tuple[Value, ...]
    ops: tuple[Op, ...]
    outputs: tuple[Value, ...]
    opset: str = "ios18"


@dataclass(frozen=True, eq=False)
class Program:
    """One or several functions; devices run `main`."""

    functions: tuple[Function, ...]
    version: str = "1.3"

    @property
    def main(self) -> Function:
        return self.function("main")

    def function(self, name: str) -> Function:
        for function in self.functions:
            if function.name == name:
                return function
        names = ", ".join(f.name for f in self.functions)
        fail("program", f"expected a function {name!r}, got {names}", MilError)


# ---- building ------------------------------------------------------------------------------------

Literal = bool | int | float | str | Array | np.generic | Sequence[Any]
SHARED_CONST_ELEMENTS = 64  # larger constants are the same if they are one array


class Builder:
    """Builds a Program: `input` and `op` add to one function, `function` starts another.

    Operands that are Python or NumPy values become constants of the dtype that the operation's
    schema asks for. Results' types are the caller's to know.
    """

    def __init__(self, name: str = "main") -> None:
        self._name = name
        self._inputs: list[Value] = []
        self._ops: list[Op] = []
        self._outputs: tuple[Value, ...] = ()
        self._names: dict[str, int] = {}
        self._consts: dict[tuple[Type, str, bytes | str], Value] = {}
        self._arrays: dict[int, tuple[Any, Value]] = {}
        self._family: list[Builder] = [self]
        self.mark = NOWHERE  # the mark of operations that are added from now on

    def function(self, name: str) -> Builder:
        """A builder of another function of the same program."""
        if any(b._name == name for b in self._family):
            fail("program", f"expected a new function name, got {name!r} again", MilError)
        other = Builder(name)
        self._family.append(other)
        other._family = self._family
        return other

    def function_like(self, hint: str) -> Builder:
        """A builder of another function, called `hint` or, where there is one, hint_1, hint_2, ..."""
        taken = {b._name for b in self._family}
        names = itertools.chain([hint], (f"{hint}_{i}" for i in itertools.count(1)))
        return self.function(next(n for n in names if n not in taken))

    @property
    def name(self) -> str:
        """The function's name."""
        return self._name

    def input(self, name: str, type: Type) -> Value:
        value = Value(self._unique(name), type)
        self._inputs.append(value)
        return value

    def const(self, value: Literal | BlobRef, dtype: str | Type | None = None, *, name: str = "c") -> Value:
        """A constant; `dtype` may be left to the value, and is a whole Type for a BlobRef."""
        if isinstance(value, BlobRef):
            if not isinstance(dtype, Type):
                fail("const", "expected a Type for a BLOBFILE value, got none", MilError)
            return Value(self._unique(name), dtype, value)
        data, type = const_data(value, dtype.dtype if isinstance(dtype, Type) else dtype)
        if type.size > SHARED_CONST_ELEMENTS:
            of, known = self._arrays.get(id(value), (None, None))
            if of is value and known is not None and known.type == type:
                return known
            made = Value(self._unique(name), type, data)
            self._arrays[id(value)] = value, made
            return made
        key = (type, name, data if isinstance(data, str) else data.tobytes())
        if key not in self._consts:
            self._consts[key] = Value(self._unique(name), type, data)
        return self._consts[key]

    @overload
    def op(self, name: str, operands: Mapping[str, Any], *, out: Type, hint: str | None = None) -> Value: ...
    @overload
    def op(
        self, name: str, operands: Mapping[str, Any], *, out: Sequence[Type], hint: str | None = None
    ) -> list[Value]: ...
    def op(
        self, name: str, operands: Mapping[str, Any], *, out: Type | Sequence[Type], hint: str | None = None
    ) -> Value | list[Value]:
        """Append an operation. One Type gives its Value, a sequence of types a list of Values."""
        schema = OPSET.get(name)
        given = {k: v for k, v in operands.items() if v is not None}
        types = [out] if isinstance(out, Type) else list(out)
        dtypes = _variable_dtypes(schema, given, types)
        bound = {k: self._operand(schema.arg(k) if schema else None, k, v, dtypes) for k, v in given.items()}
        hint = hint or name.removeprefix("aj_")
        results = [Value(self._unique(hint), t) for t in types]
        self._ops.append(Op(name, bound, tuple(results), mark=self.mark))
        return results[0] if isinstance(out, Type) else results

    def returns(self, *values: Value) -> None:
        """Set the function's outputs."""
        self._outputs = values

    def program(self) -> Program:
        """The program with all functions begun so far, `main` first."""
        functions = [b._build() for b in self._family]
        return Program(tuple(sorted(functions, key=lambda f: f.name != "main")))

    def _build(self) -> Function:
        return Function(self._name, tuple(self._inputs), tuple(self._ops), self._outputs)

    def _operand(self, arg: Arg | None, name: str, value: Any, dtypes: Mapping[str, str]) -> Operand:
        if isinstance(value, Value):
            return value
        listed = arg is not None and arg.kind in LISTS
        if isinstance(value, (tuple, list)) and (listed or _values_in(value)):
            return tuple(self._one(arg, name, v, dtypes) for v in value)  # pyright: ignore[reportUnknownVariableType]
        return self._one(arg, name, value, dtypes)

    def _one(self, arg: Arg | None, name: str, value: Any, dtypes: Mapping[str, str]) -> Value:
        return value if isinstance(value, Value) else self.const(value, _dtype_for(arg, value, dtypes), name=name)

    def _unique(self, hint: str) -> str:
        """A valid identifier that the function does not use yet: hint, hint_1, hint_2, ..."""
        base = re.sub(r"\W", "_", hint, flags=re.ASCII) or "_"
        if base[0].isdigit() or base in KEYWORDS:
            base = f"_{base}"
        name: str = base
        while name in self._names:
            self._names[base] += 1
            name = f"{base}_{self._names[base]}"
        self._names[name] = 0
        return name


def const_data(value: Literal, dtype: str | None = None) -> tuple[Array | str, Type]:
    """`value` as constant data of MIL dtype `dtype` (or its own), with its type."""
    if isinstance(value, str):
        return value, Type("string")
    array = np.asarray(value)
    if dtype is None:
        dtype = MIL_DTYPES.get((array if hasattr(value, "dtype") else _narrow(array)).dtype)
    if dtype not in NUMPY_DTYPES:
        fail("const", f"expected a value that MIL has a dtype for, got {array.dtype} and dtype {dtype!r}", MilError)
    with np.errstate(all="ignore"):
        data = array.astype(NUMPY_DTYPES[dtype], order="C", copy=True)
        if dtype not in FLOAT_DTYPES and not np.array_equal(data, array):
            fail("const", f"expected a value that {dtype} holds, got {value!r:.80}", MilError)
    data.flags.writeable = False
    return data, Type(dtype, data.shape)


def as_doubles(data: Array) -> Array:
    """`data` as float64, without a word about signalling NaNs."""
    with np.errstate(invalid="ignore"):
        return data.astype(np.float64)


def _narrow(array: Array) -> Array:
    """Python's numbers, which NumPy makes 64 bits wide, as 32 bits when they fit."""
    if array.dtype == np.int64 and (array.size == 0 or np.abs(array).max() < 2**31):
        return array.astype(np.int32)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _variable_dtypes(schema: OpSchema | None, operands: Mapping[str, Any], results: list[Type]) -> dict[str, str]:
    """The dtype of each type variable, from the operands that are Values already, then from the results."""
    found: dict[str, str] = {}
    if schema is None:
        return found
    for arg in schema.args:
        for value in _values_in(operands.get(arg.name)):
            found.setdefault(arg.var, value.type.dtype)
    for name, type in zip(schema.results, results):
        found.setdefault(name, type.dtype)
    return found


def _values_in(operand: Any) -> list[Value]:
    items = cast(Iterable[Any], operand if isinstance(operand, (tuple, list)) else (operand,))
    return [v for v in items if isinstance(v, Value)]


def _dtype_for(arg: Arg | None, value: Any, dtypes: Mapping[str, str]) -> str | None:
    """The dtype of a constant for operand `arg`: int64 only when an int32 does not hold it."""
    if arg is None or isinstance(value, str):
        return None
    if arg.var:
        return dtypes.get(arg.var)
    first, *others = arg.dtypes
    array = np.asarray(value)
    return MIL_DTYPES.get(_narrow(array).dtype, first) if others and array.size else first


def renamed(function: Function, names: Mapping[Value, str]) -> Function:
    """``function`` with the values ``names`` called so; others that had these names get new ones."""
    taken = {*names.values(), *(v.name for op in function.ops for v in (*op.values(), *op.results))}
    twins: dict[Value, Value] = {}

    def twin(value: Value) -> Value:
        if value not in twins:
            name = names.get(value) or value.name
            if value not in names and name in names.values():
                name = next(n for i in itertools.count(1) if (n := f"{name}_{i}") not in taken)
                taken.add(name)
            twins[value] = replace(value, name=name)
        return twins[value]

    def operand(given: Operand) -> Operand:
        return tuple(map(twin, given)) if isinstance(given, tuple) else twin(given)

    inputs = tuple(map(twin, function.inputs))
    ops = tuple(
        replace(op, operands={k: operand(v) for k, v in op.operands.items()}, results=tuple(map(twin, op.results)))
        for op in function.ops
    )
    return replace(function, inputs=inputs, ops=ops, outputs=tuple(map(twin, function.outputs)))


# ---- comparing -----------------------------------------------------------------------------------


def same_program(a: Program, b: Program) -> bool:
    """Whether two programs are equal up to the names of values and the places of constants."""
    return len(a.functions) == len(b.functions) and all(map(_same_function, a.functions, b.functions))


def _same_function(a: Function, b: Function) -> bool:
    if (a.name, len(a.inputs), len(a.ops), len(a.outputs)) != (b.name, len(b.inputs), len(b.ops), len(b.outputs)):
        return False
    twin: dict[Value, Value] = {}

    def same(x: Value, y: Value) -> bool:
        if x.const is None or y.const is None:
            return twin.get(x) is y and x.type == y.type
        return x.type == y.type and _same_const(x.const, y.const)

    def define(xs: Sequence[Value], ys: Sequence[Value]) -> bool:
        twin.update(zip(xs, ys))
        return [x.type for x in xs] == [y.type for y in ys]

    def same_op(x: Op, y: Op) -> bool:
        xs, ys = list(x.values()), list(y.values())
        reads = len(xs) == len(ys) and all(map(same, xs, ys)) and _form(x) == _form(y)
        attributes = all(same(v, y.attributes[k]) for k, v in x.attributes.items()) if reads else False
        return reads and attributes and define(x.results, y.results)

    return define(a.inputs, b.inputs) and all(map(same_op, a.ops, b.ops)) and all(map(same, a.outputs, b.outputs))


def _form(op: Op) -> tuple[Any, ...]:
    """Operation, operand names with their counts, attribute names."""
    operands = sorted((k, len(v) if isinstance(v, tuple) else -1) for k, v in op.operands.items())
    return op.name, operands, sorted(op.attributes), len(op.results)


def _same_const(x: ConstData, y: ConstData) -> bool:
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        return type(x) is type(y) and x == y
    return x.dtype == y.dtype and x.shape == y.shape and _bits(x) == _bits(y)


def _bits(x: Array) -> bytes:
    """The bytes of an array, every NaN alike."""
    if x.dtype.kind not in "fV":
        return x.tobytes()
    return np.where(np.isnan(as_doubles(x)), np.array(np.nan).astype(x.dtype), x).tobytes()
