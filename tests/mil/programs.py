"""Random programs for property tests: right ones, built with Builder, over a small pool of operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from anejax.mil.opset import AJ_ANY
from anejax.mil.program import FLOAT_DTYPES, NUMPY_DTYPES, Builder, Program, Type, Value

EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines may be busy

SHAPES: list[tuple[int, ...]] = [(), (1,), (3,), (2, 3), (0,), (2, 0, 3), (1, 2, 1, 2)]
UNARY = ["aj_neg", "aj_abs", "aj_copy"]
BINARY = ["aj_add", "aj_mul", "aj_max"]
NUMERIC = [d for d in AJ_ANY if d != "bool"]


@st.composite
def literals(draw: st.DrawFn, type: Type) -> np.ndarray[Any, Any]:
    """Any bits of the type: NaN, infinities, subnormals and negative zero among the floats."""
    dtype = NUMPY_DTYPES[type.dtype]
    if type.dtype == "bool":
        return np.array(draw(st.lists(st.booleans(), min_size=type.size, max_size=type.size)), bool).reshape(type.shape)
    raw = draw(st.binary(min_size=type.nbytes, max_size=type.nbytes))
    return np.frombuffer(raw, dtype).reshape(type.shape)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """One or two functions of elementwise and moving operations, with shared constants."""
    b = Builder()
    fill(draw, b)
    if draw(st.booleans()):
        fill(draw, b.function(draw(st.sampled_from(["body", "cond", "f_1"]))))
    return b.program()


def fill(draw: st.DrawFn, b: Builder) -> None:
    type = Type(draw(st.sampled_from(NUMERIC)), draw(st.sampled_from(SHAPES)))
    names = st.sampled_from(["x", "x", "tensor", "0w", "a b", "inf", "_", "fp16", "x_1"])
    values = [b.input(draw(names), type) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(0, 6))):
        values.append(step(draw, b, type, values))
    b.returns(*draw(st.lists(st.sampled_from(values), min_size=1, max_size=4)))


def step(draw: st.DrawFn, b: Builder, type: Type, values: list[Value]) -> Value:
    pick = st.sampled_from(values)
    kind = draw(st.sampled_from(["unary", "binary", "const", "sort", "reverse", "convert"]))
    if kind == "unary":
        return b.op(draw(st.sampled_from(UNARY)), {"x": draw(pick)}, out=type)
    if kind == "binary":
        return b.op(draw(st.sampled_from(BINARY)), {"x": draw(pick), "y": draw(pick)}, out=type)
    if kind == "const":
        const = b.const(draw(literals(type)), type.dtype, name=draw(st.sampled_from(["k", "y", "x"])))
        return b.op("aj_add", {"x": draw(pick), "y": const}, out=type)
    if kind == "sort" and type.shape:
        keys = [draw(pick) for _ in range(draw(st.integers(1, 3)))]
        operands = {"values": tuple(keys), "dimension": 0, "num_keys": 1}
        return b.op("aj_sort", operands, out=[type] * len(keys))[-1]
    if kind == "reverse":
        return b.op("aj_rev", {"x": draw(pick), "dimensions": list(range(type.rank))}, out=type, hint=draw(st.text()))
    other = Type(draw(st.sampled_from(sorted(FLOAT_DTYPES))), type.shape)
    wide = b.op("aj_convert_element_type", {"x": draw(pick)}, out=other)
    return b.op("aj_convert_element_type", {"x": wide}, out=type)
