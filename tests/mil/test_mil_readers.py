"""The Python reader and the native one take the same spellings of MIL, and read the same values from them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anejax.errors import AnejaxError, DeviceError
from anejax.mil.parse import parse
from anejax.mil.program import FLOAT_DTYPES, NUMPY_DTYPES, same_program
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.runtime import library
from tests.mil.programs import EXAMPLES

SPELLINGS = [
    *("0", "1", "-1", "1.0", "-0.0", "1.5", "1e-05", "1E5", "1e+2", "3.14159274", "1e-400", "1e400", "-1e400"),
    *("65504.0", "65519.99", "65520.0", "5.96e-08", "2.98e-08", "3.4028235e38", "3.4028236e38", "4.9e-324"),
    *("1.0039062500001", "1.00390625", "1.01171875", "1.0117187499999", "9.2e-41", "0x1.8p+1", "0x1.8", "0X1P-3"),
    *("0x1", "0x1e-5", "0x", "0x.p1", "1.", ".5", "1.5.2", "1e", "1e+", "1e+-5", "1.e5", "1.5p+1", "1.5f", "1_0"),
    *("inf", "-inf", "nan", "-nan", "true", "0." + "1" * 62, "0." + "1" * 63, "9" * 64, "9" * 65, "1e-99999999999"),
]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    try:
        library.load()
    except DeviceError as error:
        pytest.skip(str(error))


def with_constant(type: str, value: str) -> str:
    return f"program(1.3) {{ func main<ios18>() {{ {type} c = const()[val = {value}]; }} -> (c); }}"


def read_here(text: str) -> np.ndarray | None:
    try:
        found = parse(text).main.outputs[0].const
    except AnejaxError:
        return None
    assert isinstance(found, np.ndarray)
    return found


def read_natively(text: str, dtype: str) -> np.ndarray | None:
    try:
        program = library.NativeProgram("cpu", text, ())
    except AnejaxError:
        return None
    result = np.full((), 77, NUMPY_DTYPES[dtype])
    program.run([], [result.ctypes.data])
    return result


def assert_same_reading(spelling: str, dtype: str) -> np.ndarray | None:
    text = with_constant(dtype, f"{dtype}({spelling})")
    here, native = read_here(text), read_natively(text, dtype)
    assert (here is None) == (native is None), f"{text}: here {here}, native {native}"
    if here is not None and native is not None:
        assert here.tobytes() == native.tobytes() or (here != here and native != native), f"{here} {native}"
    return here


@pytest.mark.parametrize("dtype", sorted(NUMPY_DTYPES))
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_numbers(spelling: str, dtype: str) -> None:
    assert_same_reading(spelling, dtype)


@EXAMPLES
@given(
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(sorted(FLOAT_DTYPES)),
)
def test_decimal_floats(spelling: str, dtype: str) -> None:
    assert_same_reading(spelling, dtype)


@pytest.mark.parametrize(("dtype", "bits"), [("fp16", 11), ("bf16", 8), ("fp32", 24), ("fp64", 53)])
@pytest.mark.parametrize("spelling", ["0.1", "1e-3", "2.71828182845904523536", "1.0039062500001", "-123.456", "7e4"])
def test_decimal_floats_are_rounded_once(spelling: str, dtype: str, bits: int) -> None:
    exact = Fraction(spelling)
    if dtype == "fp16" and abs(exact) > 65504:
        return
    quantum = Fraction(2) ** (int(np.floor(np.log2(float(abs(exact))))) + 1 - bits)
    found = assert_same_reading(spelling, dtype)
    assert found is not None
    assert Fraction(float(found)) == round(exact / quantum) * quantum


def test_statements_without_brackets_read_as_with_them() -> None:
    frame = "program(1.3) {{ func main<ios18>(fp32 x) {{ fp32 y = abs(x = x){}; fp32 z = exp(x = y){}; }} -> (z); }}"
    named = parse(frame.format('[name = string("y")]', '[name = string("z")]'))
    for rest in (("", ""), ("[]", ""), ("", '[name = string("other")]')):
        text = frame.format(*rest)
        assert same_program(parse(text), named)
        library.verify(text, "cpu")


@pytest.mark.parametrize("word", ["true", "false"])
def test_truth_values_without_a_type(word: str) -> None:
    assert (
        read_here(with_constant("bool", word)) == read_natively(with_constant("bool", word), "bool") == (word == "true")
    )
    typed = 'program(1.3) {{ func main<ios18>(tensor<fp32, [2, 2]> x) {{ tensor<fp32, [2, 2]> y = \
matmul(transpose_x = {0}, transpose_y = {0}, x = x, y = x)[name = string("y")]; }} -> (y); }}'
    bare, full = typed.format(word), typed.format(f"bool({word})")
    assert same_program(parse(bare), parse(full))
    assert to_text(parse(bare)) == to_text(parse(full))
    library.verify(bare, "coreml")
    verify(parse(bare), "coreml")


def test_a_value_may_be_called_true() -> None:
    text = "program(1.3) { func main<ios18>(fp32 true) { fp32 y = abs(x = true); } -> (y); }"
    main = parse(text).main
    assert main.ops[0].operands["x"] is main.inputs[0]
    library.verify(text, "cpu")


@pytest.mark.parametrize(
    "text",
    [
        "program(1.3) { func main<ios18>(fp32 x) { fp32 y = abs(x = x)[name = true]; } -> (y); }",
        "program(1.3) { func main<ios18>(fp32 x) { fp32 y = abs(x = maybe); } -> (y); }",
        "program(1.3) { func main<ios18>(fp32 x) { fp32 y = abs(x = x)] } -> (y); }",
        with_constant("fp32", "true"),
        with_constant("bool", "1"),
    ],
)
def test_both_readers_refuse(text: str) -> None:
    with pytest.raises(AnejaxError):
        parse(text)
    with pytest.raises(AnejaxError):
        library.verify(text, "cpu")
