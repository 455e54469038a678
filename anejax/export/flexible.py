"""One function of a Core ML package for inputs of several shapes: those that were traced for each shape, merged.

Sizes that differ become unknown dimensions. A constant that differs is looked up at run time, in a table that has what
each shape needs, by the place that the shape of the input has among those that were traced. So for each of the shapes
the function gives the result of the function that was traced for it; other shapes are not assumed to work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anejax.errors import ExportError, fail
from anejax.mil.opset import OPSET
from anejax.mil.program import NUMPY_DTYPES, Type, Value

# Operands that Core ML takes as computed values, besides arrays: coremltools' descriptions of the operations.
AT_RUN_TIME = frozenset({
    ("reshape", "shape"), ("tile", "reps"), ("fill", "shape"), ("slice_by_index", "begin"), ("slice_by_index", "end"),
    ("slice_by_size", "begin"), ("slice_by_size", "size"), ("slice_update", "begin"), ("slice_update", "end"),
})  # fmt: skip
_PLACE = "shape_place"  # the number of the shape that the inputs have


class Merger:
    """Merges functions that one serializer has written, a function for each shape, into the first one.

    ``data`` has the constants of each function by name; ``shapes`` those of the input ``name``, in the same order.
    """

    def __init__(self, serializer: Any, data: Sequence[Mapping[str, Value]], name: str,
                 shapes: Sequence[tuple[int, ...]]) -> None:  # fmt: skip
        self.serializer, self.data, self.name, self.shapes = serializer, data, name, shapes
        self.looked_up = False
        self.readers: dict[str, set[tuple[str, str]]] = {}  # the readers of each value: (operation, operand)

    def merge(self, functions: Sequence[Any]) -> None:
        """Changes the first of the messages."""
        first, *others = functions
        for i, port in enumerate(first.inputs):
            self._types(port.type, [f.inputs[i].type for f in others])
        blocks = [next(iter(f.block_specializations.values())) for f in functions]
        self._find_readers(blocks[0])
        self._block(blocks)
        if self.looked_up:
            self._find_place(blocks[0])

    def _find_readers(self, block: Any) -> None:
        for op in block.operations:
            for operand, given in op.inputs.items():
                for argument in given.arguments:
                    self.readers.setdefault(argument.name, set()).add((op.type, operand))
            for inner in op.blocks:
                self._find_readers(inner)

    def _block(self, blocks: Sequence[Any]) -> None:
        first = blocks[0]
        if len({len(b.operations) for b in blocks}) > 1 or any(b.outputs != first.outputs for b in blocks):
            self._refuse("takes other operations")
        old = list(first.operations)
        del first.operations[:]
        outside, self.serializer.operations = self.serializer.operations, first.operations
        for ops in zip(old, *(b.operations for b in blocks[1:]), strict=True):
            self._operation(ops)
        self.serializer.operations = outside

    def _operation(self, ops: Sequence[Any]) -> None:
        first, *others = ops
        if any(o.type != first.type or o.inputs != first.inputs for o in others):
            self._refuse(f"takes {first.type} otherwise")
        for i, port in enumerate((*first.outputs, *(p for b in first.blocks for p in b.inputs))):
            ports = [(*o.outputs, *(p for b in o.blocks for p in b.inputs))[i] for o in others]
            if any(p.name != port.name for p in ports):
                self._refuse(f"takes {first.type} otherwise")
            if first.type != "const":
                self._types(port.type, [p.type for p in ports])
        for i in range(len(first.blocks)):
            self._block([o.blocks[i] for o in ops])
        if any(o.attributes != first.attributes for o in others):
            self._constant(first)
        else:
            self.serializer.operations.append(first)

    def _types(self, message: Any, others: Sequence[Any]) -> None:
        """Sizes that differ become unknown."""
        tensor, rest = message.tensorType, [o.tensorType for o in others]
        if any((o.dataType, o.rank) != (tensor.dataType, tensor.rank) for o in rest):
            self._refuse("makes arrays of other types")
        for dimensions in zip(tensor.dimensions, *(o.dimensions for o in rest)):
            if len({d.constant.size for d in dimensions}) > 1:
                dimensions[0].unknown.variadic = False

    # ---- constants that differ

    def _constant(self, op: Any) -> None:
        if op.type != "const":
            self._refuse(f"has other constants in {op.type}")
        name = op.outputs[0].name
        values = [known[name] for known in self.data]
        arrays = [np.asarray(v.const) for v in values]
        readers = self.readers.get(name, set())
        for reader in readers:
            if reader not in AT_RUN_TIME and not _is_array(*reader):
                self._refuse(f"has another {reader[1]} in {reader[0]}, which must be a constant")
        if readers == {("reshape", "shape")} and (free := _with_one_free(arrays)) is not None:
            self.serializer.const(Value(name, values[0].type, free), name)
        elif len({a.shape for a in arrays}) == 1:
            self._look_up(name, np.stack(arrays), values[0].type)
        else:
            self._cut(name, arrays, values)

    def _look_up(self, name: str, table: np.ndarray, type: Type) -> None:
        """The row of a table that belongs to the shape."""
        s, self.looked_up = self.serializer, True
        dtype = "int32" if type.dtype == "bool" else type.dtype
        rows = s.literal(table.astype(NUMPY_DTYPES[dtype]), dtype)
        found = name if dtype == type.dtype else s.fresh(f"{name}_number")
        operands = {"x": [rows], "indices": [_PLACE], "axis": [s.literal(0)]}
        operands |= {"batch_dims": [s.literal(0)], "validate_indices": [s.literal(False, "bool")]}
        s.written("gather", found, operands, Type(dtype, type.shape))
        if found != name:
            s.written("cast", name, {"x": [found], "dtype": [s.literal("bool", "string")]}, type)

    def _cut(self, name: str, arrays: Sequence[np.ndarray], values: Sequence[Value]) -> None:
        """The beginning of the largest array along each axis."""
        largest = max(arrays, key=lambda a: a.size)
        for a in arrays:
            if a.ndim != largest.ndim or not np.array_equal(
                a, largest[tuple(map(slice, a.shape))], equal_nan=a.dtype.kind == "f"
            ):
                self._refuse(f"computes with other arrays of {largest.dtype}")
        s, dtype = self.serializer, values[0].type.dtype
        whole, shape = s.literal(largest, dtype), s.fresh(f"{name}_shape")
        self._look_up(shape, np.array([a.shape for a in arrays], np.int32), Type("int32", (largest.ndim,)))
        operands = {"x": [whole], "begin": [s.literal(np.zeros(largest.ndim, np.int32))], "size": [shape]}
        s.written("slice_by_size", name, operands, values[0].type)
        self._types(s.operations[-1].outputs[0].type, [_typed(s, v.type) for v in values[1:]])

    def _find_place(self, block: Any) -> None:
        """Writes, at the beginning, which of the shapes the input has."""
        s, rest = self.serializer, list(block.operations)
        del block.operations[:]
        s.operations = block.operations
        rank = len(self.shapes[0])
        s.written("shape", "shape_of_input", {"x": [self.name]}, Type("int32", (rank,)))
        table = s.literal(np.array(self.shapes, np.int32))
        s.written("equal", "shape_is", {"x": [table], "y": ["shape_of_input"]}, Type("bool", (len(self.shapes), rank)))
        s.written("cast", "shape_is_number", {"x": ["shape_is"], "dtype": [s.literal("int32", "string")]},
                  Type("int32", (len(self.shapes), rank)))  # fmt: skip
        operands = {"x": ["shape_is_number"], "axes": [s.literal([1])], "keep_dims": [s.literal(False, "bool")]}
        s.written("reduce_min", "shape_is_all", operands, Type("int32", (len(self.shapes),)))
        operands = {"x": ["shape_is_all"], "axis": [s.literal(0)], "keep_dims": [s.literal(False, "bool")]}
        s.written("reduce_argmax", _PLACE, operands, Type("int32"))
        block.operations.extend(rest)

    def _refuse(self, what: str) -> None:
        first, last = self.shapes[0], self.shapes[-1]
        fail("export", f"expected a function that does the same for all shapes of {self.name}, but between {first} and "
             f"{last} it {what}; leave out one_function, so that each shape has a function of its own, or sizes of 1",
             ExportError)  # fmt: skip


def _is_array(operation: str, operand: str) -> bool:
    """Whether an operand is an array, or one of several."""
    schema = OPSET.get(operation)
    return schema is not None and any(a.name == operand and a.kind in ("tensor", "variadic") for a in schema.args)


def _with_one_free(shapes: Sequence[np.ndarray]) -> np.ndarray | None:
    """The shape of a reshape with -1 in place of the one size that differs; None if several do."""
    if len({s.shape for s in shapes}) > 1:
        return None
    differs = (np.stack(shapes) != shapes[0]).any(0)
    return np.where(differs, -1, shapes[0]).astype(np.int32) if differs.sum() == 1 else None


def _typed(serializer: Any, type: Type) -> Any:
    message = serializer.mil.ValueType()
    serializer.type(message, type)
    return message
