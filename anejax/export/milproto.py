"""Functions of programs as messages of Core ML's MIL.proto."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anejax.errors import MilError, fail
from anejax.mil.program import BlobRef, Op, Operand, Program, Type, Value
from anejax.mil.weights import DTYPE_CODES, WeightWriter

OPSET = "CoreML8"  # iOS 18, macOS 15, as functions name it
INLINE_ELEMENTS = 64  # larger constants go to the weight file

MIL_NAMES = {
    "fp16": "FLOAT16",
    "bf16": "BFLOAT16",
    "fp32": "FLOAT32",
    "fp64": "FLOAT64",
    **{name: name.upper() for name in ("bool", "string", "int8", "int16", "int32", "int64")},
    **{name: name.upper() for name in ("uint8", "uint16", "uint32", "uint64")},
}


class Serializer:
    """Writes functions; large constants of all of them go to one weight file."""

    def __init__(self, mil: Any, weights: WeightWriter | None) -> None:
        self.mil = mil
        self.weights = weights
        self.operations: Any = None  # of the block that is being written
        self.names: dict[Value, str] = {}
        self.taken: dict[str, int] = {}

    def function(self, program: Program, states: Mapping[str, str], message: Any) -> None:
        """Writes the program's main; `states` are inputs that the outputs of these names are stored in."""
        if len(program.functions) != 1:
            fail("coreml", f"expected one function, main, got {len(program.functions)}", MilError)
        main = program.main
        self.names, self.taken = {}, {}
        message.opset = OPSET
        block = message.block_specializations[OPSET]
        self.operations = block.operations
        for value in main.inputs:
            self.input(message.inputs.add(), value, value.name in states)
        for op in main.ops:
            self.statement(op)
        results = {v.name: v for v in main.outputs}
        for state, result in states.items():
            self.write_state(state, results[result])
        block.outputs.extend(self.names[v] for v in main.outputs if v.name not in states.values())

    def input(self, message: Any, value: Value, state: bool) -> None:
        self.name(value)
        if not state:
            self.named_type(message, value)
            return
        message.name = value.name
        self.type(message.type.stateType.wrappedType, value.type)
        read = self.operation("read_state", f"{value.name}_read", {"input": [value.name]})
        self.names[value] = self.result(read, f"{value.name}_read", value.type)

    def write_state(self, state: str, value: Value) -> None:
        self.operation("write_state", f"{state}_write", {"input": [state], "data": [self.names[value]]})

    def statement(self, op: Op) -> None:
        operands = {name: self.operand(operand) for name, operand in op.operands.items()}
        for value in op.results:
            self.name(value)
        message = self.operation(op.name, op.mark.identifier(self.names[op.results[0]]), operands)
        for value in op.results:
            self.named_type(message.outputs.add(), value)

    # ---- messages

    def operation(self, name: str, label: str, operands: Mapping[str, Sequence[str]]) -> Any:
        message = self.operations.add()
        message.type = name
        self.text(message.attributes["name"], label)
        for operand, names in operands.items():
            for argument in names:
                message.inputs[operand].arguments.add().name = argument
        return message

    def result(self, message: Any, hint: str, type: Type) -> str:
        """The name of a new result of an operation."""
        output = message.outputs.add()
        output.name = self.fresh(hint)
        self.type(output.type, type)
        return output.name

    def operand(self, operand: Operand) -> list[str]:
        """The names of values; a constant is written before it is first used."""
        names: list[str] = []
        for value in operand if isinstance(operand, tuple) else (operand,):
            if value.const is not None and value not in self.names:
                self.const(value)
            names.append(self.names[value])
        return names

    def const(self, value: Value) -> None:
        self.name(value)
        message = self.operations.add()
        message.type = "const"
        self.named_type(message.outputs.add(), value)
        self.text(message.attributes["name"], self.names[value])
        self.constant(message.attributes["val"], value)

    def name(self, value: Value) -> None:
        self.names[value] = self.fresh(value.name)

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_i1`, ... when the function has it already: blocks name their values anew."""
        count = self.taken[hint] = self.taken.get(hint, -1) + 1
        return f"{hint}_i{count}" if count else hint

    def named_type(self, message: Any, value: Value) -> None:
        message.name = self.names[value]
        self.type(message.type, value.type)

    def type(self, message: Any, type: Type) -> None:
        message.tensorType.dataType = self.mil.DataType.Value(MIL_NAMES[type.dtype])
        message.tensorType.rank = type.rank
        for size in type.shape:
            message.tensorType.dimensions.add().constant.size = size

    # ---- values

    def text(self, message: Any, text: str) -> None:
        self.type(message.type, Type("string"))
        message.immediateValue.tensor.strings.values.append(text)

    def constant(self, message: Any, value: Value) -> None:
        data = value.const
        if isinstance(data, str):
            self.text(message, data)
            return
        if not isinstance(data, np.ndarray):
            fail("coreml", f"expected a constant written out, got a BLOBFILE for {value}", MilError)
        self.type(message.type, value.type)
        if self.weights is not None and data.size > INLINE_ELEMENTS and value.type.dtype in DTYPE_CODES:
            blob: BlobRef = self.weights.add(data)
            message.blobFileValue.fileName = blob.path
            message.blobFileValue.offset = blob.offset
        else:
            self.elements(message.immediateValue.tensor, value.type.dtype, data)

    def elements(self, tensor: Any, dtype: str, data: np.ndarray[Any, Any]) -> None:
        """Each dtype has its field of TensorValue; narrow ones stand there as bytes."""
        if dtype == "fp32":
            tensor.floats.values.extend(data.ravel().tolist())
        elif dtype == "bool":
            tensor.bools.values.extend(data.ravel().tolist())
        elif dtype in ("int32", "int16", "uint16"):
            tensor.ints.values.extend(data.ravel().tolist())
        else:
            tensor.bytes.values = data.astype(data.dtype.newbyteorder("<")).tobytes()
