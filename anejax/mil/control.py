"""Rules for operations that run other functions of the program, and the types of their results.

A function that an operation runs must return distinct results of operations inside it; to return an input, it returns
an `aj_copy` of it. No such function may run `main` or, directly or indirectly, itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from anejax.errors import MilError, VerifyError, fail
from anejax.mil.opset import BY_NAME, OPSET
from anejax.mil.program import MAX_NESTING, Function, Op, Type
from anejax.mil.view import Rule, View


def check_calls(functions: Sequence[Function]) -> None:
    """Raise VerifyError where functions run one another in a circle, or too deep."""
    calls = {f.name: {name for op in f.ops for name in _named_by(op)} for f in functions}
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        fail("program", f"expected no function to run itself, got {circle}", VerifyError)
    depths: dict[str, int] = {}
    for name in order:  # callees first
        depths[name] = 1 + max((depths[callee] for callee in calls.get(name, ())), default=0)
    deepest = max(depths.values(), default=0)
    if deepest > MAX_NESTING:
        fail("program", f"expected functions nested at most {MAX_NESTING} deep, got {deepest}", VerifyError)


def _named_by(op: Op) -> Iterator[str]:
    schema = OPSET.get(op.name)
    for arg in schema.args if schema else ():
        operand = op.operands.get(arg.name, ()) if arg.kind in BY_NAME else ()
        for value in operand if isinstance(operand, tuple) else (operand,):
            if isinstance(value.const, str):
                yield value.const


def aj_scan(v: View) -> list[Type]:
    """body takes (consts..., carry..., a slice of each xs...) and returns (carry..., a slice of each ys...)."""
    (body,) = v.callees("body")
    length, carry = v.integer("length"), v.types("carry")
    v.expect(length >= 0, f"a length of at least 0, not {length}")
    v.expect(all(x.shape[:1] == (length,) for x in v.types("xs")), f"xs with a leading axis of {length}")
    slices = [Type(x.dtype, x.shape[1:]) for x in v.types("xs")]
    _takes(v, body, v.types("consts") + carry + slices)
    returned = _returned(v, body)
    _same(v, f"{body.name} to return the types of carry first", returned[: len(carry)], carry)
    return carry + [_stacked(v, y, length) for y in returned[len(carry) :]]


def _stacked(v: View, y: Type, length: int) -> Type:
    try:
        return Type(y.dtype, (length, *y.shape))
    except MilError as error:
        v.fail(str(error))


def aj_while(v: View) -> list[Type]:
    """cond takes (cond_consts..., carry...) and returns a bool, body (body_consts..., carry...) and returns carry."""
    (body,), (cond,) = v.callees("body"), v.callees("cond")
    carry = v.types("carry")
    _takes(v, cond, v.types("cond_consts") + carry)
    _takes(v, body, v.types("body_consts") + carry)
    _same(v, f"{cond.name} to return", _returned(v, cond), [Type("bool")])
    _same(v, f"{body.name} to return the types of carry", _returned(v, body), carry)
    return carry


def aj_cond(v: View) -> list[Type]:
    """Every branch takes the operands; all return the same types."""
    first, *others = v.callees("branches")
    expected = _returned(v, first)
    for branch in (first, *others):
        _takes(v, branch, v.types("operands"))
        _same(v, f"{branch.name} to return what {first.name} does", _returned(v, branch), expected)
    return expected


def _takes(v: View, function: Function, types: list[Type]) -> None:
    _same(v, f"{function.name} to take", [i.type for i in function.inputs], types)


def _returned(v: View, function: Function) -> list[Type]:
    made = {r for op in function.ops for r in op.results}
    for output in function.outputs:
        if output not in made:
            v.fail(f"expected {function.name} to return distinct results of its operations, got {output} (copy it)")
        made.remove(output)
    return [o.type for o in function.outputs]


def _same(v: View, what: str, found: Sequence[Type], expected: Sequence[Type]) -> None:
    if list(found) != list(expected):
        wanted, came = (f"({', '.join(map(str, types))})" for types in (expected, found))
        v.fail(f"expected {what} {wanted}, got {came}")


RULES: Mapping[str, Rule] = {rule.__name__: rule for rule in (aj_scan, aj_while, aj_cond)}
