"""Translates a function to a program for Core ML: the types of its ports, its operations, its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.graph import Eqn, Graph, Literal
from anejax.errors import DtypeError, ExportError, RefusedError, fail
from anejax.export.compress import SCHEMES, Report, check_scheme, compressed
from anejax.export.function import Exported, Function, refuse_dtype, trace
from anejax.export.halves import check_bits, in_precision, in_range
from anejax.export.labels import check_one_row
from anejax.export.mlpackage import Entry
from anejax.lower.to_mil import Constant, lower
from anejax.mil.limits import COREML_MAX_RANK
from anejax.mil.opset import OPSET
from anejax.mil.program import Program, renamed
from anejax.mil.verify import verify
from anejax.passes.inline import inline
from anejax.passes.legalize import signed_words
from anejax.passes.pipeline import optimize

PORTS = (dtypes.float32, dtypes.float16, dtypes.int32)
AS_INT32 = (dtypes.bool_, dtypes.int8, dtypes.uint8, dtypes.int16, dtypes.uint16, dtypes.uint32)  # the same bits


def entry(
    function: Function, weights: str | None, descriptions: Mapping[str, str], report: Report | None = None,
    precision: str = "float32",
) -> Entry:  # fmt: skip
    """The function ready to be saved. Raises what ``coreml`` does."""
    check_scheme(weights, tuple(SCHEMES))
    exported = trace(function, _port, _state)
    if exported.labels is not None:
        check_one_row(exported.labels, next(p.aval for p in exported.outputs if p.name == exported.labels.output))
    check_bits(exported.graph, precision)
    graph = in_range(signed_words(optimize(_with_own_weights(exported), "coreml")), precision)
    _check_dtypes(graph)
    program = in_precision(lower(graph, "coreml", list(map(_storable, exported.constants))), precision)
    main = program.main
    names = [p.name for p in (*exported.states, *exported.inputs)]
    updates = [f"{p.name}_new" for p in exported.states]
    called = dict(zip(main.inputs, names))
    called |= dict(zip(main.outputs, [*updates, *(p.name for p in exported.outputs)]))
    _check_descriptions(descriptions, exported)
    main = renamed(main, called)
    program = Program((main, *(f for f in program.functions if f.name != "main")), program.version)
    _check_operations(program)
    _check_arrays(program)
    verify(program, "coreml")
    main = compressed(main, weights, report)  # Core ML's forms of compressed constants are not operations of programs
    program = Program((main, *program.functions[1:]), program.version)
    states = {p.name: update for p, update in zip(exported.states, updates)}
    images = {p.name: p.image.layout for p in exported.inputs if p.image is not None}
    return Entry(program, descriptions, states, images, exported.labels)


def _check_descriptions(descriptions: Mapping[str, str], exported: Exported) -> None:
    ports = [p.name for p in (*exported.inputs, *exported.states, *exported.outputs)]
    if exported.labels is not None:
        ports.remove(str(exported.labels.output))
        ports += [exported.labels.predicted, exported.labels.probabilities]
    unknown = {*descriptions} - {*ports}
    if unknown:
        fail("export", f"expected descriptions of {', '.join(ports)}, got {sorted(unknown)}", ExportError)


def _with_own_weights(exported: Exported) -> Graph:
    """The Graph with the weights of recurrent layers as their literals, in the order that MIL wants."""
    graph = inline(exported.graph, "coreml")
    values = {v: c.value for v, c in zip(graph.inputs, exported.constants)}

    def own(eqn: Eqn) -> Eqn:
        if eqn.params.get("name") not in ("anejax.nn.lstm", "anejax.nn.lstm_cell"):
            return eqn
        given = (Literal(np.asarray(values[a]), a.aval) if a in values else a for a in eqn.inputs)
        return eqn.replace(inputs=tuple(given))

    return graph.replace(eqns=tuple(map(own, graph.eqns)))


def _storable(constant: Constant) -> Constant:
    """The same bits as int32 for uint32, as ``signed_words`` has it; the greatest finite numbers for infinities, as
    legalization has it for constants without axes."""
    value = constant.value
    if value.dtype == dtypes.uint32:
        return constant._replace(value=value.view(np.int32))
    if value.dtype not in (dtypes.float32, dtypes.float16) or not np.isinf(value).any():
        return constant
    most = np.finfo(value.dtype).max
    return constant._replace(value=np.clip(value, -most, most))


def _check_dtypes(graph: Graph) -> None:
    """Raises DtypeError for a value of a dtype that MIL does not have, with the line that makes it."""
    for eqn in graph.eqns:
        for out in eqn.outputs:
            if out.aval.dtype not in (*PORTS, *AS_INT32):
                fail("export", f"Core ML has no {out.aval.dtype}, which {eqn.primitive.name}{eqn.mark.at} makes: "
                     f"{out.aval}", DtypeError)  # fmt: skip


def _check_operations(program: Program) -> None:
    """Raises RefusedError for an operation that MIL does not have for these dtypes, with the line that makes it."""
    for op in (op for function in program.functions for op in function.ops):
        if "coreml" not in OPSET[op.name].targets:
            types = ", ".join(str(v.type) for v in op.values() if v.const is None)
            fail("export", f"Core ML has no {op.name.removeprefix('aj_')} of {types}{op.mark.at}; leave this part to "
                 "the app, or write it with other dtypes", RefusedError)  # fmt: skip


def _wanted_shape(shape: Sequence[int]) -> tuple[str, str] | None:
    """(the rule of Core ML's arrays that a shape breaks, the remedy), or None."""
    if 0 in shape:
        return "no axis of size 0, as Core ML has no empty arrays", "leave it out"
    if len(shape) > COREML_MAX_RANK:
        return f"at most {COREML_MAX_RANK} axes, as Core ML has no more", "reshape it"
    return None


def _check_arrays(program: Program) -> None:
    """Raises RefusedError for an array that MIL does not have, with the operation and the line that it belongs to."""
    for op in (op for function in program.functions for op in function.ops):
        for value in (*op.results, *op.values()):
            broken = _wanted_shape(value.type.shape) if value.const is None else None  # an operand may be a list: []
            data = value.const
            if isinstance(data, np.ndarray) and data.dtype.kind == "f" and not np.isfinite(data).all():
                broken = ("finite constants, as packages for Core ML have no others",
                          "compute what is NaN in the function")  # fmt: skip
            if broken:
                fail("export", f"{op.name.removeprefix('aj_')}{op.mark.at}: expected {broken[0]}, got {value.type}; "
                     f"{broken[1]}", RefusedError)  # fmt: skip


def _check_shape(path: str, aval: Aval) -> None:
    """Raises ExportError for a port that Core ML does not have."""
    broken = _wanted_shape(aval.shape)
    if broken:
        fail("export", f"{path}: expected {broken[0]}, got {aval}; {broken[1]}", ExportError)


def _port(path: str, aval: Aval) -> Aval:
    """The type of a port that Core ML has: float32, float16 or int32, of rank 1 to 5, without axes of size 0."""
    _check_shape(path, aval)
    dtype = np.dtype(np.int32) if aval.dtype in AS_INT32 else aval.dtype
    if dtype not in PORTS:
        refuse_dtype(path, aval, [d.name for d in (*PORTS, *AS_INT32)])
    return Aval(aval.shape or (1,), dtype)


def _state(path: str, aval: Aval) -> Aval:
    """The type that Core ML keeps between calls: float16."""
    _check_shape(path, aval)
    if aval.dtype not in (dtypes.float32, dtypes.float16):
        fail("export", f"{path}: expected float32 or float16, as Core ML keeps no others between calls, got {aval}; "
             "take it as an input and return the new one, or cast it in the function", DtypeError)  # fmt: skip
    return Aval(aval.shape or (1,), dtypes.float16)
