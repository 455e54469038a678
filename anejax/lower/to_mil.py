"""Lowering: translates a Graph to a mil.Program, one MIL operation for each equation.

Each primitive's ``mil`` slot writes MIL's own operation if dtype and meaning match exactly, and ``aj_<name>``
otherwise. Lowering decomposes nothing. Legalization does that before, on Graphs, for each target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.core.primitive import Primitive
from anejax.marks import NOWHERE, Mark
from anejax.mil.opset import OPSET
from anejax.mil.program import MIL_DTYPES, Builder, Program, Type, Value

LAYOUT = ("broadcast_in_dim", "iota")  # except on the CPU, these are folded into the operations that use them


class Constant(NamedTuple):
    """The array that an input of a Graph is, and what to call it."""

    name: str
    value: np.ndarray[Any, Any]


def mil_type(aval: Aval) -> Type:
    return Type(MIL_DTYPES[aval.dtype], aval.shape)


class Context:
    """The context that MIL slots use: types, the target's abilities, and the builder behind ``emit``."""

    def __init__(self, builder: Builder, target: str, prim: Primitive, ins: list[Aval], outs: list[Aval]) -> None:
        self._builder, self._target, self._prim = builder, target, prim
        self.in_avals, self.out_avals = ins, outs

    @property
    def spells_out(self) -> bool:
        """Whether optional operands must be written: the engine's compiler wants them all."""
        return self._target == "ane"

    @property
    def legalized(self) -> bool:
        """Whether the target has no operation of the dialect's own."""
        return self._target != "cpu"

    def reshaped(self, value: Any, shape: Sequence[int]) -> Any:
        """Writes a reshape of an operand."""
        return self._builder.op("reshape", {"x": value, "shape": list(shape)}, out=Type(value.type.dtype, tuple(shape)))

    def function(self, hint: str, graph: Graph) -> str:
        """Lowers ``graph`` into a separate function of the same program, and returns the function's name."""
        builder = self._builder.function_like(hint)
        _lower_function(builder, graph, self._target, self._builder.mark)
        return builder.name

    def takes(self, op: str, operands: Mapping[str, Any], out: bool = False) -> bool:
        """Whether the target has MIL's ``op`` for operands (and, with ``out``, a result) of these dtypes."""
        schema = OPSET[op]
        if self._target not in schema.targets:
            return False
        for name, operand in operands.items():
            arg = schema.arg(name)
            variable = schema.type_var(arg.var) if arg is not None and arg.var else None
            allowed = variable.on(self._target) if variable is not None else arg.dtypes if arg is not None else ()
            values = cast("Sequence[Any]", operand) if isinstance(operand, (tuple, list)) else (operand,)
            if any(isinstance(v, Value) and v.type.dtype not in allowed for v in values):
                return False
        result = schema.type_var(schema.results[0]) if out else None
        return result is None or MIL_DTYPES[self.out_avals[0].dtype] in result.on(self._target)

    def emit(self, op: str, **operands: Any) -> Any:
        """Writes ``op`` with the equation's output types; one Value, or a list of them."""
        types = [mil_type(a) for a in self.out_avals]
        clean = {k: list(v) if isinstance(v, range) else v for k, v in operands.items()}
        if self._prim.multiple_results:
            return self._builder.op(op, clean, out=types)
        return self._builder.op(op, clean, out=types[0])

    def emit_aj(self, **operands: Any) -> Any:
        """Writes ``aj_<primitive>``."""
        return self.emit(f"aj_{self._prim.name}", **operands)

    def emit_aj_named(self, name: str, **operands: Any) -> Any:
        """Writes ``aj_<name>``."""
        return self.emit(f"aj_{name}", **operands)

    def dtype_name(self, dtype: np.dtype) -> str:
        """MIL's name of a dtype."""
        return MIL_DTYPES[dtype]

    def like_first(self, value: Any) -> Any:
        """A constant of the first operand's dtype."""
        return np.asarray(value, self.in_avals[0].dtype)


class Lowering:
    """Lowers equations into one function of a builder."""

    def __init__(self, builder: Builder, target: str, outer: Mark) -> None:
        self._builder, self._target, self._outer = builder, target, outer
        self._env: dict[Var, Value] = {}
        self._inputs: list[Value] = []
        self._narrow: dict[Var, Value] = {}

    def define(self, variables: Sequence[Var], prefix: str) -> None:
        for i, v in enumerate(variables):
            self._env[v] = self._builder.input(f"{prefix}{i}", mil_type(v.aval))
            self._inputs.append(self._env[v])

    def know(self, variables: Sequence[Var], constants: Sequence[Constant]) -> None:
        """Makes constants of inputs."""
        for v, constant in zip(variables, constants, strict=True):
            self._env[v] = self._builder.const(constant.value, MIL_DTYPES[v.aval.dtype], name=constant.name)

    def read(self, atom: Atom) -> Value:
        if self._is_nan(atom):
            root = {"x": self._builder.const(-1.0, MIL_DTYPES[atom.aval.dtype])}
            return self._builder.op("sqrt", root, out=mil_type(atom.aval))
        if isinstance(atom, Literal):
            return self._builder.const(atom.value, MIL_DTYPES[atom.aval.dtype])
        return self._env[atom] if atom in self._env else self._tiled(atom)

    def _is_nan(self, atom: Atom) -> bool:
        """Whether it is a NaN that Core ML's constants are not known to have, and which is the root of -1 there."""
        return self._target == "coreml" and isinstance(atom, Literal) and bool(np.all(atom.value != atom.value))

    def equation(self, eqn: Eqn) -> None:
        self._builder.mark = eqn.mark.within(self._outer)
        if self._target != "cpu" and eqn.primitive.name in LAYOUT:
            self._implicit(eqn)
            return
        ctx = Context(self._builder, self._target, eqn.primitive, [a.aval for a in eqn.inputs],
                      [v.aval for v in eqn.outputs])  # fmt: skip
        if eqn.primitive.elementwise:
            operands = self._stretched(eqn)
        elif eqn.primitive.name == "dot_general":
            operands = [self._once(a, lead) for a, lead in zip(eqn.inputs, eqn.params["dimension_numbers"][1])]
        else:
            operands = list(map(self.read, eqn.inputs))
        out = eqn.primitive.rule("mil")(ctx, *operands, **eqn.params)
        values = out if eqn.primitive.multiple_results else [out]
        self._env.update(zip(eqn.outputs, values, strict=True))

    # MIL has no broadcast operation, but elementwise ones broadcast as NumPy does. So a broadcast becomes an array
    # with axes of length 1, which elementwise consumers take. For other consumers it is repeated by tile, or for the
    # engine by a product with ones: the engine's tile takes few factors, and is reported to give wrong results in the
    # operations after it (mil/hazards.py).

    def _implicit(self, eqn: Eqn) -> None:
        (out,) = eqn.outputs
        if eqn.primitive.name == "iota":
            self._env[out] = self._builder.const(eqn.primitive.impl(**eqn.params), MIL_DTYPES[out.aval.dtype])
            return
        (x,) = eqn.inputs
        shape = [1] * out.aval.ndim
        for axis, d in enumerate(eqn.params["broadcast_dimensions"]):
            shape[d] = x.aval.shape[axis]
        value = self.read(x)
        stretches = self._target == "ane" and value.type.shape == (1,)  # with any rank of the other operands
        if tuple(shape) != x.aval.shape and not stretches:
            narrow = Type(MIL_DTYPES[out.aval.dtype], tuple(shape))
            value = (
                self._builder.const(np.asarray(x.value).reshape(shape), narrow.dtype)
                if isinstance(x, Literal) and not self._is_nan(x)
                else self._widened(value, narrow)
            )
        self._narrow[out] = value

    def _once(self, atom: Atom, lead: Sequence[int]) -> Value:
        """An operand of a product, that is the same matrix for all of a batch, once: matmul repeats it."""
        narrow = self._narrow.get(atom) if isinstance(atom, Var) else None
        if narrow is None or narrow.type.rank != atom.aval.ndim or atom.aval.ndim != len(lead) + 2:
            return self.read(atom)
        changed = [i for i, (n, full) in enumerate(zip(narrow.type.shape, atom.aval.shape)) if n != full]
        return narrow if set(changed) <= {*lead} else self.read(atom)

    def _widened(self, value: Value, type: Type) -> Value:
        """A value with more axes of length 1; MIL's reshape may not take arrays without axes."""
        if value.type.rank or self._target != "coreml":
            return self._builder.op("reshape", {"x": value, "shape": list(type.shape)}, out=type)
        return self._builder.op("expand_dims", {"x": value, "axes": list(range(type.rank))}, out=type)

    def _tiled(self, var: Var) -> Value:
        value, full = self._narrow[var], mil_type(var.aval)
        if isinstance(value.const, np.ndarray) and self._target == "ane":
            value = self._builder.const(np.broadcast_to(value.const, full.shape), full.dtype)
        elif value.type != full:
            sizes = [1] * (full.rank - value.type.rank) + list(value.type.shape)
            reps = [n // max(s, 1) for n, s in zip(full.shape, sizes)]
            if self._target == "ane":
                operands: dict[str, Any] = {"x": value, "y": self._builder.const(np.ones(reps), full.dtype)}
                value = self._builder.op("mul", operands, out=full)
            else:
                value = self._builder.op("tile", {"x": value, "reps": reps}, out=full)
        self._env[var] = value
        return value

    def _stretched(self, eqn: Eqn) -> list[Value]:
        """The operands of an elementwise equation, narrow where another one shows the shape."""
        shape = eqn.outputs[0].aval.shape
        narrow = [isinstance(a, Var) and a in self._narrow for a in eqn.inputs]
        values = [self._narrow[a] if n else self.read(a) for a, n in zip(eqn.inputs, narrow)]  # type: ignore[index]
        first = 1 if eqn.primitive.name == "select_n" else 0  # MIL's select takes its shape from the cases alone
        for i, n in enumerate(narrow):
            if np.broadcast_shapes(*(v.type.shape for v in values[first:])) == shape:
                break
            if n and i >= first:
                values[i] = self._tiled(eqn.inputs[i])  # type: ignore[arg-type]
        return values

    def made(self, outputs: Sequence[Value]) -> Iterator[Value]:
        """The outputs, those that no operation makes, or that are there twice, made by one: Core ML's identity, or for
        the engine, which looks each one up among the operations' results and has no identity, times 1 (or plus 0)."""
        passed = {*self._inputs}
        for value in outputs:
            if value in passed or value.const is not None:
                value = self._again(value)
            passed.add(value)
            yield value

    def _again(self, value: Value) -> Value:
        if self._target == "coreml":
            return self._builder.op("identity", {"x": value}, out=value.type)
        name, unit = ("mul", 1.0) if value.const is None else ("add", 0.0)  # not constant factors of 0
        return self._builder.op(name, {"x": value, "y": unit}, out=value.type)


def lower(graph: Graph, target: str = "cpu", constants: Sequence[Constant] = ()) -> Program:
    """The mil.Program of ``graph``: inputs a0, a1, ... and outputs in the Graph's order.

    The first inputs may be ``constants``, which stand in the program then. For the CPU device the outputs must be
    distinct variables made by equations; the runtime resolves all others (runtime/execute.py).
    """
    builder = Builder("main")
    _lower_function(builder, graph, target, NOWHERE, constants)
    return builder.program()


def _lower_function(
    builder: Builder, graph: Graph, target: str, outer: Mark, constants: Sequence[Constant] = ()
) -> None:
    """``outer`` is the mark of the equation that holds ``graph``."""
    lowering = Lowering(builder, target, outer)
    lowering.know(graph.inputs[: len(constants)], constants)
    lowering.define(graph.inputs[len(constants) :], "a")
    for eqn in graph.eqns:
        lowering.equation(eqn)
    outputs = [lowering.read(a) for a in graph.outputs]
    builder.returns(*(outputs if target == "cpu" else lowering.made(outputs)))
