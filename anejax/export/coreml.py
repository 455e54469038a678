"""Core ML: a mil.Program as Core ML's protobuf spec, or as an .mlpackage.

The program must verify for target `coreml`. Its function `main` becomes the model; inputs and outputs
keep their names. coremltools, an optional dependency, brings the protobuf classes and the package
format.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from anejax.errors import MilError, MissingDependencyError, fail
from anejax.mil.program import BlobRef, Function, Op, Operand, Program, Type, Value
from anejax.mil.verify import verify
from anejax.mil.weights import DTYPE_CODES, WeightWriter

SPECIFICATION_VERSION = 9  # iOS 18, macOS 15
OPSET = "CoreML8"  # the same, as functions name it
WEIGHTS_FILE = "weight.bin"
WEIGHTS_PATH = f"@model_path/weights/{WEIGHTS_FILE}"
INLINE_ELEMENTS = 64  # larger constants go to the weight file

MIL_NAMES = {
    "fp16": "FLOAT16",
    "bf16": "BFLOAT16",
    "fp32": "FLOAT32",
    "fp64": "FLOAT64",
    **{name: name.upper() for name in ("bool", "string", "int8", "int16", "int32", "int64")},
    **{name: name.upper() for name in ("uint8", "uint16", "uint32", "uint64")},
}
PORT_NAMES = {"fp16": "FLOAT16", "fp32": "FLOAT32", "int32": "INT32"}


def to_spec(
    program: Program, descriptions: Mapping[str, str] | None = None, weights: WeightWriter | None = None
) -> Any:
    """The Model protobuf of `program`.

    `descriptions` gives inputs and outputs, by name, a sentence each. Large constants go to `weights`
    when it is given and takes their dtype, and stand in the spec otherwise.
    """
    verify(program, "coreml")
    return serialize(program, descriptions, weights)


def serialize(
    program: Program, descriptions: Mapping[str, str] | None = None, weights: WeightWriter | None = None
) -> Any:
    """`to_spec` of a program that is known to verify."""
    if len(program.functions) != 1:
        fail("coreml", f"expected one function, main, got {len(program.functions)}", MilError)
    spec = _proto("Model_pb2").Model(specificationVersion=SPECIFICATION_VERSION)
    main = program.main
    for values, features in ((main.inputs, spec.description.input), (main.outputs, spec.description.output)):
        for value in values:
            _describe(features.add(), value, (descriptions or {}).get(value.name, ""))
    spec.mlProgram.version = 1
    _Serializer(weights).function(main, spec.mlProgram.functions["main"])
    return spec


def save_mlpackage(program: Program, path: str | Path, descriptions: Mapping[str, str] | None = None) -> None:
    """Write `program` as the Core ML package `path`, which ends in .mlpackage."""
    path = Path(path)
    if path.suffix != ".mlpackage":
        fail("coreml", f"expected a path that ends in .mlpackage, got {path.name}", MilError)
    weights = WeightWriter(WEIGHTS_PATH)
    spec = to_spec(program, descriptions, weights)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / WEIGHTS_FILE).write_bytes(weights.contents())
        model = _import("coremltools.models").MLModel(spec, weights_dir=directory, skip_model_load=True)
        model.save(str(path))


class _Serializer:
    """Statements of one function as messages of MIL.proto."""

    def __init__(self, weights: WeightWriter | None) -> None:
        self.mil = _proto("MIL_pb2")
        self.weights = weights

    def function(self, function: Function, message: Any) -> None:
        message.opset = OPSET
        for value in function.inputs:
            self.named_type(message.inputs.add(), value)
        block = message.block_specializations[OPSET]
        written: set[Value] = set()
        for op in function.ops:
            for value in op.values():
                if value.const is not None and value not in written:
                    written.add(value)
                    self.const(block.operations.add(), value)
            self.operation(block.operations.add(), op)
        block.outputs.extend(v.name for v in function.outputs)

    def const(self, message: Any, value: Value) -> None:
        message.type = "const"
        self.named_type(message.outputs.add(), value)
        self.text(message.attributes["name"], value.name)
        self.constant(message.attributes["val"], value)

    def operation(self, message: Any, op: Op) -> None:
        message.type = op.name
        self.text(message.attributes["name"], op.results[0].name)
        for name, operand in op.operands.items():
            self.operand(message.inputs[name], operand)
        for value in op.results:
            self.named_type(message.outputs.add(), value)

    def operand(self, message: Any, operand: Operand) -> None:
        for value in operand if isinstance(operand, tuple) else (operand,):
            message.arguments.add().name = value.name

    def named_type(self, message: Any, value: Value) -> None:
        message.name = value.name
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


def _describe(feature: Any, value: Value, description: str) -> None:
    array = _proto("FeatureTypes_pb2").ArrayFeatureType
    feature.name = value.name
    feature.shortDescription = description
    feature.type.multiArrayType.dataType = array.ArrayDataType.Value(PORT_NAMES[value.type.dtype])
    feature.type.multiArrayType.shape.extend(value.type.shape)


def _proto(name: str) -> ModuleType:
    return _import(f"coremltools.proto.{name}")


def _import(module: str) -> ModuleType:
    """A module of coremltools, which complains on import where Core ML itself is missing."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        return importlib.import_module(module)
    except ImportError as error:
        message = "expected coremltools to be installed: pip install 'anejax[coreml]'"
        raise MissingDependencyError(f"[coreml] {message} ({error})") from error
    finally:
        logger.setLevel(level)
