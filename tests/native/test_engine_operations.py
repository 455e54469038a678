"""The stand-in computes whatever legalization writes: each operation of the engine's table, and each primitive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import dtypes
from anejax.core.graph import Graph
from anejax.core.primitive import REGISTRY
from anejax.errors import DtypeError, RefusedError, VerifyError
from anejax.mil.opset import OPSET
from anejax.mil.program import Program
from anejax.mil.text import to_text
from anejax.passes.legalize.table import verdict
from anejax.runtime.library import NativeProgram
from tests.espresso import engine_program, halves, run
from tests.mil.samples import SAMPLES, Sample
from tests.mil.test_mil_forms import engine_program as engine_sample
from tests.op_samples import ROWS, Case, Row
from tests.ops.checks import arguments, bind, describe

pytestmark = pytest.mark.usefixtures("espresso")
EPSILON = float(np.finfo(np.float16).eps)


def close(what: str, got: Any, want: Any, units: float) -> None:
    """Within `units` float16 eps of the largest element."""
    want = np.asarray(want, np.float64)
    scale = max(np.abs(want).max(initial=0), 2.0**-10)
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=0, atol=units * EPSILON * scale, err_msg=what)


# ---- operations of MIL

ON_ENGINE = [(s, p) for s in SAMPLES if "ane" in OPSET[s.op].targets for p in [engine_sample(s)] if p is not None]


@pytest.mark.parametrize(("sample", "program"), ON_ENGINE, ids=[s.op for s, _ in ON_ENGINE])
def test_operation_has_its_meaning(sample: Sample, program: Program) -> None:
    """Against NumPy in float64 on the rounded operands, and against the CPU device."""
    text = to_text(program)
    inputs = [a for v in sample.arrays("fp16").values() for a in (v if isinstance(v, tuple) else (v,))]
    inputs = [a for a in inputs if a.dtype != bool]
    got = run(NativeProgram("ane", text), inputs)
    if sample.reference is not None:
        for g, e in zip(got, sample.expected("fp16"), strict=True):
            close(sample.op, g.reshape(e.shape), e, 2)
    if "cpu" in OPSET[sample.op].targets:
        for g, e in zip(got, run(NativeProgram("cpu", text), inputs), strict=True):
            close(sample.op, g, e, 2)
    assert sample.reference is not None or "cpu" in OPSET[sample.op].targets


# ---- primitives


# rows whose cases are all forwarded, of integers, or of forms that the engine does not take
ELSEWHERE = {"copy", "pow", "pad", "iota", "optimization_barrier", "reduce_prod", "fft_parts"}


def on_floats(row: Row, case: Case, args: list[np.ndarray]) -> Graph:
    """The row's operation between float32 inputs and float32 outputs, since the engine's ports take nothing else."""

    def function(*xs: Any) -> list[Any]:
        given = [x if x.dtype == a.dtype else x.astype(a.dtype) for x, a in zip(xs, args)]
        outs = bind(row, given, case.params)
        return [o if o.dtype == dtypes.float32 else o.astype(np.float32) for o in outs]

    return aj.make_jaxpr(function)(*(a.astype(np.float32) for a in args)).graph


def has_form(row: Row) -> bool:
    return verdict(REGISTRY[row.name], "ane") in ("as it is", "rewritten")


def programs(row: Row) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """(what, text, inputs) of each of the row's cases that the engine takes."""
    dtype = next(d for d in (dtypes.float32, dtypes.bool_, row.dtypes[0]) if d in row.dtypes)
    for case in row.cases:
        args, what = arguments(row, case, dtype), describe(row, case, np.float16)
        graph = on_floats(row, case, args)
        if any(a.size == 0 for a in (*graph.in_avals, *graph.out_avals)):
            continue  # values without elements stay on the CPU device
        try:
            yield what, to_text(engine_program(graph)), halves(args)
        except (RefusedError, VerifyError, DtypeError) as error:
            print(what, error)


@pytest.mark.parametrize("row", [r for r in ROWS.values() if has_form(r)], ids=lambda r: r.name)
def test_primitive_equals_the_cpu_device(row: Row) -> None:
    count = 0
    for what, text, inputs in programs(row):
        expected = run(NativeProgram("cpu", text), inputs)
        for g, e in zip(run(NativeProgram("ane", text), inputs), expected, strict=True):
            close(what, g, e, 4)
        count += 1
    assert count or row.name in ELSEWHERE, "no case of the row reached the engine"
