"""Operations that run other functions: text and back, types of results, and what the verifier refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from anejax.errors import VerifyError
from anejax.mil.parse import parse
from anejax.mil.program import MAX_NESTING, Builder, Program, Type, Value, same_program
from anejax.mil.text import to_text
from anejax.mil.verify import verify

F32 = Type("fp32")
I32 = Type("int32")
BOOL = Type("bool")
ROW = Type("fp32", (4,))
ROWS = Type("fp32", (3, 4))


def function(b: Builder, name: str, inputs: Sequence[Type], outputs: Sequence[Type]) -> None:
    """A function of these types: each result is a copy of an input of its type, or a constant's."""
    f = b.function(name)
    given = [f.input("x", t) for t in inputs]

    def made(t: Type) -> Value:
        same = [v for v in given if v.type == t]
        if same:
            return f.op("aj_copy", {"x": same[0]}, out=t)
        operands = {"broadcast_dimensions": [], "shape": list(t.shape), "x": f.const(0, t.dtype)}
        return f.op("aj_broadcast_in_dim", operands, out=t)

    f.returns(*map(made, outputs))


def main(b: Builder, op: str, operands: dict[str, Any], out: Sequence[Type]) -> Program:
    """The one operation, with an input for each Type among its operands."""

    def bound(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(bound, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return b.input("a", value) if isinstance(value, Type) else value

    b.returns(*b.op(op, {k: bound(v) for k, v in operands.items()}, out=out))
    return b.program()


def scan(out: Sequence[Type] = (ROW, I32, ROWS), body: Any = None, **changes: Any) -> Program:
    b = Builder()
    takes, returns = body or ((F32, ROW, I32, ROW, BOOL), (ROW, I32, ROW))
    function(b, "step", takes, returns)
    operands = {"body": "step", "carry": (ROW, I32), "consts": (F32,), "length": 3, "reverse": True}
    return main(b, "aj_scan", operands | {"xs": (ROWS, Type("bool", (3,)))} | changes, out)


def loop(out: Sequence[Type] = (ROW, I32), cond: Any = None, body: Any = None, **changes: Any) -> Program:
    b = Builder()
    function(b, "test", *(cond or ((F32, ROW, I32), (BOOL,))))
    function(b, "step", *(body or ((ROW, ROW, I32), (ROW, I32))))
    operands = {"body": "step", "body_consts": (ROW,), "carry": (ROW, I32), "cond": "test", "cond_consts": (F32,)}
    return main(b, "aj_while", operands | changes, out)


def choice(out: Sequence[Type] = (ROW, F32), other: Any = None, **changes: Any) -> Program:
    b = Builder()
    function(b, "yes", (ROW,), (ROW, F32))
    function(b, "no", *(other or ((ROW,), (ROW, F32))))
    return main(b, "aj_cond", {"branches": ("yes", "no"), "index": I32, "operands": (ROW,)} | changes, out)


LEGAL: dict[str, Callable[[], Program]] = {
    "scan": scan,
    "scan without carry": lambda: scan((ROWS,), ((F32, ROW, BOOL), (ROW,)), carry=()),
    "scan without xs": lambda: scan(body=((F32, ROW, I32), (ROW, I32, ROW)), xs=(), reverse=None),
    "scan of nothing": lambda: scan((F32,), ((F32,), (F32,)), carry=(F32,), consts=(), xs=(), length=0),
    "while": loop,
    "while without consts": lambda: loop(
        cond=((ROW, I32), (BOOL,)), body=((ROW, I32), (ROW, I32)), body_consts=(), cond_consts=()
    ),
    "cond": choice,
    "cond of one branch": lambda: choice(branches=("no",)),
    "cond without operands": lambda: choice((F32,), ((), (F32,)), branches=("no",), operands=()),
}


@pytest.mark.parametrize("make", LEGAL.values(), ids=LEGAL.keys())
def test_round_trip(make: Callable[[], Program]) -> None:
    program = make()
    verify(program, "cpu")
    again = parse(to_text(program))
    verify(again, "cpu")
    assert same_program(program, again)
    with pytest.raises(VerifyError, match="target coreml"):
        verify(program, "coreml")


REFUSED: dict[str, Callable[[], Program]] = {
    r"^\[aj_scan\] expected xs with a leading axis of 2, got": lambda: scan(length=2),
    r"^\[aj_scan\] expected a length of at least 0, not -1": lambda: scan(length=-1),
    r"^\[aj_scan\] expected xs with a leading axis of 3, got .*xs: \(fp32\)": lambda: scan(xs=(F32,)),
    r"^\[aj_scan\] expected step to take \(fp32, fp32, int32": lambda: scan((F32, I32, ROWS), carry=(F32, I32)),
    r"^\[aj_scan\] expected step to take \(fp32, tensor<fp32, \[4\]>, int32\)": lambda: scan(xs=()),
    r"^\[aj_scan\] expected step to return the types of carry first \(tensor<fp32, \[4\]>, int32\), got \(int32\)": (
        lambda: scan((ROW, I32), ((F32, ROW, I32, ROW, BOOL), (I32,)))
    ),
    r"^\[aj_scan\] expected 3 results, got 2": lambda: scan((ROW, I32)),
    r"^\[aj_scan\] expected a result of shape \[3, 4\]": lambda: scan((ROW, I32, ROW)),
    r"^\[aj_scan\] expected a result of dtype fp32, got tensor<int32": lambda: scan((ROW, I32, Type("int32", (3, 4)))),
    r"^\[aj_scan\] expected body to name a function but main, got 'other'": lambda: renamed(scan(), "step", "other"),
    r"^\[aj_scan\] expected a list of values for carry": lambda: scan(carry=ROW),
    r"^\[aj_scan\] expected the operand consts, got none": lambda: scan(consts=None),
    r"^\[aj_while\] expected test to return \(bool\), got \(int32\)": lambda: loop(cond=((F32, ROW, I32), (I32,))),
    r"^\[aj_while\] expected test to return \(bool\), got \(bool, bool\)": (
        lambda: loop(cond=((F32, ROW, I32), (BOOL, BOOL)))
    ),
    r"^\[aj_while\] expected test to take": lambda: loop(cond_consts=()),
    r"^\[aj_while\] expected step to take": lambda: loop(body_consts=()),
    r"^\[aj_while\] expected step to return the types of carry": (
        lambda: loop(body=((ROW, ROW, I32), (ROW, I32, ROW)))
    ),
    r"^\[aj_cond\] expected index to be int32 for target cpu, got bool": lambda: choice(index=BOOL),
    r"^\[aj_cond\] expected index to have rank 0": lambda: choice(index=Type("int32", (1,))),
    r"^\[aj_cond\] expected at least one value in branches": lambda: choice(branches=()),
    r"^\[aj_cond\] expected no to return what yes does": lambda: choice(other=((ROW,), (ROW,))),
    r"^\[aj_cond\] expected no to take": lambda: choice(other=((F32,), (ROW, F32))),
    r"^\[aj_cond\] expected branches to name a function but main, got 'main'": lambda: chain(
        ["main", "f"], {"f": "main"}
    ),
}


def renamed(program: Program, name: str, other: str) -> Program:
    """`program` with another name where its operations name the function."""
    return parse(to_text(program).replace(f'string("{name}")', f'string("{other}")'))


@pytest.mark.parametrize(("message", "make"), REFUSED.items(), ids=range(len(REFUSED)))
def test_refusals(message: str, make: Callable[[], Program]) -> None:
    with pytest.raises(VerifyError, match=message):
        verify(make(), "cpu")


def chain(names: Sequence[str], calls: dict[str, str]) -> Program:
    """Functions fp32 -> fp32; each runs the one that `calls` has for it, or copies."""
    b = Builder()
    for name in names:
        f = b if name == "main" else b.function(name)
        x = f.input("x", F32)
        if name in calls:
            operands = {"branches": (calls[name],), "index": 0, "operands": (x,)}
            f.returns(*f.op("aj_cond", operands, out=[F32]))
        else:
            f.returns(f.op("aj_copy", {"x": x}, out=F32))
    return b.program()


def test_no_function_runs_itself() -> None:
    verify(chain(["main", "f", "g"], {"main": "f", "f": "g"}), "cpu")
    for calls in ({"main": "f", "f": "f"}, {"main": "f", "f": "g", "g": "f"}, {"main": "f", "f": "main"}):
        with pytest.raises(VerifyError, match=r"^\[program\] expected no function to run itself, got \w+ -> "):
            verify(chain(["main", "f", "g"], calls), "cpu")


def test_depth_of_nesting() -> None:
    for depth in (MAX_NESTING, MAX_NESTING + 1, 3000):
        names = ["main", *(f"f{i}" for i in range(depth - 1))]
        program = chain(names, dict(pairwise(names)))
        if depth == MAX_NESTING:
            verify(program, "cpu")
            continue
        with pytest.raises(VerifyError, match=rf"nested at most {MAX_NESTING} deep, got {depth}"):
            verify(program, "cpu")


@pytest.mark.parametrize("twice", [False, True])
def test_a_body_returns_distinct_results_of_operations(twice: bool) -> None:
    b = Builder()
    f = b.function("step")
    x = f.input("x", F32)
    y = f.op("aj_copy", {"x": x}, out=F32)
    f.returns(*((y, y) if twice else (x, y)))
    program = main(b, "aj_cond", {"branches": ("step",), "index": I32, "operands": (F32,)}, (F32, F32))
    with pytest.raises(
        VerifyError, match=r"^\[aj_cond\] expected step to return distinct results .* got fp32 \w+ \(copy"
    ):
        verify(program, "cpu")
