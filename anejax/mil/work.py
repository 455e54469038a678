"""Counts the arithmetic operations of one operation of a program."""

from __future__ import annotations

import math

import numpy as np

from anejax.mil.cost import CONVOLUTIONS, product_flops
from anejax.mil.opset import OPSET
from anejax.mil.program import FLOAT_DTYPES, Op, Value
from anejax.mil.view import View

MOVES = frozenset(
    {
        "reshape", "transpose", "expand_dims", "squeeze", "concat", "split", "stack", "slice_by_index", "slice_by_size",
        "pad", "reverse", "tile", "fill", "gather", "gather_nd", "identity", "cast", "select", "aj_reshape",
        "aj_transpose", "aj_broadcast_in_dim", "aj_slice", "aj_concatenate", "aj_pad", "aj_rev", "aj_iota",
        "aj_dynamic_slice", "aj_dynamic_update_slice", "aj_gather", "aj_copy", "aj_optimization_barrier",
        "aj_convert_element_type", "aj_bitcast_convert_type", "aj_select_n", "aj_sort", "aj_scan", "aj_while",
        "aj_cond",
    }
)  # fmt: skip


def flops_of(op: Op) -> int:
    """Operations on floats: 2 for each multiply-add of a product; elsewhere 1 for each element, whatever the function.

    Loops and branches count none: what they run does. Nor do factorizations and transforms, whose kernels are others'.
    """
    schema = OPSET.get(op.name)
    if schema is not None and (op.name == "matmul" or op.name in CONVOLUTIONS):
        return product_flops(View(op, schema))
    if op.name == "aj_dot_general":
        return 2 * op.results[0].type.size * _sizes(op, "x", "x_contracting")
    if op.name == "aj_conv_general_dilated":
        weight, spec = op.operands["weight"], op.operands["rhs_spec"]
        assert isinstance(weight, Value) and isinstance(spec, Value) and isinstance(spec.const, np.ndarray)
        return 2 * op.results[0].type.size * (weight.type.size // max(1, weight.type.shape[int(spec.const[0])]))
    if op.name in MOVES or not op.results or op.results[0].type.dtype not in FLOAT_DTYPES:
        return 0
    return max(v.type.size for v in (*op.values(), *op.results) if v.type.dtype != "string")


def _sizes(op: Op, operand: str, axes: str) -> int:
    x, names = op.operands[operand], op.operands[axes]
    assert isinstance(x, Value) and isinstance(names, Value) and isinstance(names.const, np.ndarray)
    return math.prod(x.type.shape[int(a)] for a in names.const)
