"""Prints a Program as MIL text. All operations have one form, so nothing here knows an operation by name.

Each constant gets a `const()` line before its first use, and operands are in alphabetical order, because the engine's
compiler requires it. Floats are C hex floats, which are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from anejax.errors import MilError, fail
from anejax.mil.program import FLOAT_DTYPES, Array, BlobRef, Function, Op, Operand, Program, Type, Value, as_doubles

BUILD_INFO = '{{"coremlc-component-MIL", "3520.4.1"}, {"coremlc-version", "3520.5.1"}}'
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def to_text(program: Program, marks: bool = False) -> str:
    """Prints `program` as MIL text. Parsing the text gives an equal program.

    With `marks` the operations' names say which layers they belong to. Compiled text has none, so that equal programs
    have the same text, no matter from which lines they come.
    """
    functions = "\n".join(_function(f, marks) for f in program.functions)
    header = f"program({program.version})\n[buildInfo = dict<string, string>({BUILD_INFO})]"
    return f"{header}\n{{\n{functions}\n}}\n"


def literal(value: Value) -> str:
    """A constant's type and value: `int32(2)`, `tensor<fp16, [2]>([0x1p+0, 0x1.8p+1])`."""
    data = value.const
    if isinstance(data, BlobRef):
        return f"{value.type}(BLOBFILE(path = {quoted(data.path)}, offset = uint64({data.offset})))"
    if isinstance(data, str):
        return quoted(data)
    if data is None:
        fail("const", f"expected a constant, got {value}", MilError)
    items = ", ".join(_elements(value.type, data))
    return f"{value.type}([{items}])" if value.type.shape else f"{value.type}({items})"


def quoted(text: str) -> str:
    """`string("...")`, for text of printable ASCII, tabs and new lines."""
    if not all(" " <= c <= "~" or c in ESCAPES for c in text):
        fail("const", f"expected a string of printable ASCII, got {text!r}", MilError)
    return 'string("' + "".join(ESCAPES.get(c, c) for c in text) + '")'


def hex_float(x: float) -> str:
    """The shortest C hex float that is exactly x; inf, -inf and nan for the rest."""
    if not math.isfinite(x):
        return str(x).lower()
    mantissa, exponent = x.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


def _elements(type: Type, data: Array) -> Iterator[str]:
    if type.dtype in FLOAT_DTYPES:
        return map(hex_float, as_doubles(data).ravel().tolist())
    return (str(x).lower() for x in data.ravel().tolist())


def _function(function: Function, marks: bool) -> str:
    inputs = ", ".join(map(str, function.inputs))
    outputs = ", ".join(v.name for v in function.outputs)
    body = "".join(f"        {line}\n" for line in _lines(function, marks))
    return f"    func {function.name}<{function.opset}>({inputs}) {{\n{body}    }} -> ({outputs});"


def _lines(function: Function, marks: bool) -> Iterator[str]:
    printed: set[Value] = set()

    def consts(values: Iterable[Value]) -> Iterator[str]:
        for value in values:
            if value.const is not None and value not in printed:
                printed.add(value)
                yield f"{value} = const()[name = {quoted(value.name)}, val = {literal(value)}];"

    for op in function.ops:
        yield from consts(op.values())
        yield _statement(op, marks)
    yield from consts(function.outputs)


def _statement(op: Op, marks: bool) -> str:
    results = ", ".join(map(str, op.results))
    operands = ", ".join(f"{name} = {_operand(op.operands[name])}" for name in sorted(op.operands))
    name = op.results[0].name if op.results else op.name
    name = op.mark.identifier(name) if marks else name
    brackets = {"name": quoted(name), **{k: literal(v) for k, v in op.attributes.items()}}
    attributes = ", ".join(f"{k} = {brackets[k]}" for k in sorted(brackets))
    return f"{results} = {op.name}({operands})[{attributes}];"


def _operand(operand: Operand) -> str:
    return f"({', '.join(v.name for v in operand)})" if isinstance(operand, tuple) else operand.name
