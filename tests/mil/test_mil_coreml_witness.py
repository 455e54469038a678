"""What we serialise is MIL, says coremltools: names, operands, dtypes, inferred shapes, and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from anejax.errors import VerifyError
from anejax.mil.limits import COREML_PORTS
from anejax.mil.opset import OPSET
from anejax.mil.program import Function, Program, Type, Value
from anejax.mil.verify import verify
from tests.mil.samples import SAMPLES, Sample, program, result_types
from tests.mil.witness import definition, has_value_inference, inferred_values, load, witness

MIL_OPS = [name for name, schema in OPSET.items() if "coreml" in schema.targets and not name.startswith("aj_")]
IDS = [f"{s.op}{i}" for i, s in enumerate(SAMPLES)]


COMPUTED = [s for s in SAMPLES if s.reference and s.computed and has_value_inference(s.op)]


def test_every_mil_operation_has_a_sample() -> None:
    assert {s.op for s in SAMPLES} == set(MIL_OPS)


@pytest.mark.parametrize("sample", SAMPLES, ids=IDS)
def test_types_are_those_that_coremltools_infers(sample: Sample) -> None:
    witness(program(sample))


@pytest.mark.parametrize("sample", COMPUTED, ids=lambda s: s.op)
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_meaning_is_that_of_coremltools(sample: Sample, dtype: str) -> None:
    found = inferred_values(program(sample, dtype, constant=True))
    for value, expected in zip(found, sample.expected(dtype), strict=True):
        assert value is not None, sample.op
        tolerance = 1e-5 if dtype == "fp32" else 4e-3
        np.testing.assert_allclose(
            value.astype(np.float64).reshape(expected.shape), expected.astype(np.float64), tolerance, tolerance
        )


def test_operations_that_coremltools_computes_are_compared() -> None:
    compared = {s.op for s in COMPUTED}
    assert {op for op in MIL_OPS if has_value_inference(op)} <= compared


# ---- the table against coremltools' own definitions


@pytest.mark.parametrize("op", MIL_OPS)
def test_operands_are_those_of_mil(op: str) -> None:
    """Names, which are optional, and dtypes; const may be stricter here than in MIL, never laxer."""
    mine = OPSET[op]
    theirs = definition(op)
    assert {a.name for a in mine.args} == {name for name in theirs if not name.startswith("_")}
    for arg in mine.args:
        other = theirs[arg.name]
        assert arg.optional == other.optional, arg.name
        assert arg.kind == "const" or not other.const, arg.name
        dtypes = set(mine.type_var(arg.var).coreml) if arg.var else set(arg.dtypes)  # pyright: ignore
        assert dtypes <= other.dtypes or not other.dtypes, arg.name


PORTED = [s for s in SAMPLES if result_types(s, "fp32")[0].dtype in COREML_PORTS]


@pytest.mark.parametrize("sample", PORTED, ids=lambda s: s.op)
def test_a_wrong_shape_is_refused_here_and_there(sample: Sample) -> None:
    """The declared shape is not taken on trust, by us or by coremltools."""
    good = program(sample)
    main = good.main
    op = main.ops[0]
    wrong = Value(op.results[0].name, Type(op.results[0].type.dtype, (*op.results[0].type.shape, 7)))
    bad_op = replace(op, results=(wrong, *op.results[1:]))
    bad = Program((Function("main", main.inputs, (bad_op,), bad_op.results),))
    with pytest.raises(VerifyError, match=rf"^\[{op.name}\] expected a result of shape"):
        verify(bad, "coreml")
    with pytest.raises((ValueError, AssertionError), match=r"[Mm]ismatch"):
        load(bad, verified=False)


def defaulted() -> Iterator[tuple[Sample, Sample, str]]:
    """A sample that writes an operand's default, and the same without that operand."""
    for sample in SAMPLES:
        for arg in OPSET[sample.op].args:
            written = replace(sample, consts={**sample.consts, arg.name: arg.default})
            if arg.default is not None and (written == sample or isinstance(arg.default, float)):
                rest = {k: v for k, v in sample.consts.items() if k != arg.name}
                yield written, replace(sample, consts=rest), arg.name


DEFAULTED = list(defaulted())


def test_every_default_is_compared() -> None:
    defaults = {(op, a.name) for op in MIL_OPS for a in OPSET[op].args if a.default is not None}
    assert defaults == {(written.op, name) for written, _, name in DEFAULTED}


@pytest.mark.parametrize(("written", "absent", "name"), DEFAULTED, ids=lambda v: getattr(v, "op", v))
def test_defaults_are_those_of_mil(written: Sample, absent: Sample, name: str) -> None:
    """An operand left out means in our table what it means in MIL."""
    main = load(program(absent, types=result_types(written, "fp32"))).functions["main"]
    found = next(op for op in main.operations if op.op_type == written.op).inputs[name].val
    arg = OPSET[written.op].arg(name)
    assert arg is not None
    assert found == (np.float32(arg.default) if isinstance(arg.default, float) else arg.default)
