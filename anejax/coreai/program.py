"""Translates functions of programs to lines of text, and whole programs to graphs of a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from anejax.coreai.operands import WRITERS, Operation
from anejax.coreai.text import Tensor, Text
from anejax.coreai.words import Writer
from anejax.errors import RefusedError
from anejax.mil.program import NUMPY_DTYPES, Function, Program, Value

Port = tuple[str, tuple[int, ...], np.dtype]  # a name, a shape and a dtype


def run(w: Writer, function: Function, arguments: Sequence[Tensor], functions: Mapping[str, Function]) -> list[Tensor]:
    """Writes the operations of ``function`` for these arguments; returns its results."""
    known: dict[Value, Tensor] = dict(zip(function.inputs, arguments, strict=True))

    def read(value: Value) -> Tensor:
        if value not in known:
            known[value] = w.constant(np.asarray(value.const))
        return known[value]

    for op in function.ops:
        write = WRITERS.get(op.name)
        if write is None:
            raise RefusedError(f"[coreai] Core AI has no {op.name.removeprefix('aj_')}{op.mark.at}; leave this part to "
                               "the CPU device.")  # fmt: skip
        made = write(w, Operation(op, read, functions))
        results = [made] if isinstance(made, Tensor) else list(made)
        for value, result in zip(op.results, results, strict=True):
            expected = (value.type.shape, NUMPY_DTYPES[value.type.dtype])
            assert (result.shape, result.dtype) == expected, f"{op.name}: {result.type} for {value.type}"
            known[value] = result
    return list(map(read, function.outputs))


def graph(text: Text, name: str, program: Program, outputs: Sequence[str], states: Mapping[str, str]) -> str:
    """The program's main as the graph ``name``, its outputs called so; ``states`` are inputs that take some of them."""
    w, main = Writer(text), program.main
    arguments: list[Tensor] = []
    signature: list[str] = []
    tokens: dict[str, tuple[str, str]] = {}
    for value in main.inputs:
        outside = Tensor(f"%{value.name}", value.type.shape, NUMPY_DTYPES[value.type.dtype])
        if value.name in states:
            handle = f"!coreai.handle<{outside.type}>"
            signature.append(f'{outside.name}: {handle} {{coreai.name = "{value.name}"}}')
            inside = Tensor(text.new(), outside.shape, outside.dtype)
            tokens[value.name] = (_read(w, outside.name, handle, inside), handle)
            arguments.append(inside)
        else:
            signature.append(f'{outside.name}: {outside.type} {{coreai.name = "{value.name}"}}')
            arguments.append(outside)
    functions = {f.name: f for f in program.functions}
    results = dict(zip(outputs, run(w, main, arguments, functions), strict=True))
    returned: list[tuple[str, str, str]] = []
    for state, output in states.items():
        token, handle = tokens[state]
        returned.append((state, _write(w, f"%{state}", handle, results.pop(output), token), "!coreai.token"))
    returned += [(output, result.name, result.type) for output, result in results.items()]
    return _joined(name, w, signature, returned)


Fill = Callable[[Writer, list[Tensor]], Sequence[Tensor]]


def plain(fill: Fill, inputs: Sequence[Port]) -> tuple[Text, str, list[Port]]:
    """The module of a graph main whose operations ``fill(writer, arguments)`` writes; its outputs are y0, y1, ..."""
    text = Text()
    w, arguments = Writer(text), [Tensor(f"%{name}", shape, dtype) for name, shape, dtype in inputs]
    results = list(fill(w, arguments))
    signature = [f'{a.name}: {a.type} {{coreai.name = "{name}"}}' for a, (name, _, _) in zip(arguments, inputs)]
    returned = [(f"y{i}", r.name, r.type) for i, r in enumerate(results)]
    ports = [(f"y{i}", r.shape, r.dtype) for i, r in enumerate(results)]
    return text, module([*text.graphs, _joined("main", w, signature, returned)]), ports


def composite(w: Writer, kind: str, attributes: str, fill: Fill, operands: Sequence[Tensor]) -> list[Tensor]:
    """Calls a graph that says that it is Apple's function ``kind``, with the body that ``fill`` writes. A compiler may
    take its own form of the function. ``attributes`` are as in text, such as ``eps = 1.0e-5 : f32``."""
    name, inner = f"{kind}_{len(w.text.graphs)}", Writer(w.text)
    arguments = [Tensor(f"%x{i}", x.shape, x.dtype) for i, x in enumerate(operands)]
    results = list(fill(inner, arguments))
    signature = [f'{a.name}: {a.type} {{coreai.name = "{a.name[1:]}"}}' for a in arguments]
    returned = [(f"y{i}", r.name, r.type) for i, r in enumerate(results)]
    inputs, outputs = (", ".join(f'"{n}"' for n in names) for names in (
        [a.name[1:] for a in arguments], [n for n, _, _ in returned]
    ))  # fmt: skip
    said = f"input_names = [{inputs}], output_names = [{outputs}], op_attrs = {{{attributes}, version = 1 : si64}}"
    declared = f' attributes {{composite_decl = #coreai.composite_declaration<"{kind}" = {{{said}}}>}}'
    w.text.graphs.append(_joined(name, inner, signature, returned, "private noinline ", declared))
    made = [Tensor(w.text.new(), r.shape, r.dtype) for r in results]
    left, given = (", ".join(t.name for t in tensors) for tensors in (made, operands))
    types, kinds = (", ".join(t.type for t in tensors) for tensors in (operands, made))
    w.lines.append(
        f"{left} = coreai.invoke @{name}({given}) : ({types}) -> {kinds if len(made) == 1 else f'({kinds})'}"
    )
    return made


def _joined(name: str, w: Writer, signature: Sequence[str], returned: Sequence[tuple[str, str, str]],
            before: str = "", after: str = "") -> str:  # fmt: skip
    """A graph of the written text; each of ``returned`` is an output's name, the value and the value's type."""
    lines = "\n  ".join(w.lines)
    types = ", ".join(f'{kind} {{coreai.name = "{port}"}}' for port, _, kind in returned)
    names, kinds = ", ".join(value for _, value, _ in returned), ", ".join(kind for _, _, kind in returned)
    head = f"coreai.graph {before}@{name}({', '.join(signature)}) -> ({types}){after}"
    return f"{head} {{\n  {lines}\n  coreai.output {names} : {kinds}\n}}\n"


def _read(w: Writer, name: str, handle: str, into: Tensor) -> str:
    """Reads a state; returns the token that a write of it takes."""
    before, after = w.text.new(), w.text.new()
    w.lines.append(f'{before} = "coreai.create_token"() : () -> !coreai.token')
    w.lines.append(f'{into.name}, {after} = "coreai.read_handle"({name}, {before}) : ({handle}, !coreai.token) -> '
                   f"({into.type}, !coreai.token)")  # fmt: skip
    return after


def _write(w: Writer, name: str, handle: str, value: Tensor, token: str) -> str:
    after = w.text.new()
    w.lines.append(f'{after} = "coreai.write_handle"({name}, {value.name}, {token}) : ({handle}, {value.type}, '
                   "!coreai.token) -> !coreai.token")  # fmt: skip
    return after


def module(graphs: Sequence[str]) -> str:
    """The whole text."""
    return "module {\n" + "".join(graphs) + "}\n"
