"""Printing and parsing are inverse: golden forms, fixtures, every float, random programs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anejax.errors import MilError, ParseError
from anejax.mil.parse import parse
from anejax.mil.program import NUMPY_DTYPES, BlobRef, Builder, Program, Type, as_doubles, same_program
from anejax.mil.text import hex_float, literal, quoted, to_text
from anejax.mil.verify import verify
from tests.mil.programs import EXAMPLES, literals, programs

ROOT = Path(__file__).parents[2]
FIXTURES = sorted((ROOT / "tests/fixtures/mil").glob("*.mil"))
FLOATS = [d for d in NUMPY_DTYPES if d.startswith(("fp", "bf"))]


def page_example() -> str:
    found = re.search(r"```\n(program\(1\.3\).*?)```", (ROOT / "docs/mil.md").read_text(), re.DOTALL)
    assert found
    return found[1]


def small_program() -> Program:
    b = Builder()
    x = b.input("x", Type("fp16", (2, 3)))
    s = b.input("s", Type("fp16"))
    y = b.op("mul", {"x": x, "y": s}, out=x.type)
    z = b.op("clip", {"x": y, "alpha": -0.5, "beta": 1.5}, out=x.type, hint="clipped")
    halves = b.op("split", {"x": z, "axis": 0, "num_splits": 2}, out=[Type("fp16", (1, 3))] * 2)
    o = b.op("concat", {"values": tuple(halves), "axis": 1, "interleave": False}, out=Type("fp16", (1, 6)))
    r = b.op("reduce_sum", {"x": o, "axes": [1], "keep_dims": False}, out=Type("fp16", (1,)))
    b.returns(o, r)
    return b.program()


SMALL = """\
program(1.3)
[buildInfo = dict<string, string>({{"coremlc-component-MIL", "3520.4.1"}, {"coremlc-version", "3520.5.1"}})]
{
    func main<ios18>(tensor<fp16, [2, 3]> x, fp16 s) {
        tensor<fp16, [2, 3]> mul = mul(x = x, y = s)[name = string("mul")];
        fp16 alpha = const()[name = string("alpha"), val = fp16(-0x1p-1)];
        fp16 beta = const()[name = string("beta"), val = fp16(0x1.8p+0)];
        tensor<fp16, [2, 3]> clipped = clip(alpha = alpha, beta = beta, x = mul)[name = string("clipped")];
        int32 axis = const()[name = string("axis"), val = int32(0)];
        int32 num_splits = const()[name = string("num_splits"), val = int32(2)];
        tensor<fp16, [1, 3]> split, tensor<fp16, [1, 3]> split_1 = split(axis = axis, num_splits = num_splits, \
x = clipped)[name = string("split")];
        int32 axis_1 = const()[name = string("axis_1"), val = int32(1)];
        bool interleave = const()[name = string("interleave"), val = bool(false)];
        tensor<fp16, [1, 6]> concat = concat(axis = axis_1, interleave = interleave, \
values = (split, split_1))[name = string("concat")];
        tensor<int32, [1]> axes = const()[name = string("axes"), val = tensor<int32, [1]>([1])];
        bool keep_dims = const()[name = string("keep_dims"), val = bool(false)];
        tensor<fp16, [1]> reduce_sum = reduce_sum(axes = axes, keep_dims = keep_dims, \
x = concat)[name = string("reduce_sum")];
    } -> (concat, reduce_sum);
}
"""


def test_golden_text() -> None:
    program = small_program()
    verify(program, "cpu")
    assert to_text(program) == SMALL


def test_page_example_parses_and_verifies() -> None:
    program = parse(page_example())
    verify(program, "cpu")
    assert same_program(parse(to_text(program)), program)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_fixtures_round_trip(path: Path) -> None:
    program = parse(path.read_text())
    text = to_text(program)
    assert same_program(parse(text), program)
    assert to_text(parse(text)) == text


@EXAMPLES
@given(programs())
def test_random_programs_verify_and_round_trip(program: Program) -> None:
    verify(program, "cpu")
    text = to_text(program)
    again = parse(text)
    assert same_program(program, again)
    assert to_text(again) == text


@EXAMPLES
@given(st.data(), st.sampled_from(sorted(NUMPY_DTYPES)), st.sampled_from([(), (0,), (4,), (2, 2)]))
def test_every_literal_round_trips(data: Any, dtype: str, shape: tuple[int, ...]) -> None:
    array = data.draw(literals(Type(dtype, shape)))
    b = Builder()
    b.returns(b.const(array, dtype))
    program = b.program()
    assert same_program(program, parse(to_text(program)))


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_all_16_bit_floats_round_trip(dtype: str) -> None:
    array = np.arange(2**16, dtype=np.uint16).view(NUMPY_DTYPES[dtype])
    b = Builder()
    b.returns(b.const(array, dtype))
    found = parse(to_text(b.program())).main.outputs[0].const
    assert isinstance(found, np.ndarray)
    numbers = ~np.isnan(as_doubles(array))
    np.testing.assert_array_equal(~np.isnan(as_doubles(found)), numbers)
    np.testing.assert_array_equal(found.view(np.uint16)[numbers], array.view(np.uint16)[numbers])


@EXAMPLES
@given(st.floats())
def test_hex_floats_are_exact_and_short(x: float) -> None:
    text = hex_float(x)
    back = float(text) if text in ("inf", "-inf", "nan") else float.fromhex(text)
    assert back == x or (math.isnan(back) and math.isnan(x))
    assert math.copysign(1, back) == math.copysign(1, x) or math.isnan(x)
    assert not re.search(r"0p|\.p", text) or text.startswith(("0x0p", "-0x0p"))


@EXAMPLES
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\t"), max_size=20))
def test_strings_round_trip(text: str) -> None:
    b = Builder()
    b.returns(b.const(text))
    assert parse(to_text(b.program())).main.outputs[0].const == text


def test_strings_outside_ascii_are_refused() -> None:
    with pytest.raises(MilError, match=r"\[const\] expected a string of printable ASCII"):
        quoted("\N{BELL}")


def test_literals_in_the_text() -> None:
    b = Builder()
    assert literal(b.const(2)) == "int32(2)"
    assert literal(b.const(True)) == "bool(true)"
    assert literal(b.const(0.1)) == "fp32(0x1.99999ap-4)"
    assert literal(b.const([1.0, -0.0], "fp16")) == "tensor<fp16, [2]>([0x1p+0, -0x0p+0])"
    assert literal(b.const([[1, 2], [3, 4]], "int64")) == "tensor<int64, [2, 2]>([1, 2, 3, 4])"
    assert literal(b.const([], "int32")) == "tensor<int32, [0]>([])"
    assert literal(b.const(np.uint64(2**64 - 1))) == "uint64(18446744073709551615)"
    blob = b.const(BlobRef("@model_path/weights.bin", 64), Type("fp16", (4,)))
    assert literal(blob) == (
        'tensor<fp16, [4]>(BLOBFILE(path = string("@model_path/weights.bin"), offset = uint64(64)))'
    )


# ---- what the parser refuses, and where


def body(statement: str) -> str:
    return f"program(1.3)\n{{\n    func main<ios18>(fp32 x) {{\n{statement}\n    }} -> (x);\n}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"1:1: expected 'program', got the end of the text"),
        ("program(1.3)\n[", r"2:2: expected buildInfo"),
        ("program(1.3) {", r"1:15: expected 'func', got the end of the text"),
        ("program(1.3) {} x", r"1:17: expected the end of the text, got 'x'"),
        ("program(1.3) {\x00}", r"1:15: expected a token of MIL, got '\\x00'"),
        (body("fp32 y = abs(x = z)[];"), r"4:18: expected a value defined above, got 'z'"),
        (body("fp32 x = abs(x = x)[];"), r"4:6: expected a new name, got 'x' again"),
        (body("fp32 y = abs(x = x, x = x)[];"), r"4:21: expected each name once, got 'x' again"),
        (body("fp32 y = abs(x = x,)[];"), r"4:20: expected one more item, got '\)'"),
        (body("fp33 y = abs(x = x)[];"), r"4:1: \[type\] expected a MIL dtype, got 'fp33'"),
        (body("tensor<fp32, [?]> y = abs(x = x)[];"), r"4:15: expected a token of MIL, got '\?'"),
        (body("tensor<fp32, [-1]> y = abs(x = x)[];"), r"4:15: expected an integer from 0"),
        (body("tensor<fp32, [1099511627776, 1099511627776]> y = abs(x = x)[];"), r"4:1: \[type\] expected at most"),
        (body(f"tensor<fp32, [{', '.join('1' * 33)}]> y = abs(x = x)[];"), r"4:1: \[type\] expected rank at most 32"),
        (
            body("fp16 y = const()[val = fp16(0x1p+16)];"),
            r"4:29: expected a number that fp16 holds, got '0x1p\+16'",
        ),
        (body("fp16 y = const()[val = fp16(65520.0)];"), r"4:29: expected a number that fp16 holds, got '65520\.0'"),
        (body("fp32 y = const()[val = fp32(1.)];"), r"4:29: expected a token of MIL, got '1'"),
        (body("int32 y = const()[val = int32(1.0)];"), r"4:31: expected an integer from"),
        (body("fp32 y = abs(x = x)[name = true];"), r"4:21: expected the name of a statement to be a string, got bool"),
        (body("int8 y = const()[val = int8(128)];"), r"4:29: expected an integer from -128 to 127, got '128'"),
        (body("int8 y = const()[val = int8(0x1p+0)];"), r"4:29: expected an integer"),
        (body("bool y = const()[val = bool(1)];"), r"4:29: expected true or false, got '1'"),
        (body("int8 y = const()[val = int16(1)];"), r"4:6: expected a value of the declared type int8, got int16"),
        (body("tensor<int8, [2]> y = const()[val = tensor<int8, [2]>([1])];"), r"expected 2 elements for .*, got 1"),
        (body("tensor<int8, [999999999]> y = const()[val = tensor<int8, [999999999]>([1])];"), r"elements"),
        (body("fp32 y = const()[];"), r"4:6: expected const\(\) with one result"),
        (body('string y = const()[val = string("\\q")];'), r"4:33: expected one of the escapes"),
        (body("fp32 y = const()[val = fp32(BLOBFILE(path = fp32(BLOBFILE(path = "), r"expected a number"),
        (body("fp32 y = const()[val = fp32(BLOBFILE(offset = uint64(1)))];"), r"expected BLOBFILE"),
        (
            "program(1.3) { func f<a>() {} -> (); func f<a>() {} -> (); }",
            r"1:38: expected a new function name, got 'f'",
        ),
    ],
)
def test_parse_errors_say_where(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=r"^\[mil\] \d*:?.*" + message):
        parse(text)


def test_texts_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anejax.mil.parse.MAX_TEXT", 10)
    with pytest.raises(ParseError, match=r"^\[mil\] 1:1: expected at most 10 characters, got 12"):
        parse("program(1.3)")


def test_deep_nesting_is_no_recursion() -> None:
    for opening in ("(", "[", "{", "fp32(BLOBFILE(path = ", "tensor<", "program("):
        for text in (opening * 100_000, body("fp32 y = abs(x = " + opening * 100_000)):
            with pytest.raises(ParseError):
                parse(text)
