"""Statements meant for the engine have the forms that are known to work there, and no others.

The forms come from programs that ran: operand names in alphabetical order, all of them written; every
constant on a const() line of its own, single values with the bare type, lists with their tensor type;
floats in hexadecimal. This file reads text with its own few expressions, not with our parser.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anejax.errors import VerifyError
from anejax.mil.opset import OPSET
from anejax.mil.parse import parse
from anejax.mil.program import Builder, Program, Type
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from tests.mil.samples import SAMPLES, Sample, program

FIXTURES = Path(__file__).parents[1] / "fixtures/mil"

# operation(s): operands, optional ones in brackets
QUOTED = """
abs sign square exp2 ceil floor round exp sqrt tanh atan erf sigmoid relu silu softplus sin cos relu6 softsign: x
logical_not: x
add sub mul real_div floor_div maximum minimum pow: x y
equal not_equal less less_equal greater greater_equal: x y
select: a b cond
cast: dtype x
log rsqrt inverse: epsilon x
gelu: mode x
clip scaled_tanh sigmoid_hard linear_activation clamped_relu: alpha beta x
leaky_relu elu threshold thresholded_relu prelu: alpha x
softmax: axis x
reduce_sum reduce_mean reduce_max reduce_min reduce_sum_square reduce_log_sum_exp: axes keep_dims x
reduce_l1_norm reduce_l2_norm reduce_log_sum: axes keep_dims x
reshape: shape x
transpose: perm x
expand_dims squeeze reverse: axes x
tile: reps x
pad: constant_val mode pad x
fill: shape value
concat: axis interleave values
stack: axis values
split: axis num_splits x
slice_by_size: begin size x
slice_by_index: begin begin_mask end end_mask squeeze_mask stride x
matmul: transpose_x transpose_y x y
conv: [bias] dilations groups pad pad_type strides weight x
conv_transpose: [bias] dilations groups [output_shape] pad pad_type strides weight x
max_pool: ceil_mode kernel_sizes pad pad_type strides x
avg_pool: ceil_mode exclude_padding_from_average kernel_sizes pad pad_type strides x
batch_norm: beta epsilon gamma mean variance x
layer_norm: axes beta epsilon gamma x
instance_norm: beta epsilon gamma x
"""
FORMS = {
    op: operands.split()
    for line in QUOTED.strip().splitlines()
    for ops, operands in [line.split(":")]
    for op in ops.split()
}
ENGINE_OPS = [name for name, schema in OPSET.items() if "ane" in schema.targets]

TYPE = r"(?:tensor<\w+, \[[\d, ]+\]>|\w+)"
CONST = re.compile(rf'({TYPE}) (\w+) = const\(\)\[name = string\("(\w+)"\), val = (.*)\];')
STATEMENT = re.compile(rf'{TYPE} (\w+)(?:, {TYPE} \w+)* = (\w+)\((.*)\)\[name = string\("(\w+)"\)\];')
HEX = r"-?0x[01](?:\.[0-9a-f]+)?p[+-]\d+"
SINGLE = re.compile(rf'(?:bool\((?:true|false)\)|int32\(-?\d+\)|fp16\({HEX}\)|string\("\w+"\))')
LIST = re.compile(rf"tensor<(int32|bool|fp16), \[[\d, ]+\]>\(\[(?:true|false|-?\d+|{HEX}|, )*\]\)")
BLOB = re.compile(
    r'tensor<\w+, \[[\d, ]+\]>\(BLOBFILE\(path = string\("@model_path/[\w./]+"\), offset = uint64\(\d+\)\)\)'
)


def lines(text: str) -> list[str]:
    """The statements of `main`."""
    found = re.search(r"\{\n    func main<ios18>\(.*\) \{\n(.*)    \} -> \(.*\);\n\}\n", text, re.DOTALL)
    assert found, text
    return [line.strip() for line in found[1].splitlines()]


def check_forms(text: str) -> None:
    """Assert that every statement of `text` has a known form."""
    consts: set[str] = set()
    for line in lines(text):
        if const := CONST.fullmatch(line):
            type, name, label, value = const.groups()
            assert name == label
            assert value.startswith(f"{type}(")
            assert SINGLE.fullmatch(value) or LIST.fullmatch(value) or BLOB.fullmatch(value), line
            consts.add(name)
            continue
        statement = STATEMENT.fullmatch(line)
        assert statement, line
        result, op, operands, label = statement.groups()
        assert result == label
        names = re.findall(r"(\w+) = (?:\w+|\([\w, ]+\))(?:, |$)", operands)
        values = dict(re.findall(r"(\w+) = (\w+|\([\w, ]+\))(?:, |$)", operands))
        assert len(names) == operands.count(" = "), line
        assert names == sorted(names), line
        required = [n for n in FORMS[op] if not n.startswith("[")]
        assert set(required) <= set(names) <= {n.strip("[]") for n in FORMS[op]}, line
        for arg in OPSET[op].args:
            assert arg.kind != "const" or arg.name not in values or values[arg.name] in consts, line


def engine_program(sample: Sample) -> Program | None:
    """The sample in fp16, where it is one that the engine takes."""
    made = program(sample, "fp16")
    try:
        verify(made, "ane")
    except VerifyError:
        return None
    return made


PROGRAMS = [(s.op, p) for s in SAMPLES if "ane" in OPSET[s.op].targets for p in [engine_program(s)] if p]


def test_every_engine_operation_has_a_quoted_form() -> None:
    assert set(ENGINE_OPS) == set(FORMS)


def test_every_engine_operation_is_printed_here() -> None:
    assert {op for op, _ in PROGRAMS} == set(ENGINE_OPS)


@pytest.mark.parametrize(("op", "made"), PROGRAMS, ids=lambda v: v if isinstance(v, str) else "")
def test_engine_programs_print_in_quoted_forms(op: str, made: Program) -> None:
    check_forms(to_text(made))


@pytest.mark.parametrize("name", ["e5rt_matmul_add", "e5rt_arguments", "attention", "rms_norm"])
def test_quoted_programs_have_these_forms_too(name: str) -> None:
    text = (FIXTURES / f"{name}.mil").read_text()
    verify(parse(text), "ane")
    check_forms(text)
    check_forms(to_text(parse(text)))


def test_inline_literals_become_const_lines() -> None:
    """The parser takes literals within a call; the printer never writes them."""
    text = (FIXTURES / "frame_short.mil").read_text()
    assert "transpose_y = bool(true)" in text
    check_forms(to_text(parse(text)))


@pytest.mark.parametrize("missing", ["interleave", "axis"])
def test_an_operand_left_out_is_refused(missing: str) -> None:
    b = Builder()
    x = b.input("x", Type("fp16", (1, 4)))
    operands = {"values": (x, x), "axis": 1, "interleave": False}
    del operands[missing]
    b.returns(b.op("concat", operands, out=Type("fp16", (1, 8))))
    with pytest.raises(VerifyError, match=rf"\[concat\] expected .*{missing}"):
        verify(b.program(), "ane")
