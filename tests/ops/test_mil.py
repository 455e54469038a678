"""Each primitive lowered alone: the text parses, both verifiers take it, and it prints as it was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anejax import dtypes
from anejax.core.graph import Eqn, Graph, Var
from anejax.core.primitive import Refused
from anejax.core.trace import aval_of
from anejax.lower.to_mil import lower
from anejax.mil.parse import parse
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.passes.pipeline import optimize
from anejax.runtime import library
from tests.op_samples import ROWS, Case, Row
from tests.ops.checks import ALL_ROWS, arguments, describe, prim, wide


def graph_of(row: Row, case: Case, dtype: Any) -> Graph:
    """The operation as a Graph of one equation."""
    inputs = tuple(Var(aval_of(a)) for a in arguments(row, case, dtype))
    outputs = tuple(Var(a) for a in prim(row).out_avals([v.aval for v in inputs], case.params))
    return Graph(inputs, (Eqn(prim(row), inputs, outputs, case.params),), outputs)


@ALL_ROWS
def test_lowered_text_verifies(row: Row) -> None:
    with wide():
        for case in row.cases:
            for dtype in row.dtypes:
                graph = optimize(graph_of(row, case, dtype))
                if not graph.eqns:
                    continue  # the operation was an identity
                text = to_text(lower(graph))
                program = parse(text)
                verify(program, "cpu")
                assert to_text(program) == text, describe(row, case, dtype)
                library.verify(text, "cpu")


# what MIL has under another name, and the operation that must be written for float32
OWN_NAMES = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "real_div", "pow": "pow", "max": "maximum", "exp": "exp",
    "log": "log",
    "rsqrt": "rsqrt", "logistic": "sigmoid", "erf": "erf", "eq": "equal", "select_n": "select",
    "reduce_sum": "reduce_sum",
    "reshape": "reshape", "transpose": "transpose", "concatenate": "concat", "slice": "slice_by_index",
    "rev": "reverse",
    "dot_general": "matmul", "conv_general_dilated": "conv", "reduce_window_max": "max_pool",
}  # fmt: skip


@pytest.mark.parametrize("name", OWN_NAMES)
def test_mil_operations_are_written_where_they_match(name: str) -> None:
    row = ROWS[name]
    graph = graph_of(row, row.cases[0], np.float32)
    text = to_text(lower(graph))
    assert f" = {OWN_NAMES[name]}(" in text and "aj_" not in text, text


@pytest.mark.parametrize(("name", "dtype"), [("add", "float64"), ("add", "int64"), ("exp", "bfloat16"), ("mul",
    "uint8"),
                                             ("dot_general", "float64"), ("conv_general_dilated",
                                                 "bfloat16")])  # fmt: skip
def test_other_dtypes_are_aj_operations(name: str, dtype: str) -> None:
    row = ROWS[name]
    with wide():
        from ml_dtypes import bfloat16

        text = to_text(lower(graph_of(row, row.cases[0], bfloat16 if dtype == "bfloat16" else dtype)))
    assert f" = aj_{name}(" in text, text


def test_refusals_to_lower_say_why() -> None:
    refused = [r for r in ROWS.values() if isinstance(prim(r).mil, Refused)]
    assert all(len(prim(r).mil.reason) > 10 for r in refused)
    assert {r.name for r in refused} <= {"select_and_gather_add", "complex", "real", "imag", "conj", "fft"}
    assert dtypes.float32 in ROWS["select_and_gather_add"].dtypes
