"""Checks whether a Program is valid for a target: schema, dtypes, SSA form, shapes, and the target's limits.

A VerifyError names the operation, the expected form and the one that came. The rules of single operations are in other
modules: dtypes and operands in opset.py, shapes in shapes*.py, the engine's own restrictions in engine.py. `verify`
stops at the first broken rule, and `diagnose` finds all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from anejax.errors import VerifyError, fail
from anejax.mil import control, engine, hazards, limits, shapes, shapes_aj, shapes_layers, shapes_linalg, shapes_weights
from anejax.mil.absent import REASONS
from anejax.mil.chips import chip_of
from anejax.mil.opset import BY_NAME, LISTS, OPSET, TARGETS, Arg, OpSchema
from anejax.mil.program import NUMPY_DTYPES, BlobRef, Function, Op, Program, Type, Value, as_doubles
from anejax.mil.rules import GENERAL, Finding
from anejax.mil.view import Rule, View

RULES: dict[str, Rule] = {
    **shapes.RULES, **shapes_layers.RULES, **shapes_weights.RULES, **shapes_aj.RULES, **shapes_linalg.RULES,
    **control.RULES,
}  # fmt: skip
STATED_DTYPE = {
    "cast": "dtype", **dict.fromkeys(("reduce_argmax", "reduce_argmin", "quantize"), "output_dtype"),
}  # fmt: skip


def verify(program: Program, target: str, family: str = "A16") -> None:
    """Raise VerifyError unless `program` is right for `target`: cpu, coreml or ane (of a chip family)."""
    if target not in TARGETS:
        fail("verify", f"expected a target of {', '.join(TARGETS)}, got {target!r}", VerifyError)
    if family not in limits.LIMITS:
        fail("verify", f"expected a family of {', '.join(limits.LIMITS)}, got {family!r}", VerifyError)
    _check_functions(program)
    functions = {f.name: f for f in program.functions}
    for function in program.functions:
        _Checker(function, functions, target, family).check()


def diagnose(program: Program, chip: str) -> list[Finding]:
    """Every rule that `program` breaks on `chip` ("M1" ... "M6"), in the order of its text; none: it is right.

    All violations for which `verify` raises, and the hazards of hazards.py. An operation whose form is wrong is not
    asked about more. Raises MilError for a chip that is not known.
    """
    family = chip_of(chip).family
    try:
        _check_functions(program)
    except VerifyError as err:
        return [Finding(GENERAL["functions"], "program", str(err))]
    functions = {f.name: f for f in program.functions}
    found: list[Finding] = []
    for function in program.functions:
        collector = _Collector(function, functions, "ane", family)
        collector.check()
        found += collector.findings
        found += hazards.find(function, family, collector.sound)
    return sorted(found, key=lambda f: f.line)


def _check_functions(program: Program) -> None:
    names = [f.name for f in program.functions]
    if "main" not in names or len({*names}) != len(names):
        fail("program", f"expected distinct functions, one of them main, got {', '.join(names)}", VerifyError)
    control.check_calls(program.functions)


class _Checker:
    """Checks one function, statement by statement; every check goes through `holds`."""

    def __init__(self, function: Function, functions: Mapping[str, Function], target: str, family: str) -> None:
        self.function = function
        self.functions = functions
        self.target = target
        self.family = family
        self.defined: set[Value] = set()
        self.names: set[str] = set()
        self.line, self.place = 0, ""

    def holds(self, rule: str, check: Callable[..., None], *args: Any) -> bool:
        """Whether `check(*args)`, which raises VerifyError otherwise, finds `rule` kept."""
        check(*args)
        return True

    def check(self) -> None:
        for value in self.function.inputs:
            self.define("input", value)
        for op in self.function.ops:
            self.line, self.place = op.line, op.mark.place
            self.statement(op)
        self.line, self.place = 0, ""
        self.holds("outputs", self.check_some_output)
        for value in self.function.outputs:
            self.use("output", value)
        if self.target != "cpu" and self.function.name == "main":  # others are the bodies of loops, and have no ports
            self.check_borders()

    def check_some_output(self) -> None:
        if not self.function.outputs:
            fail(self.function.name, "expected at least one output, got none", VerifyError)

    # ---- SSA

    def define(self, op: str, value: Value) -> None:
        if self.holds("order", self.check_new, op, value):
            self.defined.add(value)
            self.names.add(value.name)
            self.check_type(op, value)

    def check_new(self, op: str, value: Value) -> None:
        if value in self.defined or value.name in self.names or value.const is not None:
            fail(op, f"expected a value that is new, got {value}", VerifyError)

    def use(self, op: str, value: Value) -> None:
        self.holds("order", self.check_defined, op, value)
        if value.const is not None:
            self.holds("constant", self.check_constant, op, value)

    def check_defined(self, op: str, value: Value) -> None:
        if value.const is None and value not in self.defined:
            fail(op, f"expected a value defined before, got {value}", VerifyError)

    # ---- statements

    def statement(self, op: Op) -> None:
        schema = OPSET.get(op.name)
        known = self.holds("state", self.check_stateless, op) and self.holds("operation", self.check_known, op)
        known = known and self.holds("target", self.check_target, op)
        sound = known and schema is not None and self.form(op, schema)
        for value in op.results:
            self.define(op.name, value)
        if sound and schema is not None and self.target != "cpu":
            self.engine_rules(View(op, schema))

    def form(self, op: Op, schema: OpSchema) -> bool:
        """Whether the operation's operands and results are such that rules about their sizes can be asked."""
        sound = self.holds("attributes", self.check_attributes, op)
        for value in op.values():
            self.use(op.name, value)
        bound: dict[str, str] = {}
        sound &= self.holds("operands", self.check_operands, op, schema)
        self.holds("dtype", self.check_dtypes, op, schema, bound)
        return sound and self.holds("shape", self.check_results, op, schema, bound)

    def engine_rules(self, view: View) -> None:
        for name in engine.RULES if self.target == "ane" else engine.CORE_ML:
            self.holds(name, engine.check, engine.RULES[name], view, self.family)

    def check_stateless(self, op: Op) -> None:
        if self.target == "ane" and op.name in limits.STATE:
            fail(op.name, "expected no reads or writes of state in a program for the engine", VerifyError)

    def check_known(self, op: Op) -> None:
        if op.name not in OPSET:
            why = f"; {REASONS[op.name]}" if op.name in REASONS else ""
            fail(op.name, f"expected an operation of the table (anejax/mil/opset.py){why}", VerifyError)

    def check_target(self, op: Op) -> None:
        if self.target not in OPSET[op.name].targets:
            fail(op.name, f"not an operation of target {self.target}{_reason(op.name, self.target)}", VerifyError)

    def check_attributes(self, op: Op) -> None:
        if op.attributes:
            fail(op.name, f"expected no attributes, got {', '.join(sorted(op.attributes))}", VerifyError)

    def check_operands(self, op: Op, schema: OpSchema) -> None:
        known = {a.name for a in schema.args}
        for name in sorted(op.operands):
            if name not in known:
                fail(op.name, f"expected the operands {', '.join(sorted(known))}, got {name}", VerifyError)
        for arg in schema.args:
            if arg.name in op.operands:
                self.check_operand(op, arg)
            elif not arg.optional:
                fail(op.name, f"expected the operand {arg.name}, got none", VerifyError)

    def check_operand(self, op: Op, arg: Arg) -> None:
        operand = op.operands[arg.name]
        if isinstance(operand, tuple) != (arg.kind in LISTS):
            wanted = "a list of values" if arg.kind in LISTS else "one value"
            fail(op.name, f"expected {wanted} for {arg.name}", VerifyError)
        if operand == () and not arg.empty:
            fail(op.name, f"expected at least one value in {arg.name}", VerifyError)
        for value in operand if isinstance(operand, tuple) else (operand,):
            if arg.kind in ("const", *BY_NAME) and value.const is None:
                fail(op.name, f"expected {arg.name} to be a constant, got {value}", VerifyError)
            if arg.kind in BY_NAME and not self.may_run(value):
                fail(op.name, f"expected {arg.name} to name a function but main, got {value.const!r}", VerifyError)
            if arg.rank >= 0 and value.type.rank != arg.rank:
                fail(op.name, f"expected {arg.name} to have rank {arg.rank}, got {value.type}", VerifyError)

    def may_run(self, value: Value) -> bool:
        return isinstance(value.const, str) and value.const in self.functions and value.const != "main"

    def check_dtypes(self, op: Op, schema: OpSchema, bound: dict[str, str]) -> None:
        """Finds the dtype that each type variable has here, for `bound`."""
        for arg in schema.args:
            operand = op.operands.get(arg.name, ())
            for value in operand if isinstance(operand, tuple) else (operand,):
                self.check_dtype(op, schema, arg.name, value.type, arg.var, arg.dtypes, bound)

    def check_dtype(
        self, op: Op, schema: OpSchema, what: str, type: Type, var: str, dtypes: tuple[str, ...], bound: dict[str, str]
    ) -> None:
        variable = schema.type_var(var)
        if variable is not None:
            dtypes = (bound[var],) if var in bound else variable.on(self.target)
            bound.setdefault(var, type.dtype)
        if type.dtype not in dtypes:
            wanted = " or ".join(dtypes)
            fail(op.name, f"expected {what} to be {wanted} for target {self.target}, got {type}", VerifyError)

    def check_results(self, op: Op, schema: OpSchema, bound: dict[str, str]) -> None:
        rule = RULES.get(op.name) or RULES.get(schema.shape)
        if rule is None:
            fail(op.name, f"no shape rule called {schema.shape}", VerifyError)
        view = View(op, schema, self.functions)
        expected = rule(view)
        if len(op.results) != len(expected):
            fail(op.name, f"expected {len(expected)} results, got {len(op.results)}", VerifyError)
        for i, (result, wanted) in enumerate(zip(op.results, expected)):
            dtype = schema.results[min(i, len(schema.results) - 1)]
            dtype, shape = (wanted.dtype, wanted.shape) if isinstance(wanted, Type) else (dtype, wanted)
            if schema.type_var(dtype) is not None:
                self.check_dtype(op, schema, "the result", result.type, dtype, (), bound)
            elif result.type.dtype != dtype:
                fail(op.name, f"expected a result of dtype {dtype}, got {result}", VerifyError)
            if result.type.shape != shape:
                dims = ", ".join(map(str, shape))
                view.expect(False, f"a result of shape [{dims}], not {result}")
        self.check_stated_dtype(view)

    def check_stated_dtype(self, view: View) -> None:
        """The dtype that a string operand states; the widths of a bit cast."""
        op, result = view.op, view.op.results[0].type.dtype if view.op.results else ""
        if op.name in STATED_DTYPE and view.text(STATED_DTYPE[op.name]) != result:
            stated = view.text(STATED_DTYPE[op.name])
            fail(op.name, f"expected a result of dtype {stated}, as stated, got {op.results[0]}", VerifyError)
        if op.name == "aj_bitcast_convert_type":
            width, wanted = (NUMPY_DTYPES[d].itemsize for d in (result, view.type("x").dtype))
            view.expect(width == wanted, f"dtypes of equal width, not {op.results[0]}")

    # ---- targets other than cpu

    def check_type(self, op: str, value: Value) -> None:
        if self.target == "cpu":
            return
        self.holds("rank", self.check_rank, op, value)
        self.holds("empty", self.check_not_empty, op, value)
        if self.target == "ane":
            self.holds("scalar", engine.check_not_scalar, op, value)
            self.holds("extent", engine.check_extent, op, value, self.family)

    def check_rank(self, op: str, value: Value) -> None:
        rank = limits.MAX_RANK if self.target == "ane" else limits.COREML_MAX_RANK
        if value.type.rank > rank:
            fail(op, f"expected rank at most {rank} for target {self.target}, got {value}", VerifyError)

    def check_not_empty(self, op: str, value: Value) -> None:
        if 0 in value.type.shape:
            fail(op, f"expected no axis of size 0 for target {self.target}, got {value}", VerifyError)

    def check_constant(self, op: str, value: Value) -> None:
        """Outside the CPU device, infinities and NaN have no literal."""
        data = value.const
        if self.target == "cpu":
            if isinstance(data, BlobRef):
                fail(op, f"expected constants written out for target cpu, got a BLOBFILE for {value}", VerifyError)
        elif isinstance(data, np.ndarray) and not np.isfinite(as_doubles(data)).all():
            fail(op, f"expected finite constants for target {self.target}, got {value}", VerifyError)

    def check_borders(self) -> None:
        """Inputs and outputs: what a port can be, and outputs that an operation made."""
        for value in (*self.function.inputs, *self.function.outputs):
            self.holds("port", self.check_port, value)
        made = {r for op in self.function.ops for r in op.results}
        for value in self.function.outputs:
            self.holds("returned", self.check_returned, value, made)
        self.holds("returned", self.check_distinct)

    def check_port(self, value: Value) -> None:
        dtypes = limits.LIMITS[self.family].port_dtypes if self.target == "ane" else limits.COREML_PORTS
        if value.type.dtype not in dtypes or value.type.rank == 0:
            wanted = " or ".join(dtypes)
            fail("port", f"expected {wanted} of rank 1 or more for target {self.target}, got {value}", VerifyError)

    def check_returned(self, value: Value, made: set[Value]) -> None:
        if value not in made:
            fail("output", f"expected the result of an operation for target {self.target}, got {value}", VerifyError)

    def check_distinct(self) -> None:
        outputs = self.function.outputs
        if len({*outputs}) != len(outputs):
            fail("output", f"expected distinct outputs for target {self.target}", VerifyError)


class _Collector(_Checker):
    """Goes on where a _Checker raises: `findings` has what is broken, `sound` the operations that are well formed."""

    def __init__(self, function: Function, functions: Mapping[str, Function], target: str, family: str) -> None:
        super().__init__(function, functions, target, family)
        self.findings: list[Finding] = []
        self.sound: list[View] = []

    def holds(self, rule: str, check: Callable[..., None], *args: Any) -> bool:
        try:
            check(*args)
        except VerifyError as err:
            op = str(err).partition("]")[0].removeprefix("[")
            self.findings.append(Finding(GENERAL.get(rule) or engine.RULES[rule], op, str(err), self.line, self.place))
            return False
        return True

    def engine_rules(self, view: View) -> None:
        self.sound.append(view)
        super().engine_rules(view)


def _reason(op: str, target: str) -> str:
    why, instead = limits.REFUSED.get(op, ("", "")) if target == "ane" else ("", "")
    return f": {why}" + (f"; write {instead}" if instead else "") if why else ""
