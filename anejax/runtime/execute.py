"""Executes Graphs, as core.trace's Executor: Graph -> passes -> MIL -> one native program -> buffers."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import itertools
import json
import logging
import operator
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from anejax.config import config
from anejax.core.array import MEMORY, DeviceArray, give_back, move, new_contents, take_over
from anejax.core.context import base_trace, tracing
from anejax.core.graph import Eqn, Graph, Var, has_effects_in_while, subgraphs
from anejax.core.primitive import Primitive
from anejax.core.recent import Recent
from anejax.core.trace import NOTHING_FROZEN, Executor, Frozen, check_numbers, concrete_array, register_executor
from anejax.errors import DeviceError
from anejax.lower.to_mil import lower
from anejax.mil.program import Program
from anejax.mil.text import to_text
from anejax.partition import donated as given_away
from anejax.partition import partition
from anejax.passes.freeze import freeze
from anejax.runtime import engine, library
from anejax.runtime.pipeline import Pipeline
from anejax.runtime.prepare import Route, prepare
from anejax.runtime.programs import Compiled, compiled
from anejax.transforms.evaluate import eval_graph

DEVICES = ("cpu", "ane", "coreai")
PROGRAMS_BYTES = 256 << 20  # bytes of compiled programs that are kept, in use or not
BYTES_OF_A_CHARACTER = 8  # bytes per character of MIL text: about the size of a compiled program, with its text
_LOG = logging.getLogger("anejax")
POINTER = operator.attrgetter("pointer")


class Executable:
    """A Graph compiled for one device.

    Outputs that are inputs, constants or duplicates never reach the device, nor do empty programs; effects (printing)
    take their operands from extra outputs, and happen after the run, in order.
    """

    def __init__(
        self, graph: Graph, donated: tuple[bool, ...], device: str, compiler: Compiler, frozen: Frozen
    ) -> None:
        self._avals = graph.out_avals  # complex numbers leave the passes as pairs in the same memory
        on_engine = device != "cpu" and engine.is_there(device)
        parts = prepare(graph, on_engine)
        _debug("graph", parts.graph)
        self._inputs, self._routes, self._effects = parts.inputs, parts.routes, parts.effects
        self._given = list(range(len(graph.inputs)))
        self._program: Compiled | Pipeline | None = None
        self._donated = [i for i, d in enumerate(donated) if d]
        in_order = [("run", i) for i in range(len(parts.program.outputs))]  # nothing is forwarded, printed or deleted
        self._direct = self._routes == in_order and not self._effects and not self._donated
        routes = self._routes + [r for e in self._effects for r in e.routes]
        self._forwarded = {i for kind, i in routes if kind == "input"}
        self.text = ""
        program = parts.program
        if program.outputs and on_engine:
            program, left = freeze(program, {p: frozen[i] for p, i in enumerate(self._inputs) if i in frozen})
            self._inputs = [self._inputs[p] for p in left]
        self._graph = program
        if program.outputs:
            places = [p for p, i in enumerate(self._inputs) if i in self._donated and i not in self._forwarded]
            self.text, self._program = _compiled(program, places, device, compiler)
            _debug("mil", self.text)
            _debug("plan", self.describe("plan"))

    def __call__(self, args: Sequence[DeviceArray]) -> list[DeviceArray]:
        if self._donated:
            return self._call_donated(args)
        if self._direct:
            return list(map(DeviceArray, self._avals, itertools.repeat(None), self._run(args)))
        args = self._with_forwarded(args)
        return self._results(args, self._run(args))

    def short_call(self) -> Callable[[Sequence[DeviceArray]], list[DeviceArray]] | None:
        """A faster call for arrays outside transformations: values that are equal in every call are looked up before.
        None where a call does more than to run one program of the CPU device."""
        program, avals, inputs = self._program, self._avals, self._inputs
        if not self._direct or not isinstance(program, library.NativeProgram):
            return None
        sizes, create = program.output_nbytes, library.create_buffers
        in_order = inputs == self._given
        if len(sizes) == 1:
            return _one_result(program, avals[0], None if in_order else inputs)

        def call(args: Sequence[DeviceArray]) -> list[DeviceArray]:
            arrays = args if in_order else [args[i] for i in inputs]
            held = list(map(MEMORY, arrays))
            pointers = list(map(POINTER, arrays))
            outputs, addresses = create(sizes)
            program.run(pointers, addresses)
            del held  # until here: other threads may delete and donate the arguments meanwhile
            return list(map(DeviceArray, avals, itertools.repeat(None), outputs))

        return call

    def _call_donated(self, args: Sequence[DeviceArray]) -> list[DeviceArray]:
        """Donated arguments are deleted before the run begins, so that no exception leaves one whose memory holds
        something else. A run that fails and says that it changed nothing gives them back."""
        given = list({id(args[i]): args[i] for i in self._donated}.values())
        taken = take_over(given)
        moved = dict(zip(map(id, given), taken))
        args = self._with_forwarded([moved.get(id(a), a) for a in args])
        try:
            made = self._run(args)
        except DeviceError as err:
            if not err.changed:
                give_back(given, taken)
            raise
        return self._results(args, made)

    def _with_forwarded(self, args: Sequence[DeviceArray]) -> list[DeviceArray]:
        """``args``, those that come out again as arrays of the results': what others delete or write does not reach
        them."""
        return [a.kept() if i in self._forwarded else a for i, a in enumerate(args)]

    def _results(self, args: Sequence[DeviceArray], made: list[Any]) -> list[DeviceArray]:
        for effect in self._effects:
            seen = [self._take(route, args, made, aval) for route, aval in zip(effect.routes, effect.avals)]
            effect.eqn.primitive.impl(*seen, **effect.eqn.params)
        return [self._take(route, args, made, aval) for route, aval in zip(self._routes, self._avals)]

    def _take(self, route: Route, args: Sequence[DeviceArray], made: list[Any], aval: Any) -> DeviceArray:
        kind, what = route
        if kind == "run":
            return DeviceArray(aval, storage=made[what])
        source = cast("DeviceArray", args[what] if kind == "input" else what)
        return source if source.aval == aval else source.retyped(aval)

    def _run(self, args: Sequence[DeviceArray]) -> list[library.Buffer]:
        program = self._program
        if program is None:
            return []
        arrays = [args[i] for i in self._inputs]
        if self._donated:  # these are new arrays that only this call knows
            held = [MEMORY(a) for i, a in zip(self._inputs, arrays) if i not in self._donated]
        else:
            held = list(map(MEMORY, arrays))
        pointers = list(map(POINTER, arrays))
        holds = [a.contents for a in arrays] if isinstance(program, Pipeline) else []
        if self._donated:
            outputs = _outputs_of(program, arrays, pointers)
            addresses = [b.pointer for b in outputs]
        else:
            outputs, addresses = library.create_buffers(program.output_nbytes)
        if isinstance(program, Pipeline):
            makes = [new_contents() for _ in outputs]
            program.run(pointers, addresses, holds, makes)
            for buffer, contents in zip(outputs, makes):
                buffer.contents = contents
        else:
            program.run(pointers, addresses)
        del held  # until here: other threads may delete and donate the arguments meanwhile
        return outputs

    def describe(self, what: str) -> str:
        """The native plan ("plan") or its counts ("stats")."""
        return self._program.describe(what) if self._program is not None else "no program: nothing to compute"

    def marked_text(self) -> str:
        """``text`` whose operations are named by their layers."""
        titled = ((f"// {title}\n" if title else "", lowered()) for title, lowered, _ in self.programs())
        return "\n".join(title + to_text(program, marks=True) for title, program in titled)

    def programs(self) -> Iterator[tuple[str, Callable[[], Program], Compiled]]:
        """The compiled programs: title, a function that lowers the program again with marks, and what runs it.

        There is one program without a title, or one for each segment with the segment's title.
        """
        if isinstance(self._program, Pipeline):
            yield from ((f"{s.name}: {s.device}", s.lowered, s.native) for s in self._program.leaves)
        elif self._program is not None:
            yield "", partial(lower, self._graph), self._program

    def stats(self) -> dict[str, Any]:
        """Counts of the native plan."""
        return json.loads(self.describe("stats")) if self._program is not None else {}

    def numerics(self) -> list[dict[str, Any]]:
        """The name and the "numerics" (see anesdk.h) of each segment on cpu-fp16, with the "mark" of each row."""
        return self._program.numerics() if isinstance(self._program, Pipeline) else []


def _one_result(
    program: library.NativeProgram, aval: Any, inputs: list[int] | None
) -> Callable[[Sequence[DeviceArray]], list[DeviceArray]]:
    """``short_call`` of a program with one output; ``inputs``: which arguments it reads, None for all in order."""
    create = library.buffer_maker(program.output_nbytes[0])

    def call(args: Sequence[DeviceArray]) -> list[DeviceArray]:
        arrays = args if inputs is None else [args[i] for i in inputs]
        held = list(map(MEMORY, arrays))
        output = create()
        program.run(list(map(POINTER, arrays)), (output.pointer,))
        del held  # until here: other threads may delete and donate the arguments meanwhile
        return [DeviceArray(aval, None, output)]

    return call


def _compiled(graph: Graph, donated: Sequence[int], device: str, compiler: Compiler) -> tuple[str, Compiled | Pipeline]:
    """(MIL text, its runner): one program for the CPU device, several if there is an engine too.

    On "cpu-fp16" the CPU device plays the engine, and on "coreai" Apple's runtime does: they have whatever the engine
    can have, since they are about its numbers.
    """
    if device == "cpu" or not engine.is_there(device):
        text = to_text(lower(graph))
        return text, compiler.compile("cpu", text, donated)
    by_cost = device == "ane" and config.engine_partition == "cost"
    plan = partition(graph, engine.chip(device), by_cost=by_cost, known=given_away(donated))
    if plan.why_idle is not None:
        _LOG.warning("[jit] nothing of the function goes to the engine. %s", plan.why_idle)
    pipeline = Pipeline(plan, donated, engine.what_runs(device), compiler.compile)
    return pipeline.text, pipeline


def _outputs_of(
    program: Compiled | Pipeline, arrays: Sequence[DeviceArray], pointers: list[int]
) -> list[library.Buffer]:
    """Memory for the outputs, that of donated arrays where they take it; ``pointers`` are the inputs' own."""
    new = iter(library.create_buffers([n for n, a in zip(program.output_nbytes, program.aliases) if a < 0])[0])
    outputs: list[library.Buffer] = []
    for alias in program.aliases:
        if alias < 0:
            outputs.append(next(new))
        else:
            buffer = _donated_buffer(arrays, alias)
            buffer.contents = 0  # it will be overwritten, be it in part, by a run that fails
            pointers[alias] = buffer.pointer
            outputs.append(buffer)
    return outputs


def _donated_buffer(arrays: Sequence[DeviceArray], index: int) -> library.Buffer:
    """The memory of a donated array; of a copy where NumPy owns the memory, or someone else still looks at it."""
    array = arrays[index]
    passed_twice = sum(a is array for a in arrays) > 1
    if not passed_twice and not array.has_views() and array.owns_storage_alone():
        return cast(library.Buffer, array._storage)
    (buffer,), _ = library.create_buffers([array.nbytes])
    if array.nbytes:
        np.copyto(buffer.view(array.shape, array.dtype), array.value)
    if not passed_twice:
        move(array, buffer)  # before the next array is copied: a state of eager arrays must not be there twice
    return buffer


class Compiler:
    """Compiles MIL text, once per text: equal code shares one program, whatever its data."""

    def __init__(self) -> None:
        self._programs: Recent[Any, Compiled] = Recent(1024, PROGRAMS_BYTES)
        self.count = 0

    def compile(
        self,
        device: str,
        text: str,
        donated: Sequence[int] = (),
        shared: Sequence[tuple[int, int]] = (),
        own: bool = False,
    ) -> Compiled:
        """The program of ``text``; one that nobody else gets if it is to be the caller's ``own``, for its counts."""
        if own:
            self.count += 1
            return compiled(device, text, donated, shared)
        key = (device, text, tuple(donated), tuple(shared))
        found = self._programs.get(key)
        if found is None:
            self.count += 1
            found = compiled(device, text, donated, shared)
            self._programs.put(key, found, BYTES_OF_A_CHARACTER * len(text))
        return found

    def clear(self) -> None:
        """Forgets every program."""
        self._programs.clear()


class NativeExecutor(Executor):
    """Runs Graphs on the native library's devices."""

    def __init__(self) -> None:
        self.compiler = Compiler()
        self._graphs: weakref.WeakSet[Graph] = weakref.WeakSet()  # those that have executables
        self._primitives: Recent[Any, Graph] = Recent(2048)
        self._lock = threading.RLock()

    def after_fork(self) -> None:
        """A thread that was compiling when the process forked does not exist in the child, and never releases."""
        self._lock = threading.RLock()

    def clear(self) -> None:
        """Forgets every program and returns idle memory. Programs in use live until their run ends."""
        with self._lock:
            self.compiler.clear()
            for graph in list(self._graphs):
                graph.derived.clear()
            self._graphs.clear()
            self._primitives.clear()
        library.idle_memory(release=True)

    def executables(self) -> list[Executable]:
        """All that are kept."""
        with self._lock:
            return [e for g in self._graphs for e in list(g.derived.values()) if isinstance(e, Executable)]

    def check_device(self, device: Any) -> None:
        """Raises DeviceError for a device that is not known."""
        name = getattr(device, "platform", device)
        if name not in (None, *DEVICES):
            raise DeviceError(f"[device] expected one of {', '.join(map(repr, DEVICES))}, got {device!r}.")

    def compile_graph(
        self,
        graph: Graph,
        donated: tuple[bool, ...] = (),
        device: str = "cpu",
        frozen: Frozen = NOTHING_FROZEN,
    ) -> Executable:
        key = (donated, device)
        found = graph.derived.get(key)
        if found is None:
            with self._lock:
                found = graph.derived.get(key)
                if found is None:
                    found = Executable(graph, donated, device, self.compiler, frozen)
                    graph.derived[key] = found
                    self._graphs.add(graph)
        return found

    def run_graph(
        self,
        graph: Graph,
        args: list[DeviceArray],
        donated: tuple[bool, ...],
        device: str = "cpu",
        frozen: Frozen = NOTHING_FROZEN,
    ) -> list[DeviceArray]:
        found = graph.derived.get((donated, device))
        if found is None:
            if has_effects_in_while(graph):
                return _interpreted(graph, args)
            found = self.compile_graph(graph, donated, device, frozen)
        outs = found(args)
        check_numbers("jit", outs)
        return outs

    def lower_text(
        self,
        graph: Graph,
        donated: tuple[bool, ...] = (),
        device: str = "cpu",
        marks: bool = False,
        frozen: Frozen = NOTHING_FROZEN,
    ) -> str:
        """The MIL text of the program, or the programs, that ``graph`` becomes; see ``mil.text.to_text`` for marks."""
        executable = self.compile_graph(graph, donated, device, frozen)
        return executable.marked_text() if marks else executable.text

    def run_primitive(self, prim: Primitive, args: list[DeviceArray], params: dict[str, Any]) -> list[DeviceArray]:
        key = (prim, tuple(a.aval for a in args), tuple(sorted(params.items())))
        inner = next(subgraphs(params), None) if prim.higher_order else None
        known = self._primitives if inner is None else inner.derived.setdefault("primitives", Recent(16))
        graph = known.get(key)
        if graph is None:
            inputs = tuple(Var(a.aval) for a in args)
            outputs = tuple(Var(a) for a in prim.out_avals([a.aval for a in args], params))
            graph = Graph(inputs, (Eqn(prim, inputs, outputs, params),), outputs)
            known.put(key, graph)
        return self.run_graph(graph, args, ())


def _interpreted(graph: Graph, args: Sequence[DeviceArray]) -> list[DeviceArray]:
    """The results of ``graph``, one equation after the other, so that a loop of unknown length prints in its turns."""
    with tracing(base_trace()):
        return [concrete_array(x) for x in eval_graph(graph, args)]


def _debug(stage: str, text: Any) -> None:
    if config.debug and stage in config.debug.split(","):
        print(f"--- {stage} ---\n{text}", file=sys.stderr)


EXECUTOR = NativeExecutor()
register_executor(EXECUTOR)
os.register_at_fork(after_in_child=EXECUTOR.after_fork)


def compile_count() -> int:
    """The number of native programs that this process has compiled."""
    return EXECUTOR.compiler.count
