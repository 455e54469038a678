"""Runs a program on the native CPU device in either of two ways, and compares it with the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.graph import Eqn, Graph, Literal, Var, map_subgraphs
from anejax.core.trace import NOTHING_FROZEN
from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from anejax.ops.misc import copy_p
from anejax.passes.bodies import with_own_outputs
from anejax.passes.inline import inline
from anejax.runtime import library
from anejax.runtime.execute import Compiler, Executable
from tests.fuzz.bounds import is_float
from tests.fuzz.generate import Program
from tests.fuzz.oracle import evaluate

UNWRITTEN = 0xA5  # every byte of an output before the run


class Finding(AssertionError):
    """The device gave something else than the oracle, or changed what it was only to read."""


def check(program: Program, modes: Sequence[str]) -> None:
    """Raises Finding, or the error of a compile or run, where one of the modes fails."""
    with np.errstate(all="ignore"):
        expected = evaluate(program.graph, program.args)
        for mode in modes:
            _compare(program, expected, MODES[mode](program), mode)


def _compare(program: Program, expected: Sequence[np.ndarray], found: Sequence[np.ndarray], mode: str) -> None:
    bounds = [program.bounds[a] for a in program.graph.outputs]
    for i, (want, got, known) in enumerate(zip(expected, found, bounds, strict=True)):
        if (want.shape, want.dtype) != (got.shape, got.dtype):
            raise Finding(f"{mode}: output {i} is {got.dtype}{got.shape}, expected {want.dtype}{want.shape}")
        if is_float(want.dtype):
            want, got = want.astype(np.float64), got.astype(np.float64)
            wrong = ~(np.abs(want - got) <= 2 * known.error) & (want != got)
        else:
            wrong = want != got
        if wrong.any():
            at = tuple(int(p[0]) for p in np.nonzero(wrong)) if want.ndim else ()
            raise Finding(
                f"{mode}: output {i} is wrong at {int(wrong.sum())} of {want.size} places, first at {at}:"
                f" {got[at]!r}, expected {want[at]!r} within {2 * known.error:g}"
            )


# --- by the passes ----------------------------------------------------------------------------------------------------


def by_passes(program: Program) -> list[np.ndarray]:
    """As a jitted function runs: passes, lowering, a native program, buffers that are donated."""
    executable = Executable(program.graph, program.donated, "cpu", Compiler(), NOTHING_FROZEN)
    first = _run_executable(program, executable)
    again = _run_executable(program, executable)
    _same(first, again, "passes")
    return first


def _run_executable(program: Program, executable: Executable) -> list[np.ndarray]:
    args = list(map(_device_array, program.args, program.graph.in_avals))
    outs = [np.array(o.value) for o in executable(args)]
    for i, (array, x, donated) in enumerate(zip(args, program.args, program.donated)):
        if not donated and array.value.tobytes() != x.tobytes():
            raise Finding(f"passes: the run changed input {i}, which is not donated")
    return outs


def _device_array(x: np.ndarray, aval: Aval) -> DeviceArray:
    (buffer,), _ = library.create_buffers([x.nbytes])
    np.copyto(buffer.view(x.shape, x.dtype), x)
    return DeviceArray(aval, storage=buffer)


# --- without passes ---------------------------------------------------------------------------------------------------


def by_text(program: Program) -> list[np.ndarray]:
    """Lowered as it is: unread inputs, dead equations, duplicates and forwarded inputs reach the native planner."""
    graph = plain(program.graph)
    native = library.NativeProgram("cpu", to_text(lower(graph)), [i for i, d in enumerate(program.donated) if d])
    first = _run_text(program, native)
    again = _run_text(program, native)
    _same(first, again, "text")
    return first


def _run_text(program: Program, native: library.NativeProgram) -> list[np.ndarray]:
    args = [np.array(x) for x in program.args]  # memory of their own, which a sanitizer guards
    outs = []
    for aval, alias in zip(program.graph.out_avals, native.aliases, strict=True):
        if alias < 0:
            outs.append(np.frombuffer(bytearray([UNWRITTEN] * aval.nbytes), aval.dtype).reshape(aval.shape))
        else:
            outs.append(args[alias].view(aval.dtype).reshape(aval.shape))
    native.run([x.ctypes.data for x in args], [y.ctypes.data for y in outs])
    for i, (array, x, donated) in enumerate(zip(args, program.args, program.donated)):
        if not donated and array.tobytes() != x.tobytes():
            raise Finding(f"text: the run changed input {i}, which is not donated")
    return outs


def plain(graph: Graph) -> Graph:
    """``graph`` without calls, and with bodies that return results of their own, as MIL asks for."""
    graph = inline(graph)
    body = lambda inner: with_own_outputs(plain(inner))  # noqa: E731
    eqns = tuple(e.replace(params=map_subgraphs(e.params, body)) for e in graph.eqns)
    return _of_variables(graph.replace(eqns=eqns))


def _of_variables(graph: Graph) -> Graph:
    """``graph`` whose outputs are variables: a constant is copied."""
    eqns, outputs = list(graph.eqns), []
    for atom in graph.outputs:
        if isinstance(atom, Literal):
            var = Var(atom.aval)
            eqns.append(Eqn(copy_p, (atom,), (var,), {}))
            atom = var
        outputs.append(atom)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(outputs))


def _same(first: Sequence[np.ndarray], again: Sequence[np.ndarray], mode: str) -> None:
    for i, (x, y) in enumerate(zip(first, again, strict=True)):
        if x.tobytes() != y.tobytes():
            raise Finding(f"{mode}: a second run of the same program gave another output {i}")


MODES: dict[str, Callable[[Program], list[np.ndarray]]] = {"passes": by_passes, "text": by_text}
