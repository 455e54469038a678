"""Translates functions of programs to messages of Core ML's MIL.proto."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anejax.errors import MilError, fail
from anejax.export.labels import Labels
from anejax.mil.constexpr import BITS, PALETTE, SCALED
from anejax.mil.program import BlobRef, Function, Op, Operand, Program, Type, Value, const_data
from anejax.mil.weights import DTYPE_CODES, WeightWriter, packed

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
        self.operations: Any = None  # the operations of the block that is being written
        self.names: dict[Value, str] = {}
        self.constants: dict[str, Value] = {}  # the constants of the function that was written last, by name
        self.separate = False  # write a constant anew wherever it is used
        self.taken: dict[str, int] = {}
        self.functions: dict[str, Function] = {}
        self.inlined: set[str] = set()  # functions that stand inside others

    def function(self, program: Program, states: Mapping[str, str], message: Any, labels: Labels | None = None) -> None:
        """Writes the program's main; `states` are inputs that the outputs of these names are stored in, and `labels`
        those of an output that becomes a label and a dictionary."""
        main = program.main
        self.functions = {f.name: f for f in program.functions}
        self.inlined = {"main"}
        self.constants = {}
        self.names, self.taken = {}, dict.fromkeys((labels.predicted, labels.probabilities), 0) if labels else {}
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
        if labels is not None:
            block.outputs.extend(self.classify(labels, results[str(labels.output)]))
        written = {*states.values(), labels and labels.output}
        block.outputs.extend(self.names[v] for v in main.outputs if v.name not in written)
        strays = self.functions.keys() - self.inlined
        if strays:
            fail("coreml", f"expected no functions that main does not run, got {', '.join(sorted(strays))}", MilError)

    def input(self, message: Any, value: Value, state: bool) -> None:
        self.name(value)
        if not state:
            self.named_type(message, value)
            return
        message.name = value.name
        self.type(message.type.stateType.wrappedType, value.type)
        self.names[value] = self.named("read_state", f"{value.name}_read", {"input": [value.name]}, value.type)

    def write_state(self, state: str, value: Value) -> None:
        self.operation("write_state", f"{state}_write", {"input": [state], "data": [self.names[value]]})

    def classify(self, labels: Labels, value: Value) -> tuple[str, str]:
        """Writes the operation that makes a classifier of a program; returns the names of its two results.

        Its probabilities are float32 and its labels a literal, as coremltools writes them.
        """
        probabilities, single = self.names[value], Type("fp32", value.type.shape)
        if value.type.dtype != "fp32":
            operands = {"x": [probabilities], "dtype": [self.literal("fp32", "string")]}
            probabilities = self.named("cast", f"{value.name}_single", operands, single)
        message = self.operation("classify", self.fresh("classify"), {"probabilities": [probabilities]})
        kind, (label, table) = Type("string" if isinstance(labels.names[0], str) else "int64"), (
            message.outputs.add(name=labels.predicted), message.outputs.add(name=labels.probabilities)
        )  # fmt: skip
        self.type(label.type, kind)
        self.type(table.type.dictionaryType.keyType, kind)
        self.type(table.type.dictionaryType.valueType, Type("fp64"))
        classes = message.inputs["classes"].arguments.add().value
        self.type(classes.type.listType.type, kind)
        classes.type.listType.length.constant.size = len(labels.names)
        for name in labels.names:
            written = classes.immediateValue.list.values.add()
            if isinstance(name, str):
                self.text(written, name)
            else:
                self.type(written.type, kind)
                written.immediateValue.tensor.longInts.values.append(name)
        return labels.predicted, labels.probabilities

    def statement(self, op: Op) -> None:
        if op.name in FORMS:
            FORMS[op.name](self, op)
            return
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

    def named(self, name: str, hint: str, operands: Mapping[str, Sequence[str]], type: Type) -> str:
        """Writes an operation of one result; returns the result's name."""
        label = self.fresh(hint)
        self.written(name, label, operands, type)
        return label

    def written(self, name: str, label: str, operands: Mapping[str, Sequence[str]], type: Type) -> None:
        """Writes an operation whose result is called ``label``."""
        output = self.operation(name, label, operands).outputs.add()
        output.name = label
        self.type(output.type, type)

    def literal(self, value: Any, dtype: str = "int32") -> str:
        """Writes a constant; returns its name."""
        data, type = const_data(value, dtype)
        constant = Value("c", type, data)
        self.const(constant)
        return self.names.pop(constant)

    def block(self, message: Any, function: Function, arguments: Sequence[str]) -> list[str]:
        """Writes a function into a block inside the present one, in which outer values are visible. Returns its
        results."""
        outside, names = self.operations, dict(self.names)
        self.inlined.add(function.name)
        self.operations = message.operations
        self.names.update(zip(function.inputs, arguments, strict=True))
        for op in function.ops:
            self.statement(op)
        results = [self.names[v] for v in function.outputs]
        self.operations, self.names = outside, names
        return results

    def operand(self, operand: Operand) -> list[str]:
        """The names of values; a constant is written before it is first used."""
        names: list[str] = []
        for value in operand if isinstance(operand, tuple) else (operand,):
            if value.const is not None and (self.separate or value not in self.names):
                self.const(value)
            names.append(self.names[value])
        return names

    def const(self, value: Value, label: str = "") -> None:
        """Writes a constant, called ``label`` if that is given."""
        if label:
            self.names[value] = label
        else:
            self.name(value)
        self.constants[self.names[value]] = value
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

    def packed(self, message: Any, value: Value, bits: int) -> None:
        """Writes a constant of int8 or uint8 as one of fewer bits."""
        data = value.const
        assert isinstance(data, np.ndarray)
        self.type(message.type, value.type)
        narrow = f"{value.type.dtype.upper().removesuffix('8')}{bits}"
        message.type.tensorType.dataType = self.mil.DataType.Value(narrow)
        if self.weights is not None and data.size > INLINE_ELEMENTS:
            blob: BlobRef = self.weights.add_packed(data, bits)
            message.blobFileValue.fileName = blob.path
            message.blobFileValue.offset = blob.offset
        else:
            message.immediateValue.tensor.bytes.values = packed(data, bits)

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


# ---- operations that MIL has in another form


def _while(s: Serializer, op: Op) -> None:
    """while_loop with the condition and the body as blocks."""
    carry, consts = s.operand(op.operands["carry"]), {}
    for which in ("cond", "body"):
        consts[which] = s.operand(op.operands[f"{which}_consts"])
    for value in op.results:
        s.name(value)
    message = s.operation("while_loop", s.names[op.results[0]], {"loop_vars": carry})
    for value in op.results:
        s.named_type(message.outputs.add(), value)
    for which in ("cond", "body"):
        block = message.blocks.add()
        arguments = []
        for value in op.results:
            argument = block.inputs.add()
            argument.name = s.fresh(f"{value.name}_{which}")
            s.type(argument.type, value.type)
            arguments.append(argument.name)
        block.outputs.extend(s.block(block, _callee(s, op, which), [*consts[which], *arguments]))


def _cond(s: Serializer, op: Op) -> None:
    """Nested conds: the first branch where the index is below 1, and so on; the last one otherwise."""
    branches = [s.functions[str(v.const)] for v in _several(op.operands["branches"])]
    (index,), operands = s.operand(op.operands["index"]), s.operand(op.operands["operands"])

    def choose(k: int, message: Any) -> list[str]:
        """Writes the choice among the branches from k on into a block."""
        if k == len(branches) - 1:
            return s.block(message, branches[k], operands)
        outside, names = s.operations, dict(s.names)
        s.operations = message.operations
        results = write(k)
        s.operations, s.names = outside, names
        return results

    def write(k: int) -> list[str]:
        here = s.named("less", "is_chosen", {"x": [index], "y": [s.literal(k + 1)]}, Type("bool"))
        labels = [s.fresh(v.name) for v in op.results]
        message = s.operation("cond", labels[0], {"pred": [here]})
        for label, value in zip(labels, op.results):
            output = message.outputs.add()
            output.name = label
            s.type(output.type, value.type)
        first, rest = message.blocks.add(), message.blocks.add()
        first.outputs.extend(s.block(first, branches[k], operands))
        rest.outputs.extend(choose(k + 1, rest))
        return labels

    results = write(0) if len(branches) > 1 else None
    if results is None:
        fail("cond", "expected two branches or more for coreml, got one", MilError)
    s.names.update(zip(op.results, results))


def _callee(s: Serializer, op: Op, name: str) -> Function:
    (value,) = _several(op.operands[name])
    return s.functions[str(value.const)]


def _several(operand: Operand) -> tuple[Value, ...]:
    return operand if isinstance(operand, tuple) else (operand,)


def _begin(s: Serializer, op: Op) -> str:
    """The starts of a slice, as one array."""
    parts = []
    for value in _several(op.operands["start_indices"]):
        if isinstance(value.const, np.ndarray):
            parts.append(s.literal(value.const.reshape(1)))
        else:
            axes = s.literal([0])
            parts.append(s.named("expand_dims", "start", {"x": s.operand(value), "axes": [axes]}, Type("int32", (1,))))
    if len(parts) == 1:
        return parts[0]
    operands = {"values": parts, "axis": [s.literal(0)], "interleave": [s.literal(False, "bool")]}
    return s.named("concat", "begin", operands, Type("int32", (len(parts),)))


def _dynamic_slice(s: Serializer, op: Op) -> None:
    """slice_by_size with a computed beginning."""
    (result,), begin = op.results, _begin(s, op)
    operands = {"x": s.operand(op.operands["x"]), "begin": [begin], "size": [s.literal(result.type.shape)]}
    s.names[result] = s.named("slice_by_size", result.name, operands, result.type)


def _dynamic_update_slice(s: Serializer, op: Op) -> None:
    """slice_update, iOS 18's."""
    (result,), begin = op.results, _begin(s, op)
    (update,) = _several(op.operands["update"])
    ends = Type("int32", (update.type.rank,))
    end = s.named("add", "end", {"x": [begin], "y": [s.literal(update.type.shape)]}, ends)
    operands = {"x": s.operand(op.operands["x"]), "update": s.operand(update), "begin": [begin], "end": [end]}
    s.names[result] = s.named("slice_update", result.name, operands, result.type)


def _sort(s: Serializer, op: Op) -> None:
    """The order of the first array by argsort, and all arrays in that order."""
    values, axis = s.operand(op.operands["values"]), int(np.asarray(_several(op.operands["dimension"])[0].const))
    where, order = s.literal(axis), Type("int32", op.results[0].type.shape)
    operands = {"x": [values[0]], "axis": [where], "ascending": [s.literal(True, "bool")]}
    at = s.named("argsort", "order", operands, order)
    for value, result in zip(values, op.results):
        operands = {"x": [value], "indices": [at], "axis": [where], "validate_indices": [s.literal(False, "bool")]}
        s.names[result] = s.named("gather_along_axis", result.name, operands, result.type)


def _constexpr(s: Serializer, op: Op) -> None:
    """A constant in few bits with its scales or its table, which stand in the operation itself."""
    (result,) = op.results
    s.name(result)
    message = s.operation(op.name, s.names[result], {})
    for name, operand in op.operands.items():
        (value,) = _several(operand)
        written = message.inputs[name].arguments.add().value
        if BITS in op.attributes and name in ("data", "indices"):
            s.packed(written, value, int(np.asarray(op.attributes[BITS].const)))
        else:
            s.constant(written, value)
    s.named_type(message.outputs.add(), result)


FORMS: Mapping[str, Callable[[Serializer, Op], None]] = {
    SCALED: _constexpr,
    PALETTE: _constexpr,
    "aj_while": _while,
    "aj_cond": _cond,
    "aj_dynamic_slice": _dynamic_slice,
    "aj_dynamic_update_slice": _dynamic_update_slice,
    "aj_sort": _sort,
}
