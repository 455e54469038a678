"""What the verifier refuses, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anejax.errors import MilError, VerifyError
from anejax.mil.program import BlobRef, Builder, Function, Op, Program, Type, Value, same_program
from anejax.mil.verify import verify

F32, F16 = "fp32", "fp16"


def single(op: str, operands: dict[str, Any], out: Type | list[Type], **inputs: Type) -> Program:
    """One operation; operands that are the names of inputs are those inputs."""
    b = Builder()
    values = {name: b.input(name, type) for name, type in inputs.items()}

    def bind(v: Any) -> Any:
        if isinstance(v, tuple):
            return tuple(values[n] for n in v)
        return values.get(v, v) if isinstance(v, str) else v

    results = b.op(op, {k: bind(v) for k, v in operands.items()}, out=[out] if isinstance(out, Type) else out)
    b.returns(*results)
    return b.program()


def refused(program: Program, target: str, message: str, family: str = "A16") -> None:
    with pytest.raises(VerifyError, match=message):
        verify(program, target, family)


X = Type(F32, (8, 4))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (single("frobnicate", {"x": "x"}, X, x=X), r"^\[frobnicate\] expected an operation of the table"),
        (single("exp", {"y": "x"}, X, x=X), r"^\[exp\] expected the operands x, got y"),
        (single("exp", {}, X), r"^\[exp\] expected the operand x, got none"),
        (single("exp", {"x": ("x", "x")}, X, x=X), r"^\[exp\] expected one value for x"),
        (single("exp", {"x": "x"}, [X, X], x=X), r"^\[exp\] expected 1 results, got 2"),
        (
            single("exp", {"x": "x"}, Type("int32", (8, 4)), x=Type("int32", (8, 4))),
            r"^\[exp\] expected x to be fp16 or fp32 for target cpu, got tensor<int32, \[8, 4\]>",
        ),
        (
            single("add", {"x": "x", "y": "y"}, X, x=X, y=Type(F16, (8, 4))),
            r"^\[add\] expected y to be fp32 for target cpu, got tensor<fp16, \[8, 4\]>",
        ),
        (single("add", {"x": "x", "y": "x"}, Type(F16, (8, 4)), x=X), r"^\[add\] expected the result to be fp32"),
        (single("less", {"x": "x", "y": "x"}, X, x=X), r"^\[less\] expected a result of dtype bool, got"),
        (
            single("add", {"x": "x", "y": "y"}, X, x=X, y=Type(F32, (3,))),
            r"^\[add\] expected shapes that broadcast, got x: tensor<fp32, \[8, 4\]>, y: tensor<fp32, \[3\]>",
        ),
        (
            single("matmul", {"x": "x", "y": "y"}, X, x=X, y=X),
            r"^\[matmul\] expected equal contracted sizes, not 4 and 8, got x: tensor<fp32, \[8, 4\]>, y: ",
        ),
        (
            single("exp", {"x": "x"}, Type(F32, (4, 8)), x=X),
            r"^\[exp\] expected a result of shape \[8, 4\], not tensor<fp32, \[4, 8\]> exp, got x: tensor",
        ),
        (
            single("transpose", {"x": "x", "perm": "p"}, X, x=X, p=Type("int32", (2,))),
            r"^\[transpose\] expected perm to be a constant, got tensor<int32, \[2\]> p",
        ),
        (single("transpose", {"x": "x", "perm": 1}, X, x=X), r"^\[transpose\] expected perm to have rank 1, got int32"),
        (single("transpose", {"x": "x", "perm": [0, 0]}, X, x=X), r"^\[transpose\] expected distinct axes in perm"),
        (single("transpose", {"x": "x", "perm": [1]}, X, x=X), r"^\[transpose\] expected perm to name each axis once"),
        (single("softmax", {"x": "x", "axis": 2}, X, x=X), r"^\[softmax\] expected axis from -2 to 1, got 2"),
        (
            single("cast", {"x": "x", "dtype": "int32"}, X, x=X),
            r"^\[cast\] expected a result of dtype int32, as stated, got tensor<fp32, \[8, 4\]> cast",
        ),
        (
            single("aj_bitcast_convert_type", {"x": "x"}, Type(F16, (8, 4)), x=X),
            r"^\[aj_bitcast_convert_type\] expected dtypes of equal width",
        ),
        (single("gelu", {"x": "x", "mode": "NICE"}, X, x=X), r"^\[gelu\] expected mode to be one of EXACT, .* 'NICE'"),
        (single("concat", {"values": "x", "axis": 0}, X, x=X), r"^\[concat\] expected a list of values for values"),
        (
            single("aj_select_n", {"which": "x", "cases": ("x", "x")}, X, x=X),
            r"^\[aj_select_n\] expected which to be bool or int32 for target cpu, got tensor<fp32",
        ),
    ],
)
def test_messages(program: Program, message: str) -> None:
    refused(program, "cpu", message)


def test_targets_and_families() -> None:
    program = single("exp", {"x": "x"}, X, x=X)
    refused(program, "gpu", r"^\[verify\] expected a target of cpu, coreml, ane, got 'gpu'")
    refused(program, "ane", r"^\[verify\] expected a family of A13", family="M1")
    refused(single("aj_exp", {"x": "x"}, X, x=X), "coreml", r"^\[aj_exp\] not an operation of target coreml")


def test_functions() -> None:
    function = single("exp", {"x": "x"}, X, x=X).main
    refused(Program((function, function)), "cpu", r"^\[program\] expected distinct functions, one of them main")
    refused(Program(()), "cpu", r"^\[program\] expected distinct functions")
    with pytest.raises(MilError, match=r"^\[program\] expected a new function name"):
        Builder().function("main")
    with pytest.raises(MilError, match=r"^\[program\] expected a function 'f', got main"):
        Program((function,)).function("f")


def test_ssa() -> None:
    x, y, twin = Value("x", X), Value("y", X), Value("x", X)

    def main(ops: list[Op], outputs: list[Value]) -> Program:
        return Program((Function("main", (x,), tuple(ops), tuple(outputs)),))

    refused(main([Op("exp", {"x": y}, (y,))], [y]), "cpu", r"^\[exp\] expected a value defined before, got .* y")
    refused(main([Op("exp", {"x": x}, (twin,))], [x]), "cpu", r"^\[exp\] expected a value that is new, got .* x")
    refused(main([], [y]), "cpu", r"^\[output\] expected a value defined before")
    double = [Op("exp", {"x": x}, (y,))] * 2
    refused(main(double, [y]), "cpu", r"^\[exp\] expected a value that is new")
    attributed = Op("exp", {"x": x}, (y,), {"alpha": Value("c", Type("string"), "s")})
    refused(main([attributed], [y]), "cpu", r"^\[exp\] expected no attributes, got alpha")


def test_a_function_returns_something() -> None:
    b = Builder()
    b.op("exp", {"x": b.input("x", X)}, out=X)
    refused(b.program(), "cpu", r"^\[main\] expected at least one output, got none")


def test_values_of_another_function() -> None:
    b = Builder()
    x = b.input("x", X)
    b.returns(x)
    other = b.function("other")
    other.returns(other.op("exp", {"x": x}, out=X))
    refused(b.program(), "cpu", r"^\[exp\] expected a value defined before")


def test_cpu_takes_what_the_others_refuse() -> None:
    empty = single("exp", {"x": "x"}, Type(F16, (0, 4)), x=Type(F16, (0, 4)))
    scalar = single("exp", {"x": "x"}, Type(F16), x=Type(F16))
    deep = single("exp", {"x": "x"}, Type(F16, (1,) * 6), x=Type(F16, (1,) * 6))
    endless = single("add", {"x": "x", "y": np.float16(np.inf)}, Type(F16, (4,)), x=Type(F16, (4,)))
    for program, message in (
        (empty, "expected no axis of size 0"),
        (scalar, "expected (fp16|fp32).* of rank 1 or more|rank 1 or more"),
        (deep, "expected rank at most 5"),
        (endless, r"^\[add\] expected finite constants"),
    ):
        verify(program, "cpu")
        refused(program, "coreml", message)
        refused(program, "ane", message)


def test_borders() -> None:
    b = Builder()
    x = b.input("x", Type(F16, (4,)))
    y = b.op("exp", {"x": x}, out=x.type)
    for outputs, message in (
        ([x], r"^\[output\] expected the result of an operation"),
        ([b.const([1.0], F16)], r"^\[output\] expected the result of an operation"),
        ([y, y], r"^\[output\] expected distinct outputs"),
    ):
        b.returns(*outputs)
        verify(b.program(), "cpu")
        refused(b.program(), "coreml", message)
        refused(b.program(), "ane", message)


@pytest.mark.parametrize(
    ("dtype", "family", "fine"), [("uint8", "A13", True), ("int8", "A13", False), ("int8", "A14", True)]
)
def test_ports_of_the_engine(dtype: str, family: str, fine: bool) -> None:
    out = Type(F16, (4,))
    program = single("cast", {"x": "x", "dtype": F16}, out, x=Type(dtype, (4,)))
    if fine:
        verify(program, "ane", family)
    else:
        refused(program, "ane", r"^\[port\] expected fp16 or uint8 of rank 1 or more for target ane", family)


def conv(x: Type, weight: Any, out: tuple[int, ...], **more: Any) -> Program:
    consts = {"strides": [1, 1], "dilations": [1, 1], "groups": 1, "pad_type": "valid", "pad": [0] * 4} | more
    inputs = {"x": x} | ({"w": weight} if isinstance(weight, Type) else {})
    operands = {"x": "x", "weight": "w" if isinstance(weight, Type) else weight}
    return single("conv", operands | consts, Type(x.dtype, out), **inputs)


@pytest.mark.parametrize(
    ("program", "family", "message"),
    [
        (single("exp", {"x": "x"}, X, x=X), "A16", r"^\[exp\] expected x to be fp16 for target ane, got tensor<fp32"),
        (
            single("sin", {"x": "x"}, Type(F16, (4,)), x=Type(F16, (4,))),
            "A14",
            r"^\[sin\] expected an engine from A15, not A14",
        ),
        (
            single("mod", {"x": "x", "y": "x"}, Type(F16, (4,)), x=Type(F16, (4,))),
            "A16",
            r"^\[mod\] not an operation of target ane: not implemented .*; write x - floor\(x / y\) \* y",
        ),
        (
            single("pow", {"x": "x", "y": "x"}, Type(F16, (4,)), x=Type(F16, (4,))),
            "A16",
            r"^\[pow\] expected y to be a constant on the engine",
        ),
        (
            conv(Type(F16, (2, 3, 8, 8)), Type(F16, (4, 3, 3, 3)), (2, 4, 6, 6)),
            "A16",
            r"^\[conv\] expected a constant weight, or batch 1, on the engine",
        ),
        (
            conv(Type(F16, (1, 3, 8, 8)), Type(F16, (4, 3, 3, 3)), (1, 4, 4, 4), dilations=[2, 2]),
            "A16",
            r"^\[conv\] expected dilations of 1 with a weight that is not constant",
        ),
        (
            conv(Type(F16, (1, 1, 20, 20)), np.ones((1, 1, 3, 14), F16.replace("fp", "float")), (1, 1, 18, 7)),
            "A13",
            r"^\[conv\] expected a kernel up to 29 x 13",
        ),
        (
            single("exp", {"x": "x"}, Type(F16, (1, 20000)), x=Type(F16, (1, 20000))),
            "A15",
            r"^\[input\] expected .* up to 16384",
        ),
        (
            single("tile", {"x": "x", "reps": [5]}, Type(F16, (20,)), x=Type(F16, (4,))),
            "A16",
            r"^\[tile\] expected factors made of \(2, 3\), not 5",
        ),
        (
            single("mul", {"x": "x", "y": 0.0}, Type(F16, (4,)), x=Type(F16, (4,))),
            "A16",
            r"^\[mul\] expected a factor that is not constant 0",
        ),
        (
            single("softmax", {"x": "x"}, Type(F16, (4,)), x=Type(F16, (4,))),
            "A16",
            r"^\[softmax\] expected axis to be written out for the engine",
        ),
    ],
)
def test_engine_restrictions(program: Program, family: str, message: str) -> None:
    refused(program, "ane", message, family)


def test_dilated_convolution_with_a_computed_weight() -> None:
    program = conv(Type(F32, (1, 3, 8, 8)), Type(F32, (4, 3, 3, 3)), (1, 4, 4, 4), dilations=[2, 2])
    verify(program, "cpu")
    refused(program, "coreml", r"^\[conv\] expected dilations of 1")


def test_blobs_are_for_the_compilers() -> None:
    b = Builder()
    w = b.const(BlobRef("@model_path/weights.bin", 64), Type(F16, (4, 4)))
    x = b.input("x", Type(F16, (4,)))
    b.returns(b.op("add", {"x": x, "y": w}, out=Type(F16, (4, 4))))
    verify(b.program(), "ane")
    refused(b.program(), "cpu", r"^\[add\] expected constants written out for target cpu, got a BLOBFILE")


# ---- Builder


def test_builder_makes_names_valid_and_distinct() -> None:
    b = Builder()
    names = [b.input(n, X).name for n in ("x", "x", "x_1", "", "1a", "a-b", "tensor", "nan", "é")]
    assert names == ["x", "x_1", "x_1_1", "_", "_1a", "a_b", "_tensor", "_nan", "__1"]


def test_builder_gives_constants_the_dtype_that_the_operation_asks_for() -> None:
    b = Builder()
    x = b.input("x", Type("bf16", (4,)))
    add = b.op("aj_add", {"x": x, "y": 2}, out=x.type)
    b.op("aj_slice", {"x": x, "start_indices": [0], "limit_indices": [2**40], "strides": [1]}, out=x.type)
    b.op("fill", {"shape": [2], "value": 1}, out=Type(F16, (2,)))
    b.returns(add)
    ops = b.program().main.ops
    found = [{k: str(v.type) for k, v in op.operands.items() if isinstance(v, Value)} for op in ops]
    assert found[0]["y"] == "bf16"
    assert found[1] == {
        "x": "tensor<bf16, [4]>",
        "start_indices": "tensor<int32, [1]>",
        "limit_indices": "tensor<int64, [1]>",
        "strides": "tensor<int32, [1]>",
    }
    assert found[2]["value"] == F16


def test_builder_shares_small_constants() -> None:
    b = Builder()
    assert b.const(1, name="k") is b.const(1, name="k")
    assert b.const(1, name="k") is not b.const(1.0, name="k")
    assert b.const(0.0, name="k") is not b.const(-0.0, name="k")
    assert b.const(1, name="k") is not b.const(1, name="j")


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (300, "int8", r"^\[const\] expected a value that int8 holds, got 300"),
        (1.5, "int32", r"^\[const\] expected a value that int32 holds, got 1.5"),
        (1j, None, r"^\[const\] expected a value that MIL has a dtype for, got complex128"),
        (1, "fp8", r"^\[const\] expected a value that MIL has a dtype for"),
        ({}, None, r"^\[const\] expected a value that MIL has a dtype for, got object"),
    ],
)
def test_builder_refuses_constants(value: Any, dtype: str | None, message: str) -> None:
    with pytest.raises(MilError, match=message):
        Builder().const(value, dtype)


def test_constants_are_copies_and_read_only() -> None:
    source = np.array([1.0, 2.0], np.float32)
    data = Builder().const(source).const
    source[0] = 7
    assert isinstance(data, np.ndarray)
    assert data[0] == 1
    assert not data.flags.writeable


def test_same_program_sees_every_difference() -> None:
    def make(op: str = "add", const: float = 1.0, name: str = "x", keep: bool = True, dtype: str = F32) -> Program:
        b = Builder()
        x = b.input(name, Type(dtype, (2, 3)))
        y = b.op(op, {"x": x, "y": const}, out=x.type, hint=name)
        z = b.op("reduce_sum", {"x": y, "axes": [0], "keep_dims": keep}, out=Type(dtype, (1, 3) if keep else (3,)))
        b.returns(z, y)
        return b.program()

    assert same_program(make(), make())
    assert same_program(make(), make(name="other"))
    for other in (make("mul"), make(const=2.0), make(const=-1.0), make(keep=False), make(dtype=F16)):
        assert not same_program(make(), other)
    main = make().main
    swapped = Program((Function("main", main.inputs, main.ops, main.outputs[::-1]),))
    assert not same_program(make(), swapped)
