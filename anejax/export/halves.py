"""Makes a program compute in float16: float32 becomes float16 everywhere except at inputs and outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from anejax import dtypes
from anejax.core.graph import Graph, subgraphs
from anejax.errors import ExportError, RefusedError, fail
from anejax.marks import Mark
from anejax.mil.program import Function, Op, Operand, Program, Type, Value
from anejax.ops.elementwise import bitcast_convert_type_p
from anejax.passes.legalize.masks import with_masks

PRECISIONS = ("float32", "float16")
MOST, LEAST = float(np.finfo(np.float16).max), float(np.finfo(np.float16).smallest_normal)
BITS = "aj_bitcast_convert_type"  # its results are the bits of float32


def check_precision(precision: str) -> None:
    """Raises ExportError for one that there is not."""
    if precision not in PRECISIONS:
        fail("export", f"expected precision to be {' or '.join(map(repr, PRECISIONS))}, got {precision!r}", ExportError)


def check_bits(graph: Graph, precision: str) -> None:
    """Raises RefusedError for an equation that reads or writes the bits of float32, which float16 does not have."""
    if precision == "float32":
        return
    for eqn in graph.eqns:
        if eqn.primitive is bitcast_convert_type_p and dtypes.float32 in (
            eqn.inputs[0].aval.dtype, eqn.params["dtype"]
        ):  # fmt: skip
            refuse_bits(eqn.mark)
        for inner in subgraphs(eqn.params):
            check_bits(inner, precision)


def refuse_bits(mark: Mark) -> NoReturn:
    """Raises RefusedError: the line of ``mark`` takes the bits of float32."""
    raise RefusedError(f"[export] float16 has not the bits of float32 that bitcast_convert_type{mark.at} takes; "
                       "leave this part to the app, or compute in float32.")  # fmt: skip


def in_range(graph: Graph, precision: str) -> Graph:
    """``graph``, with masks of -40000 at the least where it will compute in float16 (``legalize/masks.py``)."""
    return graph if precision == "float32" else with_masks(graph)


def in_precision(program: Program, precision: str) -> Program:
    """``program`` with float16 inside where ``precision`` says so; its ports stay as they are.

    Constants beyond float16 become its largest numbers, and epsilons below its normal ones the least of those.
    """
    if precision == "float32":
        return program
    main, *others = (_Halves(function).made(function.name == "main") for function in program.functions)
    return Program((main, *others), program.version)


class _Halves:
    """One function being rewritten."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._new: dict[Value, Value] = {}

    def made(self, with_ports: bool) -> Function:
        f, entering, leaving = self._function, list[Op](), list[Op]()
        inputs: list[Value] = []
        for value in f.inputs:
            if with_ports and value.type.dtype == "fp32":
                inside = Value(f"{value.name}_half", Type("fp16", value.type.shape))
                entering.append(_cast(value, inside))
                self._new[value] = inside
                inputs.append(value)
            else:
                inputs.append(self.value(value))
        ops = [self.op(op) for op in f.ops]
        outputs: list[Value] = []
        for value in f.outputs:
            new = self.value(value)
            if with_ports and value.type.dtype == "fp32":
                outside = Value(f"{value.name}_single", value.type)
                leaving.append(_cast(new, outside))
                new = outside
            outputs.append(new)
        return replace(f, inputs=tuple(inputs), ops=(*entering, *ops, *leaving), outputs=tuple(outputs))

    def op(self, op: Op) -> Op:
        if op.name == BITS and any(v.type.dtype == "fp32" for v in (*op.values(), *op.results)):
            refuse_bits(op.mark)
        operands = {name: self.operand(name, given) for name, given in op.operands.items()}
        return replace(op, operands=operands, results=tuple(map(self.value, op.results)))

    def operand(self, name: str, given: Operand) -> Operand:
        if isinstance(given, tuple):
            return tuple(map(self.value, given))
        if name == "epsilon" and isinstance(given.const, np.ndarray) and given.type.dtype == "fp32":
            return Value(
                given.name, Type("fp16", given.type.shape), np.asarray(np.maximum(given.const, LEAST), np.float16)
            )
        if name == "dtype" and given.const == "fp32":
            return Value(given.name, given.type, "fp16")
        return self.value(given)

    def value(self, value: Value) -> Value:
        if value.type.dtype != "fp32":
            return value
        if value not in self._new:
            data = value.const
            if isinstance(data, np.ndarray):
                data = np.asarray(np.clip(data, -MOST, MOST), np.float16)
            self._new[value] = Value(value.name, Type("fp16", value.type.shape), data)
        return self._new[value]


def _cast(x: Value, out: Value) -> Op:
    return Op("cast", {"x": x, "dtype": Value(f"{out.name}_dtype", Type("string"), out.type.dtype)}, (out,))
